"""How well labels were guessed: accuracy, precision, recall, F1, Matthews' correlation.

Labels are whole numbers or str, or (several for one example) rows of zeros and ones [examples, labels].
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, InvalidArgument
from .inputs import Floats, Ints, check_lengths, label_array, weights_of

__all__ = ["accuracy", "f1", "matthews_correlation", "precision", "precision_recall_f1", "recall"]

_log = logging.getLogger("panpipe")
_AVERAGES = ("binary", "micro", "macro", "weighted", "samples", None)


def accuracy(predictions: Any, references: Any, *, normalize: bool = True, sample_weight: Any = None) -> float:
    """The share of right predictions (normalize=False: their number); a row of labels is right as a whole.

    Raises InputError.
    """
    guesses, truths = _pair(predictions, references)
    right = guesses == truths
    if right.ndim == 2:
        right = right.all(axis=1)
    weights = weights_of(sample_weight, len(right))
    return float(
        np.average(right, weights=weights) if normalize else np.sum(right if weights is None else weights[right])
    )


def f1(
    predictions: Any,
    references: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    sample_weight: Any = None,
    zero_division: float | str = "warn",
) -> float | Floats:
    """The harmonic mean of precision and recall.   Arguments and errors: see `precision_recall_f1`."""
    return precision_recall_f1(predictions, references, average, labels, pos_label, sample_weight, zero_division)[2]


def precision(
    predictions: Any,
    references: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    sample_weight: Any = None,
    zero_division: float | str = "warn",
) -> float | Floats:
    """The share of a label's predictions that are right.   Arguments and errors: see `precision_recall_f1`."""
    return precision_recall_f1(predictions, references, average, labels, pos_label, sample_weight, zero_division)[0]


def recall(
    predictions: Any,
    references: Any,
    *,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    sample_weight: Any = None,
    zero_division: float | str = "warn",
) -> float | Floats:
    """The share of a label's examples that were found.   Arguments and errors: see `precision_recall_f1`."""
    return precision_recall_f1(predictions, references, average, labels, pos_label, sample_weight, zero_division)[1]


def precision_recall_f1(
    predictions: Any,
    references: Any,
    average: str | None = "binary",
    labels: Any = None,
    pos_label: Any = 1,
    sample_weight: Any = None,
    zero_division: float | str = "warn",
) -> tuple[float | Floats, float | Floats, float | Floats]:
    """Precision, recall and F1, as scikit-learn defines them.

    average: 'binary': of pos_label alone; 'micro': all labels' counts together; 'macro': the mean over labels;
    'weighted': that mean by the labels' frequencies; 'samples': the mean over rows of zeros and ones; None: an array,
    a score for each of `labels` (default: those that occur, sorted).
    zero_division: a score whose denominator is 0: 0, 1 or NaN (left out of means); 'warn': 0, and a line in the log.
    Raises InputError, InvalidArgument.
    """
    if average not in _AVERAGES:
        raise InvalidArgument(f"average={average!r:.40}: expected one of {', '.join(map(repr, _AVERAGES))}.")
    guesses, truths = _pair(predictions, references)
    weights = weights_of(sample_weight, len(truths))
    if average == "binary":
        labels = _positive(guesses, truths, pos_label)
    counts = _count(guesses, truths, labels, weights, by_row=average == "samples")
    if average == "micro":
        counts = _Counts(*(np.array([part.sum()]) for part in (counts.right, counts.guessed, counts.true)))
    value = _zero_value(zero_division)
    scores = [_divided(top, bottom, value) for top, bottom in counts.fractions()]
    if zero_division == "warn":
        _warn(counts)
    if average is None:
        return scores[0], scores[1], scores[2]
    means = {"weighted": counts.true, "samples": weights}.get(average)
    return _mean(scores[0], means), _mean(scores[1], means), _mean(scores[2], means)


def matthews_correlation(predictions: Any, references: Any, *, sample_weight: Any = None) -> float:
    """Matthews' correlation coefficient of any number of labels, -1 … 1; 0 where either side has one label only.

    Raises InputError.   Source: Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006.
    """
    guesses, truths = _pair(predictions, references)
    if guesses.ndim == 2:
        raise InputError("Matthews' correlation is of one label for each example; rows of labels were given.")
    counts = _count(guesses, truths, None, weights_of(sample_weight, len(truths)))
    total, right = counts.true.sum(), counts.right.sum()
    of_guesses = total**2 - counts.guessed @ counts.guessed
    of_truths = total**2 - counts.true @ counts.true
    if min(np.count_nonzero(counts.guessed), np.count_nonzero(counts.true)) < 2:
        return 0.0
    return float((right * total - counts.true @ counts.guessed) / np.sqrt(of_guesses * of_truths))


