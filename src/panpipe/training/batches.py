"""What one step of training reads: a ragged batch, and what the head should have said; or rectangles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..errors import InputError
from ..ops.base import Ints

__all__ = ["IGNORED", "Padded", "TrainingBatch", "as_numpy"]

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


@dataclass(frozen=True)
class Padded:
    """The rectangles that a collator gave, for a loss of one's own; their labels may be of any kind, or missing.

    num_terms: the labels that are not IGNORED, or the rows, where there are no labels that can be counted.
    num_tokens: what the masks keep, of a decoder's labels those that are learned.
    """

    inputs: dict[str, Any]
    num_terms: int
    num_tokens: int

    @classmethod
    def of(cls, rectangles: Any, rows: int, head: str) -> Padded:
        """What the collator made of so many rows for a model with that head.   Raises InputError."""
        if not isinstance(rectangles, Mapping):
            raise InputError(f"the collator gave {rectangles!r:.60}; expected a dictionary of input_ids, labels …")
        inputs = dict(rectangles)
        terms = _learned(inputs.get("labels"), head)
        mask = inputs.get("attention_mask")
        tokens = as_numpy(inputs.get("input_ids", ())).size if mask is None else np.count_nonzero(as_numpy(mask))
        written = terms if terms is not None and head == "seq2seq-lm" else 0
        return cls(inputs, rows if terms is None else terms, int(tokens) + written)


def _learned(labels: Any, head: str) -> int | None:
    """How many labels count; None for what is no array of numbers."""
    try:
        array = as_numpy(labels)
    except ValueError:  # lists of unequal length
        return None
    if array.dtype.kind not in "biuf":
        return None
    if head == "causal-lm" and array.ndim == 2:
        array = array[:, 1:]  # nothing predicts a text's first token
    return int(np.count_nonzero(array != IGNORED))


def as_numpy(value: Any) -> npt.NDArray[Any]:
    """A number, list, array or tensor as an array."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
