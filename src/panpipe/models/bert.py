"""BERT: Devlin et al. 2019, arXiv:1810.04805."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..errors import ConfigError
from ..weights.name_map import Rows, either, join, tied
from .config import Config
from .family import EncoderFamily, Head

__all__ = ["BERT_DROPOUT", "BERT_HEAD_DROPOUT", "BERT_LAYER_ROWS", "EMBEDDING_ROWS", "BertConfig", "bert_options"]


@dataclass(frozen=True, kw_only=True)
class BertConfig(Config):
    """BERT's config.json."""

    model_type: ClassVar[str] = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    classifier_dropout: float | None = None
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    position_embedding_type: str = "absolute"
    pad_token_id: int | None = 0


def bert_options(config: BertConfig) -> StackOptions:
    """The encoder of a BERT; its kin change what differs."""
    if config.position_embedding_type != "absolute":
        raise ConfigError(
            f"position_embedding_type is {config.position_embedding_type!r}; panpipe has only 'absolute' positions."
        )
    embedding = EmbeddingOptions(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        position_rows=config.max_position_embeddings,
        type_vocab_size=config.type_vocab_size,
        norm_epsilon=config.layer_norm_eps,
    )
    layer = LayerOptions(
        hidden_size=config.hidden_size,
        num_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        activation=activation_named(config.hidden_act),
        norm_epsilon=config.layer_norm_eps,
    )
    return StackOptions(embedding, (layer,) * config.num_hidden_layers)


EMBEDDING_ROWS: Rows = {
    "embeddings.tokens": "embeddings.word_embeddings",
    "embeddings.positions": "embeddings.position_embeddings",
    "embeddings.types": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
}

BERT_LAYER_ROWS: Rows = {
    "layers.{i}.attention.qkv": join(
        "encoder.layer.{i}.attention.self.query",
        "encoder.layer.{i}.attention.self.key",
        "encoder.layer.{i}.attention.self.value",
    ),
    "layers.{i}.attention.output": "encoder.layer.{i}.attention.output.dense",
    "layers.{i}.attention.norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "layers.{i}.feed_forward.up": "encoder.layer.{i}.intermediate.dense",
    "layers.{i}.feed_forward.down": "encoder.layer.{i}.output.dense",
    "layers.{i}.feed_forward.norm": "encoder.layer.{i}.output.LayerNorm",
}

BERT_DROPOUT = {
    **dict.fromkeys(("embeddings", "attended", "feed_forward"), "hidden_dropout_prob"),
    "attention": "attention_probs_dropout_prob",
}
BERT_HEAD_DROPOUT = ("classifier_dropout", "hidden_dropout_prob")

FAMILY = EncoderFamily(
    model_types=("bert",),
    class_prefixes=("Bert",),
    configs=(BertConfig,),
    options=bert_options,
    prefix="bert.",
    rows={**EMBEDDING_ROWS, **BERT_LAYER_ROWS},
    heads={
        "base": Head({"pooler": "pooler.dense"}),
        "masked-lm": Head(
            {
                "head.dense": "cls.predictions.transform.dense",
                "head.norm": "cls.predictions.transform.LayerNorm",
                "head.decoder.weight": tied("embeddings.tokens.weight", untied="cls.predictions.decoder.weight"),
                "head.decoder.bias": either("cls.predictions.bias", "cls.predictions.decoder.bias"),
            },
            activation=lambda config: activation_named(config.hidden_act),
        ),
        "sequence-classification": Head(
            {"head.dense": either("bert.pooler.dense", "pooler.dense"), "head.output": "classifier"},
            dropout=BERT_HEAD_DROPOUT,
        ),
        "token-classification": Head({"head.output": "classifier"}, dropout=BERT_HEAD_DROPOUT),
        "question-answering": Head({"head.output": "qa_outputs"}),
    },
    junk=("*embeddings.position_ids", "cls.seq_relationship.*"),
    dropout=BERT_DROPOUT,
)
