"""The records of a zip archive whose entries are stored as they are, by their places in a mapped file.

torch.save writes such archives. Compressed, encrypted, overlapping or out-of-bounds entries are refused, so that the
records together are never larger than the file (no bombs). Format: PKWARE's APPNOTE.TXT, 4.3.
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

from ..errors import CorruptCheckpoint

__all__ = ["Record", "read_records"]

_MAX_RECORDS = 100_000
_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_IN_EXTRA = 0xFFFFFFFF  # "the 64-bit value is in the extra field"


class Record(NamedTuple):
    """Bytes [begin, end) of the file."""

    begin: int
    end: int


def read_records(mapped: mmap.mmap, path: object) -> dict[str, Record]:
    """Name -> where its bytes are.   Raises CorruptCheckpoint."""
    try:
        return _read(mapped)
    except (ValueError, struct.error) as error:
        if isinstance(error, CorruptCheckpoint):
            raise
        raise CorruptCheckpoint(f"{path} is not a whole archive of torch.save: {error}. Download it again.") from None


def _read(mapped: mmap.mmap) -> dict[str, Record]:
    directory, count = _find_directory(mapped)
    if count > _MAX_RECORDS:
        raise ValueError(f"it has {count} entries; at most {_MAX_RECORDS} are read")
    records: dict[str, Record] = {}
    taken: list[tuple[int, int, str]] = []
    position = directory
    for _ in range(count):
        fields = _ENTRY.unpack_from(mapped, position)
        magic, flags, method, packed, size, name_size, extra_size, comment_size, offset = (
            *(fields[i] for i in (0, 3, 4, 8, 9, 10, 11, 12)),
            fields[16],
        )
        if magic != b"PK\1\2":
            raise ValueError("its directory is broken")
        begin = position + _ENTRY.size
        name = mapped[begin : begin + name_size].decode("utf-8")
        extra = mapped[begin + name_size : begin + name_size + extra_size]
        size, packed, offset = _wide(extra, size, packed, offset)
        if method or packed != size or flags & 1:
            raise ValueError(f"its entry {name!r:.80} is compressed or encrypted, which torch.save never does")
        if name in records:
            raise ValueError(f"it has two entries {name!r:.80}")
        records[name] = _place(mapped, offset, size)
        taken.append((offset, records[name].end, name))
        position = begin + name_size + extra_size + comment_size
    _check_apart(taken, directory)
    return records


def _find_directory(mapped: mmap.mmap) -> tuple[int, int]:
    """Where the central directory begins, and its number of entries."""
    end = mapped.rfind(b"PK\5\6", max(0, len(mapped) - _END.size - 0xFFFF))
    if end < 0:
        raise ValueError("its directory, at the end of the file, is missing")
    *_, count, _, offset, comment_size = _END.unpack_from(mapped, end)
    if end + _END.size + comment_size != len(mapped):
        raise ValueError("something follows its directory")
    locator = end - _LOCATOR.size
    if locator >= 0 and mapped[locator : locator + 4] == b"PK\6\7":
        end = _LOCATOR.unpack_from(mapped, locator)[2]
        magic, *_, count, _, offset = _END64.unpack_from(mapped, end)
        if magic != b"PK\6\6":
            raise ValueError("its directory is broken")
    if offset > end:
        raise ValueError("its directory is broken")
    return offset, count


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """The three, each from the zip64 extra field where 32 bits did not hold it."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            values = [next(wide, value) if value == _IN_EXTRA else value for value in (size, packed, offset)]
            return values[0], values[1], values[2]
        position += 4 + length
    return size, packed, offset


def _place(mapped: mmap.mmap, offset: int, size: int) -> Record:
    if offset + _LOCAL.size > len(mapped):
        raise ValueError("an entry begins behind the end of the file")
    magic, *_, name_size, extra_size = _LOCAL.unpack_from(mapped, offset)
    if magic != b"PK\3\4":
        raise ValueError("an entry does not begin where its directory says")
    begin = offset + _LOCAL.size + name_size + extra_size
    return Record(begin, begin + size)


def _check_apart(taken: list[tuple[int, int, str]], directory: int) -> None:
    position = 0
    for begin, end, name in sorted(taken):
        if begin < position:
            raise ValueError(f"its entry {name!r:.80} overlaps another")
        position = end
    if position > directory:
        raise ValueError("an entry ends behind the directory")
