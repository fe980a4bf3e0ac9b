"""GPT-2: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners". Norms first, learned positions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..weights.name_map import Rows, tied, transposed
from .config import Config
from .family import DecoderFamily, Head

__all__ = ["GPT2_DROPOUT", "GPT2Config", "gpt2_heads"]


@dataclass(frozen=True, kw_only=True)
class GPT2Config(Config):
    """GPT-2's config.json, with its own names for what others call hidden_size, num_hidden_layers …"""

    model_type: ClassVar[str] = "gpt2"

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    classifier_dropout: float | None = None
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    bos_token_id: int | None = 50256
    eos_token_id: int | tuple[int, ...] | None = 50256

    @classmethod
    def aliases(cls) -> dict[str, str]:
        return {
            "hidden_size": "n_embd",
            "max_position_embeddings": "n_positions",
            "num_attention_heads": "n_head",
            "num_hidden_layers": "n_layer",
        }

    @property
    def hidden_size(self) -> int:
        return self.n_embd

    @property
    def num_attention_heads(self) -> int:
        return self.n_head

    @property
    def num_hidden_layers(self) -> int:
        return self.n_layer


def gpt2_options(config: GPT2Config) -> StackOptions:
    """The decoder of a GPT-2."""
    layer = LayerOptions(
        hidden_size=config.n_embd,
        num_heads=config.n_head,
        intermediate_size=4 * config.n_embd if config.n_inner is None else config.n_inner,
        activation=activation_named(config.activation_function),
        norm_epsilon=config.layer_norm_epsilon,
        scale=None if config.scale_attn_weights else 1.0,
        norm_first=True,
        is_causal=True,
    )
    layers = tuple(_scaled(config, layer, number) for number in range(config.n_layer))
    embedding = EmbeddingOptions(config.vocab_size, config.n_embd, position_rows=config.n_positions)
    return StackOptions(embedding, layers, has_final_norm=True)


def _scaled(config: GPT2Config, layer: LayerOptions, number: int) -> LayerOptions:
    """With attention's scores divided by the layer's place too, where the config says so."""
    if not config.scale_attn_by_inverse_layer_idx:
        return layer
    scale = 1.0 / math.sqrt(layer.head_size) if layer.scale is None else layer.scale
    return replace(layer, scale=scale / (number + 1))


def gpt2_heads() -> dict[str, Head]:
    """The heads of GPT-2 and of its elder."""
    language_model: Rows = {"head.decoder.weight": tied("embeddings.tokens.weight", untied="lm_head.weight")}
    return {
        "base": Head(),
        "causal-lm": Head(language_model, class_suffix="LMHeadModel"),
        "sequence-classification": Head({"head.output": "score"}, bias=False),
    }


GPT2_DROPOUT = {
    "embeddings": "embd_pdrop",
    "attention": "attn_pdrop",
    **dict.fromkeys(("attended", "feed_forward"), "resid_pdrop"),
}

FAMILY = DecoderFamily(
    model_types=("gpt2",),
    class_prefixes=("GPT2",),
    configs=(GPT2Config,),
    options=gpt2_options,
    prefix="transformer.",
    rows={
        "embeddings.tokens": "wte",
        "embeddings.positions": "wpe",
        "layers.{i}.attention.norm": "h.{i}.ln_1",
        "layers.{i}.attention.qkv": transposed("h.{i}.attn.c_attn"),
        "layers.{i}.attention.output": transposed("h.{i}.attn.c_proj"),
        "layers.{i}.feed_forward.norm": "h.{i}.ln_2",
        "layers.{i}.feed_forward.up": transposed("h.{i}.mlp.c_fc"),
        "layers.{i}.feed_forward.down": transposed("h.{i}.mlp.c_proj"),
        "norm": "ln_f",
    },
    heads=gpt2_heads()
    | {
        "token-classification": Head({"head.output": "classifier"}, dropout=("classifier_dropout", 0.1)),
        "question-answering": Head({"head.output": "qa_outputs"}),
    },
    # The triangles of causal attention, and the second head of the double-headed model.
    junk=("*.attn.bias", "*.attn.masked_bias", "multiple_choice_head.*"),
    dropout=GPT2_DROPOUT,
    padding_learns=True,
)
