"""A decoder without a model: logits are a fixed pseudo-random function of all tokens before, and of the source.

Its cache has blocks with reference counts as the real one, so that a test can see that all come back.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from panpipe.errors import CacheFull
from panpipe.ops import get_ops


@dataclass(eq=False)
class FakeSequence:
    tokens: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    source: tuple[int, ...] = ()
    is_free: bool = False

    @property
    def length(self) -> int:
        return len(self.tokens)


@dataclass(eq=False)
class FakeSource:
    ids: tuple[int, ...]
    is_free: bool = False


class FakeDecoder:
    """sharp: how far logits are apart.   echoes: how much likelier what stood after the last two tokens is."""

    block_size = 4
    model = None

    def __init__(
        self,
        vocab_size: int = 50,
        *,
        tokens: int = 4000,
        max_length: int | None = None,
        is_encoder_decoder: bool = False,
        sharp: float = 3.0,
        echoes: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.vocab_size = self.source_vocab_size = vocab_size
        self.max_length = max_length
        self.is_encoder_decoder = is_encoder_decoder
        self.ops = get_ops("reference")
        self.sharp, self.echoes, self.seed = sharp, echoes, seed
        self.references: dict[int, int] = {}
        self.capacity = tokens // self.block_size
        self.sources: list[FakeSource] = []
        self.steps: list[list[list[int]]] = []
        self.next_block = 0
        self.most_blocks = 0

    # -- the interface ----------------------------------------------------------------------------------------------

    def read(self, sources: list[list[int]]) -> list[Any]:
        made = [FakeSource(tuple(ids)) for ids in sources]
        self.sources += made
        return made

    def new(self, source: Any = None) -> Any:
        return FakeSequence(source=() if source is None else source.ids)

    def fork(self, sequence: Any) -> Any:
        assert not sequence.is_free
        for block in sequence.blocks:
            self.references[block] += 1
        return FakeSequence(list(sequence.tokens), list(sequence.blocks), sequence.source)

    def free(self, sequence: Any) -> None:
        assert not sequence.is_free, "freed twice"
        sequence.is_free = True
        for block in sequence.blocks:
            self._drop(block)

    def free_source(self, source: Any) -> None:
        assert not source.is_free, "freed twice"
        source.is_free = True

    def cut(self, sequence: Any, length: int) -> None:
        assert 0 <= length <= sequence.length
        del sequence.tokens[length:]
        keep = -(-length // self.block_size)
        for block in sequence.blocks[keep:]:
            self._drop(block)
        del sequence.blocks[keep:]

    def step(self, sequences: list[Any], tokens: list[list[int]], every: bool = False, trace: Any = None) -> Any:
        assert len({id(s) for s in sequences}) == len(sequences)
        assert all(tokens), "a sequence with nothing to read"
        self.steps.append([list(t) for t in tokens])
        rows = []
        for sequence, new in zip(sequences, tokens, strict=True):
            assert not sequence.is_free
            self._extend(sequence, new)
            start = len(sequence.tokens) - len(new)
            places = range(start, len(sequence.tokens)) if every else [len(sequence.tokens) - 1]
            rows += [self.logits(sequence.tokens[: place + 1], sequence.source) for place in places]
        return np.stack(rows)

    def room(self) -> int:
        return (self.capacity - len(self.references)) * self.block_size

    # -- what tests ask ---------------------------------------------------------------------------------------------

    def logits(self, tokens: list[int], source: tuple[int, ...] = ()) -> Any:
        text = [*source, -1, *tokens]
        generator = np.random.default_rng([self.seed, zlib.crc32(np.array(text, np.int64).tobytes())])
        row = (self.sharp * generator.standard_normal(self.vocab_size)).astype(np.float32)
        for place in range(len(text) - 2, 1, -1):
            if self.echoes and text[place - 2 : place] == text[-2:] and text[place] >= 0:
                row[text[place]] += self.echoes
                break
        return row

    def is_clean(self) -> bool:
        """Whether all that was taken has been given back."""
        return not self.references and all(source.is_free for source in self.sources)

    # -- blocks -----------------------------------------------------------------------------------------------------

    def _extend(self, sequence: FakeSequence, new: list[int]) -> None:
        if sequence.tokens and len(sequence.tokens) % self.block_size and self.references[sequence.blocks[-1]] > 1:
            self._drop(sequence.blocks[-1])  # copied on write
            sequence.blocks[-1] = self._take()
        sequence.tokens += new
        while len(sequence.blocks) * self.block_size < len(sequence.tokens):
            sequence.blocks.append(self._take())

    def _take(self) -> int:
        if len(self.references) >= self.capacity:
            raise CacheFull("the fake cache is full")
        self.next_block += 1
        self.references[self.next_block] = 1
        self.most_blocks = max(self.most_blocks, len(self.references))
        return self.next_block

    def _drop(self, block: int) -> None:
        self.references[block] -= 1
        if not self.references[block]:
            del self.references[block]
