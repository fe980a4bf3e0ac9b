"""What a run will cost, before it runs."""

from __future__ import annotations

import math

import pytest

from panpipe.carbon import plan
from panpipe.errors import InvalidArgument


def test_time_and_power_make_energy_co2_and_cost() -> None:
    planned = plan(seconds=3600, power_watts=500, country="KOR", price_per_kwh=160)
    assert planned.kwh == pytest.approx(0.5)
    assert planned.kg_co2e == pytest.approx(0.5 * planned.place.grams_per_kwh / 1000)
    assert planned.cost == pytest.approx(80)
    assert str(planned).startswith("about 1 h 0 min, 500 Wh, 207 g CO2e, costs 80: ±18%\n")


def test_what_is_assumed_widens_the_error_and_is_said() -> None:
    sure = plan(seconds=60, power_watts=100)
    unsure = plan(flops=1e15)
    assert sure.band < unsure.band
    assert sure.cost is None
    assert "as is usual" in unsure.how[0]
    assert "no GPU" in unsure.how[1]
    assert "No country was given" in unsure.how[3]


def test_operations_at_a_rate_are_time() -> None:
    assert plan(flops=6e15, flops_per_second=1e12, power_watts=1).seconds == pytest.approx(6000)


@pytest.mark.parametrize(
    "given",
    [{}, {"seconds": 1, "flops": 1}, {"seconds": math.nan}, {"seconds": -1}, {"flops": 1, "flops_per_second": 0}],
)
def test_what_cannot_be_planned_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument):
        plan(**given)  # type: ignore[arg-type]
