"""For loops of one's own, as in the course: a model that trains in place, and the loss of a call with labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..errors import InputError, MissingDependency, ShapeError
from .batches import IGNORED, TrainingBatch, as_numpy

if TYPE_CHECKING:
    from ..models.model import Model
    from .module import Trainable

__all__ = ["labelled", "loss_of", "made_trainable"]

Array = npt.NDArray[Any]


def made_trainable(model: Model) -> Trainable:
    """The model on the torch engine, changed in place; not yet in training mode.   Raises MissingDependency."""
    try:
        from .module import Trainable
    except ImportError as error:
        raise MissingDependency('training needs PyTorch: pip install "panpipe[train]"') from error
    made = Trainable(model, getattr(model.ops, "device", "cpu"))
    made.train(False)
    vars(model).update(vars(made.model))
    made.model = model
    return made


def labelled(model: Model, batch: Batch, rows: Array, shape: tuple[int, int], labels: dict[str, Any]) -> TrainingBatch:
    """What a call's labels say of a ragged batch.

    rows: the place of each of the batch's tokens in the flattened rectangle of that shape, [batch, tokens].
    labels: 'labels', or 'start_positions' and 'end_positions', as transformers takes them. Where attention_mask is 0
    they are ignored; so are answers that lie there, or outside.
    Raises ShapeError, InputError.
    """
    given = {name: as_numpy(value) for name, value in labels.items()}
    if model.head == "question-answering":
        columns = [_places(name, values, rows, shape) for name, values in given.items()]
        return TrainingBatch(batch, np.stack(columns, 1))
    values = given["labels"]
    if model.head == "sequence-classification":
        return TrainingBatch(batch, _classes(model, values, len(batch)))
    if values.shape != shape:
        raise ShapeError(f"labels has shape {list(values.shape)}; it must be that of the ids, {list(shape)}.")
    kept = values.reshape(-1)[rows].astype(np.int64)
    if model.head == "causal-lm":  # a token's label is the next token
        kept = np.append(kept[1:], IGNORED)
        kept[batch.offsets[1:] - 1] = IGNORED
    wanted = np.flatnonzero(kept != IGNORED).astype(np.int32)
    return TrainingBatch(batch, kept[wanted], wanted)


def _places(name: str, values: Array, rows: Array, shape: tuple[int, int]) -> Array:
    """Columns of a rectangle as places in the ragged sequences."""
    values = values.reshape(-1).astype(np.int64)
    if len(values) != shape[0]:
        raise ShapeError(f"{name} has {len(values)} values; it must have one for each of the {shape[0]} rows.")
    kept = np.zeros(shape, bool)
    kept.reshape(-1)[rows] = True
    column = np.clip(values, 0, shape[1] - 1)
    sequence = np.arange(len(values))
    is_there = (values == column) & kept[sequence, column]
    return np.where(is_there, np.cumsum(kept, 1)[sequence, column] - 1, IGNORED)


def _classes(model: Model, values: Array, count: int) -> Array:
    """Whole numbers for one class of several, floats for a regression or for several classes at once."""
    classes = model.config.num_labels
    kind = model.config.problem_type
    if kind is None:
        is_one = values.dtype.kind in "iu" and classes > 1
        kind = "regression" if classes == 1 else "single_label_classification" if is_one else "several"
    shape = (count,) if kind == "single_label_classification" or classes == 1 else (count, classes)
    if values.size != np.prod(shape):
        raise ShapeError(f"labels has shape {list(values.shape)}; for {classes} labels it must be {list(shape)}.")
    return values.reshape(shape).astype(np.int64 if kind == "single_label_classification" else np.float32)


def loss_of(model: Model, answer: Any, given: TrainingBatch) -> Any:
    """The mean loss of what the model answered: a scalar of PyTorch's for its tensors, else of NumPy's.

    answer: for every token of the batch; `given.rows` are those that have labels. A question's loss is the mean of the
    start's and the end's, each a mean over the questions that have one, as in transformers.
    Raises InputError for a label that is no class, MissingDependency.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependency('a loss needs PyTorch: pip install "panpipe[train]"') from error
    logits = answer if isinstance(answer, torch.Tensor) else torch.from_numpy(answer)
    if given.rows is not None:
        logits = logits.index_select(0, torch.from_numpy(given.rows.astype(np.int64)).to(logits.device))
    parts = [given]
    if model.head == "question-answering":
        is_of = np.eye(2, dtype=bool)
        parts = [replace(given, labels=np.where(is_of[i], given.labels, IGNORED)) for i in range(2)]
    elif given.labels.dtype.kind == "i":
        _check(given.labels, logits.shape[1])
    loss = torch.stack([_mean(model, logits, part) for part in parts]).mean()
    return loss if isinstance(answer, torch.Tensor) else loss.numpy()


def _mean(model: Model, logits: Any, given: TrainingBatch) -> Any:
    from .objectives import loss_sum

    kind = model.config.problem_type
    return loss_sum(model.head, logits, given.labels, given.batch, problem_type=kind) / max(1, given.num_terms)


def _check(labels: Array, classes: int) -> None:
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= classes))]
    if len(wrong):
        raise InputError(f"labels has the value {wrong[0]}; it must be from 0 to {classes - 1}, or {IGNORED}.")
