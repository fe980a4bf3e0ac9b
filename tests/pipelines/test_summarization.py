"""summarization: what it says of lengths, and texts that are longer than the model."""

from __future__ import annotations

from typing import Any

import pytest
import written
from answering import answer_with

from panpipe.errors import TooLong

SENTENCES = [f"서울은 {number}번째 문장이다." for number in range(12)]
LONG = " ".join(SENTENCES)


def make(**parameters: Any) -> Any:
    return written.make("summarization", "bart", **{"max_length": 30, **parameters})


def test_a_long_text_is_read_in_chunks_of_whole_sentences(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = make(max_length=1000)
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: text[:2])
    (answer,) = pipe(LONG)
    assert " ".join(read) == LONG
    assert all(chunk.endswith("문장이다.") for chunk in read)
    assert all(len(pipe.tokenizer(" " + chunk)["input_ids"]) <= 64 for chunk in read)
    assert len(read) > 1
    assert answer == {"summary_text": " ".join(["서울"] * len(read))}
    assert "1 of 1 texts: more than the 64 tokens" in caplog.text
    assert "summarised in chunks" in caplog.text


def test_chunks_are_of_about_equal_length(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = make(max_length=1000)
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: "x")
    pipe("one two. " * 12)
    lengths = [len(pipe.tokenizer(chunk)["input_ids"]) for chunk in read]
    assert max(lengths) < 2 * min(lengths)


def test_summaries_that_are_too_long_together_are_summarised_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = make()
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: text[: len(text) // 2])
    answers = pipe([LONG, "short"])
    assert answers[1] == {"summary_text": "sh"}
    assert len(pipe.tokenizer(answers[0]["summary_text"])["input_ids"]) <= 30
    assert read[-1] not in LONG  # it is made of summaries


def test_summaries_that_do_not_get_shorter_stand_as_they_are(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = make()
    answer_with(monkeypatch, pipe.tokenizer, str)
    assert pipe(LONG)[0]["summary_text"] == LONG
    assert "no shorter than the text" in caplog.text


def test_several_summaries_of_a_long_text_are_put_together_each(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = make(max_length=1000, num_return_sequences=2)
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: "x", texts=2)
    first, second = pipe(LONG)
    assert first["summary_text"] == " ".join("x" for _ in read)
    assert second["summary_text"] == " ".join("1x" for _ in read)


def test_a_long_text_is_cut_or_refused_if_that_is_wanted() -> None:
    pipe = make(max_new_tokens=4)
    with pytest.raises(TooLong, match="at most 64"):
        pipe(LONG, long_text="error")
    for how in ({"truncation": True}, {"long_text": "truncate"}):
        assert pipe(LONG, **how) == pipe(LONG[:60], truncation=True)


def test_a_text_without_any_end_is_read_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = make(max_length=1000)
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: "x")
    pipe("가나다라마바사" * 20)
    assert "".join(read) == "가나다라마바사" * 20


def test_lengths_that_cannot_be_meant_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    make(max_length=40, min_length=50)(["hello", "hello there"])
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "Your min_length=50 must be inferior than your max_length=40."
    assert lines[1].startswith("Your max_length is set to 40, but your input_length is only 8")
    assert len(lines) == 2
