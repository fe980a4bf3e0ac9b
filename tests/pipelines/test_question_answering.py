"""question-answering, against transformers' recorded answers and on its own terms."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
import recorded
import scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.errors import InputError, InvalidArgument, MissingKey, UnknownArgument
from panpipe.pipelines.question_answering import QuestionAnsweringPipeline, SquadExample

PIECES = ["who", "kim", "lee", "met", "and", "in", "rome", ".", "?"]


def qa(start: dict[str, float], end: dict[str, float] | None = None, limit: int = 512, **parameters: Any) -> Any:
    """A pipeline in which each token's text decides how likely an answer begins or ends there."""
    tokenizer = parameters.pop("tokenizer", None) or scripted.wordpiece(*PIECES)
    model = scripted.reader(tokenizer, start, start if end is None else end, max_length=limit)
    return QuestionAnsweringPipeline(model=model, tokenizer=tokenizer, **parameters)


@pytest.mark.parametrize("case", recorded.cases("question-answering"))
def test_answers_are_those_of_transformers(case: dict[str, Any]) -> None:
    pipe = recorded.make("question-answering", case["family"], **case["make"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Passing|topk")
        recorded.assert_same(pipe(*case["call"], **case["options"]), case["output"])


# -- forms of a call -------------------------------------------------------------------------------------------------


def test_deprecated_forms_warn_and_give_the_same() -> None:
    pipe = qa({"kim": 2.0, "lee": 1.0})
    asked = {"question": "who ?", "context": "kim met lee"}
    answer = pipe(**asked)
    squad = pipe.create_sample("who ?", "kim met lee")
    assert isinstance(squad, SquadExample)
    for form in (("who ?", "kim met lee"), (asked,), ([asked],), (squad,), ([squad],)):
        with pytest.warns(FutureWarning, match="`question` and `context`"):
            assert pipe(*form) == answer
    for name in ("data", "X"):
        with pytest.warns(FutureWarning, match=f"`{name}`"):
            assert pipe(**{name: [asked, asked]}) == [answer, answer]
    with pytest.warns(FutureWarning):
        assert list(pipe(asked for _ in range(2))) == [answer, answer]
    with pytest.warns(FutureWarning):
        assert pipe(asked, asked) == [answer, answer]
    with pytest.warns(UserWarning, match="use top_k"):
        assert pipe(**asked, topk=2) == pipe(**asked, top_k=2)


def test_always_list_is_a_list_of_answers_for_each_question() -> None:
    pipe = qa({"kim": 2.0, "lee": 1.0})
    for number in (1, 2):
        (answers,) = pipe(question="who ?", context="kim met lee", top_k=number, always_list=True)
        assert len(answers) == number
    assert [len(a) for a in pipe(question=["who", "who"], context="kim met lee", always_list=True)] == [1, 1]


@pytest.mark.parametrize(
    ("given_arguments", "message", "error"),
    [
        ({"question": "who"}, "Unknown arguments", InputError),
        ({}, "Unknown arguments", InputError),
        ({"question": None, "context": "kim"}, "can't be understood", InputError),
        ({"question": "who", "context": ["kim"]}, "can't be understood", InputError),
        ({"question": ["who"], "context": ["kim", "lee"]}, "don't have the same lengths", InputError),
        ({"question": "who", "context": ""}, "`context` cannot be empty", InputError),
        ({"question": ["who", ""], "context": "kim"}, "`question` cannot be empty", InputError),
        ({"data": [{"question": None, "context": "kim"}] * 2}, "`question` cannot be None", InputError),
        ({"data": {"question": "who"}}, "context is missing", MissingKey),
        ({"data": ["who", "kim"]}, "SquadExample, dict", InputError),
        ({"data": "who"}, "SquadExample, dict", InputError),
    ],
)
def test_what_is_no_question_is_refused(given_arguments: dict[str, Any], message: str, error: type[Exception]) -> None:
    pipe = qa({"kim": 2.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        with pytest.raises(error, match=message) as caught:
            pipe(**given_arguments)
    assert isinstance(caught.value, ValueError)
    assert pipe.model.calls == []


def test_a_missing_key_is_a_key_error_too() -> None:
    with pytest.warns(FutureWarning), pytest.raises(KeyError):
        qa({})({"context": "kim"})


@pytest.mark.parametrize(
    "parameters",
    [
        {"top_k": 0},
        {"max_answer_len": 0},
        {"max_seq_len": 0},
        {"doc_stride": -1},
        {"top_k": True},
        {"doc_stride": 600},
        {"align_to_words": "yes"},
        {"score_mode": "windows"},
        {"padding": "left"},
        {"max_length": 20},
        {"long_text": "error"},
    ],
)
def test_values_that_cannot_be(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(parameters))):
        qa({"kim": 2.0})(question="who", context="kim", **parameters)


def test_truncation_loses_nothing() -> None:
    pipe = qa({"kim": 2.0}, limit=16)
    asked = {"question": "who", "context": "rome " * 40 + "kim"}
    assert pipe(**asked, doc_stride=2, truncation=True) == pipe(**asked, doc_stride=2, long_text="window")


def test_misspelt_parameters_are_named() -> None:
    with pytest.raises(UnknownArgument, match="Did you mean 'doc_stride'"):
        qa({})(question="who", context="kim", doc_strid=3)


# -- lengths ---------------------------------------------------------------------------------------------------------


def test_max_question_len_is_honoured() -> None:
    pipe = qa({"kim": 2.0}, limit=24)
    answer = pipe(question="who ? " * 50, context="rome " * 30 + "kim", max_question_len=6, doc_stride=4)
    assert answer["answer"] == "kim"
    with pytest.raises(InputError, match="max_question_len"):
        pipe(question="who ? " * 50, context="rome " * 30 + "kim")
    assert pipe.model.calls[0][0] > 0


def test_a_window_is_never_longer_than_the_model(caplog: pytest.LogCaptureFixture) -> None:
    pipe = qa({"kim": 2.0}, limit=16)
    answer = pipe(question="who", context="rome " * 40 + "kim", max_seq_len=1000, doc_stride=2)
    assert answer["answer"] == "kim"
    assert "max_seq_len=1000 is more than the model takes; windows have 16 tokens" in caplog.text


@pytest.mark.parametrize("score_mode", ["window", "global"])
def test_a_long_context_is_read_whole_and_quickly(score_mode: str) -> None:
    pipe = qa({"kim": 4.0})
    context = "rome met lee and " * 750 + "kim . " + "lee and " * 100
    begin = time.process_time()
    answers = pipe(question="who ?", context=context, score_mode=score_mode, top_k=3)
    assert time.process_time() - begin < 5  # more than three thousand words; a loop over all spans takes minutes
    assert answers[0]["answer"] == "kim"
    assert answers == pipe(question="who ?", context=context, score_mode=score_mode, top_k=3)


def test_a_tokenizer_that_pads_on_the_left_reads_the_context_first() -> None:
    tokenizer = scripted.wordpiece(*PIECES, padding_side="left")
    pipe = qa({"kim": 3.0, "who": 9.0}, tokenizer=tokenizer, max_seq_len=12, doc_stride=2)
    context = "rome met lee . " * 4 + "kim and lee"
    answers = pipe(question="who kim ?", context=context, top_k=5)
    assert answers[0]["answer"] == "kim"
    for answer in answers:
        assert context[answer["start"] : answer["end"]] == answer["answer"] != ""


# -- scores ----------------------------------------------------------------------------------------------------------


def test_scores_of_windows_add_up_and_global_scores_do_not() -> None:
    pipe = qa({"kim": 9.0}, limit=24, doc_stride=4)
    asked = {"question": "who", "context": ("kim met lee " + "and rome . " * 6) * 16}
    assert pipe(**asked)["score"] > 1
    answers = pipe(**asked, score_mode="global", top_k=100)
    assert sum(answer["score"] for answer in answers) <= 1 + 1e-6
    assert len({(answer["start"], answer["end"]) for answer in answers}) == len(answers)
    assert [a["answer"] for a in answers[:16]] == ["kim"] * 16
    assert answers[0]["score"] == pytest.approx(1 / 16, abs=1e-3)


@pytest.mark.parametrize("score_mode", ["window", "global"])
def test_the_empty_answer(score_mode: str) -> None:
    asked = {"question": "who", "context": "kim met lee", "handle_impossible_answer": True, "score_mode": score_mode}
    unsure = qa({"[CLS]": 5.0, "kim": 1.0})(**asked)
    assert (unsure["answer"], unsure["start"], unsure["end"]) == ("", 0, 0)
    assert qa({"[CLS]": 1.0, "kim": 5.0})(**asked)["answer"] == "kim"
    scores = [answer["score"] for answer in qa({"[CLS]": 2.0, "kim": 2.0})(**asked, top_k=20)]
    assert score_mode == "window" or sum(scores) == pytest.approx(1)


def test_min_score_may_leave_nothing() -> None:
    pipe = qa({"kim": 2.0, "lee": 2.0})
    assert pipe(question="who", context="kim and lee", min_score=0.9) == []
    assert pipe(question="who", context="kim and lee", min_score=0.9, always_list=True) == [[]]


def test_fewer_candidates_than_asked_for_are_all_given_once() -> None:
    answers = qa({"kim": 2.0})(question="who", context="kim met", top_k=9)
    assert sorted(answer["answer"] for answer in answers) == ["kim", "kim met", "met"]
    assert qa({"kim": 2.0})(question="who", context="kim", top_k=9)["answer"] == "kim"


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "likely", "whole", "by_script", "tokens"),
    [
        ("서울에 살다", "서울", "서울에", "서울", "서울"),
        ("남서울에", "##서울", "남서울에", "남서울", "서울"),
        ("rome.", "rome", "rome", "rome", "rome"),
    ],
)
def test_alignment_of_wordpieces(context: str, likely: str, whole: str, by_script: str, tokens: str) -> None:
    pipe = qa({likely: 5.0}, tokenizer=scripted.wordpiece("서울", "##에", "살", "##다", "남", "##서울", "rome", "."))
    asked = {"question": "rome", "context": context}
    assert pipe(**asked)["answer"] == whole
    assert pipe(**asked, align_to_words="auto")["answer"] == by_script
    assert pipe(**asked, align_to_words=False)["answer"] == tokens


def test_alignment_where_only_spaces_make_words() -> None:
    pieces = ["▁", "東京", "に", "行く", "▁rome", "(", ")", "▁(", "in"]
    pipe = qa({"東京": 5.0, "▁rome": 1.0, "in": 3.0}, tokenizer=scripted.unigram(*pieces))
    assert pipe(question="rome", context="東京に行く")["answer"] == "東京に行く"
    assert pipe(question="rome", context="東京に行く", align_to_words="auto")["answer"] == "東京"
    assert pipe(question="rome", context="(in)")["answer"] == "(in)"
    assert pipe(question="rome", context="(in)", align_to_words="auto")["answer"] == "in"


# -- laws ------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.sampled_from("abc Sarah.,\n-김서울에는東京に😀ée\u0301(ß"), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    TEXT,
    TEXT,
    st.sampled_from(recorded.FAMILIES),
    st.sampled_from([True, False, "auto"]),
    st.sampled_from(["window", "global"]),
    st.booleans(),
)
def test_answers_are_slices_of_the_context(
    question: str, context: str, family: str, align: bool | str, score_mode: str, impossible: bool
) -> None:
    pipe = recorded.make("question-answering", family, always_list=True, top_k=4, max_seq_len=40, max_question_len=8)
    (answers,) = pipe(
        question=question,
        context=context,
        align_to_words=align,
        score_mode=score_mode,
        handle_impossible_answer=impossible,
        doc_stride=5,
    )
    assert 1 <= len(answers) <= 4
    for answer in answers:
        assert list(answer) == ["score", "start", "end", "answer"]
        assert 0 <= answer["start"] <= answer["end"] <= len(context)
        assert context[answer["start"] : answer["end"]] == answer["answer"]
    scores = [answer["score"] for answer in answers]
    assert scores == sorted(scores, reverse=True)
    assert score_mode == "window" or sum(scores) <= 1 + 1e-6


@settings(max_examples=15, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=5), st.sampled_from(recorded.FAMILIES))
def test_batches_answer_as_one_by_one(contexts: list[str], family: str) -> None:
    pipe = recorded.make("question-answering", family)
    together = pipe(question=["Where?"] * len(contexts), context=contexts)
    for answer, context in zip(together, contexts, strict=True):
        recorded.assert_same(answer, pipe(question="Where?", context=context))
