"""What each head learns by: the sum of its losses over a batch, and how many they are.

Sums, not means: a run divides the sum over all micro-batches and processes by their number, so that the same examples
weigh the same however they are split.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ..batch import Batch
from .batches import IGNORED
from .cross_entropy import cross_entropy_sum

__all__ = ["loss_sum"]


def loss_sum(
    head: str,
    logits: torch.Tensor,
    labels: npt.NDArray[Any],
    batch: Batch,
    label_smoothing: float = 0.0,
    problem_type: str | None = None,
) -> torch.Tensor:
    """The sum of the losses of a head's logits, computed in float32.

    labels: as in `TrainingBatch`.   label_smoothing: the share of each class's weight that all classes divide.
    problem_type: the config's; 'regression' makes float labels [sequences, labels] that, not several classes at once.
    """
    wanted = torch.from_numpy(np.ascontiguousarray(labels)).to(logits.device, non_blocking=True)
    if head == "question-answering":
        logits = _side_by_side(logits.float(), batch)
        return functional.cross_entropy(
            logits, wanted, ignore_index=IGNORED, reduction="sum", label_smoothing=label_smoothing
        )
    if labels.dtype.kind == "f":
        logits = logits.float()
        if labels.ndim == 1 or problem_type == "regression":
            return functional.mse_loss(logits.view_as(wanted), wanted, reduction="sum")
        return functional.binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
    return cross_entropy_sum(logits, wanted, IGNORED, label_smoothing)


def _side_by_side(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """[tokens, 2] -> [sequences, longest, 2]: start and end each among the tokens of their sequence, -inf beyond."""
    longest = int(batch.lengths.max(initial=0))
    cells = np.arange(len(batch.token_ids)) + np.repeat(
        np.arange(len(batch)) * longest - batch.first_rows, batch.lengths
    )
    where = torch.from_numpy(cells).to(logits.device, non_blocking=True)
    laid = logits.new_full((len(batch) * longest, 2), -torch.inf)
    return laid.index_copy(0, where, logits).view(len(batch), longest, 2)
