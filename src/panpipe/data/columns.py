"""Columns in Arrow's layout over NumPy arrays: values; offsets and bytes; offsets and another column.

The arrays may be maps of files. A row is read without touching the others; None is a mark in `valid`, which a column
without any None does not have. What has no type of its own here (dictionaries, mixed lists) is kept as JSON text.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

__all__ = [
    "BINARY",
    "BOOL",
    "FLOAT",
    "INT",
    "JSON",
    "NULL",
    "STRING",
    "ChainedColumn",
    "ChosenColumn",
    "Column",
    "Kind",
    "ListColumn",
    "NullColumn",
    "NumberColumn",
    "TextColumn",
    "join",
    "list_of",
]

BLOCK = 1024
"""Rows that are converted at a time."""


@dataclass(frozen=True)
class Kind:
    """What a column holds: 'null', 'bool', 'int', 'float', 'string', 'binary', 'json', or 'list' `of` another kind."""

    name: str
    of: Kind | None = None

    def __str__(self) -> str:
        return self.name if self.of is None else f"list of {self.of}"

    def to_json(self) -> Any:
        """A name, or a list of the kind within."""
        return self.name if self.of is None else [self.of.to_json()]

    @staticmethod
    def from_json(value: Any) -> Kind:
        """The kind that to_json wrote.   Raises ValueError."""
        if isinstance(value, list) and len(value) == 1:
            return list_of(Kind.from_json(value[0]))
        if isinstance(value, str) and value in _NAMES:
            return Kind(value)
        raise ValueError(f"{value!r:.60} is no kind of column")


NULL, BOOL, INT, FLOAT, STRING, BINARY, JSON = map(Kind, ("null", "bool", "int", "float", "string", "binary", "json"))
_NAMES = ("null", "bool", "int", "float", "string", "binary", "json")
_SCALARS = (BOOL, INT, FLOAT, STRING)


def list_of(kind: Kind) -> Kind:
    """The kind of lists of that kind."""
    return Kind("list", kind)


def join(first: Kind, second: Kind) -> Kind:
    """The narrowest kind that holds the values of both: int → float → string → json."""
    if first == second or second == NULL:
        return first
    if first == NULL:
        return second
    if first.of is not None and second.of is not None:
        return list_of(join(first.of, second.of))
    if {first, second} == {INT, FLOAT}:
        return FLOAT
    return STRING if first in _SCALARS and second in _SCALARS else JSON


class Column(ABC):
    """One value per row."""

    kind: Kind

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def row(self, index: int) -> Any:
        """The value of a row, 0 ≤ index < length, as plain Python."""

    @abstractmethod
    def slice(self, begin: int, end: int) -> Column:
        """Some rows, 0 ≤ begin ≤ end ≤ length, without copying."""

    def rows(self, begin: int = 0, end: int | None = None) -> list[Any]:
        """The values of rows begin … end - 1."""
        return [self.row(index) for index in range(begin, len(self) if end is None else end)]

    def chosen(self, indices: Sequence[int] | NDArray[Any]) -> list[Any]:
        """The values of these rows."""
        return [self.row(index) for index in indices]

    def array(self, index: int) -> Any:
        """The value of a row, a list of numbers as an array."""
        return self.row(index)

    def blocks(self) -> Iterator[Column]:
        """The column in parts that can be held in memory."""
        for begin in range(0, len(self), BLOCK):
            yield self.slice(begin, min(begin + BLOCK, len(self)))


class NullColumn(Column):
    """Only None."""

    kind = NULL

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def row(self, index: int) -> Any:
        """None."""
        return None

    def slice(self, begin: int, end: int) -> Column:
        """Fewer."""
        return NullColumn(end - begin)


class NumberColumn(Column):
    """values: [rows] of booleans, whole or floating-point numbers.   valid: booleans [rows], or None: all are."""

    def __init__(self, kind: Kind, values: NDArray[Any], valid: NDArray[Any] | None = None) -> None:
        self.kind = kind
        self.values = values
        self.valid = valid

    def __len__(self) -> int:
        return len(self.values)

    def row(self, index: int) -> Any:
        """A bool, int, float or None."""
        if self.valid is not None and not self.valid[index]:
            return None
        return self.values.item(index)

    def rows(self, begin: int = 0, end: int | None = None) -> list[Any]:
        """As in Column."""
        values: list[Any] = self.values[begin:end].tolist()
        if self.valid is None:
            return values
        return [value if is_valid else None for value, is_valid in zip(values, self.valid[begin:end], strict=True)]

    def slice(self, begin: int, end: int) -> Column:
        """As in Column."""
        return NumberColumn(self.kind, self.values[begin:end], None if self.valid is None else self.valid[begin:end])


class TextColumn(Column):
    """UTF-8 text, bytes, or JSON text.

    data: bytes, end to end.   offsets: int64 [rows + 1].   valid: as in NumberColumn.
    """

    def __init__(
        self, kind: Kind, data: NDArray[Any], offsets: NDArray[Any], valid: NDArray[Any] | None = None
    ) -> None:
        self.kind = kind
        self.data = data
        self.offsets = offsets
        self.valid = valid
        self._bytes = data.data  # both are read faster so
        self._places = offsets.data

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> Any:
        """A str, bytes, what the JSON says, or None."""
        if self.valid is not None and not self.valid[index]:
            return None
        value = self._bytes[self._places[index] : self._places[index + 1]]
        if self.kind == BINARY:
            return bytes(value)
        text = str(value, "utf-8", "surrogatepass")
        return text if self.kind == STRING else json.loads(text)

    def slice(self, begin: int, end: int) -> Column:
        """As in Column."""
        valid = None if self.valid is None else self.valid[begin:end]
        return TextColumn(self.kind, self.data, self.offsets[begin : end + 1], valid)

    def __reduce__(self) -> Any:  # a memoryview cannot be pickled
        return TextColumn, (self.kind, self.data, self.offsets, self.valid)


class ListColumn(Column):
    """offsets: int64 [rows + 1], places in the column `items`.   valid: as in NumberColumn."""

    def __init__(self, offsets: NDArray[Any], items: Column, valid: NDArray[Any] | None = None) -> None:
        self.kind = list_of(items.kind)
        self.offsets = offsets
        self.items = items
        self.valid = valid
        self._places = offsets.data
        # most lists are ids of tokens: these are read without a detour
        self._numbers = items.values if isinstance(items, NumberColumn) and items.valid is None else None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, index: int) -> Any:
        """A list, or None."""
        if self.valid is not None and not self.valid[index]:
            return None
        if self._numbers is not None:
            return self._numbers[self._places[index] : self._places[index + 1]].tolist()
        return self.items.rows(self._places[index], self._places[index + 1])

    def array(self, index: int) -> Any:
        """A list; of numbers, an array."""
        if self._numbers is not None and (self.valid is None or self.valid[index]):
            return self._numbers[self._places[index] : self._places[index + 1]]
        return self.row(index)

    def slice(self, begin: int, end: int) -> Column:
        """As in Column."""
        valid = None if self.valid is None else self.valid[begin:end]
        return ListColumn(self.offsets[begin : end + 1], self.items, valid)

    def __reduce__(self) -> Any:
        return ListColumn, (self.offsets, self.items, self.valid)


class ChosenColumn(Column):
    """Rows of another column, in an order of their own.   indices: int64 [rows]."""

    def __init__(self, column: Column, indices: NDArray[Any]) -> None:
        self.kind = column.kind
        self.column = column
        self.indices = indices
        self._indices = indices.data

    def __len__(self) -> int:
        return len(self.indices)

    def row(self, index: int) -> Any:
        """As in the other column."""
        return self.column.row(self._indices[index])

    def array(self, index: int) -> Any:
        """As in the other column."""
        return self.column.array(self._indices[index])

    def slice(self, begin: int, end: int) -> Column:
        """As in Column."""
        return ChosenColumn(self.column, self.indices[begin:end])

    def __reduce__(self) -> Any:
        return ChosenColumn, (self.column, self.indices)


class ChainedColumn(Column):
    """Columns of one kind (or of None) end to end."""

    def __init__(self, parts: Iterable[Column]) -> None:
        self.parts = [part for part in parts if len(part)]
        self.kind = next((part.kind for part in self.parts if part.kind != NULL), NULL)
        self._begins = [0]
        for part in self.parts:
            self._begins.append(self._begins[-1] + len(part))

    def __len__(self) -> int:
        return self._begins[-1]

    def row(self, index: int) -> Any:
        """As in the part that has the row."""
        part = bisect_right(self._begins, index) - 1
        return self.parts[part].row(index - self._begins[part])

    def array(self, index: int) -> Any:
        """As in the part that has the row."""
        part = bisect_right(self._begins, index) - 1
        return self.parts[part].array(index - self._begins[part])

    def slice(self, begin: int, end: int) -> Column:
        """As in Column."""
        spans = (
            (part, max(begin - first, 0), min(end - first, len(part)))
            for part, first in zip(self.parts, self._begins, strict=False)
        )
        found = [part.slice(low, high) for part, low, high in spans if low < high]
        return found[0] if len(found) == 1 else ChainedColumn(found)
