"""The tokenizer's parameters, where a pipeline lets them through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, UnknownArgument, did_you_mean

if TYPE_CHECKING:
    from .base import Pipeline

__all__ = ["TOKENIZER_ARGUMENTS", "tokenizer_arguments"]

_MEANT = ("truncation", "max_length", "long_text", "add_special_tokens", "text_pair")

_NO_EFFECT = (  # on the ids that reach the model: inside, nothing is padded
    "padding",
    "pad_to_multiple_of",
    "padding_side",
    "return_attention_mask",
    "verbose",
)

_WINDOW = ' Give long_text="window" to read a long text in pieces.'
_REFUSED = {
    "is_split_into_words": " Join the words with spaces.",
    "return_length": "",
    "return_offsets_mapping": "",
    "return_overflowing_tokens": _WINDOW,
    "return_special_tokens_mask": "",
    "return_tensors": "",
    "return_token_type_ids": "",
    "stride": _WINDOW,
    "text_pair_target": "",
    "text_target": "",
}

TOKENIZER_ARGUMENTS = (*_MEANT, *_NO_EFFECT, *_REFUSED)
"""The names of the parameters that calling a tokenizer has."""


def tokenizer_arguments(given: Mapping[str, Any], pipe: Pipeline) -> dict[str, Any]:
    """Those that matter to a pipeline. Padding and the like are accepted and change nothing.

    Raises UnknownArgument for one that no tokenizer has, InvalidArgument for one that asks for another kind of output.
    """
    for name, value in given.items():
        if name in _REFUSED:
            raise InvalidArgument(
                f"{name}={value!r}: {pipe.task} does not take this parameter of a tokenizer.{_REFUSED[name]}"
            )
        if name not in TOKENIZER_ARGUMENTS:
            raise UnknownArgument(f"a tokenizer has no parameter {name!r}.{did_you_mean(name, TOKENIZER_ARGUMENTS)}")
    return {name: value for name, value in given.items() if name in _MEANT}
