"""question-answering: the span of a context that answers a question; long contexts in windows that overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ... import metrics
from ...errors import InputError, InvalidArgument
from ...pipelines.scripts import is_hangul
from ...pipelines.spans import Window, global_spans
from ..collators import DefaultDataCollator
from .base import Feature, Row, TrainingTask
from .columns import Role, is_answers, is_text

__all__ = ["QuestionAnswering"]


@dataclass
class QuestionAnswering(TrainingTask):
    """The span of a context that answers a question, as SQuAD has them; a question without answers learns to say none.

    max_length: tokens of a window, question included.
    doc_stride: tokens that windows share; default 128, or half a window.
    max_answer_length: tokens of the answers that are looked for in evaluation.
    """

    name: ClassVar[str] = "question-answering"
    head: ClassVar[str] = "question-answering"
    best: ClassVar[tuple[str, bool]] = ("f1", True)
    roles: ClassVar[tuple[Role, ...]] = (
        Role("question", "a question", ("question", "query", "질문"), is_text, by_values=False),
        Role("context", "the text with the answer", ("context", "passage", "document", "text", "본문"), is_text),
        Role("answers", 'as SQuAD has them: {"text": […], "answer_start": […]}', ("answers", "answer"), is_answers),
    )

    max_length: int | None = 384
    doc_stride: int | None = None
    max_answer_length: int = 30
    stride: int = field(init=False, default=0)
    with_none: bool = field(init=False, default=False)  # some questions have no answer

    def read(self, rows: Any, columns: Mapping[str, str] | None = None) -> None:
        """Find the columns."""
        super().read(rows, columns)
        self.with_none = any(not _answers(self.value(row, "answers")) for row in rows)

    def take(self, model: Any, tokenizer: Any) -> None:
        """Windows must have room."""
        super().take(model, tokenizer)
        length = self.length(self.max_length)
        self.stride = min(length // 2, 128) if self.doc_stride is None else self.doc_stride
        if not 0 <= self.stride < length:
            raise InvalidArgument(f"doc_stride is {self.stride}; it must be less than max_length, {length}.")

    # -- features ----------------------------------------------------------------------------------------------------

    def encode(self, rows: Sequence[Row]) -> list[list[Feature]]:
        """A feature for each window; that without the whole answer has CLS for one."""
        questions = [self.value(row, "question").strip() for row in rows]
        contexts = [self.value(row, "context") for row in rows]
        limit = self.length(self.max_length)
        encodings = self.tokenizer.encode_batch(
            questions, contexts, truncation="only_second", max_length=limit, stride=self.stride, overflow=True
        )
        return [
            list(self._windows([encoding, *encoding.overflowing], _answers(self.value(row, "answers")), row))
            for row, encoding in zip(rows, encodings, strict=True)
        ]

    def _windows(self, windows: Sequence[Any], answers: list[tuple[str, int]], row: Row) -> Iterator[Feature]:
        first = 0
        for window in windows:
            places = [place for place, sequence in enumerate(window.sequence_ids) if sequence == 1]
            begin, end = (places[0], places[-1] + 1) if places else (0, 0)
            null = window.ids.index(self.tokenizer.cls_token_id) if self.tokenizer.cls_token_id in window.ids else 0
            offsets = window.offsets[begin:end]
            span = _span(offsets, answers[0], self.value(row, "context")) if answers else None
            feature: Feature = {
                "input_ids": window.ids,
                "null": null,
                "begin": begin,
                "offsets": offsets,
                "first": first,
            }
            feature["start_positions"] = null if span is None else begin + span[0]
            feature["end_positions"] = null if span is None else begin + span[1]
            if "token_type_ids" in self.tokenizer.model_input_names:
                feature["token_type_ids"] = window.type_ids
            yield feature
            first += max(1, end - begin - self.stride)

    @property
    def collator(self) -> DefaultDataCollator:
        """Of windows with places."""
        return DefaultDataCollator()

    # -- scores ------------------------------------------------------------------------------------------------------

    def output(self, predictions: Any, place: int, feature: Feature) -> Any:
        """Start and end logits, [tokens, 2]."""
        length = len(feature["input_ids"])
        starts, ends = predictions
        return np.stack([np.asarray(starts[place])[:length], np.asarray(ends[place])[:length]], axis=1)

    def score(
        self, rows: Sequence[Row], features: Sequence[Sequence[Feature]], outputs: Sequence[Any]
    ) -> dict[str, Any]:
        """exact_match and f1 of SQuAD; where some questions have no answer those of SQuAD 2.0.

        Korean answers are compared by characters, as KorQuAD does.
        """
        guesses, truths = [], []
        for number, (row, windows, logits) in enumerate(zip(rows, features, outputs, strict=True)):
            text, null = self._answer(self.value(row, "context"), windows, logits)
            answers = _answers(self.value(row, "answers"))
            guesses.append({"id": str(number), "prediction_text": text, "no_answer_probability": null})
            truths.append({"id": str(number), "answers": {"text": [answer for answer, _ in answers]}})
        texts = [text for truth in truths for text in truth["answers"]["text"]]  # type: ignore[index]
        level = "characters" if sum(any(map(is_hangul, text)) for text in texts) * 2 > len(texts) else "words"
        if not self._has_none(rows):
            plain = [{key: guess[key] for key in ("id", "prediction_text")} for guess in guesses]
            return metrics.squad(plain, truths, level=level)
        scores = metrics.squad_v2(guesses, truths, level=level)
        return {"exact_match": scores.pop("exact"), **{k: v for k, v in scores.items() if "total" not in k}}

    def _has_none(self, rows: Sequence[Row]) -> bool:
        return any(not _answers(self.value(row, "answers")) for row in rows)

    def _answer(self, context: str, windows: Sequence[Feature], logits: Sequence[Any]) -> tuple[str, float]:
        """The best answer, '' for none, and how probable it is that there is none."""
        places: dict[int, tuple[int, int]] = {}
        seen = []
        for window, output in zip(windows, logits, strict=True):
            places |= {window["first"] + place: offset for place, offset in enumerate(window["offsets"])}
            part = np.asarray(output, np.float64)[window["begin"] : window["begin"] + len(window["offsets"])]
            null = output[window["null"]]
            seen.append(Window(part[:, 0], part[:, 1], (float(null[0]), float(null[1])), window["first"]))
        tokens = max(places, default=-1) + 1
        spans, null_score = global_spans(seen, tokens, self.max_answer_length, 1, self.with_none)
        if not len(spans.scores) or (self.with_none and null_score > spans.scores[0]):
            return "", null_score
        return context[places[int(spans.starts[0])][0] : places[int(spans.ends[0])][1]], null_score


def _answers(value: Any) -> list[tuple[str, int]]:
    """Text and first character of each right answer."""
    if isinstance(value, Mapping):
        return [(str(text), int(start)) for text, start in zip(value["text"], value["answer_start"], strict=True)]
    return [(str(answer["text"]), int(answer.get("answer_start", answer.get("start")))) for answer in value or ()]


def _span(offsets: Sequence[tuple[int, int]], answer: tuple[str, int], context: str) -> tuple[int, int] | None:
    """First and last token of the answer, if the window has all of it.   Raises InputError."""
    text, begin = answer
    end = begin + len(text)
    if not 0 <= begin < end <= len(context):
        raise InputError(f"the answer {text!r:.40} at {begin} is outside of its context of {len(context)} characters.")
    if not offsets or begin < offsets[0][0] or end > offsets[-1][1]:
        return None
    first = max(place for place, (start, _) in enumerate(offsets) if start <= begin)
    last = min((place for place, (_, stop) in enumerate(offsets) if stop >= end), default=len(offsets) - 1)
    return first, max(first, last)
