"""A batch of token sequences, ragged: laid end to end, with a length for each.

There is no padding and no attention mask inside panpipe. Rectangles exist only at the public edge (`models/edge.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .errors import ShapeError

__all__ = ["Batch"]

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """Token sequences end to end.

    token_ids: int32 [tokens].   lengths: int32 [sequences], sum = tokens.
    token_type_ids: int32 [tokens] or None (all 0).
    positions: int32 [tokens], each token's place in its sequence, or None (0, 1, 2 … in each sequence).
    Raises ShapeError if the arrays do not fit together.
    """

    token_ids: Ints
    lengths: Ints
    token_type_ids: Ints | None = None
    positions: Ints | None = None

    def __post_init__(self) -> None:
        tokens = len(self.token_ids)
        if int(self.lengths.sum()) != tokens or (self.lengths < 0).any():
            raise ShapeError(
                f"the lengths {self.lengths[:8].tolist()}… must add up to the {tokens} tokens of the batch."
            )
        for name in ("token_type_ids", "positions"):
            values = getattr(self, name)
            if values is not None and values.shape != (tokens,):
                raise ShapeError(
                    f"{name} has shape {values.shape}; it must have one value for each of the {tokens} tokens."
                )

    @classmethod
    def of(
        cls,
        sequences: Sequence[Sequence[int] | Ints],
        token_type_ids: Sequence[Sequence[int] | Ints] | None = None,
    ) -> Batch:
        """From one list of ids (and of token types) per sequence."""
        lengths = np.fromiter(map(len, sequences), np.int32, len(sequences))
        return cls(_end_to_end(sequences), lengths, None if token_type_ids is None else _end_to_end(token_type_ids))

    @cached_property
    def offsets(self) -> Ints:
        """int32 [sequences + 1]: where each sequence begins; the last is the number of tokens."""
        offsets = np.zeros(len(self.lengths) + 1, np.int32)
        np.cumsum(self.lengths, out=offsets[1:])
        return offsets

    @property
    def first_rows(self) -> Ints:
        """int32 [sequences]: the row of each sequence's first token (CLS)."""
        return self.offsets[:-1]

    @cached_property
    def places(self) -> Ints:
        """int32 [tokens]: `positions`, made where they were not given."""
        if self.positions is not None:
            return self.positions
        return np.arange(len(self.token_ids), dtype=np.int32) - np.repeat(self.first_rows, self.lengths)

    def __len__(self) -> int:
        return len(self.lengths)


def _end_to_end(sequences: Sequence[Sequence[int] | Ints]) -> Ints:
    return np.concatenate([np.asarray(s, np.int32) for s in sequences]) if len(sequences) else np.zeros(0, np.int32)
