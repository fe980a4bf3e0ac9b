"""translation: languages, sentences, and the way through a third language."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import written
from answering import answer_with

from panpipe import pipeline
from panpipe.errors import InputError, InvalidArgument, TooLong
from panpipe.pipelines.pivot import PivotTranslationPipeline

KOREAN = "서울은 대한민국의 수도이다."
TEXT = "첫 문장이다. 둘째 문장이다!\n\n  셋째 문단은 길다. 그렇다?\n- 항목"


def bart(**parameters: Any) -> Any:
    return written.make("translation", "bart", **{"max_length": 1000, **parameters})


def m2m(**parameters: Any) -> Any:
    return written.make("translation", "m2m_100", **{"max_new_tokens": 5, **parameters})


# -- sentences -------------------------------------------------------------------------------------------------------


def test_sentences_are_translated_one_by_one_and_the_page_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = bart(split_sentences=True)
    read = answer_with(monkeypatch, pipe.tokenizer, lambda text: f"<{text}>")
    (answer,) = pipe(TEXT)
    assert read == ["첫 문장이다.", "둘째 문장이다!", "셋째 문단은 길다.", "그렇다?", "- 항목"]
    assert answer["translation_text"] == (
        "<첫 문장이다.> <둘째 문장이다!>\n\n  <셋째 문단은 길다.> <그렇다?>\n<- 항목>"
    )
    assert pipe("  \n")[0]["translation_text"] == "<>"


@pytest.mark.parametrize(("language", "space"), [("en", " "), ("ja", ""), ("zh", ""), ("ko", " ")])
def test_sentences_are_joined_as_the_target_language_writes(
    language: str, space: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = m2m(src_lang="zh", tgt_lang=language, split_sentences=True)
    answer_with(monkeypatch, pipe.tokenizer, lambda text: "a.")
    assert pipe("北京。东京。\n首尔。 上海。")[0]["translation_text"] == f"a.{space}a.\na.{space}a."


def test_a_text_over_the_models_length_is_translated_by_sentence_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = bart()
    read = answer_with(monkeypatch, pipe.tokenizer, str)
    long = " ".join([KOREAN] * 6)
    assert pipe([KOREAN, long]) == [{"translation_text": KOREAN}, {"translation_text": long}]
    assert read == [KOREAN]  # equal sentences are run once
    assert "1 of 2 texts: more than the 64 tokens" in caplog.text
    assert "translated by sentence" in caplog.text
    with pytest.raises(TooLong):
        pipe(long, long_text="error")
    assert len(pipe(long, truncation=True)) == 1


def test_a_sentence_over_the_models_length_is_cut_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = bart()
    read = answer_with(monkeypatch, pipe.tokenizer, str)
    long = ", ".join(["서울에서 부산까지"] * 9)
    assert pipe(long)[0]["translation_text"] == long
    assert len(read) > 1
    assert all(part.split()[-1].rstrip(",") in ("서울에서", "부산까지") for part in read)


# -- languages -------------------------------------------------------------------------------------------------------


def test_every_name_of_a_language_gives_the_same_translation() -> None:
    pipe = m2m()
    expected = pipe(KOREAN, src_lang="ko", tgt_lang="en")
    assert expected != pipe(KOREAN, src_lang="ko", tgt_lang="fr")
    for source in ("kor_Hang", "ko_KR", "Korean", "한국어"):
        assert pipe(KOREAN, src_lang=source, tgt_lang="English") == expected
    assert written.make("translation_ko_to_en", "m2m_100", max_new_tokens=5)(KOREAN) == expected
    assert m2m(src_lang="ko", tgt_lang="fr")(KOREAN, tgt_lang="en") == expected
    named = written.make("translation_ko_to_fr", "m2m_100", max_new_tokens=5)
    assert named(KOREAN, tgt_lang="eng_Latn") == expected


def test_languages_that_are_missing_or_unknown_are_refused_before_any_work() -> None:
    pipe = m2m()
    with pytest.raises(
        ValueError, match=r"requires a `src_lang` and a `tgt_lang` for this model.*src_lang and tgt_lang"
    ):
        pipe(KOREAN)
    with pytest.raises(ValueError, match="tgt_lang is not given"):
        pipe(iter([KOREAN]), src_lang="ko")
    with pytest.raises(InvalidArgument, match=r"tgt_lang='englsh' is not one of.*Did you mean 'english'"):
        pipe(KOREAN, src_lang="ko", tgt_lang="englsh")
    with pytest.raises(InvalidArgument, match="src_lang='xx'"):
        m2m(src_lang="xx", tgt_lang="en")


def test_a_task_that_contradicts_the_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = written.model("marian")
    monkeypatch.setattr(model, "name_or_path", "Helsinki-NLP/opus-mt-en-ja")
    monkeypatch.setattr(written.tokenizer("marian"), "get_vocab", dict)
    with pytest.raises(InvalidArgument, match=r"tgt_lang='de' \(German\).*translates to ja.*check_languages=False"):
        written.make("translation_en_to_de", "marian")
    with pytest.raises(InvalidArgument, match="src_lang='ko'"):
        written.make("translation", "marian", src_lang="ko", tgt_lang="ja")
    assert written.make("translation_en_to_de", "marian", check_languages=False, max_new_tokens=3)("hello")
    assert written.make("translation_en_to_ja", "marian", max_new_tokens=3)("hello")
    assert written.make("translation", "marian", max_new_tokens=3)("hello")


def test_a_target_is_marked_in_the_text_where_the_model_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = written.make("translation_en_to_ko", "marian", max_new_tokens=6)
    bare = written.make("translation", "marian", max_new_tokens=6)
    assert pipe("hello") == bare(">>kor<< hello") == pipe(">>kor<< hello")
    assert pipe("hello", tgt_lang="Arabic") == bare(">>ara<< hello")


def test_the_configs_task_is_that_between_the_languages() -> None:
    with pytest.warns(UserWarning, match='defaulting to "translation_en_to_de"'):
        assert written.make("translation", "t5").task == "translation_en_to_de"
    pipe = written.make("translation", "t5", src_lang="English", tgt_lang="fra", max_new_tokens=5)
    assert pipe.task == "translation_en_to_fr"
    assert pipe.prefix == "translate English to French: "
    german = written.make("translation_en_to_de", "t5", max_new_tokens=5)
    assert pipe("hello", src_lang="en", tgt_lang="de") == german("hello") != pipe("hello")
    assert written.make("translation_en_to_ko", "t5", max_new_tokens=5).prefix is None


# -- by way of another language --------------------------------------------------------------------------------------


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two models of one pair each, ko-en and en-fr; both are Marian's, whose vocabulary marks no targets here."""
    from panpipe.models import load_model

    first, second = (load_model(written.FOLDER / "marian") for _ in range(2))
    first.name_or_path, second.name_or_path = "opus-mt-ko-en", "opus-mt-en-fr"
    tokenizer = written.tokenizer("marian")
    monkeypatch.setattr(type(tokenizer), "get_vocab", lambda self: {})
    return lambda **more: pipeline(
        more.pop("task", "translation"),
        model=(first, second),
        tokenizer=(tokenizer, tokenizer),
        max_new_tokens=5,
        **more,
    )


