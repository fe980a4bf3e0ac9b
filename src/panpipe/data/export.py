"""Data sets as files and as tables of other libraries."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MissingDependency
from ..weights.whole_file import whole_file
from .arrow import need_pyarrow
from .columns import JSON, Column
from .features import ClassLabel, Feature, Sequence

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["to_csv", "to_hf", "to_json", "to_parquet", "to_polars"]

_ROWS = 10_000


def to_json(dataset: Dataset, path_or_buf: Any, lines: bool = True, indent: int | None = None, **_: Any) -> int:
    """`Dataset.to_json`."""
    with _counted(path_or_buf) as write:
        if not lines:
            write(json.dumps(dataset.to_list(), ensure_ascii=False, indent=indent) + "\n")
        for row in dataset.with_format(None) if lines else ():
            write(json.dumps(row, ensure_ascii=False) + "\n")
    return write.size


def to_csv(
    dataset: Dataset, path_or_buf: Any, sep: str = ",", index: bool = False, header: bool = True, **_: Any
) -> int:
    """`Dataset.to_csv`."""
    with _counted(path_or_buf) as write:
        table = csv.writer(write, delimiter=sep, lineterminator="\n")
        if header:
            table.writerow([*([""] if index else []), *dataset.column_names])
        for number, row in enumerate(dataset.with_format(None)):
            table.writerow([*([number] if index else []), *map(_cell, row.values())])
    return write.size


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value


class _Write:
    """Writes text as UTF-8, and counts its bytes."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_text = isinstance(file, io.TextIOBase)
        self.size = 0

    def __call__(self, text: str) -> int:
        data = text.encode("utf-8", "surrogatepass")
        self.size += len(data)
        self._file.write(text if self._is_text else data)
        return len(text)

    write = __call__  # csv.writer asks for it


@contextmanager
def _counted(place: Any) -> Iterator[_Write]:
    """A file that was opened already, or one at that path, which appears when it is whole."""
    if hasattr(place, "write"):
        yield _Write(place)
        return
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    with whole_file(Path(place)) as temporary, temporary.open("wb") as file:
        yield _Write(file)


def to_parquet(dataset: Dataset, path_or_buf: Any) -> int:
    """`Dataset.to_parquet`."""
    need_pyarrow()
    from pyarrow import parquet

    schema = None
    with whole_file(Path(path_or_buf)) as temporary:
        writer: Any = None
        for begin in range(0, max(len(dataset), 1), _ROWS):
            table = _arrow(dataset, begin, min(begin + _ROWS, len(dataset)), schema)
            schema = table.schema
            writer = writer or parquet.ParquetWriter(temporary, schema)
            writer.write_table(table)
        writer.close()
        return temporary.stat().st_size


def _arrow(dataset: Dataset, begin: int, end: int, schema: Any = None) -> Any:
    """The rows as an Arrow table, with the features in Hugging Face's form."""
    pyarrow = need_pyarrow()
    if schema is None:
        types = [(name, _type(column, dataset.features[name])) for name, column in dataset._columns.items()]
        features = {name: _told(feature) for name, feature in dataset.features.items()}
        told = {name: feature for name, feature in features.items() if feature is not None}
        metadata = (
            {b"huggingface": json.dumps({"info": {"features": told}}).encode()} if len(told) == len(types) else None
        )
        schema = pyarrow.schema(types, metadata=metadata)
    arrays = [
        pyarrow.array(column.slice(begin, end).rows(), type=field.type)
        for column, field in zip(dataset._columns.values(), schema, strict=True)
    ]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _type(column: Column | _Kinded, feature: Feature) -> Any:
    """The Arrow type; of dictionaries the one that pyarrow sees in all of them."""
    pyarrow = need_pyarrow()
    kind = column.kind
    if isinstance(column, Column) and JSON in (kind, kind.of):
        return pyarrow.array(column.rows()).type
    if kind.of is not None:
        return pyarrow.list_(_type(_Kinded(kind.of), feature.feature if isinstance(feature, Sequence) else feature))
    names = {"int": "int64", "float": "float64", "bool": "bool", "null": "null", "binary": "binary", "string": "string"}
    asked = getattr(feature, "dtype", "")
    numeric = asked if asked.startswith(("int", "uint", "float")) and feature.kind == kind else names[kind.name]
    return getattr(pyarrow, {"bool": "bool_"}.get(numeric, numeric))()


class _Kinded:
    """What has only a kind: the items of a list."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


def _told(feature: Feature) -> Any:
    if isinstance(feature, ClassLabel):
        return {"names": feature.names, "_type": "ClassLabel"}
    if isinstance(feature, Sequence):
        inner = _told(feature.feature)
        return None if inner is None else {"feature": inner, "_type": "List"}
    dtype = getattr(feature, "dtype", "json")
    return None if dtype == "json" else {"dtype": dtype, "_type": "Value"}


def to_polars(dataset: Dataset) -> Any:
    """`Dataset.to_polars`."""
    try:
        import polars
    except ImportError:
        raise MissingDependency("this needs polars: pip install polars") from None
    return polars.DataFrame(dataset.to_dict())


def to_hf(dataset: Dataset) -> Any:
    """`Dataset.to_hf`."""
    try:
        import datasets
    except ImportError:
        raise MissingDependency("this needs Hugging Face's library: pip install datasets") from None
    made = datasets.Dataset(_arrow(dataset, 0, len(dataset)))
    for name, feature in dataset.features.items():
        labels = _labels(feature, datasets)
        if labels is not None:
            made = made.cast_column(name, labels)
    return made


def _labels(feature: Feature, datasets: Any) -> Any:
    if isinstance(feature, ClassLabel):
        return datasets.ClassLabel(names=feature.names)
    inner = _labels(feature.feature, datasets) if isinstance(feature, Sequence) else None
    return None if inner is None else datasets.Sequence(inner)
