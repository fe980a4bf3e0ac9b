"""GPT: Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training". Norms after sublayers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..weights.name_map import transposed
from .family import DecoderFamily
from .gpt2 import GPT2_DROPOUT, GPT2Config, gpt2_heads

__all__ = ["OpenAIGPTConfig"]


@dataclass(frozen=True, kw_only=True)
class OpenAIGPTConfig(GPT2Config):
    """GPT's config.json."""

    model_type: ClassVar[str] = "openai-gpt"

    vocab_size: int = 40478
    n_positions: int = 512
    afn: str = "gelu"
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None


def openai_gpt_options(config: OpenAIGPTConfig) -> StackOptions:
    """The decoder of a GPT. What it calls 'gelu' is the approximation by tanh."""
    layer = LayerOptions(
        hidden_size=config.n_embd,
        num_heads=config.n_head,
        intermediate_size=4 * config.n_embd,
        activation=activation_named("gelu_new" if config.afn == "gelu" else config.afn),
        norm_epsilon=config.layer_norm_epsilon,
        is_causal=True,
    )
    embedding = EmbeddingOptions(config.vocab_size, config.n_embd, position_rows=config.n_positions)
    return StackOptions(embedding, (layer,) * config.n_layer)


FAMILY = DecoderFamily(
    model_types=("openai-gpt",),
    class_prefixes=("OpenAIGPT",),
    configs=(OpenAIGPTConfig,),
    options=openai_gpt_options,
    prefix="transformer.",
    rows={
        "embeddings.tokens": "tokens_embed",
        "embeddings.positions": "positions_embed",
        "layers.{i}.attention.qkv": transposed("h.{i}.attn.c_attn"),
        "layers.{i}.attention.output": transposed("h.{i}.attn.c_proj"),
        "layers.{i}.attention.norm": "h.{i}.ln_1",
        "layers.{i}.feed_forward.up": transposed("h.{i}.mlp.c_fc"),
        "layers.{i}.feed_forward.down": transposed("h.{i}.mlp.c_proj"),
        "layers.{i}.feed_forward.norm": "h.{i}.ln_2",
    },
    heads=gpt2_heads(),
    junk=("*.attn.bias", "*position_ids", "multiple_choice_head.*"),
    dropout=GPT2_DROPOUT,
    padding_learns=True,
)
