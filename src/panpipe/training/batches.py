"""What one step of training reads: a ragged batch, and what the head should have said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..ops.base import Ints

__all__ = ["IGNORED", "TrainingBatch"]

IGNORED = -100
"""The label of what is not to be learned, as everywhere in this field."""


@dataclass(frozen=True)
class TrainingBatch:
    """Sequences end to end and their labels; no padding, and no row whose label would be ignored.

    batch: what the model reads; the sources, for an encoder-decoder.
    labels: one for each row of logits. sequence-classification: int64 [sequences]; float32 [sequences] for a
    regression, [sequences, labels] for several labels at once. token-classification, masked-lm, causal-lm, seq2seq-lm:
    int64 [rows]. question-answering: int64 [sequences, 2], the places of start and end, IGNORED where there is none.
    rows: int32 [n], increasing: the tokens (of the target, if there is one) whose logits are wanted; None for all.
    target: what the decoder is given, for an encoder-decoder.
    """

    batch: Batch
    labels: npt.NDArray[Any]
    rows: Ints | None = None
    target: Batch | None = None

    @property
    def num_terms(self) -> int:
        """How many losses are summed; what the sum is divided by."""
        is_class = self.labels.dtype.kind == "i"
        return int(np.count_nonzero(self.labels != IGNORED)) if is_class else self.labels.size

    @property
    def num_tokens(self) -> int:
        """The tokens that are computed."""
        return len(self.batch.token_ids) + (0 if self.target is None else len(self.target.token_ids))

    def __len__(self) -> int:
        return len(self.batch)
