"""The meter: begins, writes, goes on, ends, whatever happens in the block."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from panpipe.carbon import EnergyMeter, energy
from panpipe.carbon.records import COLUMNS
from panpipe.errors import InvalidArgument

from .powercap import Powercap


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "emissions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def records(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "emissions.json").read_text("utf-8"))["runs"])


@pytest.fixture
def joule_counter(powercap: Powercap) -> Powercap:
    powercap.zone("intel-rapl:0", "package-0", 10**9)
    return powercap


def use(powercap: Powercap, joules: float) -> None:
    file = powercap.root / "intel-rapl:0" / "energy_uj"
    powercap.set("intel-rapl:0", int(file.read_text()) + round(joules * 1e6))


def test_a_run_is_a_row_of_codecarbons_columns(joule_counter: Powercap, tmp_path: Path) -> None:
    with energy("감성 분석", tmp_path / "out", country="KOR", powercap=joule_counter.root) as meter:
        use(joule_counter, 7200)
    (row,) = rows(tmp_path / "out")
    assert tuple(row) == COLUMNS
    assert row["project_name"] == "감성 분석"
    assert float(row["cpu_energy"]) == pytest.approx(0.002)
    assert float(row["cpu_power"]) == pytest.approx(7200 / float(row["duration"]))
    assert float(row["emissions"]) == pytest.approx(float(row["energy_consumed"]) * 0.41427)
    assert float(row["emissions_rate"]) == pytest.approx(float(row["emissions"]) / float(row["duration"]))
    assert (row["country_iso_code"], row["tracking_mode"], row["on_cloud"]) == ("KOR", "machine", "N")
    assert row["run_id"] == meter.run_id
    (record,) = records(tmp_path / "out")
    methods = {part["name"]: (part["method"], part["band"]) for part in record["components"]}
    assert methods == {"cpu": ("measured", 0.1), "ram": ("assumed", 0.5)}
    assert record["kwh"] == pytest.approx(float(row["energy_consumed"]))


def test_the_result_reads_well(joule_counter: Powercap) -> None:
    with EnergyMeter("번역", country="KOR", powercap=joule_counter.root) as meter:
        use(joule_counter, 3600)
        meter.count(tokens=1500)
        meter.count(tokens=500)
    result = meter.result
    assert result.by_component["cpu"] == pytest.approx(0.001)
    assert result.joules_per_1k_tokens == pytest.approx(1800, rel=1e-3)
    lines = str(result).splitlines()
    assert lines[0].startswith("번역: 1.00 Wh ±10% in ")
    assert lines[0].endswith("414 mg CO2e with the electricity of South Korea, 414 g/kWh (2024)")
    assert "measured ±10%: RAPL: intel-rapl:0" in lines[1]
    assert lines[3] == "  1.8e+03 J per 1,000 tokens, of 2,000"
    assert result.method == "measured"


def test_each_run_has_its_row_and_others_stay(joule_counter: Powercap, tmp_path: Path) -> None:
    for joules in (100, 200):
        with EnergyMeter("a", tmp_path, powercap=joule_counter.root):
            use(joule_counter, joules)
    assert [round(float(row["cpu_energy"]) * 3.6e6) for row in rows(tmp_path)] == [100, 200]
    assert [run["run_id"] for run in records(tmp_path)] == [row["run_id"] for row in rows(tmp_path)]


def test_a_run_that_goes_on_adds_to_its_row(joule_counter: Powercap, tmp_path: Path) -> None:
    for joules, tokens in ((100, 10), (50, 5)):
        meter = EnergyMeter("a", tmp_path, run_id="run-1", country="KOR", powercap=joule_counter.root)
        meter.start()
        use(joule_counter, joules)
        meter.count(tokens=tokens)
        meter.flush()
        meter.flush()
        result = meter.stop()
        assert meter.stop() is result
    (row,) = rows(tmp_path)
    assert float(row["cpu_energy"]) * 3.6e6 == pytest.approx(150)
    assert float(row["emissions"]) == pytest.approx(float(row["energy_consumed"]) * 0.41427)
    assert records(tmp_path)[0]["tokens"] == 15
    (tmp_path / "emissions.json").unlink()
    with EnergyMeter("a", tmp_path, powercap=joule_counter.root, is_resumed=True) as meter:
        use(joule_counter, 1)
    assert meter.run_id == "run-1"
    assert float(rows(tmp_path)[0]["cpu_energy"]) * 3.6e6 == pytest.approx(151)
    assert records(tmp_path)[0]["components"][0]["method"] == "assumed"  # nobody knows how the first part was got


def test_parts_of_a_run_measured_in_two_ways_are_told_by_the_worse(joule_counter: Powercap, tmp_path: Path) -> None:
    with EnergyMeter("a", tmp_path / "out", run_id="x", powercap=joule_counter.root):
        use(joule_counter, 3600)
    with EnergyMeter("a", tmp_path / "out", run_id="x", powercap=tmp_path / "none") as meter:
        pass
    cpu = meter.result.components[0]
    assert cpu.method == "estimated"
    assert 0.1 <= cpu.band < 0.15
    assert cpu.kwh >= 0.001


def test_a_file_of_another_kind_is_moved_aside(tmp_path: Path) -> None:
    for name in ("emissions.csv.bak", "emissions.csv.bak1"):
        (tmp_path / "emissions.csv").write_text("timestamp,duration\n1,2\n")
        with EnergyMeter("a", tmp_path):
            pass
        assert (tmp_path / name).read_text() == "timestamp,duration\n1,2\n"
    (tmp_path / "emissions.json").write_text("[1, 2")
    with EnergyMeter("a", tmp_path):
        pass
    assert (tmp_path / "emissions.json.bak").read_text() == "[1, 2"
    assert len(rows(tmp_path)) == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_is_raised_in_the_block_is_raised_and_what_was_used_is_written(
    joule_counter: Powercap, tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), EnergyMeter("a", tmp_path, powercap=joule_counter.root):
        use(joule_counter, 36)
        raise error
    assert float(rows(tmp_path)[0]["cpu_energy"]) * 3.6e6 == pytest.approx(36)


def test_meters_may_be_nested(joule_counter: Powercap) -> None:
    with EnergyMeter("outer", powercap=joule_counter.root) as outer:
        use(joule_counter, 10)
        with EnergyMeter("inner", powercap=joule_counter.root) as inner:
            use(joule_counter, 20)
    assert inner.result.by_component["cpu"] * 3.6e6 == pytest.approx(20)
    assert outer.result.by_component["cpu"] * 3.6e6 == pytest.approx(30)


def test_no_thread_is_left_and_the_thread_keeps_nobody_alive(joule_counter: Powercap) -> None:
    with EnergyMeter("a", powercap=joule_counter.root):
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "panpipe-energy")
        assert thread.daemon
    assert not thread.is_alive()


def test_the_thread_samples_and_writes_now_and_then(
    joule_counter: Powercap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panpipe.carbon.meter._SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr("panpipe.carbon.meter._FLUSH_SECONDS", 0.0)
    meter = EnergyMeter("a", tmp_path, powercap=joule_counter.root).start()
    use(joule_counter, 36)
    end = time.monotonic() + 10
    while time.monotonic() < end and not (
        (tmp_path / "emissions.csv").exists() and float(rows(tmp_path)[0]["cpu_energy"])
    ):
        time.sleep(0.01)
    assert float(rows(tmp_path)[0]["cpu_energy"]) * 3.6e6 == pytest.approx(36)
    meter.stop()


KILLED = """
import sys, time
from panpipe.carbon import EnergyMeter
meter = EnergyMeter("killed", sys.argv[1], watts_per_core=10.0).start()
while time.process_time() < 0.3:
    pass
