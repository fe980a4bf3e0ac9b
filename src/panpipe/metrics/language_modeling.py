"""How well a model expects a text: perplexity, and bits per byte, which vocabularies of any size share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .inputs import check_lengths, floats, weights_of

__all__ = ["bits_per_byte", "perplexity"]


def perplexity(losses: Any, num_tokens: Any = None) -> float:
    """exp of the mean loss; infinity where that is more than a float holds.

    losses: in nats, one for each token; or the mean loss of each batch or text, with num_tokens: how many tokens each
    is the mean of (without it all count the same).   Raises InputError.
    """
    values = np.atleast_1d(floats([losses] if isinstance(losses, (int, float)) else losses, "losses"))
    if not values.size:
        raise InputError("there are no losses; expected at least one.")
    mean = float(np.average(values.reshape(-1), weights=weights_of(num_tokens, values.size)))
    try:
        return math.exp(mean)
    except OverflowError:
        return math.inf


def bits_per_byte(losses: Any, texts: Sequence[str | bytes | int]) -> float:
    """The bits that a model needs for each byte of UTF-8.

    losses: in nats, the sum over each text's tokens.   texts: the same texts, or their lengths in bytes.
    Raises InputError.
    """
    values = floats(losses, "losses").reshape(-1)
    texts = list(texts)
    check_lengths(values, texts)
    size = sum(map(_num_bytes, texts))
    if size <= 0:
        raise InputError("the texts have no bytes; expected at least one.")
    return float(values.sum() / math.log(2) / size)


def _num_bytes(text: str | bytes | int) -> int:
    if isinstance(text, str):
        return len(text.encode())
    if isinstance(text, bytes):
        return len(text)
    if isinstance(text, (int, np.integer)) and not isinstance(text, bool):
        return int(text)
    raise InputError(f"{text!r:.60} ({type(text).__name__}) is no text; expected a str, bytes or a number of bytes.")
