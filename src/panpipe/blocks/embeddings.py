"""What a stack of layers begins with: token embeddings, positions, token types, a norm.

Sources: Vaswani et al. 2017, arXiv:1706.03762, section 3.5 (sinusoids); Devlin et al. 2019 (BERT), arXiv:1810.04805.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..errors import ConfigError
from ..ops.base import Array, Ints, Ops
from ..weights.slots import FormulaSlot, LinearSlot, NormSlot, Slot, TableSlot, Tree
from .norms import normed

__all__ = ["EmbeddingOptions", "embed", "embedding_slots", "fairseq_sinusoids", "sinusoids", "token_positions"]

MOST_COMPUTED = 65536
"""Positions that no tensor vouches for: a config may not ask for a table larger than this."""

Table = npt.NDArray[np.float32]


@dataclass(frozen=True)
class EmbeddingOptions:
    """What tells one stack's embeddings from another's.

    width: of the tables, where `has_projection` widens them to hidden_size; 0 for hidden_size itself.
    position_rows: 0 for no table of positions.   first_position: the row for a sequence's first token.
    padding_id: tokens of this id keep the position before it, and do not count (RoBERTa); None where all tokens count.
    position_formula: makes the table (rows, width).   stores_positions: checkpoints may hold it all the same.
    type_vocab_size: 0 for no token types.   scale: what token embeddings are multiplied by.
    norm_epsilon: None for no norm.
    """

    vocab_size: int
    hidden_size: int
    position_rows: int = 0
    first_position: int = 0
    padding_id: int | None = None
    position_formula: Callable[[int, int], Table] | None = None
    stores_positions: bool = True
    type_vocab_size: int = 0
    width: int = 0
    has_projection: bool = False
    scale: float = 1.0
    norm_epsilon: float | None = None

    def __post_init__(self) -> None:
        if self.vocab_size < 1:
            raise ConfigError(f"vocab_size is {self.vocab_size}; it must be 1 or more.")
        if self.position_rows and self.position_rows <= self.first_position:
            raise ConfigError(
                f"max_position_embeddings is {self.position_rows}; positions begin at {self.first_position}, "
                f"so it must be {self.first_position + 1} or more."
            )
        if self.position_formula is not None and self.position_rows > MOST_COMPUTED:
            raise ConfigError(
                f"max_position_embeddings is {self.position_rows}; computed positions end at {MOST_COMPUTED}."
            )


def embedding_slots(options: EmbeddingOptions) -> dict[str, Slot]:
    """The weights of `embed`, under 'embeddings.'."""
    width = options.width or options.hidden_size
    slots: dict[str, Slot] = {"embeddings.tokens": TableSlot(options.vocab_size, width)}
    if options.position_rows:
        slots["embeddings.positions"] = _positions(options, width)
    if options.norm_epsilon is not None:
        slots["embeddings.norm"] = NormSlot(width)
    if options.type_vocab_size:
        slots["embeddings.types"] = TableSlot(options.type_vocab_size, width)
    if options.has_projection:
        slots["embeddings.projection"] = LinearSlot(options.hidden_size, width)
    return slots


def _positions(options: EmbeddingOptions, width: int) -> Slot:
    formula, rows = options.position_formula, options.position_rows
    make = None if formula is None else lambda: formula(rows, width)
    if make is not None and not options.stores_positions:
        return FormulaSlot(make)
    return TableSlot(rows, width, make)


def embed(ops: Ops, w: Tree, options: EmbeddingOptions, batch: Batch) -> Array:
    """The tokens of a batch as vectors, [tokens, hidden].   w: the tree under 'embeddings'."""
    tables, indices = [w.tokens], [batch.token_ids]
    scaled = None
    if options.scale != 1.0:
        scaled = ops.embed(tables, indices) * options.scale
        tables, indices = [], []
    if options.position_rows:
        tables.append(w.positions)
        indices.append(token_positions(options, batch))
    if options.type_vocab_size:
        types = batch.token_type_ids
        tables.append(w.types)
        indices.append(np.zeros_like(batch.token_ids) if types is None else types)
    x = ops.embed(tables, indices) if tables else scaled
    if tables and scaled is not None:
        x = x + scaled
    if options.norm_epsilon is not None:
        x = normed(ops, x, w.norm, options.norm_epsilon)
    x = ops.drop(x, "embeddings")
    return ops.linear(x, w.projection) if options.has_projection else x


def token_positions(options: EmbeddingOptions, batch: Batch) -> Ints:
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


def sinusoids(rows: int, width: int) -> Table:
    """float32 [rows, width]: sines of rising wavelengths, then their cosines (Marian, Pegasus)."""
    place = np.arange(rows)[:, None]
    angles = place / np.power(10000.0, 2 * (np.arange(width) // 2) / width)
    return np.concatenate([np.sin(angles[:, 0::2]), np.cos(angles[:, 1::2])], 1).astype(np.float32)


def fairseq_sinusoids(rows: int, width: int) -> Table:
    """float32 [rows, width]: as fairseq spreads the wavelengths (M2M100); the padding's row, 1, is zeros."""
    half = width // 2
    frequencies = np.exp(np.arange(half, dtype=np.float32) * np.float32(-math.log(10000.0) / (half - 1)))
    angles = np.arange(rows, dtype=np.float32)[:, None] * frequencies
    table = np.concatenate([np.sin(angles), np.cos(angles), np.zeros((rows, width % 2), np.float32)], 1)
    table[1] = 0
    return table.astype(np.float32)
