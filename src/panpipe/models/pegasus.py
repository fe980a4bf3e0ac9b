"""PEGASUS: Zhang et al. 2020, arXiv:1912.08777. A BART with norms first and sines for positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
from .family import EncoderDecoderFamily, EncoderDecoderOptions
from .marian import sinusoid_positions

__all__ = ["PegasusConfig"]


@dataclass(frozen=True, kw_only=True)
class PegasusConfig(BartConfig):
    """PEGASUS's config.json."""

    model_type: ClassVar[str] = "pegasus"

    num_labels: int = 0
    bos_token_id: int | None = None
    pad_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 1
    decoder_start_token_id: int | None = 0
    forced_eos_token_id: int | tuple[int, ...] | None = 1


def pegasus_options(config: PegasusConfig) -> EncoderDecoderOptions:
    """BART's, with norms first and computed positions."""
    return with_norms_first(bart_options(config, **sinusoid_positions(config)))


FAMILY = EncoderDecoderFamily(
    model_types=("pegasus",),
    class_prefixes=("Pegasus",),
    configs=(PegasusConfig,),
    options=pegasus_options,
    shift=shift_behind_start,
    has_logits_bias=True,
    prefix="model.",
    rows=bart_rows(),
    heads=bart_heads(("base", "seq2seq-lm")),
    junk=BART_JUNK,
    dropout=BART_DROPOUT,
)
