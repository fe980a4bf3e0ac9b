"""What metrics are given: lists, arrays or tensors, brought into one form and checked."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

__all__ = ["Floats", "Ints", "check_lengths", "check_texts", "floats", "items", "label_array", "weights_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def items(values: Any, name: str) -> list[Any]:
    """A batch as a list; arrays and tensors become plain values.   Raises InputError."""
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__iter__"):
        raise InputError(f"{name} is {values!r:.60} ({type(values).__name__}); expected a list of them.")
    if hasattr(values, "tolist"):
        values = values.tolist()
    return list(values)


def check_lengths(predictions: Sized, references: Sized) -> None:
    """Raises InputError for lists of different lengths, and for empty ones."""
    if len(predictions) != len(references):
        raise InputError(
            f"{len(predictions)} predictions and {len(references)} references; expected as many of each, in one order."
        )
    if not len(predictions):
        raise InputError("there are no predictions; expected at least one.")


def check_texts(values: Sequence[Any], name: str) -> None:
    """Raises InputError unless all are str."""
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(f"{name}[{index}] is {value!r:.60} ({type(value).__name__}); expected a str.")


def label_array(values: Any, name: str) -> NDArray[Any]:
    """Labels, int64 or str [examples], or zeros and ones [examples, labels].   Raises InputError."""
    array = _array(values, name)
    if array.dtype.kind in "US":
        if not (isinstance(values, np.ndarray) or all(isinstance(value, str) for value in values)):
            raise InputError(f"{name} mixes str with other labels; expected all str, or all whole numbers.")
        return array
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise InputError(f"{name} is of {array.dtype} {list(array.shape)}; expected labels: whole numbers or str.")
    if array.dtype.kind == "f" and not np.all(array == np.round(array)):
        raise InputError(
            f"{name} has fractions, as scores and logits do; expected labels: give logits.argmax(axis=-1)."
        )
    return array.astype(np.int64)


def floats(values: Any, name: str) -> Floats:
    """Numbers, float64 [examples] or [examples, outputs].   Raises InputError, also for NaN and infinity."""
    array = _array(values, name)
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise InputError(f"{name} is of {array.dtype} {list(array.shape)}; expected numbers, one for each example.")
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)):
        place = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InputError(f"{name}[{place}] is {array[place]}; expected finite numbers.")
    return array


def weights_of(sample_weight: Any, number: int) -> Floats | None:
    """One weight for each example.   Raises InputError."""
    if sample_weight is None:
        return None
    weights = floats(sample_weight, "sample_weight")
    if weights.shape != (number,) or weights.sum() == 0:
        raise InputError(f"sample_weight has the shape {list(weights.shape)}; expected [{number}], not all zero.")
    return weights


def _array(values: Any, name: str) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a tensor, perhaps with gradients or on a GPU
        values = values.detach().cpu()
    if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__len__"):
        raise InputError(f"{name} is {values!r:.60} ({type(values).__name__}); expected a list or an array.")
    try:
        array = np.asarray(values if not isinstance(values, Sequence) else list(values))
    except ValueError:
        raise InputError(f"{name} has rows of different lengths; expected one label or number for each example.") from (
            None
        )
    return array
