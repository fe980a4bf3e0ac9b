"""A model at work on sequences that grow, with their keys and values in a paged cache."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..blocks.attending import Trace
from ..blocks.layers import LayerOptions
from ..blocks.stack import StackOptions
from ..errors import ConfigError, InputError, TooLong
from ..ops.base import Array, Ints, Ops
from .cache import BLOCK_SIZE, Cache, Sequence, Source, rows_of, table_of

__all__ = ["Decoder", "Sequence", "Source"]

Logits = npt.NDArray[np.float32]

MEMORY_SHARE = 4
"""The cache takes at most one part in so many of the machine's memory, unless it is told otherwise."""


class Decoder:
    """A model with a head for language, and a cache.

    tokens: the cache's budget; None: what a quarter of the memory holds.   vocab_size: of what is made;
    source_vocab_size: of what is read.   max_length: the most tokens of a sequence, None for no limit.
    Raises ConfigError for a model that makes no text.
    """

    block_size = BLOCK_SIZE

    def __init__(self, model: Any, *, tokens: int | None = None) -> None:
        if model.head not in ("causal-lm", "seq2seq-lm"):
            raise ConfigError(
                f"{type(model).__name__} makes no text: load the checkpoint with AutoModelForCausalLM or "
                "AutoModelForSeq2SeqLM."
            )
        self.model = model
        self.ops: Ops = model.ops
        self.is_encoder_decoder: bool = model.family.is_encoder_decoder
        self.stack: StackOptions = model.options.decoder if self.is_encoder_decoder else model.options
        self.vocab_size = self.stack.vocab_size
        self.source_vocab_size: int = model.options.vocab_size
        self.max_length = self.stack.max_length
        layers, width = len(self.stack.layers), 2 * max((layer.kv_width for layer in self.stack.layers), default=1)
        if tokens is None:
            tokens = _memory() // MEMORY_SHARE // max(layers * width * 4, 1)
        self.cache = Cache(self.ops, layers, width, tokens)

    def room(self) -> int:
        """How many tokens still fit."""
        return self.cache.room

    def new(self, source: Source | None = None) -> Sequence:
        """A sequence without tokens."""
        if source is not None:
            source.holders += 1
        return Sequence(source=source)

    def fork(self, sequence: Sequence) -> Sequence:
        """Another of the same tokens; nothing is copied before one of them grows."""
        return self.cache.fork(sequence)

    def free(self, sequence: Sequence) -> None:
        """Give back what a sequence holds."""
        self.cache.free(sequence)

    def free_source(self, source: Source) -> None:
        """Give back a source; its blocks are free when no sequence looks at it."""
        self.cache.free_source(source)

    def cut(self, sequence: Sequence, length: int) -> None:
        """Forget the tokens of a sequence from `length` on."""
        self.cache.cut(sequence, length)

    # -- computing ---------------------------------------------------------------------------------------------------

    def read(self, sources: list[list[int]], trace: Trace | None = None) -> list[Source]:
        """What sequences may look at: the encoder runs once, and each layer's keys and values are kept.

        Raises CacheFull, and what `Model.check` raises, before it computes.
        """
        batch = Batch.of(sources)
        self.model.check(batch)
        kept: list[Source] = []
        try:
            kept.extend(self.cache.new_source(len(ids)) for ids in sources)
            family, weights = self.model.family, self.model.weights
            hidden = family.encode(self.ops, weights, self.model.options, batch, trace)
            rows = np.concatenate([rows_of(source.blocks, 0, source.length) for source in kept]).astype(np.int32)
            for layer, (memory, _, _) in zip(weights.decoder.layers, self.cache.layers, strict=True):
                self.ops.store(memory, rows, self.ops.linear(hidden, layer.source.kv))
        except BaseException:
            for source in kept:
                self.free_source(source)
            raise
        return kept

    def step(
        self, sequences: list[Sequence], tokens: list[list[int]], every: bool = False, trace: Trace | None = None
    ) -> Logits:
        """Append tokens[i] (one or more) to sequences[i].

        Returns float32 logits that the caller may write into: after each sequence's last token, [sequences, vocab];
        with every, after each token given, [tokens, vocab].
        trace: see `Trace`; of the tokens given.   Raises CacheFull, TooLong, InputError before it computes.
        """
        batch = self._batch(sequences, tokens)
        counts = batch.lengths.tolist()
        self.cache.reserve(sequences, counts)
        attending = Paged(self.cache, sequences, batch, trace)
        ends = [sequence.length + count for sequence, count in zip(sequences, counts, strict=True)]
        rows = None if every or len(batch.token_ids) == len(sequences) else batch.offsets[1:] - np.int32(1)
        model = self.model
        logits = model.family.decode(self.ops, model.weights, model.options, batch, attending, rows, trace)
        for sequence, end in zip(sequences, ends, strict=True):
            sequence.length = end
        return np.require(self.ops.numpy(logits), np.float32, "W")

    def _batch(self, sequences: list[Sequence], tokens: list[list[int]]) -> Batch:
        lengths = np.fromiter(map(len, tokens), np.int32, len(tokens))
        ids = np.fromiter(itertools.chain.from_iterable(tokens), np.int32, int(lengths.sum()))
        if len(ids) == 0 or lengths.min() == 0:
            raise InputError("a step gives each sequence a token or more.")
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            wrong = ids.max() if ids.min() >= 0 else ids.min()
            raise InputError(f"there is no token {wrong}: the model has {self.vocab_size}, from 0.")
        before = np.fromiter((sequence.length for sequence in sequences), np.int32, len(sequences))
        longest = int((before + lengths).max())
        if self.max_length is not None and longest > self.max_length:
            raise TooLong(f"a sequence would have {longest} tokens; the model takes at most {self.max_length}.")
        if len(ids) == len(tokens):
            return Batch(ids, lengths, positions=before)
        places = np.concatenate([np.arange(a, a + n, dtype=np.int32) for a, n in zip(before, lengths, strict=True)])
        return Batch(ids, lengths, positions=places)


