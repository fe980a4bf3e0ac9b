"""What the recipes of the embedded models do beside training: ship, measure against a floor, tell."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from recipes.about import About
from recipes.card import card, index_entry, page, sources_of
from recipes.floors import characters, most_frequent, naive_bayes, tag_by_word, words
from recipes.measure import classified
from recipes.ship import ship
from safetensors.numpy import load_file

from panpipe.models import load_model
from recipes import __main__ as recipes
from tests.models.tiny import made

ABOUT = About(
    folder="tiny", task="text-classification", languages=["ko"], title="작은 모델", text="For tests.", data=[],
    metric="accuracy", on="Korean texts", larger="somebody/large", anchor="0.9 (its card)", examples=["좋아요"],
)  # fmt: skip
ROWS = [
    {"text": "참 좋은 영화", "label": "POSITIVE", "source": "a"},
    {"text": "정말 좋은 배우", "label": "POSITIVE", "source": "b"},
    {"text": "나쁜 영화", "label": "NEGATIVE", "source": "a"},
]
SCORES = classified(ROWS, ["POSITIVE", "NEGATIVE", "NEGATIVE"])
RESULT = {"scores": {"test": SCORES, "validation": SCORES}, "floors": {"test": SCORES, "validation": SCORES}}


def test_what_is_shipped_is_half_as_large_and_answers_alike(tmp_path: Path) -> None:
    model = made("bert", "sequence-classification")
    model.save_pretrained(tmp_path / "made")
    (tmp_path / "made" / "trainer_state.json").write_text("{}")
    folder = ship(tmp_path / "made", tmp_path / "shipped")
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {np.dtype(np.float16)}
    assert not (folder / "trainer_state.json").exists()
    shipped = load_model(folder)
    for slot, kept in model.stored.slots.items():
        for part in kept.shapes():
            np.testing.assert_allclose(shipped.stored.read(slot)[part], model.stored.read(slot)[part], atol=2e-3)


def test_scores_are_of_each_source_and_of_all() -> None:
    assert {
        "a": {"rows": 2, "accuracy": 1.0},
        "b": {"rows": 1, "accuracy": 0.0},
        "all": {"rows": 3, "accuracy": pytest.approx(2 / 3)},
    } == SCORES


def test_floors() -> None:
    for cut in (words, characters):
        guess = naive_bayes(ROWS, cut)
        assert [guess({"text": text}) for text in ("좋은 노래", "나쁜 노래")] == ["POSITIVE", "NEGATIVE"]
    assert most_frequent(ROWS)({}) == "POSITIVE"
    tags = tag_by_word([{"tokens": ["Seoul", "is"], "tags": ["B-LOC", "O"]}])
    assert tags({"tokens": ["Busan", "is", "Seoul"]}) == ["O", "O", "B-LOC"]


def test_a_card_tells_scores_and_licences(tmp_path: Path) -> None:
    (tmp_path / "SOURCES.md").write_text("| `a, b_*` | here/it | 1 | f | CC0 | ko | – |\n", "utf-8")
    sources = sources_of(tmp_path, ["b_2", "c"])
    assert sources == [("b_2", "here/it", "CC0"), ("c", "", "see SOURCES.md of the data")]
    text = card(ABOUT, RESULT, "Trained.", sources, "tiny")
    assert "license: apache-2.0" in text and '- text: "좋아요"' in text
    assert "| **all** | **3** | **0.667** | **0.667** |" in text
    assert "| b_2 | here/it | CC0 |" in text


def test_the_index_gets_new_rows_and_keeps_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, here = tmp_path / "models", tmp_path / "recipes"
    for folder in (models / "older", models / "all-minilm-l6-v2", here / "results", tmp_path / "docs"):
        folder.mkdir(parents=True)
    older = {"folder": "older", "task": "fill-mask", "languages": ["en"], "score": "s", "larger": "l"}
    gone = older | {"folder": "gone"}
    (models / "models.json").write_text(json.dumps([older, gone]))
    scores = {"all": {"rows": 1, "Spearman": 0.8}}
    result = {kind: {"test": scores, "validation": scores} for kind in ("scores", "floors")}
    (here / "results" / "feature_extraction.json").write_text(json.dumps(result))
    monkeypatch.setattr(recipes, "HERE", here)
    recipes.write_page(models)
    rows = json.loads((models / "models.json").read_text("utf-8"))
    assert rows[0] == older
    assert [row["folder"] for row in rows] == ["older", "all-minilm-l6-v2"]
    assert "all-minilm-l6-v2" in (tmp_path / "docs/models.md").read_text("utf-8")


def test_a_line_of_the_index_tells_the_score() -> None:
    assert index_entry(ABOUT, RESULT)["score"] == "accuracy 0.67 on Korean texts"
    assert "작은 모델" in page([(ABOUT, RESULT, 1_000_000)])
