"""RoBERTa: Liu et al. 2019, arXiv:1907.11692; XLM-RoBERTa: Conneau et al. 2020, arXiv:1911.02116; CamemBERT: Martin et
al. 2020, arXiv:1911.03894. BERT's encoder, with positions that begin after the padding's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.stack import StackOptions
from ..weights.name_map import either, tied
from .bert import BERT_DROPOUT, BERT_HEAD_DROPOUT, BERT_LAYER_ROWS, EMBEDDING_ROWS, BertConfig, bert_options
from .family import EncoderFamily, Head

__all__ = ["ROBERTA_HEADS", "CamembertConfig", "RobertaConfig", "XLMRobertaConfig"]


@dataclass(frozen=True, kw_only=True)
class RobertaConfig(BertConfig):
    """RoBERTa's config.json."""

    model_type: ClassVar[str] = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2


@dataclass(frozen=True, kw_only=True)
class XLMRobertaConfig(RobertaConfig):
    """XLM-RoBERTa's config.json."""

    model_type: ClassVar[str] = "xlm-roberta"

    vocab_size: int = 30522


@dataclass(frozen=True, kw_only=True)
class CamembertConfig(RobertaConfig):
    """CamemBERT's config.json."""

    model_type: ClassVar[str] = "camembert"

    vocab_size: int = 30522


def roberta_options(config: RobertaConfig) -> StackOptions:
    """BERT's, with positions counted from the one after the padding's."""
    padding = 1 if config.pad_token_id is None else config.pad_token_id
    return bert_options(config).with_embedding(first_position=padding + 1, padding_id=padding)


ROBERTA_HEADS = {
    "base": Head({"pooler": "pooler.dense"}),
    "masked-lm": Head(
        {
            "head.dense": "lm_head.dense",
            "head.norm": "lm_head.layer_norm",
            "head.decoder.weight": tied("embeddings.tokens.weight", untied="lm_head.decoder.weight"),
            "head.decoder.bias": either("lm_head.bias", "lm_head.decoder.bias"),
        },
        activation="gelu",
    ),
    "sequence-classification": Head(
        {"head.dense": "classifier.dense", "head.output": "classifier.out_proj"},
        dropout=BERT_HEAD_DROPOUT,
        drops_input=True,
    ),
    "token-classification": Head({"head.output": "classifier"}, dropout=BERT_HEAD_DROPOUT),
    "question-answering": Head({"head.output": "qa_outputs"}),
}

FAMILY = EncoderFamily(
    model_types=("roberta", "xlm-roberta", "camembert"),
    class_prefixes=("Roberta", "XLMRoberta", "Camembert"),
    configs=(RobertaConfig, XLMRobertaConfig, CamembertConfig),
    options=roberta_options,
    prefix="roberta.",
    rows={**EMBEDDING_ROWS, **BERT_LAYER_ROWS},
    heads=ROBERTA_HEADS,
    junk=("*embeddings.position_ids",),
    dropout=BERT_DROPOUT,
)
