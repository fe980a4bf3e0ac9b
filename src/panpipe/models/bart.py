"""BART: Lewis et al. 2019, arXiv:1910.13461. An encoder and a decoder, norms after each sublayer, learned positions.

mBART, Marian, Pegasus and M2M100 are made from what stands here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..batch import Batch
from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..errors import ConfigError
from ..weights.name_map import Rows, join, row, tied
from .config import Config
from .family import EncoderDecoderFamily, EncoderDecoderOptions, Head

__all__ = [
    "BART_DROPOUT",
    "BART_JUNK",
    "BartConfig",
    "bart_heads",
    "bart_options",
    "bart_rows",
    "shift_around",
    "shift_behind_start",
    "with_norms_first",
]


@dataclass(frozen=True, kw_only=True)
class BartConfig(Config):
    """BART's config.json."""

    model_type: ClassVar[str] = "bart"

    vocab_size: int = 50265
    max_position_embeddings: int = 1024
    d_model: int = 1024
    encoder_layers: int = 12
    encoder_ffn_dim: int = 4096
    encoder_attention_heads: int = 16
    decoder_layers: int = 12
    decoder_ffn_dim: int = 4096
    decoder_attention_heads: int = 16
    activation_function: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    classifier_dropout: float = 0.0
    scale_embedding: bool = False
    is_encoder_decoder: bool = True
    num_labels: int = 3
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 2
    decoder_start_token_id: int | None = 2
    forced_eos_token_id: int | tuple[int, ...] | None = 2

    @classmethod
    def aliases(cls) -> dict[str, str]:
        return {
            "hidden_size": "d_model",
            "num_attention_heads": "encoder_attention_heads",
            "init_std": "initializer_range",
        }

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def num_attention_heads(self) -> int:
        return self.encoder_attention_heads

    @property
    def num_hidden_layers(self) -> int:
        return self.encoder_layers

    @property
    def target_vocab_size(self) -> int:
        """The decoder's."""
        return self.vocab_size


def bart_options(config: BartConfig, **of_embedding: Any) -> EncoderDecoderOptions:
    """The two stacks of a BART; its kin change what differs.   of_embedding: `EmbeddingOptions`, instead of BART's."""
    embedding = {
        "position_rows": config.max_position_embeddings + 2,
        "first_position": 2,
        "norm_epsilon": 1e-5,
        "scale": math.sqrt(config.d_model) if config.scale_embedding else 1.0,
        **of_embedding,
    }

    def stack(vocab: int, layers: int, heads: int, inner: int, **options: Any) -> StackOptions:
        layer = LayerOptions(
            hidden_size=config.d_model,
            num_heads=heads,
            intermediate_size=inner,
            activation=activation_named(config.activation_function),
            norm_epsilon=1e-5,
            **options,
        )
        return StackOptions(EmbeddingOptions(vocab, config.d_model, **embedding), (layer,) * layers)

    return EncoderDecoderOptions(
        stack(config.vocab_size, config.encoder_layers, config.encoder_attention_heads, config.encoder_ffn_dim),
        stack(
            config.target_vocab_size,
            config.decoder_layers,
            config.decoder_attention_heads,
            config.decoder_ffn_dim,
            is_causal=True,
            has_source=True,
        ),
    )


def with_norms_first(options: EncoderDecoderOptions) -> EncoderDecoderOptions:
    """The same, with norms before each sublayer and after the last."""

    def first(stack: StackOptions) -> StackOptions:
        layers = tuple(replace(layer, norm_first=True) for layer in stack.layers)
        return replace(stack, layers=layers, has_final_norm=True)

    return replace(options, encoder=first(options.encoder), decoder=first(options.decoder))


def shift_behind_start(config: Any, batch: Batch) -> Batch:
    """What the decoder is given of its own source: the start token, then all tokens but the last."""
    start = config.decoder_start_token_id
    if start is None:
        raise ConfigError(
            "the config has no decoder_start_token_id, so the decoder cannot begin: give decoder_input_ids."
        )
    return _shifted(batch, np.full(len(batch), start, np.int32))


