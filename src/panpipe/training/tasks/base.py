"""What every task of training is: rows of a data set become features, and what a model says of them scores."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...data import Dataset
from ...data.rows import in_blocks
from ...errors import InputError
from ...models.model import Model
from ...tokenization import Tokenizer
from .columns import Role, check_found, guessed

__all__ = ["Feature", "Row", "TrainingTask"]

_log = logging.getLogger("panpipe")

Row = Mapping[str, Any]
Feature = dict[str, Any]

IN_MEMORY = 100_000
"""Rows up to which features stay in memory; those of larger data are kept in files."""

_FOR_MODELS = ("input_ids", "token_type_ids", "labels", "start_positions", "end_positions", "document_lengths")


@dataclass
class TrainingTask(ABC):
    """A task: its columns, its labels, its features and its scores.

    Made with its options; `read` looks at the training rows, `take` is told the model and its tokenizer.
    """

    name: ClassVar[str]
    head: ClassVar[str]
    roles: ClassVar[tuple[Role, ...]]
    best: ClassVar[tuple[str, bool]]  # the metric that decides, and whether more of it is better
    writes: ClassVar[bool] = False  # its predictions are texts

    columns: dict[str, str] = field(init=False, default_factory=dict)
    model: Model = field(init=False)
    tokenizer: Tokenizer = field(init=False)

    def read(self, rows: Any, columns: Mapping[str, str] | None = None) -> None:
        """Find the columns, and whatever else the training rows must say (the labels).

        columns: role → column, those that are not to be guessed.   Raises MissingKey, InvalidArgument, InputError.
        """
        self.columns = guessed(self.roles, rows, columns)
        self.check_columns(rows)
        unsaid = {role: name for role, name in self.columns.items() if role not in (columns or {}) and role != name}
        if unsaid:
            _log.info(
                "columns by their names and values: %s.", ", ".join(f"{r} = {name}" for r, name in unsaid.items())
            )

    def check_columns(self, rows: Any) -> None:
        """Raises MissingKey where a column is wanting."""
        check_found(self.roles, self.columns, rows, self.name)

    def config(self, base: Any) -> dict[str, Any]:
        """What is laid over the config of the model to be trained.   base: its config as it is."""
        return {}

    def adopt(self, config: Any) -> None:
        """Let the labels be those of a model that is to be evaluated.   Raises InvalidArgument where they cannot be."""
        del config  # most tasks have none

    def take(self, model: Model, tokenizer: Tokenizer) -> None:
        """The model, and its tokenizer, that the features are for.   Raises InvalidArgument."""
        self.model, self.tokenizer = model, tokenizer

    # -- features ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """The features of each row: one, or several where it is cut into windows."""

    def features(self, dataset: Any) -> Dataset:
        """All features of a data set, as rows for a Trainer."""
        return kept(lambda: self._features(dataset), len(dataset) <= IN_MEMORY)

    def _features(self, dataset: Any) -> Iterator[Feature]:
        for rows in self.blocks(dataset):
            for features in self.encode(rows):
                yield from features

    def blocks(self, dataset: Any) -> Iterator[list[Row]]:
        """The rows, some at a time.   Raises InputError for one that lacks a value, with its number."""
        first = 0
        for rows in in_blocks(dataset):
            for place, row in enumerate(rows, first):
                self.check_row(row, place)
            yield rows
            first += len(rows)

    def check_row(self, row: Row, place: int) -> None:
        """Raises InputError."""
        for role in self.roles:
            column = self.columns.get(role.name)
            if column is not None and not role.fits(row.get(column)):
                raise InputError(f"row {place}: {column} is {row.get(column)!r:.60}; expected {role.about}.")

    def value(self, row: Row, role: str) -> Any:
        """What a row has in a role; None where the data have no such column."""
        column = self.columns.get(role)
        return None if column is None else row[column]

    @property
    @abstractmethod
    def collator(self) -> Any:
        """What makes batches of the features."""

    def length(self, asked: int | None, most: int | None = None) -> int:
        """The tokens that texts are cut to: as asked, at most what the model and the tokenizer take."""
        limits = [self.model.max_length, self.tokenizer.model_max_length, asked, most]
        return min(limit for limit in limits if limit)

    def note_cut(self, number: int, of: int, length: int) -> None:
        """Say that texts were cut."""
        if number:
            _log.warning("%d of %d texts are longer than %d tokens, and were cut there.", number, of, length)

    # -- scores ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """The metrics.   outputs: for each row a list with what the model said of each feature; of tasks that write
        a text.
        """

    def compute_metrics(self, dataset: Any) -> Callable[[Any], dict[str, Any]] | None:
        """A Trainer's `compute_metrics` for the features of a data set; None where the loss says it all."""

        def compute(prediction: Any) -> dict[str, Any]:
            rows = [row for block in self.blocks(dataset) for row in block]
            features = [each for block in in_blocks(rows) for each in self.encode(block)]
            scores = self.score(rows, features, list(self._outputs(prediction.predictions, features)))
            return {name: value for name, value in scores.items() if isinstance(value, (int, float))}

        return compute

    def _outputs(self, predictions: Any, features: Sequence[Sequence[Feature]]) -> Iterator[Any]:
        """What was predicted, laid together, for each row again."""
        place = 0
        for of_row in features:
            yield [self.output(predictions, place + number, feature) for number, feature in enumerate(of_row)]
            place += len(of_row)

    def output(self, predictions: Any, place: int, feature: Feature) -> Any:
        """What was predicted of one feature."""
        return np.asarray(predictions[place])

    def arguments(self) -> dict[str, Any]:
        """TrainingArguments that this task has by default."""
        name, is_greater = self.best
        return {"metric_for_best_model": name, "greater_is_better": is_greater}


def kept(rows: Callable[[], Iterable[Mapping[str, Any]]], in_memory: bool) -> Dataset:
    """Features, of what models read, as a data set."""
    names = set(_FOR_MODELS)
    return Dataset.from_generator(
        lambda: ({k: v for k, v in row.items() if k in names} for row in rows()), in_memory=in_memory
    )
