"""What each head learns by: the sum of its losses over a batch, and how many they are.

Sums, not means: a run divides the sum over all micro-batches and processes by their number, so that the same examples
weigh the same however they are split.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch.nn import functional

from ..batch import Batch
from .batches import IGNORED

__all__ = ["loss_sum"]


def loss_sum(
    head: str, logits: torch.Tensor, labels: npt.NDArray[Any], batch: Batch, label_smoothing: float = 0.0
) -> torch.Tensor:
    """The sum of the losses of a head's logits; labels as in `TrainingBatch`."""
    logits = logits.float()
    wanted = torch.as_tensor(labels, device=logits.device)
    if head == "question-answering":
        return _spans(logits, wanted, batch)
    if labels.dtype.kind == "f":
        if labels.ndim == 1:
            return functional.mse_loss(logits[:, 0], wanted, reduction="sum")
        return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    return functional.cross_entropy(
        logits, wanted, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing
    )


def _spans(logits: torch.Tensor, wanted: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Start and end each among the tokens of their sequence."""
    lengths = batch.lengths.tolist()
    total = logits.sum() * 0
    for sequence, places in zip(logits.split(lengths), wanted, strict=True):
        total = total + functional.cross_entropy(sequence.T, places, ignore_index=IGNORED, reduction="sum")
    return total
