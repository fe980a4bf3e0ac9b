"""mBART: Liu et al. 2020, arXiv:2001.08210. A BART of many languages, with norms first."""

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
    shift_around,
    with_norms_first,
)
from .family import EncoderDecoderFamily, EncoderDecoderOptions

__all__ = ["MBartConfig"]


@dataclass(frozen=True, kw_only=True)
class MBartConfig(BartConfig):
    """mBART's config.json."""

    model_type: ClassVar[str] = "mbart"

    num_labels: int = 0
    decoder_start_token_id: int | None = None


def mbart_options(config: MBartConfig) -> EncoderDecoderOptions:
    """BART's, with norms first."""
    return with_norms_first(bart_options(config))


FAMILY = EncoderDecoderFamily(
    model_types=("mbart",),
    class_prefixes=("MBart",),
    configs=(MBartConfig,),
    options=mbart_options,
    shift=shift_around,
    has_logits_bias=True,
    prefix="model.",
    rows=bart_rows(),
    heads=bart_heads(),
    junk=BART_JUNK,
    dropout=BART_DROPOUT,
)
