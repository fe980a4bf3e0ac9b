"""From a probability per token and label to entities, in arrays: the aggregation strategies of token classification.

Nothing here knows a tokenizer or a model. Runs of tokens are given by where they begin: `starts` int [runs], increasing
from 0; a run ends where the next begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgument, did_you_mean
from .tags import Tags

__all__ = [
    "AggregationStrategy",
    "Grouping",
    "Items",
    "drop_overlaps",
    "group",
    "label_tokens",
    "label_words",
    "strategy_name",
]

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.intp]


class AggregationStrategy(str, Enum):
    """How tokens become entities; the strings do as well."""

    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


def strategy_name(given: Any) -> str:
    """The name ("none", "simple" …) of a string in any case or an enum, transformers' too.   Raises InvalidArgument."""
    name = str(getattr(given, "value", given)).lower()
    names = [strategy.value for strategy in AggregationStrategy]
    if name not in names:
        near = did_you_mean(name, names)
        raise InvalidArgument(f"aggregation_strategy={given!r} is not a choice.{near} Choices: {', '.join(names)}.")
    return name


class Items(NamedTuple):
    """Tokens or words with the label of each.   starts: the first token of each; labels, scores: [items]."""

    starts: Ints
    labels: Ints
    scores: Floats


def label_tokens(probabilities: Floats) -> Items:
    """Each token with its most probable label.   probabilities: [tokens, labels]."""
    labels = probabilities.argmax(-1)
    everyone = np.arange(len(labels))
    return Items(everyone, labels, probabilities[everyone, labels])


def label_words(probabilities: Floats, starts: Ints, strategy: str) -> Items:
    """Each word with one label.

    probabilities: [tokens, labels].   starts: the first token of each word.
    strategy: 'first': the label of its first token; 'max': that of its surest token; 'average': the most probable by
    the mean over its tokens.   The score is the label's probability there.
    """
    if strategy == "first":
        rows = probabilities[starts]
    elif strategy == "average":
        rows = _means(probabilities, starts)
    else:
        rows = probabilities[_surest(probabilities.max(-1), starts)]
    return Items(starts, *label_tokens(rows)[1:])


class Grouping(NamedTuple):
    """Runs of items.   starts: the first item of each run; labels: that item's; scores: the mean of its items."""

    starts: Ints
    labels: Ints
    scores: Floats


def group(items: Items, tags: Tags, breaks: npt.NDArray[np.bool_] | None = None) -> Grouping:
    """Joins neighbours of one kind into runs.

    A run ends where the kind changes, the next item's tag begins an entity, this one's ends it, or `breaks` (bool
    [items]) says that the next one must not be joined. Items outside any entity ("O") form runs too.
    """
    if not len(items.labels):
        return Grouping(*items)
    labels = items.labels
    kinds = tags.kinds[labels]
    new = np.ones(len(labels), bool)
    new[1:] = (kinds[1:] != kinds[:-1]) | tags.begins[labels[1:]] | tags.ends[labels[:-1]]
    if breaks is not None:
        new |= breaks
    starts = np.flatnonzero(new)
    return Grouping(starts, labels[starts], _means(items.scores, starts))


def drop_overlaps(entities: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entities of overlapping windows in the order of their starts, where two overlap only the longer (or surer).

    An entity that starts inside the one kept last takes its place if it is longer, or as long with a higher score.
    """
    kept: list[dict[str, Any]] = []
    for entity in sorted(entities, key=lambda item: item["start"]):
        if kept and kept[-1]["start"] <= entity["start"] < kept[-1]["end"]:
            if _weight(entity) > _weight(kept[-1]):
                kept[-1] = entity
        else:
            kept.append(entity)
    return kept


def _weight(entity: dict[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]


def _means(values: Floats, starts: Ints) -> Floats:
    """The mean of each run along axis 0, leaving out what is not a number."""
    valid = ~np.isnan(values)
    counts = np.add.reduceat(valid, starts, axis=0, dtype=values.dtype)
    with np.errstate(invalid="ignore"):  # a run of nothing but NaN is NaN
        means: Floats = np.add.reduceat(np.where(valid, values, 0), starts, axis=0) / counts
    return means


def _surest(scores: Floats, starts: Ints) -> Ints:
    """The token of the highest score in each run; the first of equals."""
    runs = np.zeros(len(scores), np.intp)
    runs[starts[1:]] = 1
    order = np.lexsort((-scores, np.cumsum(runs)))  # by run, then by score; stable
    return order[starts]
