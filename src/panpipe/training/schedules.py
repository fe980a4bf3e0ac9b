"""How the learning rate changes: factors of its peak, as functions of the step alone.

Sources: Loshchilov & Hutter 2017, arXiv:1608.03983 (cosine); Hägele et al. 2024, arXiv:2405.18392 (warm-up, stable,
decay); Smith & Topin 2019, arXiv:1708.07120 (one cycle).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, UnknownArgument, did_you_mean
from .arguments import SCHEDULES

if TYPE_CHECKING:
    import torch

__all__ = ["get_scheduler", "plateau", "schedule"]

Factor = Callable[[int], float]


def schedule(name: str, total: int, warmup: int = 0, **options: Any) -> Factor:
    """step (from 0) -> what the peak learning rate is multiplied by.

    total: steps of the run.   warmup: steps of linear rise from 0.
    options: num_cycles (cosine, cosine_with_restarts); power, end_factor (polynomial); min_factor (cosine_with_min_lr);
    decay_steps, min_factor (warmup_stable_decay); timescale (inverse_sqrt); start_factor (one_cycle).
    Raises InvalidArgument, UnknownArgument.
    """
    if name not in SCHEDULES:
        raise InvalidArgument(
            f"{name!r} is not a schedule.{did_you_mean(name, SCHEDULES)} Schedules: {', '.join(SCHEDULES)}."
        )
    known = {"num_cycles", "power", "end_factor", "min_factor", "decay_steps", "timescale", "start_factor"}
    for option in options:
        if option not in known:
            raise UnknownArgument(f"a schedule has no {option!r}.{did_you_mean(option, known)}")
    if name == "one_cycle":
        return _one_cycle(total, warmup or max(1, round(0.3 * total)), options.get("start_factor", 0.04))
    after = _after_warmup(name, max(1, total - warmup), warmup, options)
    if name == "constant":
        return after
    return lambda step: step / max(1, warmup) if step < warmup else after(step - warmup)


def _after_warmup(name: str, span: int, warmup: int, options: dict[str, Any]) -> Factor:
    """The factor so many steps after the warm-up, of `span`."""
    cycles = options.get("num_cycles", 1 if name == "cosine_with_restarts" else 0.5)
    least = options.get("min_factor", 0.0)

    def share(step: int) -> float:
        return min(1.0, step / span)

    def restarts(step: int) -> float:
        return 0.0 if step >= span else 0.5 * (1 + math.cos(math.pi * (cycles * step / span % 1.0)))

    def cosine(step: int) -> float:
        return float(least + (1 - least) * max(0.0, 0.5 * (1 + math.cos(2 * math.pi * cycles * share(step)))))

    def polynomial(step: int) -> float:
        end = options.get("end_factor", 1e-7 / 5e-5)
        return float((1 - end) * (1 - share(step)) ** options.get("power", 1.0) + end)

    def inverse_sqrt(step: int) -> float:
        scale = options.get("timescale", warmup or 10_000)
        return 1.0 / math.sqrt((step + warmup + scale - warmup) / scale)

    def stable_then_decay(step: int) -> float:
        decay = options.get("decay_steps", max(1, span // 5))
        left = span - step
        return 1.0 if left >= decay else max(least, least + (1 - least) * left / decay)

    return {
        "linear": lambda step: max(0.0, 1 - step / span),
        "cosine": cosine,
        "cosine_with_min_lr": cosine,
        "cosine_with_restarts": restarts,
        "polynomial": polynomial,
        "inverse_sqrt": inverse_sqrt,
        "warmup_stable_decay": stable_then_decay,
    }.get(name, lambda step: 1.0)


def _one_cycle(total: int, rise: int, start: float) -> Factor:
    """Up to the peak and down to nothing, both along a cosine."""

    def between(a: float, b: float, share: float) -> float:
        return b + (a - b) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))

    return lambda step: (
        between(start, 1.0, step / rise)
        if step < rise
        else between(1.0, start * 1e-4, (step - rise) / max(1, total - rise))
    )


def plateau(losses: Sequence[float], factor: float = 0.1, patience: int = 10, is_greater_better: bool = False) -> float:
    """What the peak is multiplied by after these evaluations: by `factor` each time `patience` were no better."""
    best, bad, multiplier = -math.inf if is_greater_better else math.inf, 0, 1.0
    for value in losses:
        if value > best if is_greater_better else value < best:
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            multiplier, bad = multiplier * factor, 0
    return multiplier


def get_scheduler(
    name: str,
    optimizer: torch.optim.Optimizer,
    num_warmup_steps: int = 0,
    num_training_steps: int = 0,
    scheduler_specific_kwargs: dict[str, Any] | None = None,
) -> Any:
    """A schedule as PyTorch's LambdaLR, for a loop written by hand as in the course."""
    from torch.optim.lr_scheduler import LambdaLR

    factor = schedule(name, num_training_steps, num_warmup_steps, **(scheduler_specific_kwargs or {}))
    return LambdaLR(optimizer, factor)
