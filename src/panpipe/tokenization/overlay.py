"""A class's settings laid over the Rust tokenizer that its tokenizer.json gave.

tokenizer_config.json may say otherwise than tokenizer.json: `do_lower_case: false` beside a lowercasing normalizer.
transformers lets the settings win, and the class's defaults where nothing is set; so do we.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tokenizers import Tokenizer as RustTokenizer
from tokenizers import normalizers, pre_tokenizers, processors

__all__ = ["bert_normalizer", "bert_normalizer_but_chinese", "prefix_space", "roberta_processor"]

Settings = Mapping[str, Any]


def bert_normalizer(tokenizer: RustTokenizer, settings: Settings) -> None:
    """Lower case, accents and spaces around Chinese characters as the settings say."""
    wanted = {
        "lowercase": settings["do_lower_case"],
        "strip_accents": settings["strip_accents"],
        "handle_chinese_chars": settings["tokenize_chinese_chars"],
    }
    _set_normalizer(tokenizer, wanted)


def bert_normalizer_but_chinese(tokenizer: RustTokenizer, settings: Settings) -> None:
    """MPNet's class leaves Chinese characters to tokenizer.json."""
    _set_normalizer(tokenizer, {"lowercase": settings["do_lower_case"], "strip_accents": settings["strip_accents"]})


def _set_normalizer(tokenizer: RustTokenizer, wanted: dict[str, Any]) -> None:
    state = _state(tokenizer.normalizer)
    if any(state.get(key, value) != value for key, value in wanted.items()):
        kind = getattr(normalizers, state.pop("type"))
        tokenizer.normalizer = kind(**{**state, **wanted})


def roberta_processor(tokenizer: RustTokenizer, settings: Settings) -> None:
    """Whether offsets leave out the space before a word, and whether one was added to the text's first."""
    state = _state(tokenizer.post_processor)
    wanted = {key: settings[key] for key in ("add_prefix_space", "trim_offsets")}
    changes = {key: value for key, value in wanted.items() if state.get(key, value) != value}
    if changes:
        kind = getattr(processors, state.pop("type"))
        for key in ("sep", "cls"):
            if key in state:
                state[key] = tuple(state[key])
        tokenizer.post_processor = kind(**{**state, **changes})


def prefix_space(tokenizer: RustTokenizer, wanted: bool) -> None:
    """Whether a byte-level tokenizer puts a space before the text's first word."""
    state = _state(tokenizer.pre_tokenizer)
    if state.get("add_prefix_space", wanted) != wanted:
        kind = getattr(pre_tokenizers, state.pop("type"))
        tokenizer.pre_tokenizer = kind(**{**state, "add_prefix_space": wanted})


def _state(part: Any) -> dict[str, Any]:
    """A Rust part's settings, as in tokenizer.json."""
    return {} if part is None else dict(json.loads(part.__getstate__()))
