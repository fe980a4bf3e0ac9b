"""A table of rows in memory or in mapped files: reading, choosing, and changing columns.

What map and filter do is in `mapping`, the way out to other libraries in `export`, data sets too large to be loaded in
`iterable`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Listed
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, DataNotFound, InvalidArgument, MissingKey, did_you_mean
from .building import build
from .cache import Stored, cached, data_cache, opened
from .columns import BLOCK, JSON, ChosenColumn, Column
from .features import ClassLabel, Feature, Features, feature_of
from .fingerprint import derived
from .formatting import Format, need_pandas
from .rows import columns_of_rows, hashable, in_blocks, listed, owned, positive, read, row_number, rows_of
from .storing import TableWriter, is_table, whole_folder

__all__ = ["ColumnView", "Dataset"]


class ColumnView(Listed[Any]):
    """One column of a data set, read as it is asked for."""

    def __init__(self, column: Column, form: Format) -> None:
        self._column = column
        self._form = form

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: Any) -> Any:
        """A row's value; with a slice or a list of numbers, several."""
        if isinstance(index, (int, np.integer)):
            return self._form.value(self._column.row(row_number(int(index), len(self))))
        indices = rows_of(index, len(self))
        if self._form.type in (None, "pandas"):
            return read(self._column, indices)
        return self._form.values([self._column.array(int(i)) for i in indices])

    def __iter__(self) -> Iterator[Any]:
        for block in self._column.blocks():
            yield from map(self._form.value, block.rows())

    def tolist(self) -> list[Any]:
        """All values as plain Python."""
        return self._column.rows()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (list, tuple, ColumnView)) and self.tolist() == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head = ", ".join(map(repr, self._column.rows(0, min(5, len(self)))))
        return f"Column([{head}{', …' if len(self) > 5 else ''}]) of {len(self)} rows"


