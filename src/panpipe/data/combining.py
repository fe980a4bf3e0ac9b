"""Several data sets as one: end to end, side by side, or their rows in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidArgument
from ..pipelines.inputs import shown
from .building import widened
from .columns import NULL, ChainedColumn, Column, Kind, NullColumn, join
from .dataset import Dataset
from .features import Feature
from .fingerprint import fingerprint
from .iterable import IterableDataset, chained, interleaved
from .rows import owned

__all__ = ["concatenate_datasets", "interleave_datasets", "order_of_sources"]

_DRAWN = 1000
STRATEGIES = ("first_exhausted", "all_exhausted")


def concatenate_datasets(dsets: Sequence[Any], axis: int = 0, split: str | None = None) -> Any:
    """The rows of all, one data set after the other; axis=1: their columns, side by side.

    A column that one of them lacks is None in its rows; kinds that differ are widened.   Raises InvalidArgument.
    """
    _check(dsets)
    if isinstance(dsets[0], IterableDataset):
        if axis:
            raise InvalidArgument("streams are put end to end (axis=0) only.")
        return chained(list(dsets))
    if len(dsets) == 1:
        return dsets[0]
    made = _beside(dsets) if axis == 1 else _end_to_end(dsets)
    made.split = split
    return made


def interleave_datasets(
    datasets: Sequence[Any],
    probabilities: Sequence[float] | None = None,
    seed: int | None = None,
    stopping_strategy: str = "first_exhausted",
) -> Any:
    """Rows of each in turn, or drawn with these probabilities.

    stopping_strategy: 'first_exhausted': until one has no more rows; 'all_exhausted': until each was read whole, the
    shorter ones from their beginning again.   Raises InvalidArgument.
    """
    _check(datasets)
    if stopping_strategy not in STRATEGIES:
        raise InvalidArgument(f"stopping_strategy={stopping_strategy!r}: choose {' or '.join(map(repr, STRATEGIES))}.")
    if probabilities is not None:
        given = np.asarray(probabilities, np.float64)
        if given.shape != (len(datasets),) or (given < 0).any() or abs(given.sum() - 1) > 1e-6:
            raise InvalidArgument(f"probabilities={probabilities!r}: give one per data set, with the sum 1.")
    if isinstance(datasets[0], IterableDataset):
        return interleaved(list(datasets), probabilities, seed, stopping_strategy == "all_exhausted")
    lengths = [len(each) for each in datasets]
    if not all(lengths):
        raise InvalidArgument("a data set without rows cannot be interleaved.")
    rows = _turns(lengths, probabilities, seed, stopping_strategy == "all_exhausted")
    return concatenate_datasets(datasets).select(rows)


def order_of_sources(number: int, probabilities: Sequence[float] | None, seed: int | None) -> Iterator[int]:
    """Which data set gives the next row, for ever."""
    if probabilities is None:
        while True:
            yield from range(number)
    drawn = np.random.default_rng(seed)
    while True:
        yield from drawn.choice(number, size=_DRAWN, p=np.asarray(probabilities)).tolist()


def _turns(
    lengths: list[int], probabilities: Sequence[float] | None, seed: int | None, is_long: bool
) -> NDArray[np.int64]:
    begins = np.cumsum([0, *lengths])
    taken, done = [0] * len(lengths), [False] * len(lengths)
    rows: list[int] = []
    for source in order_of_sources(len(lengths), probabilities, seed):
        rows.append(int(begins[source]) + taken[source] % lengths[source])
        taken[source] += 1
        done[source] = done[source] or taken[source] == lengths[source]
        is_enough = all(done) if is_long else any(done)
        if is_enough and (probabilities is not None or source == len(lengths) - 1):  # in turn: each as often
            break
    return np.asarray(rows, np.int64)


def _check(datasets: Sequence[Any]) -> None:
    if not isinstance(datasets, (list, tuple)) or not datasets:
        raise InvalidArgument(f"give a list of data sets, not {shown(datasets)}.")
    for each in datasets:
        if not isinstance(each, (Dataset, IterableDataset)):
            hint = " Choose a split, as ds['train']." if isinstance(each, dict) else ""
            raise InvalidArgument(f"{shown(each)} is no Dataset.{hint}")
        if type(each) is not type(datasets[0]):
            raise InvalidArgument("data sets and streams cannot be mixed; use .to_iterable_dataset().")


def _end_to_end(datasets: Sequence[Dataset]) -> Dataset:
    names = dict.fromkeys(name for each in datasets for name in each.column_names)
    columns: dict[str, Column] = {}
    features: dict[str, Feature] = {}
    for name in names:
        parts = [each._columns[name] if name in each._columns else NullColumn(len(each)) for each in datasets]
        kind = NULL
        for part in parts:
            kind = join(kind, part.kind)
        columns[name] = ChainedColumn([_as_kind(part, kind) for part in parts])
        told = [each.features[name] for each in datasets if name in each.features]
        alike = [feature for feature in told if feature.kind == kind]
        if alike:
            if any(feature != alike[0] and hasattr(feature, "names") for feature in alike):
                raise InvalidArgument(f"the column {name!r} has other classes in each: {told}. Align them first.")
            features[name] = alike[0]
    return Dataset(
        columns,
        sum(map(len, datasets)),
        features=features,
        form=datasets[0]._form,
        name=_name("concatenate", datasets),
        cache=datasets[0]._cache,
    )


def _as_kind(column: Column, kind: Kind) -> Column:
    return column if column.kind in (kind, NULL) else widened(owned(column), kind)


def _beside(datasets: Sequence[Dataset]) -> Dataset:
    if len({len(each) for each in datasets}) > 1:
        raise InvalidArgument(f"side by side, all need the same number of rows; they have {[*map(len, datasets)]}.")
    names = [name for each in datasets for name in each.column_names]
    if len(set(names)) < len(names):
        raise InvalidArgument(f"two columns would have one name: {', '.join(names)}.")
    columns = {name: column for each in datasets for name, column in each._columns.items()}
    features = {name: feature for each in datasets for name, feature in each.features.items()}
    first = datasets[0]
    return Dataset(columns, len(first), features=features, name=_name("beside", datasets), cache=first._cache)


def _name(what: str, datasets: Sequence[Dataset]) -> str | None:
    names = [each._name for each in datasets]
    return None if None in names else fingerprint(what, names)
