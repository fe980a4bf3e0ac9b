"""Our reader of .safetensors against the safetensors library: same tensors, same bytes, same refusals."""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.errors import CheckpointError, CheckpointNotFound, CorruptCheckpoint
from panpipe.weights.base import DTYPES
from panpipe.weights.safetensors_file import SafetensorsFile
from panpipe.weights.save import save_safetensors

CASES = int(os.environ.get("PANPIPE_FUZZ_CASES", "4000"))

KINDS = ["?", "u1", "i1", "<u2", "<i2", "<f2", "<u4", "<i4", "<f4", "<u8", "<i8", "<f8"]


COMMON = [dtype for dtype, (_, kind) in DTYPES.items() if kind and dtype != "C64"]  # that older libraries know


def with_header(header: str | bytes | dict[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    """The bytes of a file."""
    raw = (
        json.dumps(header).encode()
        if isinstance(header, dict)
        else header.encode()
        if isinstance(header, str)
        else header
    )
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def test_every_dtype_and_shape_is_read_as_saved(tmp_path: Path) -> None:
    random_numbers = np.random.default_rng(0)
    tensors = {}
    for kind in KINDS:
        for shape in ((), (0,), (1,), (3, 5), (2, 0, 3), (2, 1, 2, 1, 2)):
            tensors[f"{kind} {shape}"] = (random_numbers.normal(size=shape) * 50).astype(kind)
    save_safetensors(tensors, tmp_path / "모델.safetensors", {"format": "pt", "note": "한국어"})
    with SafetensorsFile(tmp_path / "모델.safetensors") as file:
        assert file.metadata == {"format": "pt", "note": "한국어"}
        assert set(file.names()) == set(tensors)
        for name, expected in tensors.items():
            got = file.read(name)
            assert got.dtype == expected.dtype
            assert got.shape == expected.shape == file.info(name).shape
            assert np.array_equal(got, expected)
            assert got.flags.c_contiguous
            assert got.flags.aligned
        assert file.nbytes == sum(tensor.nbytes for tensor in tensors.values())


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    numbers = np.array([[0.0, 1.0, -2.5], [np.inf, 3.140625, 1e-38]], np.float32)
    bits = (numbers.view(np.uint32) >> 16).astype("<u2")
    content = with_header({"x": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}}, bits.tobytes())
    (tmp_path / "x.safetensors").write_bytes(content)
    got = SafetensorsFile(tmp_path / "x.safetensors").read("x")
    assert got.dtype == np.float32
    assert np.array_equal(got.view(np.uint32), bits.astype(np.uint32) << 16)


def test_complex_numbers_are_read(tmp_path: Path) -> None:
    content = with_header({"x": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, struct.pack("<2f", 1, -2))
    (tmp_path / "x.safetensors").write_bytes(content)
    assert SafetensorsFile(tmp_path / "x.safetensors").read("x").tolist() == [1 - 2j]


def test_dtypes_without_numpy_are_known_but_not_read(tmp_path: Path) -> None:
    content = with_header({"x": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4))
    (tmp_path / "x.safetensors").write_bytes(content)
    file = SafetensorsFile(tmp_path / "x.safetensors")
    assert file.info("x").shape == (4,)
    with pytest.raises(CheckpointError, match="stored as F8_E4M3"):
        file.read("x")


def test_tensors_are_views_of_the_file(tmp_path: Path) -> None:
    save_safetensors({"x": np.arange(4, dtype=np.float32)}, tmp_path / "x.safetensors")
    file = SafetensorsFile(tmp_path / "x.safetensors")
    view = file.read("x")
    assert not view.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    file.close()
    assert view.tolist() == [0, 1, 2, 3]  # the map lives as long as its views


def test_releasing_a_tensor_frees_its_memory(tmp_path: Path) -> None:
    """In a process of its own, which reads 64 MB tensor by tensor."""
    tensors = {f"t{i}": np.full((1 << 20,), i, np.float32) for i in range(16)}
    save_safetensors(tensors, tmp_path / "x.safetensors")
    program = (
        "import sys\n"
        "from panpipe.weights.safetensors_file import SafetensorsFile\n"
        "file = SafetensorsFile(sys.argv[1])\n"
        "total, most = 0.0, 0\n"
        "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 >> 20\n"
        "before = resident()\n"
        "for name in file.names():\n"
        "    total += float(file.read(name).sum())\n"
        "    if sys.argv[2] == 'release': file.release(name)\n"
        "    most = max(most, resident() - before)\n"
        "print(total, most)\n"
    )
    grown = {}
    if sys.platform != "linux":
        pytest.skip("the size of a process is read from Linux")
    for mode in ("release", "keep"):
        command = [sys.executable, "-c", program, str(tmp_path / "x.safetensors"), mode]
        total, megabytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert float(total) == sum(range(16)) * (1 << 20)
        grown[mode] = int(megabytes)
    assert grown["release"] < 16
    assert grown["keep"] > 48


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="there is no file"):
        SafetensorsFile(tmp_path / "none.safetensors")
    with pytest.raises((CheckpointNotFound, PermissionError)):
        SafetensorsFile(tmp_path)
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(CorruptCheckpoint, match="empty"):
        SafetensorsFile(tmp_path / "empty.safetensors")
    (tmp_path / "pointer.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    with pytest.raises(CorruptCheckpoint, match="git lfs pull"):
        SafetensorsFile(tmp_path / "pointer.safetensors")


def test_a_failed_save_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_safetensors({"x": np.zeros(2, np.float32)}, path)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r"object|dtype"):
        save_safetensors({"x": np.array([object()])}, path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


# -- against the library ---------------------------------------------------------------------------------------------

# Where we refuse what the library accepts, each with the words that must be in our reason.
STRICTER = (
    "does not begin with",
    "same key twice",
    "must have dtype, shape and data_offsets",
    "lists of sizes",
    "too large for any file",
)


def test_accepts_and_refuses_as_the_library_does(tmp_path: Path) -> None:
    """Random small files, most of them with something wrong, through both readers."""
    draw = random.Random(20240917)
    path = tmp_path / "x.safetensors"
    handle = path.open("wb", buffering=0)  # one file rewritten: making thousands is slow on some systems
    accepted = stricter = 0
    for case in range(CASES):
        content = _random_file(draw)
        handle.seek(0)
        handle.write(content)
        handle.truncate()
        theirs = _theirs(content)
        try:
            file = SafetensorsFile(path)
        except CorruptCheckpoint as error:
            if theirs is not None:
                assert any(reason in str(error) for reason in STRICTER), (case, str(error), content)
                stricter += 1
            continue
        assert theirs is not None, (case, content)
        accepted += 1
        assert set(file.names()) == set(theirs)
        for name, (dtype, shape, data) in theirs.items():
            assert file.info(name) == (dtype, tuple(shape))
            if DTYPES[dtype][1] is not None and dtype != "BF16":
                assert file.read(name).tobytes() == data
        file.close()
    handle.close()
    print(f"{CASES} files: {accepted} accepted, {stricter} refused by us alone")
    assert accepted > CASES // 10
    assert CASES - accepted > CASES // 4
    assert 0 < stricter < CASES // 5


def _theirs(content: bytes) -> dict[str, tuple[str, list[int], bytes]] | None:
    from safetensors import SafetensorError, deserialize

    read: Any = deserialize
    try:
        return {name: (entry["dtype"], entry["shape"], bytes(entry["data"])) for name, entry in read(content)}
    except SafetensorError:
        return None


def _random_file(draw: random.Random) -> bytes:
    """A right file, to which some of the mutations below are done."""
    header: dict[str, Any] = {}
    position = 0
    for number in range(draw.randrange(4)):
        dtype = draw.choice(COMMON)
        shape = [draw.choice([0, 1, 2, 3, 8]) for _ in range(draw.randrange(4))]
        size = int(np.prod(shape)) * DTYPES[dtype][0] // 8
        header[f"t{number}"] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + size]}
        position += size
    if draw.random() < 0.3:
        header["__metadata__"] = {"format": "pt"}
    data = draw.randbytes(position)
    for _ in range(draw.choice([0, 0, 1, 1, 2])):
        _mutate(draw, header)
    raw = json.dumps(header).encode()
    if draw.random() < 0.25:
        raw = _mutate_text(draw, raw)
    raw += b" " * draw.choice([0, 0, 3, 7])
    length = len(raw) + (draw.choice([-1, 1, 8, 1 << 40]) if draw.random() < 0.08 else 0)
    if draw.random() < 0.08:
        data = data[:-1] if draw.random() < 0.5 else data + b"x"
    return with_header(raw, data, max(length, 0))


