"""text-classification where transformers has no answer to record: refusals, deprecations, long texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import pipeline
from panpipe.errors import InputError, InvalidArgument, TooLong

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENIZER = GOLDEN / "pipelines_b" / "bert"
LONG = "Paris is the capital of France; Berlin is that of Germany. 서울은 대한민국의 수도이다. " * 6


def make(model: str = "classifier", **options: Any) -> Any:
    return pipeline(
        "text-classification", model=GOLDEN / "pipelines_a" / "bert" / model, tokenizer=TOKENIZER, **options
    )


def test_return_all_scores_warns_and_still_works() -> None:
    pipe = make()
    with pytest.warns(UserWarning, match="write top_k=None"):
        assert len(pipe("so", return_all_scores=True)[0]) == 3
    with pytest.warns(UserWarning, match="return_all_scores"):
        assert len(make(return_all_scores=True)("so")[0]) == 3


def test_the_default_function_may_be_named() -> None:
    for model in ("classifier", "one-label", "regression", "several-labels"):
        assert make(model)("so", function_to_apply="default") == make(model)("so")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top_k": "2"}, "number of labels"),
        ({"top_k": -1}, "number of labels"),
        ({"function_to_apply": "softmx"}, "Did you mean 'softmax'"),
        ({"return_tensors": "pt"}, "does not take"),
        ({"return_overflowing_tokens": True}, 'long_text="window"'),
        ({"long_text": "window", "truncation": True}, "give one"),
        ({"truncation": "longest"}, "Did you mean 'longest_first'"),
    ],
)
def test_values_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        make()("so", **options)


@pytest.mark.parametrize(
    "value", [["a", "b"], {"text": "a", "label": 1}, {"text_pair": "b"}, {"text": ["a"]}, 3, None, [["a"]]]
)
def test_inputs_that_cannot_be_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"string|dictionary"):
        make()([value])


def test_a_tuple_is_several_texts() -> None:
    assert len(make()(("I love it", "I hate it"))) == 2


def test_a_long_text_is_refused_with_both_numbers_and_the_remedies() -> None:
    pipe = make()
    tokens = len(pipe.tokenizer(LONG)["input_ids"])
    with pytest.raises(TooLong, match=f'has {tokens} tokens .* at most 64.*truncation=True.*long_text="window"'):
        pipe(LONG)


def test_windows_are_averaged_by_their_tokens() -> None:
    pipe = make(top_k=None)
    (scores,) = pipe([LONG], long_text="window")
    encoding = pipe.tokenizer.encode_batch([LONG], truncation="longest_first", max_length=64, overflow=True)[0]
    windows = [encoding, *encoding.overflowing]
    assert len(windows) > 2
    expected = np.zeros(3)
    for window in windows:
        logits = pipe.model(input_ids=[window.ids]).logits[0]
        expected += np.exp(logits) / np.exp(logits).sum() * (len(window.ids) - 2)
    expected /= sum(len(window.ids) - 2 for window in windows)
    found = {answer["label"]: answer["score"] for answer in scores}
    for index, label in pipe.model.config.id2label.items():
        assert found[label] == pytest.approx(expected[index], abs=1e-5)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_windows_may_be_narrower_than_the_model() -> None:
    pipe = make()
    assert pipe(LONG, long_text="window", max_length=16) != pipe(LONG, long_text="window")
    assert pipe("short", long_text="window") == pipe("short")
    assert pipe({"text": LONG, "text_pair": "a pair"}, long_text="window").keys() == {"label", "score"}


def test_padding_is_accepted_and_changes_nothing() -> None:
    pipe = make()
    assert pipe("so", padding="max_length", truncation=True) == pipe("so")


def test_a_text_that_is_no_unicode_is_an_error_of_its_own() -> None:
    answers = make()(["good", "\ud800", "fine"], on_error="return")
    assert [isinstance(answer, InputError) for answer in answers] == [False, True, False]
    with pytest.raises(InputError, match="no tokens"):
        make()("", add_special_tokens=False)


def test_pairs_and_texts_may_be_mixed() -> None:
    pipe = make()
    inputs = ["one", {"text": "two", "text_pair": "pair"}, "three"]
    for alone, together in zip([pipe([value])[0] for value in inputs], pipe(inputs), strict=True):
        assert alone["label"] == together["label"]
        assert alone["score"] == pytest.approx(together["score"], abs=1e-5)


def test_predict_and_transform_are_calls() -> None:
    pipe = make()
    assert pipe.predict(["so"]) == pipe.transform(["so"]) == pipe(["so"])


def test_scores_are_floats_for_json() -> None:
    assert all(type(answer["score"]) is float for answer in make()("so", top_k=None))
    assert type(make()("so")[0]["score"]) is float
