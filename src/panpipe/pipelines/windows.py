"""Overlapping windows over a text that is longer than the model: where they lie, and which one knows a token best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["around", "edges", "most_central", "window_bounds"]


def window_bounds(length: int, room: int, overlap: int, side: str = "right") -> list[tuple[int, int]]:
    """(begin, end) of windows of at most `room` tokens, each sharing `overlap` tokens with its neighbour.

    They cover 0 … length; a text that fits gives one window, also when it is empty. The rest falls to the last window:
    the one at the end, or, with side 'left', the one at the beginning, which is then the last of the list.
    Needs 0 <= overlap < room.   The same windows as the `stride` of the tokenizers library gives.
    """
    step = room - overlap
    number = 1 + max(0, -(-(length - room) // step))
    bounds = [(i * step, min(i * step + room, length)) for i in range(number)]
    return bounds if side == "right" else [(length - end, length - begin) for begin, end in bounds]


def most_central(bounds: list[tuple[int, int]], length: int) -> npt.NDArray[np.intp]:
    """For each token the window in which it is farthest from a cut; the earlier of equals.

    A window's edge where the text itself ends is no cut. bounds: from `window_bounds`.   Returns intp [length].
    """
    best = np.full(length, -1.0)
    chosen = np.zeros(length, np.intp)
    for window, (begin, end) in enumerate(bounds):
        place = np.arange(begin, end, dtype=np.float64)
        left = place - begin if begin > 0 else np.full(len(place), np.inf)
        right = end - 1 - place if end < length else np.full(len(place), np.inf)
        distance = np.minimum(left, right)
        better = distance > best[begin:end]
        best[begin:end][better] = distance[better]
        chosen[begin:end][better] = window
    return chosen


def around(place: int, length: int, room: int) -> tuple[int, int]:
    """(begin, end) of the `room` tokens of 0 … length with `place` as near their middle as the text's ends allow."""
    begin = max(0, min(place - room // 2, length - room))
    return begin, min(begin + room, length)


def edges(special_tokens_mask: Sequence[int]) -> tuple[int, int]:
    """(begin, end) of what lies between the special tokens at the two ends."""
    begin, end = 0, len(special_tokens_mask)
    while begin < end and special_tokens_mask[begin]:
        begin += 1
    while end > begin and special_tokens_mask[end - 1]:
        end -= 1
    return begin, end
