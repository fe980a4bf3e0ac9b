"""Marian: Junczys-Dowmunt et al. 2018, arXiv:1804.00344; the opus-mt models. A BART with sines for positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..blocks.embeddings import sinusoids
from ..weights.name_map import Rows
from .bart import BART_DROPOUT, BART_JUNK, BartConfig, bart_heads, bart_options, bart_rows, shift_behind_start
from .config import Config
from .family import EncoderDecoderFamily, EncoderDecoderOptions, Head

__all__ = ["MarianConfig", "sinusoid_positions"]


@dataclass(frozen=True, kw_only=True)
class MarianConfig(BartConfig):
    """Marian's config.json.   share_encoder_decoder_embeddings: else the decoder has a vocabulary of its own."""

    model_type: ClassVar[str] = "marian"

    vocab_size: int = 58101
    decoder_vocab_size: int | None = None
    share_encoder_decoder_embeddings: bool = True
    num_labels: int = 0
    bos_token_id: int | None = None
    pad_token_id: int | None = 58100
    eos_token_id: int | tuple[int, ...] | None = 0
    decoder_start_token_id: int | None = 58100
    forced_eos_token_id: int | tuple[int, ...] | None = 0

    @property
    def target_vocab_size(self) -> int:
        if self.share_encoder_decoder_embeddings:
            return self.vocab_size
        return self.decoder_vocab_size or self.vocab_size


def sinusoid_positions(config: BartConfig) -> dict[str, Any]:
    """Embedding options for computed positions and no norm."""
    return {
        "position_rows": config.max_position_embeddings,
        "first_position": 0,
        "position_formula": sinusoids,
        "norm_epsilon": None,
    }


def marian_options(config: MarianConfig) -> EncoderDecoderOptions:
    """BART's, with computed positions and no norm of the embeddings."""
    return bart_options(config, **sinusoid_positions(config))


_APART = bart_rows({"encoder": "encoder.embed_tokens", "decoder": "decoder.embed_tokens"})


@dataclass(frozen=True, eq=False, kw_only=True)
class _Marian(EncoderDecoderFamily):
    def rows_of(self, config: Config) -> Rows:
        """With two tables of embeddings where the config says so."""
        assert isinstance(config, MarianConfig)
        rows: Mapping[str, Any] = self.rows if config.share_encoder_decoder_embeddings else _APART
        return rows


FAMILY = _Marian(
    model_types=("marian",),
    class_prefixes=("Marian",),
    configs=(MarianConfig,),
    options=marian_options,
    shift=shift_behind_start,
    has_logits_bias=True,
    prefix="model.",
    rows=bart_rows(),
    heads={
        name: head if name == "base" else Head(head.rows, class_suffix="MTModel")
        for name, head in bart_heads(("base", "seq2seq-lm")).items()
    },
    junk=BART_JUNK,
    dropout=BART_DROPOUT,
    unwritten=("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight"),
)
