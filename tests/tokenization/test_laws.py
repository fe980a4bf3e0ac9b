"""What holds of every tokenizer, whatever its family and files."""

from __future__ import annotations

import copy
import json
import pickle
import random
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from panpipe.tokenization import AutoTokenizer, Tokenizer, flatten_windows

from .conftest import NAMES, shared
from .texts import TEXTS

unicode_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
few = settings(max_examples=15, deadline=None)


WITHOUT_WORDS = {"gemma", "llama", "llama_json", "llama_new", "m2m100", "marian", "marian_separate"}
"""Their Rust tokenizers take a text whole."""

needs_pad = pytest.mark.parametrize("tokenizer", [name for name in NAMES if shared(name).pad_token], indirect=True)


def rust_state(tokenizer: Tokenizer) -> Any:
    return json.loads(tokenizer._rust.to_str())


def test_one_call_of_many_texts_is_many_calls_of_one(tokenizer: Tokenizer) -> None:
    together = tokenizer(TEXTS, return_offsets_mapping=True)
    for row, text in enumerate(TEXTS):
        alone = tokenizer(text, return_offsets_mapping=True)
        assert {key: values[row] for key, values in together.items()} == dict(alone)


def test_the_fast_way_gives_the_same_ids(tokenizer: Tokenizer) -> None:
    for options in ({}, {"add_special_tokens": False}, {"truncation": "longest_first", "max_length": 7}):
        for pairs in (None, TEXTS[::-1]):
            encodings = tokenizer.encode_batch(TEXTS, pairs, **options)
            quick = tokenizer.encode_batch(TEXTS, pairs, offsets=False, **options)
            assert [encoding.ids for encoding in quick] == [encoding.ids for encoding in encodings]
            ids, types = tokenizer.encode_ids(TEXTS, pairs, **options)
            assert ids == [encoding.ids for encoding in encodings]
            expected = [encoding.type_ids for encoding in encodings]
            assert types == (expected if "token_type_ids" in tokenizer.model_input_names else None)


@pytest.mark.parametrize("name", NAMES)
@given(text=unicode_texts | st.text(st.sampled_from("가각ᄀ\u1161\u11a8e\u0301ﬁ\u200d👍🏽  ▁/")))
@few
def test_offsets_lie_in_the_text_and_move_forwards(name: str, text: str) -> None:
    assume("<" not in text)  # after a special token the Rust library's offsets may go back
    (encoding,) = shared(name).encode_batch([text], add_special_tokens=False)
    starts = [start for start, _ in encoding.offsets]
    assert all(0 <= start <= end <= len(text) for start, end in encoding.offsets)
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", ["electra", "bert_cased_json"])
@given(words=st.lists(st.text(st.sampled_from("catshe서울에김我爱كتاب👍🏽ﬁñ.,!-"), min_size=1, max_size=6), max_size=8))
@few
def test_offsets_of_a_cased_word_piece_are_the_pieces_of_the_text(name: str, words: list[str]) -> None:
    text = "  ".join(words)
    (encoding,) = shared(name).encode_batch([text], add_special_tokens=False)
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        assert token in ("[UNK]", text[start:end]) or token == "##" + text[start:end]
    covered = {place for start, end in encoding.offsets for place in range(start, end)}
    assert covered == {place for place, character in enumerate(text) if character != " "}


@pytest.mark.parametrize("name", ["roberta", "gpt2", "bart"])
@given(text=unicode_texts.filter(lambda text: "<" not in text))
@few
def test_byte_level_ids_decode_to_the_very_text(name: str, text: str) -> None:
    tokenizer = shared(name)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("side", ["right", "left"])
def test_windows_cover_the_text_and_share_the_stride(tokenizer: Tokenizer, side: str) -> None:
    tokenizer = copy.copy(tokenizer)
    tokenizer.truncation_side = side
    text = " ".join(TEXTS[:8])
    (whole,) = tokenizer.encode_batch([text], add_special_tokens=False)
    room, stride = 9, 3
    length = room + tokenizer.num_special_tokens_to_add()
    cut = tokenizer.encode_batch([text], truncation="longest_first", max_length=length, stride=stride, overflow=True)
    windows, samples = flatten_windows(cut)
    assert samples == [0] * len(windows)
    own = [[index for index, special in zip(w.ids, w.special_tokens_mask, strict=True) if not special] for w in windows]
    pieces = own if side == "right" else own[::-1]
    joined = pieces[0]
    for piece in pieces[1:]:
        shared_tokens = stride if side == "right" or piece is not pieces[1] else None
        if shared_tokens is None:  # the last window from the left is what remains, and shares what it must
            shared_tokens = len(joined) + sum(len(p) - stride for p in pieces[1:]) - len(whole.ids)
            shared_tokens = stride + max(shared_tokens, 0)
        assert joined[-shared_tokens:] == piece[:shared_tokens]
        joined = joined + piece[shared_tokens:]
    assert joined == whole.ids
    assert all(len(window.ids) <= length for window in windows)


