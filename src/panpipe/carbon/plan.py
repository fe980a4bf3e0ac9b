"""What a run will cost, before it runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArgument
from ..threads import available_cpus
from .checks import check_number
from .estimates import RAM_WATTS_PER_GB, memory_gb, processor_name, watts_per_core
from .places import Place, find_place
from .result import co2_words, energy_words, time_words

__all__ = ["Plan", "plan"]

_GFLOPS_PER_CPU = 20.0  # of float32, in training: a core with AVX2 reaches between 10 and 40
_RATE_BAND = 0.6
_TIME_BAND = 0.15  # of a time or rate measured over a few steps
_POWER_BAND = 0.1


@dataclass(frozen=True)
class Plan:
    """An estimate of a run.

    seconds, watts, kwh, kg_co2e: what it will take.   cost: in the currency of price_per_kwh; None without a price.
    band: the error of kwh, kg_co2e and cost, as a share.   how: the assumptions, a sentence each.
    """

    seconds: float
    watts: float
    kg_co2e: float
    cost: float | None
    band: float
    place: Place
    how: tuple[str, ...]

    @property
    def kwh(self) -> float:
        """The energy in kilowatt-hours."""
        return self.watts * self.seconds / 3.6e6

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "seconds": self.seconds,
            "watts": self.watts,
            "kwh": self.kwh,
            "kg_co2e": self.kg_co2e,
            "cost": self.cost,
            "band": self.band,
            "country": self.place.code,
            "country_name": self.place.name,
            "region": self.place.region,
            "grams_per_kwh": self.place.grams_per_kwh,
            "how": list(self.how),
        }

    def __str__(self) -> str:
        cost = "" if self.cost is None else f", costs {self.cost:.3g}"
        lines = [
            f"about {time_words(self.seconds)}, {energy_words(self.kwh)}, {co2_words(self.kg_co2e)} CO2e{cost}: "
            f"±{self.band:.0%}"
        ]
        return "\n".join([*lines, *(f"  {sentence}" for sentence in self.how)])


def plan(
    *,
    flops: float | None = None,
    seconds: float | None = None,
    power_watts: float | None = None,
    flops_per_second: float | None = None,
    country: str | None = None,
    region: str | None = None,
    price_per_kwh: float | None = None,
) -> Plan:
    """Estimate a run from how long it takes, or from its floating-point operations.

    flops_per_second: the rate that is reached; default: a rate usual for this machine's CPUs, which may be off by half.
    power_watts: of the whole machine; default: its processor's design power and its memory.
    price_per_kwh: in any currency.
    Raises InvalidArgument if not exactly one of flops and seconds is given, or a number is not positive.
    """
    numbers = {
        "flops": flops,
        "seconds": seconds,
        "power_watts": power_watts,
        "flops_per_second": flops_per_second,
        "price_per_kwh": price_per_kwh,
    }
    for name, value in numbers.items():
        check_number(name, value)
    if (flops is None) == (seconds is None) or flops_per_second == 0:
        raise InvalidArgument("plan: give either seconds= or flops=, and with flops= a rate above 0 or none.")
    place = find_place(country, region)
    taken, time_band, how_long = _time(flops, seconds, flops_per_second)
    watts, power_band, how_strong = _power(power_watts)
    kwh = watts * taken / 3.6e6
    grid = f"Electricity: {place.title}, {place.grams_per_kwh:.0f} g/kWh ({place.year})."
    return Plan(
        seconds=taken,
        watts=watts,
        kg_co2e=1e-3 * kwh * place.grams_per_kwh,
        cost=None if price_per_kwh is None else kwh * price_per_kwh,
        band=math.hypot(time_band, power_band),
        place=place,
        how=tuple(sentence for sentence in (how_long, how_strong, grid, place.note) if sentence),
    )


def _time(flops: float | None, seconds: float | None, rate: float | None) -> tuple[float, float, str]:
    """(seconds, error as a share, how it was got)."""
    if flops is None:
        return seconds or 0.0, _TIME_BAND, "Time: as given."
    if rate is not None:
        return flops / rate, _TIME_BAND, f"Time: {flops:.3g} operations at {rate / 1e9:,.0f} GFLOP/s, as given."
    cpus = available_cpus()
    return (
        flops / (1e9 * _GFLOPS_PER_CPU * cpus),
        _RATE_BAND,
        f"Time: {flops:.3g} operations at {_GFLOPS_PER_CPU:g} GFLOP/s on each of {cpus} CPUs, as is usual.",
    )


def _power(watts: float | None) -> tuple[float, float, str]:
    """(watts, error as a share, how it was got)."""
    if watts is not None:
        return float(watts), _POWER_BAND, f"Power: {watts:g} W, as given."
    each, band, source = watts_per_core(processor_name())
    cpus, used_gb = available_cpus(), memory_gb()[0]
    total = each * cpus + RAM_WATTS_PER_GB * used_gb
    return total, band, f"Power: {total:.3g} W, of {cpus} CPUs ({source}) and {used_gb:.1f} GB of memory; no GPU."
