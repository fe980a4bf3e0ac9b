"""A tokenized text as token classification reads it: each token's piece, characters and word."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgument
from .scripts import is_particle
from .words import guessed_starts, word_starts

__all__ = ["TokenizedText"]

Span = tuple[int, int]


class TokenizedText:
    """The tokens of one text, special ones included; every list has one entry for each.

    words: the words the caller gave, which `delimiter` joins to the text; or None for a text.
    offsets: the caller's own (start, end) of each token, or none for the tokenizer's.
    prefix: what marks the continuation of a word ("##"); '' where the tokenizer marks none.
    """

    def __init__(
        self,
        tokenizer: Any,
        encoding: Any,
        text: str,
        words: Sequence[str] | None = None,
        delimiter: str = " ",
        offsets: Sequence[Span] = (),
        prefix: str = "",
    ) -> None:
        self.tokenizer = tokenizer
        self.encoding = encoding
        self.text = text
        self._word_begins = None if words is None else [0, *accumulate(len(word) + len(delimiter) for word in words)]
        if offsets and len(offsets) != len(encoding.ids):
            raise InvalidArgument(
                f"offset_mapping has {len(offsets)} entries for a text of {len(encoding.ids)} tokens, special ones "
                "included; it needs one for each."
            )
        self._offsets = offsets
        self._prefix = prefix

    @cached_property
    def spans(self) -> list[Span]:
        """(start, end) in the text."""
        offsets = self.encoding.offsets if not self._offsets else [(int(a), int(b)) for a, b in self._offsets]
        if self._word_begins is None:
            return list(offsets)
        begins = (0 if word is None else self._word_begins[word] for word in self.word_ids)
        return [(begin + start, begin + end) for begin, (start, end) in zip(begins, offsets, strict=True)]

    @cached_property
    def word_ids(self) -> list[int | None]:
        """The tokenizer's number of the word; None for special tokens."""
        return list(self.encoding.word_ids)

    @cached_property
    def pieces(self) -> list[str]:
        """The tokens as the vocabulary has them; an unknown one as the text has it."""
        unknown = self.tokenizer.unk_token_id
        return [
            self.text[start:end] if index == unknown else token
            for index, token, (start, end) in zip(self.encoding.ids, self.encoding.tokens, self.spans, strict=True)
        ]

    def starts(self, by_words: bool) -> npt.NDArray[np.bool_]:
        """Whether each token begins a word: by word ids and the text, or as transformers tells words."""
        prefix = self._prefix
        continues = self._continues(prefix) if prefix else [False] * len(self.spans)
        if by_words:
            given = self._word_begins is not None
            return np.array(word_starts(self.text, self.spans, self.word_ids, continues, given), bool)
        if prefix:
            return ~np.array(continues, bool)
        warnings.warn(
            "Tokenizer does not support real words, using fallback heuristic: only spaces separate words, so"
            ' punctuation and particles stay in them. word_boundaries="words" does better.',
            UserWarning,
            stacklevel=2,
        )
        unknown = self.tokenizer.unk_token_id
        guessed = guessed_starts(self.text, self.spans)
        return np.array([start or i == unknown for start, i in zip(guessed, self.encoding.ids, strict=True)], bool)

    def _continues(self, prefix: str) -> list[bool]:
        """Whether each token continues the word of the one before it, by its mark and by the word's number."""
        words, unknown = self.word_ids, self.tokenizer.unk_token_id
        marked = (
            token.startswith(prefix) and index != unknown
            for token, index in zip(self.encoding.tokens, self.encoding.ids, strict=True)
        )
        return [mark and i > 0 and words[i] == words[i - 1] for i, mark in enumerate(marked)]

    def line_breaks(self, first: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Whether a line ends between each item (of which `first` are the first tokens) and the one before it."""
        breaks = np.zeros(len(first), bool)
        for i in range(1, len(first)):
            between = self.text[self.spans[first[i] - 1][0] : self.spans[first[i]][1]]
            breaks[i] = "\n" in between or "\r" in between
        return breaks

    def without_particle(self, begin: int, end: int) -> tuple[int, int]:
        """The tokens begin … end - 1 without a Korean particle that its own tokens make at the end."""
        start, stop = self.spans[begin][0], self.spans[end - 1][1]
        for i in range(begin + 1, end):
            cut = self.spans[i][0]
            if is_particle(self.text[cut:stop], self.text[start:cut]):
                return begin, i
        return begin, end

    def joined(self, begin: int, end: int) -> str:
        """The tokens begin … end - 1 as the tokenizer writes them, which need not be as the text has them."""
        return str(self.tokenizer.convert_tokens_to_string(self.pieces[begin:end]))
