"""The tokenizer's parameters, where a pipeline lets them through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from .base import Pipeline

__all__ = ["tokenizer_arguments"]

_MEANT = ("truncation", "max_length", "long_text", "add_special_tokens", "text_pair")
_NO_EFFECT = (  # on the ids that reach the model: inside, nothing is padded
    "padding",
    "pad_to_multiple_of",
    "padding_side",
    "return_attention_mask",
    "clean_up_tokenization_spaces",
    "verbose",
)


def tokenizer_arguments(given: Mapping[str, Any], pipe: Pipeline) -> dict[str, Any]:
    """Those that matter here. Padding and the like are accepted and change nothing.

    Raises UnknownArgument for one that no tokenizer has, InvalidArgument for one that asks for another kind of output.
    """
    from .base import unknown_argument

    for name in given:
        if name in _REFUSED:
            raise InvalidArgument(
                f"{name}={given[name]!r}: {pipe.task} does not take this parameter of the tokenizer.{_REFUSED[name]}"
            )
        if name not in _MEANT and name not in _NO_EFFECT:
            raise unknown_argument(name, pipe.task, [*pipe.parameter_names(), *_MEANT, *_NO_EFFECT])
    return {name: value for name, value in given.items() if name in _MEANT}


_REFUSED = {
    "return_tensors": "",
    "return_overflowing_tokens": ' Give long_text="window" to read a long text in pieces.',
    "stride": ' Give long_text="window" to read a long text in pieces.',
    "return_offsets_mapping": "",
    "return_special_tokens_mask": "",
    "return_token_type_ids": "",
    "return_length": "",
    "is_split_into_words": " Join the words with spaces.",
    "text_target": "",
    "text_pair_target": "",
}
