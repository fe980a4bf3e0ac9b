from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from panpipe.carbon import plan
from panpipe.cli.evaluate import evaluate
from panpipe.cli.train import train
from panpipe.errors import (
    DataNotFound,
    InvalidArgument,
    MissingDependency,
    MissingKey,
    TrainingError,
    UnknownArgument,
    UnknownTask,
)
from panpipe.training import run as running
from panpipe.training.run import TrainResult

from .conftest import Terminal

RESULT = TrainResult(
    "text-classification", "out", {"accuracy": 0.91234567}, {"loss": 0.5}, {"text": "리뷰"}, {"training": 4}, 2
)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `train` of the library was asked for, instead of doing it."""
    calls: list[dict[str, Any]] = []

    def note(task: str, model: str, data: str, output: str, **options: Any) -> Any:
        calls.append({"task": task, "model": model, "data": data, "output": output, **options})
        return plan(seconds=60) if options["estimate"] else RESULT

    monkeypatch.setattr(running, "train", note)
    monkeypatch.setattr("panpipe.cli.train.find_spec", lambda name: True)
    return calls


@pytest.fixture
def data(tmp_path: Path) -> str:
    rows = [{"문장": f"text {n}", "label": ["negative", "positive"][n % 2], "lang": str(n % 2)} for n in range(6)]
    file = tmp_path / "자료.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(file)


BASE = ["--model", "m", "--data", "d", "--output", "o"]


def test_options_reach_the_run_with_their_types(
    called: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--epochs 1.5 --batch-size 4 --learning-rate 3e-5 --eval-steps 10 --bf16 --no-energy --max-length 64"
    more = "--eval-data 0.1 --lora r=4 --freeze embeddings --freeze layers.0 --report-to tensorboard --limit 100"
    code = train(["sentiment-analysis", *BASE, *options.split(), *more.split(), "--columns", "text=리뷰,label=별점"])
    (call,) = called
    expected = {
        "task": "sentiment-analysis",
        "model": "m",
        "num_train_epochs": 1.5,
        "per_device_train_batch_size": 4,
        "learning_rate": 3e-5,
        "eval_steps": 10.0,
        "bf16": True,
        "energy": False,
        "max_length": 64,
        "eval_data": "0.1",
        "lora": "r=4",
        "freeze": ["embeddings", "layers.0"],
        "report_to": ["tensorboard"],
        "limit": 100,
        "columns": {"text": "리뷰", "label": "별점"},
        "resume": None,
        "overwrite_output_dir": False,
    }
    assert {name: call[name] for name in expected} == expected
    assert "weight_decay" not in call  # what is not given is the library's to say
    assert code == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == {"accuracy": 0.91234567}


def test_a_person_gets_a_table(called: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    train(["text-classification", *BASE, "--resume"])
    assert called[0]["resume"] is True
    assert "accuracy" in out.getvalue() and "0.9123" in out.getvalue() and "{" not in out.getvalue()


def test_an_estimate_is_printed(called: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    train(["text-classification", *BASE, "--estimate"])
    assert json.loads(capsys.readouterr().out)["seconds"] == 60


def test_a_search_trains_each_trial_in_a_folder_of_its_own(
    called: list[dict[str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = ["--model", "m", "--data", "d", "--output", str(tmp_path / "search"), "--trials", "3", "--seed", "1"]
    train(["text-classification", *given, "--search", "learning_rate=1e-5..1e-3:log", "num_train_epochs=1,2"])
    assert len(called) == 3
    assert len({call["output"] for call in called}) == 3
    assert all(1e-5 <= call["learning_rate"] <= 1e-3 and call["num_train_epochs"] in (1, 2) for call in called)
    assert all(call["seed"] == 1 and call["resume"] for call in called)
    assert not any(call["energy"] or call["push_to_hub"] for call in called)  # the search counts it, and would twice
    found = json.loads(capsys.readouterr().out)
    assert (found["metric"], found["direction"], len(found["trials"])) == ("accuracy", "maximize", 3)


def test_a_trial_without_an_optimizer_s_state_begins_anew(called: list[dict[str, Any]], tmp_path: Path) -> None:
    given = ["--model", "m", "--data", "d", "--output", str(tmp_path / "search"), "--save-only-model"]
    train(["text-classification", *given, "--search", "seed=1,2", "--search-method", "grid"])
    assert [(call["resume"], call["overwrite_output_dir"]) for call in called] == [(None, True)] * 2


def test_more_processes_are_torchruns(called: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("panpipe.cli.train.os.execv", lambda program, command: commands.append(command))
    monkeypatch.setattr("panpipe.cli.train.subprocess.call", lambda command: 0)
    assert train(["fill-mask", *BASE, "--processes", "2"]) == 0
    assert not called
    assert commands[0][1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    assert commands[0][6:10] == ["-m", "panpipe", "train", "fill-mask"]
    monkeypatch.setenv("RANK", "1")
    train(["fill-mask", *BASE, "--processes", "2"])
    assert len(called) == 1


def test_help_lists_tasks_and_a_tasks_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert train([]) == 0
    assert "question-answering" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        train(["question-answering", "--help"])
    shown = capsys.readouterr().out
    assert "--doc-stride" in shown and "answers" in shown and "--learning-rate" in shown and "its peak" in shown


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (["qa"], UnknownTask, "'qa' is not a task to train for"),
        (["ner", "--model", "m", "--data", "d"], UnknownArgument, "--output"),
        (["ner", *BASE, "--learning-rat", "1"], UnknownArgument, "Did you mean '--learning-rate'"),
        (["ner", *BASE, "--max-length", "x"], UnknownArgument, "--max-length"),
        (["ner", *BASE, "--columns", "words"], InvalidArgument, "expected ROLE=COLUMN"),
        (["ner", *BASE, "--search", "learning_rate"], InvalidArgument, "learning_rate"),
    ],
)
def test_a_command_that_cannot_be_meant(
    given: list[str], error: Any, message: str, called: list[dict[str, Any]]
) -> None:
    with pytest.raises(error, match=message):
        train(given)
    assert not called


def test_without_pytorch_the_install_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panpipe.cli.train.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"panpipe\[train\]"):
        train(["ner", *BASE])


# -- errors of the run itself, before any work -----------------------------------------------------------------------


def test_another_runs_folder_is_left_alone(tmp_path: Path, data: str, models: dict[str, str]) -> None:
    (tmp_path / "out" / "checkpoint-5").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"holds a run or a model already .*--resume.*--overwrite"):
        running.train("text-classification", models["text-classification"], data, tmp_path / "out")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(TrainingError, match="is a file"):
        running.train("text-classification", models["text-classification"], data, file)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": {"text": "문서"}}, MissingKey, "no column '문서'"),
        ({"eval_data": "trian"}, DataNotFound, "no split 'trian'; the data have train. Did you mean 'train'"),
        ({"eval_data": 1.5}, InvalidArgument, "a share of the rows"),
        ({"limit": 0}, InvalidArgument, "limit is 0"),
        ({"epoch": 1}, UnknownArgument, "Did you mean 'epochs'"),
        ({"learning_rat": 1}, UnknownArgument, "learning_rate"),
        ({"lora": "8"}, InvalidArgument, "lora is a list of settings"),
        ({"from_scratch": "huge"}, InvalidArgument, "tiny, mini, small"),
        ({"from_scratch": "brt:tiny"}, InvalidArgument, "no family 'brt'"),
    ],
)
def test_mistakes_are_found_before_the_work(
    options: dict[str, Any], error: Any, message: str, data: str, models: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        running.train("text-classification", models["text-classification"], data, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_missing_data_are_named(tmp_path: Path, models: dict[str, str]) -> None:
    with pytest.raises(DataNotFound, match="missing"):
        running.train("ner", models["ner"], str(tmp_path / "missing.csv"), tmp_path / "out")


# -- evaluate --------------------------------------------------------------------------------------------------------


def test_a_model_is_evaluated(data: str, models: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((Path(models["text-classification"]) / "config.json").read_text(encoding="utf-8"))
    names = sorted(config["id2label"].values())[:2]
    file = Path(data)
    text = file.read_text(encoding="utf-8").replace("negative", names[0]).replace("positive", names[1])
    file.write_text(text, encoding="utf-8")
    given = ["text-classification", "--model", models["text-classification"], "--data", data, "--by", "lang"]
    assert evaluate(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 6
    assert 0 <= found["metrics"]["accuracy"] <= 1
    assert [found["by"][lang]["rows"] for lang in "01"] == [3, 3]
    assert evaluate([*given, "--limit", "4", "--split", "train"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 4
    with pytest.raises(UnknownArgument, match="Did you mean '--split'"):
        evaluate([*given, "--spilt", "test"])


def test_a_person_sees_the_scores_by_column(data: str, models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    rows = [{"text": "text", "lang": "한국어"}, {"text": "more text", "lang": "en"}]
    Path(data).write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    evaluate(["fill-mask", "--model", models["fill-mask"], "--data", data, "--by", "lang", "--mlm-probability", "0.9"])
    assert "perplexity" in out.getvalue() and "한국어" in out.getvalue()


def test_evaluate_says_its_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(["--help"]) == 0
    assert "translation" in capsys.readouterr().out
