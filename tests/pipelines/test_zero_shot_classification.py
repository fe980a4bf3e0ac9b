"""zero-shot-classification: refusals, shared work and long texts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import pipeline
from panpipe.errors import InputError, InvalidArgument, TooLong, UnknownArgument

GOLDEN = Path(__file__).parents[1] / "golden"
LABELS = ["politics", "서울", "work"]
LONG = "Paris is the capital of France; Berlin is that of Germany. 서울은 대한민국의 수도이다. " * 6


def make(family: str = "bert", **options: Any) -> Any:
    return pipeline(
        "zero-shot-classification",
        model=GOLDEN / "pipelines_a" / family / "classifier",
        tokenizer=GOLDEN / "pipelines_b" / family,
        **options,
    )


def test_labels_may_come_in_many_forms() -> None:
    pipe = make()
    expected = pipe("I hate this", LABELS)
    assert expected["sequence"] == "I hate this"
    for labels in (tuple(LABELS), np.array(LABELS), ", ".join(LABELS), dict.fromkeys(LABELS).keys(), iter(LABELS)):
        assert pipe("I hate this", candidate_labels=labels) == expected


def test_labels_need_not_be_strings() -> None:
    assert sorted(make()("so", [1, 2, 3])["labels"]) == [1, 2, 3]


def test_equal_pairs_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = make()
    ran = []
    forward = pipe.model.forward

    def counted(batch: Any, rows: Any = None) -> Any:
        ran.append(len(batch))
        return forward(batch, rows)

    monkeypatch.setattr(pipe.model, "forward", counted)
    answers = pipe(["one", "two", "one"], ["a", "b", "a"])
    assert sum(ran) == 4
    assert answers[0] == answers[2]
    assert sorted(answers[0]["labels"]) == ["a", "a", "b"]


def test_scores_of_one_text_share_one_or_are_each_their_own() -> None:
    pipe = make()
    assert sum(pipe("so", LABELS)["scores"]) == pytest.approx(1, abs=1e-5)
    several = pipe("so", LABELS, multi_label=True)
    for label, score in zip(several["labels"], several["scores"], strict=True):
        assert score == pytest.approx(pipe("so", [label])["scores"][0], abs=1e-5)


def test_the_old_name_of_multi_label_warns() -> None:
    with pytest.warns(FutureWarning, match="write multi_label"):
        assert make()("so", LABELS, multi_class=True) == make()("so", LABELS, multi_label=True)


def test_a_model_without_an_entailment_label_warns(caplog: pytest.LogCaptureFixture) -> None:
    model = GOLDEN / "pipelines_a" / "camembert" / "classifier"
    with caplog.at_level(logging.WARNING, logger="panpipe"):
        pipeline("zero-shot-classification", model=model, tokenizer=GOLDEN / "pipelines_b" / "xlm-roberta")
    assert "begins with 'entail'" in caplog.text


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (None, {}, "no labels"),
        ([], {}, "no labels"),
        (" , ", {}, "no labels"),
        ({"a": 1}, {}, "list of labels"),
        (5, {}, "list of labels"),
        (LABELS, {"hypothesis_template": "no place"}, "one {} where"),
        (LABELS, {"hypothesis_template": "{} and {}"}, "one {} where"),
        (LABELS, {"hypothesis_template": "{label}"}, "one {} where"),
        (LABELS, {"hypothesis_template": "{"}, "one {} where"),
        (LABELS, {"hypothesis": "{}"}, "Did you mean 'hypothesis_template'"),
    ],
)
def test_what_cannot_be_is_refused_even_for_a_stream(labels: Any, options: dict[str, Any], words: str) -> None:
    for inputs in ("so", ["so"], iter(["so"])):
        with pytest.raises(InvalidArgument, match=words):
            make()(inputs, candidate_labels=labels, **options)


def test_inputs_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        make()("", LABELS)
    with pytest.raises(InputError, match="takes a string"):
        make()([["so"]], LABELS)
    with pytest.raises(UnknownArgument, match="the labels, not 2 more"):
        make()("so", LABELS, "another")


def test_a_long_text_is_cut_but_never_its_hypothesis() -> None:
    pipe = make()
    cut = pipe(LONG, LABELS)
    assert cut["sequence"] == LONG
    assert pipe(LONG, LABELS, long_text="window") != cut
    with pytest.raises(TooLong, match="at most 64"):
        pipe(LONG, LABELS, truncation=False)
    with pytest.raises(TooLong, match="at most 64"):
        pipe("so", ["a label of far too many words " * 20])
    assert len(pipe(["so", LONG], LABELS, long_text="error", on_error="return")[0]["labels"]) == 3


def test_windows_of_a_text_are_averaged() -> None:
    pipe = make()
    answer = pipe(LONG, LABELS, long_text="window")
    logits = []
    for label in LABELS:
        encoding = pipe.tokenizer.encode_batch(
            [LONG], [f"This example is {label}."], truncation="only_first", max_length=64, overflow=True
        )[0]
        windows = [encoding, *encoding.overflowing]
        rows = [pipe.model(input_ids=[w.ids], token_type_ids=[w.type_ids]).logits[0, 2] for w in windows]
        logits.append(np.average(rows, weights=[len(w.ids) for w in windows]))
    expected = dict(zip(LABELS, np.exp(logits) / np.exp(logits).sum(), strict=True))
    for label, score in zip(answer["labels"], answer["scores"], strict=True):
        assert score == pytest.approx(expected[label], abs=1e-5)
