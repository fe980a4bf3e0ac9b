"""Live: fit_head's regression against scikit-learn, and what it saves, opened by transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.batch import Batch
from panpipe.training.head import fit_head
from panpipe.training.logistic import fit_logistic
from tests.models.tiny import ORACLE_OPTIONS
from tests.training.test_head import CLASSIFIERS, LABELS, TEXTS, Words, drawn

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")
linear_model = pytest.importorskip("sklearn.linear_model", reason="the oracle's environment has it")

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("has_intercept", [True, False])
@pytest.mark.parametrize(("num_classes", "l2"), [(2, 1.0), (2, 0.003), (3, 0.1), (5, 0.01)])
def test_weights_equal_scikit_learns(num_classes: int, l2: float, has_intercept: bool, class_weight: Any) -> None:
    generator = np.random.default_rng(num_classes)
    x = generator.standard_normal((200, 12)) * generator.random(12) * 3
    y = (x @ generator.standard_normal((12, num_classes)) + generator.gumbel(size=(200, num_classes))).argmax(1)
    weights = None if class_weight is None else (200 / (num_classes * np.bincount(y)))[y]
    mine = fit_logistic(x, y, num_classes, l2, weights, has_intercept)
    theirs = linear_model.LogisticRegression(
        C=1 / (200 * l2), tol=1e-9, max_iter=10_000, fit_intercept=has_intercept, class_weight=class_weight
    ).fit(x, y)
    np.testing.assert_allclose(mine.weights, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(
        mine.intercepts - mine.intercepts.mean() * (num_classes > 2), np.asarray(theirs.intercept_), atol=1e-4
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_transformers_opens_what_is_saved(name: str, tmp_path: Path) -> None:
    words = Words()
    mine = fit_head(drawn(name), TEXTS, LABELS, tokenizer=words, l2=0.1).model
    mine.save_pretrained(tmp_path)
    theirs, report = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, output_loading_info=True, **ORACLE_OPTIONS.get(name, {})
    )
    assert report["missing_keys"] == [] and report["unexpected_keys"] == [] and report["mismatched_keys"] == []
    assert theirs.config.id2label == mine.config.id2label
    for ids in words.encode_ids(TEXTS)[0]:
        with torch.no_grad():
            expected = theirs.eval()(torch.tensor([ids])).logits.numpy()
        np.testing.assert_allclose(mine.forward(Batch.of([ids])), expected, atol=2e-3 * max(1, np.abs(expected).max()))
