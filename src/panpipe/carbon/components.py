"""What a backend knows of one part of the machine, and how well it knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Backend", "Component", "added", "joules_to_kwh"]

_METHODS = ("measured", "estimated", "assumed")  # from the best to the worst


@dataclass(frozen=True)
class Component:
    """The energy of one part of the machine.

    name: "cpu", "gpu" or "ram".   kwh: since the start.
    method: "measured" (a counter in the hardware), "estimated" (from a measured load and a stated power) or "assumed"
    (from a rule of thumb).   band: the error, as a share of the energy: 0.5 for ±50 %.
    source: where the number comes from.   model, count: which hardware, how many.
    """

    name: str
    kwh: float
    method: str
    band: float
    source: str
    model: str = ""
    count: int = 0

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Component:
        """The component in a run's record.   Raises KeyError or TypeError where that is none."""
        if given["method"] not in _METHODS:
            raise KeyError(given["method"])
        return cls(**{name: given[name] for name in cls.__dataclass_fields__})


class Backend(Protocol):
    """Something that knows how much energy was used.

    tracking_mode: "machine" where everything that runs here is counted, "process" where this process only.
    notes: what a reader of the result must know.   load: columns of emissions.csv about the use of the machine.
    """

    tracking_mode: str
    notes: list[str]

    @property
    def load(self) -> dict[str, float]: ...

    def start(self) -> None:
        """Begin at zero."""

    def sample(self) -> None:
        """Called every few seconds."""

    def components(self) -> list[Component]:
        """The energy since the start."""

    def stop(self) -> None:
        """Let go of what was opened."""


def joules_to_kwh(joules: float) -> float:
    """Kilowatt-hours."""
    return joules / 3.6e6


def added(before: Iterable[Component], now: Iterable[Component]) -> list[Component]:
    """Two lists of components as one: energies added, of method the worse, of the error the mean by energy."""
    total: dict[str, Component] = {part.name: part for part in before}
    for part in now:
        old = total.get(part.name)
        total[part.name] = part if old is None or old.kwh == 0 else _sum(old, part)
    return list(total.values())


def _sum(old: Component, new: Component) -> Component:
    kwh = old.kwh + new.kwh
    band = (old.band * old.kwh + new.band * new.kwh) / kwh if kwh else new.band
    worse = old if _METHODS.index(old.method) > _METHODS.index(new.method) else new
    return Component(old.name, kwh, worse.method, band, worse.source, new.model, new.count)
