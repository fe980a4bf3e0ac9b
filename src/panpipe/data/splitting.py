"""Dividing rows into two parts, and the parts that a split's name asks for: 'train[:10%]+test[5:]'."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataNotFound, InvalidArgument, did_you_mean

__all__ = ["SplitPart", "parse_split", "split_indices"]

_PART = re.compile(
    r"\s*([\w.-]+)\s*(?:\[\s*(?:(-?\d+)(%?))?\s*:\s*(?:(-?\d+)(%?))?\s*\])?\s*(?:\((closest|pct1_dropremainder)\))?\s*"
)


class SplitPart:
    """Rows begin … end - 1 of a split; `unit` of each bound is '%' or ''."""

    def __init__(self, name: str, begin: tuple[int, str] | None = None, end: tuple[int, str] | None = None) -> None:
        self.name = name
        self._begin = begin
        self._end = end

    @property
    def is_whole(self) -> bool:
        """Does it ask for all rows?"""
        return self._begin is None and self._end is None

    def bounds(self, length: int) -> tuple[int, int]:
        """(begin, end) within a split of that length."""
        begin = 0 if self._begin is None else _place(*self._begin, length)
        end = length if self._end is None else _place(*self._end, length)
        return begin, max(begin, end)


def parse_split(split: str, there: list[str]) -> list[SplitPart]:
    """The parts of a split's name; 'all' is every split.   Raises InvalidArgument, DataNotFound."""
    parts: list[SplitPart] = []
    for text in str(split).split("+"):
        match = _PART.fullmatch(text)
        if match is None:
            raise InvalidArgument(
                f"split={split!r} is not understood; write 'train', 'train[:10%]' or 'train[5:]+test'."
            )
        name, begin, begin_unit, end, end_unit, _ = match.groups()
        bounds = (None if begin is None else (int(begin), begin_unit), None if end is None else (int(end), end_unit))
        for value, unit in (bound for bound in bounds if bound is not None):
            if unit == "%" and abs(value) > 100:
                raise InvalidArgument(f"split={split!r} asks for {value} %.")
        names = there if name == "all" and "all" not in there else [name]
        for each in names:
            if each not in there:
                near = did_you_mean(each, there)
                raise DataNotFound(f"there is no split {each!r}.{near} Splits: {', '.join(there) or 'none'}.")
            parts.append(SplitPart(each, *bounds))
    return parts


def _place(value: int, unit: str, length: int) -> int:
    rows = round(value * length / 100) if unit else value
    return min(max(rows + length if rows < 0 or (value < 0 and unit) else rows, 0), length)


def split_indices(
    length: int, test_size: Any, train_size: Any, shuffle: bool, labels: list[Any] | None, drawn: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The rows of the first and of the second part.   Raises InvalidArgument."""
    test, train = _sizes(length, test_size, train_size)
    if labels is not None:
        if not shuffle:
            raise InvalidArgument("stratify_by_column needs shuffle=True.")
        return _stratified(labels, train, test, drawn)
    order = drawn.permutation(length) if shuffle else np.arange(length)
    return (order[test : test + train], order[:test]) if shuffle else (order[:train], order[train : train + test])


def _sizes(length: int, test_size: Any, train_size: Any) -> tuple[int, int]:
    if test_size is None and train_size is None:
        test_size = 0.25
    test = None if test_size is None else _size("test_size", test_size, length, np.ceil)
    train = None if train_size is None else _size("train_size", train_size, length, np.floor)
    test = length - train if test is None and train is not None else test
    assert test is not None, "one of them is known"
    train = length - test if train is None else train
    if test + train > length:
        raise InvalidArgument(f"train_size and test_size ask for {train} + {test} rows of {length}.")
    if train == 0:
        raise InvalidArgument(f"of {length} rows, none are left to train on (test_size={test_size!r}).")
    return test, train


def _size(name: str, value: Any, length: int, rounded: Any) -> int:
    is_share = isinstance(value, (float, np.floating))
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise InvalidArgument(f"{name}={value!r}: give a share (0.2) or a number of rows.")
    if not (0 < value < 1 if is_share else 0 < value < max(length, 1)):
        raise InvalidArgument(
            f"{name}={value!r}: a share lies between 0 and 1, a number of rows between 0 and {length}."
        )
    return int(rounded(value * length)) if is_share else int(value)


def _stratified(
    labels: list[Any], train: int, test: int, drawn: np.random.Generator
) -> tuple[NDArray[Any], NDArray[Any]]:
    groups: dict[Any, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    small = [label for label, rows in groups.items() if len(rows) < 2]
    if small:
        raise InvalidArgument(f"stratify_by_column: the class {small[0]!r} has one row; each needs at least 2.")
    if min(train, test) < len(groups):
        raise InvalidArgument(f"stratify_by_column: {min(train, test)} rows cannot hold all of {len(groups)} classes.")
    rows = [drawn.permutation(group) for group in groups.values()]
    sizes = np.array([len(group) for group in rows])
    tests = _shares(sizes, test)
    trains = _shares(sizes - tests, train)
    second = np.concatenate([group[:share] for group, share in zip(rows, tests, strict=True)])
    first = np.concatenate([group[skip : skip + share] for group, skip, share in zip(rows, tests, trains, strict=True)])
    return drawn.permutation(first), drawn.permutation(second)


def _shares(sizes: NDArray[Any], total: int) -> NDArray[Any]:
    """`total` divided in proportion to the sizes, by largest remainders."""
    exact = sizes * (total / sizes.sum())
    shares: NDArray[Any] = np.floor(exact).astype(np.int64)
    for group in np.argsort(shares - exact, kind="stable")[: total - int(shares.sum())]:
        shares[group] += 1
    return shares
