"""Tokenizers trained: like an old one, from a corpus, and by the command line."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from panpipe.cli.tokenizer import tokenizer as command
from panpipe.errors import (
    InputError,
    InvalidArgument,
    MissingKey,
    TokenizerError,
    UnknownArgument,
)
from panpipe.tokenization import AutoTokenizer, Tokenizer
from panpipe.tokenization.training import KINDS, train_tokenizer

from .conftest import NAMES, shared
from .texts import TEXTS, WORDS

TRAINABLE = [name for name in NAMES if not shared(name).has_pieces]


def corpus(seed: int = 5, lines: int = 120) -> list[str]:
    chance = random.Random(seed)
    words = [word for some in WORDS.values() for word in some]
    return [" ".join(chance.choices(words, k=chance.randint(3, 9))) + "." for _ in range(lines)]


CORPUS = corpus()


def around(tokenizer: Tokenizer) -> list[str]:
    """The special tokens of a pair."""
    encoded = tokenizer(CORPUS[0], CORPUS[1], return_special_tokens_mask=True)
    return [t for t, special in zip(encoded.tokens(), encoded["special_tokens_mask"], strict=True) if special]


# -- like an old one -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_new_vocabulary_keeps_the_kind_and_the_roles(name: str, tmp_path: Path) -> None:
    old = shared(name)
    new = old.train_new_from_iterator(iter([CORPUS[:60], CORPUS[60:]]), 600, new_special_tokens=["<새것>"])
    assert old.get_vocab() == shared(name).get_vocab()
    assert new.special_tokens_map == {
        **old.special_tokens_map,
        "additional_special_tokens": [*old.additional_special_tokens, "<새것>"],
    }
    assert new.model_input_names == old.model_input_names
    assert new.num_special_tokens_to_add() == old.num_special_tokens_to_add()
    assert new.get_vocab() != old.get_vocab()
    assert around(new) == around(old)
    assert new.tokenize("a<새것>b").count("<새것>") == 1
    new.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert [again(text).data for text in TEXTS] == [new(text).data for text in TEXTS]


@pytest.mark.parametrize("name", ["bert", "gpt2", "openai_gpt", "t5"])
def test_the_same_corpus_gives_the_same_vocabulary(name: str) -> None:
    first, again = (shared(name).train_new_from_iterator(CORPUS, 600).get_vocab() for _ in range(2))
    assert first == again


def test_special_tokens_can_be_renamed(bert: Tokenizer) -> None:
    new = bert.train_new_from_iterator(CORPUS, 300, special_tokens_map={"[CLS]": "<시작>", "[SEP]": "<끝>"})
    assert (new.cls_token, new.sep_token, new.unk_token) == ("<시작>", "<끝>", "[UNK]")
    encoded = new("a", "b")
    assert [encoded.tokens()[place] for place in (0, 2, 4)] == ["<시작>", "<끝>", "<끝>"]
    assert encoded["token_type_ids"] == [0, 0, 0, 1, 1]
    with pytest.raises(InvalidArgument, match="names '<x>'"):
        bert.train_new_from_iterator(CORPUS, 300, special_tokens_map={"<x>": "<y>"})


def test_options_of_the_trainer_are_taken_and_others_refused(bert: Tokenizer) -> None:
    few = bert.train_new_from_iterator(CORPUS, 600, min_frequency=40)
    assert len(few) < len(bert.train_new_from_iterator(CORPUS, 600))
    with pytest.raises(UnknownArgument, match="Did you mean 'min_frequency'"):
        bert.train_new_from_iterator(CORPUS, 600, min_freqency=4)


@pytest.mark.parametrize("name", ["marian", "m2m100"])
def test_a_kind_that_cannot_be_trained_says_what_can(name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot be trained anew; train one from the corpus"):
        shared(name).train_new_from_iterator(CORPUS, 600)


def test_what_is_no_corpus_is_refused_and_the_iterators_own_errors_pass(bert: Tokenizer) -> None:
    def broken() -> Any:
        yield "a"
        raise RuntimeError("the disk is gone")

    with pytest.raises(InputError, match="one str"):
        bert.train_new_from_iterator("한국어", 600)
    with pytest.raises(InputError, match="item 1 of the corpus is 3"):
        bert.train_new_from_iterator(["a", 3], 600)  # type: ignore[list-item]
    with pytest.raises(InputError, match="lone surrogate"):
        bert.train_new_from_iterator(["\ud800"], 600)
    with pytest.raises(RuntimeError, match="the disk is gone"):
        bert.train_new_from_iterator(broken(), 600)
    with pytest.raises(InvalidArgument, match="vocab_size=0"):
        bert.train_new_from_iterator(CORPUS, 0)
    with pytest.raises(InputError, match="no text"):
        shared("t5").train_new_from_iterator([[" "], []], 600)


def test_a_corpus_that_gives_no_pieces_is_said(bert: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="give more texts or a larger vocab_size"):
        shared("t5").train_new_from_iterator(["".join(map(chr, range(0x4E00, 0x5000)))], 120)


# -- from a corpus ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_trained_the_same_twice_saved_and_read(kind: str, tmp_path: Path) -> None:
    made = train_tokenizer(CORPUS, kind, 500)
    again = train_tokenizer(([line] for line in CORPUS), kind, 500)
    assert made.get_vocab() == again.get_vocab()
    made.save_pretrained(tmp_path)
    read = AutoTokenizer.from_pretrained(tmp_path)
    assert [read(text).data for text in TEXTS] == [made(text).data for text in TEXTS]
    assert read.special_tokens_map == made.special_tokens_map
    assert read.decode(made("안녕하세요 the")["input_ids"], skip_special_tokens=True) == "안녕하세요 the"


def test_the_vocabulary_does_not_depend_on_the_process() -> None:
    program = (
        "import json, sys; from panpipe.tokenization.training import train_tokenizer; lines = json.load(sys.stdin); "
        "print(json.dumps([train_tokenizer(lines, kind, 400).get_vocab() for kind in ('wordpiece', 'unigram')]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(CORPUS), check=True, capture_output=True, text=True
    )
    assert json.loads(ran.stdout) == [
        train_tokenizer(CORPUS, kind, 400).get_vocab() for kind in ("wordpiece", "unigram")
    ]


def test_bytes_leave_nothing_unknown() -> None:
    made = train_tokenizer(["가나다 abc"], "byte-bpe", 300)
    for text in (*TEXTS, "한국어 東京 🙂\n\n  x"):
        composed = made._rust.normalizer.normalize_str(text)
        assert made.decode(made(text, add_special_tokens=False)["input_ids"]) == composed


def test_korean_syllables_stay_whole_in_lower_case() -> None:
    made = train_tokenizer(["한국어 Café"] * 3, "wordpiece", 100, lowercase=True)
    assert made.tokenize("한국어 CAFÉ") == ["한국어", "café"]


def test_roles_decide_what_is_put_around_a_text() -> None:
    roles = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    made = train_tokenizer(CORPUS, "bpe", 400, special_tokens=roles, additional_special_tokens=["<x>"])
    tokens = made("안녕", "the").tokens()
    assert (tokens[0], tokens[-1], tokens.count("</s>")) == ("<s>", "</s>", 2)
    assert (made.mask_token, made.unk_token, made.additional_special_tokens) == ("<mask>", "<unk>", ["<x>"])
    assert train_tokenizer(CORPUS, "unigram", 400)("안녕").tokens()[-1] == "</s>"
    assert "token_type_ids" not in made("a")
    with pytest.raises(InvalidArgument, match="Did you mean 'cls_token'"):
        train_tokenizer(CORPUS, "bpe", 400, special_tokens={"clstoken": "<s>"})


def test_words_of_scripts_without_spaces_are_bounded() -> None:
    text = "띄어쓰기가없는한국어문장은이렇게길게이어진다" * 20 + "日本語の長い文章" * 20
    for kind in ("byte-bpe", "bpe", "wordpiece", "unigram"):
        made = train_tokenizer([text], kind, 600, normalization=None)
        words = made._rust.pre_tokenizer.pre_tokenize_str(
            made._rust.normalizer.normalize_str(text) if made._rust.normalizer else text
        )
        longest = max(end - start for _, (start, end) in words)
        assert longest <= 32, kind


def test_the_rarest_characters_become_unknown_where_there_is_no_room() -> None:
    text = ["".join(map(chr, range(0x4E00, 0x4E00 + 300))), "一丁七 " * 50]
    for kind in ("bpe", "wordpiece", "unigram"):
        made = train_tokenizer(text, kind, 100, limit_alphabet=20)
        assert made.unk_token_id not in made("一丁七")["input_ids"]
        assert made.unk_token_id in made(chr(0x4E00 + 299))["input_ids"]
        assert len(made) <= 100


def test_a_longer_corpus_is_sampled_with_bounded_memory_and_its_hash_recorded() -> None:
    def many() -> Any:
        for number in range(20_000):
            yield f"가나다 line {number} " + "x" * 60

    tracemalloc.start()
    made = train_tokenizer(many(), "wordpiece", 200, max_sentences=100, progress=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000
    record = made.init_kwargs["panpipe_training"]
    assert (record["lines"], record["lines_used"], record["characters"]) == (20_000, 100, sum(map(len, many())))
    same = train_tokenizer(many(), "wordpiece", 200, max_sentences=100, progress=False)
    other = train_tokenizer(many(), "wordpiece", 200, max_sentences=100, progress=False, seed=1)
    assert same.get_vocab() == made.get_vocab()
    assert other.init_kwargs["panpipe_training"]["corpus_sha256"] == record["corpus_sha256"]
    assert other.get_vocab() != made.get_vocab()


def test_long_lines_count_as_several_and_empty_ones_not() -> None:
    made = train_tokenizer(["a b " * 3000 + "\n\n   \nc"], "byte-bpe", 300)
    assert made.init_kwargs["panpipe_training"]["lines"] == 4


def test_files_and_rows_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n".join(CORPUS), encoding="utf-8")
    of_file = train_tokenizer(tmp_path / "a.txt", "bpe", 400)
    of_rows = train_tokenizer([{"글": text} for text in CORPUS], "bpe", 400, column="글")
    assert of_file.get_vocab() == of_rows.get_vocab() == train_tokenizer(CORPUS, "bpe", 400).get_vocab()
    with pytest.raises(MissingKey, match="no column 'text'; it has '글'"):
        train_tokenizer([{"글": "가"}], "bpe", 400)


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        ("a.txt", {}, InputError, "pathlib.Path"),
        ([], {}, InputError, "no text"),
        ([" \n"], {}, InputError, "no text"),
        ([b"x"], {}, InputError, "item 0 of the corpus"),
        (["a"], {"kind": "wordpeice"}, InvalidArgument, "Did you mean 'wordpiece'"),
        (["a"], {"vocab_size": 100}, InvalidArgument, "at least 258"),
        (["a"], {"max_sentences": 0}, InvalidArgument, "max_sentences=0"),
        (["a"], {"normalization": "nfx"}, InvalidArgument, "normalization='nfx'"),
    ],
)
def test_what_cannot_be_trained_is_refused(given: Any, options: dict[str, Any], error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        train_tokenizer(given, **options)


# -- the command line ------------------------------------------------------------------------------------------------


def test_the_command_trains_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder = tmp_path / "가.txt", tmp_path / "made"
    data.write_text("\n".join(CORPUS), encoding="utf-8")
    arguments = ["--data", str(data), "--kind", "bpe", "--vocab-size", "400", "--output", str(folder)]
    assert command(["train", *arguments, "--special-tokens", "<x>", "<y>"]) == 0
    report = json.loads(capsys.readouterr().out)
    made = AutoTokenizer.from_pretrained(folder)
    assert report["tokenizer"] == {"folder": str(folder), "kind": "bpe", "vocabulary": len(made)}
    assert report["special_tokens"][-2:] == ["<x>", "<y>"]
    assert report["corpus"]["lines"] == len(CORPUS)
    assert command(["show", str(folder), "안녕 <x>"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["ids"] == made("안녕 <x>")["input_ids"]
    assert shown["tokens"][-1] == "<x>"


def test_the_command_reads_a_column_of_packed_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "rows.jsonl.gz"
    data.write_bytes(gzip.compress("".join(json.dumps({"글": text}) + "\n" for text in CORPUS).encode()))
    command(["train", "--data", str(data), "--column", "글", "--vocab-size", "400", "--output", str(tmp_path / "made")])
    assert json.loads(capsys.readouterr().out)["corpus"]["lines"] == len(CORPUS)
    of_list = train_tokenizer(CORPUS, vocab_size=400)
    assert AutoTokenizer.from_pretrained(tmp_path / "made").get_vocab() == of_list.get_vocab()


def test_the_command_refuses_files_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").touch()
    with pytest.raises(InputError, match="no file"):
        command(["train", "--data", str(tmp_path / "none.txt"), "--output", str(tmp_path)])
    with pytest.raises(InputError, match="expected a file that ends with"):
        command(["train", "--data", str(tmp_path / "a.pdf"), "--output", str(tmp_path)])
    with pytest.raises(InvalidArgument, match="Did you mean 'train'"):
        command(["trian"])
