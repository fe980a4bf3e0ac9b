"""Qwen 2 and 2.5: Yang et al. 2024, arXiv:2407.10671. A Llama with biases on queries, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..errors import ConfigError
from .family import DecoderFamily
from .llama import LLAMA_DROPOUT, LLAMA_JUNK, LLAMA_ROWS, LlamaConfig, llama_heads, llama_layer, llama_stack

__all__ = ["Qwen2Config", "windowed_layers"]


@dataclass(frozen=True, kw_only=True)
class Qwen2Config(LlamaConfig):
    """Qwen 2's config.json."""

    model_type: ClassVar[str] = "qwen2"

    vocab_size: int = 151936
    intermediate_size: int = 22016
    num_key_value_heads: int | None = 32
    max_position_embeddings: int = 32768
    use_sliding_window: bool = False
    sliding_window: int | None = 4096
    max_window_layers: int = 28
    layer_types: tuple[str, ...] | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None


def windowed_layers(config: Qwen2Config, **changes: Any) -> tuple[LayerOptions, ...]:
    """The layers, those of the upper ones that the config says with a window."""
    window = config.sliding_window if config.use_sliding_window else None
    types = config.layer_types
    if types is None:
        has_window = [window is not None and i >= config.max_window_layers for i in range(config.num_hidden_layers)]
    else:
        unknown = set(types) - {"full_attention", "sliding_attention"}
        if unknown or len(types) != config.num_hidden_layers:
            raise ConfigError(
                f"layer_types must name 'full_attention' or 'sliding_attention' for each of the "
                f"{config.num_hidden_layers} layers; it has {len(types)}, with {sorted(unknown) or 'no others'}."
            )
        has_window = [kind == "sliding_attention" for kind in types]
    return tuple(llama_layer(config, window=window if has else None, **changes) for has in has_window)


def qwen2_options(config: Qwen2Config) -> StackOptions:
    """The decoder of a Qwen 2."""
    return llama_stack(config, windowed_layers(config, qkv_bias=True, output_bias=False, feed_forward_bias=False))


FAMILY = DecoderFamily(
    model_types=("qwen2",),
    class_prefixes=("Qwen2",),
    configs=(Qwen2Config,),
    options=qwen2_options,
    prefix="model.",
    rows=LLAMA_ROWS,
    heads=llama_heads(),
    junk=LLAMA_JUNK,
    dropout=LLAMA_DROPOUT,
)
