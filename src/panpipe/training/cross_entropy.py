"""The cross-entropy of many classes in little memory: loss and gradient together, some rows at a time.

A vocabulary's logits are the largest thing of a training step. PyTorch's own loss goes over them in float32 five times,
each time into new memory; here a part that fits into the cache is read once, and what stays is the gradient, in the
logits' own dtype. (The same idea, with the product before it: Wijmans et al. 2024, arXiv:2411.09009.)
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

__all__ = ["cross_entropy_sum"]

CHUNK = 1 << 18
"""Logits in a part: a megabyte of float32."""


def cross_entropy_sum(
    logits: torch.Tensor, wanted: torch.Tensor, ignored: int, label_smoothing: float = 0.0
) -> torch.Tensor:
    """The sum over rows, float32.   logits: [rows, classes].   wanted: int64 [rows], `ignored` where there is no loss.

    label_smoothing: the share of each class's weight that all classes divide (Szegedy et al. 2015, arXiv:1512.00567).
    """
    total: torch.Tensor = _CrossEntropy.apply(logits, wanted, ignored, label_smoothing)
    return total


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, wanted: torch.Tensor, ignored: int, label_smoothing: float
    ) -> torch.Tensor:
        grad = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), device=logits.device)
        size = max(1, CHUNK // max(1, logits.shape[1]))
        for begin in range(0, len(logits), size):
            rows = slice(begin, begin + size)
            counts = (wanted[rows] != ignored)[:, None]
            right = wanted[rows, None].clamp(min=0)
            scores = logits[rows].float()
            peak = scores.amax(1, keepdim=True)
            loss = (1 - label_smoothing) * (peak - scores.gather(1, right))
            if label_smoothing:
                loss += label_smoothing * (peak - scores.mean(1, keepdim=True))
            powers = (scores - peak).exp_()
            sums = powers.sum(1, keepdim=True)
            total += torch.where(counts, loss + sums.log(), 0).sum()
            if grad is not None:
                powers /= sums
                if label_smoothing:
                    powers -= label_smoothing / logits.shape[1]
                powers.scatter_add_(1, right, torch.full_like(sums, label_smoothing - 1))
                grad[rows] = powers.masked_fill_(~counts, 0)
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (grad,) = ctx.saved_tensors
        return grad * above, None, None, None
