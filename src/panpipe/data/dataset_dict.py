"""Splits by name: 'train', 'validation', 'test'."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import DataNotFound, InvalidArgument, MissingKey, did_you_mean
from ..weights.source import check_file_name, read_json
from ..weights.whole_file import whole_file
from .dataset import Dataset
from .storing import is_table

__all__ = ["DatasetDict", "load_from_disk"]

_SPLITS = "dataset_dict.json"
_ON_EACH = (
    "map", "filter", "shuffle", "sort", "batch", "rename_column", "rename_columns", "remove_columns", "select_columns",
    "cast", "cast_column", "class_encode_column", "flatten", "with_format", "align_labels_with_mapping", "take", "skip",
)  # fmt: skip


class DatasetDict(dict[str, Any]):
    """Data sets (or streams) by the names of their splits.

    map, filter, shuffle, rename_column … are those of Dataset, done to each split.
    """

    def __getitem__(self, split: str) -> Any:
        """A split.   Raises MissingKey."""
        if split in self:
            return super().__getitem__(split)
        if not isinstance(split, str):
            raise MissingKey(f"rows are in a split: did you mean ds[{self._first()!r}][{split!r}]?")
        if any(split in (each.column_names or ()) for each in self.values()):
            raise MissingKey(f"{split!r} is a column: did you mean ds[{self._first()!r}][{split!r}]?")
        raise MissingKey(
            f"there is no split {split!r}.{did_you_mean(split, self)} Splits: {', '.join(self) or 'none'}."
        )

    def _first(self) -> str:
        return next(iter(self), "train")

    @property
    def column_names(self) -> dict[str, list[str]]:
        """The columns of each split."""
        return {split: each.column_names for split, each in self.items()}

    @property
    def num_rows(self) -> dict[str, int]:
        """The rows of each split."""
        return {split: each.num_rows for split, each in self.items()}

    @property
    def num_columns(self) -> dict[str, int]:
        """The number of columns of each split."""
        return {split: each.num_columns for split, each in self.items()}

    @property
    def shape(self) -> dict[str, tuple[int, int]]:
        """The shape of each split."""
        return {split: each.shape for split, each in self.items()}

    def unique(self, column: str) -> dict[str, list[Any]]:
        """The different values of a column in each split."""
        return {split: each.unique(column) for split, each in self.items()}

    def set_format(self, type: str | None = None, columns: Any = None, output_all_columns: bool = False) -> None:
        """As Dataset.set_format, for each split."""
        for each in self.values():
            each.set_format(type, columns, output_all_columns)

    def reset_format(self) -> None:
        """As Dataset.reset_format, for each split."""
        for each in self.values():
            each.reset_format()

    def save_to_disk(self, dataset_dict_path: str | os.PathLike[str]) -> None:
        """Write each split into a folder of its name."""
        path = Path(dataset_dict_path)
        if is_table(path):
            raise InvalidArgument(f"{str(path)!r} holds a single data set; choose another folder.")
        path.mkdir(parents=True, exist_ok=True)
        for split, each in self.items():
            each.save_to_disk(path / check_file_name(split))
        with whole_file(path / _SPLITS) as file:
            file.write_text(json.dumps({"splits": list(self)}), encoding="utf-8")

    @classmethod
    def load_from_disk(cls, dataset_dict_path: str | os.PathLike[str]) -> DatasetDict:
        """The splits that save_to_disk wrote."""
        path = Path(dataset_dict_path)
        if not (path / _SPLITS).is_file():
            raise DataNotFound(f"there are no splits of save_to_disk in {str(path)!r}.")
        value = read_json(path / _SPLITS)
        splits = value.get("splits") if isinstance(value, dict) else None
        if not isinstance(splits, list):
            raise DataNotFound(f"{path / _SPLITS} names no splits.")
        return cls({split: Dataset.load_from_disk(path / check_file_name(split)) for split in splits})

    def __getattr__(self, name: str) -> Any:
        if name in _ON_EACH:
            return _on_each(self, name)
        here = (
            f"did you mean ds[{self._first()!r}].{name}?"
            if hasattr(Dataset, name)
            else "splits are chosen as ds['train']"
        )
        raise AttributeError(f"a DatasetDict has no {name!r}: {here}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_ON_EACH})

    def __repr__(self) -> str:
        inside = "\n".join(f"{split}: {each!r}" for split, each in self.items()).replace("\n", "\n    ")
        return f"DatasetDict({{\n    {inside}\n}})"


def _on_each(splits: DatasetDict, name: str) -> Callable[..., DatasetDict]:
    def method(*arguments: Any, **options: Any) -> DatasetDict:
        return DatasetDict({split: getattr(each, name)(*arguments, **options) for split, each in splits.items()})

    method.__name__, method.__doc__ = name, getattr(Dataset, name).__doc__
    return method


def load_from_disk(dataset_path: str | os.PathLike[str]) -> Dataset | DatasetDict:
    """What save_to_disk wrote: a Dataset, or a DatasetDict.   Raises DataNotFound."""
    path = Path(dataset_path)
    kind: Any = DatasetDict if (path / _SPLITS).is_file() else Dataset
    return kind.load_from_disk(path)  # type: ignore[no-any-return]