def test_two_models_go_through_the_language_in_which_they_meet(pair: Any, caplog: pytest.LogCaptureFixture) -> None:
    pipe = pair(src_lang="ko", tgt_lang="fr")
    assert isinstance(pipe, PivotTranslationPipeline)
    assert "Korean to French by way of English: opus-mt-ko-en, then opus-mt-en-fr." in caplog.text
    english = pipe.first("hello")[0]["translation_text"]
    second = written.make("translation", "marian", max_new_tokens=5)
    (answer,) = pipe("hello", return_pivot=True)
    assert answer == {**second(english)[0], "pivot_text": english}
    assert pipe("hello") == second(english)
    assert pipe(["hello", "the"]) == [pipe("hello")[0], pipe("the")[0]]
    assert pair(task="translation_ko_to_fr")("hello") == pipe("hello")
    assert len(pipe("hello", num_beams=3, num_return_sequences=3)) == 3


def test_two_models_that_do_not_meet_are_refused(pair: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"src_lang='ja' \(Japanese\).* translates from ko"):
        pair(src_lang="ja", tgt_lang="fr")
    with pytest.raises(InvalidArgument, match=r"tgt_lang='de' \(German\).* translates to fr"):
        pair(src_lang="ko", tgt_lang="de")
    with pytest.raises(InvalidArgument, match="is not one of the languages"):
        pair(src_lang="ko", tgt_lang="fr", pivot_lang="ja")
    with pytest.raises(InvalidArgument, match="two models"):
        pair(src_lang="ko", tgt_lang="fr").save_pretrained("nowhere")


def test_errors_of_the_first_half_are_in_their_places(pair: Any) -> None:
    pipe = pair(src_lang="ko", tgt_lang="fr", on_error="return", long_text="error")
    good, bad, broken = pipe(["hello", "hello " * 90, 7])
    assert good == pipe("hello")[0]
    assert isinstance(bad, TooLong)
    assert isinstance(broken, InputError)


def test_a_model_that_knows_both_languages_translates_alone(caplog: pytest.LogCaptureFixture) -> None:
    model, tokenizer = written.model("m2m_100"), written.tokenizer("m2m_100")
    with caplog.at_level(logging.WARNING):
        pipe = pipeline(
            "translation_ko_to_fr", model=(model, model), tokenizer=(tokenizer, tokenizer), max_new_tokens=5
        )
    assert "knows both languages, so it translates alone" in caplog.text
    assert pipe(KOREAN) == m2m()(KOREAN, src_lang="ko", tgt_lang="fr")
