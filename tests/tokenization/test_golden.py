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
        assert [place for span in row["offset_mapping"] for place in span] == offsets, text
        assert row.word_ids() == words, text
        assert tokenizer.decode(ids) == decoded, text
        assert tokenizer.decode(ids, skip_special_tokens=True) == without_special, text


@each_folder
@pytest.mark.parametrize("index", range(len(CALLS)))
def test_calls_give_what_transformers_gives(folder: Path, index: int) -> None:
    arguments, expected = CALLS[index], golden(folder)["calls"][index]
    if "error" in expected:
        with pytest.raises(PanpipeError):
            tokenizer_of(folder)(*PAIRS[arguments["pairs"]], **arguments["options"])
        return
    result = tokenizer_of(folder)(*PAIRS[arguments["pairs"]], verbose=False, **arguments["options"])
    assert json.loads(json.dumps(dict(result))) == expected
    assert list(result) == list(expected)
