"""Which family a config.json's model_type belongs to. A new family is a file and a line here."""

from __future__ import annotations

from . import (
    albert,
    bart,
    bert,
    distilbert,
    electra,
    gpt2,
    llama,
    m2m_100,
    marian,
    mbart,
    mistral,
    mpnet,
    openai_gpt,
    pegasus,
    qwen2,
    qwen3,
    roberta,
    smollm3,
    t5,
)
from .family import Family

__all__ = ["FAMILIES"]

FAMILIES: dict[str, Family] = {
    model_type: module.FAMILY
    for module in (
        *(bert, distilbert, roberta, electra, albert, mpnet),
        *(gpt2, openai_gpt, llama, mistral, qwen2, qwen3, smollm3),
        *(bart, mbart, marian, pegasus, m2m_100, t5),
    )
    for model_type in module.FAMILY.model_types
}
