"""Optimizers by name, and their state as plain tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from .arguments import TrainingArguments

__all__ = ["make_optimizer"]


def make_optimizer(parameters: Iterable[tuple[str, nn.Parameter]], args: TrainingArguments) -> torch.optim.Optimizer:
    """The optimizer of a run. Weight decay is for matrices: biases and norms have one dimension.

    parameters: names and parameters; those without gradients are left out.
    """
    trained = [parameter for _, parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": args.weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if args.optim == "sgd":
        return torch.optim.SGD(groups, lr=args.learning_rate)
    if args.optim == "adafactor":
        # As transformers: a step is the learning rate itself, not a share of the weights' size.
        return torch.optim.Adafactor(groups, lr=args.learning_rate, eps=(1e-15, 1.0))
    options: dict[str, Any] = {"betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}
    return torch.optim.AdamW(groups, lr=args.learning_rate, fused=True, **options)
