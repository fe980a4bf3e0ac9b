"""What each tokenizer class of the Hub stands for: a table.

A row says which special tokens, options and inputs a class has when its files do not say, from which files it is built
when there is no tokenizer.json, and how its options are laid over one. Adding a class is adding a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from . import build, languages, overlay, pieces
from .build import Spm
from .languages import Languages
from .pieces import Pieces

__all__ = ["CLASS_OF_MODEL_TYPE", "FAMILIES", "GENERIC", "Family", "class_name"]

IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"
Flags = Mapping[str, bool]


@dataclass(frozen=True)
class Family:
    """One tokenizer class.

    special_tokens: by attribute name.   marks: flags (lstrip, normalized …) of those given as plain strings;
    built_marks: the same where the tokenizer is built from a vocabulary.
    options: the class's own settings and their defaults; built_options: more, where it is built.
    vocabulary: the files it is built from; optional: those that may be missing.
    build: from them, or None: only a tokenizer.json will do.
    finish: puts the special tokens into a built one.   adjust: lays the options over the Rust tokenizer.
    settings: fills in settings that follow from others.   words_need_prefix: is_split_into_words needs
    add_prefix_space.   languages: of a class whose texts carry a token of their language.
    pieces: instead of `build`, for a class whose pieces and ids come from different files; its tokenizer.json, which
    transformers does not read, is not read.   rebuild: whether the settings cannot be laid over a tokenizer.json, so
    that the vocabulary files go before it.
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
    languages: Languages | None = None
    pieces: Callable[[Mapping[str, bytes], Mapping[str, Any]], Pieces] | None = None
    optional: tuple[str, ...] = ()
    rebuild: Callable[[Mapping[str, Any]], bool] | None = None


def _tokens(bos: str, eos: str, unk: str, pad: str, mask: str, sep: str = "", cls: str = "") -> dict[str, str]:
    tokens = {"bos_token": bos, "eos_token": eos, "unk_token": unk, "sep_token": sep, "pad_token": pad}
    return {name: token for name, token in (*tokens.items(), ("cls_token", cls), ("mask_token", mask)) if token}


