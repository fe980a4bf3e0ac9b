"""Our scores are those of scikit-learn, SciPy, seqeval and rouge-score, on inputs drawn once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import metrics
from panpipe.metrics.stemmer import stem

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "metrics.json").read_text(encoding="utf-8"))


def sides(case: dict[str, Any]) -> dict[str, Any]:
    return {"predictions": case["predictions"], "references": case["references"]}


@pytest.mark.parametrize("case", GOLDEN["labels"])
def test_scores_of_labels(case: dict[str, Any]) -> None:
    for name in ("accuracy", "matthews_correlation"):
        assert metrics.load(name).compute(**sides(case)) == {name: pytest.approx(case[name], rel=1e-12)}
    for average in case.keys() & {"binary", "micro", "macro", "weighted", "None"}:
        for name, expected in zip(("precision", "recall", "f1"), case[average], strict=True):
            ours = metrics.load(name).compute(**sides(case), average=None if average == "None" else average)
            np.testing.assert_allclose(ours[name], expected, rtol=1e-12)


@pytest.mark.parametrize("case", GOLDEN["numbers"])
def test_scores_of_numbers(case: dict[str, Any]) -> None:
    for name in ("pearsonr", "spearmanr", "mse", "mae"):
        assert metrics.load(name).compute(**sides(case)) == {name: pytest.approx(case[name], rel=1e-12)}
    glue = metrics.load("glue", "stsb").compute(**sides(case))
    assert glue == {
        name: pytest.approx(case[key]) for name, key in (("pearson", "pearsonr"), ("spearmanr", "spearmanr"))
    }


@pytest.mark.parametrize("case", GOLDEN["entities"], ids=lambda case: case["scheme"] or "conll")
def test_scores_of_entities(case: dict[str, Any]) -> None:
    options = {"mode": "strict", "scheme": case["scheme"]} if case["scheme"] else {}
    scores = metrics.load("seqeval").compute(**sides(case), **options)
    assert scores.pop("overall_mode") == (f"strict {case['scheme']}" if case["scheme"] else "conll")
    assert scores.pop("overall_accuracy") == pytest.approx(case["accuracy"])
    names = ("precision", "recall", "f1", "number")
    overall = dict(zip(names, case["report"]["micro avg"], strict=True))
    expected: dict[str, Any] = {f"overall_{name}": pytest.approx(overall[name]) for name in names[:3]}
    for kind, row in case["report"].items():
        if not kind.endswith(" avg"):
            expected[kind] = dict(zip(names, map(pytest.approx, row), strict=True))
    assert scores == expected


@pytest.mark.parametrize("case", GOLDEN["texts"], ids=["words", "stems"])
def test_scores_of_texts(case: dict[str, Any]) -> None:
    ours = metrics.load("rouge", use_stemmer=case["use_stemmer"]).compute(**sides(case), use_aggregator=False)
    assert ours == {name: pytest.approx(scores, rel=1e-12) for name, scores in case["scores"].items()}


def test_stems() -> None:
    assert {word: stem(word) for word in GOLDEN["stems"]} == GOLDEN["stems"]
