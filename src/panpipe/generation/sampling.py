"""Seeds, and drawing a token.

Each text has a generator of its own, made from its prompt's seed and its number among the texts of that prompt: what
else is generated at the same time, and in which steps, changes nothing.
"""

from __future__ import annotations

import threading

import numpy as np

from ..errors import EngineError, InvalidArgument
from .processors import Candidates, Row

__all__ = ["best", "draw", "draw_several", "generator_of", "new_seed", "set_seed"]

_MANY = 256

_lock = threading.Lock()
_seeds = np.random.default_rng()


def set_seed(seed: int) -> None:
    """Make what is sampled from here on repeatable, where no `seed=` is given. Changes nothing outside panpipe.

    Raises InvalidArgument if the seed is not a whole number, 0 or more.
    """
    global _seeds
    with _lock:
        _seeds = np.random.default_rng(checked_seed(seed))


def new_seed() -> int:
    """A seed for a prompt that was given none."""
    with _lock:
        return int(_seeds.integers(2**32))


def checked_seed(seed: object) -> int:
    """The seed as an int.   Raises InvalidArgument."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise InvalidArgument(f"seed={seed!r}: give a whole number, 0 or more.")
    return int(seed)


def generator_of(seed: int, text: int) -> np.random.Generator:
    """The source of randomness of one text of a prompt."""
    return np.random.Generator(np.random.PCG64([seed, text]))


def best(scores: Row) -> int:
    """The token of the highest score, the first of equals.   Raises EngineError, InvalidArgument as `check` does."""
    token = int(scores.argmax())
    check(scores[token])
    return token


def draw(candidates: Candidates, generator: np.random.Generator) -> int:
    """A token with probability softmax(scores)."""
    scores = candidates.scores
    peak = scores.max()
    check(peak)
    place = _place(np.exp(scores - peak), generator.random())
    return place if candidates.ids is None else int(candidates.ids[place])


def _place(weights: Row, share: float) -> int:
    """Where that share (0 … 1) of the weights' sum is reached: first among sums of many, then within one of these."""
    starts = np.arange(0, len(weights), _MANY)
    sums = np.cumsum(np.add.reduceat(weights, starts), dtype=np.float64)
    wanted = share * sums[-1]
    part = min(int(np.searchsorted(sums, wanted, side="right")), len(sums) - 1)
    inner = np.cumsum(weights[starts[part] : starts[part] + _MANY], dtype=np.float64)
    wanted -= sums[part - 1] if part else 0.0
    place = int(starts[part]) + int(np.searchsorted(inner, wanted, side="right"))
    is_weighty = place < len(weights) and weights[place] > 0
    return place if is_weighty else int(weights.argmax())  # rounding: the sums differ in their last digits


def draw_several(scores: Row, count: int, generator: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`count` places without replacement, in the order drawn: each with probability softmax(scores) among those left.

    Fewer come where fewer have a probability above 0.
    Source: Gumbel-top-k, Kool et al. 2019, arXiv:1903.06059.
    """
    check(scores.max())
    possible = np.flatnonzero(scores - scores.max() > -80)  # e^-80: beyond float32's probabilities
    keys = scores[possible] + generator.gumbel(size=len(possible))
    return possible[np.argsort(-keys, kind="stable")[:count]]


def check(score: np.floating[object]) -> None:  # type: ignore[type-var]
    """The best score of a row must be a number.   Raises EngineError (NaN), InvalidArgument (all -inf)."""
    if np.isnan(score):
        raise EngineError(
            "the model's scores are not numbers (NaN): its weights may be damaged, or a logits_processor made them so. "
            "remove_invalid_values=True goes on with 0 in their place."
        )
    if score == -np.inf:
        raise InvalidArgument(
            "every token is forbidden here: bad_words_ids, suppress_tokens, prefix_allowed_tokens_fn and the other "
            "rules leave none. Allow one more."
        )
