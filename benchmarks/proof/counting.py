"""How well counting alone expects a text: what a language model has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["counted"]

SHARE = 0.7
"""Of the pair's frequency; the rest is the token's own."""

Ids = npt.NDArray[Any]


def counted(read: Ids, asked: Ids, vocabulary: int) -> dict[str, float]:
    """The mean loss, in nats, of each token asked for by its frequency in what was read, and by that of its pair.

    Frequencies of tokens begin at one, so that none is impossible; those of pairs are mixed with them.
    """
    single = (np.bincount(read, minlength=vocabulary) + 1.0) / (len(read) + vocabulary)
    pairs, counts = np.unique(_pairs(read, vocabulary), return_counts=True)
    wanted = _pairs(asked, vocabulary)
    places = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    found = np.where(pairs[places] == wanted, counts[places], 0)
    before = np.bincount(read[:-1], minlength=vocabulary)[asked[:-1]]
    alone = single[asked[1:]]
    mixed = np.where(before > 0, SHARE * found / np.maximum(before, 1) + (1 - SHARE) * alone, alone)
    return {"single tokens": float(-np.log(alone).mean()), "pairs of tokens": float(-np.log(mixed).mean())}


def _pairs(ids: Ids, vocabulary: int) -> Ids:
    return ids[:-1].astype(np.int64) * vocabulary + ids[1:]
