"""Norms by their weights."""

from __future__ import annotations

from ..ops.base import Array, Ops
from ..weights.slots import Norm

__all__ = ["normed"]


def normed(ops: Ops, x: Array, norm: Norm, epsilon: float, is_rms: bool = False) -> Array:
    """The layer norm of x [tokens, hidden], or its RMS norm."""
    if is_rms:
        return ops.rms_norm(x, norm.weight, epsilon)
    return ops.layer_norm(x, norm.weight, norm.bias, epsilon)
