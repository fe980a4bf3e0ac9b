"""Norms by their weights."""

from __future__ import annotations

from ..ops.base import Array, Ops
from ..weights.slots import Norm

__all__ = ["normed"]


def normed(ops: Ops, x: Array, norm: Norm, epsilon: float) -> Array:
    """The layer norm of x [tokens, hidden]."""
    return ops.layer_norm(x, norm.weight, norm.bias, epsilon)
