"""Drawing: exact distributions (chi-square, seeded), seeds, and what cannot be drawn from."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from panpipe.errors import EngineError, InvalidArgument
from panpipe.generation import set_seed
from panpipe.generation.processors import Candidates
from panpipe.generation.sampling import best, draw, draw_several, generator_of, new_seed


def chi_square(counts: Any, expected: Any) -> float:
    """How many of its standard deviations the statistic lies above its mean: about normal, for many cells."""
    many = expected >= 5
    observed, wanted = np.append(counts[many], counts[~many].sum()), np.append(expected[many], expected[~many].sum())
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    degrees = len(wanted) - 1
    return float((((observed - wanted) ** 2 / wanted).sum() - degrees) / np.sqrt(2 * degrees))


@pytest.mark.parametrize("size", [20, 50, 255, 256, 257, 3000])
def test_tokens_are_drawn_with_their_probabilities(size: int) -> None:
    scores = np.random.default_rng(size).normal(0, 1.5, size).astype(np.float32)
    scores[::7] = -np.inf
    p = np.exp(scores - scores.max())
    p /= p.sum()
    generator = generator_of(11, 0)
    candidates = Candidates(scores, np.arange(size)[::-1])
    drawn = np.array([draw(candidates, generator) for _ in range(8000)])
    counts = np.bincount(size - 1 - drawn, minlength=size)
    assert counts[::7].sum() == 0
    assert chi_square(counts, 8000 * p) < 4


def test_the_statistic_sees_a_wrong_distribution() -> None:
    p = np.full(20, 0.05)
    wrong = p * np.linspace(0.8, 1.2, 20)
    counts = np.random.default_rng(0).multinomial(8000, wrong / wrong.sum())
    assert chi_square(counts, 8000 * p) > 6


def test_several_are_drawn_without_replacement_each_by_the_weights_of_those_left() -> None:
    scores = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    p = np.exp(scores)
    generator = generator_of(5, 0)
    drawn = Counter(tuple(draw_several(scores, 2, generator).tolist()) for _ in range(8000))
    pairs = [(a, b) for a in range(4) for b in range(4) if a != b]
    expected = np.array([8000 * p[a] * p[b] / (1 - p[a]) for a, b in pairs])
    assert chi_square(np.array([drawn[pair] for pair in pairs]), expected) < 4


def test_no_more_are_drawn_than_can_be() -> None:
    scores = np.array([-np.inf, 1.0, -np.inf, 2.0], np.float32)
    assert sorted(draw_several(scores, 4, generator_of(1, 0)).tolist()) == [1, 3]


def test_a_text_has_randomness_of_its_own() -> None:
    same = [generator_of(3, 1).random(3).tolist() for _ in range(2)]
    assert same[0] == same[1]
    others = [generator_of(3, 0), generator_of(4, 1)]
    assert all(other.random(3).tolist() != same[0] for other in others)


def test_set_seed_repeats_the_seeds_of_prompts_that_were_given_none() -> None:
    set_seed(7)
    first = [new_seed() for _ in range(3)]
    set_seed(7)
    assert [new_seed() for _ in range(3)] == first
    assert len(set(first)) == 3
    state: Any = np.random.get_state()[1]
    before = state.copy()
    set_seed(8)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("seed", [-1, 1.5, "7", True, None])
def test_a_seed_is_a_whole_number(seed: Any) -> None:
    with pytest.raises(InvalidArgument, match="seed="):
        set_seed(seed)


def test_scores_that_are_no_numbers_are_an_error_never_a_token() -> None:
    row = np.array([1.0, np.nan, 2.0], np.float32)
    for choose in (
        best,
        lambda r: draw(Candidates(r), generator_of(0, 0)),
        lambda r: draw_several(r, 1, generator_of(0, 0)),
    ):
        with pytest.raises(EngineError, match="NaN"):
            choose(row)
        with pytest.raises(InvalidArgument, match="every token is forbidden"):
            choose(np.full(3, -np.inf, np.float32))
