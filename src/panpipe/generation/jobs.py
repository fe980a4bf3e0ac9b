"""What goes into generation and what comes out of it: prompts, jobs and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .config import GenerationConfig
from .processors import Ids
from .stopping import Reason

__all__ = ["Generated", "Job", "Prompt"]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Options:
    """What else a prompt may bring.

    seed: of its sampling; None: drawn, and told in `Job.seed`.
    decoder_ids: what an encoder-decoder's text begins with; None: its start token.
    width: the tokens of the prompt as max_length and min_length count them, None: all; rectangles count padding.
    on_tokens: called with the new tokens of a prompt's only text as soon as they are decided (with beams: at the end).
    processors, criteria, allowed: the user's logits_processor, stopping_criteria and prefix_allowed_tokens_fn.
    negative_ids: the prompt to be guided away from (guidance_scale); None: the last token of the prompt.
    tag: the caller's, to know the prompt by.
    """

    seed: int | None = None
    decoder_ids: Sequence[int] | None = None
    width: int | None = None
    on_tokens: Callable[[list[int]], None] | None = None
    processors: Sequence[Callable[[Any, Any], Any]] = ()
    criteria: Sequence[Callable[[Any, Any], Any]] = ()
    allowed: Callable[[Ids], Iterable[int]] | None = None
    negative_ids: Sequence[int] | None = None
    tag: Any = None


@dataclass(frozen=True, eq=False)
class Prompt(_Options):
    """A prompt and how to go on from it.

    token_ids: the prompt, or the source of an encoder-decoder.   config: complete (`prepared` makes it).
    """

    token_ids: Sequence[int]
    config: GenerationConfig = field(default_factory=lambda: GenerationConfig(max_new_tokens=20))


@dataclass(frozen=True, eq=False)
class Generated:
    """A text that was made: its new tokens, and why it ended.

    score: of a beam search, log-probability / length ** length_penalty.   beams: the beam that each token came from.
    """

    tokens: list[int]
    reason: Reason
    score: float | None = None
    beams: list[int] | None = None


class Job:
    """A prompt at work.

    seed: what its sampling can be repeated with.   is_done: whether there are results (or an error).
    error: what stopped it, if it was not its own end.   kept: what was kept of its steps (see `outputs`).
    """

    def __init__(self, prompt: Prompt, seed: int) -> None:
        self.prompt = prompt
        self.seed = seed
        self.is_done = False
        self.error: Exception | None = None
        self.kept: Any = None
        self._results: list[Generated] = []

    @property
    def results(self) -> list[Generated]:
        """Its texts, best first.   Raises the job's error, if it failed."""
        if self.error is not None:
            raise self.error
        return self._results

    def end(self, results: list[Generated], kept: Any = None) -> None:
        """It has come to its end."""
        self._results, self.kept, self.is_done = results, kept, True

    def fail(self, error: Exception) -> Job:
        """It cannot go on. Returns the job."""
        self.error, self.is_done = error, True
        return self
