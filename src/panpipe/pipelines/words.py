"""Which tokens begin a word.

Two answers: the one transformers 4.57 gives (`guessed_starts`), and one from the tokenizer's word ids and the text
itself (`word_starts`), which also holds for punctuation, line breaks, scripts without spaces and Korean particles.
"""

from __future__ import annotations

from collections.abc import Sequence

from .scripts import is_hangul, is_katakana, is_particle, is_punctuation, is_unspaced

__all__ = ["guessed_starts", "word_starts"]

Spans = Sequence[tuple[int, int]]


def guessed_starts(text: str, spans: Spans) -> list[bool]:
    """The rule of 4.57 for tokenizers that mark no continuation: a token begins a word if a space is next to its start.

    spans: (start, end) of each token in the text.   Only U+0020 counts: neither brackets nor line breaks do.
    """
    return [start <= 0 or " " in text[start - 1 : start + 1] for start, _ in spans]


def word_starts(
    text: str, spans: Spans, word_ids: Sequence[int | None], continues: Sequence[bool], words_given: bool = False
) -> list[bool]:
    """Whether each token begins a word: where the word id changes, or the text says so.

    spans, word_ids: of each token, from the tokenizer.   continues: the token is marked as a continuation ("##ing").
    words_given: the words came from the caller; then their ids alone decide.
    """
    starts = [True] * len(spans)
    for i in range(1, len(spans)):
        if word_ids[i] != word_ids[i - 1]:
            continue
        starts[i] = not words_given and not continues[i] and _is_boundary(text, spans[i - 1], spans[i])
    if not words_given:
        _split_particles(text, spans, starts)
    return starts


def _is_boundary(text: str, before: tuple[int, int], after: tuple[int, int]) -> bool:
    if after[0] < before[1] or before[0] == before[1]:
        return False  # two tokens of one character (bytes of an emoji), or one that stands for nothing in the text
    left, right, gap = text[before[0] : before[1]], text[after[0] : after[1]], text[before[1] : after[0]]
    if left.isspace():
        return False  # a lone "▁" has begun the word already
    if not right.strip() or gap.strip() != gap or right[0].isspace() or left[-1].isspace():
        return True
    a, b = left[-1], right[0]
    if is_punctuation(a) or is_punctuation(b):
        return True
    return (is_unspaced(a) or is_unspaced(b)) and not (is_katakana(a) and is_katakana(b))


def _split_particles(text: str, spans: Spans, starts: list[bool]) -> None:
    """Makes a Korean particle that the tokenizer split off (서울 | 에) a word, so that it gets a label of its own."""
    begins = [i for i, start in enumerate(starts) if start]
    for first, end in zip(begins, [*begins[1:], len(spans)], strict=False):
        last = spans[end - 1][1]
        if end - first < 2 or not is_hangul(text[last - 1 : last] or " "):
            continue
        for i in range(first + 1, end):
            if is_particle(text[spans[i][0] : last], text[spans[first][0] : spans[i][0]]):
                starts[i] = True
                break
