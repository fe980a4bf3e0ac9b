"""`panpipe energy`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from panpipe.carbon.records import COLUMNS
from panpipe.cli.energy import energy
from panpipe.errors import InputError, InvalidArgument

from ..cli.conftest import Terminal


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    rows = [
        ("2026-11-20T09:00:00", "감성 분석", 3600, 0.2, 0.5, "South Korea"),
        ("2026-11-21T09:00:00", "translation", 60, 0.01, 0.25, "France"),
        ("2026-11-21T10:00:00", "감성 분석", 1800, 0.2, 0.5, "South Korea"),
    ]
    names = ("timestamp", "project_name", "duration", "emissions", "energy_consumed", "country_name")
    for index, row in enumerate(rows):
        cells = dict(zip(names, map(str, row), strict=True))
        folder = tmp_path / "실험" / str(index)
        folder.mkdir(parents=True)
        lines = [",".join(COLUMNS), ",".join(cells.get(name, "") for name in COLUMNS)]
        (folder / "emissions.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path


def test_in_a_pipe_the_totals_are_json(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert energy(["report", str(runs)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(group["project"], group["runs"], group["kwh"]) for group in told["groups"]] == [
        ("감성 분석", 2, 1.0),
        ("translation", 1, 0.25),
    ]
    assert told["total"] == {"runs": 3, "seconds": 5460.0, "kwh": 1.25, "kg_co2e": pytest.approx(0.41)}


@pytest.mark.parametrize(
    ("by", "names"), [("day", ["2026-11-20", "2026-11-21"]), ("country", ["South Korea", "France"])]
)
def test_runs_are_added_by_what_is_asked(
    runs: Path, capsys: pytest.CaptureFixture[str], by: str, names: list[str]
) -> None:
    energy(["report", str(runs / "실험"), str(runs / "실험" / "0" / "emissions.csv"), "--by", by])
    told = json.loads(capsys.readouterr().out)
    assert [group[by] for group in told["groups"]] == names
    assert told["total"]["runs"] == 3  # a file that is named twice is read once


def test_a_person_sees_bars(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    energy(["report", str(runs)])
    header, first, second, _, last = out.getvalue().splitlines()
    assert "share of the largest" in header
    assert first.endswith("█" * 24)
    assert second.endswith(" " + "█" * 6)
    assert last == "3 runs: 1.25 kWh, 410 g CO2e in 1 h 31 min"


@pytest.mark.parametrize(
    ("content", "message"),
    [("a,b\n1,2\n", "lacks the column 'timestamp'"), (",".join(COLUMNS) + "\n1,2,3,4,x\n", "line 2: duration")],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "emissions.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        energy(["report", str(tmp_path)])


def test_nothing_found_and_unknown_verbs_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"there is no emissions\.csv"):
        energy(["report", str(tmp_path)])
    with pytest.raises(InputError, match="cannot be read"):
        energy(["report", str(tmp_path / "missing.csv")])
    with pytest.raises(InvalidArgument, match="Did you mean 'report'"):
        energy(["reprot"])
    with pytest.raises(InvalidArgument, match="'month' is not one of"):
        energy(["report", "--by", "month"])
    assert energy([]) == 0
    assert "panpipe energy report" in capsys.readouterr().out


def test_an_estimate_before_a_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["estimate", "--seconds", "7200", "--watts", "300", "--country", "한국", "--price", "150"]
    energy(arguments)
    told = json.loads(capsys.readouterr().out)
    assert (told["country"], told["cost"]) == ("KOR", pytest.approx(90))
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    energy(arguments)
    assert out.getvalue().startswith("about 2 h 0 min, 600 Wh, 249 g CO2e, costs 90: ±18%")
