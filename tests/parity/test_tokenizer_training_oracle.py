"""Tokenizers that we train, beside those that transformers 4.57.6 trains and opens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")

from panpipe.tokenization import AutoTokenizer  # noqa: E402
from panpipe.tokenization.training import KINDS, train_tokenizer  # noqa: E402

from ..tokenization.texts import TEXTS, WORDS  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
BYTES_AND_BPE = ["bart", "gemma", "gpt2", "llama", "nllb", "qwen2", "roberta_json", "smollm", "xlm_roberta_bpe"]
UNIGRAM = ["albert", "camembert", "mbart", "pegasus", "t5", "xlm_roberta"]
WORD_PIECE = ["bert", "distilbert", "electra", "mpnet"]


def corpus(seed: int, lines: int = 400) -> list[str]:
    chance = random.Random(seed)
    words = [word for some in WORDS.values() for word in some]
    return [" ".join(chance.choices(words, k=chance.randint(3, 12))) + "." for _ in range(lines)]


def trained(name: str, lines: list[str], size: int, **options: Any) -> tuple[Any, Any]:
    """Ours and theirs, from batches that are read as a stream."""
    both = AutoTokenizer.from_pretrained(GOLDEN / name), transformers.AutoTokenizer.from_pretrained(GOLDEN / name)
    batches = [lines[start : start + 50] for start in range(0, len(lines), 50)]
    ours, theirs = (each.train_new_from_iterator(iter(batches), size, **options) for each in both)
    return ours, theirs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BYTES_AND_BPE)
def test_bpe_is_transformers_id_for_id(name: str, seed: int) -> None:
    ours, theirs = trained(name, corpus(seed), 450 + 100 * seed, new_special_tokens=["<새것>"])
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.special_tokens_map == theirs.special_tokens_map
    for text in (*TEXTS, "a<새것>b"):
        assert ours(text)["input_ids"] == theirs(text, verbose=False)["input_ids"]
        assert ours(text, "b")["input_ids"] == theirs(text, "b", verbose=False)["input_ids"]


@pytest.mark.parametrize("name", UNIGRAM)
def test_unigram_is_transformers_but_for_the_order_of_equal_pieces(name: str) -> None:
    """transformers' own order of equally frequent pieces differs from one run to the next."""
    ours, theirs = trained(name, corpus(4), 500, new_special_tokens=["<새것>"])
    assert ours.get_vocab().keys() == theirs.get_vocab().keys()
    assert ours.special_tokens_map == theirs.special_tokens_map
    special = ours.all_special_tokens
    assert ours.convert_tokens_to_ids(special) == theirs.convert_tokens_to_ids(special)
    for text in TEXTS:
        assert ours.num_special_tokens_to_add() == theirs.num_special_tokens_to_add()
        assert ours(text).tokens()[-1] == theirs(text, verbose=False).tokens()[-1]


@pytest.mark.parametrize("name", WORD_PIECE)
def test_word_pieces_are_transformers_where_no_two_are_equally_frequent(name: str) -> None:
    """transformers' own choice between equally frequent pairs differs from one run to the next."""
    chains = ("abcdefghij", 5), ("мирныe", 6)  # each letter more makes a pair that is rarer than those before it
    lines = [word[:end] for word, times in chains for end in range(1, len(word) + 1) for _ in range(times * (12 - end))]
    ours, theirs = trained(name, lines, 60)
    pieces = [tokenizer.get_vocab() for tokenizer in (ours, theirs)]
    assert pieces[0].keys() == pieces[1].keys()
    assert {"abcdefghij", "abcd"} < pieces[0].keys()
    merged = [{p: index for p, index in each.items() if len(p.removeprefix("##")) > 1} for each in pieces]
    assert merged[0] == merged[1]
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.all_special_ids == theirs.all_special_ids


@pytest.mark.parametrize("name", [*BYTES_AND_BPE, *UNIGRAM, *WORD_PIECE])
def test_a_trained_tokenizer_is_opened_by_transformers(name: str, tmp_path: Path) -> None:
    ours = AutoTokenizer.from_pretrained(GOLDEN / name).train_new_from_iterator(corpus(1), 450)
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert [ours(text)["input_ids"] for text in TEXTS] == [theirs(t, verbose=False)["input_ids"] for t in TEXTS]
    assert ours.special_tokens_map == theirs.special_tokens_map


@pytest.mark.parametrize("with_roles", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_from_a_corpus_is_opened_by_transformers(kind: str, with_roles: bool, tmp_path: Path) -> None:
    roles = {
        "cls_token": "<s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "unk_token": "<unk>",
    }
    more: dict[str, Any] = {"special_tokens": roles, "lowercase": True, "normalization": "nfkc"} if with_roles else {}
    ours = train_tokenizer(corpus(2), kind, 500, model_max_length=64, **more)
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in (*TEXTS, "한국어<mask>東京 12345"):
        for ids in (ours(text)["input_ids"], ours(text, "a b")["input_ids"]):
            assert ours.decode(ids) == theirs.decode(ids)
        assert ours(text, "a b").data == dict(theirs(text, "a b", verbose=False))
    assert (theirs.model_max_length, theirs.special_tokens_map) == (64, ours.special_tokens_map)
    assert theirs.init_kwargs["panpipe_training"] == ours.init_kwargs["panpipe_training"]
