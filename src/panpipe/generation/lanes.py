"""Lanes: sequences in the cache, with what they are to read next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .processors import Row, log_probabilities

if TYPE_CHECKING:
    from .cache import Sequence
    from .decoder import Decoder, Source

__all__ = ["Guide", "Lane"]


@dataclass(eq=False)
class Guide:
    """The same text after another prompt, which the lane's text is led away from (classifier-free guidance).

    Source: Sanchez et al. 2023, arXiv:2306.17806.
    """

    sequence: Sequence
    pending: list[int]
    scale: float

    def guided(self, logits: Row, away: Row) -> Row:
        """The lane's logits, led away from the guide's."""
        start = log_probabilities(away)
        scores: Row = start + self.scale * (log_probabilities(logits) - start)
        return scores.astype(logits.dtype, copy=False)


@dataclass(eq=False)
class Lane:
    """One sequence. pending: the tokens it is to read next; the last `drafts` of them are guesses."""

    decoder: Decoder
    sequence: Sequence
    pending: list[int]
    drafts: int = 0
    guide: Guide | None = None

    @classmethod
    def new(
        cls,
        decoder: Decoder,
        ids: list[int],
        source: Source | None,
        negative_ids: list[int] | None,
        scale: float | None,
    ) -> Lane:
        """A lane that reads a prompt.   negative_ids, scale: the prompt to be led away from, and how far; or None."""
        guide = None if negative_ids is None else Guide(decoder.new(), list(negative_ids), scale or 1.0)
        return cls(decoder, decoder.new(source), list(ids), guide=guide)

    def feed(self, token: int, drafts: list[int] | None = None) -> None:
        """What to read next."""
        self.pending, self.drafts = [token, *(drafts or [])], len(drafts or [])
        if self.guide is not None:
            self.guide.pending = [token]

    def drop_drafts(self, most: int) -> None:
        """Keep at most so many guesses."""
        if self.drafts > most:
            del self.pending[len(self.pending) - self.drafts + most :]
            self.drafts = most

    def forget(self, count: int) -> None:
        """Forget the last tokens that were read."""
        if count:
            self.decoder.cut(self.sequence, self.sequence.length - count)

    def fork(self) -> Lane:
        """Another lane that has read the same."""
        guide = self.guide
        twin = None if guide is None else Guide(self.decoder.fork(guide.sequence), [], guide.scale)
        return Lane(self.decoder, self.decoder.fork(self.sequence), [], guide=twin)

    def free(self) -> None:
        """Give back what the lane holds in the cache."""
        self.decoder.free(self.sequence)
        if self.guide is not None:
            self.decoder.free(self.guide.sequence)
