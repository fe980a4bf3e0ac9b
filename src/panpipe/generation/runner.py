"""The Runner: many prompts decoded together, each joining and leaving at any step.

A step reads what all running searches have pending: one token of each text under way, guesses, and as much of new
prompts as keeps the step short. A prompt starts when its worst case fits into the cache: it never has to stop halfway.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import CacheFull, PanpipeError
from .beams import Beams
from .jobs import Job, Prompt
from .lanes import Lane
from .plan import Plan, planned
from .progress import Progress
from .sampling import checked_seed, new_seed
from .searches import Rows, Search, Texts

if TYPE_CHECKING:
    from .decoder import Decoder

__all__ = ["Runner", "generate_many"]

_log = logging.getLogger("panpipe")

TOKENS_PER_STEP = 512
"""Enough rows to keep the kernels busy, few enough that texts under way do not wait long for a prompt that joins."""

TOKENS_PER_READING = 1536
"""Of sources that go through an encoder together."""

ROWS_WITH_DRAFTS = 16
"""Up to so many rows, a step's time is that of reading the weights: there guesses cost little."""

BYTES_OF_LOGITS = 64 * 1024 * 1024
"""No more texts at once than have their logits in this."""


@dataclass(eq=False)
class _Waiting:
    """A job that has not started. worst: the tokens it may need in the cache."""

    job: Job
    plan: Plan
    worst: int


@dataclass(eq=False)
class _Running:
    """A job that has. most: the tokens it may make.   is_new: its prompt is not read to the end."""

    job: Job
    search: Search
    worst: int
    lanes: int
    most: int
    is_new: bool = True


