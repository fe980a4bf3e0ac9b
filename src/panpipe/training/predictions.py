"""What a model says of features, on the engine that will serve it. No PyTorch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..models.model import Model
from .batches import TrainingBatch
from .collators import ragged_inputs
from .order import example_seeds
from .tasks.base import Feature, TrainingTask

__all__ = ["outputs_of"]

SEED = 42
"""Of masks: an evaluation hides the same tokens each time."""


def outputs_of(task: TrainingTask, features: Sequence[Feature], batch_size: int, bar: Any) -> list[Any]:
    """For each feature its logits: [labels], [tokens, labels] or [tokens, 2].

    Of language models the sum of its tokens' losses, and how many they are.

    bar: told how many are done.
    """
    found: list[Any] = [None] * len(features)
    for indices in _batches(features, batch_size):
        part = [features[index] for index in indices]
        for index, output in zip(indices, _of_batch(task, part, indices), strict=True):
            found[index] = output
        bar.update(len(part))
    return found


def _batches(features: Sequence[Feature], batch_size: int) -> Iterator[list[int]]:
    """Features of about the same length, the longest first."""
    order = sorted(range(len(features)), key=lambda index: -len(features[index]["input_ids"]))
    return (order[place : place + batch_size] for place in range(0, len(order), batch_size))


def _of_batch(task: TrainingTask, features: list[Feature], indices: list[int]) -> list[Any]:
    model = task.model
    if model.head in ("masked-lm", "causal-lm", "seq2seq-lm"):
        return list(_losses(model, task.collator.ragged(features, model, example_seeds(SEED, 0, indices))))
    batch, _ = ragged_inputs(features, model)
    logits = model.forward(batch)
    return list(logits) if model.head == "sequence-classification" else np.split(logits, batch.offsets[1:-1])


def _losses(model: Model, given: TrainingBatch) -> Iterator[tuple[float, int]]:
    """Of each sequence the sum of its tokens' losses, and how many they are."""
    batch = given.target or given.batch
    target: dict[str, Any] = {} if given.target is None else {"target": given.target}
    rows = np.arange(len(batch.token_ids), dtype=np.int32) if given.rows is None else given.rows
    losses = np.zeros(0)
    if len(rows):
        logits = model.ops.numpy(model.run(given.batch, rows, **target))
        losses = _cross_entropy(logits, given.labels)
    owners = np.searchsorted(batch.offsets, rows, side="right") - 1
    sums = np.bincount(owners, losses, len(batch))
    counts = np.bincount(owners, minlength=len(batch))
    return zip(sums.tolist(), counts.tolist(), strict=True)


def _cross_entropy(logits: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """float64 [rows]: minus the logarithm of each label's probability."""
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(labels)), labels].astype(np.float64)
    return np.log(np.exp(logits, out=logits).sum(axis=1, dtype=np.float64)) - chosen  # type: ignore[no-any-return]
