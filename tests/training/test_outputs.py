"""What a run leaves for others: its upload, and its energy on several machines."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

import huggingface_hub
from huggingface_hub import constants

from panpipe.models import BertForSequenceClassification
from panpipe.training import outputs
from panpipe.training.trainer import Trainer

from .killed import digest
from .test_trainer import arguments, classifier, rows

pytestmark = pytest.mark.train


def run(folder: Path, **changes: Any) -> Trainer:
    args = arguments(folder, energy=False, max_steps=2, push_to_hub=True, hub_token="hf_secret", **changes)
    return Trainer(classifier(), args, train_dataset=rows())


def test_an_upload_that_fails_loses_nothing_and_says_how_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    folder = tmp_path / "내 모델"
    trainer = run(folder, hub_model_id="someone/my-model")
    assert trainer.train().global_step == 2
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert str(port) in warning
    assert f"hf upload someone/my-model '{folder}'" in warning
    assert "hf_secret" not in caplog.text
    assert digest(BertForSequenceClassification.from_pretrained(folder)) == digest(trainer.model)


def test_the_model_and_its_card_are_uploaded_without_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    class Api:
        def __init__(self, endpoint: str, token: str | None) -> None:
            asked["token"] = token

        def create_repo(self, name: str, private: bool | None, exist_ok: bool) -> Any:
            asked["private"] = private
            return SimpleNamespace(repo_id=f"someone/{name}")

        def upload_folder(self, repo_id: str, folder_path: str, commit_message: str, ignore_patterns: Any) -> str:
            files = [
                path.relative_to(folder_path).as_posix() for path in Path(folder_path).rglob("*") if path.is_file()
            ]
            asked["files"] = set(huggingface_hub.utils.filter_repo_objects(files, ignore_patterns=ignore_patterns))
            return f"https://hub/{repo_id}/{commit_message}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    trainer = run(tmp_path / "model", hub_private_repo=True, save_strategy="steps", save_steps=1)
    trainer.train()
    assert {"config.json", "model.safetensors", "README.md", "loss.svg"} <= asked["files"]
    assert not any(name.startswith("checkpoint-") for name in asked["files"])
    assert (asked["token"], asked["private"]) == ("hf_secret", True)
    assert trainer.push_to_hub("again") == "https://hub/someone/model/again"


def test_a_report_that_cannot_be_written_does_not_lose_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*given: Any, **options: Any) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(outputs, "model_card", full)
    trainer = Trainer(classifier(), arguments(tmp_path, energy=False, max_steps=2), train_dataset=rows())
    assert trainer.train().global_step == 2
    assert "no space left" in caplog.text
