"""Bytes of data files, decompressed as they are read, and their lines.

gz, bz2 and xz are the standard library's, zst too from Python 3.14 on and otherwise pyarrow's; of a zip archive every
member is read. Nothing is unpacked to the disk, so a name in an archive leads nowhere. What grows without end when it
is decompressed is refused.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import DataError, InvalidArgument, MissingDependency

__all__ = ["COMPRESSIONS", "Limits", "decoded_lines", "decompressed"]

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Limits:
    """What is taken for an attack or a mistake."""

    expanded_bytes = 1 << 30  # below this nothing is refused
    ratio = 300  # text shrinks to a fifth, logs to a fiftieth; a bomb to a thousandth
    line_bytes = 1 << 28
    members = 100_000


class _Counted(io.RawIOBase):
    """The compressed bytes, counted as they are read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._raw.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self.count += len(chunk)
        return len(chunk)


class _Expanded(io.RawIOBase):
    """What a decompressor gives, until it is too much for what it was given."""

    def __init__(self, stream: Any, counted: _Counted | None, name: str, packed: int = 0) -> None:
        self._stream = stream
        self._counted = counted
        self._packed = packed
        self._name = name
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # the disk's complaint; EINVAL is a place before the file's beginning
            raise DataError(f"{self._name} cannot be decompressed: {error}. Is it whole?") from None
        buffer[: len(chunk)] = chunk
        self._size += len(chunk)
        packed = self._packed if self._counted is None else self._counted.count
        if self._size > max(Limits.expanded_bytes, Limits.ratio * packed):
            raise DataError(
                f"{self._name}: {packed} bytes become more than {self._size}; this looks like an attack. "
                "If it is not, decompress it yourself."
            )
        return len(chunk)


@contextlib.contextmanager
def decompressed(raw: BinaryIO, name: str) -> Iterator[Iterator[tuple[str, io.BufferedReader]]]:
    """(name, stream) of what is in a file: of a zip archive its members, else one.   Raises DataError.

    Compression is known by the file's first bytes.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_buffered(raw))
        yield _members(file, name, stack)


def _members(
    file: io.BufferedReader, name: str, stack: contextlib.ExitStack
) -> Iterator[tuple[str, io.BufferedReader]]:
    magic = file.peek(6)[:6]
    if magic.startswith(b"PK\3\4"):
        yield from _zip_members(file, name)
        return
    opener = next((opener for start, opener in _OPENERS.items() if magic.startswith(start)), None)
    if opener is None:
        yield name, file
        return
    counted = _Counted(file)
    yield name, stack.enter_context(_buffered(_Expanded(opener(counted), counted, name)))


def _zip_members(file: io.BufferedReader, name: str) -> Iterator[tuple[str, io.BufferedReader]]:
    if not file.seekable():
        raise DataError(f"{name} is a zip archive, which cannot be read as a stream; download it first.")
    try:
        archive = zipfile.ZipFile(file)
    except _ZIP_ERRORS as error:
        raise DataError(f"{name} is not a whole zip archive: {error}.") from None
    with archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and _is_data(entry.filename)]
        if len(entries) > Limits.members:
            raise DataError(f"{name} has {len(entries)} members; at most {Limits.members} are read.")
        for entry in sorted(entries, key=lambda entry: entry.filename):
            inner = f"{name}/{entry.filename}"
            try:
                opened = archive.open(entry)
            except _ZIP_ERRORS as error:
                raise DataError(f"{inner} cannot be read: {error}.") from None
            with opened, _buffered(_Expanded(opened, None, inner, entry.compress_size)) as stream:
                yield inner, stream


# encrypted, an odd method, places that are not in the file
_ZIP_ERRORS = (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError, OSError, EOFError, struct.error)


def _is_data(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _buffered(raw: Any) -> io.BufferedReader:
    return raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw, 1 << 18)


def _zstd(raw: Any) -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found]  # Python 3.14

        return zstd.ZstdFile(raw)
    except ImportError:
        pass
    try:
        import pyarrow
    except ImportError:
        raise MissingDependency('reading .zst needs pyarrow: pip install "panpipe[data]"') from None
    return pyarrow.CompressedInputStream(raw, "zstd")


_OPENERS: dict[bytes, Any] = {
    b"\x1f\x8b": lambda raw: gzip.GzipFile(fileobj=raw),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}


def decoded_lines(stream: BinaryIO, name: str, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """(number from 1, text with its end) of each line.   Raises DataError, which names the line and byte."""
    utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    return _utf8_lines(stream, name) if utf8 else _other_lines(stream, name, encoding)


def _utf8_lines(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    most = Limits.line_bytes
    place = 0
    for number, raw in enumerate(iter(lambda: stream.readline(most + 1), b""), 1):
        if len(raw) > most:
            raise DataError(f"{name}, line {number}, has more than {most} bytes. Is it text, with a line per row?")
        try:
            yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(name, number, raw, error, place)) from None
        place += len(raw)


def _not_utf8(name: str, number: int, raw: bytes, error: UnicodeDecodeError, place: int) -> str:
    guess = next((encoding for start, encoding in _BOMS.items() if number == 1 and raw.startswith(start)), "")
    if not guess:
        with contextlib.suppress(UnicodeDecodeError):
            raw.decode("cp949")
            guess = "cp949"
    hint = f" It may be encoding={guess!r}." if guess else " Give its encoding=…."
    return f"{name}, line {number}: byte {place + error.start} (0x{raw[error.start]:02x}) is not UTF-8.{hint}"


def _other_lines(stream: BinaryIO, name: str, encoding: str) -> Iterator[tuple[int, str]]:
    try:
        text = io.TextIOWrapper(stream, encoding, newline="\n")
    except LookupError:
        raise InvalidArgument(f"encoding={encoding!r} is not known.") from None
    number = 0
    try:
        for number, line in enumerate(iter(lambda: text.readline(Limits.line_bytes), ""), 1):
            yield number, line
    except UnicodeDecodeError as error:
        wrong = error.object[error.start]
        raise DataError(f"{name}, after line {number}: a byte 0x{wrong:02x} is not {encoding}.") from None
    finally:
        with contextlib.suppress(ValueError):  # the file is closed already
            text.detach()
