"""Hostile tokenizer files: refused with one of our errors, at once; no panic of the Rust library gets past.

Merges longer than the vocabulary's tokens, regular expressions that never end, and files changed at random.
"""

from __future__ import annotations

import base64
import copy
import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import CheckpointError, InputError, PanpipeError, TokenizerError, UnsafeCheckpoint
from panpipe.tokenization import AutoTokenizer, Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
SECONDS = 2.0  # of the processor's time, for what takes milliseconds


def tokenizer_json(**parts: Any) -> dict[str, Any]:
    """A tokenizer.json of two words, with other parts."""
    model = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"}
    names = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
    return {"version": "1.0", "added_tokens": [], **dict.fromkeys(names), "model": model, **parts}


def bpe(vocab: Any, merges: Any, **more: Any) -> dict[str, Any]:
    return tokenizer_json(model={"type": "BPE", "vocab": vocab, "merges": merges, **more})


def template(*ids: int, tokens: tuple[str, ...] = ("[CLS]",)) -> dict[str, Any]:
    piece = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    special = {"[CLS]": {"id": "[CLS]", "ids": list(ids), "tokens": list(tokens)}}
    single, pair = [piece, {"Sequence": {"id": "A", "type_id": 0}}], [piece, {"Sequence": {"id": "B", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}


def nested(depth: int) -> dict[str, Any]:
    part: dict[str, Any] = {"type": "NFC"}
    for _ in range(depth):
        part = {"type": "Sequence", "normalizers": [part]}
    return part


HOSTILE: dict[str, Any] = {
    "merge of what is not in the vocabulary": bpe({"a": 0, "b": 1}, [["a", "b"]]),
    "merge of unknown tokens": bpe({"a": 0}, [["x", "y"]]),
    "merge shorter than its prefix": bpe({"a": 0, "b": 1}, [["a", "b"]], continuing_subword_prefix="####"),
    "merge cut inside a character": bpe({"a": 0, "é": 1}, [["a", "é"]], continuing_subword_prefix="#"),
    "merge of three": bpe({"a": 0, "b": 1}, ["a b c"]),
    "merge of one": bpe({"a": 0}, [["a"]]),
    "merges that are numbers": bpe({"a": 0}, [1, 2], continuing_subword_prefix="##"),
    "vocabulary of lists": bpe([["a", 0]], []),
    "negative id": bpe({"a": -1}, []),
    "id of 2^32 - 1": tokenizer_json(model={"type": "WordLevel", "vocab": {"a": 2**32 - 1, "b": 0}, "unk_token": "b"}),
    "id of 2^64": bpe({"a": 2**64}, []),
    "no unknown token in the vocabulary": tokenizer_json(model={"type": "Unigram", "vocab": [], "unk_id": 5}),
    "unknown id beyond the vocabulary": tokenizer_json(model={"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": 9}),
    "no such model": tokenizer_json(model={"type": "Oracle", "vocab": {}}),
    "template of an id that is no token's": tokenizer_json(post_processor=template(77)),
    "template of a huge id": tokenizer_json(post_processor=template(2**32 - 1)),
    "template of more ids than tokens": tokenizer_json(post_processor=template(0, 1, 2)),
    "template of no known token": tokenizer_json(post_processor={**template(0), "special_tokens": {}}),
    "broken regular expression": tokenizer_json(
        pre_tokenizer={"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": False}
    ),
    "character map of rubbish": tokenizer_json(
        normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff" * 64).decode()}
    ),
    "nesting without end": tokenizer_json(normalizer=nested(200)),
    "added token of a huge id": tokenizer_json(added_tokens=[{"id": 2**40, "content": "x", "special": True}]),
    "no model": {"version": "1.0"},
    "a list": [],
    "a number": 5,
}


def write(folder: Path, **files: Any) -> Path:
    for name, content in files.items():
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        (folder / f"{name}.json").write_bytes(data)
    return folder


def refused(folder: Path, kind: type[Exception] = TokenizerError) -> str:
    begin = time.process_time()
    with pytest.raises(kind) as caught:
        AutoTokenizer.from_pretrained(folder)
    assert time.process_time() - begin < SECONDS
    assert len(str(caught.value)) < 1500
    return str(caught.value)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(name: str, tmp_path: Path) -> None:
    said = refused(write(tmp_path, tokenizer=HOSTILE[name]))
    assert tmp_path.name in said


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000, b'{"a":' * 100_000, b"\x00" * 1000])
@pytest.mark.parametrize("name", ["tokenizer", "tokenizer_config"])
def test_files_that_are_no_json_are_refused(name: str, data: bytes, tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "bert" / "vocab.txt", tmp_path)
    refused(write(tmp_path, **{"tokenizer_config": {"tokenizer_class": "BertTokenizer"}, name: data}), CheckpointError)