def _mutate(draw: random.Random, header: dict[str, Any]) -> None:
    odd: list[Any] = [-1, 0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 1.0, 1.5, True, None, "1", [], {}]
    tensors = [name for name in header if name != "__metadata__"]
    if not tensors or draw.random() < 0.1:
        header["__metadata__"] = draw.choice([{}, None, [], 1, "x", {"a": 1}, {"a": None}, {"a": "b"}])
        return
    entry = header[draw.choice(tensors)]
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        return
    kind = draw.randrange(8)
    if kind == 0:
        entry["dtype"] = draw.choice(["F32", "F16", "f32", "F128", "", None, 3, "BF16", "U8"])
    elif kind == 1 and isinstance(entry["shape"], list):
        entry["shape"].append(draw.choice(odd))
    elif kind == 2 and isinstance(entry["shape"], list) and entry["shape"]:
        entry["shape"][draw.randrange(len(entry["shape"]))] = draw.choice(odd)
    elif kind == 3 and isinstance(entry["data_offsets"], list) and entry["data_offsets"]:
        entry["data_offsets"][draw.randrange(len(entry["data_offsets"]))] = draw.choice(odd)
    elif kind == 4:
        entry[draw.choice(["shape", "data_offsets"])] = draw.choice([None, [], {}, "x", [1], [0, 1, 2], [[0, 0]]])
    elif kind == 5:
        del entry[draw.choice(list(entry))]
    elif kind == 6:
        entry["extra"] = 1
    else:
        header["t9"] = dict(entry)


def _mutate_text(draw: random.Random, raw: bytes) -> bytes:
    place = draw.randrange(len(raw) + 1)
    return draw.choice(
        [
            raw[:place] + bytes([draw.randrange(256)]) + raw[place + 1 :],
            raw[:place] + raw[place + 1 :],
            raw[:place],
            raw.replace(b'"t0"', b'"t1"'),
            raw.replace(b'"dtype"', b'"shape"'),
            raw.replace(b'"t0"', rb'"\ud800"'),
            raw.replace(b'"t0"', rb'"\u0074\ud83d\ude00"'),
            raw.replace(b"[0", b"[-0"),
            raw.replace(b"[0", b"[00"),
            raw.replace(b"[0", b"[0e0"),
            raw.replace(b"[0", b"[NaN"),
            raw.replace(b"{", b"{ \n", 1),
            b" " + raw,
            b"\xef\xbb\xbf" + raw,
            raw + b"{}",
            raw + b"\0",
            b"[" + raw + b"]",
        ]
    )
