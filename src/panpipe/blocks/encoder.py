"""The encoder: embeddings, then layers of self-attention and feed-forward, each followed by its norm.

Source: Devlin et al. 2019 (BERT), arXiv:1810.04805; Vaswani et al. 2017, arXiv:1706.03762. What the families change are
options: where positions begin (RoBERTa), narrow embeddings (ELECTRA, ALBERT), shared layers (ALBERT), relative
positions (MPNet).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..batch import Batch
from ..errors import ConfigError
from ..ops.base import Array, Ints, Ops
from ..weights.slots import LinearSlot, NormSlot, Slot, TableSlot, Tree
from .norms import normed
from .relative_positions import bucket_of_distance

__all__ = ["EncoderOptions", "Trace", "encode", "encoder_slots", "token_positions"]

RELATIVE_SPAN = 128
"""The distance from which MPNet's buckets no longer change."""


@dataclass(frozen=True)
class EncoderOptions:
    """What tells one encoder from another.

    layer_order: the weights that each layer uses, by number: 0, 1, 2 … unless layers share them.
    first_position: the row of the position table for a sequence's first token. padding_id: tokens of this id keep the
    position before it, and do not count (RoBERTa); None where every token counts.
    type_vocab_size: 0 for no token types.   relative_buckets: 0 for no relative positions.
    """

    vocab_size: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    layer_order: tuple[int, ...]
    activation: str
    norm_epsilon: float
    position_rows: int
    type_vocab_size: int = 0
    embedding_size: int = 0
    has_projection: bool = False
    first_position: int = 0
    padding_id: int | None = None
    relative_buckets: int = 0

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "num_heads", "intermediate_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.hidden_size % self.num_heads:
            raise ConfigError(f"hidden_size, {self.hidden_size}, must be a multiple of the {self.num_heads} heads.")
        if not 0 <= self.norm_epsilon < 1:
            raise ConfigError(f"the norms' epsilon is {self.norm_epsilon}; it must be from 0 to 1.")
        if self.max_length < 1:
            raise ConfigError(
                f"max_position_embeddings is {self.position_rows}; positions begin at {self.first_position}, "
                f"so it must be {self.first_position + 1} or more."
            )

    @property
    def max_length(self) -> int:
        """The most tokens a sequence may have."""
        return self.position_rows - self.first_position


@dataclass
class Trace:
    """What a forward pass is asked to show on its way: pass one in, and it is filled.

    hidden_states: the embeddings and each layer's output, [tokens, hidden].
    attentions: for each layer one [heads, queries, keys] per sequence, if `with_attentions`.
    """

    with_attentions: bool = False
    hidden_states: list[Array] = field(default_factory=list)
    attentions: list[list[Array]] = field(default_factory=list)


def encoder_slots(options: EncoderOptions) -> dict[str, Slot]:
    """The weights of an encoder."""
    hidden, narrow = options.hidden_size, options.embedding_size or options.hidden_size
    slots: dict[str, Slot] = {
        "embeddings.tokens": TableSlot(options.vocab_size, narrow),
        "embeddings.positions": TableSlot(options.position_rows, narrow),
        "embeddings.norm": NormSlot(narrow),
    }
    if options.type_vocab_size:
        slots["embeddings.types"] = TableSlot(options.type_vocab_size, narrow)
    if options.has_projection:
        slots["embeddings.projection"] = LinearSlot(hidden, narrow)
    if options.relative_buckets:
        slots["relative_bias"] = TableSlot(options.relative_buckets, options.num_heads)
    for layer in range(max(options.layer_order, default=-1) + 1):
        slots |= {
            f"layers.{layer}.attention.qkv": LinearSlot(3 * hidden, hidden),
            f"layers.{layer}.attention.output": LinearSlot(hidden, hidden),
            f"layers.{layer}.attention.norm": NormSlot(hidden),
            f"layers.{layer}.feed_forward.up": LinearSlot(options.intermediate_size, hidden),
            f"layers.{layer}.feed_forward.down": LinearSlot(hidden, options.intermediate_size),
            f"layers.{layer}.feed_forward.norm": NormSlot(hidden),
        }
    return slots


