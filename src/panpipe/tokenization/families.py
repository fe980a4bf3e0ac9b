"""What each tokenizer class of the Hub stands for: a table.

A row says which special tokens, options and inputs a class has when its files do not say, from which files it is built
when there is no tokenizer.json, and how its options are laid over one. Adding a class is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from . import build, overlay
from .build import Spm

__all__ = ["CLASS_OF_MODEL_TYPE", "FAMILIES", "GENERIC", "Family", "class_name"]

IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"
Flags = Mapping[str, bool]


@dataclass(frozen=True)
class Family:
    """One tokenizer class.

    special_tokens: by attribute name.   marks: flags (lstrip, normalized …) of those given as plain strings;
    built_marks: the same where the tokenizer is built from a vocabulary.
    options: the class's own settings and their defaults; built_options: more, where it is built.
    vocabulary: the files it is built from.   build: from them, or None: only a tokenizer.json will do.
    finish: puts the special tokens into a built one.   adjust: lays the options over the Rust tokenizer.
    settings: fills in settings that follow from others.   words_need_prefix: is_split_into_words needs
    add_prefix_space.
    """

    special_tokens: Mapping[str, Any] = field(default_factory=dict)
    marks: Mapping[str, Flags] = field(default_factory=dict)
    built_marks: Mapping[str, Flags] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    built_options: Mapping[str, Any] = field(default_factory=dict)
    input_names: tuple[str, ...] = (IDS, TYPES, MASK)
    vocabulary: tuple[str, ...] = ()
    build: Callable[[Mapping[str, bytes], Mapping[str, Any]], RustTokenizer] | None = None
    finish: Callable[[RustTokenizer, Mapping[str, Any]], None] | None = None
    adjust: Callable[[RustTokenizer, Mapping[str, Any]], None] | None = None
    words_need_prefix: bool = False
    settings: Callable[[dict[str, Any]], None] | None = None


def _tokens(bos: str, eos: str, unk: str, pad: str, mask: str, sep: str = "", cls: str = "") -> dict[str, str]:
    tokens = {"bos_token": bos, "eos_token": eos, "unk_token": unk, "sep_token": sep, "pad_token": pad}
    return {name: token for name, token in (*tokens.items(), ("cls_token", cls), ("mask_token", mask)) if token}


_PLAIN = {"lstrip": False, "rstrip": False}
_SPECIAL = {"special": True}
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")
_ALL_PLAIN = dict.fromkeys(_NAMES, _PLAIN)
_ALL_SPECIAL = dict.fromkeys(_NAMES, _SPECIAL)

_BERT = Family(
    special_tokens=_tokens("", "", "[UNK]", "[PAD]", "[MASK]", "[SEP]", "[CLS]"),
    options={"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": None},
    built_options={"do_basic_tokenize": True, "never_split": None, "clean_up_tokenization_spaces": True},
    vocabulary=("vocab.txt",),
    build=build.word_piece,
    finish=build.bert_template,
    adjust=overlay.bert_normalizer,
)
_MPNET = replace(
    _BERT,
    special_tokens=_tokens("<s>", "</s>", "[UNK]", "<pad>", "<mask>", "</s>", "<s>"),
    marks={**_ALL_PLAIN, "mask_token": {"lstrip": True, "rstrip": False}},
    built_marks={**_ALL_SPECIAL, "mask_token": {"lstrip": True, "special": True}},
    input_names=(IDS, MASK),
    finish=build.mpnet_template,
    adjust=overlay.bert_normalizer_but_chinese,
)
_FAIRSEQ = _tokens("<s>", "</s>", "<unk>", "<pad>", "<mask>", "</s>", "<s>")
_ROBERTA_MASK = {"lstrip": True, "rstrip": False, "normalized": False}
_ROBERTA = Family(
    special_tokens=_FAIRSEQ,
    marks={"mask_token": _ROBERTA_MASK},
    built_marks={**_ALL_PLAIN, "mask_token": _ROBERTA_MASK},
    options={"errors": "replace", "add_prefix_space": False, "trim_offsets": True},
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "merges.txt"),
    build=build.byte_level_bpe,
    finish=build.roberta_processor,
    adjust=overlay.roberta_processor,
    words_need_prefix=True,
)
_BART = replace(
    _ROBERTA,
    marks={"mask_token": {"lstrip": True, "normalized": True, "special": True}},
    built_marks={**_ALL_PLAIN, "mask_token": {"lstrip": True, "rstrip": False}},
)
_GPT2 = Family(
    special_tokens=dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>"),
    built_marks=_ALL_PLAIN,
    options={"add_prefix_space": False},
    built_options={"errors": "replace", "add_bos_token": False},
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "merges.txt"),
    build=build.byte_level_bpe,
    finish=build.gpt2_processor,
    words_need_prefix=True,
)
_XLM_ROBERTA = Family(
    special_tokens=_FAIRSEQ,
    marks={"mask_token": {"lstrip": True, "rstrip": False}},
    built_marks={"mask_token": {"lstrip": True, "special": True}},
    built_options={"sp_model_kwargs": {}},
    input_names=(IDS, MASK),
    vocabulary=("sentencepiece.bpe.model",),
    build=Spm(pieces=build.xlm_roberta_pieces, unk_id=3),
    finish=build.fairseq_template,
)
_NOT_USED = ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]
_CAMEMBERT = Family(
    special_tokens={**_FAIRSEQ, "additional_special_tokens": _NOT_USED},
    marks={"mask_token": {"lstrip": True, "special": True}},
    built_marks={"mask_token": {"lstrip": True, "rstrip": False, "normalized": False, "special": True}},
    built_options={"sp_model_kwargs": {}},
    input_names=(IDS, MASK),
    vocabulary=("sentencepiece.bpe.model",),
    build=Spm(pieces=build.camembert_pieces, unk_id=3),
    finish=build.fairseq_template,
)
_ALBERT = Family(
    special_tokens=_tokens("[CLS]", "[SEP]", "<unk>", "<pad>", "[MASK]", "[SEP]", "[CLS]"),
    marks={"mask_token": _ROBERTA_MASK},
    built_marks={"mask_token": _ROBERTA_MASK},
    options={"do_lower_case": True, "remove_space": True, "keep_accents": False},
    built_options={"sp_model_kwargs": {}},
    vocabulary=("spiece.model",),
    build=Spm(pieces=build.albert_pieces, normalizer=build.albert_normalizer),
    finish=build.albert_template,
)
_T5 = Family(
    special_tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    built_marks=_ALL_SPECIAL,
    options={"extra_ids": 100},
    built_options={"sp_model_kwargs": {}, "legacy": True, "add_prefix_space": True},
    input_names=(IDS, MASK),
    vocabulary=("spiece.model",),
    build=Spm(pieces=build.t5_pieces),
    finish=build.t5_template,
    settings=build.t5_settings,
)
GENERIC = Family()
"""A class we have no row for: a tokenizer.json carries all that is needed."""

FAMILIES: dict[str, Family] = {
    "PreTrainedTokenizer": GENERIC,
    "BertTokenizer": _BERT,
    "ElectraTokenizer": _BERT,
    "ConvBertTokenizer": _BERT,
    "MobileBertTokenizer": _BERT,
    "SqueezeBertTokenizer": _BERT,
    "LxmertTokenizer": _BERT,
    "DPRQuestionEncoderTokenizer": _BERT,
    "DPRContextEncoderTokenizer": _BERT,
    "LayoutLMTokenizer": _BERT,
    "DistilBertTokenizer": replace(_BERT, input_names=(IDS, MASK)),
    "MPNetTokenizer": _MPNET,
    "RobertaTokenizer": _ROBERTA,
    "LongformerTokenizer": _ROBERTA,
    "BartTokenizer": _BART,
    "GPT2Tokenizer": _GPT2,
    "XLMRobertaTokenizer": _XLM_ROBERTA,
    "CamembertTokenizer": _CAMEMBERT,
    "AlbertTokenizer": _ALBERT,
    "T5Tokenizer": _T5,
    "MT5Tokenizer": _T5,
}

CLASS_OF_MODEL_TYPE: dict[str, str] = {
    "bert": "BertTokenizer",
    "ernie": "BertTokenizer",
    "nezha": "BertTokenizer",
    "megatron-bert": "BertTokenizer",
    "visual_bert": "BertTokenizer",
    "electra": "ElectraTokenizer",
    "convbert": "ConvBertTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "squeezebert": "SqueezeBertTokenizer",
    "layoutlm": "LayoutLMTokenizer",
    "lxmert": "LxmertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "roberta": "RobertaTokenizer",
    "roberta-prelayernorm": "RobertaTokenizer",
    "data2vec-text": "RobertaTokenizer",
    "ibert": "RobertaTokenizer",
    "longformer": "LongformerTokenizer",
    "bart": "BartTokenizer",
    "gpt2": "GPT2Tokenizer",
    "gpt_neo": "GPT2Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "xlm-roberta-xl": "XLMRobertaTokenizer",
    "xmod": "XLMRobertaTokenizer",
    "camembert": "CamembertTokenizer",
    "albert": "AlbertTokenizer",
    "t5": "T5Tokenizer",
    "longt5": "T5Tokenizer",
    "mt5": "MT5Tokenizer",
    "umt5": "T5Tokenizer",
}


def class_name(name: str) -> str:
    """A tokenizer class's name without the 'Fast' that says which library runs it."""
    return name.removesuffix("Fast")
