"""question-answering: the span of a context that answers a question."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import InputError, InvalidArgument, MissingKey, PanpipeError, did_you_mean
from .base import Encoded, Parameters, Pipeline
from .items import Item, Outputs
from .lengths import encode_each
from .parameters import given
from .spans import (
    Answer,
    Spans,
    Window,
    align_to_words,
    best_spans,
    global_spans,
    merge_by_place,
    merge_by_text,
    window_probabilities,
)
from .windows import window_bounds

__all__ = ["QuestionAnsweringPipeline", "SquadExample"]

_log = logging.getLogger("panpipe")

MAX_SEQUENCE, MAX_QUESTION, MAX_ANSWER, MAX_OVERLAP = 384, 64, 15, 128  # tokens
PADDINGS = (True, False, None, "do_not_pad", "longest", "max_length")
SCORE_MODES = ("window", "global")


@dataclass(eq=False)
class SquadExample:
    """A question and its context, in the order and with the names that transformers has."""

    qas_id: Any = None
    question_text: str = ""
    context_text: str = ""
    answer_text: str | None = None
    start_position_character: int | None = None
    title: str | None = None
    answers: Sequence[Any] = ()
    is_impossible: bool = False


class _Asked(NamedTuple):
    """A question and its context, checked."""

    question: str
    context: str


class _Part(NamedTuple):
    """Which of the context's tokens an item has: first … first + length - 1, behind `ahead` other tokens.

    context: where the context's tokens are in the encoding of the whole.   null: CLS's place in the item, or None.
    """

    context: tuple[int, int]
    first: int
    length: int
    ahead: int
    null: int | None


class QuestionAnsweringPipeline(Pipeline):
    """The best answers to a question in a context: {"score", "start", "end", "answer"}, in characters of the context.

    pipe(question=…, context=…), each a string or a list (one context may serve several questions); also, as 4.57 has
    deprecated, dictionaries {"question", "context"}, SquadExamples, lists or streams of these, and two strings.
    top_k: how many answers (1); one answer is a dictionary, more are a list.
    doc_stride: tokens that neighbouring windows share (128, or half of max_seq_len).
    max_seq_len: tokens of a window (384), at most the model's.   max_question_len: what is read of the question (64).
    max_answer_len: tokens (15).   handle_impossible_answer: the empty answer takes part.
    align_to_words: True widens an answer to whole words; False leaves the model's tokens; "auto" widens only where a
    reader would: not in scripts without spaces, not over a Korean particle or the punctuation around a word.
    padding: accepted; inside, nothing is padded.

    What transformers does not have:
    score_mode="global": one softmax over the spans of the whole context instead of one in each window, and only answers
    of the same place are one; scores add up to at most 1. By default ("window") they are as there: the scores of equal
    texts are added up, whatever their windows and places, and may exceed 1.
    min_score: leaves out answers below it.   always_list=True: always a list of dictionaries.
    """

    task_name: ClassVar[str] = "question-answering"
    head: ClassVar[str | None] = "question-answering"
    expects: ClassVar[str] = 'question="…" and context="…"'

    # -- parameters --------------------------------------------------------------------------------------------------

    def _sanitize_parameters(
        self,
        padding: bool | str | None = None,
        topk: int | None = None,
        top_k: int | None = None,
        doc_stride: int | None = None,
        max_answer_len: int | None = None,
        max_seq_len: int | None = None,
        max_question_len: int | None = None,
        handle_impossible_answer: bool | None = None,
        align_to_words: bool | str | None = None,
        score_mode: str | None = None,
        min_score: float | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if topk is not None and top_k is None:
            warnings.warn("topk parameter is deprecated, use top_k instead", UserWarning, stacklevel=5)
            top_k = topk
        lengths = {"doc_stride": doc_stride, "max_seq_len": max_seq_len, "max_question_len": max_question_len}
        counts = {"top_k": top_k, "max_answer_len": max_answer_len}
        for name, value in {**lengths, **counts}.items():
            least = 0 if name == "doc_stride" else 1
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least
            ):
                raise InvalidArgument(f"{name} parameter should be >= {least} (got {value!r})")
        _check_choice("padding", getattr(padding, "value", padding), PADDINGS)
        _check_choice("align_to_words", align_to_words, (None, True, False, "auto"))
        _check_choice("score_mode", score_mode, (None, *SCORE_MODES))
        answering = {
            "handle_impossible_answer": handle_impossible_answer,
            "align_to_words": align_to_words,
            "score_mode": score_mode,
            "min_score": min_score,
        }
        return given(lengths), {}, given({**counts, **answering})

    def check_parameters(self, parameters: Parameters) -> None:
        """Raises InvalidArgument for the ways to lose text that other tasks have: here all of it is read.

        truncation=True is let through: transformers takes it for this task without effect, and so do its users.
        """
        given = parameters.preprocess
        if "max_length" in given or given.get("long_text", "window") != "window":
            raise InvalidArgument(
                f"{self.task} reads the whole context, in windows of max_seq_len tokens, and cuts the question at "
                "max_question_len: give these instead of max_length or long_text."
            )

    # -- inputs ------------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The answer to one question, a list of answers to several, an iterator of answers to a stream of them."""
        inputs, parameters = _inputs(args, kwargs)
        return super().__call__(inputs, **parameters)

    @staticmethod
    def create_sample(question: str | list[str], context: str | list[str]) -> SquadExample | list[SquadExample]:
        """A SquadExample, or a list of them from two lists."""
        if isinstance(question, list):
            return [SquadExample(None, q, c) for q, c in zip(question, context, strict=True)]
        return SquadExample(None, question, str(context))

    def is_single(self, inputs: Any) -> bool:
        """Is this one question with its context?"""
        return isinstance(inputs, (Mapping, SquadExample)) or _is_squad(inputs)

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """(question, context).   Raises InputError."""
        if _is_squad(value):
            value = {"question": value.question_text, "context": value.context_text}
        if isinstance(value, _Asked):
            return value
        if not isinstance(value, Mapping):
            raise _not_an_example(value)
        for name in ("question", "context"):
            if name not in value:
                raise MissingKey(
                    f"You need to provide a dictionary with keys {{question:…, context:…}}; {name} is missing."
                )
            if value[name] is None:
                raise InputError(f"`{name}` cannot be None")
            if not isinstance(value[name], str):
                raise InputError(f"`{name}` must be a string, not {value[name]!r:.60} ({type(value[name]).__name__}).")
            if not value[name]:
                raise InputError(f"`{name}` cannot be empty")
        return _Asked(value["question"], value["context"])

    def encode(
        self,
        inputs: list[Any],
        doc_stride: int | None = None,
        max_seq_len: int | None = None,
        max_question_len: int = MAX_QUESTION,
        long_text: str = "window",
        truncation: bool | str = True,
    ) -> list[Encoded]:
        """The windows of each context, each behind its question (before it, where the tokenizer pads on the left)."""
        length = self._window_length(max_seq_len)
        if doc_stride is not None and doc_stride > length:
            raise InvalidArgument(f"`doc_stride` ({doc_stride}) is larger than `max_seq_len` ({length})")
        questions, contexts = [asked.question for asked in inputs], [asked.context for asked in inputs]
        first, second = (questions, contexts) if self._question_first else (contexts, questions)
        encoded = encode_each(self.tokenizer, first, second)
        return [
            e if isinstance(e, PanpipeError) else self._windows(e[0], length, doc_stride, max_question_len)
            for e in encoded
        ]

    @property
    def _question_first(self) -> bool:
        return bool(self.tokenizer.padding_side == "right")

    def _window_length(self, max_seq_len: int | None) -> int:
        limit = self.max_length
        if max_seq_len is None:
            return MAX_SEQUENCE if limit is None else min(limit, MAX_SEQUENCE)
        if limit is not None and max_seq_len > limit:
            _log.warning("max_seq_len=%d is more than the model takes; windows have %d tokens.", max_seq_len, limit)
            return limit
        return max_seq_len

    def _windows(self, encoding: Any, length: int, doc_stride: int | None, max_question_len: int) -> Encoded:
        ids, types = encoding.ids, encoding.type_ids if self._with_types else None
        question, context = self._places(encoding)
        asked = range(question[0], min(question[1], question[0] + max_question_len))
        others = [place for place in range(len(ids)) if not _is_in(place, context)]
        others = [place for place in others if place in asked or not _is_in(place, question)]
        ahead, behind = [p for p in others if p < context[0]], [p for p in others if p >= context[1]]
        room = length - len(others)
        tokens = context[1] - context[0]
        overlap = min(length // 2, MAX_OVERLAP, max(room - 1, 0)) if doc_stride is None else doc_stride
        if room < 1 or (tokens > room and overlap >= room):
            return InputError(
                f"the question takes {len(asked)} tokens and special ones {len(others) - len(asked)}: of max_seq_len="
                f"{length} this leaves {max(room, 0)} for the context, in windows that share {overlap} (doc_stride). "
                "Give a shorter question, a smaller max_question_len or doc_stride, or a larger max_seq_len."
            )
        bounds = window_bounds(tokens, room, overlap, self.tokenizer.truncation_side)
        null = self._null(ids, others)
        items = []
        for begin, end in bounds:
            places = [*ahead, *range(context[0] + begin, context[0] + end), *behind]
            part = _Part(context, begin, end - begin, len(ahead), None if null is None else places.index(null))
            chosen = None if types is None else [types[place] for place in places]
            items.append(Item([ids[place] for place in places], chosen, encoding=encoding, extra=part))
        return items

    def _places(self, encoding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
        """(begin, end) of the question's tokens and of the context's; an empty text is at the end."""
        sequences = encoding.sequence_ids
        found = []
        for number in (0, 1) if self._question_first else (1, 0):
            places = [place for place, sequence in enumerate(sequences) if sequence == number]
            found.append((places[0], places[-1] + 1) if places else (len(sequences), len(sequences)))
        return found[0], found[1]

    def _null(self, ids: list[int], others: list[int]) -> int | None:
        """The place of CLS among the tokens outside the context."""
        return next((place for place in others if ids[place] == self.tokenizer.cls_token_id), None)

    # -- answers -----------------------------------------------------------------------------------------------------

    def postprocess(
        self,
        outputs: Outputs,
        *,
        top_k: int = 1,
        max_answer_len: int = MAX_ANSWER,
        handle_impossible_answer: bool = False,
        align_to_words: bool | str = True,
        score_mode: str = "window",
        min_score: float | None = None,
    ) -> Any:
        """The best answer, or a list of the best ones (also of none)."""
        context = _Context(outputs, align_to_words)
        windows = [_window(item) for item in outputs]
        number = top_k * 2 + 10 if align_to_words else top_k  # some become one when widened to words
        if score_mode == "global":
            spans, null = global_spans(windows, context.tokens, max_answer_len, number, handle_impossible_answer)
            answers = merge_by_place(context.answers(spans, 0, context.tokens))
        else:
            found: list[Answer] = []
            nulls = []
            for window in windows:
                start, end, null = window_probabilities(window)
                nulls.append(null)
                spans = best_spans(start, end, max_answer_len, number)
                found += context.answers(spans, window.first, len(window.start))
            answers, null = merge_by_text(context.text, found), min(nulls)
        if not answers:
            answers = [Answer(0.0, 0, 0)]  # a context without tokens
        if handle_impossible_answer:
            answers.append(Answer(null, 0, 0))
        answers = sorted(answers, key=lambda answer: answer.score, reverse=True)[:top_k]
        shown = [
            {"score": score, "start": start, "end": end, "answer": context.text[start:end]}
            for score, start, end in answers
            if min_score is None or score >= min_score
        ]
        return shown[0] if len(shown) == 1 else shown

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """A list of one question is answered as the question alone."""
        return answers[0] if len(answers) == 1 else answers


class _Context:
    """The context of one question: its text, and where in it the tokens and words are."""

    def __init__(self, outputs: Outputs, align: bool | str) -> None:
        encoding = outputs[0].encoding
        begin, end = outputs[0].extra.context
        self.text: str = outputs.input.context
        self.tokens = end - begin
        self._offsets = encoding.offsets[begin:end]
        self._words = encoding.word_ids[begin:end] if align else None
        self._by_script = align == "auto"

    def answers(self, spans: Spans, first: int, length: int) -> Iterator[Answer]:
        """The spans of tokens, counted from `first`, as characters; words reach no further than the window."""
        for start, end, score in zip(*(column.tolist() for column in spans), strict=True):
            start, end = start + first, end + first
            if self._words is None:
                yield Answer(score, self._offsets[start][0], self._offsets[end][1])
            else:
                place = align_to_words(
                    start, end, self.text, self._offsets, self._words, first, first + length, self._by_script
                )
                yield Answer(score, *place)


def _window(item: Item) -> Window:
    part: _Part = item.extra
    logits = item.output[part.ahead : part.ahead + part.length]
    null = None if part.null is None else (float(item.output[part.null, 0]), float(item.output[part.null, 1]))
    return Window(logits[:, 0], logits[:, 1], null, part.first)


# -- the forms of a call ---------------------------------------------------------------------------------------------


def _inputs(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The questions (one, a list or a stream), and the parameters among the named arguments."""
    parameters = {name: value for name, value in kwargs.items() if name not in ("question", "context", "data", "X")}
    if args:
        _deprecated("a list of SQuAD examples")
        if len(args) == 1:
            inputs = args[0]
        elif len(args) == 2 and all(isinstance(value, str) for value in args):
            inputs = {"question": args[0], "context": args[1]}
        else:
            inputs = list(args)
    elif "X" in kwargs or "data" in kwargs:
        name = "X" if "X" in kwargs else "data"
        _deprecated(f"the `{name}` argument")
        inputs = kwargs[name]
    elif "question" in kwargs and "context" in kwargs:
        inputs = _paired(kwargs["question"], kwargs["context"])
    else:
        raise InputError(f"Unknown arguments {dict(kwargs)!r:.200}: give both question=… and context=….")
    if isinstance(inputs, str):
        raise _not_an_example(inputs)
    return inputs[0] if isinstance(inputs, (list, tuple)) and len(inputs) == 1 else inputs, parameters


def _not_an_example(value: Any) -> InputError:
    return InputError(
        f"{value!r:.60} argument needs to be of type (SquadExample, dict): give question=… and context=…, or "
        'dictionaries {"question": …, "context": …}.'
    )


def _deprecated(what: str) -> None:
    warnings.warn(
        f"Passing {what} to the pipeline is deprecated: use the `question` and `context` keyword arguments.",
        FutureWarning,
        stacklevel=4,
    )


def _paired(question: Any, context: Any) -> Any:
    if isinstance(question, str) and isinstance(context, str):
        return {"question": question, "context": context}
    if isinstance(question, (list, tuple)) and isinstance(context, str):
        context = [context] * len(question)
    if not isinstance(question, (list, tuple)) or not isinstance(context, (list, tuple)):
        raise InputError(
            f"Arguments can't be understood: question is of type {type(question).__name__}, context of type "
            f"{type(context).__name__}; give two strings, two lists, or a list of questions and one context."
        )
    if len(question) != len(context):
        raise InputError(
            f"Questions and contexts don't have the same lengths: there are {len(question)} and {len(context)}."
        )
    return [{"question": q, "context": c} for q, c in zip(question, context, strict=True)]


def _is_squad(value: Any) -> bool:
    """Is it a SquadExample, ours or transformers'?"""
    return hasattr(value, "question_text") and hasattr(value, "context_text")


def _is_in(place: int, region: tuple[int, int]) -> bool:
    return region[0] <= place < region[1]


def _check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    if value not in choices:
        named = [choice for choice in choices if isinstance(choice, str)]
        near = did_you_mean(value, named) if isinstance(value, str) else ""
        listed = ", ".join(repr(choice) for choice in choices if choice is not None)
        raise InvalidArgument(f"{name}={value!r} is not a choice.{near} Choices: {listed}.")
