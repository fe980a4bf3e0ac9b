"""What a run has cost, and how people read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .components import Component
from .places import Place

__all__ = ["EnergyResult", "co2_words", "energy_words", "time_words"]


@dataclass(frozen=True)
class EnergyResult:
    """The energy of a run and what it did to the climate.

    seconds: how long it was measured.   kg_co2e: kilograms of greenhouse gases, as CO2.
    components: the parts of the machine, each with its method and error.   place: whose electricity.
    tracking_mode: "machine" (everything that ran there) or "process".   backend: "builtin" or "codecarbon".
    tokens: how many were counted, 0 for none.   load: the use of the machine, as the columns of emissions.csv.
    """

    project_name: str
    run_id: str
    timestamp: str
    seconds: float
    kg_co2e: float
    components: tuple[Component, ...]
    place: Place
    tracking_mode: str
    backend: str
    tokens: int = 0
    notes: tuple[str, ...] = ()
    load: Mapping[str, float] = field(default_factory=dict)

    @property
    def kwh(self) -> float:
        """The energy of all components, in kilowatt-hours."""
        return sum(part.kwh for part in self.components)

    @property
    def watts(self) -> float:
        """The mean power."""
        return self.watts_of(self.kwh)

    @property
    def by_component(self) -> dict[str, float]:
        """Kilowatt-hours by the name of the component."""
        return {part.name: part.kwh for part in self.components}

    @property
    def method(self) -> str:
        """How well the energy is known: that of the component which used most."""
        return max(self.components, key=lambda part: part.kwh).method if self.components else "assumed"

    @property
    def band(self) -> float:
        """The error of the energy, as a share: the mean of the components', by energy."""
        return sum(part.band * part.kwh for part in self.components) / self.kwh if self.kwh else 0.0

    @property
    def joules_per_1k_tokens(self) -> float | None:
        """Joules of a thousand tokens; None where none were counted."""
        return 3.6e9 * self.kwh / self.tokens if self.tokens else None

    def watts_of(self, kwh: float) -> float:
        """The mean power that an amount of energy means."""
        return 3.6e6 * kwh / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As plain values, what follows from others included."""
        components = [{**asdict(part), "watts": self.watts_of(part.kwh)} for part in self.components]
        return {
            "project_name": self.project_name,
            "run_id": self.run_id,
            "timestamp": self.timestamp,
            "seconds": self.seconds,
            "kwh": self.kwh,
            "kg_co2e": self.kg_co2e,
            "watts": self.watts,
            "method": self.method,
            "band": self.band,
            "components": components,
            "country": self.place.code,
            "country_name": self.place.name,
            "region": self.place.region,
            "grams_per_kwh": self.place.grams_per_kwh,
            "grams_per_kwh_year": self.place.year,
            "tracking_mode": self.tracking_mode,
            "backend": self.backend,
            "tokens": self.tokens,
            "joules_per_1k_tokens": self.joules_per_1k_tokens,
            "notes": list(self.notes),
            "load": dict(self.load),
        }

    def __str__(self) -> str:
        grid = f"{self.place.title}, {self.place.grams_per_kwh:.0f} g/kWh ({self.place.year})"
        lines = [
            f"{self.project_name}: {energy_words(self.kwh)} ±{self.band:.0%} in {time_words(self.seconds)}, "
            f"{co2_words(self.kg_co2e)} CO2e with the electricity of {grid}"
        ]
        for part in self.components:
            energy, power = energy_words(part.kwh), f"{self.watts_of(part.kwh):.3g} W"
            lines.append(f"  {part.name}  {energy:>10}  {power:>8}  {part.method} ±{part.band:.0%}: {part.source}")
        if self.joules_per_1k_tokens is not None:
            lines.append(f"  {self.joules_per_1k_tokens:.3g} J per 1,000 tokens, of {self.tokens:,}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def energy_words(kwh: float) -> str:
    """An energy in the unit that suits it: 1.23 kWh, 4.56 Wh, 78.9 J."""
    if kwh >= 0.9995 or kwh == 0:
        return f"{_three(kwh)} kWh"
    return f"{_three(1e3 * kwh)} Wh" if kwh >= 1e-3 else f"{_three(3.6e6 * kwh)} J"


def co2_words(kilograms: float) -> str:
    """A mass in the unit that suits it: 1.23 kg, 4.56 g, 7.89 mg."""
    if kilograms >= 0.9995 or kilograms == 0:
        return f"{_three(kilograms)} kg"
    return f"{_three(1e3 * kilograms)} g" if kilograms >= 1e-3 else f"{_three(1e6 * kilograms)} mg"


def time_words(seconds: float) -> str:
    """A duration in its two largest units: 3 h 20 min, 4 min 5 s, 1.2 s."""
    if seconds < 60:
        return f"{_three(seconds)} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("days", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size:,} {unit} {whole % size // part} {smaller}"
    raise AssertionError("a minute or more has a unit")


def _three(number: float) -> str:
    """Three significant digits, no exponent."""
    if number == 0:
        return "0"
    digits = max(0, 2 - int(f"{number:e}".partition("e")[2]))
    return f"{number:,.{digits}f}"
