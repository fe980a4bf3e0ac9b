"""How near numbers came: correlations and errors."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..errors import InputError, InvalidArgument
from .inputs import Floats, check_lengths, floats, weights_of

__all__ = ["mae", "mse", "pearson", "spearman"]

_log = logging.getLogger("panpipe")


def pearson(predictions: Any, references: Any) -> float:
    """Pearson's correlation, -1 … 1; NaN, with a line in the log, where either side is constant.

    Raises InputError, also for fewer than two examples.
    """
    guesses, truths = _columns(predictions, references)
    sides = [side - side.mean() for side in (guesses, truths)]
    scales = [float(np.abs(side).max()) for side in sides]  # squares of very small numbers would vanish
    for name, side, scale in zip(("predictions", "references"), (guesses, truths), scales, strict=True):
        if scale <= 1e-13 * abs(side.mean()):
            _log.warning("all %s are equal: their correlation is not defined (NaN).", name)
            return float("nan")
    sides = [side / scale for side, scale in zip(sides, scales, strict=True)]
    norms = [float(np.linalg.norm(side)) for side in sides]
    return float(np.clip((sides[0] / norms[0]) @ (sides[1] / norms[1]), -1.0, 1.0))


def spearman(predictions: Any, references: Any) -> float:
    """Spearman's correlation of ranks, equal values sharing their mean rank; otherwise as `pearson`."""
    guesses, truths = _columns(predictions, references)
    return pearson(_ranks(guesses), _ranks(truths))


def mse(
    predictions: Any,
    references: Any,
    *,
    squared: bool = True,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> float | Floats:
    """The mean squared error, or (squared=False) its root.

    multioutput: of [examples, outputs], the mean over outputs ('uniform_average') or each ('raw_values').
    Raises InputError, InvalidArgument.
    """
    errors = _mean_over_examples(predictions, references, sample_weight, lambda difference: difference**2)
    return _over_outputs(errors if squared else np.sqrt(errors), multioutput)


def mae(
    predictions: Any, references: Any, *, sample_weight: Any = None, multioutput: str = "uniform_average"
) -> float | Floats:
    """The mean absolute error.   Arguments and errors as of `mse`."""
    return _over_outputs(_mean_over_examples(predictions, references, sample_weight, np.abs), multioutput)


def _columns(predictions: Any, references: Any) -> tuple[Floats, Floats]:
    """Both as [examples]; a regression head's [examples, 1] counts as that."""
    guesses, truths = (_flat(floats(v, name)) for v, name in ((predictions, "predictions"), (references, "references")))
    check_lengths(guesses, truths)
    if guesses.ndim == 2 or truths.ndim == 2:
        raise InputError("a correlation is of one number for each example; several were given.")
    if len(guesses) < 2:
        raise InputError("there is one example; a correlation needs at least two.")
    return guesses, truths


def _flat(values: Floats) -> Floats:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse.reshape(-1)])


def _mean_over_examples(predictions: Any, references: Any, sample_weight: Any, error: Any) -> Floats:
    guesses, truths = _flat(floats(predictions, "predictions")), _flat(floats(references, "references"))
    check_lengths(guesses, truths)
    if guesses.shape != truths.shape:
        raise InputError(
            f"predictions have the shape {list(guesses.shape)} and references {list(truths.shape)}; expected the same."
        )
    return np.asarray(np.average(error(guesses - truths), axis=0, weights=weights_of(sample_weight, len(truths))))


def _over_outputs(errors: Floats, multioutput: str) -> float | Floats:
    if multioutput not in ("uniform_average", "raw_values"):
        raise InvalidArgument(f"multioutput={multioutput!r:.40}: expected 'uniform_average' or 'raw_values'.")
    return float(errors.mean()) if multioutput == "uniform_average" else np.atleast_1d(errors)
