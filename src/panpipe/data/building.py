"""Columns from Python's values: the narrowest kind that holds them all, and wider ones where more come."""

from __future__ import annotations

import datetime
import decimal
import json
import os
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..pipelines.inputs import shown
from .columns import (
    BINARY,
    BOOL,
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    Column,
    Kind,
    ListColumn,
    NullColumn,
    NumberColumn,
    TextColumn,
)

__all__ = ["build", "plain", "texts", "widened"]

_NONE = type(None)
_PLAIN: set[type] = {_NONE, bool, int, float, str, bytes, list, dict}
_SCALARS: set[type] = {bool, int, float, str}
_STORED: dict[Kind, Any] = {BOOL: np.bool_, INT: np.int64, FLOAT: np.float64}


def build(values: Sequence[Any]) -> Column:
    """The column of these values.   Raises DataError for a value that no column can hold."""
    types = set(map(type, values))
    if not types <= _PLAIN:
        values = [plain(value) for value in values]
        types = set(map(type, values))
    has_none = _NONE in types
    types -= {_NONE}
    if not types:
        return NullColumn(len(values))
    valid = np.fromiter((value is not None for value in values), np.bool_, len(values)) if has_none else None
    if types == {bool}:
        return _numbers(BOOL, values, valid)
    if types == {int} and (whole := _whole_numbers(values, valid)) is not None:
        return whole
    if float in types and types <= {int, float}:
        return _numbers(FLOAT, values, valid)
    if types == {str} or types == {bytes}:
        return texts(STRING if types == {str} else BINARY, values, valid)
    if types == {list}:
        return _lists(values, valid)
    if len(types) > 1 and types <= _SCALARS:
        return texts(STRING, [None if value is None else _as_text(value) for value in values], valid)
    return _json(values, valid)


def widened(column: Column, kind: Kind) -> Column:
    """The column as one of a wider kind, which `join` gave."""
    if column.kind == kind:
        return column
    if column.kind == NULL:
        return _nothing(kind, len(column))
    if kind.of is not None and isinstance(column, ListColumn):
        return ListColumn(column.offsets, widened(column.items, kind.of), column.valid)
    values = column.rows()
    valid = getattr(column, "valid", None)
    if kind == FLOAT:
        return _numbers(FLOAT, values, valid)
    if kind == STRING:
        return texts(STRING, [None if value is None else _as_text(value) for value in values], valid)
    return _json(values, valid)


def texts(kind: Kind, values: Sequence[Any], valid: NDArray[Any] | None) -> Column:
    """A column of strings, JSON texts or bytes; None where it is not valid."""
    if kind == BINARY:
        encoded = [b"" if value is None else value for value in values]
    else:
        encoded = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    return TextColumn(kind, data, _offsets(list(map(len, encoded))), valid)


def plain(value: Any) -> Any:
    """A value in plain Python: arrays and tensors as lists, dates as text, mappings as dictionaries.

    Raises DataError for what is none of these.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (str, bytes, int, float)):  # np.float64, an IntEnum …
        base: Any = next(base for base in (str, bytes, int, float) if isinstance(value, base))
        return base(value)
    if isinstance(value, (tuple, set, frozenset, range)):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if hasattr(value, "tolist"):  # NumPy, PyTorch, our own columns
        listed = value.tolist()
        return listed.isoformat() if hasattr(listed, "isoformat") else listed
    if isinstance(value, (os.PathLike, decimal.Decimal)):
        return str(value)
    if isinstance(value, Sequence):
        return list(value)
    raise DataError(f"{shown(value)} cannot be kept in a column: give numbers, text, lists or dictionaries of these.")


def _whole_numbers(values: Sequence[Any], valid: NDArray[Any] | None) -> Column | None:
    """None where a number needs more than 64 bits."""
    try:
        return _numbers(INT, values, valid)
    except OverflowError:
        return None


def _numbers(kind: Kind, values: Sequence[Any], valid: NDArray[Any] | None) -> Column:
    filled = values if valid is None else [0 if value is None else value for value in values]
    return NumberColumn(kind, np.fromiter(filled, _STORED[kind], len(filled)), valid)


def _lists(values: Sequence[Any], valid: NDArray[Any] | None) -> Column:
    filled = values if valid is None else [() if value is None else value for value in values]
    return ListColumn(_offsets(list(map(len, filled))), build(list(chain.from_iterable(filled))), valid)


def _json(values: Sequence[Any], valid: NDArray[Any] | None) -> Column:
    return texts(JSON, [None if value is None else _as_json(value) for value in values], valid)


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain_inside)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{shown(value)} cannot be kept in a column, as JSON: {error}.") from None


def _plain_inside(value: Any) -> Any:
    if isinstance(value, bytes):
        raise TypeError("bytes have no form in it")
    return plain(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _nothing(kind: Kind, length: int) -> Column:
    valid = np.zeros(length, np.bool_)
    if kind in _STORED:
        return NumberColumn(kind, np.zeros(length, _STORED[kind]), valid)
    offsets = np.zeros(length + 1, np.int64)
    if kind.of is not None:
        return ListColumn(offsets, _empty(kind.of), valid)
    return TextColumn(kind, np.zeros(0, np.uint8), offsets, valid) if kind != NULL else NullColumn(length)


def _empty(kind: Kind) -> Column:
    column = _nothing(kind, 0)
    if not isinstance(column, NullColumn):
        column.valid = None  # type: ignore[attr-defined]  # nothing is missing where nothing is
    return column


def _offsets(lengths: list[int]) -> NDArray[Any]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
