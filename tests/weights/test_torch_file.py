"""pytorch_model.bin: what real torch saved, and files made by hand."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.errors import CorruptCheckpoint, UnsafeCheckpoint
from panpipe.weights.checkpoint import open_checkpoint
from panpipe.weights.torch_file import TorchFile

from . import torch_files as made

GOLDEN = Path(__file__).parent.parent / "golden" / "torch_files"
EXPECTED: dict[str, Any] = json.loads((GOLDEN / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", ["zip.bin", "zip_protocol_4.bin", "legacy.bin", "extra.bin"])
def test_what_torch_saved_is_read_bit_for_bit(file: str) -> None:
    checkpoint = open_checkpoint(GOLDEN / file)
    assert set(checkpoint.names()) - {"uint16"} == set(EXPECTED)  # extra.bin has "epoch": 3 too, which is no tensor
    for name, expected in EXPECTED.items():
        tensor = checkpoint.read(name)
        assert checkpoint.info(name).shape == tensor.shape == tuple(expected["shape"])
        assert tensor.dtype == {"bfloat16": "float32"}.get(expected["dtype"], expected["dtype"]), name
        assert tensor.astype(np.float64).ravel().tolist() == expected["values"], name
        assert tensor.flags.c_contiguous
        assert tensor.flags.aligned
        checkpoint.release(name)
        assert tensor.astype(np.float64).ravel().tolist() == expected["values"]
    checkpoint.close()


def test_dtypes_without_a_storage_class_of_their_own() -> None:
    with open_checkpoint(GOLDEN / "extra.bin") as checkpoint:
        assert checkpoint.info("uint16").dtype == "U16"
        assert checkpoint.read("uint16").tolist() == [40000]


def test_a_pickled_module_is_refused_by_its_name() -> None:
    with pytest.raises(UnsafeCheckpoint, match=r"asks for 'torch\.nn\.modules\.linear\.Linear'"):
        TorchFile(GOLDEN / "module.bin")


def test_plain_tensors_are_views_of_the_file() -> None:
    tensor = TorchFile(GOLDEN / "zip.bin").read("shared.whole")
    assert not tensor.flags.owndata
    assert not tensor.flags.writeable


@pytest.mark.parametrize("size", [*range(0, 1400, 7), -1, -2, -22, -23, -100])
def test_a_file_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    for name in ("zip.bin", "legacy.bin"):
        (tmp_path / name).write_bytes((GOLDEN / name).read_bytes()[:size])
        with pytest.raises(CorruptCheckpoint):
            TorchFile(tmp_path / name)


def test_files_made_by_hand(tmp_path: Path) -> None:
    """The assembler of the attacks makes files that are right when nothing is wrong with them."""
    path = made.archive(
        tmp_path / "pytorch_model.bin", made.state_dict({"weight": made.tensor(), "안녕": made.tensor()})
    )
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.path == path
        assert checkpoint.names() == ["weight", "안녕"]
        assert checkpoint.read("안녕").tolist() == [[0, 1, 2], [3, 4, 5]]
        assert checkpoint.nbytes == 48


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        (made.tensor((2, 4), (4, 1)), "beyond its storage"),
        (made.tensor((2, 3), (3, 1), offset=1), "beyond its storage"),
        (made.tensor((2, 3), (3, -1)), "negative or endless"),
        (made.tensor((2, 3), (3, 1), offset=-1), "negative or endless"),
        (made.tensor((2, 1 << 63), (0, 0)), "negative or endless"),
        (made.tensor((1 << 20, 1 << 20, 1 << 20), (0, 0, 0)), "beyond its storage"),
        (made.tensor((1 << 40,), (0,)), "beyond its storage"),
        (made.tensor((2, 3), (1 << 61, 1 << 61)), "beyond its storage"),
        (made.tensor((2, 3), (3,)), "not described"),
        (made.tensor(tuple([1] * 65), tuple([1] * 65)), "not described"),
        (made.tensor(stored=made.storage("missing")), "not all in the file"),
        (made.tensor(stored=made.storage(length=7)), "not all in the file"),
        (made.tensor(stored=made.storage(length=-1)), "not described"),
        (made.tensor(stored=made.storage(kind="DoubleStorage")), "not all in the file"),
        (made.tensor(stored=made.text("storage")), "not described"),
        (made.text("no tensor"), "no tensors"),
    ],
)
def test_tensors_outside_of_their_bytes_are_refused(tmp_path: Path, tensor: bytes, what: str) -> None:
    path = made.archive(tmp_path / "x.bin", made.state_dict({"weight": tensor}))
    with pytest.raises(CorruptCheckpoint, match=what):
        TorchFile(path)


@pytest.mark.parametrize(
    "program", [made.PROTO + b"].", made.PROTO + b"N.", made.PROTO + b"K\x01.", made.PROTO + b"}."]
)
def test_what_is_not_a_state_dict_is_refused(tmp_path: Path, program: bytes) -> None:
    with pytest.raises(CorruptCheckpoint, match=r"state_dict"):
        TorchFile(made.archive(tmp_path / "x.bin", program))


def test_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    program = made.state_dict({"weight": made.tensor()})
    path = made.archive(tmp_path / "x.bin", program, names={"archive/byteorder": b"big"})
    with pytest.raises(CorruptCheckpoint, match="big-endian"):
        TorchFile(path)


def test_a_large_archive_with_64_bit_offsets(tmp_path: Path) -> None:
    """Over 4 GiB, places are in an extra field and a second directory; a file with both is made by hand, small."""
    path = made.archive(tmp_path / "x.bin", made.state_dict({"weight": made.tensor()}))
    path.write_bytes(_with_wide_fields(path.read_bytes()))
    with TorchFile(path) as checkpoint:
        assert checkpoint.read("weight").tolist() == [[0, 1, 2], [3, 4, 5]]


def _with_wide_fields(content: bytes) -> bytes:
    """The same archive, each number of its directory moved to where numbers of 64 bits go."""
    end = content.rfind(b"PK\5\6")
    count, _, offset = struct.unpack_from("<HII", content, end + 10)
    directory, position = b"", offset
    for _ in range(count):
        fields = list(struct.unpack_from("<4s6H3I5H2I", content, position))
        name_size, extra_size, comment_size = fields[10:13]
        name = content[position + 46 : position + 46 + name_size]
        wide = struct.pack("<2H3Q", 1, 24, fields[9], fields[8], fields[16])
        fields[8], fields[9], fields[16], fields[11] = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(wide)
        directory += struct.pack("<4s6H3I5H2I", *fields) + name + wide
        position += 46 + name_size + extra_size + comment_size
    wide_end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + len(directory), 1)
    narrow_end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:offset] + directory + wide_end + locator + narrow_end
