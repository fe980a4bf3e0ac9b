"""What a careful user of a bare runtime writes to generate: one token after the other for all rows together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.cases import TOP_K, Generate
from benchmarks.peers.serving import Array

__all__ = ["Step", "choices", "decode"]

Step = Callable[[Array, Array], tuple[Array, Array]]
"""(tokens int64 [rows, tokens], origins int32 [rows]) -> (values, ids), [rows, choices] each: likely next tokens.

origins: the row of the step before that each row goes on from. The first step has a row for each sequence, or all.
values: logits, or, where beams are searched, log-probabilities.
"""


def choices(case: Generate) -> int:
    """How many of the likeliest tokens a step has to tell."""
    return TOP_K if case.samples else case.beams


def decode(step: Step, case: Generate, first: Array) -> Array:
    """The new tokens, int64 [sequences * samples, new_tokens].

    first: the prompts or starts, [rows, tokens], of each sequence once or for all its beams or samples.
    """
    values, ids = step(first, np.arange(len(first), dtype=np.int32))
    origins = np.arange(case.rows, dtype=np.int32) * len(first) // case.rows
    values, ids = values[origins], ids[origins]
    if case.beams > 1:
        return _beams(step, case, values, ids, origins)
    pick = _Draw() if case.samples else _likeliest
    tokens = np.empty((case.rows, case.new_tokens), np.int64)
    for place in range(case.new_tokens):
        if place:
            values, ids = step(tokens[:, place - 1 : place], origins)
            origins = np.arange(case.rows, dtype=np.int32)
        tokens[:, place] = pick(values, ids)
    return tokens


def _likeliest(values: Array, ids: Array) -> Array:
    chosen: Array = ids[:, 0]
    return chosen


class _Draw:
    """From the probabilities of the choices."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def __call__(self, values: Array, ids: Array) -> Array:
        best = (values + self.random.gumbel(size=values.shape)).argmax(1)
        drawn: Array = ids[np.arange(len(ids)), best]
        return drawn


def _beams(step: Step, case: Generate, values: Array, ids: Array, origins: Array) -> Array:
    """All sequences are of one length: scores need no length penalty, and none ends before the last step."""
    count, beams = case.sequences, case.beams
    tokens = np.empty((count * beams, case.new_tokens), np.int64)
    tokens[:, 0], scores = ids[::beams].reshape(-1), values[::beams]  # the first step's rows are alike
    rows = np.arange(count)[:, None]
    for place in range(1, case.new_tokens):
        values, ids = step(tokens[:, place - 1 : place], origins)
        candidates = (scores[:, :, None] + values.reshape(count, beams, beams)).reshape(count, -1)
        best = np.argsort(-candidates, axis=1, kind="stable")[:, :beams]
        scores = candidates[rows, best]
        origins = (rows * beams + best // beams).reshape(-1).astype(np.int32)
        tokens[:, :place] = tokens[origins, :place]
        tokens[:, place] = ids.reshape(count, -1)[rows, best].reshape(-1)
    return tokens[::beams]