meter.flush()
print("flushed", flush=True)
time.sleep(60)
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_what_was_flushed_before_kill_9_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "flushed\n"
        process.kill()
    (row,) = rows(tmp_path)
    assert float(row["cpu_energy"]) > 0
    assert records(tmp_path)[0]["run_id"] == row["run_id"]


ENDING = """
import sys
from panpipe.carbon import EnergyMeter
meter = EnergyMeter("ends", None).start()
"""


def test_a_meter_that_is_never_stopped_does_not_keep_the_process(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", ENDING], timeout=30, env=environment()).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_neither_writes_nor_hangs(joule_counter: Powercap, tmp_path: Path) -> None:
    meter = EnergyMeter("a", tmp_path, powercap=joule_counter.root).start()
    with meter._lock:  # as the thread may hold it at that moment
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            meter.flush()
            meter.stop()
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not (tmp_path / "emissions.csv").exists()
    meter.stop()
    assert len(rows(tmp_path)) == 1


def test_programs_that_write_at_once_lose_no_row(tmp_path: Path) -> None:
    def write(index: int) -> None:
        for _ in range(5):
            with EnergyMeter(f"run {index}", tmp_path):
                pass

    threads = [threading.Thread(target=write, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows(tmp_path)) == len(records(tmp_path)) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["emissions.csv", "emissions.json"]


def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidArgument, match=r"output_dir .*emissions\.csv cannot be written there .* Give another"):
        EnergyMeter("a", tmp_path / "file")


def test_a_folder_that_vanishes_later_does_not_stop_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "gone"
    with caplog.at_level(logging.WARNING), EnergyMeter("a", folder) as meter:
        folder.rename(tmp_path / "elsewhere")
    assert "was not written" in caplog.text
    assert meter.result.seconds > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"backend": "codecarbo"}, "Did you mean 'codecarbon'"),
        ({"tracking_mode": "all"}, "'machine', 'process'"),
        ({"watts_per_core": -1}, "0 or more"),
        ({"grams_per_kwh": float("nan")}, "0 or more"),
        ({"is_resumed": True}, "output_dir"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        EnergyMeter(**given)


def test_a_meter_starts_once_and_tells_nothing_before(joule_counter: Powercap) -> None:
    meter = EnergyMeter("a", powercap=joule_counter.root)
    with pytest.raises(InvalidArgument, match="not started"):
        meter.result  # noqa: B018
    with meter, pytest.raises(InvalidArgument, match="make another"):
        meter.start()


def test_your_own_contract_takes_the_place_of_the_table(joule_counter: Powercap) -> None:
    with EnergyMeter("a", country="POL", grams_per_kwh=12, powercap=joule_counter.root) as meter:
        use(joule_counter, 3600)
    assert meter.result.kg_co2e == pytest.approx(0.012 * meter.result.kwh)
    assert (meter.result.place.code, meter.result.place.year) == ("POL", "as given")
