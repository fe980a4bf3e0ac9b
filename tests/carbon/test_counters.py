"""RAPL and NVML, on trees and libraries that stand in for them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from panpipe.carbon.builtin import Builtin
from panpipe.carbon.nvml import Nvml
from panpipe.carbon.rapl import Rapl

from .powercap import MAX_UJ, Powercap

KWH_UJ = 3_600_000_000_000  # microjoules of a kilowatt-hour


def joules(rapl: Rapl) -> dict[str, float]:
    return {part.name: part.kwh * 3.6e6 for part in rapl.components("CPU", 4)}


def test_packages_are_added_and_their_parts_are_not(powercap: Powercap) -> None:
    for index in (0, 1):
        powercap.zone(f"intel-rapl:{index}", f"package-{index}", 10**9 * (index + 1))
        powercap.zone(f"intel-rapl:{index}:0", "core", 10**9)
        powercap.zone(f"intel-rapl:{index}:1", "dram", 10**10 * (index + 1))
    powercap.zone("intel-rapl:2", "psys", 10**9)
    powercap.zone("intel-rapl-mmio:0", "package-0", 10**9)
    rapl = Rapl(powercap.root)
    for name, before in (("intel-rapl:0", 10**9), ("intel-rapl:1", 2 * 10**9), ("intel-rapl-mmio:0", 10**9)):
        powercap.set(name, before + 5_000_000)
    powercap.set("intel-rapl:0:0", 2 * 10**9)
    powercap.set("intel-rapl:2", 9 * 10**9)
    powercap.set("intel-rapl:0:1", 10**10 + 3_000_000)
    rapl.sample()
    assert joules(rapl) == pytest.approx({"cpu": 10.0, "ram": 3.0})
    assert {part.method for part in rapl.components("CPU", 4)} == {"measured"}


def test_a_counter_that_begins_again_goes_on(powercap: Powercap) -> None:
    powercap.zone("intel-rapl:0", "package-0", MAX_UJ - 1_000_000)
    rapl = Rapl(powercap.root)
    powercap.set("intel-rapl:0", 2_000_000)
    rapl.sample()
    rapl.sample()
    assert joules(rapl) == pytest.approx({"cpu": 3.0})


def test_dies_that_show_one_counter_are_one(powercap: Powercap) -> None:
    for die in range(4):
        powercap.zone(f"intel-rapl:{die}", f"package-0-die-{die}", 5 * 10**11 + 200_000 * die)
    rapl = Rapl(powercap.root)
    for die in range(4):
        powercap.set(f"intel-rapl:{die}", 5 * 10**11 + 200_000 * die + 7_000_000)
    rapl.sample()
    assert joules(rapl) == pytest.approx({"cpu": 7.0})


def test_two_young_counters_are_not_taken_for_one(powercap: Powercap) -> None:
    for index in (0, 1):
        powercap.zone(f"intel-rapl:{index}", f"package-{index}", 0)
    rapl = Rapl(powercap.root)
    for index in (0, 1):
        powercap.set(f"intel-rapl:{index}", 4_000_000)
    rapl.sample()
    assert joules(rapl) == pytest.approx({"cpu": 8.0})


def test_a_counter_that_cannot_be_read_for_a_while_loses_that_while_only(powercap: Powercap) -> None:
    folder = powercap.zone("intel-rapl:0", "package-0", 10**9)
    rapl = Rapl(powercap.root)
    (folder / "energy_uj").write_text("")
    rapl.sample()
    powercap.set("intel-rapl:0", 10**9 + 50_000_000)
    rapl.sample()
    powercap.set("intel-rapl:0", 10**9 + 52_000_000)
    rapl.sample()
    assert joules(rapl) == pytest.approx({"cpu": 2.0})


def test_counters_that_may_not_be_read_are_told_of(powercap: Powercap) -> None:
    folder = powercap.zone("intel-rapl:0", "package-0", 10**9)
    (folder / "energy_uj").unlink()
    (folder / "energy_uj").mkdir()  # unreadable for root too
    rapl = Rapl(powercap.root)
    assert not rapl.found
    assert "sudo chmod a+r" in rapl.notes[0]


def test_no_counters_are_no_error(tmp_path: Path) -> None:
    rapl = Rapl(tmp_path / "none")
    assert (rapl.found, rapl.notes, rapl.components("CPU", 1)) == (False, [], [])


class Library(SimpleNamespace):
    """pynvml, with two GPUs; the second is too old to count energy."""

    class NVMLError(Exception):
        pass

    def __init__(self, has_driver: bool = True) -> None:
        super().__init__(millijoules=1_000_000, milliwatts=50_000, closed=0, has_driver=has_driver)

    def nvmlInit(self) -> None:
        if not self.has_driver:
            raise self.NVMLError("Driver Not Loaded")

    def nvmlShutdown(self) -> None:
        self.closed += 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> Any:
        return ("NVIDIA H200", b"Tesla P100")[handle]

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}abc"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        if handle == 1:
            raise self.NVMLError("Not Supported")
        return int(self.millijoules)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return int(self.milliwatts)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=40 + 20 * handle)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setitem(sys.modules, "pynvml", made)  # type: ignore[arg-type]
    return made


def test_a_gpus_counter_or_else_its_power_is_read(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 102.0, 102.0])
    monkeypatch.setattr("panpipe.carbon.nvml.time.monotonic", lambda: next(clock))
    nvml = Nvml()
    library.millijoules += 30_000
    nvml.sample()
    (gpu,) = nvml.components()
    assert gpu.kwh * 3.6e6 == pytest.approx(30.0 + 50.0 * 2)
    assert (gpu.model, gpu.count, gpu.method, nvml.use) == ("NVIDIA H200, Tesla P100", 2, "measured", 50.0)


@pytest.mark.parametrize(("visible", "count"), [("0", 1), ("GPU-1", 1), ("1,0", 2), ("", 0)])
def test_only_visible_gpus_count(library: Library, monkeypatch: pytest.MonkeyPatch, visible: str, count: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert sum(part.count for part in Nvml().components()) == count


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Library(has_driver=False))  # type: ignore[arg-type]
    assert Nvml().components() == []


def test_a_gpu_that_is_not_counted_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "version").touch()
    monkeypatch.setattr("panpipe.carbon.nvml._DRIVER", tmp_path / "version")
    assert Nvml().notes == ["The GPU is not counted: pip install nvidia-ml-py"]


def test_what_ran_before_the_start_is_not_counted(powercap: Powercap, library: Library) -> None:
    powercap.zone("intel-rapl:0", "package-0", 10**9)
    backend = Builtin(powercap=powercap.root)
    powercap.set("intel-rapl:0", 2 * 10**9)
    library.millijoules += 9_000_000
    backend.start()
    powercap.set("intel-rapl:0", 2 * 10**9 + 6_000_000)
    library.milliwatts = 0
    library.millijoules += 8000
    parts = {part.name: part for part in backend.components()}
    assert parts["cpu"].kwh * KWH_UJ == pytest.approx(6_000_000)
    assert parts["gpu"].kwh * 3.6e6 == pytest.approx(8.0)
    assert parts["ram"].method == "assumed"
    assert backend.tracking_mode == "machine"
    backend.stop()
    assert library.closed == 1
