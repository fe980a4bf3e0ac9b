"""Which examples each step reads: a pure function of seed, epoch and place, so that a run can go on anywhere.

Nothing here is state. A resumed run asks for the same batches again and begins at the step it stands at; on another
number of processes the batches are the same and only dealt out differently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["epoch_batches", "example_seeds", "generator", "step_seed"]

GROUP = 50
"""Batches whose examples are sorted by length together: short enough to stay random, long enough to match lengths."""

Indices = npt.NDArray[np.int64]


def generator(*key: int) -> np.random.Generator:
    """Random numbers that depend on these integers alone, the same on every machine."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([k & 0xFFFFFFFFFFFFFFFF for k in key])))


def step_seed(seed: int, step: int, rank: int) -> int:
    """For PyTorch's generator at the beginning of a step: dropout needs no state either."""
    return int(generator(seed, 1, step, rank).integers(2**63))


def example_seeds(seed: int, epoch: int, indices: Sequence[int] | Indices) -> list[int]:
    """One for each example of an epoch: what its mask is drawn from."""
    base = int(generator(seed, 2, epoch).integers(2**63))
    return [(base + 0x9E3779B97F4A7C15 * (int(index) + 1)) & 0x7FFFFFFFFFFFFFFF for index in indices]


def epoch_batches(
    count: int,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    lengths: Indices | None = None,
    max_tokens: int | None = None,
    drop_last: bool = False,
) -> list[Indices]:
    """The batches of one process's forward passes, in the order in which all processes together take them.

    lengths: tokens of each example, where those of about the same length shall come together.
    max_tokens: of a batch, instead of batch_size examples; needs lengths.   drop_last: without the last, smaller one.
    """
    random = generator(seed, 0, epoch)
    order = random.permutation(count)
    if max_tokens is not None:
        assert lengths is not None, "batches by tokens need the lengths"
        batches = _by_tokens(order, lengths, max_tokens, random)
    elif lengths is not None:
        batches = _by_length(order, lengths, batch_size, random)
    else:
        batches = [order[i : i + batch_size] for i in range(0, count, batch_size)]
    is_short = bool(batches) and max_tokens is None and len(batches[-1]) < batch_size
    return batches[:-1] if drop_last and is_short and len(batches) > 1 else batches


def _by_length(order: Indices, lengths: Indices, batch_size: int, random: np.random.Generator) -> list[Indices]:
    """Batches of examples of about the same length; the longest first, so that want of memory shows at once."""
    batches: list[Indices] = []
    for start in range(0, len(order), GROUP * batch_size):
        group = order[start : start + GROUP * batch_size]
        group = group[np.argsort(-lengths[group], kind="stable")]
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    return _shuffled(batches, lengths, random, batch_size)


def _by_tokens(order: Indices, lengths: Indices, max_tokens: int, random: np.random.Generator) -> list[Indices]:
    batches: list[Indices] = []
    span = max(1, GROUP * max_tokens // max(1, int(lengths.mean()))) if len(order) else 1
    for start in range(0, len(order), span):
        group = order[start : start + span]
        group = group[np.argsort(-lengths[group], kind="stable")]
        first, tokens = 0, 0
        for place, length in enumerate(lengths[group].tolist()):
            if place > first and tokens + length > max_tokens:
                batches.append(group[first:place])
                first, tokens = place, 0
            tokens += length
        batches.append(group[first:])
    return _shuffled(batches, lengths, random)


def _shuffled(
    batches: list[Indices], lengths: Indices, random: np.random.Generator, batch_size: int | None = None
) -> list[Indices]:
    """In random order, but for the longest, which comes first, and a smaller one, which comes last."""
    if len(batches) < 2:
        return batches
    last = [batches.pop()] if batch_size is not None and len(batches[-1]) < batch_size else []
    longest = max(range(len(batches)), key=lambda i: int(lengths[batches[i]].max()))
    first = batches.pop(longest)
    return [first, *(batches[i] for i in random.permutation(len(batches))), *last]
