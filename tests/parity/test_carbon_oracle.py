"""Live, against CodeCarbon 3.3: its columns, its dashboard's reading of our file, its countries, its energy."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import pytest

codecarbon = pytest.importorskip("codecarbon", reason="the oracle's environment has it")

from panpipe.carbon import EnergyMeter, find_place  # noqa: E402
from panpipe.carbon.records import COLUMNS  # noqa: E402

pytestmark = pytest.mark.oracle


def busy(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_the_columns_are_codecarbons() -> None:
    from codecarbon.output_methods.emissions_data import EmissionsData

    assert [field.name for field in dataclasses.fields(EmissionsData)] == list(COLUMNS)


def test_codecarbon_appends_to_our_file_and_we_to_its(tmp_path: Path) -> None:
    import pandas as pd
    from codecarbon.output_methods.file import FileOutput

    with EnergyMeter("ours", tmp_path, country="KOR", watts_per_core=10):
        busy(0.05)
    data = pd.read_csv(tmp_path / "emissions.csv").iloc[0].to_dict()
    from codecarbon.output_methods.emissions_data import EmissionsData

    FileOutput("emissions.csv", str(tmp_path)).out(EmissionsData(**{**data, "run_id": "theirs"}), None)
    with EnergyMeter("ours again", tmp_path, country="KOR", watts_per_core=10):
        busy(0.05)
    table = pd.read_csv(tmp_path / "emissions.csv")
    assert list(table.columns) == list(COLUMNS)
    assert list(table.project_name) == ["ours", "ours", "ours again"]
    assert (table.energy_consumed > 0).all()
    assert not list(tmp_path.glob("*.bak*"))


def test_countries_agree() -> None:
    """Ours are Ember's of 2022 to 2024, theirs Our World in Data's of 2023, which are Ember's of that year."""
    mix: dict[str, dict[str, Any]] = json.loads(
        (Path(codecarbon.__file__).parent / "data/private_infra/global_energy_mix.json").read_text()
    )
    apart = []
    for code, row in mix.items():
        place = find_place(code)
        assert place.code == code, row
        if row["carbon_intensity"] and place.year != "approximate":
            apart.append(abs(place.grams_per_kwh / row["carbon_intensity"] - 1))
    assert len(apart) > 190
    assert statistics.median(apart) < 0.06
    assert sum(difference < 0.25 for difference in apart) > 0.9 * len(apart)


def test_states_are_egrids() -> None:
    states = json.loads((Path(codecarbon.__file__).parent / "data/private_infra/2023/usa_emissions.json").read_text())
    for name, row in states.items():
        if not name.startswith("_") and name != "usa":
            grams = row["emissions"] * 0.45359237
            assert find_place("USA", name).grams_per_kwh == pytest.approx(grams, abs=0.51), name


def test_codecarbon_as_the_backend_measures_what_it_measures_alone(tmp_path: Path) -> None:
    with EnergyMeter("a", tmp_path, backend="codecarbon", country="KOR") as meter:
        busy(2.0)
    tracker = codecarbon.OfflineEmissionsTracker(
        country_iso_code="KOR", output_methods=[], allow_multiple_runs=True, log_level="error"
    )
    tracker.start()
    busy(2.0)
    tracker.stop()
    alone = tracker.final_emissions_data
    ours = meter.result.by_component
    assert ours["ram"] == pytest.approx(alone.ram_energy, rel=0.3)
    assert 0 < ours["cpu"] < 20 * alone.cpu_energy  # of the same order: this machine's load is not ours alone
    assert meter.result.kg_co2e == pytest.approx(meter.result.kwh * 0.41427)


def test_what_is_asked_of_nvml_is_there() -> None:
    import pynvml

    from ..carbon.test_counters import Library

    for name in (name for name in vars(Library) if name.startswith("nvml")):
        assert callable(getattr(pynvml, name)), name
    assert issubclass(pynvml.NVMLError, Exception)
