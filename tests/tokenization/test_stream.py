"""Text while its tokens come: every piece is final, and together they are what `decode` gives."""

from __future__ import annotations

import random
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.errors import InputError
from panpipe.tokenization import Tokenizer
from panpipe.tokenization.decoding import clean_up
from panpipe.tokenization.stream import TextStream

from .conftest import NAMES, shared
from .texts import TEXTS

SETTINGS = [(skip, clean) for skip in (False, True) for clean in (False, True, None)]
HANGUL = ["llama", "llama_new", "gemma", "qwen2", "gpt2", "smollm"]  # a syllable is several tokens


def streamed(tokenizer: Tokenizer, ids: list[int], sizes: list[int], skip: bool, clean: bool | None) -> list[str]:
    """The pieces of a text whose ids come a few at a time; each is checked to be final."""
    stream = TextStream(tokenizer, skip_special_tokens=skip, clean_up_tokenization_spaces=clean)
    pieces, at = [], 0
    for size in [*sizes, len(ids)]:
        pieces.append(stream.put(ids[at : at + size]))
        at += size
    return [*pieces, stream.end()]


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_pieces_of_drawn_ids_join_to_the_decoded_text(name: str, data: st.DataObject) -> None:
    tokenizer = shared(name)
    some = st.integers(0, len(tokenizer) + 3)
    rare = st.sampled_from([*filter(None, tokenizer.all_special_ids), *tokenizer("서울 n't . ' s ?").input_ids])
    ids = data.draw(st.lists(some | rare, max_size=120))
    sizes = data.draw(st.lists(st.integers(0, 9), max_size=120))
    skip, clean = data.draw(st.sampled_from(SETTINGS))
    assert "".join(streamed(tokenizer, ids, sizes, skip, clean)) == tokenizer.decode(ids, skip, clean)


@pytest.mark.parametrize("name", NAMES)
def test_pieces_of_real_text_join_to_the_decoded_text(name: str) -> None:
    tokenizer = shared(name)
    for number, text in enumerate([*TEXTS, " ".join(TEXTS)]):
        ids = tokenizer(text, verbose=False).input_ids
        for skip, clean in SETTINGS[number % 2 :: 2]:
            pieces = streamed(tokenizer, ids, [1] * len(ids), skip, clean)
            assert "".join(pieces) == tokenizer.decode(ids, skip, clean), text


@pytest.mark.parametrize("name", NAMES)
def test_what_was_given_is_the_beginning_of_every_continuation(name: str) -> None:
    tokenizer, chance = shared(name), random.Random(name)
    texts = [tokenizer(text, add_special_tokens=False, verbose=False).input_ids for text in TEXTS if text.strip()]
    for ids in texts[:8]:
        stream, given_text = TextStream(tokenizer, clean_up_tokenization_spaces=True), ""
        for place, index in enumerate(ids[:30], 1):
            given_text += stream.put([index])
            other = ids[:place] + chance.choice(texts)[:3]
            assert tokenizer.decode(other, clean_up_tokenization_spaces=True).startswith(given_text)


@pytest.mark.parametrize("name", HANGUL)
def test_no_half_character_is_given(name: str) -> None:
    tokenizer = shared(name)
    text = "괜찮아요, 뷁 값 👩‍👩‍👧‍👦 좋다. " + unicodedata.normalize("NFD", "한국어")
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert len(ids) > len(text.split())
    pieces = streamed(tokenizer, ids, [1] * len(ids), False, False)
    assert not any("\ufffd" in piece for piece in pieces)
    assert sum(map(bool, pieces)) > 5  # and it does not all come at the end


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "llama", "marian", "m2m100", "openai_gpt"])
def test_text_comes_soon_after_its_tokens(name: str) -> None:
    tokenizer = shared(name)
    ids = tokenizer("the cat sat on a mat and the whole life " * 4, add_special_tokens=False, verbose=False).input_ids
    for clean in (False, True):
        stream, given_text = TextStream(tokenizer, clean_up_tokenization_spaces=clean), ""
        for place, index in enumerate(ids, 1):
            given_text += stream.put([index])
            so_far = tokenizer.decode(ids[:place], clean_up_tokenization_spaces=clean)
            assert len(so_far) - len(given_text) <= 8


@given(st.lists(st.sampled_from([" ", "n", "'", "t", "s", ".", "ve", "a", " '", " n't", "  "]), max_size=14))
@settings(max_examples=300, deadline=None)
def test_cleaning_up_piece_by_piece_is_cleaning_up_the_whole(parts: list[str]) -> None:
    stream = TextStream(shared("bert"), clean_up_tokenization_spaces=True)
    given_text = "".join(stream._clean(part) for part in parts) + stream.end()
    assert given_text == clean_up("".join(parts))


def test_a_text_of_any_length_takes_time_in_proportion(bert: Tokenizer) -> None:
    for name in ("bert", "gpt2", "llama", "marian"):
        tokenizer = shared(name)
        ids = tokenizer(
            "the cat 서울에 괜찮 sat on it isn't 5, " * 8, add_special_tokens=False, verbose=False
        ).input_ids
        times = []
        for repeat in (2, 16):
            begin = time.process_time()
            many = ids * repeat
            streamed(tokenizer, many, [1] * len(many), True, True)
            times.append(time.process_time() - begin)
        assert times[1] < 3 * 8 * times[0] + 0.5, (name, times)


def test_a_stream_starts_anew_after_its_end(bert: Tokenizer) -> None:
    stream = TextStream(bert, skip_special_tokens=True)
    texts = []
    for _ in range(2):
        ids = bert("the cat sat").input_ids
        texts.append("".join(stream.put([index]) for index in ids) + stream.end())
    assert texts == ["the cat sat", "the cat sat"]
    assert stream.end() == ""


def test_what_is_no_id_is_refused(bert: Tokenizer) -> None:
    with pytest.raises(InputError):
        TextStream(bert).put(["cat"])
    with pytest.raises(InputError, match="-100"):
        TextStream(bert).put([-100])
