"""Qwen 3: Yang et al. 2025, arXiv:2505.09388. A Qwen 2 with norms over each head instead of biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.stack import StackOptions
from .family import DecoderFamily
from .llama import LLAMA_DROPOUT, LLAMA_JUNK, LLAMA_ROWS, llama_heads, llama_stack
from .qwen2 import Qwen2Config, windowed_layers

__all__ = ["Qwen3Config"]


@dataclass(frozen=True, kw_only=True)
class Qwen3Config(Qwen2Config):
    """Qwen 3's config.json."""

    model_type: ClassVar[str] = "qwen3"

    head_dim: int | None = 128


def qwen3_options(config: Qwen3Config) -> StackOptions:
    """The decoder of a Qwen 3."""
    return llama_stack(config, windowed_layers(config, has_head_norms=True, feed_forward_bias=False))


FAMILY = DecoderFamily(
    model_types=("qwen3",),
    class_prefixes=("Qwen3",),
    configs=(Qwen3Config,),
    options=qwen3_options,
    prefix="model.",
    rows=LLAMA_ROWS,
    heads=llama_heads(),
    junk=LLAMA_JUNK,
    dropout=LLAMA_DROPOUT,
)
