"""Prompt lookup: the next tokens guessed from where the text has been before (Saxena 2023, "prompt lookup decoding").

Several guessed tokens are read in one step and kept as far as they are what would have come anyway: the result is that
of reading one by one, in fewer steps. How often guesses were right so far, also those that were not read, says whether
and how far ahead to guess: no time is measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .config import GenerationConfig
from .processors import Ids

__all__ = ["Lookup"]

_WORTH = 0.3  # a guess is read if it is at least so likely to be right: a few more rows in a step cost little
_MOST = 8  # of more rows, each costs nearly as much as a step of its own
_LONGEST = 4  # tokens of the text so far that are compared
_BEGIN = 0.5
_MEMORY = 0.15  # the weight of the newest guess in how often guesses were right
_BORDER = -1  # between an encoder's text and the decoder's: nothing matches it


class Lookup:
    """Guesses the continuation of one text.

    text: what it may repeat (an encoder's input).   ids: how it begins.
    most: the most tokens of a guess, always as many as that where something matches; None: as many as seem worth it.
    longest: the most tokens that are compared.
    """

    def __init__(
        self, text: Sequence[int], ids: Sequence[int], most: int | None = None, longest: int | None = None
    ) -> None:
        whole = [*text, _BORDER, *ids] if len(text) else list(ids)
        self._ids = np.array(whole + [0] * 64, np.int64)
        self._length = len(whole)
        self._most = most
        self._longest = longest or _LONGEST
        self._shortest = 1 if most is not None else min(2, self._longest)
        self._rates = [_BEGIN] * (self._longest + 1)
        self._guess: list[int] = []
        self._matched = 0

    @classmethod
    def for_config(cls, config: GenerationConfig, ids: Sequence[int], text: Sequence[int]) -> Lookup | None:
        """As the config asks, or None where nothing is to be guessed."""
        if config.prompt_lookup_num_tokens == 0 or config.guidance_scale not in (None, 1.0):
            return None
        return cls(text, ids, config.prompt_lookup_num_tokens, config.max_matching_ngram_size)

    def push(self, token: int) -> None:
        """A token that came. Counts whether it had been guessed."""
        if self._guess:
            is_right = self._guess[0] == token
            self._rates[self._matched] += _MEMORY * (is_right - self._rates[self._matched])
            self._guess = self._guess[1:] if is_right else []
            self._matched = min(self._matched + 1, self._longest)
        if self._length == len(self._ids):
            self._ids = np.concatenate([self._ids, np.zeros_like(self._ids)])
        self._ids[self._length] = token
        self._length += 1

    def draft(self, most: int) -> list[int]:
        """The tokens to read ahead, at most so many; none where a guess is unlikely to be right."""
        place, self._matched = self._match(self._ids[: self._length])
        if self._matched < self._shortest:
            self._guess = []
            return []
        self._guess = self._follow(place, self._most or _MOST)
        return self._guess[: max(0, min(most, self._worth()))]

    def _worth(self) -> int:
        """How many tokens are likely enough to be right."""
        if self._most is not None:
            return self._most
        length, rate = 0, 1.0
        while length < _MOST and (rate := rate * self._rates[min(self._matched + length, self._longest)]) >= _WORTH:
            length += 1
        return length

    def _match(self, ids: Ids) -> tuple[int, int]:
        """(the place after where the last tokens stood before, how many of them): the longest, then the latest."""
        places = np.flatnonzero(ids[:-1] == ids[-1])
        matched = 0
        while len(places) and matched < self._longest:
            matched += 1
            last = int(places[-1]) + 1
            places = places[places >= matched]
            places = places[ids[places - matched] == ids[-1 - matched]] if len(ids) > matched else places[:0]
        return (last, matched) if matched else (0, 0)

    def _follow(self, place: int, count: int) -> list[int]:
        """What stood there, up to a border; a repetition that runs into the text's end goes on repeating."""
        period = self._length - place
        guess = [int(self._ids[place + i % period]) for i in range(count)]
        return guess[: guess.index(_BORDER)] if _BORDER in guess else guess
