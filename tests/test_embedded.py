"""The models that come with panpipe: ordinary folders, answering without a network."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from panpipe import pipeline
from panpipe.models import load_model
from panpipe.pipelines.tasks import TASKS

panpipe_models = pytest.importorskip("panpipe_models", reason="make demo installs it; the core works without")

SENTENCES = {
    "I've been waiting for a HuggingFace course my whole life.": "POSITIVE",
    "I hate this so much!": "NEGATIVE",
    "This is the best book I have read in years.": "POSITIVE",
    "The battery died after two days and nobody answered my mails.": "NEGATIVE",
    "not bad at all": "POSITIVE",
    "The movie was not good.": "NEGATIVE",
}


@pytest.mark.parametrize("task", ["sentiment-analysis", "text-classification"])
def test_sentiment_needs_no_model_named_and_no_network(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    answers = pipeline(task)(list(SENTENCES))
    assert [answer["label"] for answer in answers] == list(SENTENCES.values())


@pytest.mark.parametrize("model", panpipe_models.models(), ids=str)
def test_each_is_an_ordinary_checkpoint_or_adapter_with_a_card(model: Any) -> None:
    assert model.task in TASKS
    assert model.score
    card = (model.folder / "README.md").read_text(encoding="utf-8")
    for words in ("license:", "test"):
        assert words in card
    assert load_model(model.folder).num_parameters() > 1_000_000


def test_every_folder_is_in_the_index() -> None:
    folders = {model.folder for model in panpipe_models.models()}
    here = next(iter(folders)).parent
    assert folders == {path for path in here.iterdir() if (path / "config.json").is_file()}


@pytest.mark.oracle
@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="the oracle's environment has it")
def test_transformers_opens_it_and_agrees() -> None:
    import torch
    import transformers

    folder = str(panpipe_models.find("text-classification", "en").folder)
    theirs = transformers.pipeline("sentiment-analysis", model=folder, dtype=torch.float32)
    for a, b in zip(theirs(list(SENTENCES)), pipeline("sentiment-analysis")(list(SENTENCES)), strict=True):
        assert a["label"] == b["label"]
        assert a["score"] == pytest.approx(b["score"], abs=1e-4)
