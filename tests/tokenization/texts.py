"""Texts that tokenizers are tried on, in several languages and in awkward forms."""

from __future__ import annotations

import unicodedata
from typing import Any

__all__ = ["CALLS", "PAIRS", "TEXTS", "WORDS"]

WORDS: dict[str, list[str]] = {
    "en": [
        "the",
        "cat",
        "sat",
        "on",
        "a",
        "mat",
        "I've",
        "been",
        "waiting",
        "for",
        "this",
        "course",
        "my",
        "whole",
        "life",
        "it",
        "isn't",
        "don't",
        "Paris",
        "5,",
        "10,",
        "-3.5",
    ],
    "fr": [
        "l'été",
        "à",
        "Noël",
        "où",
        "garçon",
        "être",
        "déjà",
        "façade",
        "cœur",
        "ﬁn",
        "Hélène",
        "mangé",
        "très",
        "français",
        "naïve",
    ],
    "ko": [
        "서울에",
        "김",
        "선생님은",
        "학교에서",
        "한국어를",
        "가르친다",
        "사랑해요",
        "안녕하세요",
        "날씨가",
        "좋다",
        "감사합니다",
    ],
    "zh": ["我", "爱", "自然", "语言", "处理", "北京", "大学", "今天", "天气", "很", "好", "模型"],
    "ar": ["أحب", "معالجة", "اللغة", "العربية", "السلام", "عليكم", "مدرسة", "كتاب", "جميل"],
    "ja": ["東京タワー", "は", "高い", "です", "ありがとう", "ございます", "ｶﾀｶﾅ"],
}

_FAMILY = "👩‍👩‍👧‍👦"  # four people, joined by zero-width joiners into one

TEXTS: list[str] = [
    "I've been waiting for a HuggingFace course my whole life.",
    "The cat sat on the mat; it isn't 10,000.5% sure... (really?) 5, 10,",
    "Hélène a mangé à Noël, déjà très naïve — l'été où cœur et ﬁn.",
    unicodedata.normalize("NFD", "Hélène a mangé à Noël, déjà."),
    "김 선생님은 서울에서 한국어를 가르친다. 사랑해요!",
    unicodedata.normalize("NFD", "김 선생님은 서울에서 가르친다."),
    "我爱自然语言处理,北京大学。今天天气很好！",
    "أحب معالجة اللغة العربية، السلام عليكم.",
    "東京タワーは高いです。ｶﾀｶﾅ　全角ＡＢ",
    f"family {_FAMILY} and 🇰🇷 flag 👍🏽 end",
    "[CLS] special [SEP] tokens <s> in </s> the <mask> text [MASK] <pad> <|endoftext|> <unk> <sep> <extra_id_0>",
    "Paris is the <mask>  of [MASK]",
    "",
    " ",
    "  \t leading and trailing \n\n spaces   here  ",
    "line one\nline two\r\nline three\u2028line four",
    "antidisestablishmentarianism" * 6,
    "``quotes'' and \"more\" 'single'  ``",
    "zero\u200bwidth \u00ad soft \ufeff bom \x00 null \x07 bell \ufffd replaced",
    "ＦＵＬＬ ｗｉｄｔｈ １２３ ㎏ ² ½ ﷺ",
    "i̇stanbul İSTANBUL straße ǅ ΑΣ",
    "▁metaspace ▁▁ ##hash Ġbyte </w>",
    "https://huggingface.co/a?b=c&d=e#f user@mail.com",
]

_LONG = "the cat sat on a mat and it isn't the whole life"
_SHORT = "서울에 김 선생님"

PAIRS: dict[str, tuple[Any, ...]] = {
    "one": (_LONG,),
    "empty": ("",),
    "pair": (_LONG, _SHORT),
    "riap": (_SHORT, _LONG),
    "empty second": (_LONG, ""),
    "batch": ([_LONG, _SHORT, "", "the cat"],),
    "pairs": ([_LONG, _SHORT, "", "the cat"], [_SHORT, _LONG, "the", ""]),
    "words": (["the", "cat", "서울에", "isn't", ""],),
    "batch of words": ([["the", "cat"], ["서울에"]],),
}

_WINDOWS = {"return_overflowing_tokens": True, "return_offsets_mapping": True, "return_special_tokens_mask": True}

CALLS: list[dict[str, Any]] = [
    {"pairs": pairs, "options": options}
    for pairs, all_options in {
        "one": [
            {"truncation": True, "max_length": 6},
            {"truncation": True, "max_length": 9, "stride": 3, **_WINDOWS},
            {"max_length": 7},
            {"padding": "max_length", "max_length": 30},
            {"add_special_tokens": False, "truncation": "only_first", "max_length": 1},
            {"return_length": True, "return_token_type_ids": True, "return_attention_mask": False},
        ],
        "empty": [{}, {"padding": "max_length", "max_length": 4}],
        "pair": [
            {"return_token_type_ids": True},
            {"truncation": True, "max_length": 12, **_WINDOWS},
            {"truncation": "only_first", "max_length": 30, "stride": 2, **_WINDOWS},
            {"truncation": "only_second", "max_length": 45, "stride": 1, **_WINDOWS},
            {"add_special_tokens": False, "return_token_type_ids": True},
        ],
        "riap": [
            {"truncation": "only_second", "max_length": 32, "stride": 2, **_WINDOWS},
            {"truncation": "longest_first", "max_length": 14, "stride": 1, **_WINDOWS},
        ],
        "empty second": [{"return_token_type_ids": True}],
        "batch": [
            {"padding": True},
            {"padding": True, "pad_to_multiple_of": 8, "return_special_tokens_mask": True},
            {"padding": "longest", "padding_side": "left", "return_token_type_ids": True},
            {"padding": "max_length", "truncation": True, "max_length": 8, "stride": 2, **_WINDOWS},
        ],
        "pairs": [{"padding": True, "truncation": True, "max_length": 20, "return_token_type_ids": True}],
        "words": [{"is_split_into_words": True, "return_offsets_mapping": True}],
        "batch of words": [{"is_split_into_words": True, "padding": True}],
    }.items()
    for options in all_options
]
