"""Hostile files of tokenizers whose pieces and ids come apart: refused with one of our errors, at once."""

from __future__ import annotations

import json
import random
import shutil
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import CheckpointError, PanpipeError, TokenizerError
from panpipe.tokenization import AutoTokenizer
from panpipe.tokenization.sentencepiece import CharacterMap

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
SECONDS = 2.0  # of the processor's time, for what takes milliseconds
BASIC = {"</s>": 0, "<unk>": 1, "<pad>": 2, "<s>": 3}

VOCABULARIES: dict[str, Any] = {
    "a list": [],
    "a number": 5,
    "null": None,
    "no tokens": {},
    "no unknown token": {"a": 0, "<pad>": 1, "</s>": 2},
    "no padding token": {"a": 0, "<unk>": 1, "</s>": 2},
    "an id that is a text": {**BASIC, "a": "4"},
    "an id that is a list": {**BASIC, "a": [4]},
    "an id that is true": {**BASIC, "a": True},
    "a fraction": {**BASIC, "a": 4.5},
    "a negative id": {**BASIC, "a": -1},
    "an id of 2^31": {**BASIC, "a": 2**31},
    "an id of 2^70": {**BASIC, "a": 2**70},
    "a huge gap": {**BASIC, "a": 2**31 - 1},
    "a large gap": {**BASIC, "a": 50_000},
    "one id twice": {**BASIC, "a": 4, "b": 4},
}

RAW = {
    "nothing": b"",
    "zeros": bytes(1000),
    "no UTF-8": b'{"\xff": 1}',
    "half": b'{"a": 1',
    "nesting": b"[" * 200_000,
    "twice the same key": b'{"a": 0, "a": 1}',
}


def varint(value: int) -> bytes:
    data = b""
    while value >= 0x80:
        data += bytes([value & 0x7F | 0x80])
        value >>= 7
    return data + bytes([value])


