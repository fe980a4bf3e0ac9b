"""A text as it is being written: its pieces, each as soon as it is decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..generation import Job

__all__ = ["Pieces"]


class Pieces(Iterator[str]):
    """The pieces of a text. Together they are the text, and none ends within a character.

    `close()`, or the end of a `with` block, stops the writing.
    seed: what its sampling can be repeated with.
    answer: when it is over, what the pipeline answers without stream=True; of a stopped text as far as it came.
    """

    def __init__(self, pieces: Iterator[str], job: Job, answer: Callable[[Job], Any]) -> None:
        self._pieces = pieces
        self._job = job
        self._answer = answer

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def seed(self) -> int:
        """What the sampling began with."""
        return self._job.seed

    @property
    def answer(self) -> Any:
        """The pipeline's answer. What is not read yet is written first."""
        for _ in self._pieces:
            pass
        return self._answer(self._job)

    def close(self) -> None:
        """Write no more."""
        self._pieces.close()  # type: ignore[attr-defined]  # a generator

    def __enter__(self) -> Pieces:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
