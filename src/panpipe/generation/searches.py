"""Searches: what one prompt wants read next, and what it does with the scores that come back.

`Texts` makes one or several texts, each token decided at once: the best (greedy) or drawn (sampling). Beam search is in
`beams`. A search never calls the model: the Runner puts the lanes of all searches into one step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .jobs import Generated
from .lanes import Lane
from .outputs import Kept
from .plan import Plan
from .processors import Candidates, Ids, Row, normalized
from .sampling import best, check, draw, generator_of
from .speculation import Lookup
from .stopping import Reason

if TYPE_CHECKING:
    from .decoder import Decoder, Source

__all__ = ["Search", "Texts", "Tokens"]

Rows = npt.NDArray[np.float32]


class Search(ABC):
    """One prompt at work. lanes: what it has in the cache; each step reads what is pending in all of them.

    is_done: there is nothing more to read; `results` then has the texts.
    """

    def __init__(self, plan: Plan, decoder: Decoder, source: Source | None) -> None:
        self.plan = plan
        self.decoder = decoder
        self.source = source
        self.is_done = False
        self.lanes = [Lane.new(decoder, plan.ids, source, plan.negative_ids, plan.config.guidance_scale)]
        plan.stop.begin()

    @property
    @abstractmethod
    def made(self) -> int:
        """How many tokens were made, in all texts."""

    @abstractmethod
    def take(self, logits: Rows) -> None:
        """Logits after the last token and after each draft of all lanes, [sum of 1 + drafts, vocab]; changes them."""

    @abstractmethod
    def results(self, unfinished: Reason = "cancelled") -> list[Generated]:
        """The texts, best first; those that did not end are given that reason."""

    def kept(self) -> Kept | None:
        """What was kept of the steps, where the config asks for it."""
        return None

    def close(self) -> None:
        """Give back what is in the cache."""
        for lane in self.lanes:
            lane.free()
        self.lanes = []
        if self.source is not None:
            self.decoder.free_source(self.source)
        self.source = None
        self.is_done = True


class Tokens:
    """Token ids that grow."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._array = np.empty(len(ids) + 64, np.int64)
        self._array[: len(ids)] = ids
        self._length = len(ids)

    @property
    def ids(self) -> Ids:
        """All of them, not to be written to."""
        return self._array[: self._length]

    def append(self, token: int) -> None:
        """One more."""
        if self._length == len(self._array):
            self._array = np.concatenate([self._array, np.empty_like(self._array)])
        self._array[self._length] = token
        self._length += 1


@dataclass(eq=False)
class Text:
    """A text under way."""

    lane: Lane
    tokens: Tokens
    generator: np.random.Generator
    lookup: Lookup | None
    made: list[int] = field(default_factory=list)
    reason: Reason | None = None
    scores: list[Row] = field(default_factory=list)
    logits: list[Row] = field(default_factory=list)


class Texts(Search):
    """Greedy search and sampling. Drafts are checked as if their tokens had come one by one: they change no result."""

    def __init__(self, plan: Plan, decoder: Decoder, source: Source | None) -> None:
        super().__init__(plan, decoder, source)
        self.texts: list[Text] = []

    @property
    def made(self) -> int:
        return sum(len(text.made) for text in self.texts)

    def take(self, logits: Rows) -> None:
        if not self.texts:
            self._begin()
            logits = np.repeat(logits, len(self.texts), 0) if len(self.texts) > 1 else logits
        place = 0
        for text in [text for text in self.texts if text.reason is None]:
            count = 1 + text.lane.drafts
            self._advance(text, logits[place : place + count])
            place += count
        self.is_done = not self.lanes

    def results(self, unfinished: Reason = "cancelled") -> list[Generated]:
        return [Generated(text.made, text.reason or unfinished) for text in self.texts] or [Generated([], unfinished)]

    def kept(self) -> Kept | None:
        if not self.plan.config.keeps_steps:
            return None
        return Kept(_by_step([text.scores for text in self.texts]), _by_step([text.logits for text in self.texts]))

    def _begin(self) -> None:
        """The prompt has been read, once: every text goes on from there."""
        root, plan = self.lanes[0], self.plan
        for number in range(plan.config.num_return_sequences):
            lane = root if number == 0 else root.fork()
            lookup = Lookup.for_config(plan.config, plan.ids, plan.repeatable)
            self.lanes[number:] = [lane]
            self.texts.append(Text(lane, Tokens(plan.ids), generator_of(plan.seed, number), lookup))

    def _advance(self, text: Text, logits: Rows) -> None:
        """The next token, and one more for each draft that turns out right."""
        lane, stop = text.lane, self.plan.stop
        drafts = lane.pending[len(lane.pending) - lane.drafts :]
        first = len(text.made)
        for row, draft in zip(logits, [*drafts, None], strict=True):
            token = self._choose(text, row)
            text.tokens.append(token)
            text.made.append(token)
            text.reason = stop.reason(token, len(text.made), lambda: text.tokens.ids)
            if text.lookup is not None:
                text.lookup.push(token)
            if token != draft or text.reason is not None:
                break
        new = text.made[first:]
        if self.plan.on_tokens is not None:
            self.plan.on_tokens(new)
        if text.reason is not None:
            self.lanes.remove(lane)
            lane.free()
            return
        lane.forget(len(drafts) - (len(new) - 1))
        lane.feed(new[-1], None if text.lookup is None else text.lookup.draft(self.plan.most - len(text.made) - 1))

    def _choose(self, text: Text, row: Row) -> int:
        plan, config = self.plan, self.plan.config
        if config.keeps_steps:
            text.logits.append(row.copy())
        for edit in plan.edits:
            edit(text.tokens.ids, row)
        if config.do_sample:
            check(row.max())  # filters take numbers only
        candidates = Candidates(row)
        for narrow in plan.filters:
            candidates = narrow(candidates)
        if config.keeps_steps:
            kept = normalized(candidates) if config.renormalize_logits else candidates
            text.scores.append(kept.row(plan.vocab_size).copy())
        return draw(candidates, text.generator) if config.do_sample else best(row)


def _by_step(texts: list[list[Row]]) -> list[Rows]:
    """For each text the rows of its steps -> for each step the rows of all texts, zeros for those that have ended."""
    longest = max(texts, key=len, default=[])
    return [
        np.stack([rows[step] if step < len(rows) else np.zeros_like(row) for rows in texts])
        for step, row in enumerate(longest)
    ]
