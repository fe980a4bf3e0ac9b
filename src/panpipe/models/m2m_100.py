"""M2M-100: Fan et al. 2020, arXiv:2010.11125; NLLB-200: NLLB team 2022, arXiv:2207.04672. A BART of 200 languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..blocks.embeddings import fairseq_sinusoids
from .bart import (
    BART_DROPOUT,
    BART_JUNK,
    BartConfig,
    bart_heads,
    bart_options,
    bart_rows,
    shift_behind_start,
    with_norms_first,
)
from .family import EncoderDecoderFamily, EncoderDecoderOptions, Head

__all__ = ["M2M100Config"]


@dataclass(frozen=True, kw_only=True)
class M2M100Config(BartConfig):
    """M2M-100's and NLLB's config.json."""

    model_type: ClassVar[str] = "m2m_100"

    vocab_size: int = 128112
    activation_function: str = "relu"
    scale_embedding: bool = True
    attention_dropout: float = 0.1
    num_labels: int = 0
    forced_eos_token_id: int | tuple[int, ...] | None = None


def m2m_100_options(config: M2M100Config) -> EncoderDecoderOptions:
    """BART's, with norms first and fairseq's positions, which pass over padding."""
    padding = 1 if config.pad_token_id is None else config.pad_token_id
    return with_norms_first(
        bart_options(
            config,
            position_rows=config.max_position_embeddings + padding + 1,
            first_position=padding + 1,
            padding_id=padding,
            position_formula=fairseq_sinusoids,
            stores_positions=False,
            norm_epsilon=None,
        )
    )


FAMILY = EncoderDecoderFamily(
    model_types=("m2m_100",),
    class_prefixes=("M2M100",),
    configs=(M2M100Config,),
    options=m2m_100_options,
    shift=shift_behind_start,
    prefix="model.",
    rows=bart_rows(),
    heads={
        "base": Head(),
        "seq2seq-lm": Head({"head.decoder.weight": bart_heads()["seq2seq-lm"].rows["head.decoder.weight"]}),
    },
    junk=(*BART_JUNK, "*.embed_positions.weight*", "final_logits_bias"),
    dropout=BART_DROPOUT,
)
