"""A text that is run in parts, where it is longer than its model takes: by sentence, or in chunks of sentences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .sentences import Sentence, pieces_within, split_sentences

__all__ = ["packed", "parts_within"]

Tokenize = Callable[[Sequence[str]], list[Any]]
"""Texts to Encodings without special tokens."""


def parts_within(text: str, tokenize: Tokenize, room: int) -> tuple[list[Sentence], list[int]]:
    """The sentences of a text, those of more than `room` tokens in pieces that have at most so many; their lengths."""
    sentences = split_sentences(text)
    parts: list[Sentence] = []
    lengths: list[int] = []
    for sentence, encoding in zip(sentences, tokenize([s.text for s in sentences]), strict=True):
        if len(encoding) <= room:
            parts.append(sentence)
            lengths.append(len(encoding))
            continue
        pieces = pieces_within(sentence.text, [end for _, end in encoding.offsets], room)
        last = pieces.pop()
        parts += [*pieces, Sentence(last.text, last.after + sentence.after)]
        lengths += [room] * (len(pieces) + 1)
    return parts, lengths


def packed(sentences: Sequence[Sentence], lengths: Sequence[int], room: int) -> list[Sentence]:
    """Neighbours put together to chunks of at most `room` tokens, of about equal length.

    lengths: of the sentences, in tokens; none above room.
    """
    aim = sum(lengths) / (-(-sum(lengths) // room) or 1)
    chunks: list[Sentence] = []
    size = 0
    for sentence, length in zip(sentences, lengths, strict=True):
        if chunks and size + length <= room and size + length / 2 <= aim:
            last = chunks[-1]
            chunks[-1] = Sentence(last.text + last.after + sentence.text, sentence.after)
            size += length
        else:
            chunks.append(sentence)
            size = length
    return chunks
