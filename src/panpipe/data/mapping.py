"""What `map` and `filter` do: a function over rows or batches, its results in new columns, which the cache keeps."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, InvalidArgument
from ..pipelines.inputs import shown
from .cache import Stored, cached
from .columns import INT, Column, NumberColumn
from .features import Feature, feature_of
from .fingerprint import Unhashable, derived
from .processes import Fill, filled, spans
from .rows import built, listed, positive
from .storing import TableWriter

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["Call", "filtered", "mapped"]

_log = logging.getLogger("panpipe.data")
_ROWS = 1000  # of an unbatched call that are read and written together
_INDICES = "indices"


@dataclass(frozen=True)
class Call:
    """A user's function, and how it is called."""

    function: Callable[..., Any]
    with_indices: bool = False
    input_columns: str | Sequence[str] | None = None
    batched: bool = False
    batch_size: int | None = 1000
    fn_kwargs: Mapping[str, Any] | None = None
    desc: str = "Map"
    num_proc: int | None = None
    names: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Check what was given."""
        if not callable(self.function):
            raise InvalidArgument(f"{self.desc.lower()} needs a function, not {shown(self.function)}.")
        columns = self.input_columns
        object.__setattr__(self, "names", (columns,) if isinstance(columns, str) else tuple(columns or ()))
        if self.batch_size is not None and self.batch_size > 0:
            positive("batch_size", self.batch_size)

    def size(self, length: int) -> int:
        """Rows that are read together; a batch_size of None (or ≤ 0) is all."""
        if not self.batched:
            return _ROWS
        return max(length, 1) if self.batch_size is None or self.batch_size <= 0 else self.batch_size

    def on(self, rows: Any, index: Any) -> Any:
        """The function's answer to a row or a batch."""
        arguments = [rows[name] for name in self.names] if self.names else [rows]
        return self.function(*arguments, *([index] if self.with_indices else []), **(self.fn_kwargs or {}))

    def key(self) -> tuple[Any, ...]:
        """What the result depends on."""
        size = self.batch_size if self.batched else None
        return (self.function, self.with_indices, self.names, self.batched, size, dict(self.fn_kwargs or {}))


def mapped(
    dataset: Dataset, call: Call, dropped: list[str], drop_last: bool, in_memory: bool, use_cache: bool
) -> Dataset:
    """`Dataset.map`."""
    dataset._check_columns([*call.names, *dropped])
    kept = [name for name in dataset.column_names if name not in dropped]
    name = _name(dataset, call, "map", sorted(dropped), drop_last)

    def fill(writer: TableWriter, first: int, last: int) -> None:
        changes: set[bool] = set()
        for begin, columns, length in _results(dataset, call, drop_last, first, last):
            changes.add(length is not None)
            if len(changes) > 1:
                raise DataError(f"map: the function gave None for some rows and not for others, from row {begin} on.")
            read = min(call.size(len(dataset)), len(dataset) - begin)
            if length is None:  # no change: the rows stay as they are
                writer.extend({}, read)
                continue
            if length != read and (left := [column for column in kept if column not in columns]):
                raise DataError(
                    f"map: the function gave {length} rows for {read}, but the columns {', '.join(map(repr, left))} "
                    f"keep {read}. Leave those out: remove_columns={left!r} (or dataset.column_names)."
                )
            writer.extend(columns, length)

    stored = _kept(dataset, name, call, fill, in_memory, use_cache)
    columns: dict[str, Column] = {name: dataset._columns[name] for name in kept}
    if stored.rows < len(dataset):  # of a last batch that was dropped
        columns = {name: column.slice(0, stored.rows) for name, column in columns.items()}
    columns.update(stored.columns)
    return dataset._like(columns, stored.rows, name, _features(stored, dataset))


def filtered(dataset: Dataset, call: Call, in_memory: bool, use_cache: bool) -> Dataset:
    """`Dataset.filter`."""
    dataset._check_columns(call.names)
    name = _name(dataset, call, "filter")

    def fill(writer: TableWriter, first: int, last: int) -> None:
        for begin, rows in _batches(dataset, call, first, last):
            kept = np.flatnonzero(_verdicts(call, rows, begin)) + begin
            writer.extend({_INDICES: NumberColumn(INT, kept.astype(np.int64))}, len(kept))

    column = _kept(dataset, name, call, fill, in_memory, use_cache).columns.get(_INDICES)
    indices = column.values if isinstance(column, NumberColumn) else np.zeros(0, np.int64)
    return dataset._chosen(np.asarray(indices, np.int64), name)