@needs_pad
def test_a_call_changes_nothing(tokenizer: Tokenizer) -> None:
    before = rust_state(tokenizer)
    tokenizer(TEXTS, padding="max_length", truncation=True, max_length=8, stride=1, return_overflowing_tokens=True)
    tokenizer("a", "b c d e f g h", truncation="only_second", max_length=9, split_special_tokens=True)
    tokenizer.encode_ids(["a b c"], truncation="longest_first", max_length=4)
    assert rust_state(tokenizer) == before
    assert before["truncation"] is before["padding"] is None


def test_threads_with_different_settings_do_not_meet(tokenizer: Tokenizer) -> None:
    chance = random.Random(0)
    asked = [
        (chance.choice(TEXTS), {"truncation": chance.choice([False, True]), "max_length": chance.choice([5, 8, 13])})
        for _ in range(120)
    ]
    alone = [tokenizer(text, verbose=False, **options)["input_ids"] for text, options in asked]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda one: tokenizer(one[0], verbose=False, **one[1])["input_ids"], asked))
    assert together == alone


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_copies_are_equal(tokenizer: Tokenizer, duplicate: Any) -> None:
    other = duplicate(tokenizer)
    assert other(TEXTS) == tokenizer(TEXTS)
    assert other.special_tokens_map == tokenizer.special_tokens_map
    assert other("a b c d e f", truncation=True, max_length=4) == tokenizer(
        "a b c d e f", truncation=True, max_length=4
    )


def test_saved_and_loaded_it_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    files = tokenizer.save_pretrained(tmp_path / "one")
    again = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert all(Path(file).is_file() for file in files)
    assert again(TEXTS, return_offsets_mapping=True) == tokenizer(TEXTS, return_offsets_mapping=True)
    assert [again.decode(ids) for ids in again(TEXTS).input_ids] == [
        tokenizer.decode(i) for i in tokenizer(TEXTS).input_ids
    ]
    for name in ("special_tokens_map", "model_max_length", "model_input_names", "padding_side", "vocab_size"):
        assert getattr(again, name) == getattr(tokenizer, name)


@needs_pad
def test_padding_adds_to_the_rows_and_changes_nothing_else(tokenizer: Tokenizer) -> None:
    ragged = tokenizer(TEXTS, return_special_tokens_mask=True)
    for side in ("right", "left"):
        padded = tokenizer(TEXTS, padding=True, padding_side=side, return_tensors="np", return_special_tokens_mask=True)
        for row, ids in enumerate(ragged["input_ids"]):
            kept = padded["attention_mask"][row].astype(bool)
            assert padded["input_ids"][row][kept].tolist() == ids
            assert (padded["input_ids"][row][~kept] == tokenizer.pad_token_id).all()
            assert padded["special_tokens_mask"][row][~kept].all()
        assert padded["input_ids"].dtype == np.int64
        later = tokenizer.pad(tokenizer(TEXTS), padding_side=side, return_tensors="np")
        assert (later["input_ids"] == padded["input_ids"]).all()
        assert (later["attention_mask"] == padded["attention_mask"]).all()


@pytest.mark.parametrize("tokenizer", [name for name in NAMES if name not in WITHOUT_WORDS], indirect=True)
def test_the_original_text_is_what_words_and_characters_point_into(tokenizer: Tokenizer) -> None:
    text = "김 cat 👍🏽 sat"
    row = tokenizer(text, add_special_tokens=False)
    place = text.index("sat")
    token = row.char_to_token(place)
    assert token is not None
    start, end = row.token_to_chars(token)
    assert start <= place < end
    word = row.token_to_word(token)
    assert row.char_to_word(place) == word == row.token_to_word(0, token)
    assert row.word_to_tokens(word).start <= token < row.word_to_tokens(word).end
    assert text[slice(*row.word_to_chars(word))].strip() == "sat"
    assert row.token_to_sequence(token) == 0
    assert row.token_to_chars(-1) == row.token_to_chars(len(row.tokens()) - 1)


@pytest.mark.parametrize("name", ["bert", "mpnet", "electra", "bert_cased_json"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_words_of_composed_and_decomposed_hangul_are_those_of_the_text(name: str, form: str) -> None:
    words = unicodedata.normalize(form, "김 선생님은 서울에서 👍🏽 cat 👩‍👩‍👧‍👦 한국어를").split()
    (encoding,) = shared(name).encode_batch(["  ".join(words)], add_special_tokens=False)
    found: dict[int, tuple[int, int]] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        found[word] = (min(start, found.get(word, (start, end))[0]), max(end, found.get(word, (start, end))[1]))
    assert ["  ".join(words)[slice(*span)] for span in found.values()] == words
