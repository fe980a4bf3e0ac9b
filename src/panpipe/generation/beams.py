"""Beam search: the best few texts are followed at once; ended ones compete by score / length ** length_penalty.

As transformers 4.57.6's, token for token: the same candidates in the same order, the same three meanings of
early_stopping, scores in float32. Only beams that live are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .jobs import Generated
from .lanes import Lane
from .outputs import NO_SCORE, Kept
from .plan import Plan
from .processors import Candidates, Row, log_probabilities, normalized
from .sampling import check, draw_several, generator_of
from .searches import Rows, Search
from .stopping import Reason

if TYPE_CHECKING:
    from .decoder import Decoder, Source

__all__ = ["Beams"]


@dataclass(eq=False)
class Beam:
    """A text that may still win.

    score: the sum of its tokens' scores.   parents: the beams that its tokens came from.
    """

    lane: Lane
    ids: list[int]
    score: np.float32
    parents: tuple[int, ...] = ()


class Candidate(NamedTuple):
    """A beam and one more token."""

    beam: int
    token: int
    score: np.float32


@dataclass(eq=False)
class Ended:
    """A text that ended, with its final score."""

    ids: list[int]
    score: np.float32
    reason: Reason
    parents: tuple[int, ...]


class Beams(Search):
    """Beam search and beam sampling for one prompt."""

    def __init__(self, plan: Plan, decoder: Decoder, source: Source | None) -> None:
        super().__init__(plan, decoder, source)
        self.beams = [Beam(self.lanes[0], list(plan.ids), np.float32(0))]
        self.ended: list[Ended] = []
        self._kept = Kept([], [], []) if plan.config.keeps_steps else None
        self._made = 0
        self._can_improve = True
        self._generator = generator_of(plan.seed, 0)

    @property
    def made(self) -> int:
        return self._made * self.plan.config.num_beams

    def take(self, logits: Rows) -> None:
        config = self.plan.config
        self._made += 1
        candidates = self._candidates(logits)
        ends = [self._reason(candidate) for candidate in candidates]
        running = [c for c, reason in zip(candidates, ends, strict=True) if reason is None]
        running.sort(key=lambda candidate: -candidate.score)  # drawn ones are not in this order
        running = running[: config.num_beams]
        if self._can_improve and not (self._is_full and config.early_stopping is True):
            self._end(candidates[: config.num_beams], ends)
        self._can_improve = self._can_improve and bool(running) and self._could_win(running[0].score)
        if not self._can_improve or (self._is_full and config.early_stopping is True):
            running = []
        self._go_on(running)
        self.is_done = not running
        if self.is_done and self.plan.on_tokens is not None:
            self.plan.on_tokens(self.results()[0].tokens)

    def results(self, unfinished: Reason = "cancelled") -> list[Generated]:
        config, start = self.plan.config, len(self.plan.ids)
        texts = list(self.ended)
        if len(texts) < config.num_return_sequences and not self.is_done:
            texts += [Ended(b.ids, self._final(b.score), unfinished, b.parents) for b in self.beams]
        return [
            Generated(text.ids[start:], text.reason, float(text.score), list(text.parents))
            for text in texts[: config.num_return_sequences]
        ]

    def kept(self) -> Kept | None:
        return self._kept

    # -- the candidates ----------------------------------------------------------------------------------------------

    def _candidates(self, logits: Rows) -> list[Candidate]:
        """The best (or drawn) continuations of all beams together: enough that num_beams of them do not end."""
        plan, config = self.plan, self.plan.config
        scores = plan.ops.log_softmax(logits)
        for beam, row in zip(self.beams if plan.edits else [], scores, strict=False):
            ids = np.array(beam.ids, np.int64)
            for edit in plan.edits:
                edit(ids, row)
        if config.renormalize_logits and plan.edits and not plan.filters:
            scores = log_probabilities(scores)
        count = max(2, 1 + len(config.eos_token_ids)) * config.num_beams
        if not config.do_sample:
            self._keep(scores, logits)
            return self._best(scores, count)
        check(scores.max())
        rows = [self._filtered(row) for row in scores]
        if self._kept is not None:
            self._keep(np.stack([row.row(plan.vocab_size) for row in rows]), logits)
        return self._drawn(rows, count)

    def _keep(self, scores: Rows, logits: Rows) -> None:
        if self._kept is not None:
            beams = [min(number, len(self.beams) - 1) for number in range(self.plan.config.num_beams)]
            self._kept.scores.append(scores[beams])
            self._kept.logits.append(logits[beams])
            self._kept.beams.append([beam.ids for beam in self.beams])

    def _best(self, scores: Rows, count: int) -> list[Candidate]:
        check(scores.max())
        values, columns = self.plan.ops.top(scores, min(count, scores.shape[1]))
        values = values + np.array([[beam.score] for beam in self.beams], np.float32)
        order = np.argsort(-values, axis=None, kind="stable")[:count]
        return [
            Candidate(place // values.shape[1], int(columns.flat[place]), values.flat[place])
            for place in order.tolist()
            if values.flat[place] > NO_SCORE
        ]

    def _filtered(self, row: Row) -> Candidates:
        candidates = Candidates(row)
        for narrow in self.plan.filters:
            candidates = narrow(candidates)
        return normalized(candidates) if self.plan.config.renormalize_logits else candidates

    def _drawn(self, rows: list[Candidates], count: int) -> list[Candidate]:
        scores = np.concatenate([row.scores + beam.score for row, beam in zip(rows, self.beams, strict=True)])
        beams = np.repeat(np.arange(len(rows)), [len(row.scores) for row in rows])
        tokens = np.concatenate([np.arange(len(r.scores)) if r.ids is None else r.ids for r in rows])
        places = draw_several(scores, count, self._generator)
        return [Candidate(int(beams[place]), int(tokens[place]), scores[place]) for place in places]

    # -- what becomes of them ----------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        return len(self.ended) == self.plan.config.num_beams

    def _ids(self, candidate: Candidate) -> list[int]:
        return [*self.beams[candidate.beam].ids, candidate.token]

    def _reason(self, candidate: Candidate) -> Reason | None:
        return self.plan.stop.reason(candidate.token, self._made, lambda: np.array(self._ids(candidate)))

    def _final(self, score: np.float32) -> np.float32:
        return score / np.float32(float(max(self._made, 1)) ** self.plan.config.length_penalty)

    def _end(self, candidates: list[Candidate], ends: list[Reason | None]) -> None:
        """Those of the best num_beams candidates that end join the ended ones, of which the best stay."""
        for candidate, reason in zip(candidates, ends, strict=False):
            if reason is not None and self._final(candidate.score) > NO_SCORE:
                parents = (*self.beams[candidate.beam].parents, candidate.beam)
                self.ended.append(Ended(self._ids(candidate), self._final(candidate.score), reason, parents))
        self.ended.sort(key=lambda text: -text.score)
        del self.ended[self.plan.config.num_beams :]

    def _could_win(self, best: np.float32) -> bool:
        """Whether the best running beam could still beat the worst ended one."""
        if not self._is_full:
            return True
        config = self.plan.config
        length = self.plan.most if config.early_stopping == "never" and config.length_penalty > 0 else self._made
        return bool(best / np.float32(float(length) ** config.length_penalty) > self.ended[-1].score)

    def _go_on(self, running: list[Candidate]) -> None:
        """The candidates become the beams. The first child of a beam takes its cache over, others share it."""
        beams, taken = [], set()
        for candidate in running:
            parent = self.beams[candidate.beam]
            if candidate.beam in taken:
                lane = parent.lane.fork()
                self.lanes.append(lane)
            else:
                lane = parent.lane
                taken.add(candidate.beam)
            lane.feed(candidate.token)
            beams.append(Beam(lane, self._ids(candidate), candidate.score, (*parent.parents, candidate.beam)))
        for number, parent in enumerate(self.beams):
            if number not in taken:
                self.lanes.remove(parent.lane)
                parent.lane.free()
        self.lanes = [beam.lane for beam in beams]
        self.beams = beams if running else self.beams