def _results(
    dataset: Dataset, call: Call, drop_last: bool, first: int, last: int
) -> Iterator[tuple[int, dict[str, Column], int | None]]:
    """(first row, columns that the function gave, their length) of each batch; a length of None: no change."""
    for begin, rows in _batches(dataset, call, first, last):
        length = _length(rows)
        if drop_last and call.batched and length < call.size(len(dataset)):
            return
        if call.batched:
            yield begin, *_of_batch(call.on(rows, list(range(begin, begin + length))), begin)
        else:
            answers = [call.on(row, begin + index) for index, row in enumerate(_each(rows))]
            yield begin, *_of_rows(answers, begin)


def _batches(dataset: Dataset, call: Call, first: int, last: int) -> Iterator[tuple[int, Any]]:
    from tqdm import tqdm

    size = call.size(len(dataset))
    in_one_of_several = multiprocessing.parent_process() is not None  # whose bars would be written over each other
    with tqdm(
        total=last - first, desc=call.desc, unit=" rows", delay=1, dynamic_ncols=True, disable=in_one_of_several
    ) as bar:
        for begin in range(first, last, size):
            end = min(begin + size, last)
            yield begin, dataset[begin:end]
            bar.update(end - begin)


def _each(rows: Any) -> Iterator[Any]:
    """The rows of a batch, one by one."""
    if not isinstance(rows, dict):  # a DataFrame
        return (rows.iloc[index : index + 1] for index in range(len(rows)))
    names = list(rows)
    return (dict(zip(names, values, strict=True)) for values in zip(*rows.values(), strict=True))


def _length(rows: Any) -> int:
    return len(next(iter(rows.values()), ())) if isinstance(rows, dict) else len(rows)


def _of_batch(answer: Any, begin: int) -> tuple[dict[str, Column], int | None]:
    if answer is None:
        return {}, None
    answer = _mapping(answer, f"the batch from row {begin}", "a dictionary of lists")
    columns = {str(name): built(str(name), _values(name, values)) for name, values in answer.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"map: the function gave columns of different lengths from row {begin} on: {lengths}.")
    return columns, next(iter(lengths.values()), None)


def _of_rows(answers: list[Any], begin: int) -> tuple[dict[str, Column], int | None]:
    if all(answer is None for answer in answers):
        return {}, None
    rows = [_mapping(answer, f"row {begin + index}", "a dictionary") for index, answer in enumerate(answers)]
    names = dict.fromkeys(name for row in rows for name in row)
    return {str(name): built(str(name), [row.get(name) for row in rows]) for name in names}, len(rows)


def _mapping(answer: Any, where: str, expected: str) -> Any:
    if isinstance(answer, Mapping):
        return answer
    if hasattr(answer, "to_dict") and hasattr(answer, "columns"):
        return answer.to_dict("list")  # a DataFrame
    raise DataError(f"map: the function gave {shown(answer)} for {where}; expected {expected}, or None for every row.")


def _values(name: Any, values: Any) -> list[Any]:
    try:
        return listed(values)
    except DataError as error:
        raise DataError(f"map: the column {name!r} of a batch: {error} One value per row, in a list.") from None


def _verdicts(call: Call, rows: Any, begin: int) -> list[bool]:
    length = _length(rows)
    if not call.batched:
        return [bool(call.on(row, begin + index)) for index, row in enumerate(_each(rows))]
    verdicts = call.on(rows, list(range(begin, begin + length)))
    if not hasattr(verdicts, "__len__") or len(verdicts) != length:
        raise DataError(f"filter: the function gave {shown(verdicts)} for {length} rows; expected a boolean for each.")
    return [bool(verdict) for verdict in verdicts]


def _name(dataset: Dataset, call: Call, *what: Any) -> str | None:
    """The result's name in the cache, or None."""
    if dataset._name is None or dataset._cache is None:
        return None
    try:
        return derived(dataset._name, *what, call.key(), dataset._form)
    except Unhashable as error:
        _log.warning("%s is not kept in the cache: of the function, %s.", call.desc, error)
        return None


def _kept(dataset: Dataset, name: str | None, call: Call, fill: Fill, in_memory: bool, use_cache: bool) -> Stored:
    def write(folder: Path | None) -> tuple[dict[str, Column], int]:
        writer = filled(folder, spans(len(dataset), call.size(len(dataset)), call.num_proc), fill)
        return writer.finish(), writer.length

    if in_memory or dataset._cache is None:
        return Stored(*write(None), {}, None)
    return cached(dataset._cache, name if use_cache else None, write)


def _features(stored: Stored, dataset: Dataset) -> dict[str, Feature]:
    """Of the columns that were written: what they meant before where that still fits (classes), else what they hold."""
    return {
        name: before
        if (before := dataset.features.get(name)) is not None and before.kind == column.kind
        else feature_of(column.kind)
        for name, column in stored.columns.items()
    }