def test_an_aborting_merge_is_found_under_any_spelling_of_its_keys(tmp_path: Path) -> None:
    text = json.dumps(bpe({"a": 0, "é": 1}, [["a", "é"]], continuing_subword_prefix="#"))
    for key in ("continuing_subword_prefix", "merges", "model"):
        hidden = text.replace(f'"{key}"', f'"{key[:-1]}\\u{ord(key[-1]):04x}"')
        assert hidden != text
        assert "lacks the prefix" in refused(write(tmp_path, tokenizer=hidden.encode()))


def test_good_merges_with_a_prefix_load(tmp_path: Path) -> None:
    vocab = {"a": 0, "##b": 1, "ab": 2}
    for merges in ([["a", "##b"]], ["a ##b"]):
        write(tmp_path, tokenizer=bpe(vocab, merges, continuing_subword_prefix="##"))
        assert AutoTokenizer.from_pretrained(tmp_path).tokenize("ab") == ["ab"]


def test_a_regular_expression_without_end_is_an_error_of_the_call(tmp_path: Path) -> None:
    split = {"type": "Split", "pattern": {"Regex": "^(a+)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer = AutoTokenizer.from_pretrained(write(tmp_path, tokenizer=tokenizer_json(pre_tokenizer=split)))
    text = "a" * 40 + "b"
    for call in (
        lambda: tokenizer(text),
        lambda: tokenizer(["fine", text], truncation=True, max_length=5),
        lambda: tokenizer.encode_ids([text]),
    ):
        with pytest.raises(TokenizerError, match=r"text \d"):
            call()
    assert tokenizer("b").input_ids == [1]  # and it still works


def test_stored_truncation_and_padding_do_no_harm(tmp_path: Path) -> None:
    padding = {"strategy": {"Fixed": 2**50}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0}
    padding |= {"pad_type_id": 0, "pad_token": "a"}
    truncation = {"direction": "Left", "max_length": 0, "strategy": "LongestFirst", "stride": 9}
    whitespace = {"type": "Whitespace"}
    write(tmp_path, tokenizer=tokenizer_json(padding=padding, truncation=truncation, pre_tokenizer=whitespace))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("a b a").input_ids == [0, 1, 0]
    assert (tokenizer.truncation_side, tokenizer.pad_token) == ("left", "a")
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved")("a b a").input_ids == [0, 1, 0]


@pytest.mark.parametrize(
    "config",
    [
        [],
        {"model_max_length": "many"},
        {"model_max_length": True},
        {"padding_side": "up"},
        {"truncation_side": 5},
        {"model_input_names": []},
        {"model_input_names": "input_ids"},
        {"mask_token": 5},
        {"mask_token": {"no": "content"}},
        {"additional_special_tokens": "text"},
        {"additional_special_tokens": [None]},
        {"extra_special_tokens": 5},
        {"added_tokens_decoder": {"-1": {"content": "x"}}},
        {"added_tokens_decoder": {"9" * 30: {"content": "x"}}},
        {"added_tokens_decoder": {"5": "x"}},
        {"added_tokens_decoder": {"5": {"content": "x", "lstrip": "yes", "evil": 1}}},
        {"strip_accents": "maybe"},
        {"do_lower_case": "maybe"},
    ],
    ids=str,
)
def test_settings_of_the_wrong_kind_are_refused(config: Any, tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "bert" / "vocab.txt", tmp_path)
    if isinstance(config, dict):
        config = {"tokenizer_class": "BertTokenizer", **config}
    refused(write(tmp_path, tokenizer_config=config))


def test_names_that_lead_outside_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    folder = tmp_path / "it"
    shutil.copytree(GOLDEN / "bert", folder)
    config = {"tokenizer_class": "BertTokenizer", "vocab_file": "../secret.json", "tokenizer_file": "../secret.json"}
    assert AutoTokenizer.from_pretrained(write(folder, tokenizer_config=config)).tokenize("cat") == ["cat"]
    with pytest.raises(UnsafeCheckpoint):
        AutoTokenizer.from_pretrained(folder, subfolder="../..")


def test_code_is_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "it"
    shutil.copytree(GOLDEN / "bert", folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    auto_map = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    write(folder, tokenizer_config={"tokenizer_class": "BertTokenizer", "auto_map": auto_map})
    AutoTokenizer.from_pretrained(folder, trust_remote_code=True)("a")
    assert not (tmp_path / "ran").exists()


# -- at random -------------------------------------------------------------------------------------------------------

# fmt: off
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**32, 2**64, 1e308, float("nan"), [], {}, [["a", "b"]], {"a": 1}, [[[[]]]],
    "", "a", "▁", "##", "^(a+)+$", "(", "x" * 10_000, "BPE", "Unigram", "WordLevel", "WordPiece", "Sequence", "Split",
    "ByteLevel", "Metaspace",
]
# fmt: on
TRIED: list[Any] = ["the cat sat", "a" * 33 + "b", "서울 김 😀 \n x", "", ["a b", "c"]]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to (some of) the values in a JSON value."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items[:25]:
        yield (*path, key)
        yield from places(inner, (*path, key))


def change(value: Any, chance: random.Random) -> None:
    *path, last = chance.choice(list(places(value)))
    for key in path:
        value = value[key]
    if chance.random() < 0.2:
        del value[last]
    elif isinstance(value, list) and chance.random() < 0.3:
        value.insert(last, copy.deepcopy(chance.choice(VALUES)))
    else:
        value[last] = copy.deepcopy(chance.choice(VALUES))


def use(tokenizer: Tokenizer) -> None:
    for text in TRIED:
        with suppress(PanpipeError):
            row = tokenizer(text, truncation=True, max_length=6, return_overflowing_tokens=True)
            for ids in row.input_ids:
                tokenizer.decode(ids)
            tokenizer.encode_ids([text] if isinstance(text, str) else text)
    repr(tokenizer)


@pytest.mark.parametrize("seed", range(4))
def test_files_changed_at_random_load_or_are_refused(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    name = ["bert_cased_json", "roberta_json", "xlm_roberta_json", "bert_overlaid"][seed]
    originals = {
        file: json.loads((GOLDEN / name / f"{file}.json").read_text()) for file in ("tokenizer", "tokenizer_config")
    }
    loaded = 0
    for _ in range(100):
        files = copy.deepcopy(originals)
        change(files[chance.choice(["tokenizer", "tokenizer", "tokenizer_config"])], chance)
        write(tmp_path, **files)
        begin = time.process_time()
        try:
            use(AutoTokenizer.from_pretrained(tmp_path))
            loaded += 1
        except PanpipeError:
            pass
        assert time.process_time() - begin < SECONDS, files
    assert 0 < loaded < 100


@pytest.mark.parametrize("name", ["albert", "xlm_roberta", "xlm_roberta_bpe", "bert", "roberta"])
def test_vocabularies_with_changed_bytes_load_or_are_refused(name: str, tmp_path: Path) -> None:
    chance = random.Random(name)
    shutil.copytree(GOLDEN / name, tmp_path / "it")
    vocabulary = next(p for p in sorted((tmp_path / "it").iterdir()) if p.suffix in (".model", ".txt"))
    original = vocabulary.read_bytes()
    for size in [0, 1, 2, 3, *chance.sample(range(4, len(original)), 12)]:  # cut short
        vocabulary.write_bytes(original[:size])
        try_to_use(tmp_path / "it")
    for _ in range(60):
        data = bytearray(original)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(data)) if chance.random() < 0.5 else len(data) - chance.randint(1, 700)
            data[place] = chance.randrange(256)
        vocabulary.write_bytes(data)
        try_to_use(tmp_path / "it")


def try_to_use(folder: Path) -> None:
    begin = time.process_time()
    with suppress(PanpipeError):
        use(AutoTokenizer.from_pretrained(folder))
    assert time.process_time() - begin < SECONDS


# -- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm_roberta", "xlm_roberta_bpe", "albert", "t5"])
def test_long_awkward_texts_take_time_in_proportion(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / name)
    for unit in ("x", "e\u0301", "👩\u200d", "서", " "):
        times = []
        for size in (10_000, 40_000):
            begin = time.process_time()
            tokenizer(unit * (size // len(unit)), verbose=False)
            times.append(time.process_time() - begin)
        assert times[1] < 4 * 4 * times[0] + 0.5, (unit, times)


def test_any_unicode_or_none_is_an_answer_or_an_input_error() -> None:
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "bert")
    chance = random.Random(5)
    for _ in range(300):
        text = "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randint(1, 6)))
        if any("\ud800" <= character <= "\udfff" for character in text):
            with pytest.raises(InputError, match="surrogate"):
                tokenizer(text)
        else:
            assert tokenizer.decode(tokenizer(text).input_ids)
