"""Llama: Touvron et al. 2023, arXiv:2302.13971. Rotary positions, RMS norms first, gated feed-forward, grouped heads.

Mistral, Qwen and SmolLM are made from what stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.rotary import rotary_options
from ..blocks.stack import StackOptions
from ..weights.name_map import Rows, join, tied
from .config import Config
from .family import DecoderFamily, Head

__all__ = ["LLAMA_DROPOUT", "LLAMA_JUNK", "LLAMA_ROWS", "LlamaConfig", "llama_heads", "llama_layer", "llama_stack"]


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(Config):
    """Llama's config.json."""

    model_type: ClassVar[str] = "llama"

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    hidden_act: str = "silu"
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict[str, Any] | None = None
    partial_rotary_factor: float = 1.0
    attention_bias: bool = False
    mlp_bias: bool = False
    attention_dropout: float = 0.0
    classifier_dropout: float | None = None
    tie_word_embeddings: bool = False
    bos_token_id: int | None = 1
    eos_token_id: int | tuple[int, ...] | None = 2


def llama_layer(config: LlamaConfig, **changes: Any) -> LayerOptions:
    """A layer of a Llama; its kin change what differs."""
    options: dict[str, Any] = {
        "hidden_size": config.hidden_size,
        "num_heads": config.num_attention_heads,
        "num_kv_heads": config.num_key_value_heads or config.num_attention_heads,
        "head_size": config.head_dim or 0,
        "intermediate_size": config.intermediate_size,
        "activation": activation_named(config.hidden_act),
        "norm_epsilon": config.rms_norm_eps,
        "is_rms": True,
        "norm_first": True,
        "is_gated": True,
        "is_causal": True,
        "is_rotary": True,
        "qkv_bias": config.attention_bias,
        "output_bias": config.attention_bias,
        "feed_forward_bias": config.mlp_bias,
    }
    return LayerOptions(**{**options, **changes})


def llama_stack(config: LlamaConfig, layers: tuple[LayerOptions, ...]) -> StackOptions:
    """The decoder of those layers."""
    head_size = layers[0].head_size if layers else 2
    rotary = rotary_options(
        config.max_position_embeddings,
        head_size,
        config.rope_theta,
        config.rope_scaling,
        config.partial_rotary_factor,
    )
    embedding = EmbeddingOptions(config.vocab_size, config.hidden_size)
    return StackOptions(embedding, layers, has_final_norm=True, rotary=rotary)


def llama_options(config: LlamaConfig) -> StackOptions:
    """The decoder of a Llama."""
    return llama_stack(config, (llama_layer(config),) * config.num_hidden_layers)


LLAMA_ROWS: Rows = {
    "embeddings.tokens": "embed_tokens",
    "layers.{i}.attention.norm": "layers.{i}.input_layernorm",
    "layers.{i}.attention.qkv": join(
        "layers.{i}.self_attn.q_proj", "layers.{i}.self_attn.k_proj", "layers.{i}.self_attn.v_proj"
    ),
    "layers.{i}.attention.q_norm": "layers.{i}.self_attn.q_norm",
    "layers.{i}.attention.k_norm": "layers.{i}.self_attn.k_norm",
    "layers.{i}.attention.output": "layers.{i}.self_attn.o_proj",
    "layers.{i}.feed_forward.norm": "layers.{i}.post_attention_layernorm",
    "layers.{i}.feed_forward.up": join("layers.{i}.mlp.gate_proj", "layers.{i}.mlp.up_proj"),
    "layers.{i}.feed_forward.down": "layers.{i}.mlp.down_proj",
    "norm": "norm",
}
LLAMA_JUNK = ("*.rotary_emb.inv_freq",)
LLAMA_DROPOUT = {"attention": "attention_dropout"}


def llama_heads(qa_prefix: str | None = "transformer.") -> dict[str, Head]:
    """The heads of the family.   qa_prefix: before the body's names in a question answerer, by old custom."""
    return {
        "base": Head(),
        "causal-lm": Head({"head.decoder.weight": tied("embeddings.tokens.weight", untied="lm_head.weight")}),
        "sequence-classification": Head({"head.output": "score"}, bias=False),
        "token-classification": Head({"head.output": "score"}, dropout=("classifier_dropout", 0.1)),
        "question-answering": Head({"head.output": "qa_outputs"}, prefix=qa_prefix),
    }


FAMILY = DecoderFamily(
    model_types=("llama",),
    class_prefixes=("Llama",),
    configs=(LlamaConfig,),
    options=llama_options,
    prefix="model.",
    rows=LLAMA_ROWS,
    heads=llama_heads(),
    junk=LLAMA_JUNK,
    dropout=LLAMA_DROPOUT,
)
