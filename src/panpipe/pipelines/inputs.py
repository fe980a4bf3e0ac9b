"""The forms in which inputs come: one, a collection in memory, a stream; and reading a stream by the window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..errors import InputError

__all__ = [
    "Answers",
    "Interrupted",
    "KeyDataset",
    "KeyPairDataset",
    "SizedAnswers",
    "collected",
    "is_in_memory",
    "read_windows",
    "shown",
    "source_of",
]

SLOW_SECONDS = 0.02
FIRST_WINDOW = 1
WINDOW_INPUTS = 128
WINDOW_CHARACTERS = 32_768  # about 8 thousand tokens: what is held in memory while they are run


class KeyDataset:
    """One column of a dataset of dictionaries: `pipe(KeyDataset(dataset, "text"))`."""

    def __init__(self, dataset: Any, key: str) -> None:
        self.dataset = dataset
        self.key = key

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index][self.key]


class KeyPairDataset:
    """Two columns of a dataset of dictionaries, as text and text_pair."""

    def __init__(self, dataset: Any, key1: str, key2: str) -> None:
        self.dataset = dataset
        self.key1 = key1
        self.key2 = key2

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.dataset[index]
        return {"text": row[self.key1], "text_pair": row[self.key2]}


class Answers:
    """The answers to a stream of inputs, computed as they are asked for.

    Iterating anew starts anew where the source can (a dataset; not a generator).
    """

    def __init__(self, answers: Callable[[], Iterator[Any]], source: Any) -> None:
        self._answers = answers
        self._source = source
        self._current: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        self._current = self._answers()
        return self._current

    def __next__(self) -> Any:
        if self._current is None:
            self._current = self._answers()
        return next(self._current)


class SizedAnswers(Answers):
    """Answers to a source of known length."""

    def __len__(self) -> int:
        """The number of inputs, and so of answers."""
        return len(self._source)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what was made until then in `answers`: the first inputs' answers, the last of them maybe unfinished.

    In a notebook: `sys.last_value.answers`.
    """

    answers: list[Any]


def collected(answers: Iterable[Any]) -> list[Any]:
    """The answers as a list.   Raises Interrupted with those that there were."""
    made: list[Any] = []
    try:
        made.extend(answers)
    except Interrupted as stop:
        stop.answers = made
        raise
    return made


def is_in_memory(inputs: Any) -> bool:
    """Is this a collection whose answers come as one list: a list, tuple, set, NumPy array or pandas Series?"""
    return isinstance(inputs, (list, tuple, set, frozenset)) or (
        hasattr(inputs, "tolist") and _length(inputs) is not None
    )


def source_of(inputs: Any, expected: str) -> Iterable[Any]:
    """The inputs as an iterable.   Raises InputError, naming what was expected, where they are none.

    A dataset that has only `__len__` and `__getitem__` (PyTorch's) is read by index.
    """
    if isinstance(inputs, Mapping) or inputs is None or isinstance(inputs, (bytes, bytearray)):
        raise InputError(f"the input is {shown(inputs)}; expected {expected}.")
    if getattr(inputs, "ndim", 1) != 1:  # a DataFrame would give the names of its columns
        raise InputError(f"the input is a {type(inputs).__name__} of {inputs.ndim} dimensions; give one column of it.")
    if hasattr(type(inputs), "__iter__"):
        return inputs  # type: ignore[no-any-return]
    if hasattr(type(inputs), "__getitem__") and _length(inputs) is not None:
        return _Indexed(inputs)
    raise InputError(f"the input is {shown(inputs)}; expected {expected}, or a list or stream of these.")


def read_windows(
    source: Iterable[Any], first: int = FIRST_WINDOW, most: int = WINDOW_INPUTS
) -> Iterator[tuple[list[Any], Exception | None]]:
    """The inputs a window at a time, with the error that the source raised after them, if it did.

    Windows grow from `first` inputs to `most`, so that the first answers come soon. A source that keeps us waiting (a
    queue, a server) is read one input at a time until it is quick again: what is there should not wait for what is not.
    With most=1 nothing is read ahead: for a source that itself waits for an answer before it gives its next input.
    """
    iterator = iter(source)
    size = min(first, most)
    while True:
        window: list[Any] = []
        characters = 0
        error: Exception | None = None
        waited = False
        try:
            while len(window) < size and characters < WINDOW_CHARACTERS and not waited:
                began = time.perf_counter()
                window.append(value := next(iterator))
                waited = time.perf_counter() - began > SLOW_SECONDS
                characters += _characters(value)
        except StopIteration:
            if window:
                yield window, None
            return
        except Exception as raised:  # handed on after the answers to what was read before it
            error = raised
        yield window, error
        if error is not None:
            return
        size = 1 if waited else min(2 * size, most)


class _Indexed:
    """Iteration by index over what has only a length and items."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[Any]:
        return (self._dataset[index] for index in range(len(self._dataset)))

    def __len__(self) -> int:
        return len(self._dataset)


def _characters(value: Any) -> int:
    """A measure of how much text an input holds."""
    if isinstance(value, str):
        return len(value)
    parts: Iterable[Any] = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    return sum(map(_characters, parts))


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except TypeError:  # also an array of no dimensions
        return None


def shown(value: Any) -> str:
    """A value and its type, in an error's words."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"
