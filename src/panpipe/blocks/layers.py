"""One layer of a stack: self-attention, attention to a source where there is one, feed-forward; each with its norm.

Source: Vaswani et al. 2017, arXiv:1706.03762. What families change are options: the norm and its place, gates, grouped
heads, rotary positions, biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..ops.base import Array, Ints, Ops
from ..weights.slots import LinearSlot, NormSlot, Slot, Tree
from .norms import normed
from .rotary import Rotation

if TYPE_CHECKING:
    from .attending import Attending

__all__ = ["LayerOptions", "layer_slots", "run_layer"]


@dataclass(frozen=True)
class LayerOptions:
    """What tells one layer from another.

    num_kv_heads, head_size: 0 for num_heads, hidden_size / num_heads.   scale: None for 1 / sqrt(head_size).
    is_rms: RMS norms, without biases, instead of layer norms.   norm_first: norms stand before what they serve.
    is_gated: the feed-forward's first map gives the gate and what passes it, side by side.
    has_head_norms: a norm over each head of the queries and the keys.   window: of the last so many tokens.
    has_source: there is attention to a source between the two.
    """

    hidden_size: int
    num_heads: int
    intermediate_size: int
    activation: str
    norm_epsilon: float
    num_kv_heads: int = 0
    head_size: int = 0
    scale: float | None = None
    is_rms: bool = False
    norm_first: bool = False
    is_gated: bool = False
    is_causal: bool = False
    is_rotary: bool = False
    has_head_norms: bool = False
    has_source: bool = False
    window: int | None = None
    qkv_bias: bool = True
    output_bias: bool = True
    feed_forward_bias: bool = True

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_heads", "intermediate_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if not self.head_size:
            if self.hidden_size % self.num_heads:
                raise ConfigError(f"hidden_size, {self.hidden_size}, must be a multiple of the {self.num_heads} heads.")
            object.__setattr__(self, "head_size", self.hidden_size // self.num_heads)
        object.__setattr__(self, "num_kv_heads", self.num_kv_heads or self.num_heads)
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(f"the {self.num_kv_heads} key/value heads must divide the {self.num_heads} heads.")
        if not 0 <= self.norm_epsilon < 1:
            raise ConfigError(f"the norms' epsilon is {self.norm_epsilon}; it must be from 0 to 1.")

    @property
    def q_width(self) -> int:
        """The columns of the queries."""
        return self.num_heads * self.head_size

    @property
    def kv_width(self) -> int:
        """The columns of the keys, and of the values."""
        return self.num_kv_heads * self.head_size

    @cached_property
    def attention(self) -> dict[str, Any]:
        """The options of `Ops.attention` for the sequences' own tokens."""
        return {**self.source_attention, "causal": self.is_causal, "window": self.window}

    @cached_property
    def source_attention(self) -> dict[str, Any]:
        """The options of `Ops.attention` for a source."""
        return {"num_heads": self.num_heads, "num_kv_heads": self.num_kv_heads, "scale": self.scale}


def layer_slots(options: LayerOptions) -> dict[str, Slot]:
    """The weights of a layer."""
    hidden, inner, q, kv = options.hidden_size, options.intermediate_size, options.q_width, options.kv_width
    norm = NormSlot(hidden, bias=not options.is_rms)
    slots: dict[str, Slot] = {
        "attention.qkv": LinearSlot(q + 2 * kv, hidden, options.qkv_bias, pieces=(q, kv, kv)),
        "attention.output": LinearSlot(hidden, q, options.output_bias),
        "attention.norm": norm,
    }
    if options.has_head_norms:
        slots |= {f"attention.{name}_norm": NormSlot(options.head_size, bias=False) for name in "qk"}
    if options.has_source:
        slots |= {
            "source.q": LinearSlot(q, hidden, options.qkv_bias),
            "source.kv": LinearSlot(2 * kv, hidden, options.qkv_bias),
            "source.output": LinearSlot(hidden, q, options.output_bias),
            "source.norm": norm,
        }
    up = 2 * inner if options.is_gated else inner
    return slots | {
        "feed_forward.up": LinearSlot(up, hidden, options.feed_forward_bias),
        "feed_forward.down": LinearSlot(hidden, inner, options.feed_forward_bias),
        "feed_forward.norm": norm,
    }


def run_layer(
    ops: Ops,
    w: Tree,
    options: LayerOptions,
    number: int,
    x: Array,
    attending: Attending,
    rotation: Rotation | None = None,
    bias: Any = None,
    rows: Ints | None = None,
) -> Array:
    """The hidden states after a layer, [tokens, hidden]; with rows, of these tokens alone, [n, hidden].

    w: the tree of `layer_slots`.   number: the layer's, from 0.   bias: [heads, distances], see `Ops.attention`.
    """
    q, k, v = _project(ops, w.attention, options, _before(ops, w.attention, options, x), rotation)
    if rows is not None:
        x, q = ops.take(x, rows), ops.take(q, rows)
    context = attending.own(ops, number, options, q, k, v, bias, rows)
    x = _after(ops, w.attention, options, ops.linear_onto(context, w.attention.output, x, "attended"))
    if options.has_source:
        q = ops.linear(_before(ops, w.source, options, x), w.source.q)
        context = attending.to_source(ops, number, options, q, w.source.kv, rows)
        x = _after(ops, w.source, options, ops.linear_onto(context, w.source.output, x, "attended"))
    inner = _before(ops, w.feed_forward, options, x)
    if options.is_gated:
        inner = ops.gate(ops.linear(inner, w.feed_forward.up), options.activation)
    else:
        inner = ops.linear(inner, w.feed_forward.up, activation=options.activation)
    inner = ops.drop(inner, "inner")
    return _after(ops, w.feed_forward, options, ops.linear_onto(inner, w.feed_forward.down, x, "feed_forward"))


def _project(
    ops: Ops, w: Tree, options: LayerOptions, x: Array, rotation: Rotation | None
) -> tuple[Array, Array, Array]:
    """Queries, keys and values of every token."""
    qkv = ops.linear(x, w.qkv)
    q_width, kv_width = options.q_width, options.kv_width
    if options.is_rotary and not options.has_head_norms:
        assert rotation is not None, "a stack with rotary layers has a rotation"
        both, v = ops.columns(qkv, (q_width + kv_width, kv_width))
        q, k = ops.columns(rotation.turn(ops, both, options.num_heads + options.num_kv_heads), (q_width, kv_width))
        return q, k, v
    q, k, v = ops.columns(qkv, (q_width, kv_width, kv_width))
    if options.has_head_norms:
        q, k = (_head_norm(ops, part, norm, options) for part, norm in ((q, w.q_norm), (k, w.k_norm)))
    if options.is_rotary:
        assert rotation is not None, "a stack with rotary layers has a rotation"
        q, k = rotation.turn(ops, q, options.num_heads), rotation.turn(ops, k, options.num_kv_heads)
    return q, k, v


def _head_norm(ops: Ops, x: Array, norm: Any, options: LayerOptions) -> Array:
    return ops.rms_norm(x.reshape(-1, options.head_size), norm.weight, options.norm_epsilon).reshape(len(x), -1)


def _before(ops: Ops, w: Tree, options: LayerOptions, x: Array) -> Array:
    return normed(ops, x, w.norm, options.norm_epsilon, options.is_rms) if options.norm_first else x


def _after(ops: Ops, w: Tree, options: LayerOptions, x: Array) -> Array:
    return x if options.norm_first else normed(ops, x, w.norm, options.norm_epsilon, options.is_rms)
