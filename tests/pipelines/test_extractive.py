"""Summaries that are picked: which sentences, how many, and in any script."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.errors import InputError, InvalidArgument, UnknownArgument
from panpipe.models import AutoModel
from panpipe.pipelines import extractive
from panpipe.pipelines.extractive import ExtractiveSummarizationPipeline, ranked
from panpipe.tokenization import AutoTokenizer

GOLDEN = Path(__file__).parents[1] / "golden"
ENGLISH = (
    "Seoul is the capital of Korea. It has nine million people. The river Han runs through it. Its palaces are old. "
    "Its towers are new. The subway has many lines. In winter it is cold. In summer it is hot. People like it there."
)
KOREAN = (
    "서울은 대한민국의 수도이다. 서울에는 구백만 명이 산다. 한강이 서울을 지난다. 궁궐은 오래되었다. 탑은 새것이다. "
    "서울의 지하철은 노선이 많다. 겨울은 춥다. 여름은 덥다. 사람들은 서울을 좋아한다."
)


@cache
def pipe() -> Any:
    model = AutoModel.from_pretrained(GOLDEN / "pipelines_a" / "bert" / "base")
    return ExtractiveSummarizationPipeline(model, AutoTokenizer.from_pretrained(GOLDEN / "pipelines_b" / "bert"))


def summary(text: str, **parameters: Any) -> str:
    ((answer),) = pipe()(text, **parameters)
    assert answer.keys() == {"summary_text"}
    return str(answer["summary_text"])


def size(text: str) -> int:
    return len(pipe().tokenizer.encode_batch([text], add_special_tokens=False)[0])


def sentences(text: str) -> list[str]:
    return [part.strip(" .") for part in text.split(".") if part.strip()]


# -- which sentences -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [ENGLISH, KOREAN])
def test_a_summary_is_three_of_the_texts_own_sentences_in_their_order(text: str) -> None:
    picked, all_of_them = sentences(summary(text)), sentences(text)
    assert len(picked) == 3
    assert picked == [one for one in all_of_them if one in picked]


def test_what_is_close_to_the_text_comes_first_and_what_repeats_it_later() -> None:
    a, b, c = np.eye(3, dtype=np.float32)
    assert next(ranked(np.stack([a, b, b, b]), beginning=0)) == 1
    assert list(ranked(np.stack([b, b, b, a]), novelty=0.9, beginning=0))[:2] == [0, 3]
    assert list(ranked(np.stack([b, b, b, a]), novelty=0, beginning=0)) == [0, 1, 2, 3]
    assert list(ranked(np.stack([a, b, c]), beginning=0.3)) == [0, 1, 2]
    assert list(ranked(np.zeros((2, 3), np.float32))) == [0, 1]


def test_a_sentence_that_the_text_repeats_is_there_once() -> None:
    assert summary("Buy now!\n" * 30 + "It is new.", num_sentences=9) == "Buy now! It is new."


def test_korean_is_compared_by_its_characters_and_not_by_an_encoder_that_cannot_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ExtractiveSummarizationPipeline, "infer", lambda *_: pytest.fail("the encoder was asked"))
    vectors = extractive._pairs(["서울은 수도이다", "서울의 지하철", "바다가 넓다", "서울은 수도이다"])
    near = vectors @ vectors[0]
    assert near[3] == pytest.approx(1)
    assert near[1] > near[2]
    assert "서울" in summary(KOREAN, num_sentences=1)


def test_line_breaks_and_scripts_without_spaces_are_put_together_as_they_are_written() -> None:
    assert summary("Seoul is big.\nPusan is by the sea.", ratio=1.0) == "Seoul is big. Pusan is by the sea."
    assert summary("首尔是首都。釜山在海边。", ratio=1.0) == "首尔是首都。釜山在海边。"


# -- how much --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "number"), [({"num_sentences": 5}, 5), ({"ratio": 0.5}, 4), ({"ratio": 0.01}, 1)]
)
def test_the_number_of_sentences_is_as_asked_for(parameters: Any, number: int) -> None:
    for text in (ENGLISH, KOREAN):
        assert len(sentences(summary(text, **parameters))) == number


def test_a_call_counts_before_the_constructor() -> None:
    own = ExtractiveSummarizationPipeline(pipe().model, pipe().tokenizer, num_sentences=1)
    numbers = [len(sentences(own(ENGLISH, **more)[0]["summary_text"])) for more in ({}, {"ratio": 1.0})]
    assert numbers == [1, 9]


@pytest.mark.parametrize("name", ["max_length", "max_new_tokens"])
@pytest.mark.parametrize("most", [1, 7, 20, 60])
def test_the_most_tokens_are_a_bound(name: str, most: int) -> None:
    for text in (ENGLISH, KOREAN):
        assert 0 < size(summary(text, **{name: most})) <= most


def test_the_least_tokens_bring_more_sentences_within_the_most() -> None:
    least = size(ENGLISH) - 20
    assert size(summary(ENGLISH, min_length=least)) >= least
    assert size(summary(ENGLISH, min_length=10**6)) == size(ENGLISH)
    assert size(summary(ENGLISH, min_new_tokens=50, max_length=60)) <= 60


def test_a_sentence_longer_than_the_model_or_the_summary_is_cut_after_a_word() -> None:
    text = "word and " * 400
    assert len(summary(text, num_sentences=1, max_length=9).split()) <= 9
    assert text.startswith(summary(text, num_sentences=1, max_length=9))
    assert summary("One.") == "One."


@pytest.mark.parametrize(
    "parameters",
    [
        *[{"max_length": 0}, {"min_length": -1}, {"max_length": True}, {"num_sentences": 0}, {"num_sentences": 1.5}],
        *[{"ratio": 0}, {"ratio": 1.1}, {"ratio": "half"}, {"ratio": 0.5, "num_sentences": 2}],
    ],
)
def test_what_cannot_be_meant_is_refused(parameters: Any) -> None:
    with pytest.raises(InvalidArgument):
        pipe()(ENGLISH, **parameters)


# -- like the other summarizer ---------------------------------------------------------------------------------------


def test_arguments_of_generation_are_taken_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    same = summary(ENGLISH)
    assert summary(ENGLISH, do_sample=False, num_beams=4, truncation=True, no_repeat_ngram_size=3) == same
    (line,) = caplog.messages
    assert "do_sample, num_beams, no_repeat_ngram_size, truncation" in line
    with pytest.raises(UnknownArgument, match="num_sentences"):
        pipe()(ENGLISH, num_sentence=2)


def test_lists_streams_and_named_inputs_are_answered_as_by_other_summarizers() -> None:
    def texts() -> Iterator[str]:
        yield from (ENGLISH, KOREAN)

    one, two = {"summary_text": summary(ENGLISH)}, {"summary_text": summary(KOREAN)}
    assert pipe()([ENGLISH, KOREAN]) == [one, two]
    assert pipe()([ENGLISH, KOREAN], always_list=True) == [[one], [two]]
    assert [answer for (answer,) in pipe()(texts())] == [one, two]
    assert pipe()(documents=ENGLISH) == pipe()(inputs=ENGLISH) == [one]


@pytest.mark.parametrize("value", ["", " \n ", 5, None])
def test_what_says_nothing_is_refused(value: Any) -> None:
    with pytest.raises(InputError):
        pipe()(value)
    assert isinstance(pipe()([ENGLISH, value], on_error="return")[1], InputError)
