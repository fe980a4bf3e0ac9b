"""MPNet: Song et al. 2020, arXiv:2004.09297. RoBERTa's positions and a bias by distance that all layers share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..blocks.stack import Relative, StackOptions
from ..weights.name_map import join
from .bert import BERT_DROPOUT, EMBEDDING_ROWS
from .family import EncoderFamily
from .roberta import ROBERTA_HEADS, RobertaConfig, roberta_options

__all__ = ["MPNetConfig"]


@dataclass(frozen=True, kw_only=True)
class MPNetConfig(RobertaConfig):
    """MPNet's config.json."""

    model_type: ClassVar[str] = "mpnet"

    vocab_size: int = 30527
    type_vocab_size: int = 0
    relative_attention_num_buckets: int = 32


def mpnet_options(config: MPNetConfig) -> StackOptions:
    """RoBERTa's, with relative positions and no token types, whatever the config says of them."""
    relative = Relative(config.num_attention_heads, config.relative_attention_num_buckets)
    return replace(roberta_options(config), relative=relative).with_embedding(type_vocab_size=0)


FAMILY = EncoderFamily(
    model_types=("mpnet",),
    class_prefixes=("MPNet",),
    configs=(MPNetConfig,),
    options=mpnet_options,
    prefix="mpnet.",
    rows={
        **EMBEDDING_ROWS,
        "relative_bias": "encoder.relative_attention_bias",
        "layers.{i}.attention.qkv": join(
            "encoder.layer.{i}.attention.attn.q",
            "encoder.layer.{i}.attention.attn.k",
            "encoder.layer.{i}.attention.attn.v",
        ),
        "layers.{i}.attention.output": "encoder.layer.{i}.attention.attn.o",
        "layers.{i}.attention.norm": "encoder.layer.{i}.attention.LayerNorm",
        "layers.{i}.feed_forward.up": "encoder.layer.{i}.intermediate.dense",
        "layers.{i}.feed_forward.down": "encoder.layer.{i}.output.dense",
        "layers.{i}.feed_forward.norm": "encoder.layer.{i}.output.LayerNorm",
    },
    heads={
        name: replace(head, dropout=("hidden_dropout_prob",)) if head.dropout else head
        for name, head in ROBERTA_HEADS.items()
    },
    junk=("*embeddings.position_ids",),
    dropout=BERT_DROPOUT,
)
