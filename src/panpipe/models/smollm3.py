"""SmolLM3: Bakouch et al. 2025. A Llama that leaves out rotary positions in every fourth layer (arXiv:2501.18795)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..errors import ConfigError
from .family import DecoderFamily
from .llama import LLAMA_DROPOUT, LLAMA_JUNK, LLAMA_ROWS, LlamaConfig, llama_heads, llama_layer, llama_stack

__all__ = ["SmolLM3Config"]


@dataclass(frozen=True, kw_only=True)
class SmolLM3Config(LlamaConfig):
    """SmolLM3's config.json.   no_rope_layers: 1 for each layer *with* rotary positions, 0 without."""

    model_type: ClassVar[str] = "smollm3"

    vocab_size: int = 128256
    hidden_size: int = 2048
    num_hidden_layers: int = 36
    num_attention_heads: int = 16
    num_key_value_heads: int | None = 4
    max_position_embeddings: int = 32768
    rope_theta: float = 2000000.0
    use_sliding_window: bool = False
    sliding_window: int | None = None
    no_rope_layers: tuple[int, ...] | None = None
    no_rope_layer_interval: int = 4
    layer_types: tuple[str, ...] | None = None
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 128004
    bos_token_id: int | None = 128000
    eos_token_id: int | tuple[int, ...] | None = 128001


def smollm3_options(config: SmolLM3Config) -> StackOptions:
    """The decoder of a SmolLM3."""
    return llama_stack(config, tuple(_layer(config, number) for number in range(config.num_hidden_layers)))


def _layer(config: SmolLM3Config, number: int) -> LayerOptions:
    has_rotary = (number + 1) % max(config.no_rope_layer_interval, 1) != 0
    if config.no_rope_layers is not None:
        has_rotary = bool(_of_layer(config, "no_rope_layers", config.no_rope_layers, number))
    window = config.sliding_window if config.use_sliding_window else None
    has_window = not has_rotary
    if config.layer_types is not None:
        has_window = _of_layer(config, "layer_types", config.layer_types, number) == "sliding_attention"
    return llama_layer(config, is_rotary=has_rotary, window=window if has_window else None)


def _of_layer(config: SmolLM3Config, name: str, values: tuple[object, ...], number: int) -> object:
    if len(values) != config.num_hidden_layers:
        raise ConfigError(
            f"{name} has {len(values)} values; it must have one for each of the {config.num_hidden_layers} layers."
        )
    return values[number]


FAMILY = DecoderFamily(
    model_types=("smollm3",),
    class_prefixes=("SmolLM3",),
    configs=(SmolLM3Config,),
    options=smollm3_options,
    prefix="model.",
    rows=LLAMA_ROWS,
    heads=llama_heads(),
    junk=LLAMA_JUNK,
    dropout=LLAMA_DROPOUT,
)
