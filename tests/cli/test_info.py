"""`panpipe info` and `panpipe tasks`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.cli.info import describe
from panpipe.pipelines.tasks import TASKS
from panpipe.weights.save import save_safetensors

from ..distribution import adapter_of, install, row
from ..weights.hub_server import Answer, Repo, serve
from .conftest import Run


def test_a_folder_is_described(models: dict[str, str], run: Run) -> None:
    ran = run("info", models["text-classification"], "--json")
    told = json.loads(ran.out)
    assert told["architecture"] == {
        "class": ["BertForSequenceClassification"],
        "family": "bert",
        "layers": 2,
        "hidden_size": 16,
        "heads": 2,
        "head": "sequence-classification",
        "tasks": ["text-classification", "zero-shot-classification", "feature-extraction"],
    }
    weights = Path(models["text-classification"]) / "model.safetensors"
    assert told["checkpoint"]["size_bytes"] == weights.stat().st_size
    assert told["checkpoint"]["dtypes"] == {"F16": told["checkpoint"]["parameters"]}
    assert list(told["labels"].values()) == ["contradiction", "neutral", "entailment"]
    assert told["tokenizer"]["mask_token"] == "[MASK]"
    assert told["limits"]["longest_text_tokens"] == 64
    assert "licence" not in told


def test_the_table_says_the_same(models: dict[str, str], run: Run) -> None:
    out = run("info", models["fill-mask"]).out
    for words in ("BertForMaskedLM", "mask token", "[MASK]", "fill-mask", "parameters", "kB"):
        assert words in out


@pytest.mark.parametrize("task", ["token-classification", "question-answering", "fill-mask"])
def test_the_tasks_are_those_of_the_head(task: str, models: dict[str, str]) -> None:
    assert describe(models[task])["architecture"]["tasks"] == [task, "feature-extraction"]


def test_parameters_are_those_of_the_model(models: dict[str, str]) -> None:
    from panpipe.models import load_model

    told = describe(models["token-classification"])["checkpoint"]["parameters"]
    assert told == load_model(models["token-classification"]).num_parameters()


def test_the_licence_is_that_of_the_model_card(models: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(models["fill-mask"], folder)
    (folder / "README.md").write_text("---\nlanguage: ko\nlicense: apache-2.0\n---\n# license: none\n", "utf-8")
    assert describe(str(folder))["licence"] == "apache-2.0"
    (folder / "README.md").write_text("license: mit\n", "utf-8")
    assert "licence" not in describe(str(folder))


def test_a_family_that_panpipe_does_not_have_is_still_described(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "xlnet", "n_layer": 3, "architectures": ["XLNetModel"]}')
    save_safetensors({"a": np.zeros((2, 3), np.float32)}, tmp_path / "model.safetensors")
    told = describe(str(tmp_path))
    assert told["architecture"]["supported"].startswith("no: ")
    assert (told["architecture"]["layers"], told["checkpoint"]["parameters"]) == (3, 6)


def test_shards_are_counted_together(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    for name in "ab":
        save_safetensors({name: np.zeros(5, np.float32)}, tmp_path / f"{name}.safetensors")
    index = {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = describe(str(tmp_path))["checkpoint"]
    assert (checkpoint["files"], checkpoint["parameters"]) == (["a.safetensors", "b.safetensors"], 10)


def test_a_task_stands_for_its_default_model(models: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(models["sentiment-analysis"])
    install(monkeypatch, folder.parent, [row(folder.name, "text-classification", ["en", "ko"])])
    told = json.loads(run("info", "sentiment-analysis", "--json").out)
    assert told["where"] == str(folder)
    assert told["embedded"] == [f"en, ko: {folder.name} (accuracy 0.5 of {folder.name})"]


def test_an_embedded_adapter_is_described_with_its_base(
    models: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(models["feature-extraction"], tmp_path / "base")
    adapter_of("owner/base", models["text-classification"], tmp_path / "sentiment")
    rows = [
        row("sentiment", "text-classification", ["en"]),
        row("base", "feature-extraction", ["en"], hub_id="owner/base"),
    ]
    install(monkeypatch, tmp_path, rows)
    told = describe("sentiment-analysis")
    assert told["architecture"]["head"] == "sequence-classification"
    assert told["checkpoint"]["files"] == ["model.safetensors"]
    assert told["tokenizer"]["vocabulary"] > 100


def test_a_model_that_cannot_be_had_is_one_line(run: Run) -> None:
    for name in ("./nowhere", "owner/nowhere", "ner"):
        ran = run("info", name)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)


def test_weights_on_the_hub_are_not_fetched(models: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    folder = Path(models["ner"])
    repo = Repo({path.name: path.read_bytes() for path in folder.iterdir()})
    with serve({"owner/model": repo}) as hub:
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        told: dict[str, Any] = describe("owner/model")
        assert told["architecture"]["head"] == "token-classification"
        assert told["tokenizer"]["vocabulary"] > 100
        assert "not on this machine" in told["checkpoint"]["files"]
        assert not any("safetensors" in request for request in hub.of("GET"))

        page = {
            "id": "owner/model",
            "siblings": [{"rfilename": "model.safetensors", "size": 7}, {"rfilename": "config.json", "size": 5}],
            "safetensors": {"parameters": {"F16": 3}, "total": 3},
            "cardData": {"license": "mit"},
        }

        def with_page(method: str, path: str, answer: Answer) -> Answer:
            return Answer(200, {}, json.dumps(page).encode()) if path.startswith("/api/models/") else answer

        hub.override = with_page
        told = describe("owner/model")
        assert told["checkpoint"]["files"] == ["model.safetensors"]
        assert (told["checkpoint"]["size_bytes"], told["checkpoint"]["parameters"], told["licence"]) == (7, 3, "mit")

        from panpipe.models import load_model

        parameters = load_model("owner/model").num_parameters()
        hub.requests.clear()
        assert describe("owner/model")["checkpoint"]["parameters"] == parameters
        assert hub.requests == []


def test_tasks_are_listed(run: Run) -> None:
    rows = [json.loads(line) for line in run("tasks", "--json").out.splitlines()]
    assert [row["task"] for row in rows] == list(TASKS)
    assert {row["alias"] for row in rows} == {"", "ner", "sentiment-analysis"}
    assert run("tasks").out.splitlines()[0].split() == ["task", "alias", "embedded", "model"]
    assert all(row["embedded"] == [] for row in rows)


def test_tasks_are_listed_with_their_embedded_models(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [("good-ko", "text-classification", ["ko"]), ("good-en", "text-classification", ["en"])]
    names.append(("there", "translation", ["fr-en", "en-fr"]))
    for name, *_ in names:
        (tmp_path / name).mkdir()
    install(monkeypatch, tmp_path, [row(*one) for one in names])
    rows = {row["task"]: row for row in map(json.loads, run("tasks", "--json").out.splitlines())}
    assert rows["text-classification"]["embedded"] == ["en", "ko"]
    assert (
        rows["text-classification"]["model"] == "good-en (accuracy 0.5 of good-en); good-ko (accuracy 0.5 of good-ko)"
    )
    assert rows["translation"]["embedded"] == ["fr-en", "en-fr"]
    assert "fr-en, en-fr" in run("tasks").out
