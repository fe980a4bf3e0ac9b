"""The Tokenizer's own behaviour: errors, files, special tokens, BatchEncoding."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import WordLevel

import panpipe.tokenization
from panpipe.errors import (
    CheckpointNotFound,
    InputError,
    InvalidArgument,
    MissingDependency,
    TokenizerError,
    TooLong,
    UnknownArgument,
)
from panpipe.tokenization import AutoTokenizer, Tokenizer
from panpipe.weights.source import Folder

from .conftest import FOLDERS, shared

LONG = "the cat sat on a mat and it isn't the whole life"


# -- what is said when something is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "is None"),
        (5, "5 (int)"),
        (b"bytes", "bytes"),
        (["a", None], "text 1 is None"),
        (["a", 5], "text 1 is 5 (int)"),
        ([["a", "b", "c"]], "list of 3 strings"),
        ([["a", 3]], "contains 3 (int)"),
        ("ab\ud800", "lone surrogate ('\\ud800') at character 2"),
        (["fine", "ab\udfff"], "text 1 has a lone surrogate"),
        ([("fine", "\ud800")], "lone surrogate"),
    ],
)
def test_what_is_no_text_is_named(bert: Tokenizer, given: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        bert(given)
    assert said in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_words_that_are_none_are_named(bert: Tokenizer) -> None:
    with pytest.raises(InputError, match="list of words"):
        bert("a b", is_split_into_words=True, add_special_tokens=False) and bert.encode_batch(
            ["a b"], is_split_into_words=True
        )
    with pytest.raises(InputError, match="text 1"):
        bert([["a"], ["b", None]], is_split_into_words=True)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"trunaction": True}, UnknownArgument, "Did you mean 'truncation'?"),
        ({"truncation": "longest"}, InvalidArgument, "longest_first"),
        ({"padding": "max_lenght"}, InvalidArgument, "Did you mean 'max_length'?"),
        ({"padding": True, "padding_side": "up"}, InvalidArgument, "'right' or 'left'"),
        ({"truncation": True, "max_length": -1}, InvalidArgument, "max_length=-1"),
        ({"truncation": True, "max_length": 5.5}, InvalidArgument, "whole number"),
        ({"truncation": True, "max_length": 1}, InvalidArgument, "special tokens alone are 2"),
        (
            {"truncation": True, "max_length": 6, "stride": 4, "return_overflowing_tokens": True},
            InvalidArgument,
            "stride",
        ),
        ({"truncation": True, "max_length": 6, "stride": 9}, InvalidArgument, "stride=9"),
        ({"truncation": "only_second", "max_length": 6}, InvalidArgument, "text_pair"),
        ({"padding": True, "truncation": True, "max_length": 6, "pad_to_multiple_of": 4}, InvalidArgument, "multiple"),
        ({"return_tensors": "tf"}, InvalidArgument, "'np'"),
    ],
)
def test_arguments_that_cannot_be_are_refused(bert: Tokenizer, options: dict[str, Any], kind: Any, said: str) -> None:
    with pytest.raises(kind) as caught:
        bert(LONG, **options)
    assert said in str(caught.value)


def test_pairs_that_do_not_match_are_refused(bert: Tokenizer) -> None:
    with pytest.raises(InvalidArgument, match="2 texts and 1 second"):
        bert(["a", "b"], ["c"])
    with pytest.raises(InputError, match="one for each text"):
        bert(["a", "b"], "c")
    with pytest.raises(InputError, match="expected a list"):
        bert.encode_batch("abc")


def test_a_pair_that_truncation_cannot_make_fit_is_named(bert: Tokenizer) -> None:
    with pytest.raises(TooLong, match="text 1") as caught:
        bert(["a", "b"], ["c", LONG], truncation="only_first", max_length=9)
    assert "too short" in str(caught.value)  # transformers' words, which callers look for


def test_a_stride_too_long_for_a_pair_is_refused_and_harms_nothing(bert: Tokenizer) -> None:
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="stride"):
            bert(LONG, LONG, truncation=True, max_length=8, stride=2, return_overflowing_tokens=True)
    assert bert("cat").input_ids == shared("bert")("cat").input_ids


def test_no_padding_token_is_said_with_the_remedy() -> None:
    tokenizer = Tokenizer(tokenizer_object=RustTokenizer(WordLevel({"a": 0, "?": 1}, unk_token="?")))
    for pad in (lambda: tokenizer(["a", "a a"], padding=True), lambda: tokenizer.pad([{"input_ids": [0]}])):
        with pytest.raises(InvalidArgument, match=r"pad_token = tokenizer\.eos_token"):
            pad()


@pytest.mark.parametrize("ids", [[-100, 5], [5, 2**40], "text", [[1], [2]], [1.5]])
def test_what_is_no_id_cannot_be_decoded(bert: Tokenizer, ids: Any) -> None:
    with pytest.raises(InputError):
        bert.decode(ids)


def test_missing_torch_is_said_with_the_command(bert: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match="pip install"):
        bert("a", return_tensors="pt")


def test_each_warning_is_logged_once(bert: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    bert.model_max_length = 4
    with caplog.at_level(logging.WARNING, "panpipe"):
        for _ in range(3):
            bert(LONG)
            bert(LONG, max_length=5)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "19 tokens are more than the 4 that the model takes".replace("19", str(len(shared("bert")(LONG).input_ids))),
        "max_length is given without truncation=",
    ]


def test_without_a_limit_truncation_warns_and_cuts_nothing(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS / "distilbert")
    assert tokenizer.model_max_length == int(1e30)
    with caplog.at_level(logging.WARNING, "panpipe"):
        assert tokenizer(LONG, truncation=True) == tokenizer(LONG)
        assert tokenizer([LONG], padding="max_length") == tokenizer([LONG])
    assert len(caplog.records) == 1
    assert "model_max_length" in caplog.text


# -- files -----------------------------------------------------------------------------------------------------------


def copy_of(name: str, folder: Path, **files: Any) -> Path:
    shutil.copytree(FOLDERS / name, folder)
    for file, content in files.items():
        (folder / f"{file}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_class_of_its_own_making_is_refused_with_a_way_out(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path / "it", tokenizer_config={"tokenizer_class": "KoBertTokenizer"})
    with pytest.raises(TokenizerError, match=r"'KoBertTokenizer' cannot be built .* tokenizer\.json"):
        AutoTokenizer.from_pretrained(folder)


def test_a_class_we_do_not_know_is_no_matter_beside_a_tokenizer_json(tmp_path: Path) -> None:
    folder = copy_of("bert_cased_json", tmp_path / "it")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "KoBertTokenizer"}))
    assert AutoTokenizer.from_pretrained(folder)(LONG) == shared("bert_cased_json")(LONG)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for config, said in (
        ({"tokenizer_class": "RobertaTokenizer"}, "vocab.json and merges.txt"),
        ({"tokenizer_class": "AlbertTokenizer"}, "spiece.model"),
        ({}, "which tokenizer"),
    ):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        with pytest.raises(TokenizerError, match=said):
            AutoTokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointNotFound):
        AutoTokenizer.from_pretrained(tmp_path / "no such folder")


def test_folders_saved_by_transformers_5_open(tmp_path: Path) -> None:
    config = {
        "tokenizer_class": "TokenizersBackend",
        "extra_special_tokens": ["<one>", "<two>"],
        "backend": "tokenizers",
    }
    folder = copy_of("distilbert", tmp_path / "it", tokenizer_config=config)
    shutil.copy(FOLDERS / "bert_cased_json" / "tokenizer.json", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.model_input_names == ["input_ids", "attention_mask"]
    assert tokenizer.additional_special_tokens == ["<one>", "<two>"]
    assert tokenizer.tokenize("a<one>b")[1] == "<one>"


def test_a_source_and_a_subfolder_will_do(tmp_path: Path) -> None:
    copy_of("bert", tmp_path / "deep" / "er")
    for tokenizer in (
        AutoTokenizer.from_pretrained(Folder(FOLDERS / "bert")),
        AutoTokenizer.from_pretrained(tmp_path, subfolder="deep/er", use_fast=False, trust_remote_code=True),
        AutoTokenizer.from_pretrained(str(FOLDERS / "bert"), local_files_only=True),
    ):
        assert tokenizer(LONG) == shared("bert")(LONG)
    assert tokenizer.name_or_path == str(FOLDERS / "bert")


def test_a_misspelt_setting_is_named_and_any_other_taken() -> None:
    with pytest.raises(UnknownArgument, match="Did you mean 'do_lower_case'"):
        AutoTokenizer.from_pretrained(FOLDERS / "bert", do_lowercase=False)
    with pytest.raises(UnknownArgument, match="Did you mean 'model_max_length'"):
        AutoTokenizer.from_pretrained(FOLDERS / "bert", max_model_length=5)
    assert AutoTokenizer.from_pretrained(FOLDERS / "bert", favourite="blue").init_kwargs["favourite"] == "blue"


def test_what_tokenizer_json_stores_is_saved_again_but_not_obeyed(tmp_path: Path) -> None:
    tokenizer = shared("bert_overlaid")
    stored = json.loads((FOLDERS / "bert_overlaid" / "tokenizer.json").read_text())
    assert len(tokenizer(LONG).input_ids) > stored["truncation"]["max_length"]
    assert tokenizer.padding_side == "left"
    tokenizer.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text())
    assert (saved["truncation"], saved["padding"]) == (stored["truncation"], stored["padding"])


def test_a_chat_template_is_kept_as_text(tmp_path: Path) -> None:
    folder = copy_of("bert", tmp_path / "it")
    (folder / "chat_template.jinja").write_text("{{ messages }}\n", encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template == "{{ messages }}\n"
    tokenizer.save_pretrained(tmp_path / "saved")
    assert AutoTokenizer.from_pretrained(tmp_path / "saved").chat_template == tokenizer.chat_template


def test_changed_settings_are_saved(bert: Tokenizer, tmp_path: Path) -> None:
    bert.model_max_length = 77
    bert.padding_side = "left"
    bert.add_special_tokens({"additional_special_tokens": ["<one>"]})
    bert.add_tokens(["newword", AddedToken("other", lstrip=True)])
    bert.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert (again.model_max_length, again.padding_side) == (77, "left")
    assert again.tokenize("a newword <one>  other") == bert.tokenize("a newword <one>  other")
    assert "newword" in again.tokenize("a newword")
    assert again.additional_special_tokens == ["<one>"]


def test_saving_onto_a_file_is_refused(bert: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgument, match="is a file"):
        bert.save_pretrained(tmp_path / "file")


# -- special tokens and the vocabulary -------------------------------------------------------------------------------


def test_special_tokens_are_attributes_that_can_be_set(bert: Tokenizer) -> None:
    assert (bert.mask_token, bert.bos_token, bert.bos_token_id) == ("[MASK]", None, None)
    bert.bos_token = "[CLS]"
    assert bert.bos_token_id == bert.cls_token_id
    bert.eos_token_id = bert.sep_token_id
    assert bert.eos_token == "[SEP]"
    bert.unk_token = None
    assert bert.convert_tokens_to_ids("no such token") is None
    with pytest.raises(InvalidArgument, match="mask_token"):
        bert.mask_token = 5  # type: ignore[assignment]
    with pytest.raises(AttributeError, match="Did you mean 'mask_token'"):
        _ = bert.mask_tokn


def test_a_copys_special_tokens_are_its_own(bert: Tokenizer) -> None:
    for duplicate in (copy.copy, copy.deepcopy):
        other = duplicate(bert)
        other.pad_token, other.truncation_side = "[SEP]", "left"
        assert (bert.pad_token, bert.truncation_side) == ("[PAD]", "right")
        assert other.pad_token_id == bert.sep_token_id


def test_tokens_can_be_added(bert: Tokenizer) -> None:
    size = len(bert)
    cut = {"truncation": True, "max_length": 5}
    assert bert.tokenize("hello brandnew", **cut)  # makes a view, which must not outlive the change
    assert bert.add_tokens("brandnew") == 1
    assert bert.add_tokens(["brandnew"]) == 0
    assert bert.add_special_tokens({"bos_token": "<bos>", "additional_special_tokens": ["<one>", "<two>"]}) == 3
    assert len(bert) == size + 4
    assert bert.vocab_size == size
    assert bert.tokenize("brandnew<bos>", **cut) == ["brandnew", "<bos>"]
    assert bert.bos_token_id == size + 1
    assert bert.decode([size + 1, size], skip_special_tokens=True) == "brandnew"
    with pytest.raises(InvalidArgument, match="Did you mean 'bos_token'"):
        bert.add_special_tokens({"bos_tokens": "<b>"})
    assert list(bert.get_added_vocab())[-4:] == ["brandnew", "<bos>", "<one>", "<two>"]


def test_a_checkpoints_own_special_tokens_are_attributes(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FOLDERS / "bert", extra_special_tokens={"image_token": "<image>"})
    assert tokenizer.image_token == "<image>"
    assert tokenizer.image_token_id == tokenizer.convert_tokens_to_ids("<image>") == len(tokenizer) - 1
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).image_token == "<image>"


def test_a_rust_tokenizer_can_be_wrapped(tmp_path: Path) -> None:
    rust = RustTokenizer(WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?"))
    tokenizer = Tokenizer(tokenizer_object=rust, unk_token="?", pad_token="<p>")
    assert tokenizer(["a", "c"], padding=True).input_ids == [[0], [2]]
    assert tokenizer.pad_token_id == 3
    assert rust.get_vocab_size() == 3
    rust.save(str(tmp_path / "t.json"))
    assert Tokenizer(tokenizer_file=tmp_path / "t.json").get_vocab() == rust.get_vocab()
    with pytest.raises(InvalidArgument, match="from_pretrained"):
        Tokenizer()


def test_named_classes_load_as_that_class(tmp_path: Path) -> None:
    shutil.copy(FOLDERS / "bert" / "vocab.txt", tmp_path)
    for name in ("BertTokenizer", "BertTokenizerFast"):
        tokenizer = getattr(panpipe.tokenization, name).from_pretrained(tmp_path)
        assert type(tokenizer).__name__ == name
        assert tokenizer(LONG) == shared("bert")(LONG)
        assert type(pickle.loads(pickle.dumps(tokenizer))) is type(tokenizer)
    with pytest.raises(AttributeError, match="NoSuchTokenizer"):
        _ = panpipe.tokenization.NoSuchTokenizer


# -- calls -----------------------------------------------------------------------------------------------------------


def test_an_empty_batch_is_an_empty_answer(bert: Tokenizer) -> None:
    assert bert([]) == {"input_ids": [], "token_type_ids": [], "attention_mask": []}
    assert bert([], padding=True, return_tensors="np")["input_ids"].size == 0
    assert bert.encode_batch([]) == []
    assert bert.encode_ids([]) == ([], [])


def test_any_iterable_of_texts_is_a_batch(bert: Tokenizer) -> None:
    texts = ["a cat", "sat"]
    for given in (tuple(texts), np.array(texts), iter(texts), dict.fromkeys(texts).keys()):
        assert bert(given) == bert(texts)
    assert bert(np.array(texts), np.array(texts)) == bert(texts, texts)
    with pytest.raises(InputError, match="dict"):
        bert({"text": "a"})


def test_labels_come_from_target_texts(bert: Tokenizer) -> None:
    assert bert("a", text_target="b")["labels"] == bert("b")["input_ids"]
    assert bert(text_target="b") == bert("b")


def test_arrays_of_ids_are_ids(bert: Tokenizer) -> None:
    ids = bert.encode("the cat sat")
    text = bert.decode(ids)
    assert bert.decode(np.array(ids)) == text
    assert bert.decode(ids[1]) == bert.decode(np.int64(ids[1])) == "the"
    assert bert.batch_decode(np.array([ids, ids])) == [text, text]
    assert bert.convert_ids_to_tokens(np.array(ids)) == bert.convert_ids_to_tokens(ids)
    assert bert.convert_ids_to_tokens(np.int32(ids[1])) == "the"
    padded = bert.pad([{"input_ids": np.array([1, 2])}, {"input_ids": np.array([3])}])
    assert padded["input_ids"].tolist() == [[1, 2], [3, bert.pad_token_id]]


def test_a_batch_encoding_is_a_dictionary_with_attributes(bert: Tokenizer) -> None:
    row = bert("the cat", "sat")
    assert {**row} == row.data == dict(row)
    assert row.input_ids == row["input_ids"]
    assert row.n_sequences == 2
    assert row[0].ids == row.input_ids
    assert row.sequence_ids() == [None, 0, 0, None, 1, None]
    assert row.tokens() == ["[CLS]", "the", "cat", "[SEP]", "sat", "[SEP]"]
    assert row.to("cpu") is row
    copied = pickle.loads(pickle.dumps(row))
    assert copied == row
    assert copied.word_ids() == row.word_ids()
    with pytest.raises(AttributeError, match="labels"):
        _ = row.labels
    with pytest.raises(InvalidArgument):
        bert.pad(dict(row)).tokens()


def test_ragged_rows_are_an_array_of_lists_or_an_error_that_says_padding(bert: Tokenizer) -> None:
    ragged = bert(["a", "a cat"], return_tensors="np")["input_ids"]
    assert ragged.dtype == object
    assert [list(row) for row in ragged] == bert(["a", "a cat"])["input_ids"]


def test_importing_is_light() -> None:
    heavy = "'torch', 'transformers', 'sentencepiece', 'huggingface_hub', 'google.protobuf'"
    code = f"import sys, panpipe.tokenization; print([m for m in ({heavy}) if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
