from __future__ import annotations

import math

import pytest

from panpipe.errors import InvalidArgument, UnknownArgument
from panpipe.training.arguments import SCHEDULES
from panpipe.training.schedules import plateau, schedule

CLOSED = {
    "linear": [0.0, 0.5, 1.0, 0.875, 0.5, 0.125],
    "constant_with_warmup": [0.0, 0.5, 1.0, 1.0, 1.0, 1.0],
    "constant": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    "cosine": [0.0, 0.5, 1.0, 0.5 * (1 + math.cos(math.pi / 8)), 0.5, 0.5 * (1 + math.cos(7 * math.pi / 8))],
}


@pytest.mark.parametrize("name", CLOSED)
def test_factors_are_those_of_the_closed_form(name: str) -> None:
    factor = schedule(name, total=10, warmup=2)
    assert [factor(step) for step in (0, 1, 2, 3, 6, 9)] == pytest.approx(CLOSED[name])


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (7, 0), (100, 10), (5, 5)])
def test_factors_stay_between_nothing_and_the_peak(name: str, total: int, warmup: int) -> None:
    factor = schedule(name, total, warmup)
    found = [factor(step) for step in range(total)]
    assert all(0 <= value <= 1 + 1e-12 for value in found)
    assert max(found) > 0 or total <= warmup


def test_restarts_return_to_the_peak() -> None:
    factor = schedule("cosine_with_restarts", 100, 0, num_cycles=4)
    assert [factor(step) for step in (0, 25, 50, 75)] == pytest.approx([1.0] * 4)
    assert factor(24) < 0.01


def test_a_stable_rate_decays_at_the_end() -> None:
    factor = schedule("warmup_stable_decay", 100, 10, num_decay_steps=20, min_lr_ratio=0.1)
    assert factor(50) == factor(79) == 1.0
    assert factor(90) == pytest.approx(0.55)


def test_plateau_falls_when_nothing_improves() -> None:
    assert plateau([1.0, 0.9, 0.8], patience=1) == 1.0
    assert plateau([1.0, 1.1, 1.2], patience=1, factor=0.5) == 0.5
    assert plateau([0.5, 0.6, 0.7], patience=0, factor=0.5, is_greater_better=True) == 1.0
    assert plateau([math.nan, 0.9, 0.8], patience=1, factor=0.5) == 1.0


def test_mistakes_are_named() -> None:
    with pytest.raises(InvalidArgument, match="Did you mean 'cosine'"):
        schedule("cosin", 10)
    with pytest.raises(UnknownArgument, match="num_cycles"):
        schedule("cosine", 10, num_cycle=1)
    with pytest.raises(UnknownArgument, match="It has no options"):
        schedule("linear", 10, power=2)
    with pytest.raises(InvalidArgument, match="1-sqrt"):
        schedule("warmup_stable_decay", 10, decay_type="sqrt")
