"""Mistral: Jiang et al. 2023, arXiv:2310.06825. A Llama whose attention may see only a window of the last tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.stack import StackOptions
from .family import DecoderFamily
from .llama import LLAMA_DROPOUT, LLAMA_JUNK, LLAMA_ROWS, LlamaConfig, llama_heads, llama_layer, llama_stack

__all__ = ["MistralConfig"]


@dataclass(frozen=True, kw_only=True)
class MistralConfig(LlamaConfig):
    """Mistral's config.json."""

    model_type: ClassVar[str] = "mistral"

    intermediate_size: int = 14336
    num_key_value_heads: int | None = 8
    max_position_embeddings: int = 131072
    sliding_window: int | None = 4096


def mistral_options(config: MistralConfig) -> StackOptions:
    """The decoder of a Mistral; it has no biases."""
    layer = llama_layer(
        config, window=config.sliding_window, qkv_bias=False, output_bias=False, feed_forward_bias=False
    )
    return llama_stack(config, (layer,) * config.num_hidden_layers)


FAMILY = DecoderFamily(
    model_types=("mistral",),
    class_prefixes=("Mistral",),
    configs=(MistralConfig,),
    options=mistral_options,
    prefix="model.",
    rows=LLAMA_ROWS,
    heads=llama_heads("model."),
    junk=LLAMA_JUNK,
    dropout=LLAMA_DROPOUT,
)
