"""Parquet, Arrow and Feather files through pyarrow, batch by batch; numbers and text never become Python values."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, MissingDependency
from .building import build
from .columns import BINARY, BOOL, FLOAT, INT, STRING, Column, ListColumn, NullColumn, NumberColumn, TextColumn
from .features import ClassLabel, Feature, Sequence, Value

__all__ = ["arrow_batches", "arrow_features", "column_of", "count_rows", "need_pyarrow"]

_ROWS = 4096
_MAGIC = {b"PAR1": "parquet", b"ARRO": "file"}


def need_pyarrow() -> Any:
    """The module.   Raises MissingDependency."""
    try:
        import pyarrow
    except ImportError:
        raise MissingDependency('this needs pyarrow: pip install "panpipe[data]"') from None
    return pyarrow


def arrow_batches(path: Path, name: str, columns: list[str] | None = None, skip: int = 0) -> Iterator[Any]:
    """The record batches of a file, after its first `skip` rows.   Raises DataError."""
    pyarrow = need_pyarrow()
    try:
        for batch in _batches(path, columns, skip):
            while batch.num_rows:  # a batch of an Arrow file may be the whole file
                yield batch.slice(0, _ROWS)
                batch = batch.slice(_ROWS)
    except (pyarrow.ArrowException, OSError, KeyError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DataError(f"{name} cannot be read: {' '.join(str(error).split())[:300]}") from None


def _batches(path: Path, columns: list[str] | None, skip: int) -> Iterator[Any]:
    pyarrow = need_pyarrow()
    kind = _kind(path)
    if kind == "parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(path, memory_map=True) as file:
            _check(columns, file.schema_arrow.names)
            groups = range(file.metadata.num_row_groups)
            first = 0
            while first < len(groups) and skip >= file.metadata.row_group(first).num_rows:
                skip -= file.metadata.row_group(first).num_rows
                first += 1
            batches = file.iter_batches(_ROWS, row_groups=list(groups[first:]), columns=columns)
            yield from _after(batches, skip)
        return
    with pyarrow.memory_map(str(path)) as source:
        if kind == "file":
            reader = pyarrow.ipc.open_file(source)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            reader = pyarrow.ipc.open_stream(source)
            batches = iter(reader)
        _check(columns, reader.schema.names)
        yield from _after((batch if columns is None else batch.select(columns) for batch in batches), skip)


def count_rows(path: Path) -> int:
    """How many rows a file has."""
    if _kind(path) == "parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            return int(file.metadata.num_rows)
    return sum(batch.num_rows for batch in _batches(path, None, 0))


def _check(columns: list[str] | None, there: list[str]) -> None:
    for column in columns or ():
        if column not in there:
            raise KeyError(f"there is no column {column!r}; columns: {', '.join(there[:20])}")


def _after(batches: Iterator[Any], skip: int) -> Iterator[Any]:
    for batch in batches:
        if skip < batch.num_rows:
            yield batch.slice(skip)
        skip = max(0, skip - batch.num_rows)


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        return _MAGIC.get(file.read(4), "stream")


def column_of(array: Any, name: str) -> Column:
    """A column of ours from an Arrow array; numbers, text and lists of these are taken as they lie in memory."""
    pyarrow = need_pyarrow()
    types = pyarrow.types
    if isinstance(array, pyarrow.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if isinstance(array, pyarrow.ExtensionArray):
        return column_of(array.storage, name)
    if types.is_dictionary(kind):
        return column_of(array.dictionary_decode(), name)
    if types.is_null(kind):
        return NullColumn(len(array))
    if types.is_boolean(kind) or (types.is_integer(kind) and kind != pyarrow.uint64()) or types.is_floating(kind):
        return _numbers(array)
    if types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        return _texts(array)
    if types.is_list(kind) or types.is_large_list(kind):
        valid, offsets = _valid(array), _offsets(array)
        items = array.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
        return ListColumn(offsets - offsets[0], column_of(items, name), valid)
    try:
        return build(array.to_pylist())
    except DataError as error:
        raise DataError(f"the column {name!r}: {error} Leave it out with columns=[…].") from None


def _numbers(array: Any) -> Column:
    types = need_pyarrow().types
    kind = BOOL if types.is_boolean(array.type) else INT if types.is_integer(array.type) else FLOAT
    valid = _valid(array)
    filled = array if valid is None else array.fill_null(False if kind == BOOL else 0)
    return NumberColumn(kind, filled.to_numpy(zero_copy_only=False), valid)


def _texts(array: Any) -> Column:
    types = need_pyarrow().types
    is_text = types.is_string(array.type) or types.is_large_string(array.type)
    offsets = _offsets(array)
    data = array.buffers()[2]
    data = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    return TextColumn(STRING if is_text else BINARY, data, offsets, _valid(array))


def _offsets(array: Any) -> NDArray[Any]:
    types = need_pyarrow().types
    is_large = any(test(array.type) for test in (types.is_large_string, types.is_large_binary, types.is_large_list))
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros(len(array) + 1, np.int64)
    offsets = np.frombuffer(buffer, np.int64 if is_large else np.int32)
    return offsets[array.offset : array.offset + len(array) + 1].astype(np.int64)


def _valid(array: Any) -> NDArray[Any] | None:
    return None if not array.null_count else array.is_valid().to_numpy(zero_copy_only=False)


def arrow_features(schema: Any) -> dict[str, Feature]:
    """The columns' features, with the names of classes that Hugging Face's library writes into its files."""
    told: Any = {}
    with contextlib.suppress(KeyError, ValueError, TypeError):
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    found: dict[str, Feature] = {}
    for field in schema:
        labels = _told(told.get(field.name)) if isinstance(told, dict) else None
        found[field.name] = labels or _feature(field.type)
    return found


def _told(value: Any) -> Feature | None:
    """A feature with the names of classes, as Hugging Face's library describes it."""
    if isinstance(value, list) and len(value) == 1:
        inner = _told(value[0])
        return None if inner is None else Sequence(inner)
    if not isinstance(value, dict):
        return None
    if value.get("_type") in ("Sequence", "List", "LargeList"):
        inner = _told(value.get("feature"))
        return None if inner is None else Sequence(inner)
    names = value.get("names")
    return ClassLabel(names=names) if value.get("_type") == "ClassLabel" and isinstance(names, list) else None


def _feature(kind: Any) -> Feature:
    types = need_pyarrow().types
    if types.is_list(kind) or types.is_large_list(kind):
        return Sequence(_feature(kind.value_type))
    if types.is_dictionary(kind):
        return _feature(kind.value_type)
    names = {"double": "float64", "float": "float32", "halffloat": "float16", "large_string": "string"}
    name = str(kind)
    return Value(names.get(name, name) if types.is_primitive(kind) or name in names else _other(name))


def _other(name: str) -> str:
    return {"string": "string", "binary": "binary", "large_binary": "binary", "bool": "bool", "null": "null"}.get(
        name, "json"
    )