class Runner:
    """Decodes many prompts together. Not for several threads at once.

    model: a causal-lm or seq2seq-lm.   cache_tokens: the cache's budget; None: what the memory allows.
    tokenizer: for stop strings.   decoder: one to use instead of making one for the model.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        cache_tokens: int | None = None,
        tokenizer: Any = None,
        decoder: Decoder | None = None,
    ) -> None:
        self.decoder = decoder if decoder is not None else _decoder(model, cache_tokens)
        self.tokenizer = tokenizer
        self._waiting: deque[_Waiting] = deque()
        self._running: list[_Running] = []
        self._finished: list[Job] = []
        self._capacity = self.decoder.room()
        self._ended = 0
        self._most_lanes = max(8, BYTES_OF_LOGITS // (4 * self.decoder.vocab_size))

    # -- for callers -------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._waiting and not self._running

    @property
    def tokens_made(self) -> int:
        """How many tokens were made so far, in all."""
        return self._ended + sum(running.search.made for running in self._running)

    @property
    def tokens_at_most(self) -> int:
        """How many there can be in the end, of the prompts given so far."""
        waiting = sum(waiting.plan.most * waiting.plan.texts for waiting in self._waiting)
        running = sum(running.most for running in self._running)
        return self._ended + waiting + running

    @property
    def takes_more(self) -> bool:
        """Whether there may be room for another prompt: those that were added all fit at once."""
        taken = sum(running.worst for running in self._running) + sum(waiting.worst for waiting in self._waiting)
        lanes = sum(running.lanes for running in self._running) + sum(w.plan.texts for w in self._waiting)
        return taken < self._capacity and lanes < self._most_lanes

    def add(self, prompt: Prompt) -> Job:
        """Have a prompt decoded. It starts as soon as its worst case fits into the cache.

        Raises CacheFull if it never can, saying how many tokens fit; InvalidArgument, InputError, TooLong.
        """
        seed = new_seed() if prompt.seed is None else checked_seed(prompt.seed)
        plan = planned(prompt, self.decoder, seed, self.tokenizer)
        worst = self._worst(plan)
        if worst > self._capacity:
            raise CacheFull(
                f"{len(plan.source_ids or plan.ids)} tokens with up to {plan.most} new ones in {plan.texts} text(s) at "
                f"once need room for {worst} tokens, and the cache has room for {self._capacity}. Ask for fewer new "
                "tokens, texts or beams, or give the cache more memory."
            )
        job = Job(prompt, seed)
        self._waiting.append(_Waiting(job, plan, worst))
        return job

    def step(self) -> list[Job]:
        """Read once what is pending, for all prompts together; the jobs that finished.

        A job that fails (a function of the user's raised) has its error, and the others go on.
        """
        self._admit()
        for searches, logits in self._read():
            place = 0
            for running in searches:
                rows = sum(1 + lane.drafts for lane in running.search.lanes)
                self._take(running, logits[place : place + rows])
                place += rows
        return self.finished()

    def finished(self) -> list[Job]:
        """The jobs that finished and were not told yet: of a step that was interrupted."""
        finished, self._finished = self._finished, []
        return finished

    def cancel(self, job: Job) -> None:
        """Stop a job where it is: its results are what was made, with the reason "cancelled"."""
        for running in [running for running in self._running if running.job is job]:
            self._finish(running)
        for waiting in [waiting for waiting in self._waiting if waiting.job is job]:
            self._waiting.remove(waiting)
            job.is_done = True

    def cancel_all(self) -> list[Job]:
        """Stop every job; returns those that were stopped."""
        jobs = [running.job for running in self._running] + [waiting.job for waiting in self._waiting]
        for job in jobs:
            self.cancel(job)
        return jobs

    # -- joining and leaving -----------------------------------------------------------------------------------------

    def _worst(self, plan: Plan) -> int:
        """The tokens for which a prompt may need room: its own once, and new ones, in blocks, for each of its texts."""
        block = self.decoder.block_size
        new = plan.texts * (_up(plan.most, block) + block)
        negative = 0 if plan.negative_ids is None else _up(len(plan.negative_ids), block) + new
        return _up(len(plan.ids), block) + new + negative + _up(len(plan.source_ids or ()), block)

    def _admit(self) -> None:
        """Start, in order, the prompts that fit."""
        room = self._capacity - sum(running.worst for running in self._running)
        lanes = self._most_lanes - sum(running.lanes for running in self._running)
        joining: list[_Waiting] = []
        for waiting in self._waiting:
            texts = waiting.plan.texts
            is_alone = not joining and not self._running
            if waiting.worst > room or (texts > lanes and not is_alone):
                break
            joining.append(waiting)
            room, lanes = room - waiting.worst, lanes - texts
        for group in _groups(joining):
            self._start(group)

    def _start(self, group: list[_Waiting]) -> None:
        """Start these prompts, their sources read together."""
        try:
            sources = self._sources(group)
        except PanpipeError as error:
            if len(group) == 1:
                self._waiting.remove(group[0])
                self._finished.append(group[0].job.fail(error))
            else:  # find out which
                for waiting in group:
                    self._start([waiting])
            return
        for waiting, source in zip(group, sources, strict=True):
            plan = waiting.plan
            search = (Beams if plan.config.num_beams > 1 else Texts)(plan, self.decoder, source)
            self._running.append(_Running(waiting.job, search, waiting.worst, plan.texts, plan.most * plan.texts))
            self._waiting.remove(waiting)

    def _sources(self, group: list[_Waiting]) -> Sequence[Any]:
        if not self.decoder.is_encoder_decoder:
            return [None] * len(group)
        return self.decoder.read([waiting.plan.source_ids or [] for waiting in group])

    def _finish(self, running: _Running, error: Exception | None = None) -> None:
        self._running.remove(running)
        self._ended += running.search.made
        try:
            if error is None:
                running.job.end(running.search.results(), running.search.kept())
            else:
                running.job.fail(error)
        finally:
            running.search.close()

    # -- a step ------------------------------------------------------------------------------------------------------

    def _read(self) -> Iterator[tuple[list[_Running], Rows]]:
        """Searches and the logits for all of their lanes. Prompts share what texts under way leave of the step."""
        under_way = [running for running in self._running if not running.is_new]
        rows = self._bound_drafts([lane for running in under_way for lane in running.search.lanes])
        whole, parts = self._prompts(max(TOKENS_PER_STEP - rows, TOKENS_PER_STEP // 8))
        if any(lane.drafts for running in under_way for lane in running.search.lanes):
            yield under_way, self._step(under_way, [], every=True)
            under_way = []
        if under_way or whole or parts:
            yield under_way + whole, self._step(under_way + whole, parts)

    def _bound_drafts(self, lanes: list[Lane]) -> int:
        """Take away what guesses there are too many of; the rows that stay."""
        rows = len(lanes)
        for lane in lanes:
            lane.drop_drafts(max(0, ROWS_WITH_DRAFTS - rows))
            rows += lane.drafts
        return rows

    def _prompts(self, room: int) -> tuple[list[_Running], list[tuple[Lane, int]]]:
        """(new searches whose prompts are read to the end, lanes of others and how many of their tokens are read)."""
        whole: list[_Running] = []
        parts: list[tuple[Lane, int]] = []
        for running in self._running:
            if not running.is_new or room <= 0:
                continue
            (lane,) = running.search.lanes
            if len(lane.pending) <= room:
                whole.append(running)
            else:
                parts.append((lane, room))
            room -= len(lane.pending)
        return whole, parts

    def _step(self, searches: list[_Running], parts: list[tuple[Lane, int]], every: bool = False) -> Rows:
        """The logits of the searches' lanes; parts of prompts are read on the way."""
        lanes = [lane for running in searches for lane in running.search.lanes]
        guides = [lane.guide for lane in lanes if lane.guide is not None]
        read = [(lane.sequence, lane.pending) for lane in lanes]
        read += [(guide.sequence, guide.pending) for guide in guides]
        read += [(lane.sequence, lane.pending[:count]) for lane, count in parts]
        logits = self.decoder.step([sequence for sequence, _ in read], [tokens for _, tokens in read], every=every)
        for lane, count in parts:
            del lane.pending[:count]
        self._guide(lanes, logits)
        return logits

    def _guide(self, lanes: list[Lane], logits: Rows) -> None:
        """Lead the rows of lanes that have a guide away from the guides' rows, which stand behind all lanes' rows."""
        away = sum(1 + lane.drafts for lane in lanes)
        place = 0
        for lane in lanes:
            if lane.guide is not None:
                logits[place] = lane.guide.guided(logits[place], logits[away])
                away += 1
            place += 1 + lane.drafts

    def _take(self, running: _Running, logits: Rows) -> None:
        """Give a search its logits, with which it may be done."""
        running.is_new = False
        error = None
        try:
            running.search.take(logits)
        except Exception as raised:
            error = raised
        if error is not None or running.search.is_done:
            self._finish(running, error)
            self._finished.append(running.job)


def generate_many(
    model: Any,
    prompts: Iterable[Prompt],
    *,
    tokenizer: Any = None,
    cache_tokens: int | None = None,
    decoder: Decoder | None = None,
    progress: bool = False,
) -> Generator[Job, None, None]:
    """Decode prompts together, as many at a time as the cache has room for; each job as soon as it is done.

    Jobs come in the order in which they finish; `job.prompt.tag` tells them apart. A prompt that cannot be decoded
    gives a job whose `results` raise its error. Ctrl-C ends all: jobs come out with what they have, reason "cancelled".
    model, tokenizer, cache_tokens, decoder: see Runner.   progress: show a bar.
    """
    runner = Runner(model, tokenizer=tokenizer, cache_tokens=cache_tokens, decoder=decoder)
    bar = Progress() if progress else None
    source = iter(prompts)
    has_more = True
    try:
        while has_more or not runner.is_idle:
            while has_more and runner.takes_more:
                prompt = next(source, None)
                has_more = prompt is not None
                if prompt is not None:
                    try:
                        runner.add(prompt)
                    except PanpipeError as error:
                        yield Job(prompt, 0).fail(error)
            yield from runner.step()
            if bar is not None:
                bar.show(runner.tokens_made, runner.tokens_at_most)
    except KeyboardInterrupt:
        yield from runner.finished()
        stopped = runner.cancel_all()
        _log.warning("interrupted: %d text(s) come as far as they were made.", len(stopped))
        yield from stopped
    finally:
        runner.cancel_all()
        if bar is not None:
            bar.close()


def _decoder(model: Any, cache_tokens: int | None) -> Decoder:
    from .decoder import Decoder

    return Decoder(model, tokens=cache_tokens)


def _groups(joining: list[_Waiting]) -> Iterator[list[_Waiting]]:
    """In order, in groups whose sources are of a length to be read together."""
    group: list[_Waiting] = []
    tokens = 0
    for waiting in joining:
        length = len(waiting.plan.source_ids or ())
        if group and tokens + length > TOKENS_PER_READING:
            yield group
            group, tokens = [], 0
        group.append(waiting)
        tokens += length
    if group:
        yield group


def _up(tokens: int, block: int) -> int:
    """Tokens in whole blocks."""
    return -(-tokens // block) * block
