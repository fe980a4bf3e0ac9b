"""Hyper-parameter search: what is drawn, what is kept, what it costs."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import InvalidArgument, MissingDependency
from panpipe.training.search import (
    Choice,
    Range,
    SearchResult,
    Trial,
    _Drawn,
    choice,
    integers,
    loguniform,
    parse_space,
    search,
    uniform,
)

SPACE = {
    "learning_rate": loguniform(1e-5, 1e-3),
    "num_train_epochs": [1, 2, 3],
    "fp16": False,
    "모델": choice(["작은", "큰"]),
}


def loss(parameters: dict[str, Any], folder: Path) -> dict[str, float]:
    return {"eval_loss": abs(math.log10(parameters["learning_rate"]) + 4), "eval_accuracy": 0.5}


def run(folder: Path, function: Callable[..., Any] = loss, **options: Any) -> SearchResult:
    given = {"trials": 6, "direction": "minimize", "metric": "eval_loss", "space": SPACE, **options}
    return search(given.pop("space"), function, output_dir=folder, **given)


def test_the_best_trial_is_the_one_with_the_best_value(tmp_path: Path) -> None:
    result = run(tmp_path)
    values = [trial.value for trial in result.trials if trial.value is not None]
    assert len(values) == 6
    assert result.best.value == min(values)
    assert run(tmp_path, direction="maximize").best.value == max(values)
    for trial in result.trials:
        assert 1e-5 <= trial.parameters["learning_rate"] <= 1e-3
        assert trial.parameters["num_train_epochs"] in (1, 2, 3)
        assert trial.parameters["fp16"] is False
        kept = json.loads((tmp_path / f"trial-{trial.number:04d}" / "trial.json").read_text("utf-8"))
        assert (kept["state"], kept["parameters"]) == ("finished", trial.parameters)


def test_the_same_seed_draws_the_same_and_another_draws_others(tmp_path: Path) -> None:
    def drawn(name: str, **options: Any) -> list[Any]:
        return [trial.parameters for trial in run(tmp_path / name, **options).trials]

    assert drawn("a") == drawn("b")
    assert drawn("a")[:6] == drawn("c", trials=8)[:6]
    assert drawn("a") != drawn("d", seed=1)
    wider = drawn("e", space={**SPACE, "weight_decay": uniform(0, 0.1)})
    assert [parameters["learning_rate"] for parameters in wider] == [p["learning_rate"] for p in drawn("a")]


def test_a_grid_is_walked_whole_and_in_order(tmp_path: Path) -> None:
    space = {"a": [1, 2], "b": integers(5, 6), "c": "x"}
    result = search(space, lambda p, _: p["a"] * p["b"], direction="maximize", method="grid", output_dir=tmp_path)
    assert [tuple(trial.parameters.values()) for trial in result.trials] == [
        (1, 5, "x"),
        (1, 6, "x"),
        (2, 5, "x"),
        (2, 6, "x"),
    ]
    assert (result.best.value, result.metric) == (12, "objective")
    with pytest.raises(InvalidArgument, match="a grid needs values"):
        run(tmp_path / "other", method="grid")


def test_finished_trials_are_not_run_again(tmp_path: Path) -> None:
    first = run(tmp_path, trials=3)
    ran: list[float] = []

    def counted(parameters: dict[str, Any], folder: Path) -> dict[str, float]:
        ran.append(parameters["learning_rate"])
        return loss(parameters, folder)

    result = run(tmp_path, counted, trials=5)
    assert len(ran) == 2
    assert result.trials[:3] == first.trials
    assert run(tmp_path, counted, trials=5).trials == result.trials
    assert len(ran) == 2


def test_a_failed_trial_is_kept_counted_and_tried_again(tmp_path: Path) -> None:
    is_broken = True

    def sometimes(parameters: dict[str, Any], folder: Path) -> dict[str, float]:
        if is_broken and folder.name == "trial-0001":
            sum(i * i for i in range(300_000))
            raise RuntimeError("메모리 부족")
        return loss(parameters, folder)

    result = run(tmp_path, sometimes, trials=3)
    failed = result.trials[1]
    assert (failed.state, failed.error, failed.value) == ("failed", "RuntimeError: 메모리 부족", None)
    assert failed.kwh > 0
    assert result.kwh == pytest.approx(sum(trial.kwh for trial in result.trials))
    assert "failed RuntimeError: 메모리 부족" in result.table().splitlines()[4]
    is_broken = False
    again = run(tmp_path, sometimes, trials=3).trials[1]
    assert again.state == "finished"
    assert again.kwh > failed.kwh  # what the failure cost is in it


def test_what_is_not_finite_has_failed(tmp_path: Path) -> None:
    result = run(tmp_path, lambda p, f: {"eval_loss": math.nan if f.name == "trial-0000" else 1.0}, trials=2)
    assert [trial.state for trial in result.trials] == ["failed", "finished"]
    assert result.best.number == 1


def test_a_search_in_which_everything_fails_ends_soon(tmp_path: Path) -> None:
    def broken(parameters: dict[str, Any], folder: Path) -> float:
        raise ZeroDivisionError("nothing works")

    with pytest.raises(ZeroDivisionError):
        run(tmp_path, broken, trials=50)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_metric_that_is_misspelt_loses_no_trial(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="Did you mean 'eval_loss'"):
        run(tmp_path, metric="eval_los")
    with pytest.raises(InvalidArgument, match="say which one counts"):
        run(tmp_path, metric=None)

    def never(parameters: dict[str, Any], folder: Path) -> float:
        raise AssertionError("this trial is there")

    assert run(tmp_path, never, trials=1).trials[0].state == "finished"


def test_trials_of_another_search_are_not_mixed_in(tmp_path: Path) -> None:
    run(tmp_path, trials=1)
    with pytest.raises(InvalidArgument, match=r"another space, seed or method\. Give another output_dir"):
        run(tmp_path, trials=1, seed=7)
    (tmp_path / "trial-0000" / "trial.json").write_text("{}")
    with pytest.raises(InvalidArgument, match="is not a trial"):
        run(tmp_path, trials=1)


KILLED = """
import os, signal, sys
from panpipe.training.search import search, uniform

