"""DistilBERT: Sanh et al. 2019, arXiv:1910.01108. BERT with half the layers, no token types and no pooler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..weights.name_map import join, tied
from .config import Config
from .family import EncoderFamily, Head

__all__ = ["DistilBertConfig"]


@dataclass(frozen=True, kw_only=True)
class DistilBertConfig(Config):
    """DistilBERT's config.json, with its own names for what others call hidden_size, num_hidden_layers …"""

    model_type: ClassVar[str] = "distilbert"

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    qa_dropout: float = 0.1
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0

    @classmethod
    def aliases(cls) -> dict[str, str]:
        return {
            "hidden_size": "dim",
            "num_attention_heads": "n_heads",
            "num_hidden_layers": "n_layers",
            "intermediate_size": "hidden_dim",
        }

    @property
    def hidden_size(self) -> int:
        return self.dim

    @property
    def num_attention_heads(self) -> int:
        return self.n_heads

    @property
    def num_hidden_layers(self) -> int:
        return self.n_layers

    @property
    def type_vocab_size(self) -> int:
        return 0


def distilbert_options(config: DistilBertConfig) -> StackOptions:
    """The encoder of a DistilBERT. Its norms' epsilon is not in the config."""
    epsilon = 1e-12
    embedding = EmbeddingOptions(
        vocab_size=config.vocab_size,
        hidden_size=config.dim,
        position_rows=config.max_position_embeddings,
        norm_epsilon=epsilon,
    )
    layer = LayerOptions(
        hidden_size=config.dim,
        num_heads=config.n_heads,
        intermediate_size=config.hidden_dim,
        activation=activation_named(config.activation),
        norm_epsilon=epsilon,
    )
    return StackOptions(embedding, (layer,) * config.n_layers)


FAMILY = EncoderFamily(
    model_types=("distilbert",),
    class_prefixes=("DistilBert",),
    configs=(DistilBertConfig,),
    options=distilbert_options,
    prefix="distilbert.",
    rows={
        "embeddings.tokens": "embeddings.word_embeddings",
        "embeddings.positions": "embeddings.position_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
        "layers.{i}.attention.qkv": join(
            "transformer.layer.{i}.attention.q_lin",
            "transformer.layer.{i}.attention.k_lin",
            "transformer.layer.{i}.attention.v_lin",
        ),
        "layers.{i}.attention.output": "transformer.layer.{i}.attention.out_lin",
        "layers.{i}.attention.norm": "transformer.layer.{i}.sa_layer_norm",
        "layers.{i}.feed_forward.up": "transformer.layer.{i}.ffn.lin1",
        "layers.{i}.feed_forward.down": "transformer.layer.{i}.ffn.lin2",
        "layers.{i}.feed_forward.norm": "transformer.layer.{i}.output_layer_norm",
    },
    heads={
        "base": Head(),
        "masked-lm": Head(
            {
                "head.dense": "vocab_transform",
                "head.norm": "vocab_layer_norm",
                "head.decoder.weight": tied("embeddings.tokens.weight", untied="vocab_projector.weight"),
                "head.decoder.bias": "vocab_projector.bias",
            },
            activation=lambda config: activation_named(config.activation),
        ),
        "sequence-classification": Head(
            {"head.dense": "pre_classifier", "head.output": "classifier"},
            activation="relu",
            dropout=("seq_classif_dropout",),
        ),
        "token-classification": Head({"head.output": "classifier"}, dropout=("dropout",)),
        "question-answering": Head({"head.output": "qa_outputs"}, dropout=("qa_dropout",)),
    },
    junk=("*embeddings.position_ids",),
    # What its attention adds is not dropped.
    dropout={"embeddings": "dropout", "feed_forward": "dropout", "attention": "attention_dropout"},
)