def shift_around(config: Any, batch: Batch) -> Batch:
    """The same, with each sequence's last token at its start: mBART's language."""
    return _shifted(batch, batch.token_ids[batch.offsets[1:] - 1])


def _shifted(batch: Batch, starts: Any) -> Batch:
    ids = np.roll(batch.token_ids, 1)
    ids[batch.first_rows] = starts
    return Batch(ids, batch.lengths)


def bart_rows(tables: dict[str, str] | None = None) -> Rows:
    """The names of both stacks.   tables: of the token embeddings, by stack, where they are two."""
    tables = tables or {"encoder": "shared", "decoder": "shared"}
    rows: dict[str, Any] = {}
    for stack, sublayers in (("encoder", ("self",)), ("decoder", ("self", "encoder"))):
        rows |= {
            f"{stack}.embeddings.tokens": tables[stack],
            f"{stack}.embeddings.positions": f"{stack}.embed_positions",
            f"{stack}.embeddings.norm": f"{stack}.layernorm_embedding",
            f"{stack}.norm": f"{stack}.layer_norm",
        }
        layer = f"{stack}.layers.{{i}}"
        rows |= {
            f"{layer}.attention.qkv": join(*(f"{layer}.self_attn.{name}_proj" for name in "qkv")),
            f"{layer}.attention.output": f"{layer}.self_attn.out_proj",
            f"{layer}.attention.norm": f"{layer}.self_attn_layer_norm",
            f"{layer}.feed_forward.up": f"{layer}.fc1",
            f"{layer}.feed_forward.down": f"{layer}.fc2",
            f"{layer}.feed_forward.norm": f"{layer}.final_layer_norm",
        }
        if "encoder" in sublayers:
            rows |= {
                f"{layer}.source.q": f"{layer}.encoder_attn.q_proj",
                f"{layer}.source.kv": join(*(f"{layer}.encoder_attn.{name}_proj" for name in "kv")),
                f"{layer}.source.output": f"{layer}.encoder_attn.out_proj",
                f"{layer}.source.norm": f"{layer}.encoder_attn_layer_norm",
            }
    return rows


def bart_heads(only: Iterable[str] = ()) -> dict[str, Head]:
    """The heads of a BART.   only: those of its kin that have fewer."""
    heads = {
        "base": Head(),
        "seq2seq-lm": Head(
            {
                "head.decoder.weight": tied("decoder.embeddings.tokens.weight", untied="lm_head.weight"),
                "head.decoder.bias": row("final_logits_bias"),
            }
        ),
        "sequence-classification": Head(
            {"head.dense": "classification_head.dense", "head.output": "classification_head.out_proj"},
            dropout=("classifier_dropout",),
            drops_input=True,
        ),
        "question-answering": Head({"head.output": "qa_outputs"}),
    }
    return {name: head for name, head in heads.items() if not only or name in only}


# The same table under other names, computed positions that some save, and counters of fairseq's.
BART_JUNK = (
    "*encoder.embed_tokens.weight",
    "*decoder.embed_tokens.weight",
    "*shared.weight",
    "lm_head.weight",
    "*encoder.version",
    "*decoder.version",
)

BART_DROPOUT = {
    **dict.fromkeys(("embeddings", "attended", "feed_forward"), "dropout"),
    "attention": "attention_dropout",
    "inner": "activation_dropout",
}

FAMILY = EncoderDecoderFamily(
    model_types=("bart",),
    class_prefixes=("Bart",),
    configs=(BartConfig,),
    options=bart_options,
    shift=shift_behind_start,
    has_logits_bias=True,
    prefix="model.",
    rows=bart_rows(),
    heads=bart_heads(),
    junk=BART_JUNK,
    dropout=BART_DROPOUT,
)