def run(parameters, folder):
    sum(i * i for i in range(200_000))
    if folder.name == "trial-0002" and not (folder / "begun").exists():
        (folder / "begun").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return parameters["x"]

result = search({"x": uniform(0, 1)}, run, trials=4, direction="maximize", output_dir=sys.argv[1])
print(result.best.value)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(command, env=environment, timeout=60).returncode == -signal.SIGKILL
    assert sorted(path.parent.name for path in tmp_path.glob("*/trial.json")) == ["trial-0000", "trial-0001"]
    before = (tmp_path / "trial-0001" / "trial.json").stat().st_mtime_ns
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trial-0001" / "trial.json").stat().st_mtime_ns == before
    expected = [_Drawn(f"0/{n}").suggest_float("x", 0, 1) for n in range(4)]
    assert float(done.stdout) == pytest.approx(max(expected))


def test_a_trial_that_is_worse_than_most_may_be_stopped(tmp_path: Path) -> None:
    def reporting(parameters: dict[str, Any], folder: Path, report: Callable[[int, float], None]) -> float:
        value = 9.0 if folder.name == "trial-0005" else float(folder.name[-1])
        for step in (1, 2, 3):
            report(step, value)
        return value

    kept = search({"x": [1]}, reporting, trials=6, direction="minimize", output_dir=tmp_path / "a")
    assert [trial.state for trial in kept.trials] == ["finished"] * 6
    result = search({"x": [1]}, reporting, trials=6, direction="minimize", output_dir=tmp_path / "b", pruning=True)
    assert [trial.state for trial in result.trials[:4]] == ["finished"] * 4
    last = result.trials[5]
    assert (last.state, last.value, last.reported) == ("pruned", None, ((1, 9.0),))
    assert result.best.value == 0
    again = search({"x": [1]}, reporting, trials=6, direction="minimize", output_dir=tmp_path / "b", pruning=True)
    assert again.trials == result.trials


