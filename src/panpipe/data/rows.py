"""Numbers of rows, and values on their way into columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, InvalidArgument, NoSuchRow
from ..pipelines.inputs import shown
from .building import build, widened
from .columns import BLOCK, Column, ListColumn, NumberColumn, TextColumn

__all__ = ["columns_of_rows", "hashable", "in_blocks", "listed", "owned", "positive", "read", "row_number", "rows_of"]


def row_number(index: int, length: int) -> int:
    """0 … length - 1; negative ones count from the end.   Raises NoSuchRow."""
    if not -length <= index < length:
        raise NoSuchRow(f"there is no row {index}; the data set has {length}.")
    return index + length if index < 0 else index


def rows_of(index: Any, length: int) -> range | NDArray[Any]:
    """The rows that a slice, range or list of numbers (or of booleans, one per row) names.   Raises NoSuchRow."""
    if isinstance(index, slice):
        found = range(*index.indices(length))
        return found if found.step == 1 else np.asarray(found, np.int64)
    numbers = np.asarray(index if hasattr(index, "__len__") else list(index))
    if numbers.dtype == np.bool_ and numbers.shape == (length,):
        return np.flatnonzero(numbers)
    if numbers.ndim != 1 or (len(numbers) and numbers.dtype.kind not in "iu"):
        raise InvalidArgument(f"rows are chosen by a number, a slice or a list of numbers, not {shown(index)}.")
    numbers = numbers.astype(np.int64)
    for wrong in numbers[(numbers < -length) | (numbers >= length)][:1]:
        row_number(int(wrong), length)
    return np.where(numbers < 0, numbers + length, numbers)


def read(column: Column, indices: range | NDArray[Any]) -> list[Any]:
    """The values of these rows."""
    if isinstance(indices, range):
        return column.slice(indices.start, max(indices.start, indices.stop)).rows()
    return column.chosen(indices.tolist())


def owned(column: Column) -> Column:
    """The column with arrays of its own, as those that are written must be; of one that is a choice, a copy."""
    if isinstance(column, (NumberColumn, TextColumn)):
        return column
    if isinstance(column, ListColumn) and owned(column.items) is column.items:
        return column
    return widened(build(column.rows()), column.kind)


def listed(values: Any) -> list[Any]:
    """The values as a list."""
    if isinstance(values, list):
        return values
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise DataError(f"a column is a list of values, not {shown(values)}.")
    return values.tolist() if hasattr(values, "tolist") else list(values)


def in_blocks(values: Iterable[Any], size: int = BLOCK) -> Iterator[list[Any]]:
    """Lists of `size` values; the last may be shorter."""
    iterator = iter(values)
    while block := list(islice(iterator, size)):
        yield block


def columns_of_rows(rows: Sequence[Any], first: int) -> dict[str, Column]:
    """The columns of dictionaries. What a row lacks is None.   first: the number of the first row, for an error."""
    for number, row in enumerate(rows, first):
        if not isinstance(row, Mapping):
            raise DataError(f"row {number} is {shown(row)}; expected a dictionary of columns.")
    names = dict.fromkeys(name for row in rows for name in row)
    return {str(name): built(str(name), [row.get(name) for row in rows]) for name in names}


def built(name: str, values: Sequence[Any]) -> Column:
    """`build`, whose error names the column."""
    try:
        return build(values)
    except DataError as error:
        raise DataError(f"the column {name!r}: {error}") from None


def hashable(value: Any) -> Any:
    """Something that can be a key, equal where the values are."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (list, dict)) else value


def positive(name: str, value: int) -> int:
    """A size.   Raises InvalidArgument for less than 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidArgument(f"{name}={value!r} must be a whole number of at least 1.")
    return int(value)
