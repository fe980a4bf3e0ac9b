"""Streams of rows: nothing is held but what is being read.

A stream can be gone on with from any place, known by one number: how many rows it gave. It is shuffled by blocks: which
rows are in a block, and in which order they come, depends on (seed, epoch, block) alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from ..errors import DataError, InvalidArgument, MissingKey, did_you_mean
from ..pipelines.inputs import shown
from .features import Feature, Features
from .formatting import Format
from .rows import in_blocks, positive

__all__ = ["IterableDataset", "chained", "interleaved"]

Row = dict[str, Any]
Step = Callable[[int, int], Iterator[Row]]
"""(rows to skip, epoch) → the rows after them."""


class IterableDataset:
    """Rows that are read one after the other, as often as it is iterated over.

    Every method gives another stream over the same source.
    """

    def __init__(
        self,
        step: Step,
        features: Mapping[str, Any] | None = None,
        form: Format | None = None,
        split: str | None = None,
        epoch: int = 0,
        names: list[str] | None = None,
    ) -> None:
        self._step = step
        self._form = form or Format()
        self._epoch = epoch
        self._given = 0
        self._names = names
        self.features = None if features is None else Features(features)
        self.split = split

    @classmethod
    def of_rows(
        cls, rows: Callable[[int], Iterator[Row]], features: Mapping[str, Feature], split: str
    ) -> IterableDataset:
        """Over what `rows(skip)` gives.   features: of columns that are to be other than they come."""
        stream = cls(lambda skip, epoch: rows(skip), split=split)
        for column, feature in features.items():
            stream = stream.cast_column(column, feature)
        return stream

    @classmethod
    def of_dataset(cls, dataset: Any) -> IterableDataset:
        """Over a data set that is there already."""
        return cls(
            lambda skip, epoch: (dataset[index] for index in range(skip, len(dataset))),
            dataset.features,
            names=dataset.column_names,
            split=dataset.split,
        )

    @classmethod
    def from_generator(
        cls, generator: Callable[..., Iterable[Row]], gen_kwargs: Mapping[str, Any] | None = None
    ) -> IterableDataset:
        """Over the rows that the function gives, anew in each epoch."""
        return cls(lambda skip, epoch: islice(iter(generator(**(gen_kwargs or {}))), skip, None))

    # -- reading -----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        begin, self._given = self._given, 0
        return self._counted(begin)

    def _counted(self, begin: int) -> Iterator[Any]:
        count = begin
        for row in self._step(begin, self._epoch):
            count += 1
            self._given = count
            yield self._shaped(row)
        self._given = 0

    def _shaped(self, row: Row) -> Row:
        form = self._form
        if form.type is None and form.columns is None:
            return row
        return {
            name: form.value(value) if form.shapes(name) else value for name, value in row.items() if form.gives(name)
        }

    @property
    def column_names(self) -> list[str] | None:
        """The columns, from the first row; None of an empty stream."""
        if self._names is None:
            self._names = next((list(row) for row in self._step(0, self._epoch)), None)
        return self._names

    def set_epoch(self, epoch: int) -> None:
        """Shuffle as in that epoch from now on."""
        self._epoch = int(epoch)

    def state_dict(self) -> dict[str, int]:
        """Where it is: the rows it gave, and the epoch."""
        return {"rows": self._given, "epoch": self._epoch}

    def load_state_dict(self, state_dict: Mapping[str, int]) -> None:
        """Go on from there when it is iterated over next."""
        rows, epoch = state_dict.get("rows"), state_dict.get("epoch", 0)
        if not isinstance(rows, int) or rows < 0 or not isinstance(epoch, int):
            raise InvalidArgument(
                f"{shown(dict(state_dict))} is no state of a stream; expected {{'rows': …, 'epoch': …}}."
            )
        self._given, self._epoch = rows, epoch

    # -- making others -----------------------------------------------------------------------------------------------

    def _with(
        self, step: Step, features: Mapping[str, Any] | None = None, names: list[str] | None = None
    ) -> IterableDataset:
        return IterableDataset(step, features, self._form, self.split, self._epoch, names)

    def take(self, n: int) -> IterableDataset:
        """The first n rows."""
        step = self._step
        return self._with(lambda skip, epoch: islice(step(skip, epoch), max(n - skip, 0)), self.features, self._names)

    def skip(self, n: int) -> IterableDataset:
        """All but the first n rows."""
        step = self._step
        return self._with(lambda skip, epoch: step(skip + max(n, 0), epoch), self.features, self._names)

    def shard(self, num_shards: int, index: int) -> IterableDataset:
        """Every num_shards-th row, from row `index` on."""
        if not 0 <= index < num_shards:
            raise InvalidArgument(f"index={index} must be at least 0 and less than num_shards={num_shards}.")
        step = self._step
        return self._with(
            lambda skip, epoch: islice(step(skip * num_shards + index, epoch), 0, None, num_shards),
            self.features,
            self._names,
        )

    def shuffle(self, seed: int | None = None, buffer_size: int = 1000) -> IterableDataset:
        """The rows of each block of buffer_size rows in another order, which depends on (seed, epoch, block) only."""
        size, step = positive("buffer_size", buffer_size), self._step
        root = int(np.random.default_rng().integers(2**31)) if seed is None else int(seed)

        def shuffled(skip: int, epoch: int) -> Iterator[Row]:
            block, within = divmod(skip, size)
            for rows in in_blocks(step(block * size, epoch), size):
                order = np.random.default_rng([root, epoch, block]).permutation(len(rows))
                yield from (rows[index] for index in order[within:])
                block, within = block + 1, 0

        return self._with(shuffled, self.features, self._names)

    def map(
        self,
        function: Callable[..., Any] | None = None,
        with_indices: bool = False,
        input_columns: str | Sequence[str] | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        drop_last_batch: bool = False,
        remove_columns: str | Sequence[str] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
    ) -> IterableDataset:
        """As Dataset.map, done when the rows are read."""
        from .mapping import Call

        call = Call(function or dict, with_indices, input_columns, batched, batch_size, fn_kwargs, "Map")
        gone = {remove_columns} if isinstance(remove_columns, str) else set(remove_columns or ())
        step, shaped = self._step, self._shaped

        def one_by_one(skip: int, epoch: int) -> Iterator[Row]:
            for index, row in enumerate(step(skip, epoch), skip):
                yield _merged(shaped(row), call.on(shaped(dict(row)), index), gone)

        def by_batches(skip: int, epoch: int) -> Iterator[Row]:
            return islice(_batched(map(shaped, step(0, epoch)), call, gone, drop_last_batch), skip, None)

        return self._with(by_batches if batched else one_by_one)

    def filter(
        self,
        function: Callable[..., Any],
        with_indices: bool = False,
        input_columns: str | Sequence[str] | None = None,
        batched: bool = False,
        batch_size: int | None = 1000,
        fn_kwargs: Mapping[str, Any] | None = None,
    ) -> IterableDataset:
        """As Dataset.filter, done when the rows are read."""
        from .mapping import Call

        call = Call(function, with_indices, input_columns, batched, batch_size, fn_kwargs, "Filter")
        step, shaped = self._step, self._shaped

        def one_by_one(epoch: int) -> Iterator[Row]:
            return (row for index, row in enumerate(step(0, epoch)) if call.on(shaped(dict(row)), index))

        def by_batches(epoch: int) -> Iterator[Row]:
            begin = 0
            for rows in in_blocks(step(0, epoch), call.batch_size or 1000):
                verdicts = call.on(_columns([shaped(row) for row in rows]), list(range(begin, begin + len(rows))))
                yield from (row for row, verdict in zip(rows, verdicts, strict=True) if verdict)
                begin += len(rows)

        chosen = by_batches if batched else one_by_one
        return self._with(lambda skip, epoch: islice(chosen(epoch), skip, None), self.features, self._names)

    def batch(self, batch_size: int, drop_last_batch: bool = False) -> IterableDataset:
        """Rows of batch_size rows each: every column becomes one of lists."""
        size, step = positive("batch_size", batch_size), self._step

        def grouped(skip: int, epoch: int) -> Iterator[Row]:
            blocks = in_blocks(step(skip * size, epoch), size)
            return (_columns(rows) for rows in blocks if len(rows) == size or not drop_last_batch)

        return self._with(grouped)

    def _each(self, change: Callable[[Row], Row], names: list[str] | None = None) -> IterableDataset:
        step = self._step
        return self._with(lambda skip, epoch: map(change, step(skip, epoch)), names=names)

    def rename_column(self, original_column_name: str, new_column_name: str) -> IterableDataset:
        """The column under another name."""
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping: Mapping[str, str]) -> IterableDataset:
        """Columns under other names."""
        mapping = dict(column_mapping)
        return self._each(
            lambda row: {mapping.get(name, name): value for name, value in _with_all(row, mapping).items()}
        )

    def remove_columns(self, column_names: str | Iterable[str]) -> IterableDataset:
        """Without these columns."""
        gone = {column_names} if isinstance(column_names, str) else set(column_names)
        return self._each(lambda row: {name: value for name, value in row.items() if name not in gone})

    def select_columns(self, column_names: str | Iterable[str]) -> IterableDataset:
        """With these columns only."""
        kept = [column_names] if isinstance(column_names, str) else list(column_names)
        return self._each(lambda row: {name: _with_all(row, kept)[name] for name in kept}, kept)

    def cast_column(self, column: str, feature: Any) -> IterableDataset:
        """The column as another feature, as Dataset.cast_column."""
        from .casting import cast_value

        wanted = Features({column: feature})[column]
        changed = self._each(
            lambda row: {**row, column: cast_value(row[column], wanted, column)} if column in row else row
        )
        changed.features = Features({**(self.features or {}), column: wanted})
        return changed

    def with_format(self, type: str | None = None, columns: Sequence[str] | None = None) -> IterableDataset:
        """Rows as 'numpy' or 'torch'; None: as Python's lists and numbers."""
        other = self._with(self._step, self.features, self._names)
        other._form = Format.of(type, columns, False)
        return other

    def __repr__(self) -> str:
        return f"IterableDataset({{\n    features: {self._names or 'Unknown'},\n    split: {self.split!r}\n}})"


