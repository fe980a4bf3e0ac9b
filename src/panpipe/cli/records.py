"""Texts from arguments, files and pipes, read one by one.

    .txt            a text a line; empty lines are left out
    .jsonl          an object a line, or a string
    .csv, .tsv      a row of columns under a header; .csv by commas, or semicolons if the header has more of them

All files are UTF-8. What is wrong with a line is an InputError that names file and line.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, InvalidArgument, did_you_mean

__all__ = ["FORMATS", "Parts", "Record", "count_lines", "format_of", "from_arguments", "from_lines", "open_input"]

FORMATS = ("txt", "jsonl", "csv", "tsv")
MOST_CHARACTERS = 1 << 24  # of a field of a table: a quotation mark that is never closed must not fill the memory
_SUFFIXES = {".txt": "txt", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_USUAL = {"text": ("text", "sentence", "sequence", "input", "inputs", "content", "review", "document")}


@dataclass(frozen=True)
class Record:
    """One input.

    index: its number, from 0: of lines in a text file, of rows or objects in others.   where: for an error.
    value: what the pipeline gets.   shown: the part of it that was read, for the output.
    error: what was wrong with it; then it has no value.
    """

    index: int
    where: str
    value: Any = None
    shown: Any = None
    error: InputError | None = None


@dataclass(frozen=True)
class Parts:
    """What an input of a task is made of, and where that comes from.

    wanted: the parts to be read, in order; those in `optional` may be missing.   fixed: the parts given once for all.
    columns: where the wanted parts are, if the caller said; else in columns of their own names.
    """

    wanted: tuple[str, ...] = ("text",)
    optional: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """The parts that must be read."""
        return tuple(part for part in self.wanted if part not in self.optional)

    def from_text(self, text: Any) -> tuple[Any, Any]:
        """(the pipeline's input, what was read) of a text.   Raises InvalidArgument where that is not enough."""
        if len(self.needed) != 1:
            raise InvalidArgument(
                f"a text alone is not {' and '.join(self.needed)}: give "
                f"{' or '.join('--' + part for part in self.needed)}, or --input with a .jsonl, .csv or .tsv file."
            )
        return self._joined({self.needed[0]: text})

    def from_row(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """(the pipeline's input, what was read) of a row or object.   Raises InputError where it lacks a part."""
        chosen = {part: self._column(part, place, list(row)) for place, part in enumerate(self.wanted)}
        return self._joined({part: row[column] for part, column in chosen.items() if column is not None})

    def _joined(self, read: dict[str, Any]) -> tuple[Any, Any]:
        read = {part: value for part, value in read.items() if value not in ("", None) or part not in self.optional}
        parts = {**read, **self.fixed}
        value = next(iter(parts.values())) if list(parts) == ["text"] else parts
        return value, next(iter(read.values())) if len(read) == 1 else read

    def _column(self, part: str, place: int, there: list[str]) -> str | None:
        if place < len(self.columns):
            names: Sequence[str] = self.columns[place : place + 1]
        else:
            names = _USUAL.get(part, (part,))
        found = next((name for name in names if name in there), None)
        if found is None and part not in self.optional:
            near = did_you_mean(names[0], there)
            raise InputError(
                f"there is no column {names[0]!r}, only {', '.join(map(repr, there[:12])) or 'none'}.{near} "
                "Choose with --column."
            )
        return found


def from_arguments(texts: Iterable[str], parts: Parts) -> Iterator[Record]:
    """The texts of the command line; where all parts are given once for all, one input of those."""
    if not parts.wanted:
        fixed = dict(parts.fixed)
        yield Record(0, "", fixed, fixed)
        return
    for index, text in enumerate(texts):
        yield Record(index, "", *parts.from_text(text))


def format_of(path: str, chosen: str | None) -> str:
    """The format of a file: the one that was chosen, else by the end of its name; text for '-'."""
    if chosen is not None:
        return chosen
    suffix = Path(path).suffix.lower()
    if path == "-" or suffix in _SUFFIXES:
        return _SUFFIXES.get(suffix, "txt")
    raise InvalidArgument(f"--input {path}: how is it to be read? Give --format, one of {', '.join(FORMATS)}.")


def open_input(path: str) -> BinaryIO:
    """The file, or for '-' standard input, as bytes.   Raises InputError."""
    if path == "-":
        return getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode())
    try:
        return Path(path).open("rb")
    except IsADirectoryError:
        raise InputError(f"--input {path} is a folder; give a file.") from None
    except FileNotFoundError:
        raise InputError(f"--input {path}: there is no such file (looked for from {Path.cwd()}).") from None


def count_lines(path: str) -> int | None:
    """The lines of a file, for a progress bar; None where counting would take them away, as from a pipe."""
    if not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def from_lines(lines: Iterable[bytes], format: str, parts: Parts, name: str) -> Iterator[Record]:
    """The inputs in a file's lines. A line that cannot be read is a Record with its error."""
    readers: dict[str, Callable[[Iterable[bytes]], Iterator[_Read]]] = {
        "txt": _texts,
        "jsonl": _objects,
        "csv": lambda lines: _rows(lines, ",;\t"),
        "tsv": lambda lines: _rows(lines, "\t"),
    }
    for read in readers[format](lines):
        where = f"{'standard input' if name == '-' else name}, line {read.line}"
        try:
            if read.error is not None:
                raise read.error
            is_row = isinstance(read.value, Mapping)
            value, shown = parts.from_row(read.value) if is_row else parts.from_text(read.value)
        except (InputError, InvalidArgument) as error:
            yield Record(read.index, where, error=InputError(f"{where}: {error}"))
        else:
            yield Record(read.index, where, value, shown)


@dataclass(frozen=True)
class _Read:
    """A record as it is in the file: its number, its line (from 1), its value or its error."""

    index: int
    line: int
    value: Any = None
    error: InputError | None = None


def _texts(lines: Iterable[bytes]) -> Iterator[_Read]:
    for index, raw in enumerate(lines):
        try:
            text = _decoded(raw, index).rstrip("\r\n")
        except InputError as error:  # noqa: PERF203 (each line has an error of its own)
            yield _Read(index, index + 1, error=error)
        else:
            if text.strip():
                yield _Read(index, index + 1, text)


def _objects(lines: Iterable[bytes]) -> Iterator[_Read]:
    index = -1
    for number, raw in enumerate(lines):
        if not raw.strip():
            continue
        index += 1
        try:
            yield _Read(index, number + 1, _object(_decoded(raw, number)))
        except InputError as error:
            yield _Read(index, number + 1, error=error)


def _object(line: str) -> Any:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"this is not JSON ({error.msg} at column {error.colno}).") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
        raise InputError(f"this cannot be read as JSON ({error}).") from None
    if not isinstance(value, (dict, str, list)):
        raise InputError(f"expected an object or a string, not {line.strip()[:40]}.")
    return value