# -- counting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Counts:
    """By label (or by row): how often it was rightly guessed, guessed, and true; float64."""

    right: Floats
    guessed: Floats
    true: Floats

    def fractions(self) -> list[tuple[Floats, Floats]]:
        """Of precision, recall and F1."""
        return [(self.right, self.guessed), (self.right, self.true), (2 * self.right, self.guessed + self.true)]


def _pair(predictions: Any, references: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    guesses, truths = label_array(predictions, "predictions"), label_array(references, "references")
    check_lengths(guesses, truths)
    if guesses.shape != truths.shape:
        raise InputError(
            f"predictions have the shape {list(guesses.shape)} and references {list(truths.shape)}; expected the same "
            "(of logits, give logits.argmax(axis=-1))."
        )
    if (guesses.dtype.kind == "U") != (truths.dtype.kind == "U"):
        raise InputError("one of predictions and references has str labels and the other numbers; expected the same.")
    if guesses.ndim == 2 and not (np.isin(guesses, (0, 1)).all() and np.isin(truths, (0, 1)).all()):
        raise InputError("rows of labels must be of zeros and ones, a column for each label.")
    return guesses, truths


def _positive(guesses: NDArray[Any], truths: NDArray[Any], pos_label: Any) -> list[Any]:
    """The one label that a binary average is of."""
    present = np.unique(np.concatenate([guesses, truths])).tolist() if guesses.ndim == 1 else []
    if guesses.ndim == 2 or len(present) > 2:
        raise InputError(
            f"there are {len(present) or 'rows of'} labels, and average='binary' is of two: give average='macro', "
            "'micro', 'weighted' or None."
        )
    if len(present) == 2 and pos_label not in present:
        raise InvalidArgument(f"pos_label={pos_label!r:.60}: the labels are {present}; name one of them.")
    return [pos_label]


def _count(
    guesses: NDArray[Any], truths: NDArray[Any], labels: Any, weights: Floats | None, by_row: bool = False
) -> _Counts:
    if guesses.ndim == 2:
        chosen: Any = slice(None) if labels is None else np.asarray(labels)
        guesses, truths = guesses[:, chosen], truths[:, chosen]
        by = np.ones((len(truths), 1)) if weights is None or by_row else weights[:, None]
        axis = 1 if by_row else 0
        parts = (guesses & truths, guesses, truths)
        return _Counts(*((part * by).sum(axis=axis) for part in parts))
    if by_row:
        raise InputError("average='samples' is of rows of zeros and ones, several labels for each example.")
    present, codes = np.unique(np.concatenate([guesses, truths]), return_inverse=True)
    names = present if labels is None else np.asarray(labels)
    if labels is not None and not len(names):
        raise InvalidArgument("labels=[]: expected at least one, or None for those that occur.")
    guessed, true = codes[: len(guesses)], codes[len(guesses) :]
    is_right = guessed == true
    by_present = [
        np.bincount(part, minlength=len(present), weights=weight).astype(np.float64)
        for part, weight in (
            (guessed[is_right], None if weights is None else weights[is_right]),
            (guessed, weights),
            (true, weights),
        )
    ]
    if labels is None:
        return _Counts(*by_present)
    place = {value: index for index, value in enumerate(present.tolist())}
    where = [place.get(name, len(present)) for name in names.tolist()]
    return _Counts(*(np.append(part, 0.0)[where] for part in by_present))


# -- dividing --------------------------------------------------------------------------------------------------------


def _zero_value(zero_division: float | str) -> float:
    if zero_division == "warn":
        return 0.0
    if isinstance(zero_division, (int, float)) and (zero_division in (0, 1) or zero_division != zero_division):
        return float(zero_division)
    raise InvalidArgument(f"zero_division={zero_division!r:.40}: expected 0, 1, NaN or 'warn'.")


def _divided(top: Floats, bottom: Floats, value: float) -> Floats:
    return np.where(bottom == 0, value, top / np.where(bottom == 0, 1.0, bottom))


def _warn(counts: _Counts) -> None:
    for part, what, score in ((counts.guessed, "predicted", "precision"), (counts.true, "true", "recall")):
        if number := int((part == 0).sum()):
            _log.warning("%d of %d labels are never %s: their %s counts as 0.", number, len(part), what, score)


def _mean(scores: Floats, weights: Floats | None) -> float:
    """Without the NaN that zero_division asked for; evenly where the weights are all zero."""
    kept: Ints = np.flatnonzero(~np.isnan(scores))
    if not len(kept):
        return float("nan")
    by = None if weights is None or not weights[kept].any() else weights[kept]
    return float(np.average(scores[kept], weights=by))
