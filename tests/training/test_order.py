from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.training.order import epoch_batches, example_seeds, step_seed


@given(
    count=st.integers(0, 400),
    size=st.integers(1, 40),
    epoch=st.integers(0, 3),
    by_length=st.booleans(),
    max_tokens=st.one_of(st.none(), st.integers(1, 300)),
)
@settings(max_examples=150, deadline=None)
def test_every_example_comes_once_in_an_epoch(
    count: int, size: int, epoch: int, by_length: bool, max_tokens: int | None
) -> None:
    lengths = np.random.default_rng(count).integers(1, 60, count)
    options = {"seed": 5, "epoch": epoch, "max_tokens": max_tokens}
    wants_lengths = by_length or max_tokens is not None
    batches = epoch_batches(count, size, lengths=lengths if wants_lengths else None, **options)
    assert sorted(np.concatenate([*batches, []]).tolist()) == list(range(count))
    for batch in batches:
        if max_tokens is None:
            assert 0 < len(batch) <= size
        else:
            assert len(batch) == 1 or lengths[batch].sum() <= max_tokens


@pytest.mark.parametrize("by_length", [False, True])
def test_the_order_depends_on_seed_and_epoch_alone(by_length: bool) -> None:
    lengths = np.arange(100) % 17 + 1 if by_length else None

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_batches(100, 8, seed=seed, epoch=epoch, lengths=lengths)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_examples_of_about_the_same_length_come_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 3200)
    batches = epoch_batches(3200, 32, seed=0, epoch=0, lengths=lengths)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()
    assert lengths[batches[0]].max() == max(lengths[batch].max() for batch in batches)  # want of memory shows at once


def test_drop_last_leaves_out_the_smaller_batch() -> None:
    assert [len(b) for b in epoch_batches(10, 4, seed=0, epoch=0, drop_last=True)] == [4, 4]
    assert [len(b) for b in epoch_batches(3, 4, seed=0, epoch=0, drop_last=True)] == [3]


def test_the_seed_of_an_example_does_not_depend_on_its_batch() -> None:
    assert example_seeds(7, 2, [5, 9]) == [example_seeds(7, 2, [5])[0], example_seeds(7, 2, [9])[0]]
    assert len({*example_seeds(7, 2, range(1000)), *example_seeds(7, 3, range(1000))}) == 2000


def test_every_step_and_process_has_its_own_seed() -> None:
    assert len({step_seed(1, step, rank) for step in range(50) for rank in range(4)}) == 200
    assert step_seed(1, 3, 0) == step_seed(1, 3, 0)
