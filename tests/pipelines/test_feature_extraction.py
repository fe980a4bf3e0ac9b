"""feature-extraction: pooling, arrays and long texts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import AutoModelForSequenceClassification, pipeline
from panpipe.errors import InputError, InvalidArgument, MissingDependency, MissingHead

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENIZER = GOLDEN / "pipelines_b" / "bert"
TEXTS = ["I hate this so much!", "김철수는 서울에 살고 삼성전자에서 일한다.", "so"]
LONG = "Paris is the capital of France; Berlin is that of Germany. 서울은 대한민국의 수도이다. " * 6


@pytest.fixture(scope="module")
def pipe() -> Any:
    return pipeline("feature-extraction", model=GOLDEN / "pipelines_a" / "bert" / "base", tokenizer=TOKENIZER)


def test_pooled_vectors_are_those_of_the_tokens(pipe: Any) -> None:
    for pooling, pool in {
        "mean": lambda rows: rows.mean(0),
        "cls": lambda rows: rows[0],
        "last": lambda rows: rows[-1],
        "max": lambda rows: rows.max(0),
    }.items():
        pooled = pipe(TEXTS, pooling=pooling)
        assert pooled.shape == (3, 16)
        assert pooled.dtype == np.float32
        for text, vector in zip(TEXTS, pooled, strict=True):
            np.testing.assert_allclose(vector, pool(np.array(pipe(text))[0]), atol=1e-5)
            np.testing.assert_allclose(pipe(text, pooling=pooling), vector, atol=1e-5)


def test_normalized_vectors_have_length_one(pipe: Any) -> None:
    np.testing.assert_allclose(np.linalg.norm(pipe(TEXTS, pooling="mean", normalize=True), axis=1), 1, atol=1e-5)
    with pytest.raises(InvalidArgument, match='pooling="mean"'):
        pipe("so", normalize=True)


def test_no_texts_give_no_vectors_of_the_right_width(pipe: Any) -> None:
    assert pipe([], pooling="mean").shape == (0, 16)
    assert pipe([]) == []


def test_a_stream_of_pooled_vectors(pipe: Any) -> None:
    assert [vector.shape for vector in pipe(iter(TEXTS), pooling="cls")] == [(16,)] * 3


def test_arrays_instead_of_lists(pipe: Any) -> None:
    array = pipe("so", return_tensors=True)
    assert array.shape[0] == 1
    assert array.dtype == np.float32
    assert array.tolist() == pipe("so")
    arrays = pipe(TEXTS, return_tensors="np")
    assert [a.shape[1] for a in arrays] == [len(pipe.tokenizer(text)["input_ids"]) for text in TEXTS]
    arrays[0][:] = 0  # the caller's own
    assert pipe("so", return_tensors=True).tolist() == array.tolist()


def test_torch_tensors_need_torch(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match="pip install torch"):
        pipe("so", return_tensors="pt")


def test_windows_give_one_vector_for_each_token(pipe: Any) -> None:
    joined = np.array(pipe(LONG, long_text="window"))[0]
    ids = pipe.tokenizer(LONG)["input_ids"]
    assert len(joined) == len(ids) > 128
    first = np.array(pipe(LONG, truncation=True))[0]
    np.testing.assert_allclose(joined[:63], first[:63], atol=1e-5)  # without the first window's [SEP]
    np.testing.assert_allclose(pipe(LONG, long_text="window", pooling="mean"), joined.mean(0), atol=1e-5)
    np.testing.assert_allclose(
        pipe([LONG, "so"], long_text="window", pooling="max")[1], pipe("so", pooling="max"), atol=1e-5
    )


def test_the_tokenizers_arguments_come_in_tokenize_kwargs(pipe: Any) -> None:
    given = {"truncation": True, "max_length": 6}
    assert len(pipe(LONG, tokenize_kwargs=given)[0]) == 6
    assert given == {"truncation": True, "max_length": 6}
    assert len(pipe(LONG, max_length=7)[0]) == 7
    with pytest.raises(InvalidArgument, match="given twice"):
        pipe(LONG, truncation=True, tokenize_kwargs=given)
    with pytest.raises(InvalidArgument, match="Did you mean 'truncation'"):
        pipe(LONG, tokenize_kwargs={"truncate": True})


def test_values_that_cannot_be_are_refused(pipe: Any) -> None:
    with pytest.raises(InvalidArgument, match="Did you mean 'mean'"):
        pipe("so", pooling="men")
    with pytest.raises(InvalidArgument, match="return_tensors"):
        pipe("so", return_tensors="tf")
    with pytest.raises(InputError, match="takes a string"):
        pipe([["so", "no"]])
    model = AutoModelForSequenceClassification.from_pretrained(GOLDEN / "pipelines_a" / "bert" / "classifier")
    with pytest.raises(MissingHead, match="without a head"):
        pipeline("feature-extraction", model=model, tokenizer=TOKENIZER)("so", pooling="mean")
