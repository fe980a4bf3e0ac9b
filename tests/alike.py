"""Answers of pipelines, compared: structure and strings exactly, scores to float32's rounding."""

from __future__ import annotations

from typing import Any

__all__ = ["alike"]


def alike(ours: Any, theirs: Any) -> bool:
    if isinstance(theirs, float):
        return isinstance(ours, float) and abs(ours - theirs) <= 1e-4 * max(1.0, abs(theirs))
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(alike(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return isinstance(ours, list) and len(ours) == len(theirs) and all(map(alike, ours, theirs))
    return bool(ours == theirs)
