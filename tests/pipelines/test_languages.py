"""What a caller calls a language, and what a model calls it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from panpipe.errors import InvalidArgument
from panpipe.pipelines.language_names import english_name, is_spaced, key_of
from panpipe.pipelines.languages import Languages, find_code, languages_of

NLLB = ["ace_Arab", "ace_Latn", "eng_Latn", "kor_Hang", "zho_Hans", "zho_Hant", "arb_Arab", "nob_Latn", "pes_Arab"]
M2M = ["en", "ko", "zh", "ar", "no", "fa", "ns"]
MBART = ["en_XX", "ko_KR", "zh_CN", "ar_AR", "fa_IR"]


@pytest.mark.parametrize(("codes", "korean"), [(NLLB, "kor_Hang"), (M2M, "ko"), (MBART, "ko_KR")])
@pytest.mark.parametrize("word", ["ko", "kor", "kor_Hang", "ko_KR", "ko-KR", "Korean", "korean", "한국어", "한국말"])
def test_every_way_to_say_korean_is_the_models_own(word: str, codes: list[str], korean: str) -> None:
    assert find_code(word, codes) == korean


@pytest.mark.parametrize(
    ("word", "nllb", "m2m", "mbart"),
    [
        ("zh", "zho_Hans", "zh", "zh_CN"),
        ("zh-TW", "zho_Hant", "zh", None),
        ("zh_Hant", "zho_Hant", "zh", None),
        ("Chinese (Traditional)", "zho_Hant", "zh", None),
        ("中文", "zho_Hans", "zh", "zh_CN"),
        ("중국어", "zho_Hans", "zh", "zh_CN"),
        ("영어", "eng_Latn", "en", "en_XX"),
        ("ace", "ace_Latn", None, None),
        ("ace_Arab", "ace_Arab", None, None),
        ("Arabic", "arb_Arab", "ar", "ar_AR"),
        ("Norwegian", "nob_Latn", "no", None),
        ("fas", "pes_Arab", "fa", "fa_IR"),
        ("klingon", None, None, None),
        ("", None, None, None),
    ],
)
def test_scripts_and_regions_decide_where_a_model_has_several(word: str, nllb: Any, m2m: Any, mbart: Any) -> None:
    assert (find_code(word, NLLB), find_code(word, M2M), find_code(word, MBART)) == (nllb, m2m, mbart)


def test_a_model_of_many_languages_wants_both_and_knows_its_own() -> None:
    languages = Languages("many", {code: i for i, code in enumerate(MBART)})
    direction = languages.direction("Korean", "en")
    assert (direction.source, direction.target, direction.target_key) == ("ko_KR", "en_XX", "en")
    assert languages.knows("kor_Hang")
    with pytest.raises(InvalidArgument, match=r"requires a `src_lang` and a `tgt_lang`.*tgt_lang is not given"):
        languages.direction("ko", None)
    with pytest.raises(InvalidArgument, match=r"tgt_lang='korea'.*en_XX, ko_KR.*Did you mean 'korean'"):
        languages.direction("en", "korea")
    with pytest.raises(InvalidArgument, match=r"src_lang='de' \(German\) is not one of"):
        languages.direction("de", "en")


def marian(name: str, vocabulary: tuple[str, ...] = (), **settings: str) -> Languages:
    model = SimpleNamespace(name_or_path=name, config=SimpleNamespace(model_type="marian"))
    tokenizer = SimpleNamespace(language_codes={}, supported_language_codes=vocabulary, init_kwargs=settings)
    return languages_of(model, tokenizer)


@pytest.mark.parametrize("name", ["Helsinki-NLP/opus-mt-ko-en", "/models/opus-mt-tc-big-ko-en", "C:/x/opus-mt-ko-en"])
def test_a_pair_is_read_from_the_models_name_and_compared(name: str) -> None:
    languages = marian(name)
    direction = languages.direction("kor_Hang", "English")
    assert (direction.source, direction.mark, direction.target_key) == (None, "", "en")
    assert languages.direction(None, None).target_key == "en"
    with pytest.raises(InvalidArgument, match=r"tgt_lang='fr' \(French\).* translates to en.*model=\(first, second\)"):
        languages.direction("ko", "fr")
    with pytest.raises(InvalidArgument, match=r"src_lang='ja' .* translates from ko.*check_languages=False"):
        languages.direction("ja", "en")
    assert languages.direction("ja", "fr", check=False).target_key == "fr"


def test_a_pair_is_read_from_the_tokenizers_settings() -> None:
    with pytest.raises(InvalidArgument, match="tgt_lang"):
        marian("my-model", source_lang="ko", target_lang="en").direction("ko", "de")
    assert marian("my-model").direction("ko", "de").mark == ""  # nothing is known, so nothing is refused


def test_targets_that_are_marked_in_the_text_are_marked() -> None:
    languages = marian("opus-mt-en-ROMANCE", (">>fr<<", ">>es<<"))
    assert languages.direction("en", "French").mark == ">>fr<< "
    assert languages.direction("en", None).mark == ""
    several = marian("opus-mt-tc-big-en-cmn+yue", (">>cmn_Hans<<", ">>yue_Hant<<"))
    assert several.direction("en", "zh").mark == ">>cmn_Hans<< "


def test_names_of_languages() -> None:
    assert (english_name("ko"), english_name("ROMANCE")) == ("Korean", "ROMANCE")
    assert key_of("ROMANCE") is None
    assert is_spaced("ko")
    assert is_spaced(None)
    assert not is_spaced("ja")
