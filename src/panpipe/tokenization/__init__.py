"""Text to token ids and back: one Tokenizer over the Rust tokenizers library, from any checkpoint's files.

`AutoTokenizer.from_pretrained` is the way in. The class names of transformers (BertTokenizer, RobertaTokenizerFast …)
are here as
well: each loads a checkpoint as that class, whatever its files say.
"""

from __future__ import annotations

from typing import Any

from .batch_encoding import BatchEncoding, CharSpan, TokenSpan
from .families import FAMILIES, class_name
from .tokenizer import AutoTokenizer, Tokenizer, flatten_windows

__all__ = ["AutoTokenizer", "BatchEncoding", "CharSpan", "TokenSpan", "Tokenizer", "flatten_windows"]


def __getattr__(name: str) -> Any:
    """The named tokenizer classes, made when first asked for."""
    if class_name(name) not in FAMILIES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = type(name, (Tokenizer,), {"tokenizer_class": class_name(name), "__module__": __name__})
    globals()[name] = made
    return made
