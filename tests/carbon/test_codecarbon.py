"""CodeCarbon as the backend, played by a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from panpipe.carbon import EnergyMeter
from panpipe.errors import MissingDependency

from .powercap import Powercap


class Tracker:
    """What an OfflineEmissionsTracker does for us."""

    made: list[Tracker]

    def __init__(self, **options: Any) -> None:
        self.options, self.calls = options, list[str]()
        self.energy = 0.0
        type(self).made.append(self)

    def start(self) -> None:
        self.calls.append("start")

    def flush(self) -> None:
        self.energy += 0.5
        total = SimpleNamespace(
            cpu_energy=self.energy,
            cpu_count=8,
            cpu_model="CPU",
            gpu_energy=0.0,
            gpu_count=None,
            gpu_model=None,
            ram_energy=0.25,
            ram_used_gb=3.0,
            ram_total_size=16.0,
        )
        for handler in self.options["output_handlers"]:
            handler.out(total, total)

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.fixture
def trackers(monkeypatch: pytest.MonkeyPatch) -> list[Tracker]:
    module = ModuleType("codecarbon")
    Tracker.made = []
    module.OfflineEmissionsTracker = Tracker  # type: ignore[attr-defined]
    module.__version__ = "3.3.2"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "codecarbon", module)
    monkeypatch.setattr("panpipe.carbon.meter.is_installed", lambda: True)
    return Tracker.made


def test_codecarbon_measures_and_panpipes_table_says_the_co2(trackers: list[Tracker]) -> None:
    with EnergyMeter("a", backend="codecarbon", country="KOR") as meter:
        pass
    (tracker,) = trackers
    assert tracker.calls == ["start", "stop"]
    assert tracker.options["country_iso_code"] == "KOR"
    assert tracker.options["output_methods"] == []
    assert meter.result.by_component == {"cpu": 0.5, "ram": 0.25}
    assert meter.result.kg_co2e == pytest.approx(0.75 * 0.41427)
    assert meter.result.components[0].source == "CodeCarbon 3.3.2"
    assert meter.result.load["ram_used_gb"] == 3.0


def test_it_is_chosen_where_it_is_installed_and_the_processor_counts(
    trackers: list[Tracker], powercap: Powercap, tmp_path: Path
) -> None:
    assert EnergyMeter("a", powercap=tmp_path / "none")._backend_name == "builtin"
    powercap.zone("intel-rapl:0", "package-0", 10**9)
    assert EnergyMeter("a", powercap=powercap.root)._backend_name == "codecarbon"
    assert EnergyMeter("a", powercap=powercap.root, backend="builtin")._backend_name == "builtin"
    assert EnergyMeter("a", powercap=powercap.root, watts_per_core=3)._backend_name == "builtin"


def test_without_codecarbon_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(MissingDependency, match=r'pip install "panpipe\[carbon\]"'):
        EnergyMeter("a", backend="codecarbon")