def chained(streams: list[IterableDataset]) -> IterableDataset:
    """The streams end to end."""

    def step(skip: int, epoch: int) -> Iterator[Row]:
        return islice(chain.from_iterable(stream._step(0, epoch) for stream in streams), skip, None)

    return streams[0]._with(step)


def interleaved(
    streams: list[IterableDataset], probabilities: Sequence[float] | None, seed: int | None, is_long: bool
) -> IterableDataset:
    """Rows of each in turn, as interleave_datasets."""
    root = int(np.random.default_rng().integers(2**31)) if seed is None else seed

    def rows(epoch: int) -> Iterator[Row]:
        from .combining import order_of_sources

        sources = [stream._step(0, epoch) for stream in streams]
        ahead = [next(source, None) for source in sources]
        done = [row is None for row in ahead]
        for index in order_of_sources(len(streams), probabilities, root) if not any(done) else ():
            row, ahead[index] = ahead[index], next(sources[index], None)
            assert row is not None, "what is ahead is filled again below"
            yield row
            if ahead[index] is None:
                done[index] = True
                sources[index] = streams[index]._step(0, epoch)
                ahead[index] = next(sources[index], None)
            is_enough = all(done) if is_long else any(done)
            if is_enough and (probabilities is not None or index == len(streams) - 1):  # in turn: each as often
                return

    return streams[0]._with(lambda skip, epoch: islice(rows(epoch), skip, None))


def _with_all(row: Row, names: Iterable[str]) -> Row:
    for name in names:
        if name not in row:
            raise MissingKey(
                f"there is no column {name!r}.{did_you_mean(name, row)} Columns: {', '.join(map(repr, row))}."
            )
    return row


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _merged(row: Row, answer: Any, gone: set[str]) -> Row:
    if answer is not None and not isinstance(answer, Mapping):
        raise DataError(f"map: the function gave {shown(answer)}; expected a dictionary, or None.")
    return {**{name: value for name, value in row.items() if name not in gone}, **(answer or {})}


def _batched(rows: Iterator[Row], call: Any, gone: set[str], drop_last: bool) -> Iterator[Row]:
    begin = 0
    size = call.size(1 << 62)
    for block in in_blocks(rows, size):
        if drop_last and len(block) < size:
            return
        batch = _columns(block)
        answer = call.on(dict(batch), list(range(begin, begin + len(block))))
        begin += len(block)
        merged = _merged(batch, answer, gone)
        lengths = {name: len(values) for name, values in merged.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"map: the columns of a batch have different lengths: {lengths}. Give remove_columns=[…].")
        yield from (dict(zip(merged, values, strict=True)) for values in zip(*merged.values(), strict=True))