def encode(
    ops: Ops, w: Tree, options: EncoderOptions, batch: Batch, rows: Ints | None = None, trace: Trace | None = None
) -> Array:
    """The hidden states after the last layer.

    w: the tree of `encoder_slots`.   rows: int32 [n], increasing: the tokens whose states are wanted; the last layer
    then computes attention and feed-forward for these alone (all of them where a trace is asked for).
    Returns [tokens, hidden], or [n, hidden] with rows.
    """
    x = _embed(ops, w, options, batch)
    bias = _relative_bias(ops, w, options)
    early, late = (rows, None) if trace is None and options.layer_order else (None, rows)
    if trace is not None:
        trace.hidden_states.append(x)
    for place, layer in enumerate(options.layer_order, start=1):
        wanted = early if place == len(options.layer_order) else None
        x = _layer(ops, w.layers[layer], options, batch, x, bias, wanted, trace)
        if trace is not None:
            trace.hidden_states.append(x)
    return x if late is None else ops.take(x, late)


def token_positions(options: EncoderOptions, batch: Batch) -> Ints:
    """int32 [tokens]: each token's row in the position table."""
    positions: Ints = batch.places + np.int32(options.first_position) if options.first_position else batch.places
    if options.padding_id is None or batch.positions is not None:
        return positions
    counts = batch.token_ids != options.padding_id
    if counts.all():
        return positions
    counted = np.cumsum(counts, dtype=np.int32)
    before = np.concatenate([np.zeros(1, np.int32), counted])[batch.first_rows]
    positions = (counted - np.repeat(before, batch.lengths)) * counts + np.int32(options.padding_id)
    return positions.astype(np.int32)


def _embed(ops: Ops, w: Tree, options: EncoderOptions, batch: Batch) -> Array:
    tables = [w.embeddings.tokens, w.embeddings.positions]
    indices = [batch.token_ids, token_positions(options, batch)]
    if options.type_vocab_size:
        types = batch.token_type_ids
        tables.append(w.embeddings.types)
        indices.append(np.zeros_like(batch.token_ids) if types is None else types)
    x = normed(ops, ops.embed(tables, indices), w.embeddings.norm, options.norm_epsilon)
    return ops.linear(x, w.embeddings.projection) if options.has_projection else x


def _relative_bias(ops: Ops, w: Tree, options: EncoderOptions) -> Any:
    if not options.relative_buckets:
        return None
    buckets = bucket_of_distance(options.relative_buckets, RELATIVE_SPAN, bidirectional=True)
    return ops.embed([w.relative_bias], [buckets]).T  # [heads, 2 * span + 1]


def _layer(
    ops: Ops,
    w: Tree,
    options: EncoderOptions,
    batch: Batch,
    x: Array,
    bias: Any,
    rows: Ints | None,
    trace: Trace | None,
) -> Array:
    qkv = ops.linear(x, w.attention.qkv)
    hidden = options.hidden_size
    q, k, v = qkv[:, :hidden], qkv[:, hidden : 2 * hidden], qkv[:, 2 * hidden :]
    q_offsets, places = batch.offsets, None
    if rows is not None:
        x, q = ops.take(x, rows), ops.take(q, rows)
        q_offsets = np.searchsorted(rows, batch.offsets).astype(np.int32)
        places = rows - np.repeat(batch.first_rows, np.diff(q_offsets))
    options_of_attention = {"num_heads": options.num_heads, "relative_bias": bias, "q_positions": places}
    if trace is not None and trace.with_attentions:
        trace.attentions.append(ops.attention_probabilities(q, k, q_offsets, batch.offsets, **options_of_attention))
    context = ops.attention(q, k, v, q_offsets, batch.offsets, **options_of_attention)
    x = normed(ops, ops.linear(context, w.attention.output, residual=x), w.attention.norm, options.norm_epsilon)
    inner = ops.linear(x, w.feed_forward.up, activation=options.activation)
    x = ops.linear(inner, w.feed_forward.down, residual=x)
    return normed(ops, x, w.feed_forward.norm, options.norm_epsilon)
