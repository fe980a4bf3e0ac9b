"""Rows of csv, JSON and text files, by blocks, each row with its line.

A reader is given one stream and yields blocks. What it cannot read is a DataError that names file and line.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..errors import DataError, InvalidArgument, UnknownArgument, did_you_mean
from .opening import Limits, decoded_lines

__all__ = ["Block", "CsvOptions", "JsonOptions", "Options", "TextOptions", "check_options", "options_of"]

MOST_CHARACTERS = 1 << 27  # of a field: a quotation mark that is never closed must not fill the memory
_CHUNK = 1 << 16  # characters of JSON that are read at a time
_NEAR_THE_END = 16  # an error in the last characters of what was read may be of what is not read yet
MOST_ROWS, MOST_HELD = 4096, 1 << 24  # rows, and their characters, that are in memory at a time
_END = "\0 the end of the file \0"


Row = tuple[int, Any, int]
"""The line where it begins, its value, and its size in characters."""


@dataclass(frozen=True)
class Block:
    """Some rows.   columns: lists of one length.   lines: where each row begins in its file."""

    columns: dict[str, Sequence[Any]]
    lines: Sequence[int]


@dataclass(frozen=True)
class Options(ABC):
    """How files of a format are read."""

    encoding: str = "utf-8"

    @abstractmethod
    def blocks(self, stream: io.BufferedReader, name: str) -> Iterator[Block]:
        """The rows."""


def options_of(kind: type[Options], given: dict[str, Any]) -> Options:
    """The options with what was given.   Raises UnknownArgument."""
    check_options(given, [option.name for option in fields(kind)])
    return kind(**given)


def check_options(given: Iterable[str], known: Sequence[str]) -> None:
    """Raises UnknownArgument."""
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            raise UnknownArgument(f"there is no option {name!r} for this format.{near} Options: {', '.join(known)}.")


def _blocks(rows: Iterable[Row]) -> Iterator[tuple[list[int], list[Any]]]:
    """(lines, values) of as many rows as are held in memory at a time."""
    lines: list[int] = []
    values: list[Any] = []
    characters = 0
    for line, value, size in rows:
        lines.append(line)
        values.append(value)
        characters += size
        if len(lines) == MOST_ROWS or characters > MOST_HELD:
            yield lines, values
            lines, values, characters = [], [], 0
    if lines:
        yield lines, values


# -- csv ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CsvOptions(Options):
    """Tables with a row per record.

    delimiter (or sep): None: a comma.   column_names (or names): instead of a header; header=None: there is none.
    quoting: as in the csv module.   na_values: further texts that mean "missing" in columns of numbers.
    on_bad_lines: 'error', or 'skip' rows of another length than the header's.
    """

    delimiter: str | None = None
    column_names: Sequence[str] | None = None
    header: Any = "infer"
    quotechar: str | None = '"'
    quoting: int = csv.QUOTE_MINIMAL
    escapechar: str | None = None
    skiprows: int = 0
    usecols: Sequence[str] | None = None
    na_values: Sequence[str] = ()
    on_bad_lines: str = "error"

    def blocks(self, stream: io.BufferedReader, name: str) -> Iterator[Block]:
        """The rows, all as text; '' where nothing is."""
        rows = self._rows(stream, name)
        header = self._header(rows, name)
        for lines, block in _blocks(self._checked(rows, header, name)):
            columns: dict[str, Sequence[Any]] = dict(zip(header, zip(*block, strict=True), strict=True))
            yield Block(columns if self.usecols is None else {key: columns[key] for key in self.usecols}, lines)

    def _rows(self, stream: io.BufferedReader, name: str) -> Iterator[tuple[int, list[str]]]:
        """(line where it begins, fields) of each row that is not empty."""
        csv.field_size_limit(max(csv.field_size_limit(), MOST_CHARACTERS))
        # an end that is known tells a quotation mark that was never closed
        lines = _then(decoded_lines(stream, name, self.encoding), _END, self.skiprows)
        begin = self.skiprows + 1
        try:
            reader = csv.reader(
                lines,
                delimiter=self.delimiter or ",",
                quotechar=self.quotechar,
                quoting=self.quoting,  # type: ignore[arg-type]
                escapechar=self.escapechar,
            )
        except TypeError as error:
            raise InvalidArgument(f"csv: {error}.") from None
        try:
            for row in reader:
                if row and row[-1].endswith(_END):
                    if row != [_END]:
                        raise DataError(
                            f"{name}, line {begin}: a quotation mark is opened in this row and never closed."
                        )
                    return
                if row:
                    yield begin, row
                begin = self.skiprows + reader.line_num + 1
        except csv.Error as error:
            raise DataError(f"{name}, line {begin}: {error}.") from None

    def _header(self, rows: Iterator[tuple[int, list[str]]], name: str) -> list[str]:
        if self.column_names is not None or self.header is None:
            if self.header not in ("infer", None):
                next(rows, None)
            if self.column_names is not None:
                return [str(column) for column in self.column_names]
            raise InvalidArgument("header=None needs column_names=[…].")
        _, header = next(rows, (0, None))
        if header is None:
            raise DataError(f"{name} is empty; expected a header with the names of the columns.")
        names = _distinct([cell.strip() or f"Unnamed: {place}" for place, cell in enumerate(header)])
        for column in self.usecols or ():
            if column not in names:
                raise DataError(
                    f"{name}: there is no column {column!r}.{did_you_mean(column, names)} Columns: {names}."
                )
        return names

    def _checked(self, rows: Iterator[tuple[int, list[str]]], header: list[str], name: str) -> Iterator[Row]:
        for line, row in rows:
            if len(row) == len(header):
                yield line, row, sum(map(len, row))
            elif self.on_bad_lines != "skip":
                what = "Is a text with a comma not quoted?" if len(row) > len(header) else "Is the row whole?"
                raise DataError(
                    f"{name}, line {line}: {len(row)} fields; the header has {len(header)} ({', '.join(header[:8])}). "
                    f"{what} on_bad_lines='skip' leaves such rows out."
                )


def _then(lines: Iterable[tuple[int, str]], end: str, skip: int) -> Iterator[str]:
    last = "\n"
    for number, line in lines:
        if number > skip:
            yield (last := line)
    if not last.endswith("\n"):
        yield "\n"
    yield end


def _distinct(names: list[str]) -> list[str]:
    """The second 'a' as 'a.1', as pandas does."""
    seen: dict[str, int] = {}
    made: list[str] = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        made.append(f"{name}.{count}" if count else name)
    return made


# -- JSON --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JsonOptions(Options):
    """Objects: one per line, in an array, or one after the other.

    field: the key under which the rows of one large object are.
    """

    field: str | None = None

    def blocks(self, stream: io.BufferedReader, name: str) -> Iterator[Block]:
        """The rows; what an object lacks is None."""
        if self.field is not None:
            yield from _json_blocks(self._in_field(stream, name), name)
            return
        start = stream.peek(4096)[:4096].decode(self.encoding, "ignore").lstrip("\ufeff \t\r\n")
        if start.startswith("["):
            yield from _json_blocks(_values(_chunks(stream, name, self.encoding), name, is_array=True), name)
            return
        lines = decoded_lines(stream, name, self.encoding)
        first = next(((number, line) for number, line in lines if line.strip()), None)
        if first is not None and first[1].strip() != "{" and _is_whole(first[1]):
            yield from _json_blocks(_objects(itertools.chain([first], lines), name), name)
        elif first is not None:
            rows = _values((line for _, line in itertools.chain([first], lines)), name, line=first[0])
            yield from _json_blocks(rows, name)

    def _in_field(self, stream: io.BufferedReader, name: str) -> Iterator[Row]:
        value: Any = next(_values(_chunks(stream, name, self.encoding), name), (1, None, 0))[1]
        keys = list(value) if isinstance(value, dict) else []
        if self.field not in keys:
            near = did_you_mean(str(self.field), keys)
            raise DataError(f"{name} has no field {self.field!r}.{near} Its keys: {', '.join(keys[:20]) or 'none'}.")
        return ((1, row, 0) for row in _rows_in(value[self.field]))


def _json_blocks(rows: Iterable[Row], name: str) -> Iterator[Block]:
    for lines, block in _blocks(rows):
        objects = [_object(row, name, line) for line, row in zip(lines, block, strict=True)]
        names = dict.fromkeys(key for row in objects for key in row)
        yield Block({key: [row.get(key) for row in objects] for key in names}, lines)


def _object(row: Any, name: str, line: int) -> dict[str, Any]:
    if isinstance(row, str):
        return {"text": row}
    if not isinstance(row, dict):
        raise DataError(f"{name}, line {line}: expected an object {{…}}, not {json.dumps(row)[:40]}.")
    return row


def _objects(lines: Iterable[tuple[int, str]], name: str) -> Iterator[Row]:
    """One a line."""
    for number, line in lines:
        try:
            if line.strip():
                yield number, json.loads(line), len(line)
        except json.JSONDecodeError as error:  # noqa: PERF203 (a line's error)
            raise DataError(f"{name}, line {number}: this is not JSON ({error.msg} at column {error.colno}).") from None
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
            raise DataError(f"{name}, line {number} cannot be read as JSON ({error}).") from None


def _values(chunks: Iterator[str], name: str, is_array: bool = False, line: int = 1) -> Iterator[Row]:
    """(line, value) of values however they are broken into lines, one in memory at a time; or the items of an array."""
    decode = json.JSONDecoder().raw_decode
    text, place = "", 0
    if is_array:
        text = next(chunks)
        place = text.index("[") + 1
    while True:
        while place < len(text) and text[place] in " \t\r\n,\ufeff":
            place += 1
        problem = "the array is not closed"
        if place < len(text):
            if is_array and text[place] == "]":
                return
            begin = line + text.count("\n", 0, place)
            try:
                value, end = decode(text, place)
            except json.JSONDecodeError as error:
                problem = f"this is not JSON ({error.msg})"
                if not error.msg.startswith("Unterminated") and error.pos < len(text) - _NEAR_THE_END:
                    raise DataError(f"{name}, line {line + text.count(chr(10), 0, error.pos)}: {problem}.") from None
            except (ValueError, RecursionError) as error:
                raise DataError(f"{name}, line {begin} cannot be read as JSON ({error}).") from None
            else:
                size = end - place
                line, text, place = begin + text.count("\n", place, end), text[end:], 0
                yield begin, value, size
                continue
        more = list(itertools.islice(chunks, 1 + len(text) // _CHUNK))
        if not more:
            if place >= len(text) and not is_array:
                return
            raise DataError(f"{name}, from line {line} on: {problem}. Is the file whole?")
        if len(text) > Limits.line_bytes:
            raise DataError(f"{name}, line {line}: a value of more than {Limits.line_bytes} characters, or no JSON.")
        line += text.count("\n", 0, place)
        text, place = text[place:] + "".join(more), 0


def _rows_in(value: Any) -> Iterable[Any]:
    """The rows of a list, or of lists of one length by name."""
    if isinstance(value, list):
        return value
    columns = list(value.values()) if isinstance(value, dict) else []
    if columns and all(isinstance(items, list) for items in columns) and len(set(map(len, columns))) == 1:
        return (dict(zip(value, items, strict=True)) for items in zip(*columns, strict=True))
    return [value]


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _chunks(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[str]:
    text = io.TextIOWrapper(stream, "utf-8-sig" if encoding == "utf-8" else encoding)
    try:
        yield from iter(lambda: text.read(_CHUNK), "")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: a byte 0x{error.object[error.start]:02x} is not {encoding}. Give encoding=…."
        ) from None
    finally:
        with contextlib.suppress(ValueError):  # the file is closed already
            text.detach()


# -- text --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TextOptions(Options):
    """One column, `text`.   sample_by: a row per 'line', 'paragraph' (empty lines are between) or 'document' (file)."""

    sample_by: str = "line"
    keep_linebreaks: bool = False

    def blocks(self, stream: io.BufferedReader, name: str) -> Iterator[Block]:
        """The rows."""
        lines = decoded_lines(stream, name, self.encoding)
        if self.sample_by == "document":
            rows: Iterable[tuple[int, str]] = [(1, "".join(line for _, line in lines))]
        elif self.sample_by == "paragraph":
            rows = self._paragraphs(lines)
        elif self.sample_by == "line":
            rows = ((number, line if self.keep_linebreaks else line.rstrip("\r\n")) for number, line in lines)
        else:
            raise InvalidArgument(f"sample_by={self.sample_by!r}: choose 'line', 'paragraph' or 'document'.")
        for numbers, block in _blocks((number, text, len(text)) for number, text in rows):
            yield Block({"text": block}, numbers)

    def _paragraphs(self, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        held: list[str] = []
        begin = 0
        for number, line in lines:
            if line.strip("\r\n"):
                begin = begin if held else number
                held.append(line)
            elif held:
                yield begin, "".join(held).rstrip("\r\n")
                held = []
        if held:
            yield begin, "".join(held).rstrip("\r\n")
