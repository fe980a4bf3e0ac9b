"""token-classification: a label for each word, or entities as spans of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ... import metrics
from ...errors import InputError, InvalidArgument, MissingKey
from ..batches import IGNORED
from ..collators import DataCollatorForTokenClassification
from .base import Feature, Row, TrainingTask
from .columns import Role, check_found, class_names, column_of, is_spans, is_tags, is_text, is_words

__all__ = ["TokenClassification"]

_LEADING = {"B": "I", "S": "I", "U": "I"}  # what a word's further tokens are, of a word that begins an entity


@dataclass
class TokenClassification(TrainingTask):
    """A label for each word: rows of words and tags, or of a text and entities {start, end, label} in its characters.

    Words are joined with spaces and tokenized as a pipeline will see them; where some words are spaces themselves
    (Korean tagged by characters) they are joined as they stand.

    label_all_tokens: the further tokens of a word learn its label too (B- as I-), not its first alone.
    max_length: tokens that texts are cut to; default what the model takes.
    """

    name: ClassVar[str] = "token-classification"
    head: ClassVar[str] = "token-classification"
    best: ClassVar[tuple[str, bool]] = ("f1", True)
    roles: ClassVar[tuple[Role, ...]] = (
        Role("words", "a list of words", ("tokens", "words", "token", "word"), is_words, is_needed=False),
        Role(
            "tags",
            "a list with a label for each word, by name or number",
            ("ner_tags", "tags", "labels", "label", "pos_tags", "chunk_tags", "ner"),
            is_tags,
            is_needed=False,
            by_values=False,
        ),
        Role("text", "a text", ("text", "sentence", "content"), is_text, is_needed=False, by_values=False),
        Role(
            "entities",
            "a list of {start, end, label}",
            ("entities", "spans", "annotations", "labels"),
            is_spans,
            is_needed=False,
            by_values=False,
        ),
    )

    label_all_tokens: bool = False
    max_length: int | None = None
    names: list[str] = field(init=False, default_factory=list)
    is_named: bool = field(init=False, default=True)  # the data have the names of tags, not their numbers

    @property
    def has_words(self) -> bool:
        """Words and tags, rather than a text and its entities."""
        return "words" in self.columns

    def read(self, rows: Any, columns: Mapping[str, str] | None = None) -> None:
        """Find the columns, and the labels over all rows."""
        super().read(rows, columns)
        if not self.has_words:
            values = column_of(rows, self.columns["entities"])
            types = {str(span["label"]) for spans in values for span in spans or ()}
            self.names = ["O", *(f"{prefix}-{kind}" for kind in sorted(types) for prefix in "BI")]
            return
        column = self.columns["tags"]
        known: set[Any] = set()
        for tags in column_of(rows, column):
            known.update(tags or ())
        self.is_named = not all(isinstance(tag, int) for tag in known)
        given = class_names(rows, column)
        if self.is_named:
            self.names = sorted(map(str, known), key=_tag_order)
        else:
            self.names = given or [f"LABEL_{number}" for number in range(max(known, default=0) + 1)]

    def check_columns(self, rows: Any) -> None:
        """Words and tags, or a text and entities."""
        has_spans = "text" in self.columns and "entities" in self.columns
        if has_spans and not ("words" in self.columns and "tags" in self.columns):
            self.columns = {role: name for role, name in self.columns.items() if role in ("text", "entities")}
            return
        wanted = [role for role in self.roles if role.name in ("words", "tags")]
        try:
            check_found([_needed(role) for role in wanted], self.columns, rows, self.name)
        except MissingKey as error:
            raise MissingKey(f"{error} (Or a text, and entities as {{start, end, label}}.)") from None
        self.columns = {role.name: self.columns[role.name] for role in wanted}

    def config(self, base: Any) -> dict[str, Any]:
        """The labels; those of a model that knows them all already keep their order."""
        if self.is_named and set(self.names) <= set(base.label2id):
            self.names = list(base.id2label.values())
        return {
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
        }

    def adopt(self, config: Any) -> None:
        """The labels of a model to be evaluated."""
        own = list(config.id2label.values())
        if self.is_named and (unknown := [name for name in self.names if name not in own]):
            raise InvalidArgument(
                f"the data have the labels {', '.join(unknown[:8])}, which the model lacks; it has "
                f"{', '.join(own[:12])}."
            )
        if len(self.names) > len(own):
            raise InvalidArgument(f"the data have labels up to {len(self.names) - 1}; the model has {len(own)}.")
        self.names = own

    # -- features ----------------------------------------------------------------------------------------------------

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """One feature for each row: its tokens, and the labels of those that are learned."""
        read = [self._of_words(row) if self.has_words else self._of_spans(row) for row in rows]
        limit = self.length(self.max_length)
        encodings = self.tokenizer.encode_batch(
            [text for text, _ in read], truncation="longest_first", max_length=limit, overflow=True
        )
        self.note_cut(sum(bool(encoding.overflowing) for encoding in encodings), len(rows), limit)
        features = []
        for encoding, (text, owners) in zip(encodings, read, strict=True):
            feature: Feature = {"input_ids": encoding.ids, "labels": self._labels(encoding, text, owners)}
            if "token_type_ids" in self.tokenizer.model_input_names:
                feature["token_type_ids"] = encoding.type_ids
            features.append([feature])
        return features

    def _of_words(self, row: Row) -> tuple[str, list[tuple[int, int, int]]]:
        """The text, and its parts: begin, end, label."""
        words, tags = self.value(row, "words"), self.value(row, "tags")
        if len(words) != len(tags):
            raise InputError(f"a row has {len(words)} words and {len(tags)} tags ({' '.join(words[:8])!r} …).")
        between = "" if any(word.isspace() for word in words) else " "
        parts, place = [], 0
        for word, tag in zip(words, tags, strict=True):
            parts.append((place, place + len(word), self._number(tag)))
            place += len(word) + len(between)
        return between.join(words), parts

    def _of_spans(self, row: Row) -> tuple[str, list[tuple[int, int, int]]]:
        text = self.value(row, "text")
        parts, place = [], 0
        for span in sorted(self.value(row, "entities"), key=lambda span: int(span["start"])):
            begin, end, kind = int(span["start"]), int(span["end"]), str(span["label"])
            if not place <= begin < end <= len(text):
                raise InputError(
                    f"the entity {begin} to {end} ({kind}) is outside of its text of {len(text)} characters, or "
                    f"overlaps another: {text!r:.60}."
                )
            parts += [(place, begin, self._number("O")), (begin, end, self._number(f"B-{kind}"))]
            place = end
        return text, [*parts, (place, len(text), self._number("O"))]

    def _number(self, tag: Any) -> int:
        if not self.is_named or isinstance(tag, int):
            number = int(tag)
            if not 0 <= number < len(self.names):
                raise InputError(f"a row has the tag {number}; there are {len(self.names)}.")
            return number
        found = self.model.config.label2id.get(str(tag))
        if found is None:
            raise InputError(f"the tag {tag!r:.40} is not one of the training rows': {', '.join(self.names[:12])}.")
        return found

    def _labels(self, encoding: Any, text: str, parts: list[tuple[int, int, int]]) -> list[int]:
        """Each token's label: that of the part in which its first letter is, if it is the part's first token."""
        labels, part, before = [], 0, -1
        for (begin, end), is_special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
            while begin < end and text[begin].isspace():
                begin += 1
            while part + 1 < len(parts) and parts[part][1] <= begin:
                part += 1
            if is_special or begin >= end or not parts or not parts[part][0] <= begin < parts[part][1]:
                labels.append(IGNORED)
                continue
            is_first, before = part != before, part
            labels.append(parts[part][2] if is_first else self._further(parts[part][2]))
        return labels

    def _further(self, label: int) -> int:
        """The label of a token that goes on with a word, or with an entity of a text."""
        if self.has_words and not self.label_all_tokens:
            return IGNORED
        prefix, _, kind = self.names[label].partition("-")
        inside = f"{_LEADING.get(prefix, prefix)}-{kind}"
        return self.names.index(inside) if kind and inside in self.names else label

    @property
    def collator(self) -> DataCollatorForTokenClassification:
        """Of texts with labels for their tokens."""
        return DataCollatorForTokenClassification(self.tokenizer)

    # -- scores ------------------------------------------------------------------------------------------------------

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """Of entities precision, recall and f1 (seqeval's), and by type; accuracy of labels."""
        said, right = [], []
        for (feature,), (output,) in zip(features, outputs, strict=True):
            labels = np.asarray(feature["labels"])
            learned = np.flatnonzero(labels != IGNORED)
            found = output[: len(labels)][learned]
            found = found if found.ndim == 1 else found.argmax(axis=-1)
            said.append([self.names[int(label)] for label in found])
            right.append([self.names[label] for label in labels[learned].tolist()])
        if not _are_tags(self.names):
            flat = [label for row in said for label in row], [label for row in right for label in row]
            macro = float(metrics.f1(*flat, average="macro", zero_division=0))
            return {"accuracy": metrics.accuracy(*flat), "f1": macro}
        found = metrics.entity_scores(said, right, zero_division=0)
        overall = {name.removeprefix("overall_"): value for name, value in found.items() if name.startswith("overall_")}
        overall.pop("mode", None)
        return overall | {f"{kind}_f1": value["f1"] for kind, value in found.items() if isinstance(value, Mapping)}


def _needed(role: Role) -> Role:
    return Role(role.name, role.about, role.usual, role.fits)


def _tag_order(tag: str) -> tuple[bool, str, int]:
    """O first, then by type: B-LOC, I-LOC, B-PER …"""
    prefix, _, kind = tag.partition("-")
    return (tag != "O", kind or tag, "BIMESLU".find(prefix))


def _are_tags(names: Sequence[str]) -> bool:
    """Do they mark where entities begin?"""
    return all(name == "O" or (name[:2] in ("B-", "I-", "E-", "S-", "L-", "U-")) for name in names)