class Paged:
    """The attention of one step: keys and values of the batch's tokens go into the cache, queries look there."""

    def __init__(self, cache: Cache, sequences: list[Sequence], batch: Batch, trace: Trace | None = None) -> None:
        self.cache = cache
        self.batch = batch
        self.trace = trace if trace is not None and trace.with_attentions else None
        ends = [s.length + n for s, n in zip(sequences, batch.lengths.tolist(), strict=True)]
        self.new_rows = np.concatenate(
            [rows_of(s.blocks, s.length, end) for s, end in zip(sequences, ends, strict=True)]
        ).astype(np.int32)
        self.tables = table_of([s.blocks[: -(-end // BLOCK_SIZE)] for s, end in zip(sequences, ends, strict=True)])
        self.lengths = np.array(ends, np.int32)
        self._group(sequences)

    def _group(self, sequences: list[Sequence]) -> None:
        """Neighbours that look at one source ask together: their queries are read against its keys once."""
        firsts = [i for i, s in enumerate(sequences) if i == 0 or s.source is not sequences[i - 1].source]
        sources = [sequences[i].source for i in firsts]
        self.source_tables = table_of([[] if source is None else source.blocks for source in sources])
        self.source_lengths = np.array([0 if source is None else source.length for source in sources], np.int32)
        self.source_offsets = self.batch.offsets[[*firsts, len(sequences)]]

    def own(
        self, ops: Ops, number: int, layer: LayerOptions, q: Array, k: Array, v: Array, bias: Any, rows: Ints | None
    ) -> Array:
        memory, keys, values = self.cache.layers[number]
        ops.store(keys, self.new_rows, k)
        ops.store(values, self.new_rows, v)
        q_offsets = self.batch.offsets if rows is None else _of_rows(self.batch.offsets, rows)
        places = None if rows is None else self.batch.places[rows]
        options = {**layer.attention, "relative_bias": bias, "q_positions": places}
        if self.trace is not None:
            k, _, offsets = ops.gathered(memory, self.tables, self.lengths, BLOCK_SIZE)
            self.trace.attentions.append(ops.attention_probabilities(q, k, q_offsets, offsets, **options))
        return ops.paged_attention(q, memory, self.tables, q_offsets, self.lengths, block_size=BLOCK_SIZE, **options)

    def to_source(self, ops: Ops, number: int, layer: LayerOptions, q: Array, weights: Any, rows: Ints | None) -> Array:
        memory, _, _ = self.cache.layers[number]
        q_offsets = self.source_offsets if rows is None else _of_rows(self.source_offsets, rows)
        options = layer.source_attention
        if self.trace is not None:
            k, _, offsets = ops.gathered(memory, self.source_tables, self.source_lengths, BLOCK_SIZE)
            shown = ops.attention_probabilities(q, k, q_offsets, offsets, **options)
            self.trace.cross_attentions.append(shown)
        return ops.paged_attention(
            q, memory, self.source_tables, q_offsets, self.source_lengths, block_size=BLOCK_SIZE, **options
        )


def _of_rows(offsets: Ints, rows: Ints) -> Ints:
    """Offsets among some rows."""
    return np.searchsorted(rows, offsets).astype(np.int32)


def _memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's where that is less."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        machine = 8 << 30
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        return min(machine, int(limit))
    except (OSError, ValueError):  # none, or 'max'
        return machine
