from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from panpipe.errors import InvalidArgument
from panpipe.tokenization import AutoTokenizer, Tokenizer
from panpipe.training.masking import (
    Masking,
    Sentences,
    Words,
    fill_in,
    group_texts,
    mask_tokens,
    noise_spans,
    sentinels_of,
)

FOLDERS = Path(__file__).parents[1] / "golden" / "tokenizers"
HOW = Masking(mask_id=-1, vocab_size=1000)


def tokenizer(name: str) -> Tokenizer:
    return AutoTokenizer.from_pretrained(FOLDERS / name)


def test_fifteen_in_a_hundred_are_chosen_and_eight_of_ten_of_them_hidden() -> None:
    ids = np.arange(10_000, 210_000)
    hidden, labels = mask_tokens(ids, np.ones(len(ids), bool), HOW, np.random.default_rng(0))
    chosen = labels != -100
    assert chosen.mean() == pytest.approx(0.15, abs=0.003)
    assert (labels[chosen] == ids[chosen]).all()
    assert (hidden[chosen] == -1).mean() == pytest.approx(0.8, abs=0.01)
    assert (hidden[chosen] == ids[chosen]).mean() == pytest.approx(0.1, abs=0.007)
    others = hidden[chosen & (hidden != -1) & (hidden != ids)]
    assert others.min() >= 0 and others.max() < 1000
    assert (hidden[~chosen] == ids[~chosen]).all()


def test_what_may_not_be_hidden_is_not() -> None:
    ids, hideable = np.arange(1000), np.arange(1000) % 2 == 0
    hidden, labels = mask_tokens(ids, hideable, HOW._replace(probability=1.0), np.random.default_rng(0))
    assert (labels[~hideable] == -100).all() and (labels[hideable] == ids[hideable]).all()
    assert (hidden[~hideable] == ids[~hideable]).all()


def test_a_word_is_chosen_as_a_whole() -> None:
    words = np.repeat(np.arange(20_000), 3)
    _, labels = mask_tokens(words, np.ones(len(words), bool), HOW, np.random.default_rng(0), words)
    chosen = (labels != -100).reshape(-1, 3)
    assert (chosen.all(1) | ~chosen.any(1)).all()
    assert chosen.mean() == pytest.approx(0.15, abs=0.008)


@pytest.mark.parametrize(
    ("name", "tokens", "words"),
    [
        ("bert", ["[CLS]", "in", "##ter", "##n", "seoul", "##e", "."], [0, 1, 1, 1, 2, 2, 3]),
        ("roberta", ["<s>", "ĠI", "'", "m", "Ġso", "rry", "!", "Ċ", "Ġno"], [0, 1, 2, 3, 4, 4, 5, 6, 7]),
        ("roberta", ["ĠìĦ", "ľ", "ìļ", "¸", "Ġæ", "Ŀ±", "äº¬"], [0, 0, 0, 0, 1, 1, 2]),
        ("t5", ["▁서", "울", "에", "▁", "서", "!", "▁東", "京"], [0, 0, 0, 1, 1, 2, 3, 4]),
    ],
)
def test_words_by_the_marks_of_their_tokens(
    name: str, tokens: list[str], words: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    tok = tokenizer(name)
    special = dict(zip(tok.all_special_tokens, tok.all_special_ids, strict=True))
    ids = [special.get(token, 100_000 + place) for place, token in enumerate(tokens)]
    names = dict(zip(ids, tokens, strict=True))
    monkeypatch.setattr(type(tok), "convert_ids_to_tokens", lambda self, token_id: names[token_id])
    assert Words(tok).numbers(ids).tolist() == words


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm_roberta"])
def test_words_of_real_texts_are_those_of_the_tokenizer(name: str) -> None:
    tok = tokenizer(name)
    encoding = tok.encode_batch(["나는 어제 친구와 서울에 갔다. It was unforgettable, was it not"])[0]
    found = Words(tok).numbers(encoding.ids)
    plain = [place for place, word in enumerate(encoding.word_ids) if word is not None]
    for before, after in itertools.pairwise(plain):
        is_new = encoding.word_ids[before] != encoding.word_ids[after]
        if is_new or name != "xlm_roberta":  # there punctuation is a part of the word before it
            assert (found[before] != found[after]) == is_new, encoding.tokens[before : after + 1]


def test_spans_taken_out_are_as_many_and_as_long_as_the_paper_says() -> None:
    ids, sentinels, random = np.arange(1000), np.arange(2000, 2100), np.random.default_rng(0)
    kept, taken = noise_spans(ids, sentinels, random)
    assert np.isin(taken, ids).sum() == 150
    assert np.isin(kept, sentinels).sum() == 50
    assert taken[-1] == 2050 and taken[0] == kept[np.isin(kept, sentinels)][0] == 2000
    assert sorted([*kept[kept < 1000], *taken[taken < 1000]]) == ids.tolist()


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 7])
def test_short_texts_have_spans_too(length: int) -> None:
    ids = np.arange(length)
    for seed in range(20):
        kept, taken = noise_spans(ids, np.arange(100, 110), np.random.default_rng(seed), 0.5, 1.0)
        assert sorted([*kept[kept < 100], *taken[taken < 100]]) == ids.tolist()
        assert 100 in kept and taken[0] == 100


def test_too_few_sentinels_are_said_before_anything_is_lost() -> None:
    with pytest.raises(InvalidArgument, match="needs 11 sentinels, and the tokenizer has 3"):
        noise_spans(np.arange(200), np.arange(1000, 1003), np.random.default_rng(0))
    assert len(sentinels_of(tokenizer("t5"))) >= 1


def test_infilling_hides_the_share_it_should_in_spans_of_poisson_lengths() -> None:
    ids, hidden, masks = np.arange(1, 301), 0, 0
    for seed in range(300):
        out = fill_in(ids, 0, np.random.default_rng(seed))
        kept = out[out != 0]
        assert (np.diff(kept) > 0).all()  # in order
        hidden += len(ids) - len(kept)
        masks += int((out == 0).sum())
    assert hidden == 300 * 90  # 30 % of each text, to the token
    assert hidden / masks == pytest.approx(3.0, abs=0.15)


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_infilling_of_short_texts(length: int) -> None:
    for seed in range(30):
        out = fill_in(np.arange(1, length + 1), 0, np.random.default_rng(seed), ratio=0.9)
        assert set(out.tolist()) <= set(range(length + 1))


def test_sentences_are_put_in_another_order_whole() -> None:
    tok = tokenizer("bart")
    ids = np.asarray(tok("One two. Three! 서울은 수도이다. Four five", add_special_tokens=False)["input_ids"])
    sentences = Sentences(tok)
    seen = {tuple(sentences.shuffled(ids, np.random.default_rng(seed)).tolist()) for seed in range(40)}
    assert all(sorted(each) == sorted(ids.tolist()) for each in seen)
    assert len(seen) > 3
    assert "Three!" in tok.decode(list(min(seen)))


def test_texts_share_blocks_and_keep_their_bounds() -> None:
    blocks = list(group_texts([[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]], 4))
    assert [block["input_ids"] for block in blocks] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [block["document_lengths"] for block in blocks] == [[3, 1], [4], [2]]
    assert len(list(group_texts([[1, 2, 3], [4, 5]], 4, drop_remainder=True))) == 1
    assert list(group_texts([], 4)) == []
    with pytest.raises(InvalidArgument, match="block_size is 0"):
        list(group_texts([[1]], 0))
