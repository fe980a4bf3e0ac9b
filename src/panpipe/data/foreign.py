"""Data sets of other libraries, taken as they are: anything with rows becomes something that training can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from ..errors import DataError, InvalidArgument
from ..pipelines.inputs import shown
from .arrow import arrow_features, column_of
from .columns import BOOL, FLOAT, INT, Column, NumberColumn
from .dataset import Dataset
from .dataset_dict import DatasetDict
from .features import Feature
from .iterable import IterableDataset
from .rows import built, row_number

__all__ = ["ForeignRows", "as_dataset", "columns_of_frame", "from_hf"]


def as_dataset(data: Any) -> Any:
    """Something with rows as a Dataset (`len`, `[int]`, `column_names`) or, without a length, an IterableDataset.

    Ours stay as they are. Taken are Hugging Face's Dataset and IterableDataset, DataFrames of pandas and polars, a list
    of dictionaries, a dictionary of columns, a function that makes a generator, and whatever has a length and rows by
    number, as PyTorch's data sets have.   Raises DataError, InvalidArgument.
    """
    if isinstance(data, (Dataset, IterableDataset, ForeignRows)):
        return data
    if isinstance(data, Mapping) and data and all(_has_rows(part) for part in data.values()):
        raise InvalidArgument(f"these are splits; give one of them: {', '.join(map(repr, data))}.")
    if isinstance(data, Mapping):
        return Dataset.from_dict(data)
    module = type(data).__module__.partition(".")[0]
    if module == "pandas":
        return Dataset.from_pandas(data)
    if module == "polars":
        return Dataset.from_polars(data.collect() if hasattr(data, "collect") else data)
    if isinstance(data, (list, tuple)) and all(isinstance(row, Mapping) for row in data):
        return Dataset.from_list(data)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (str, bytes)):
        return ForeignRows(data)
    if hasattr(type(data), "__iter__") and not hasattr(data, "__next__") and not isinstance(data, (str, bytes)):
        return _ForeignStream(data)
    if callable(data):
        return IterableDataset.from_generator(data)
    hint = " A generator can be read once; give the function that makes it." if hasattr(data, "__next__") else ""
    raise DataError(f"{shown(data)} is no data set: give a Dataset, a list of dictionaries, a DataFrame ….{hint}")


def _has_rows(part: Any) -> bool:
    return isinstance(part, (Dataset, IterableDataset, DatasetDict)) or hasattr(part, "column_names")


class ForeignRows:
    """Another library's rows by number, read as they are asked for; nothing is copied."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A row.   Raises NoSuchRow, DataError (it is no dictionary)."""
        row = self._data[row_number(int(index), len(self))]
        if not isinstance(row, Mapping):
            raise DataError(f"row {index} of the {type(self._data).__name__} is {shown(row)}; expected a dictionary.")
        return dict(row)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    @property
    def column_names(self) -> list[str]:
        """The columns: as the other library says, else those of the first row."""
        names = getattr(self._data, "column_names", None)
        return list(names) if names is not None else list(self[0]) if len(self) else []

    @property
    def features(self) -> Any:
        """What the other library knows of the columns, or None."""
        return getattr(self._data, "features", None)


class _ForeignStream(IterableDataset):
    """Another library's stream. `set_epoch` is passed on to it."""

    def __init__(self, data: Any) -> None:
        def step(skip: int, epoch: int) -> Iterator[dict[str, Any]]:
            if hasattr(data, "set_epoch"):
                data.set_epoch(epoch)
            return islice(iter(data), skip, None)

        names = getattr(data, "column_names", None)
        super().__init__(step, names=None if names is None else list(names))


def columns_of_frame(frame: Any) -> tuple[dict[str, Column], int]:
    """The columns of a pandas DataFrame; columns of numbers are not copied."""
    columns = {str(name): _of_series(str(name), frame[name]) for name in frame.columns}
    return columns, len(frame)


def _of_series(name: str, series: Any) -> Column:
    values = series.to_numpy() if isinstance(series.dtype, np.dtype) else None
    kinds = {"b": BOOL, "i": INT, "f": FLOAT}
    if values is not None and values.dtype.kind in kinds and values.dtype != np.longdouble:
        valid = ~np.isnan(values) if values.dtype.kind == "f" else None
        return NumberColumn(kinds[values.dtype.kind], values, None if valid is None or valid.all() else valid)
    return built(name, [None if _is_missing(value) else value for value in series.tolist()])


def _is_missing(value: Any) -> bool:
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def from_hf(dataset: Any) -> Any:
    """A Dataset or DatasetDict of Hugging Face's library as one of ours, its features too."""
    if isinstance(dataset, Mapping):
        return DatasetDict({split: from_hf(part) for split, part in dataset.items()})
    if not hasattr(dataset, "data") or not hasattr(dataset, "flatten_indices"):
        raise InvalidArgument(f"{shown(dataset)} is no Dataset of Hugging Face's library.")
    table = dataset.flatten_indices().data.table
    columns = {name: column_of(table.column(name), name) for name in table.column_names}
    told: dict[str, Feature] = arrow_features(dataset.features.arrow_schema)
    features = {name: feature for name, feature in told.items() if feature.kind == columns[name].kind}
    return Dataset(columns, len(dataset), features=features)
