"""Ids, offsets and words as transformers 4.57.6 gives them, for every family and file form (golden/make_tokenizers)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import PanpipeError
from panpipe.tokenization import AutoTokenizer, Tokenizer

from .texts import CALLS, PAIRS, TEXTS

FOLDERS = sorted(path.parent for path in Path(__file__).parents[1].glob("golden/tokenizers/*/golden.json"))
each_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@cache
def golden(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "golden.json").read_text(encoding="utf-8"))


@cache
def tokenizer_of(folder: Path) -> Tokenizer:
    return AutoTokenizer.from_pretrained(folder)


@each_folder
def test_facts_are_those_of_transformers(folder: Path) -> None:
    tokenizer, facts = tokenizer_of(folder), golden(folder)["facts"]
    assert {
        "vocab_size": tokenizer.vocab_size,
        "length": len(tokenizer),
        "model_max_length": tokenizer.model_max_length,
        "padding_side": tokenizer.padding_side,
        "model_input_names": tokenizer.model_input_names,
        "special_tokens_map": tokenizer.special_tokens_map,
        "all_special_ids": tokenizer.all_special_ids,
        "added_tokens": tokenizer.get_added_vocab(),
        "special_in_pair": tokenizer.num_special_tokens_to_add(pair=True),
        "clean_up": tokenizer.clean_up_tokenization_spaces,
    } == facts


@each_folder
def test_ids_offsets_words_and_decoded_texts_are_those_of_transformers(folder: Path) -> None:
    tokenizer = tokenizer_of(folder)
    for text, (ids, offsets, words, decoded, without_special) in zip(TEXTS, golden(folder)["texts"], strict=True):
        row = tokenizer(text, return_offsets_mapping=True)
        assert row["input_ids"] == ids, text
        if offsets is not None:  # transformers' tokenizers in Python know none
            assert [place for span in row["offset_mapping"] for place in span] == offsets, text
            assert row.word_ids() == words, text
        assert tokenizer.decode(ids) == decoded, text
        assert tokenizer.decode(ids, skip_special_tokens=True) == without_special, text


@each_folder
@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_give_what_transformers_gives(folder: Path, index: int) -> None:
    arguments, expected = CALLS[index], golden(folder)["calls"][index]
    if expected is None:
        pytest.skip("transformers' tokenizers in Python do something else here, or nothing")
    if "error" in expected:
        with pytest.raises(PanpipeError):
            tokenizer_of(folder)(*PAIRS[arguments["pairs"]], **arguments["options"])
        return
    result = tokenizer_of(folder)(*PAIRS[arguments["pairs"]], verbose=False, **arguments["options"])
    assert json.loads(json.dumps(dict(result))) == expected
    assert list(result) == list(expected)


TRANSLATING = [folder for folder in FOLDERS if "languages" in golden(folder)]
each_translator = pytest.mark.parametrize("folder", TRANSLATING, ids=lambda folder: folder.name)


@each_translator
def test_languages_and_targets_are_those_of_transformers(folder: Path) -> None:
    tokenizer = tokenizer_of(folder)
    for row in golden(folder)["languages"]:
        code = row["code"]
        languages = {} if code is None else {"src_lang": code, "tgt_lang": code}
        if code is not None:
            assert tokenizer.language_codes[code] == row["id"] == tokenizer.get_lang_id(code)
        assert tokenizer(TEXTS[4], **languages)["input_ids"] == row["source"]
        assert tokenizer(text_target=TEXTS, **languages)["input_ids"] == row["targets"]
        assert tokenizer.encode_ids(TEXTS, as_target=True, tgt_lang=code)[0] == row["targets"]
        decoded = [tokenizer.decode(ids, skip) for ids in row["targets"] for skip in (False, True)]
        assert decoded == row["decoded"]
        assert dict(tokenizer("a cat", text_target="서울에", **languages)) == row["pair"]


@each_translator
def test_tokens_at_the_start_and_in_the_middle_are_kept_as_in_transformers(folder: Path) -> None:
    tokenizer = tokenizer_of(folder)
    if tokenizer.language_codes:
        tokenizer = AutoTokenizer.from_pretrained(folder, src_lang=golden(folder)["languages"][-1]["code"])
    for text, ids, decoded in golden(folder)["prefixed"]:
        first = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
        assert first == ids, text
        assert tokenizer.decode(ids) == decoded, text
