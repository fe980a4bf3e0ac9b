"""ALBERT: Lan et al. 2020, arXiv:1909.11942. BERT's encoder with narrow embeddings and layers that share weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..blocks.activations import activation_named
from ..blocks.stack import StackOptions
from ..errors import ConfigError
from ..weights.name_map import either, join, tied
from .bert import BERT_DROPOUT, EMBEDDING_ROWS, BertConfig, bert_options
from .family import EncoderFamily, Head

__all__ = ["AlbertConfig"]


@dataclass(frozen=True, kw_only=True)
class AlbertConfig(BertConfig):
    """ALBERT's config.json."""

    model_type: ClassVar[str] = "albert"

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_groups: int = 1
    inner_group_num: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    classifier_dropout_prob: float | None = 0.1
    bos_token_id: int | None = 2
    eos_token_id: int | tuple[int, ...] | None = 3


def albert_options(config: AlbertConfig) -> StackOptions:
    """BERT's, on narrow embeddings; each of the layers runs a group's weights."""
    groups, layers = config.num_hidden_groups, config.num_hidden_layers
    if config.inner_group_num != 1:
        raise ConfigError(
            f"inner_group_num is {config.inner_group_num}; panpipe has ALBERT with 1, as all published ones."
        )
    if not 1 <= groups <= max(layers, 1):
        raise ConfigError(f"num_hidden_groups is {groups}; it must be from 1 to num_hidden_layers, {layers}.")
    weights_of = tuple(int(layer / (layers / groups)) for layer in range(layers))
    options = replace(bert_options(config), weights_of=weights_of)
    return options.with_embedding(width=config.embedding_size, has_projection=True)


_HEAD_DROPOUT = ("classifier_dropout_prob", "hidden_dropout_prob")
_LAYER = "encoder.albert_layer_groups.{i}.albert_layers.0"

FAMILY = EncoderFamily(
    model_types=("albert",),
    class_prefixes=("Albert",),
    configs=(AlbertConfig,),
    options=albert_options,
    prefix="albert.",
    rows={
        **EMBEDDING_ROWS,
        "embeddings.projection": "encoder.embedding_hidden_mapping_in",
        "layers.{i}.attention.qkv": join(
            f"{_LAYER}.attention.query", f"{_LAYER}.attention.key", f"{_LAYER}.attention.value"
        ),
        "layers.{i}.attention.output": f"{_LAYER}.attention.dense",
        "layers.{i}.attention.norm": f"{_LAYER}.attention.LayerNorm",
        "layers.{i}.feed_forward.up": f"{_LAYER}.ffn",
        "layers.{i}.feed_forward.down": f"{_LAYER}.ffn_output",
        "layers.{i}.feed_forward.norm": f"{_LAYER}.full_layer_layer_norm",
    },
    heads={
        "base": Head({"pooler": "pooler"}),
        "masked-lm": Head(
            {
                "head.dense": "predictions.dense",
                "head.norm": "predictions.LayerNorm",
                "head.decoder.weight": tied("embeddings.tokens.weight", untied="predictions.decoder.weight"),
                "head.decoder.bias": either("predictions.bias", "predictions.decoder.bias"),
            },
            activation=lambda config: activation_named(config.hidden_act),
        ),
        "sequence-classification": Head(
            {"head.dense": either("albert.pooler", "pooler"), "head.output": "classifier"}, dropout=_HEAD_DROPOUT
        ),
        "token-classification": Head({"head.output": "classifier"}, dropout=_HEAD_DROPOUT),
        "question-answering": Head({"head.output": "qa_outputs"}),
    },
    junk=("*embeddings.position_ids", "sop_classifier.*"),
    # What its feed-forward adds is not dropped.
    dropout={place: key for place, key in BERT_DROPOUT.items() if place != "feed_forward"},
)