def field(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def with_map(charsmap: bytes) -> bytes:
    """A sentencepiece model of one piece with a character map."""
    piece = field(1, field(1, "▁a".encode()) + b"\x15" + struct.pack("<f", -1.0))
    return piece + field(3, field(2, charsmap))


def in_folder(tmp_path: Path, kind: str, **files: bytes) -> Path:
    folder = tmp_path / "it"
    shutil.copytree(GOLDEN / kind, folder)
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    return folder


def refused(folder: Path) -> str:
    begin = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        AutoTokenizer.from_pretrained(folder)
    assert time.process_time() - begin < SECONDS
    assert len(str(caught.value)) < 1500
    return str(caught.value)


@pytest.mark.parametrize("kind", ["marian", "m2m100"])
@pytest.mark.parametrize("name", VOCABULARIES)
def test_vocabularies_that_give_no_ids_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    data = json.dumps(VOCABULARIES[name]).encode()
    folder = in_folder(tmp_path, kind, vocab__json=data)
    assert str(folder) in refused(folder)


@pytest.mark.parametrize("kind", ["marian", "m2m100", "qwen2", "openai_gpt"])
@pytest.mark.parametrize("name", RAW)
def test_vocabularies_that_are_no_json_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    refused(in_folder(tmp_path, kind, vocab__json=RAW[name]))


@pytest.mark.parametrize("kind", ["qwen2", "openai_gpt", "gpt2"])
@pytest.mark.parametrize("name", [name for name in VOCABULARIES if name.startswith(("a ", "an "))])
def test_vocabularies_of_merges_with_wrong_ids_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    if "gap" in name:
        pytest.skip("where merges make the pieces, ids may have gaps")
    refused(in_folder(tmp_path, kind, vocab__json=json.dumps(VOCABULARIES[name]).encode()))


def test_a_separate_vocabulary_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = in_folder(tmp_path, "marian_separate")
    (folder / "target_vocab.json").unlink()
    assert "target_vocab.json" in refused(folder)


@pytest.mark.parametrize("name", ["source.spm", "target.spm", "vocab.json"])
def test_a_file_that_is_missing_is_named(name: str, tmp_path: Path) -> None:
    folder = in_folder(tmp_path, "marian")
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("data", [b"", bytes(100), b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"{}", b"\x08" * 5000])
def test_models_that_are_none_are_refused(data: bytes, tmp_path: Path) -> None:
    for number, (kind, name) in enumerate((("marian", "source__spm"), ("llama", "tokenizer__model"))):
        refused(in_folder(tmp_path / str(number), kind, **{name: data}))


MAPS = {
    "shorter than its number": b"\x01",
    "longer than the file": struct.pack("<I", 2**31) + bytes(40),
    "of no units": struct.pack("<I", 0) + bytes(40),
    "of half a unit": struct.pack("<I", 6) + bytes(40),
    "that leads outside": struct.pack("<I", 4) + b"\xff\xff\xff\xff" + b"a\0",
    "of random units": struct.pack("<I", 400) + random.Random(1).randbytes(400) + b"a\0",
}


@pytest.mark.parametrize("name", MAPS)
def test_character_maps_that_lead_nowhere_are_errors_of_ours(name: str, tmp_path: Path) -> None:
    with suppress(PanpipeError):
        folder = in_folder(tmp_path, "marian", source__spm=with_map(MAPS[name]))
        tokenizer = AutoTokenizer.from_pretrained(folder)
        for text in ("a", "e\u0301 각 ｶﾞ", "\r\n"):
            with suppress(PanpipeError):
                tokenizer(text)
    with suppress(TokenizerError):
        CharacterMap(MAPS[name]).apply("e\u0301 각 ｶﾞ")


@pytest.mark.parametrize("kind", ["marian", "marian_separate", "m2m100", "llama", "gemma", "pegasus", "nllb"])
def test_files_changed_at_random_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    folder = in_folder(tmp_path, kind)
    names = [path for path in sorted(folder.iterdir()) if path.name != "golden.json"]
    for _ in range(25):
        path = chance.choice(names)
        before = path.read_bytes()
        data = bytearray(before)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(data))
            data[place : place + chance.choice([0, 1, 1, 1, 8])] = chance.randbytes(chance.choice([0, 1, 1, 1, 8]))
        path.write_bytes(bytes(data))
        begin = time.process_time()
        with suppress(PanpipeError):
            tokenizer = AutoTokenizer.from_pretrained(folder)
            for text in ("the cat 서울에 e\u0301 </s>", ">>kor<< a"):
                with suppress(PanpipeError):
                    tokenizer.decode(tokenizer(text).input_ids)
        assert time.process_time() - begin < SECONDS
        path.write_bytes(before)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pegasus", {"offset": 10**9}),
        ("pegasus", {"offset": "many"}),
        ("t5", {"extra_ids": 10**9}),
        ("t5", {"extra_ids": -5}),
        ("m2m100", {"language_codes": "klingon"}),
        ("m2m100", {"language_codes": ["en"]}),
        ("mbart", {"src_lang": "xx_XX"}),
        ("mbart", {"src_lang": 5}),
        ("nllb", {"tgt_lang": ["eng_Latn"]}),
        ("marian", {"unk_token": "nothing"}),
        ("marian", {"eos_token": None}),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    config = json.loads((GOLDEN / kind / "tokenizer_config.json").read_text())
    refused(in_folder(tmp_path, kind, tokenizer_config__json=json.dumps({**config, **settings}).encode()))


def test_a_start_without_end_takes_time_in_proportion() -> None:
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "marian")
    for text in (">>" * 50_000, ">>" + "x" * 100_000, ">>a<<" * 20_000, "e\u0301" * 50_000):
        begin = time.process_time()
        assert tokenizer(text, verbose=False).input_ids
        assert time.process_time() - begin < SECONDS


def test_many_different_starts_do_not_fill_the_memory() -> None:
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "marian")
    for number in range(300):
        assert tokenizer(f">>l{number}<< cat").input_ids
    assert len(tokenizer._views._odd) <= 64
