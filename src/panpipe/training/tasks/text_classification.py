"""text-classification: a class for a text or a pair of texts, several classes at once, or a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ... import metrics
from ...errors import InputError, InvalidArgument
from ..collators import DataCollatorWithPadding
from .base import Feature, Row, TrainingTask
from .columns import Role, class_names, column_of, is_label, is_text

__all__ = ["TextClassification"]

PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")
MOST_CLASSES = 10_000


@dataclass
class TextClassification(TrainingTask):
    """A class for each text, or pair of texts.

    Labels: names or numbers (one class each), lists of them (several at once), or numbers with fractions (regression).

    max_length: tokens that texts are cut to; default what the model takes.
    problem_type: single_label_classification, multi_label_classification or regression; default by the labels.
    """

    name: ClassVar[str] = "text-classification"
    head: ClassVar[str] = "sequence-classification"
    best: ClassVar[tuple[str, bool]] = ("accuracy", True)
    roles: ClassVar[tuple[Role, ...]] = (
        Role(
            "text",
            "a text",
            (
                *("text", "premise", "sentence1", "question1", "text1", "question", "sentence", "review", "content"),
                *("document", "body", "comment", "message", "utterance", "title", "문장", "본문", "내용"),
            ),
            is_text,
        ),
        Role(
            "pair",
            "the second text of a pair",
            ("text_pair", "hypothesis", "sentence2", "question2", "text2", "pair", "sentence"),
            is_text,
            is_needed=False,
            by_values=False,
        ),
        Role(
            "label",
            "a class (its name or number), several in a list, or a number",
            (
                *("label", "labels", "class", "category", "sentiment", "intent", "topic", "target", "gold_label"),
                *("score", "similarity", "stars", "rating", "라벨", "레이블"),
            ),
            is_label,
        ),
    )

    max_length: int | None = None
    problem_type: str | None = None
    names: list[str] = field(init=False, default_factory=list)
    spelled: dict[str, str] = field(init=False, default_factory=dict)  # as the model has them
    is_numbered: bool = field(init=False, default=False)  # the data have numbers for classes

    def read(self, rows: Any, columns: Mapping[str, str] | None = None) -> None:
        """Find the columns, the kind of problem and the classes, over all rows."""
        if self.problem_type not in (None, *PROBLEMS):
            raise InvalidArgument(f"problem_type is {self.problem_type!r}; it must be one of {', '.join(PROBLEMS)}.")
        super().read(rows, columns)
        column = self.columns["label"]
        values = [value for value in column_of(rows, column) if value is not None]
        self.problem_type = self.problem_type or _problem_of(values)
        if self.problem_type == "regression":
            self.names = ["LABEL_0"]
            return
        self.names = class_names(rows, column) or _names_of(values)
        self.is_numbered = all(isinstance(each, int) for value in values for each in _listed(value))
        if len(self.names) < 2 and self.problem_type == PROBLEMS[0]:
            raise InputError(f"all rows have one label, {', '.join(self.names) or 'none'}: there is nothing to learn.")
        if len(self.names) > MOST_CLASSES:
            raise InputError(
                f"{column} has {len(self.names)} classes. For a regression give problem_type='regression'."
            )

    def config(self, base: Any) -> dict[str, Any]:
        """The classes; those of a model that knows them all already keep their order."""
        if self.problem_type != "regression" and set(self.names) <= set(base.label2id):
            self.names = list(base.id2label.values())
        return {
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
            "problem_type": self.problem_type,
        }

    def adopt(self, config: Any) -> None:
        """The classes of a model to be evaluated: by name, whatever its case, or by number."""
        if config.num_labels == 1:
            self.problem_type = "regression"
            return
        own = list(config.id2label.values())
        by_lower = {name.lower(): name for name in own}
        if {name.lower() for name in self.names} <= set(by_lower):
            self.spelled = {name: by_lower[name.lower()] for name in self.names}
        elif not self.is_numbered or len(self.names) > len(own):
            raise InvalidArgument(
                f"the data have the labels {', '.join(self.names[:12])}, and the model {', '.join(own[:12])}: they "
                "must be the same. Is it a model for another task?"
            )
        self.names = own

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """One feature for each row."""
        texts = [self.value(row, "text") for row in rows]
        pairs = [self.value(row, "pair") for row in rows] if "pair" in self.columns else None
        ids, types = self.tokenizer.encode_ids(
            texts, pairs, truncation="longest_first", max_length=self.length(self.max_length)
        )
        features: list[Feature] = [{"input_ids": each} for each in ids]
        if types is not None:
            for feature, each in zip(features, types, strict=True):
                feature["token_type_ids"] = each
        for feature, row in zip(features, rows, strict=True):
            feature["labels"] = self.label(self.value(row, "label"))
        return [[feature] for feature in features]

    def label(self, value: Any) -> Any:
        """A row's label as the model's: a number, or a list of zeros and ones.   Raises InputError."""
        if self.problem_type == "regression":
            return float(value)
        if self.problem_type == "single_label_classification":
            return self._number(value)
        if _is_hot(value, len(self.names)):
            return [float(each) for each in value]
        chosen = {self._number(each) for each in value}
        return [float(number in chosen) for number in range(len(self.names))]

    def _number(self, value: Any) -> int:
        by_place = self.is_numbered and not _are_numbers(self.names) and _is_place(value, self.names)
        name = self.names[value] if by_place else _word(value)
        number = self.model.config.label2id.get(self.spelled.get(name, name))
        if number is None:
            raise InputError(
                f"the label {value!r:.60} is not one of the training rows': {', '.join(self.names[:12])}"
                f"{', …' if len(self.names) > 12 else ''}."
            )
        return number

    @property
    def collator(self) -> DataCollatorWithPadding:
        """Of texts with a label."""
        return DataCollatorWithPadding(self.tokenizer)

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """accuracy and f1; of several labels at once f1; of a regression pearson, spearmanr and mse."""
        logits = np.stack([output[0] for output in outputs])
        labels = np.array([feature[0]["labels"] for feature in features])
        if self.problem_type == "regression":
            found = logits[:, 0]
            return {
                "pearson": metrics.pearson(found, labels) if np.ptp(found) and np.ptp(labels) else 0.0,
                "spearmanr": metrics.spearman(found, labels) if np.ptp(found) and np.ptp(labels) else 0.0,
                "mse": metrics.mse(found, labels),
            }
        if self.problem_type == "multi_label_classification":
            said = (logits > 0).astype(int)
            return {
                "f1": float(metrics.f1(said.ravel(), labels.astype(int).ravel(), zero_division=0)),
                "accuracy": float((said == labels).all(axis=1).mean()),
            }
        said = logits.argmax(axis=1)
        return {
            "accuracy": metrics.accuracy(said, labels),
            "f1": float(metrics.f1(said, labels, average="macro", zero_division=0)),
        }

    def arguments(self) -> dict[str, Any]:
        """By the kind of problem."""
        best = {"regression": "pearson", "multi_label_classification": "f1"}.get(self.problem_type or "", "accuracy")
        return {"metric_for_best_model": best, "greater_is_better": True}


def _problem_of(labels: Sequence[Any]) -> str:
    if any(isinstance(label, (list, tuple)) for label in labels):
        return "multi_label_classification"
    if any(isinstance(label, float) for label in labels):
        return "regression"
    return "single_label_classification"


def _names_of(labels: Sequence[Any]) -> list[str]:
    """All classes: names in alphabetical order, numbers in theirs; of lists of zeros and ones their places."""
    if isinstance(labels[0], (list, tuple)) and all(_is_hot(label, len(labels[0])) for label in labels):
        return [f"LABEL_{place}" for place in range(len(labels[0]))]
    values = {each for label in labels for each in _listed(label)}
    if not all(isinstance(value, int) for value in values):
        return sorted(map(_word, values))
    if sorted(values) == list(range(len(values))):
        return [f"LABEL_{number}" for number in range(len(values))]
    return [_word(value) for value in sorted(values)]


def _listed(label: Any) -> Sequence[Any]:
    return label if isinstance(label, (list, tuple)) else (label,)


def _is_hot(value: Any, size: int) -> bool:
    """A list of zeros and ones, one for each class."""
    return isinstance(value, (list, tuple)) and len(value) == size > 1 and all(each in (0, 1) for each in value)


def _is_place(value: Any, names: Sequence[str]) -> bool:
    return isinstance(value, int) and 0 <= value < len(names)


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.lstrip("-").isdecimal() for name in names)


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, int) else str(value)
