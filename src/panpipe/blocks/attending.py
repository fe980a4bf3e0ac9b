"""Where a stack's attention finds its keys and values: in the batch itself, or (`generation/cache.py`) in a cache."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..batch import Batch
from ..ops.base import Array, Ints, Ops
from .layers import LayerOptions

__all__ = ["Attending", "Fresh", "Source", "Trace"]


@dataclass
class Trace:
    """What a forward pass is asked to show on its way: pass one in, and it is filled.

    hidden_states: the embeddings and each layer's output, [tokens, hidden].
    attentions, cross_attentions: for each layer one [heads, queries, keys] per sequence, if `with_attentions`.
    """

    with_attentions: bool = False
    hidden_states: list[Array] = field(default_factory=list)
    attentions: list[list[Array]] = field(default_factory=list)
    cross_attentions: list[list[Array]] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """What an encoder made of the sources that a batch's sequences look at, one for each: hidden [tokens, hidden]."""

    hidden: Array
    offsets: Ints


class Attending(Protocol):
    """The attention of one forward pass. Layers are numbered from 0."""

    def own(
        self, ops: Ops, number: int, layer: LayerOptions, q: Array, k: Array, v: Array, bias: Any, rows: Ints | None
    ) -> Array:
        """To the sequences' own tokens. q: [tokens, …], or [n, …] with rows.   k, v: of every token of the batch."""
        ...

    def to_source(self, ops: Ops, number: int, layer: LayerOptions, q: Array, weights: Any, rows: Ints | None) -> Array:
        """To the sources.   weights: of the layer's keys and values, side by side, from the source's hidden states."""
        ...


class Fresh:
    """Attention within one batch that holds whole sequences: nothing came before."""

    def __init__(self, batch: Batch, source: Source | None = None, trace: Trace | None = None) -> None:
        self.batch = batch
        self.source = source
        self.trace = trace if trace is not None and trace.with_attentions else None

    def own(
        self, ops: Ops, number: int, layer: LayerOptions, q: Array, k: Array, v: Array, bias: Any, rows: Ints | None
    ) -> Array:
        q_offsets, places = self._queries(rows)
        options = {**layer.attention, "relative_bias": bias, "q_positions": places}
        if self.trace is not None:
            self.trace.attentions.append(ops.attention_probabilities(q, k, q_offsets, self.batch.offsets, **options))
        return ops.attention(q, k, v, q_offsets, self.batch.offsets, **options)

    def to_source(self, ops: Ops, number: int, layer: LayerOptions, q: Array, weights: Any, rows: Ints | None) -> Array:
        assert self.source is not None, "a decoder that looks at a source is given one"
        kv = ops.linear(self.source.hidden, weights)
        k, v = ops.columns(kv, (kv.shape[1] // 2,) * 2)
        q_offsets, _ = self._queries(rows)
        if self.trace is not None:
            self.trace.cross_attentions.append(
                ops.attention_probabilities(q, k, q_offsets, self.source.offsets, **layer.source_attention)
            )
        return ops.attention(q, k, v, q_offsets, self.source.offsets, **layer.source_attention)

    def _queries(self, rows: Ints | None) -> tuple[Ints, Ints | None]:
        """The offsets of the queries, and their places where they are not all of them."""
        if rows is None:
            return self.batch.offsets, None
        offsets = np.searchsorted(rows, self.batch.offsets).astype(np.int32)
        return offsets, rows - np.repeat(self.batch.first_rows, np.diff(offsets))