class Dataset:
    """Rows of named columns.

    len(ds); ds[3] → a row as a dictionary; ds[:5], ds[[1, 2]] → a dictionary of lists; ds["text"] → a column.
    Nothing changes a data set (but set_format): every method gives another, which shares what it can.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        length: int | None = None,
        *,
        features: Mapping[str, Feature] | None = None,
        form: Format | None = None,
        name: str | None = None,
        cache: Path | None = None,
        split: str | None = None,
    ) -> None:
        self._columns = dict(columns)
        self._length = len(next(iter(self._columns.values()), ())) if length is None else length
        given = features or {}
        self.features: Features = Features(
            {column: given.get(column) or feature_of(held.kind) for column, held in self._columns.items()}
        )
        self._form = form or Format()
        self._name = name  # of the content, for the cache; None: unknown
        self._cache = cache  # where results are kept; None: in memory
        self._indexes: dict[str, Any] = {}
        self.split = split

    # -- making ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, data: Mapping[str, Iterable[Any]], features: Mapping[str, Any] | None = None) -> Dataset:
        """From columns. Lists, arrays and tensors are taken.   Raises DataError for lengths that differ."""
        columns = {str(name): build(listed(values)) for name, values in data.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"the columns have different lengths: {lengths}.")
        return _with_features(cls(columns), features)

    @classmethod
    def from_list(cls, rows: Iterable[Mapping[str, Any]], features: Mapping[str, Any] | None = None) -> Dataset:
        """From rows. A key that a row lacks is None there."""
        return cls.from_generator(lambda: iter(rows), features=features, in_memory=True)

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Iterable[Mapping[str, Any]]],
        features: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        gen_kwargs: Mapping[str, Any] | None = None,
        in_memory: bool = False,
    ) -> Dataset:
        """From the rows that the function gives; they are put into files as they come, unless in_memory."""
        if not callable(generator):
            raise InvalidArgument("from_generator needs the function that makes the generator, not what it returns.")

        def write(folder: Path | None) -> dict[str, Column]:
            with TableWriter(folder) as writer:
                for rows in in_blocks(generator(**(gen_kwargs or {}))):
                    writer.extend(columns_of_rows(rows, writer.length), len(rows))
                return writer.finish()

        if in_memory:
            return _with_features(cls(write(None)), features)
        cache = data_cache(cache_dir)
        return _with_features(cls.of_stored(cached(cache, None, write), cache), features)

    @classmethod
    def from_pandas(cls, frame: Any, preserve_index: bool = False) -> Dataset:
        """From a DataFrame. Missing values (NaN in a column of objects, NaT, NA) are None."""
        from .foreign import columns_of_frame

        return cls(*columns_of_frame(frame.reset_index() if preserve_index else frame))

    @classmethod
    def from_polars(cls, frame: Any) -> Dataset:
        """From a polars DataFrame."""
        return cls.from_dict({name: frame[name].to_list() for name in frame.columns})

    @classmethod
    def from_hf(cls, dataset: Any) -> Any:
        """From a Dataset of Hugging Face's library, its features too."""
        from .foreign import from_hf

        return from_hf(dataset)

    @classmethod
    def from_csv(cls, path: Any, **options: Any) -> Dataset:
        """From files of that format; the options of load_dataset."""
        return _loaded("csv", path, options)

    @classmethod
    def from_json(cls, path: Any, **options: Any) -> Dataset:
        """From files of that format; the options of load_dataset."""
        return _loaded("json", path, options)

    @classmethod
    def from_text(cls, path: Any, **options: Any) -> Dataset:
        """From files of that format; the options of load_dataset."""
        return _loaded("text", path, options)

    @classmethod
    def from_parquet(cls, path: Any, **options: Any) -> Dataset:
        """From files of that format; the options of load_dataset."""
        return _loaded("parquet", path, options)

    @classmethod
    def of_stored(
        cls, stored: Stored, cache: Path | None, name: str | None = None, split: str | None = None
    ) -> Dataset:
        """From a table that was written."""
        return cls(stored.columns, stored.rows, features=stored.features, cache=cache, name=name, split=split)

    # -- reading -----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._length

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self._length

    @property
    def column_names(self) -> list[str]:
        """The columns, in order."""
        return list(self._columns)

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return len(self._columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self._length, len(self._columns)

    @property
    def format(self) -> dict[str, Any]:
        """The form in which rows are given."""
        return {"type": self._form.type, "columns": [name for name in self._columns if self._form.gives(name)]}

    def __getitem__(self, index: Any) -> Any:
        """A row (int), rows (slice, list or array of numbers), or a column (str).   Raises NoSuchRow, MissingKey."""
        if isinstance(index, (int, np.integer)):
            return self._row(row_number(int(index), self._length))
        if isinstance(index, str):
            column = self._column(index)
            return ColumnView(column, self._form if self._form.shapes(index) else Format())
        return self._rows(rows_of(index, self._length))

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Several rows, each as a dictionary: what PyTorch's DataLoader asks for."""
        return [self[index] for index in indices]

    def __iter__(self) -> Iterator[Any]:
        for index in range(self._length):
            yield self._row(index)

    def iter(self, batch_size: int, drop_last_batch: bool = False) -> Iterator[Any]:
        """The rows by batches, each as ds[begin:end] gives it."""
        for begin in range(0, self._length, positive("batch_size", batch_size)):
            if not drop_last_batch or begin + batch_size <= self._length:
                yield self[begin : begin + batch_size]

    def _row(self, index: int) -> Any:
        form = self._form
        if form.type is None and form.columns is None:
            return {name: column.row(index) for name, column in self._columns.items()}
        if form.type == "pandas":
            return self._rows(range(index, index + 1))
        return {
            name: form.value(column.array(index)) if form.shapes(name) else column.row(index)
            for name, column in self._columns.items()
            if form.gives(name)
        }

    def _rows(self, indices: range | NDArray[Any]) -> Any:
        form = self._form
        if form.type == "pandas":
            given = {name: read(column, indices) for name, column in self._columns.items() if form.gives(name)}
            return need_pandas().DataFrame(given)
        return {
            name: form.values([column.array(int(i)) for i in indices]) if form.shapes(name) else read(column, indices)
            for name, column in self._columns.items()
            if form.gives(name)
        }

    def _column(self, name: str) -> Column:
        self._check_columns([name])
        return self._columns[name]

    def _check_columns(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._columns:
                there = ", ".join(map(repr, list(self._columns)[:20])) or "none"
                raise MissingKey(
                    f"there is no column {name!r}.{did_you_mean(str(name), self._columns)} Columns: {there}."
                )

    def __repr__(self) -> str:
        return f"Dataset({{\n    features: {self.column_names},\n    num_rows: {self._length}\n}})"

    def __reduce__(self) -> Any:
        return _unpickled, (
            self._columns,
            self._length,
            dict(self.features),
            self._form,
            self._name,
            self._cache,
            self.split,
        )

    # -- choosing rows -----------------------------------------------------------------------------------------------

    def select(self, indices: Iterable[int]) -> Dataset:
        """These rows, in this order.   Raises NoSuchRow."""
        return self._chosen(np.asarray(rows_of(listed(indices), self._length), np.int64))

    def _chosen(self, indices: NDArray[Any], name: str | None = None) -> Dataset:
        moved: dict[int, NDArray[Any]] = {}  # columns that were chosen before, by the same numbers

        def choose(column: Column) -> Column:
            if not isinstance(column, ChosenColumn):
                return ChosenColumn(column, indices)
            if id(column.indices) not in moved:
                moved[id(column.indices)] = column.indices[indices]
            return ChosenColumn(column.column, moved[id(column.indices)])

        columns = {column: choose(held) for column, held in self._columns.items()}
        return self._like(columns, len(indices), name or derived(self._name, "select", indices))

    def _like(
        self,
        columns: Mapping[str, Column],
        length: int,
        name: str | None,
        features: Mapping[str, Feature] | None = None,
    ) -> Dataset:
        """A data set of these columns that is otherwise as this one."""
        form = self._form
        if form.columns is not None:
            form = Format(form.type, tuple(column for column in form.columns if column in columns), form.with_others)
        known = {**self.features, **(features or {})}
        return Dataset(columns, length, features=known, form=form, name=name, cache=self._cache, split=self.split)

    def take(self, n: int) -> Dataset:
        """The first n rows, or all where there are fewer."""
        return self._chosen(np.arange(min(max(n, 0), self._length)))

    def skip(self, n: int) -> Dataset:
        """All but the first n rows."""
        return self._chosen(np.arange(min(max(n, 0), self._length), self._length))

    def shard(self, num_shards: int, index: int, contiguous: bool = True) -> Dataset:
        """One of num_shards parts of nearly equal length: of rows beside each other, or of every num_shards-th."""
        if not 0 <= index < num_shards:
            raise InvalidArgument(f"index={index} must be at least 0 and less than num_shards={num_shards}.")
        if not contiguous:
            return self._chosen(np.arange(index, self._length, num_shards))
        share, more = divmod(self._length, num_shards)
        begin = share * index + min(index, more)
        return self._chosen(np.arange(begin, begin + share + (index < more)))

    def shuffle(self, seed: int | None = None, generator: np.random.Generator | None = None) -> Dataset:
        """The rows in an order drawn from the seed; without one, another order each time."""
        drawn = np.random.default_rng(seed) if generator is None else generator
        return self._chosen(drawn.permutation(self._length))

    def sort(self, column_names: str | Listed[str], reverse: bool | Listed[bool] = False) -> Dataset:
        """The rows ordered by a column, or by several, the first counting most. Equal rows keep order; None is last."""
        names = [column_names] if isinstance(column_names, str) else list(column_names)
        self._check_columns(names)
        backward = [reverse] * len(names) if isinstance(reverse, bool) else list(reverse)
        if len(backward) != len(names):
            raise InvalidArgument(f"reverse has {len(backward)} values for {len(names)} columns.")
        order = list(range(self._length))
        for name, is_reversed in reversed(list(zip(names, backward, strict=True))):
            values = self._columns[name].rows()
            try:
                present = sorted(
                    (i for i in order if values[i] is not None), key=values.__getitem__, reverse=is_reversed
                )
            except TypeError:
                raise DataError(f"the column {name!r} cannot be ordered: it holds {self.features[name]}.") from None
            order = present + [i for i in order if values[i] is None]
        return self._chosen(np.asarray(order, np.int64))

    def unique(self, column: str) -> list[Any]:
        """The different values of a column, in the order in which they first come."""
        seen: dict[Any, Any] = {}
        for value in self[column]:
            seen.setdefault(hashable(value), value)
        return list(seen.values())

    def train_test_split(
        self,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        shuffle: bool = True,
        stratify_by_column: str | None = None,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> Any:
        """A DatasetDict of 'train' and 'test'.

        test_size, train_size: a share of the rows (float) or a number of them (int); default: test 0.25.
        stratify_by_column: each value of that column has its share in both.
        """
        from .dataset_dict import DatasetDict
        from .splitting import split_indices

        drawn = np.random.default_rng(seed) if generator is None else generator
        labels = None if stratify_by_column is None else list(map(hashable, self[stratify_by_column]))
        train, test = split_indices(self._length, test_size, train_size, shuffle, labels, drawn)
        return DatasetDict({"train": self._chosen(train), "test": self._chosen(test)})

    # -- changing columns --------------------------------------------------------------------------------------------

    def rename_column(self, original_column_name: str, new_column_name: str) -> Dataset:
        """The column under another name."""
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping: Mapping[str, str]) -> Dataset:
        """Columns under other names.   Raises MissingKey, InvalidArgument (two columns of one name)."""
        self._check_columns(column_mapping)
        names = [column_mapping.get(name, name) for name in self._columns]
        if len(set(names)) < len(names):
            raise InvalidArgument(f"two columns would have one name: {', '.join(names)}.")
        features = {column_mapping.get(name, name): feature for name, feature in self.features.items()}
        columns = dict(zip(names, self._columns.values(), strict=True))
        return self._like(columns, self._length, derived(self._name, "rename", dict(column_mapping)), features)

    def remove_columns(self, column_names: str | Iterable[str]) -> Dataset:
        """Without these columns.   Raises MissingKey."""
        gone = [column_names] if isinstance(column_names, str) else list(column_names)
        self._check_columns(gone)
        return self.select_columns([name for name in self._columns if name not in gone])

    def select_columns(self, column_names: str | Iterable[str]) -> Dataset:
        """With these columns only.   Raises MissingKey."""
        kept = [column_names] if isinstance(column_names, str) else list(column_names)
        self._check_columns(kept)
        columns = {name: self._columns[name] for name in kept}
        return self._like(columns, self._length, derived(self._name, "columns", kept))

    def add_column(self, name: str, column: Iterable[Any], feature: Feature | None = None) -> Dataset:
        """With one more column.   Raises InvalidArgument (there is one of that name, or its length is another)."""
        made = build(listed(column))
        if name in self._columns:
            raise InvalidArgument(f"there is a column {name!r} already; remove or rename it first.")
        if len(made) != self._length:
            raise InvalidArgument(f"the column {name!r} has {len(made)} values for {self._length} rows.")
        added = self._like({**self._columns, name: made}, self._length, None)
        return added if feature is None else added.cast_column(name, feature)

    def cast_column(self, column: str, feature: Any) -> Dataset:
        """The column as another feature: numbers ↔ text, text or numbers → ClassLabel.   Raises DataError."""
        from .casting import cast

        wanted = Features({column: feature})[column]
        made = cast(self._column(column), wanted, column)
        name = derived(self._name, "cast", column, repr(wanted))
        return self._like({**self._columns, column: made}, self._length, name, {column: wanted})

    def cast(self, features: Mapping[str, Any]) -> Dataset:
        """Several columns as other features."""
        changed = self
        for column, feature in features.items():
            changed = changed.cast_column(column, feature)
        return changed

    def class_encode_column(self, column: str) -> Dataset:
        """The column's values as the numbers of classes, in their order."""
        values = sorted(
            {value if isinstance(value, str) else str(value) for value in self.unique(column) if value is not None}
        )
        return self.cast_column(column, ClassLabel(names=values))

    def align_labels_with_mapping(self, label2id: Mapping[str, int], label_column: str) -> Dataset:
        """The numbers of a ClassLabel column as a model numbers them.   label2id: name → number, 0, 1, …"""
        from .casting import renumbered

        return renumbered(self, dict(label2id), label_column)

    def flatten(self) -> Dataset:
        """Columns of dictionaries as columns of their own: `answers` → `answers.text`, `answers.answer_start`."""
        changed = self
        while nested := [name for name, column in changed._columns.items() if _holds_dictionaries(column)]:
            columns: dict[str, Column] = {}
            for name, column in changed._columns.items():
                if name not in nested:
                    columns[name] = column
                    continue
                rows = [{} if row is None else row for row in column.rows()]
                for key in dict.fromkeys(key for row in rows for key in row):
                    columns[f"{name}.{key}"] = build([row.get(key) for row in rows])
            changed = changed._like(columns, self._length, derived(changed._name, "flatten"))
        return changed

    def set_format(
        self,
        type: str | None = None,
        columns: Listed[str] | None = None,
        output_all_columns: bool = False,
    ) -> None:
        """Give rows as 'numpy', 'torch' or 'pandas' from now on; None: as Python's lists and numbers."""
        self._check_columns(columns or ())
        self._form = Format.of(type, columns, output_all_columns)

    def with_format(
        self, type: str | None = None, columns: Listed[str] | None = None, output_all_columns: bool = False
    ) -> Dataset:
        """As set_format, for another data set that shares this one's rows."""
        other = self._like(self._columns, self._length, self._name)
        other.set_format(type, columns, output_all_columns)
        return other

    def reset_format(self) -> None:
        """Give rows as Python's lists and numbers."""
        self._form = Format()

    # -- functions over rows -----------------------------------------------------------------------------------------

    def map(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        input_columns: str | Listed[str] | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        drop_last_batch: bool = False,
        remove_columns: str | Listed[str] | None = None,
        keep_in_memory: bool = False,
        load_from_cache_file: bool = True,
        features: Mapping[str, Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        desc: str | None = None,
        with_rank: bool = False,
        writer_batch_size: int | None = None,
    ) -> Dataset:
        """The columns that the function gives for each row (or batch), added or in the place of those of that name.

        function(row) → a dictionary or None (no change); batched: of batches, dictionaries of lists, which may come
        back with another number of rows if the other columns are in remove_columns.
        with_indices: the row's number (or numbers) come second.   input_columns: give their values instead of the row.
        num_proc: processes, where there are rows enough to pay for them. The result is kept in the cache.
        """
        from .mapping import Call, mapped

        call = Call(
            function or dict, with_indices, input_columns, batched, batch_size, fn_kwargs, desc or "Map", num_proc
        )
        dropped = [remove_columns] if isinstance(remove_columns, str) else list(remove_columns or ())
        made = mapped(self, call, dropped, drop_last_batch, keep_in_memory, load_from_cache_file)
        return (
            made
            if features is None
            else _with_features(made, {k: v for k, v in features.items() if k in made.features})
        )

    def filter(
        self,
        function: Callable[..., Any],
        with_indices: bool = False,
        input_columns: str | Listed[str] | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        keep_in_memory: bool = False,
        load_from_cache_file: bool = True,
        fn_kwargs: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        desc: str | None = None,
    ) -> Dataset:
        """The rows for which the function says True; batched: it gives a list of booleans. Otherwise as map."""
        from .mapping import Call, filtered

        call = Call(function, with_indices, input_columns, batched, batch_size, fn_kwargs, desc or "Filter", num_proc)
        return filtered(self, call, keep_in_memory, load_from_cache_file)

    def batch(self, batch_size: int, drop_last_batch: bool = False) -> Dataset:
        """Rows of batch_size rows each: every column becomes one of lists."""
        size = positive("batch_size", batch_size)

        def grouped(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
            return {name: [values] for name, values in rows.items()}

        plain_rows = self.with_format(None)
        return plain_rows.map(grouped, batched=True, batch_size=size, drop_last_batch=drop_last_batch, desc="Batch")

    # -- writing and other libraries ---------------------------------------------------------------------------------

    def save_to_disk(self, dataset_path: str | os.PathLike[str]) -> None:
        """Write the rows into a folder, from which load_from_disk maps them. A data set that is there is replaced."""
        path = Path(dataset_path)
        if path.is_dir() and any(path.iterdir()) and not is_table(path):
            raise InvalidArgument(f"the folder {str(path)!r} holds something else than a data set; choose another.")
        with whole_folder(path, replace=True) as folder:
            _written(self, folder)

    @classmethod
    def load_from_disk(cls, dataset_path: str | os.PathLike[str]) -> Dataset:
        """The data set that save_to_disk wrote."""
        path = Path(dataset_path)
        if not is_table(path):
            raise DataNotFound(f"there is no data set of save_to_disk in {str(path)!r}.")
        stored = opened(path)
        note = stored.note if isinstance(stored.note, dict) else {}
        return cls.of_stored(stored, data_cache(), note.get("name"), note.get("split"))

    def to_dict(self) -> dict[str, list[Any]]:
        """All columns as lists."""
        return {name: column.rows() for name, column in self._columns.items()}

    def to_list(self) -> list[dict[str, Any]]:
        """All rows as dictionaries."""
        return list(self.with_format(None))

    def to_pandas(self) -> Any:
        """A DataFrame."""
        return self.with_format("pandas")[:]

    def to_polars(self) -> Any:
        """A polars DataFrame."""
        from .export import to_polars

        return to_polars(self)

    def to_hf(self) -> Any:
        """A Dataset of Hugging Face's library, its features too."""
        from .export import to_hf

        return to_hf(self)

    def to_json(self, path_or_buf: Any, **options: Any) -> int:
        """A line of JSON per row (lines=False: one list). Gives the number of bytes."""
        from .export import to_json

        return to_json(self, path_or_buf, **options)

    def to_csv(self, path_or_buf: Any, **options: Any) -> int:
        """A csv file with a header; lists and dictionaries as JSON. Gives the number of bytes."""
        from .export import to_csv

        return to_csv(self, path_or_buf, **options)

    def to_parquet(self, path_or_buf: Any) -> int:
        """A parquet file, which Hugging Face's library reads with its features. Gives the number of bytes."""
        from .export import to_parquet

        return to_parquet(self, path_or_buf)

    def to_iterable_dataset(self) -> Any:
        """The rows as a stream."""
        from .iterable import IterableDataset

        return IterableDataset.of_dataset(self)

    # -- nearest rows ------------------------------------------------------------------------------------------------

    def add_faiss_index(self, column: str, index_name: str | None = None, metric_type: Any = None, **_: Any) -> Dataset:
        """Make the vectors of a column searchable, by exact comparison in NumPy. Changes this data set, as faiss does.

        metric_type: 0 or 'inner_product': the largest inner products are nearest; default: the smallest distances.
        """
        from .nearest import VectorIndex

        self._indexes[index_name or column] = VectorIndex.of(self._column(column), column, metric_type)
        return self

    def get_nearest_examples(self, index_name: str, query: Any, k: int = 10) -> tuple[Any, Any]:
        """(scores [k], rows) nearest to a vector.   Raises MissingKey without that index."""
        if index_name not in self._indexes:
            raise MissingKey(f"there is no index {index_name!r}; make it with add_faiss_index(column={index_name!r}).")
        scores, indices = self._indexes[index_name].nearest(query, k)
        return scores, self[indices]


def _loaded(format: str, path: Any, options: dict[str, Any]) -> Dataset:
    from .loading import load_dataset

    return load_dataset(format, data_files=path, **{"split": "train", **options})  # type: ignore[no-any-return]


def _unpickled(columns: Any, length: int, features: Any, form: Format, name: Any, cache: Any, split: Any) -> Dataset:
    return Dataset(columns, length, features=features, form=form, name=name, cache=cache, split=split)


def _written(dataset: Dataset, folder: Path) -> None:
    with TableWriter(folder) as writer:
        for begin in range(0, len(dataset), BLOCK):
            end = min(begin + BLOCK, len(dataset))
            columns = {name: owned(column.slice(begin, end)) for name, column in dataset._columns.items()}
            writer.extend(columns, end - begin)
        features = {name: feature.to_json() for name, feature in dataset.features.items()}
        writer.finish(features, {"name": dataset._name, "split": dataset.split})


def _with_features(dataset: Dataset, features: Mapping[str, Any] | None) -> Dataset:
    return dataset if features is None else dataset.cast(features)


def _holds_dictionaries(column: Column) -> bool:
    return column.kind == JSON and all(row is None or isinstance(row, dict) for row in column.rows())