_PLAIN = {"lstrip": False, "rstrip": False}
_SPECIAL = {"special": True}
_AS_WRITTEN = {"normalized": False, "special": True}
_PLAIN_SPECIAL = {**_PLAIN, **_AS_WRITTEN}
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
_OPENAI_GPT = Family(
    special_tokens={"unk_token": "<unk>"},
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "merges.txt"),
    build=build.word_end_bpe,
)
_QWEN2 = Family(
    special_tokens=dict.fromkeys(("eos_token", "unk_token", "pad_token"), "<|endoftext|>"),
    marks=dict.fromkeys(_NAMES, _PLAIN_SPECIAL),
    built_marks=dict.fromkeys(_NAMES, _PLAIN_SPECIAL),
    options={"add_prefix_space": False},
    built_options={"errors": "replace"},
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "merges.txt"),
    build=build.qwen_bpe,
)
_LLAMA = Family(
    special_tokens={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    built_marks=dict.fromkeys(_NAMES, _AS_WRITTEN),
    options={
        "add_bos_token": True,
        "add_eos_token": False,
        "use_default_system_prompt": False,
        "legacy": True,
        "padding_side": "left",
    },
    built_options={"sp_model_kwargs": {}, "spaces_between_special_tokens": False},
    input_names=(IDS, MASK),
    vocabulary=("tokenizer.model",),
    build=Spm(
        pieces=build.llama_pieces,
        normalizer=build.llama_normalizer,
        pre_tokenizer=build.llama_pre_tokenizer,
        decoder=build.llama_decoder,
        unk_id=0,
        byte_fallback=True,
    ),
    adjust=build.begin_and_end_template,
    rebuild=lambda settings: settings.get("add_prefix_space") is not None,
)
_GEMMA = Family(
    special_tokens={"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"},
    built_marks=dict.fromkeys(_NAMES, _AS_WRITTEN),
    options={"add_bos_token": True, "add_eos_token": False, "padding_side": "left"},
    built_options={
        "sp_model_kwargs": {},
        "use_default_system_prompt": False,
        "spaces_between_special_tokens": False,
    },
    input_names=(IDS, MASK),
    vocabulary=("tokenizer.model",),
    build=Spm(
        pieces=build.gemma_pieces,
        normalizer=build.gemma_normalizer,
        pre_tokenizer=build.gemma_pre_tokenizer,
        decoder=build.gemma_decoder,
        unk_id=3,
        byte_fallback=True,
        special=frozenset(("<start_of_turn>", "<end_of_turn>")),
    ),
    adjust=build.begin_and_end_template,
)
_PEGASUS = Family(
    special_tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask_2>"},
    options={"mask_token_sent": "<mask_1>", "offset": 103},
    built_options={"sp_model_kwargs": {}},
    input_names=(IDS, MASK),
    vocabulary=("spiece.model",),
    build=Spm(pieces=build.pegasus_pieces, pre_tokenizer=build.pegasus_pre_tokenizer, unk_id=None, unk_offset="offset"),
    finish=build.pegasus_template,
    settings=build.pegasus_settings,
)
_MBART = Family(
    special_tokens=_FAIRSEQ,
    marks={"mask_token": {"lstrip": True, "rstrip": False}},
    built_marks={"mask_token": {"lstrip": True, "normalized": False}},
    options={"src_lang": None, "tgt_lang": None},
    built_options={"sp_model_kwargs": {}},
    input_names=(IDS, MASK),
    vocabulary=("sentencepiece.bpe.model",),
    build=Spm(pieces=build.mbart_pieces(languages.MBART.codes["mbart"]), unk_id=3),
    settings=languages.mbart_settings,
    adjust=languages.language_template(languages.MBART),
    languages=languages.MBART,
)
_MBART50 = replace(
    _MBART,
    special_tokens=_tokens("", "</s>", "<unk>", "<pad>", "<mask>", "</s>", "<s>"),
    built_marks={"mask_token": {"lstrip": True, "rstrip": False}},
    build=Spm(pieces=build.mbart_pieces(languages.MBART50.codes["mbart50"]), unk_id=3),
    settings=languages.mbart50_settings,
    adjust=languages.language_template(languages.MBART50),
    languages=languages.MBART50,
)
_NLLB_MASK = {"lstrip": True, "normalized": True, "special": True}
_NLLB = replace(
    _MBART,
    marks={"mask_token": _NLLB_MASK},
    built_marks={
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), _AS_WRITTEN),
        "mask_token": _NLLB_MASK,
    },
    options={"src_lang": None, "tgt_lang": None, "legacy_behaviour": False},
    build=Spm(pieces=build.fairseq_pieces, unk_id=3),
    settings=languages.nllb_settings,
    adjust=languages.language_template(languages.NLLB),
    languages=languages.NLLB,
)
_M2M100 = Family(
    special_tokens=_tokens("<s>", "</s>", "<unk>", "<pad>", "", "</s>"),
    options={
        "src_lang": None,
        "tgt_lang": None,
        "language_codes": "m2m100",
        "sp_model_kwargs": {},
        "num_madeup_words": 8,
    },
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "sentencepiece.bpe.model"),
    pieces=pieces.m2m100_pieces,
    adjust=languages.language_template(languages.M2M100),
    languages=languages.M2M100,
)
_MARIAN = Family(
    special_tokens={"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    options={
        "source_lang": None,
        "target_lang": None,
        "model_max_length": 512,
        "sp_model_kwargs": {},
        "separate_vocabs": False,
    },
    input_names=(IDS, MASK),
    vocabulary=("vocab.json", "source.spm", "target.spm"),
    optional=("target_vocab.json",),
    pieces=pieces.marian_pieces,
    adjust=build.pegasus_template,
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
    "OpenAIGPTTokenizer": _OPENAI_GPT,
    "Qwen2Tokenizer": _QWEN2,
    "LlamaTokenizer": _LLAMA,
    "GemmaTokenizer": _GEMMA,
    "PegasusTokenizer": _PEGASUS,
    "MBartTokenizer": _MBART,
    "MBart50Tokenizer": _MBART50,
    "NllbTokenizer": _NLLB,
    "M2M100Tokenizer": _M2M100,
    "MarianTokenizer": _MARIAN,
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
    "gpt_bigcode": "GPT2Tokenizer",
    "gptj": "GPT2Tokenizer",
    "opt": "GPT2Tokenizer",
    "openai-gpt": "OpenAIGPTTokenizer",
    "llama": "LlamaTokenizer",
    "mistral": "LlamaTokenizer",
    "mixtral": "LlamaTokenizer",
    "phi3": "LlamaTokenizer",
    "qwen2": "Qwen2Tokenizer",
    "qwen2_moe": "Qwen2Tokenizer",
    "qwen3": "Qwen2Tokenizer",
    "qwen3_moe": "Qwen2Tokenizer",
    "smollm3": "PreTrainedTokenizer",
    "gemma": "GemmaTokenizer",
    "gemma2": "GemmaTokenizer",
    "gemma3": "GemmaTokenizer",
    "gemma3_text": "GemmaTokenizer",
    "bigbird_pegasus": "PegasusTokenizer",
    "pegasus": "PegasusTokenizer",
    "pegasus_x": "PegasusTokenizer",
    "mbart": "MBartTokenizer",
    "mbart50": "MBart50Tokenizer",
    "nllb": "NllbTokenizer",
    "nllb-moe": "NllbTokenizer",
    "m2m_100": "M2M100Tokenizer",
    "marian": "MarianTokenizer",
}


def class_name(name: str) -> str:
    """A tokenizer class's name without the 'Fast' that says which library runs it."""
    return name.removesuffix("Fast")
