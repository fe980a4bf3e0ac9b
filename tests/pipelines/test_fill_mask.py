"""fill-mask, against transformers' recorded answers and on its own terms."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import recorded
import scripted

from panpipe.errors import InvalidArgument, MissingMask, PipelineException, TooLong, UnknownArgument
from panpipe.pipelines.fill_mask import FillMaskPipeline

PIECES = ["london", "paris", "rome", "is", "in", "nice", "##s", "."]


def fixed(**settings: Any) -> FillMaskPipeline:
    """A pipeline in which every mask is paris, then rome, …"""
    tokenizer = scripted.wordpiece(*PIECES, **settings)
    order = {"paris": 3.0, "rome": 2.0, "london": 1.0}
    vocabulary = [order.get(token, 0.0) for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))]
    model = scripted.Scripted(tokenizer, "masked-lm", lambda token: vocabulary, max_length=12)
    return FillMaskPipeline(model=model, tokenizer=tokenizer)


@pytest.mark.parametrize("case", recorded.cases("fill-mask"))
def test_answers_are_those_of_transformers(case: dict[str, Any]) -> None:
    pipe = recorded.make("fill-mask", case["family"], **case["make"])
    recorded.assert_same(pipe(*case["call"], **case["options"]), case["output"])


def test_a_stream_is_never_unwrapped() -> None:
    pipe = fixed()
    answers = list(pipe(text for text in ["[MASK] is nice", "[MASK] in [MASK]"]))
    assert [type(answers[0][0]), type(answers[1][0])] == [dict, list]


def test_always_list_has_a_list_per_mask_for_each_text() -> None:
    pipe = fixed()
    one = pipe("[MASK] is nice", always_list=True, top_k=1)
    many = pipe(["[MASK] is nice", "[MASK] in [MASK]"], always_list=True, top_k=1)
    assert [len(one), len(one[0]), one[0][0][0]["token_str"]] == [1, 1, "paris"]
    assert [len(answer) for answer in many] == [1, 2]
    assert pipe("[MASK]", always_list=True, top_k=0) == [[[]]]


def test_only_the_masks_go_through_the_head() -> None:
    pipe = fixed()
    pipe(["[MASK] is nice .", "[MASK] in [MASK]"])
    assert [rows for _, rows in pipe.model.calls] == [3]


def test_top_k_beyond_the_vocabulary_gives_all_of_it() -> None:
    pipe = fixed()
    answers = pipe("[MASK]", top_k=10**6)
    assert len(answers) == len(pipe.tokenizer)
    assert sum(answer["score"] for answer in answers) == pytest.approx(1, abs=1e-5)


def test_targets_are_ranked_by_their_probability_among_all_tokens() -> None:
    pipe = fixed()
    everything = {answer["token_str"]: answer["score"] for answer in pipe("[MASK]", top_k=len(pipe.tokenizer))}
    answers = pipe("[MASK]", targets=["rome", "paris", "rome"])
    assert [(a["token_str"], a["score"]) for a in answers] == [(t, everything[t]) for t in ("paris", "rome")]


def test_a_target_that_is_no_token_stands_for_its_first_piece(caplog: pytest.LogCaptureFixture) -> None:
    pipe = fixed()
    assert [a["token_str"] for a in pipe("[MASK]", targets="romes")] == ["rome"]
    assert "'romes' is not a token of the vocabulary; 'rome' stands for it" in caplog.text
    assert [a["token_str"] for a in pipe("[MASK]", targets=["", "paris"])] == ["paris"]
    with pytest.raises(InvalidArgument, match="At least one target must be provided"):
        pipe("[MASK]", targets=[""])


def test_a_text_without_a_mask_is_refused_before_the_model_runs() -> None:
    pipe = fixed()
    with pytest.raises(
        PipelineException, match=r"No mask_token \(\[MASK\]\) found on the input 'rome is nice'"
    ) as caught:
        pipe(["[MASK]", "rome is nice"])
    assert isinstance(caught.value, MissingMask)
    assert (caught.value.task, caught.value.model) == ("fill-mask", "bert")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert pipe.model.calls == []


def test_a_mask_that_truncation_removed_is_named_as_that() -> None:
    pipe = fixed()
    with pytest.raises(MissingMask, match="cut before its mask"):
        pipe("rome is nice . [MASK]", tokenizer_kwargs={"truncation": True, "max_length": 4})
    answer = pipe("rome is nice . [MASK]", truncation=True, max_length=4, on_error="return")
    assert isinstance(answer, MissingMask)


def test_a_long_text_is_refused_or_read_around_its_masks() -> None:
    pipe = fixed()
    text = "rome in paris " * 5 + "[MASK] is nice " + "in " * 9 + "[MASK]"
    with pytest.raises(TooLong, match="at most 12"):
        pipe(text)
    answers = pipe(text, long_text="window", top_k=1)
    assert all(tokens <= 24 for tokens, _ in pipe.model.calls)
    assert [answer[0]["token_str"] for answer in answers] == ["paris", "paris"]
    assert answers[1][0]["sequence"].endswith("in paris [SEP]")
    assert answers[0][0]["sequence"].count("in") == text.count("in")


def test_a_tokenizer_without_a_mask_makes_no_pipeline() -> None:
    tokenizer = scripted.wordpiece(*PIECES)
    tokenizer.mask_token = None
    model = scripted.Scripted(tokenizer, "masked-lm", lambda token: [0.0])
    with pytest.raises(PipelineException, match="does not define a `mask_token`"):
        FillMaskPipeline(model=model, tokenizer=tokenizer)


def test_misspelt_parameters_are_named() -> None:
    pipe = fixed()
    with pytest.raises(UnknownArgument, match="Did you mean 'targets'"):
        pipe("[MASK]", target="rome")
    with pytest.raises(UnknownArgument, match="truncation"):
        pipe("[MASK]", tokenizer_kwargs={"truncate": True})
    with pytest.raises(InvalidArgument, match="top_k=-1"):
        pipe("[MASK]", top_k=-1)


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_batches_answer_as_one_by_one(family: str) -> None:
    pipe = recorded.make("fill-mask", family)
    mask = pipe.tokenizer.mask_token
    texts = [f"{mask} is the capital.", f"I {mask} in {mask}", f"서울 {mask}", mask] * 3
    together, alone = pipe(texts), [pipe(text) for text in texts]
    for a, b in zip(_scores(together), _scores(alone), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def _scores(answers: Any) -> list[float]:
    if isinstance(answers, dict):
        return [answers["score"]]
    return [score for answer in answers for score in _scores(answer)]
