"""ELECTRA: Clark et al. 2020, arXiv:2003.10555. BERT's encoder on embeddings that may be narrower than it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.stack import StackOptions
from ..weights.name_map import either, tied
from .bert import BERT_DROPOUT, BERT_HEAD_DROPOUT, BERT_LAYER_ROWS, EMBEDDING_ROWS, BertConfig, bert_options
from .family import EncoderFamily, Head

__all__ = ["ElectraConfig"]


@dataclass(frozen=True, kw_only=True)
class ElectraConfig(BertConfig):
    """ELECTRA's config.json."""

    model_type: ClassVar[str] = "electra"

    embedding_size: int = 128
    hidden_size: int = 256
    num_attention_heads: int = 4
    intermediate_size: int = 1024


def electra_options(config: ElectraConfig) -> StackOptions:
    """BERT's, on embeddings of `embedding_size`."""
    return bert_options(config).with_embedding(
        width=config.embedding_size, has_projection=config.embedding_size != config.hidden_size
    )


FAMILY = EncoderFamily(
    model_types=("electra",),
    class_prefixes=("Electra",),
    configs=(ElectraConfig,),
    options=electra_options,
    prefix="electra.",
    rows={**EMBEDDING_ROWS, "embeddings.projection": "embeddings_project", **BERT_LAYER_ROWS},
    heads={
        "base": Head(),
        "masked-lm": Head(
            {
                "head.dense": "generator_predictions.dense",
                "head.norm": "generator_predictions.LayerNorm",
                "head.decoder.weight": tied("embeddings.tokens.weight", untied="generator_lm_head.weight"),
                "head.decoder.bias": either("generator_lm_head.bias"),
            },
            activation="gelu",
        ),
        "sequence-classification": Head(
            {"head.dense": "classifier.dense", "head.output": "classifier.out_proj"},
            activation="gelu",
            dropout=BERT_HEAD_DROPOUT,
            drops_input=True,
        ),
        "token-classification": Head({"head.output": "classifier"}, dropout=BERT_HEAD_DROPOUT),
        "question-answering": Head({"head.output": "qa_outputs"}),
    },
    junk=("*embeddings.position_ids", "discriminator_predictions.*"),
    dropout=BERT_DROPOUT,
)