def test_a_function_may_be_the_space(tmp_path: Path) -> None:
    def space(trial: Any) -> dict[str, Any]:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return {"kind": kind, "rate": trial.suggest_float("rate", 1e-5, 1e-3, log=True) if kind == "a" else 0.1}

    result = search(space, lambda p, _: p["rate"], trials=12, direction="minimize", output_dir=tmp_path)
    assert {trial.parameters["kind"] for trial in result.trials} == {"a", "b"}
    with pytest.raises(InvalidArgument, match="not a function"):
        search(space, lambda p, _: 0, direction="minimize", method="grid", output_dir=tmp_path)


def test_values_are_spread_over_the_whole_range() -> None:
    whole = [_Drawn(f"0/{n}").suggest_int("x", 1, 3) for n in range(300)]
    assert {value: 80 < whole.count(value) < 120 for value in set(whole)} == {1: True, 2: True, 3: True}
    logarithmic = [_Drawn(f"0/{n}").suggest_float("x", 1e-6, 1e-2, log=True) for n in range(400)]
    assert all(1e-6 <= value <= 1e-2 for value in logarithmic)
    assert 160 < sum(value < 1e-4 for value in logarithmic) < 240
    assert {_Drawn(f"0/{n}").suggest_int("x", 1, 4, log=True) for n in range(100)} == {1, 2, 3, 4}


def test_spaces_are_written_as_text() -> None:
    assert parse_space(
        ["learning_rate=1e-5..1e-3:log", "num_train_epochs=1..3", "batch=8,16", "bf16=true", "x=.5..2"]
    ) == {
        "learning_rate": Range(1e-5, 1e-3, log=True),
        "num_train_epochs": Range(1, 3, whole=True),
        "batch": Choice((8, 16)),
        "bf16": Choice((True,)),
        "x": Range(0.5, 2),
    }
    assert parse_space(["schedule=linear,none", "seed=1e3"]) == {
        "schedule": Choice(("linear", None)),
        "seed": Choice((1000.0,)),
    }


@pytest.mark.parametrize("text", ["learning_rate", "=1", "a=", "a=b..c", "a=1..2:lg", "a=3..1", "a=0..1:log"])
def test_spaces_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_space([text])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "up"}, "'minimize', 'maximize'"),
        ({"method": "radom"}, "Did you mean 'random'"),
        ({"trials": 0}, "1 or more"),
        ({"space": {}}, "at least one"),
        ({"space": {"x": []}}, "at least one value"),
        ({"space": {"x": [object()]}}, "cannot be written down as JSON"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        run(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_without_a_finished_trial_there_is_no_best() -> None:
    result = SearchResult((Trial(0, "failed", {}, error="RuntimeError: x"),), "loss", "minimize")
    with pytest.raises(InvalidArgument, match="The first error was: RuntimeError: x"):
        result.best  # noqa: B018


def test_the_table_has_the_best_first_and_the_cost_of_all(tmp_path: Path) -> None:
    result = run(tmp_path)
    lines = str(result).splitlines()
    assert lines[0] == "| trial | eval\\_loss | learning\\_rate | num\\_train\\_epochs | fp16 | 모델 | time | energy |"
    assert lines[2].startswith(f"| {result.best.number} |")
    assert lines[-1].startswith("All 6 trials: ")
    assert json.loads(json.dumps(result.to_dict()))["kwh"] == result.kwh


def test_without_optuna_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingDependency, match=r'pip install "panpipe\[hpo\]"'):
        run(tmp_path, method="optuna")


def test_optuna_learns_and_goes_on_with_the_same_trials(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="an optional extra: panpipe[hpo]")
    whole = run(tmp_path / "whole", method="optuna", trials=14)
    run(tmp_path / "parts", method="optuna", trials=6)
    parts = run(tmp_path / "parts", method="optuna", trials=14)
    assert [trial.parameters for trial in parts.trials] == [trial.parameters for trial in whole.trials]
    early, late = whole.trials[:10], whole.trials[10:]
    assert min(trial.value or 0 for trial in late) <= sorted(trial.value or 0 for trial in early)[5]
