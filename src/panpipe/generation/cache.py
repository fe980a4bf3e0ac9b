"""The key/value cache: sequences hold tables of blocks, and blocks are counted, so that sequences share what they can.

A fork copies a table, never keys or values; whoever writes into a shared block first takes a copy of it. A sequence
that looks at a source (of an encoder-decoder) holds that source, whose keys and values lie in blocks too.

Source: Kwon et al. 2023 (PagedAttention), arXiv:2309.06180.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import CacheFull
from ..ops.base import Array, Ints, Ops

__all__ = ["BLOCK_SIZE", "Cache", "Sequence", "Source", "rows_of", "table_of"]

BLOCK_SIZE = 16
"""Tokens: few, so that little is copied when a shared block is written to; enough that tables stay short."""

FIRST_BLOCKS = 64


@dataclass(eq=False)
class Source:
    """What an encoder read: the blocks with its keys and values.   length: its tokens.   holders: who uses it."""

    blocks: list[int]
    length: int
    holders: int = 1


@dataclass(eq=False, slots=True)
class Sequence:
    """Tokens whose keys and values are kept.   length: how many.   source: what the sequence looks at."""

    blocks: list[int] = field(default_factory=list)
    length: int = 0
    source: Source | None = None


class Cache:
    """Blocks of keys and values for all layers.

    ops: the engine.   layers, width: rows of `width` floats in each of `layers`, the keys left and the values right.
    tokens: the most there is ever room for; memory is taken as it is needed.
    """

    def __init__(self, ops: Ops, layers: int, width: int, tokens: int) -> None:
        self.ops = ops
        self.num_layers = layers
        self.width = width
        self.most_blocks = max(tokens // BLOCK_SIZE, 0)
        self.counts: list[int] = []  # of holders, by block
        self.unused: list[int] = []
        self._memory: Array = None
        self.layers: list[tuple[Array, Array, Array]] = []
        """Of each layer: all of its memory, the keys' columns, the values' columns."""

    @property
    def tokens(self) -> int:
        """How many fit in all."""
        return self.most_blocks * BLOCK_SIZE

    @property
    def room(self) -> int:
        """How many still fit, in blocks that nobody holds."""
        return (self.most_blocks - len(self.counts) + len(self.unused)) * BLOCK_SIZE

    # -- sequences ---------------------------------------------------------------------------------------------------

    def fork(self, sequence: Sequence) -> Sequence:
        """Another sequence of the same tokens."""
        for block in sequence.blocks:
            self.counts[block] += 1
        if sequence.source is not None:
            sequence.source.holders += 1
        return Sequence(list(sequence.blocks), sequence.length, sequence.source)

    def free(self, sequence: Sequence) -> None:
        """Give back what a sequence holds."""
        self._release(sequence.blocks)
        if sequence.source is not None:
            self.free_source(sequence.source)
        sequence.blocks, sequence.length, sequence.source = [], 0, None

    def cut(self, sequence: Sequence, length: int) -> None:
        """Forget the tokens from `length` on."""
        kept = -(-length // BLOCK_SIZE)
        self._release(sequence.blocks[kept:])
        del sequence.blocks[kept:]
        sequence.length = length

    def new_source(self, length: int) -> Source:
        """Blocks for a source of so many tokens.   Raises CacheFull."""
        return Source(self._take(-(-length // BLOCK_SIZE)), length)

    def free_source(self, source: Source) -> None:
        """One holder less."""
        source.holders -= 1
        if source.holders == 0:
            self._release(source.blocks)
            source.blocks = []

    # -- making room -------------------------------------------------------------------------------------------------

    def reserve(self, sequences: list[Sequence], counts: list[int]) -> None:
        """Make sure that each sequence can be given so many tokens more: blocks of its own behind its last token.

        Raises CacheFull before anything is changed.
        """
        missing = [self._missing(sequence, count) for sequence, count in zip(sequences, counts, strict=True)]
        shared = [s for s, count in zip(sequences, counts, strict=True) if count and self._ends_in_shared_block(s)]
        self._check_room(sum(missing) + len(shared))
        self._copy([self._own_last_block(sequence) for sequence in shared if self._ends_in_shared_block(sequence)])
        for sequence, count in zip(sequences, missing, strict=True):
            if count:
                sequence.blocks += self._take(count)

    def _missing(self, sequence: Sequence, count: int) -> int:
        return max(0, -(-(sequence.length + count) // BLOCK_SIZE) - len(sequence.blocks))

    def _ends_in_shared_block(self, sequence: Sequence) -> bool:
        place, used = divmod(sequence.length, BLOCK_SIZE)
        return bool(used) and self.counts[sequence.blocks[place]] > 1

    def _own_last_block(self, sequence: Sequence) -> tuple[int, int, int]:
        """A block of its own instead of the shared one: (from, to, rows to copy)."""
        place, used = divmod(sequence.length, BLOCK_SIZE)
        shared = sequence.blocks[place]
        (own,) = self._take(1)
        self.counts[shared] -= 1
        sequence.blocks[place] = own
        return shared, own, used

    def _copy(self, copies: list[tuple[int, int, int]]) -> None:
        if not copies:
            return
        rows = [np.arange(used, dtype=np.int32) for _, _, used in copies]
        begin = np.concatenate([r + source * BLOCK_SIZE for r, (source, _, _) in zip(rows, copies, strict=True)])
        end = np.concatenate([r + target * BLOCK_SIZE for r, (_, target, _) in zip(rows, copies, strict=True)])
        for memory, _, _ in self.layers:
            self.ops.store(memory, end, self.ops.take(memory, begin))

    def _check_room(self, blocks: int) -> None:
        if blocks * BLOCK_SIZE > self.room:
            raise CacheFull(
                f"{blocks * BLOCK_SIZE} tokens more do not fit into the cache of {self.tokens}: there is room for "
                f"{self.room}. Generate fewer texts or tokens at once, or give the cache more memory (cache_tokens=)."
            )

    def _take(self, count: int) -> list[int]:
        self._check_room(count)
        if count > len(self.unused):
            self._grow(len(self.counts) + count - len(self.unused))
        taken = [self.unused.pop() for _ in range(count)]
        for block in taken:
            self.counts[block] = 1
        return taken

    def _release(self, blocks: list[int]) -> None:
        for block in blocks:
            self.counts[block] -= 1
            if self.counts[block] == 0:
                self.unused.append(block)

    def _grow(self, needed: int) -> None:
        """Memory for at least so many blocks: twice what there was, so that growing costs little in the long run."""
        before = len(self.counts)
        blocks = min(self.most_blocks, max(needed, 2 * before, FIRST_BLOCKS))
        memory = self.ops.new_cache(self.num_layers, blocks * BLOCK_SIZE, self.width)
        if before:
            memory[:, : before * BLOCK_SIZE] = self._memory
        self._memory = memory
        half = self.width // 2
        self.layers = [(memory[i], memory[i][:, :half], memory[i][:, half:]) for i in range(self.num_layers)]
        self.counts += [0] * (blocks - before)
        self.unused = [*range(blocks - 1, before - 1, -1), *self.unused]


def table_of(tables: list[list[int]]) -> Ints:
    """int32 [sequences, most blocks], the rest -1."""
    most = max(map(len, tables), default=0)
    return np.array([table + [-1] * (most - len(table)) for table in tables], np.int32).reshape(len(tables), most)


def rows_of(blocks: list[int], begin: int, end: int) -> Any:
    """int32: the rows of the tokens begin … end - 1 of a sequence with those blocks."""
    if end == begin + 1:
        return [blocks[begin // BLOCK_SIZE] * BLOCK_SIZE + begin % BLOCK_SIZE]
    places = np.arange(begin, end, dtype=np.int32)
    return np.asarray(blocks, np.int32)[places // BLOCK_SIZE] * BLOCK_SIZE + places % BLOCK_SIZE
