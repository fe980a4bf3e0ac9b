"""Answers as they are printed: a line of JSON for each input, or a table for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TextIO

from .records import Record
from .terminal import bold, elided, lines, padded, terminal_width, width, write_line, write_piece

__all__ = ["JsonLines", "Table", "Texts", "Writer", "columns_of", "to_json"]

_FIRST = 24  # inputs whose rows decide how wide the columns are
_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029]")
_LONG = ("sequence", "input")  # they share what the other columns leave of the line


class Writer(Protocol):
    """Where answers go, one after the other."""

    def write(self, record: Record, answer: Any) -> None:
        """An input and its answer, or its error."""

    def finish(self) -> None:
        """There are no more."""


class JsonLines:
    """{"index", "input", "output"} in UTF-8; in the place of "output", for an input that has none, "error"."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: Record, answer: Any) -> None:
        """One line, whole."""
        line: dict[str, Any] = {"index": record.index, "input": record.shown}
        if isinstance(answer, Exception):
            line["error"] = {"type": type(answer).__name__, "message": str(answer)}
        else:
            line["output"] = answer
        write_line(self._stream, to_json(line))

    def finish(self) -> None:
        """Nothing is held back."""


class Table:
    """Rows under a header; the columns are as wide as the first inputs need.

    with_input: the input in the last column, beside the first of its rows.   held: inputs to wait for.
    """

    def __init__(self, stream: TextIO, with_input: bool, held: int = _FIRST) -> None:
        self._stream = stream
        self._with_input = with_input
        self._rows: list[dict[str, Any]] = []
        self._columns: dict[str, int] = {}
        self._numbers: set[str] = set()
        self._held = held

    def write(self, record: Record, answer: Any) -> None:
        """The rows of one answer."""
        rows = [{"error": str(answer)}] if isinstance(answer, Exception) else _rows_of(answer)
        if self._with_input:
            rows = [dict(row) for row in rows or [{}]]
            rows[0]["input"] = _shown(record.shown)
        self._rows += rows
        self._held -= 1
        if self._held <= 0:
            self.finish()

    def finish(self) -> None:
        """Print what was held back."""
        if not self._columns and self._rows:
            self._begin()
        for row in self._rows:
            write_line(self._stream, self._line({key: _cell(value) for key, value in row.items()}))
        self._rows = []

    def _begin(self) -> None:
        cells = [{key: _cell(value) for key, value in row.items()} for row in self._rows]
        names = list(dict.fromkeys(key for row in cells for key in row))
        if "input" in names:
            names.append(names.pop(names.index("input")))
        self._columns = {n: max(width(n), *(width(row.get(n, "")) for row in cells)) for n in names}
        self._numbers = {n for n in names if all(isinstance(row.get(n, 0), (int, float)) for row in self._rows)}
        long = [name for name in names if name in _LONG]
        if long:
            room = terminal_width() - sum(w + 2 for n, w in self._columns.items() if n not in long)
            for name in long:
                self._columns[name] = min(self._columns[name], max(20, room // len(long) - 2))
        header = self._line({name: name for name in names})
        write_line(self._stream, bold(header, self._stream))

    def _line(self, row: Mapping[str, str]) -> str:
        cells = []
        for name, columns in self._columns.items():
            cell = row.get(name, "")
            cell = elided(cell, columns if name in _LONG else 10_000)
            cells.append(padded(cell, columns, name in self._numbers))
        return "  ".join([*cells, *(row[name] for name in row if name not in self._columns)]).rstrip()


class Texts:
    """Texts as they are, with an empty line between. Nothing in them can steer the terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_first = True

    def write(self, record: Record, answer: Any) -> None:
        """Each text of an answer, or why there is none."""
        for row in [{"error": str(answer)}] if isinstance(answer, Exception) else answer:
            self._separate()
            write_line(self._stream, lines(_text_of(row)))

    def write_pieces(self, begin: str, pieces: Iterable[str]) -> None:
        """One text, while it is being made."""
        self._separate()
        write_piece(self._stream, bold(lines(begin), self._stream))
        try:
            for piece in pieces:
                write_piece(self._stream, lines(piece))
        finally:
            write_line(self._stream, "")

    def finish(self) -> None:
        """Nothing is held back."""

    def _separate(self) -> None:
        if not self._is_first:
            write_line(self._stream, "")
        self._is_first = False


def _text_of(row: Mapping[str, Any]) -> str:
    """The text; of a conversation its last message; then what else there is, in brackets."""
    text, *others = row.items()
    value = text[1][-1]["content"] if isinstance(text[1], list) else str(text[1])
    return value + "".join(f"\n({name.removesuffix('_text')}: {other})" for name, other in others)


def columns_of(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """Print rows as a table."""
    table = Table(stream, with_input=False, held=len(rows) + 1)
    for index, row in enumerate(rows):
        table.write(Record(index, ""), [row])
    table.finish()


def to_json(value: Any) -> str:
    """JSON on one line, with the characters themselves; but what some readers take for the end of a line is escaped."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and what else can be a list."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON.")


def _rows_of(answer: Any) -> list[dict[str, Any]]:
    """An answer's rows: dictionaries as they are, labels and scores side by side, of numbers how many and the first."""
    if isinstance(answer, Mapping):
        lists = {key: value for key, value in answer.items() if isinstance(value, list)}
        if not lists:
            return [dict(answer)]
        names = [key.removesuffix("s") for key in lists]
        return [dict(zip(names, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    if not isinstance(answer, list) or (answer and isinstance(answer[0], (list, int, float)) and _is_numbers(answer)):
        return [_summary(answer)]
    if answer and isinstance(answer[0], list):  # one list for each mask
        if len(answer) == 1:
            return list(answer[0])
        return [{"mask": place, **row} for place, rows in enumerate(answer, 1) for row in rows]
    return list(answer)


def _is_numbers(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (int, float))


def _summary(vectors: Any) -> dict[str, Any]:
    """A vector's shape, length and beginning."""
    import numpy as np

    array = np.asarray(vectors, np.float32)
    begin = ", ".join(f"{number:.4f}" for number in array.ravel()[:6].tolist())
    return {"shape": " × ".join(map(str, array.shape)), "norm": float(np.linalg.norm(array)), "begins": f"{begin}, …"}


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return "" if value is None else elided(str(value), 10_000)


def _shown(read: Any) -> str:
    return " | ".join(map(str, read.values())) if isinstance(read, Mapping) else str(read)
