"""T5: Raffel et al. 2020, arXiv:1910.10683; T5 1.1, Flan-T5 (arXiv:2210.11416), mT5 (arXiv:2010.11934).

RMS norms first, no biases, positions as a bias by distance that all layers share, scores that are not scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ..blocks.activations import activation_named
from ..blocks.embeddings import EmbeddingOptions
from ..blocks.layers import LayerOptions
from ..blocks.stack import Relative, StackOptions
from ..errors import ConfigError
from ..weights.name_map import Rows, join, tied
from .bart import shift_behind_start
from .config import Config
from .family import EncoderDecoderFamily, EncoderDecoderOptions, Head

__all__ = ["MT5Config", "T5Config"]


@dataclass(frozen=True, kw_only=True)
class T5Config(Config):
    """T5's config.json.   feed_forward_proj: an activation, or 'gated-' and one."""

    model_type: ClassVar[str] = "t5"

    vocab_size: int = 32128
    d_model: int = 512
    d_kv: int = 64
    d_ff: int = 2048
    num_layers: int = 6
    num_decoder_layers: int | None = None
    num_heads: int = 8
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    classifier_dropout: float = 0.0
    layer_norm_epsilon: float = 1e-6
    initializer_factor: float = 1.0
    feed_forward_proj: str = "relu"
    is_encoder_decoder: bool = True
    pad_token_id: int | None = 0
    eos_token_id: int | tuple[int, ...] | None = 1
    # Not in older files, and the padding's in all.
    decoder_start_token_id: int | None = 0

    @classmethod
    def aliases(cls) -> dict[str, str]:
        return {
            "hidden_size": "d_model",
            "num_attention_heads": "num_heads",
            "num_hidden_layers": "num_layers",
            "head_dim": "d_kv",
        }

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def num_attention_heads(self) -> int:
        return self.num_heads

    @property
    def num_hidden_layers(self) -> int:
        return self.num_layers


@dataclass(frozen=True, kw_only=True)
class MT5Config(T5Config):
    """mT5's config.json."""

    model_type: ClassVar[str] = "mt5"

    vocab_size: int = 250112
    d_ff: int = 1024
    num_layers: int = 8
    num_heads: int = 6
    feed_forward_proj: str = "gated-gelu"
    tie_word_embeddings: bool = False


def t5_options(config: T5Config) -> EncoderDecoderOptions:
    """The two stacks of a T5."""
    activation, is_gated = _feed_forward(config.feed_forward_proj)
    layer = LayerOptions(
        hidden_size=config.d_model,
        num_heads=config.num_heads,
        head_size=config.d_kv,
        intermediate_size=config.d_ff,
        activation=activation,
        norm_epsilon=config.layer_norm_epsilon,
        scale=1.0,
        is_rms=True,
        norm_first=True,
        is_gated=is_gated,
        qkv_bias=False,
        output_bias=False,
        feed_forward_bias=False,
    )
    buckets = config.relative_attention_num_buckets, config.relative_attention_max_distance

    def stack(layer: LayerOptions, layers: int, relative: Relative) -> StackOptions:
        embedding = EmbeddingOptions(config.vocab_size, config.d_model)
        return StackOptions(embedding, (layer,) * layers, has_final_norm=True, relative=relative)

    decoder_layers = config.num_layers if config.num_decoder_layers is None else config.num_decoder_layers
    return EncoderDecoderOptions(
        stack(layer, config.num_layers, Relative(config.num_heads, *buckets)),
        stack(
            replace(layer, is_causal=True, has_source=True),
            decoder_layers,
            Relative(config.num_heads, *buckets, is_bidirectional=False),
        ),
        hidden_scale=config.d_model**-0.5 if config.tie_word_embeddings else 1.0,
    )


def _feed_forward(name: str) -> tuple[str, bool]:
    """The activation, and whether it gates."""
    gate, dash, activation = name.rpartition("-")
    if dash and gate != "gated":
        raise ConfigError(f"feed_forward_proj is {name!r}; it must be an activation, or 'gated-' and one.")
    # What T5 1.1 calls gated-gelu is the approximation by tanh.
    return activation_named("gelu_new" if name == "gated-gelu" else activation), bool(dash)


def _rows() -> Rows:
    rows: dict[str, Any] = {}
    for stack, places in (("encoder", (0, None, 1)), ("decoder", (0, 1, 2))):
        block = f"{stack}.block.{{i}}.layer"
        own, source, inner = places
        layer = f"{stack}.layers.{{i}}"
        rows |= {
            f"{stack}.embeddings.tokens": "shared",
            f"{stack}.relative_bias": f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias",
            f"{stack}.norm": f"{stack}.final_layer_norm",
            f"{layer}.attention.norm": f"{block}.{own}.layer_norm",
            f"{layer}.attention.qkv": join(*(f"{block}.{own}.SelfAttention.{name}" for name in "qkv")),
            f"{layer}.attention.output": f"{block}.{own}.SelfAttention.o",
            f"{layer}.feed_forward.norm": f"{block}.{inner}.layer_norm",
            f"{layer}.feed_forward.up": f"{block}.{inner}.DenseReluDense.wi",
            f"{layer}.feed_forward.down": f"{block}.{inner}.DenseReluDense.wo",
        }
        if source is not None:
            rows |= {
                f"{layer}.source.norm": f"{block}.{source}.layer_norm",
                f"{layer}.source.q": f"{block}.{source}.EncDecAttention.q",
                f"{layer}.source.kv": join(*(f"{block}.{source}.EncDecAttention.{name}" for name in "kv")),
                f"{layer}.source.output": f"{block}.{source}.EncDecAttention.o",
            }
    return rows


_ROWS = _rows()
_GATED_ROWS: Rows = {
    **_ROWS,
    **{
        f"{stack}.layers.{{i}}.feed_forward.up": join(
            *(f"{stack}.block.{{i}}.layer.{place}.DenseReluDense.wi_{part}" for part in (0, 1))
        )
        for stack, place in (("encoder", 1), ("decoder", 2))
    },
}


@dataclass(frozen=True, eq=False, kw_only=True)
class _T5(EncoderDecoderFamily):
    def rows_of(self, config: Config) -> Rows:
        """With two maps into a gated feed-forward."""
        assert isinstance(config, T5Config)
        return _GATED_ROWS if _feed_forward(config.feed_forward_proj)[1] else self.rows


FAMILY = _T5(
    model_types=("t5", "mt5"),
    class_prefixes=("T5", "MT5"),
    configs=(T5Config, MT5Config),
    options=t5_options,
    shift=shift_behind_start,
    needs_target=True,
    prefix="",
    rows=_ROWS,
    heads={
        "base": Head(),
        "seq2seq-lm": Head({"head.decoder.weight": tied("decoder.embeddings.tokens.weight", untied="lm_head.weight")}),
        "sequence-classification": Head(
            {"head.dense": "classification_head.dense", "head.output": "classification_head.out_proj"},
            prefix="transformer.",
            dropout=("classifier_dropout",),
            drops_input=True,
        ),
        "token-classification": Head(
            {"head.output": "classifier"}, prefix="transformer.", dropout=("classifier_dropout",)
        ),
        "question-answering": Head({"head.output": "qa_outputs"}),
    },
    junk=(
        "*coder.embed_tokens.weight",
        "lm_head.weight",
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
    ),
    dropout=dict.fromkeys(("embeddings", "attention", "attended", "inner", "feed_forward", "states"), "dropout_rate"),
    padding_learns=True,
)
