"""Logistic regression in NumPy: what `fit_head` fits on frozen features. Knows neither texts nor models.

For two classes one set of weights, for more one per class (softmax). The loss is the mean over the examples, plus
l2 / 2 times the sum of the squared weights (not of the intercepts); scikit-learn's C is 1 / (examples * l2).
Source of the minimiser: Liu & Nocedal 1989, "On the limited memory BFGS method".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["STRENGTHS", "Logistic", "best_l2", "fit_logistic", "folds_of"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRENGTHS = (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The l2 that are tried, from the strongest."""


@dataclass(frozen=True)
class Logistic:
    """weights: float64 [classes, features], or [1, features] for two classes; intercepts: [classes] or [1]."""

    weights: Floats
    intercepts: Floats

    def logits(self, features: Floats) -> Floats:
        """[examples, classes]; of two classes, minus and plus half the evidence, whose softmax is its sigmoid."""
        scores = features @ self.weights.T + self.intercepts
        return scores if scores.shape[1] > 1 else np.concatenate([-scores / 2, scores / 2], 1)


def fit_logistic(
    features: Floats,
    classes: Ints,
    num_classes: int,
    l2: float,
    example_weights: Floats | None = None,
    has_intercept: bool = True,
    start: Logistic | None = None,
    tolerance: float = 1e-7,
) -> Logistic:
    """The weights of least loss.

    features: [examples, features].   classes: [examples], from 0.   start: where to begin.   tolerance: of `minimised`.
    """
    outputs = 1 if num_classes == 2 else num_classes
    n, width = features.shape
    each = np.full(n, 1.0 / n) if example_weights is None else example_weights / n
    wanted = np.eye(num_classes)[classes][:, -outputs:]

    def loss_and_gradient(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: outputs * width].reshape(outputs, width), flat[outputs * width :]
        scores = features @ w.T + b
        losses, probabilities = _losses(scores, wanted)
        error = (probabilities - wanted) * each[:, None]
        slope = error.T @ features + l2 * w
        loss = float(losses @ each) + l2 / 2 * float((w * w).sum())
        return loss, np.concatenate([slope.ravel(), error.sum(0) * has_intercept])

    first = np.zeros(outputs * (width + 1))
    if start is not None:
        first = np.concatenate([start.weights.ravel(), start.intercepts])
    found = minimised(loss_and_gradient, first, tolerance)
    return Logistic(found[: outputs * width].reshape(outputs, width), found[outputs * width :])


def _losses(scores: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Each example's loss, and the probabilities; without overflow."""
    if scores.shape[1] == 1:
        losses = np.logaddexp(0.0, scores[:, 0]) - scores[:, 0] * wanted[:, 0]
        return losses, 0.5 + 0.5 * np.tanh(0.5 * scores)
    top = scores.max(1, keepdims=True)
    powers = np.exp(scores - top)
    total = powers.sum(1, keepdims=True)
    return (top + np.log(total))[:, 0] - (scores * wanted).sum(1), powers / total


def minimised(
    function: Callable[[Floats], tuple[float, Floats]],
    x: Floats,
    tolerance: float,
    most_steps: int = 2000,
    memory: int = 10,
) -> Floats:
    """Where a smooth convex function is least, by L-BFGS: until no part of its gradient exceeds the tolerance.

    function: x -> (value, gradient).
    """
    value, gradient = function(x)
    past: list[tuple[Floats, Floats, float]] = []  # steps, changes of the gradient, 1 / their product
    for _ in range(most_steps):
        if np.abs(gradient).max(initial=0.0) <= tolerance:
            break
        direction = -_times_inverse_hessian(gradient, past)
        slope = float(gradient @ direction)
        size = 1.0 if past else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        while True:  # until the value falls as it should (Armijo)
            moved = x + size * direction
            new_value, new_gradient = function(moved)
            if new_value <= value + 1e-4 * size * slope:
                break
            size /= 2
            if size < 1e-10:  # as low as float64 can tell
                return x
        step, change = moved - x, new_gradient - gradient
        if (curvature := float(step @ change)) > 1e-12 * float(change @ change):
            past = [*past[-memory + 1 :], (step, change, 1.0 / curvature)]
        x, value, gradient = moved, new_value, new_gradient
    return x


def _times_inverse_hessian(gradient: Floats, past: list[tuple[Floats, Floats, float]]) -> Floats:
    """The two loops of L-BFGS."""
    q = gradient.copy()
    shares = []
    for step, change, inverse in reversed(past):
        shares.append(inverse * float(step @ q))
        q -= shares[-1] * change
    if past:
        step, change, inverse = past[-1]
        q /= inverse * float(change @ change)
    for (step, change, inverse), share in zip(past, reversed(shares), strict=True):
        q += (share - inverse * float(change @ q)) * step
    return q


# -- choosing the strength -------------------------------------------------------------------------------------------


def folds_of(classes: Ints, folds: int, seed: int) -> Ints:
    """Each example's fold: every class is spread evenly over them, in an order drawn by the seed."""
    generator = np.random.default_rng(seed)
    fold = np.empty(len(classes), np.int64)
    begin = 0
    for each in np.unique(classes):
        members = generator.permutation(np.flatnonzero(classes == each))
        fold[members] = (begin + np.arange(len(members))) % folds
        begin += len(members)
    return fold


def best_l2(
    features: Floats,
    classes: Ints,
    num_classes: int,
    fold: Ints,
    example_weights: Floats,
    has_intercept: bool,
    strengths: tuple[float, ...],
) -> tuple[float, float]:
    """The strength of least loss on examples that were left out, and the share of these that it gets right.

    Tried from the strongest on, each beginning where the one before ended, until the loss has risen twice.
    """
    parts = [(np.flatnonzero(fold != f), np.flatnonzero(fold == f)) for f in range(int(fold.max()) + 1)]
    starts: list[Logistic | None] = [None] * len(parts)
    tried: list[tuple[float, float, float]] = []  # loss, l2, share that is right
    for l2 in strengths:
        loss = right = 0.0
        for place, (kept, left) in enumerate(parts):
            weights = example_weights[kept]
            model = fit_logistic(
                features[kept], classes[kept], num_classes, l2, weights, has_intercept, starts[place], 1e-4
            )
            starts[place] = model
            logits = model.logits(features[left])
            losses, _ = _losses(logits, np.eye(num_classes)[classes[left]])
            loss += float(losses @ example_weights[left])
            right += float((logits.argmax(1) == classes[left]).sum())
        tried.append((loss, l2, right / len(classes)))
        if len(tried) > 2 and tried[-1][0] > tried[-2][0] > tried[-3][0]:
            break
    _, l2, accuracy = min(tried)
    return l2, accuracy
