"""Files of torch.save made by hand, for tests without torch: a small assembler of pickles, and the archive around."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

PROTO = b"\x80\x02"
STOP = b"."
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value: int) -> bytes:
    """LONG1 (or BININT1 for a byte)."""
    if 0 <= value < 256:
        return b"K" + bytes([value])
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def sizes(*values: int) -> bytes:
    """A tuple of integers."""
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key: str = "0", length: int = 6, kind: str = "FloatStorage") -> bytes:
    """The persistent id of a storage."""
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + integer(length) + b"tQ"


def tensor(
    shape: tuple[int, ...] = (2, 3),
    strides: tuple[int, ...] = (3, 1),
    offset: int = 0,
    stored: bytes | None = None,
) -> bytes:
    """A call of _rebuild_tensor_v2."""
    arguments = (stored or storage()) + integer(offset) + sizes(*shape) + sizes(*strides) + b"\x89" + ORDERED_DICT
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def state_dict(entries: Mapping[str, bytes]) -> bytes:
    """The pickle of an OrderedDict."""
    return PROTO + ORDERED_DICT + b"(" + b"".join(text(name) + value for name, value in entries.items()) + b"u" + STOP


def archive(
    path: Path,
    program: bytes,
    storages: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    names: Mapping[str, bytes] | None = None,
) -> Path:
    """The zip file around a pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        file.writestr("archive/data.pkl", program)
        for key, content in (storages or {"0": struct.pack("<6f", *range(6))}).items():
            file.writestr(f"archive/data/{key}", content)
        for name, content in (names or {"archive/version": b"3\n"}).items():
            file.writestr(name, content)
    path.write_bytes(buffer.getvalue())
    return path
