"""Energy where nothing measures it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from panpipe.carbon import estimates
from panpipe.carbon.builtin import Builtin
from panpipe.carbon.estimates import CpuEstimate, RamEstimate, watts_per_core


def busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


@pytest.mark.parametrize(
    ("name", "watts", "band"),
    [
        ("AMD EPYC 7763 64-Core Processor", 280 / 128, 0.4),
        ("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 300 / 64, 0.4),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 145 / 36, 0.4),
        ("11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz", 28 / 8, 0.4),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 3.7, 0.5),
        ("Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz", 3.0, 0.5),
        ("Apple M3 Pro", 2.5, 0.5),
        ("a processor of tomorrow", 4.0, 0.7),
    ],
)
def test_the_power_of_a_core_is_that_of_the_processor_or_its_family(name: str, watts: float, band: float) -> None:
    assert watts_per_core(name)[:2] == pytest.approx((watts, band))


def test_cpu_time_times_watts_is_the_energy() -> None:
    estimate = CpuEstimate("process", watts=10.0)
    begin = time.process_time()
    busy(0.05)
    part = estimate.component()
    assert part.kwh * 3.6e6 == pytest.approx(10.0 * (time.process_time() - begin), rel=0.05)
    assert (part.method, part.source) == ("estimated", "10 W a logical core, as given")


def test_children_that_have_ended_are_counted() -> None:
    estimate = CpuEstimate("process", watts=10.0)
    subprocess.run([sys.executable, "-Sc", "for i in range(2_000_000): pass"], check=True)
    assert estimate.component().kwh * 3.6e6 >= 0.1  # 10 ms, the clock's step


@pytest.mark.skipif(sys.platform != "linux", reason="what the whole machine does is read as Linux shows it")
def test_the_machine_counts_other_programs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    stat = iter(["cpu  100 0 50 900 10 0 0 0\n", "cpu  700 0 150 900 10 0 0 0\n"])
    monkeypatch.setattr(estimates.Path, "read_text", lambda path, *_: next(stat))
    monkeypatch.setattr(estimates, "processor_name", lambda: "")
    monkeypatch.setattr(estimates.os, "sysconf", lambda name: 100)
    assert CpuEstimate("machine", watts=10.0).component().kwh * 3.6e6 == pytest.approx(10.0 * 7)


def test_memory_is_counted_by_what_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0])
    monkeypatch.setattr("panpipe.carbon.estimates.time.monotonic", lambda: next(clock))
    monkeypatch.setattr(estimates, "memory_gb", lambda: (8.0, 64.0))
    estimate = RamEstimate("machine")
    estimate.sample()
    assert estimate.component().kwh * 3.6e6 == pytest.approx(8 * 0.375 * 100)


def test_systems_without_proc_are_estimated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(path: Path, *_: object) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(estimates.Path, "read_text", absent)
    assert estimates.busy_seconds() > 0
    used, total = estimates.memory_gb()
    assert 0 < used < total
    assert watts_per_core(estimates.processor_name())[0] > 0


def test_several_processes_of_a_launcher_are_counted_as_one_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Builtin(powercap=tmp_path).tracking_mode == "process"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert Builtin(powercap=tmp_path).tracking_mode == "machine"
