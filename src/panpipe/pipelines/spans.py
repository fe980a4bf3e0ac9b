"""From start and end logits to answers: the span search of extractive question answering, in arrays.

Positions are tokens of one window's context. Nothing here knows a tokenizer or a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .scripts import is_hangul, is_punctuation, is_unspaced

__all__ = [
    "Answer",
    "Spans",
    "Window",
    "align_to_words",
    "best_spans",
    "global_spans",
    "merge_by_place",
    "merge_by_text",
    "window_probabilities",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]


class Spans(NamedTuple):
    """Spans of tokens, best first.   starts, ends (inclusive): int [spans].   scores: float [spans]."""

    starts: Ints
    ends: Ints
    scores: Floats


class Answer(NamedTuple):
    """A span of characters of the context."""

    score: float
    start: int
    end: int


class Window(NamedTuple):
    """The logits of one window.

    start, end: float [tokens], those of the window's part of the context.   null: (start, end) logits of the first
    token (CLS), where a model that can say "no answer" says so; None where the tokenizer has no such token.
    first: the place of the window's first token among the tokens of the whole context.
    """

    start: Floats
    end: Floats
    null: tuple[float, float] | None
    first: int


def window_probabilities(window: Window) -> tuple[Floats, Floats, float]:
    """Start and end probabilities of the context's tokens, and start * end of the null answer, within one window.

    Softmax over the context and CLS; 4.57 then takes CLS away without renormalising, and so does this.
    """
    null = (None, None) if window.null is None else window.null
    starts, null_start = _softmax(window.start, null[0])
    ends, null_end = _softmax(window.end, null[1])
    return starts, ends, null_start * null_end


def _softmax(logits: Floats, null: float | None) -> tuple[Floats, float]:
    everything = logits if null is None else np.concatenate([np.asarray([null], logits.dtype), logits])
    if not len(everything):
        return everything, 0.0
    powers = np.exp(everything - everything.max())
    powers /= powers.sum()
    return (powers, 0.0) if null is None else (powers[1:], float(powers[0]))


def best_spans(start: Floats, end: Floats, max_length: int, number: int) -> Spans:
    """The `number` spans with the highest start[s] * end[e], s <= e < s + max_length; fewer where there are fewer.

    start, end: float [tokens].   Ties go to the earlier start, then the earlier end. Work: tokens * max_length.
    """
    band = _band(end, max_length, 0.0)
    scores = (start[:, None] * band).ravel()
    return Spans(*_best(scores, _inside(len(start), band.shape[1] if len(start) else 0), band.shape[1], number))


def _band(end: Floats, max_length: int, fill: float) -> Floats:
    """[tokens, width]: row s holds the values of the ends s, s + 1, …; `fill` beyond the last token."""
    width = max(1, min(max_length, len(end)))
    padded = np.concatenate([end, np.full(width - 1, fill, end.dtype)])
    return np.lib.stride_tricks.sliding_window_view(padded, width) if len(end) else np.zeros((0, width), end.dtype)


def _inside(tokens: int, width: int) -> npt.NDArray[np.bool_]:
    """Which cells of the flat band are spans: those that end within the tokens."""
    cells: npt.NDArray[np.bool_] = (np.arange(tokens)[:, None] + np.arange(width) < tokens).ravel()
    return cells


def _best(scores: Floats, inside: npt.NDArray[np.bool_], width: int, number: int) -> tuple[Ints, Ints, Floats]:
    cells = np.flatnonzero(inside)
    values = scores[cells]
    if len(cells) > number:
        # All that reach the score of the last place, so that ties are settled by position and not by the partition.
        least = np.partition(values, len(values) - number)[len(values) - number]
        cells = cells[values >= least]
        values = scores[cells]
    order = np.argsort(-values, kind="stable")[:number]
    starts, lengths = np.divmod(cells[order], width)
    return starts, starts + lengths, values[order]


def align_to_words(
    start: int,
    end: int,
    text: str,
    offsets: Sequence[tuple[int, int]],
    word_ids: Sequence[int | None],
    begin: int,
    stop: int,
    by_script: bool = False,
) -> tuple[int, int]:
    """The characters of the whole words that a span of tokens touches.

    start, end: the first and last token of the span.   offsets, word_ids: of each token of the context; of these only
    begin … stop - 1 (the window) are looked at.   Where a token has no word, its own characters stand.
    by_script: widen only where words are what a reader would call words: never into a script without spaces, not over
    the Korean particle after a word, nor over the punctuation at its edges.
    """
    first, last = start, end
    if word_ids[start] is None or word_ids[end] is None:
        return offsets[start][0], offsets[end][1]
    while first > begin and word_ids[first - 1] == word_ids[start]:
        first -= 1
    while last + 1 < stop and word_ids[last + 1] == word_ids[end]:
        last += 1
    if not by_script:
        return offsets[first][0], offsets[last][1]
    return _widen(text, (offsets[start][0], offsets[end][1]), (offsets[first][0], offsets[last][1]))


def _widen(text: str, tokens: tuple[int, int], words: tuple[int, int]) -> tuple[int, int]:
    """As far from the tokens' characters towards the words' as the script allows."""
    left, right = tokens
    while right < words[1] and not (text[right].isspace() or is_unspaced(text[right]) or is_hangul(text[right])):
        if is_unspaced(text[right - 1 : right] or " "):
            break
        right += 1
    while right > tokens[1] and is_punctuation(text[right - 1]):
        right -= 1
    while left > words[0] and not (text[left - 1].isspace() or is_unspaced(text[left - 1])):
        if is_unspaced(text[left : left + 1] or " "):
            break
        left -= 1
    while left < tokens[0] and is_punctuation(text[left]):
        left += 1
    return left, right


def merge_by_text(text: str, answers: Iterable[Answer]) -> list[Answer]:
    """Adds the scores of answers with the same text, ignoring case, wherever they stand, as 4.57 does.

    The first one's place stays. Scores of several windows or places so add up, and may exceed 1.
    """
    merged: dict[str, Answer] = {}
    for answer in answers:
        key = text[answer.start : answer.end].lower()
        before = merged.get(key)
        merged[key] = answer if before is None else before._replace(score=before.score + answer.score)
    return list(merged.values())


def merge_by_place(answers: Iterable[Answer]) -> list[Answer]:
    """Adds the scores of answers with the same characters of the context (different tokens, widened to one word)."""
    merged: dict[tuple[int, int], Answer] = {}
    for answer in answers:
        before = merged.get(answer[1:])
        merged[answer[1:]] = answer if before is None else before._replace(score=before.score + answer.score)
    return list(merged.values())


def global_spans(
    windows: Sequence[Window], tokens: int, max_length: int, number: int, with_null: bool
) -> tuple[Spans, float]:
    """The best spans of all windows on one scale, and the score of the null answer.

    tokens: of the whole context.   Softmax over the sum of the start and end logits of every span of at most
    max_length tokens; a span that several windows see counts once, with its highest logit. Scores add up to at most 1.
    The null answer, if asked for, takes part with the lowest logit that any window gives it: one window that has an
    answer rules it out.
    Source: shared normalisation, Clark & Gardner 2018, arXiv:1710.10723, section 3.3.
    """
    width = max(1, min(max_length, max((len(window.end) for window in windows), default=1)))
    logits = np.full((tokens, width), -np.inf)
    for window in windows:
        band = _band(window.end.astype(np.float64), width, -np.inf)
        part = logits[window.first : window.first + len(window.start), : band.shape[1]]
        np.maximum(part, window.start[:, None] + band, out=part)
    nulls = [sum(window.null) for window in windows if window.null is not None]
    null = min(nulls) if nulls and with_null else -np.inf
    top = max(float(logits.max(initial=-np.inf)), null)
    if top == -np.inf:
        return Spans(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0)), 0.0
    scores = np.exp(logits - top)
    total = float(scores.sum()) + float(np.exp(null - top))
    scores = (scores / total).ravel()
    return Spans(*_best(scores, (logits > -np.inf).ravel(), width, number)), float(np.exp(null - top)) / total