def _rows(lines: Iterable[bytes], delimiters: str) -> Iterator[_Read]:
    """The rows under the header, which shows by which of the delimiters they are separated."""
    limit = csv.field_size_limit(MOST_CHARACTERS)
    try:
        # bytes that are no UTF-8 come as surrogates, so that only the row that has them fails
        text = (raw.decode("utf-8" if number else "utf-8-sig", "surrogateescape") for number, raw in enumerate(lines))
        first = next(text, "")
        delimiter = max(delimiters, key=first.count)
        reader = csv.reader(itertools.chain([first], text), delimiter=delimiter, strict=True)
        header: list[str] | None = None
        index = -1
        while True:
            begin = reader.line_num + 1
            row, error = _next_row(reader)
            if row is None and error is None:
                return
            if error is None and not row:
                continue  # an empty line
            if header is None and error is not None:
                yield _Read(0, begin, error=InputError(f"the header cannot be read: {error}"))
                return
            if header is None:
                header = row or []
                continue
            index += 1
            yield _Read(index, begin, dict(zip(header, row or (), strict=False)), error or _misfit(row or [], header))
    finally:
        csv.field_size_limit(limit)


def _next_row(reader: Iterator[list[str]]) -> tuple[list[str] | None, InputError | None]:
    """The row, or what is wrong with it; neither at the end."""
    try:
        row = next(reader)
        "".join(row).encode()
    except StopIteration:
        return None, None
    except UnicodeEncodeError as error:
        return row, _not_utf8(ord(error.object[error.start]) & 0xFF)
    except csv.Error as error:
        what = "a quotation mark is opened here and never closed" if "end of data" in str(error) else str(error)
        return None, InputError(f"{what}.")
    return row, None


def _misfit(row: list[str], header: list[str]) -> InputError | None:
    """What is wrong with a row that is shorter or longer than the header. Empty columns at its end do no harm."""
    if len(row) == len(header) or (len(row) > len(header) and not any(row[len(header) :])):
        return None
    return InputError(
        f"the row has {len(row)} columns, the header {len(header)}. Texts with a separator in them must be quoted."
    )


def _decoded(raw: bytes, number: int) -> str:
    try:
        return raw.decode("utf-8" if number else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(raw[error.start]) from None


def _not_utf8(byte: int) -> InputError:
    return InputError(
        f"the byte 0x{byte:02x} is not UTF-8. Convert the file; one from Korean Windows: iconv -f cp949 -t utf-8."
    )
