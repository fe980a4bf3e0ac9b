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


_OPTIONS = {
    "cosine": ("num_cycles",),
    "cosine_with_restarts": ("num_cycles",),
    "cosine_with_min_lr": ("num_cycles", "min_lr", "min_lr_rate"),
    "polynomial": ("power", "lr_end"),
    "inverse_sqrt": ("timescale",),
    "warmup_stable_decay": ("num_decay_steps", "decay_type", "min_lr_ratio"),
    "one_cycle": ("start_factor",),
}


def schedule(name: str, total: int, warmup: int = 0, peak: float = 1.0, **options: Any) -> Factor:
    """step (from 0) -> what the peak learning rate is multiplied by.

    total: steps of the run.   warmup: steps of linear rise from 0.   peak: for the options that are rates themselves.
    options, as transformers names them: num_cycles (cosine, cosine_with_restarts); min_lr or min_lr_rate, a share of
    the peak (cosine_with_min_lr); power, lr_end (polynomial); timescale (inverse_sqrt); num_decay_steps, decay_type
    (cosine, linear or 1-sqrt), min_lr_ratio (warmup_stable_decay).   start_factor (one_cycle).
    Raises InvalidArgument, UnknownArgument.
    """
    if name not in SCHEDULES:
        raise InvalidArgument(
            f"{name!r} is not a schedule.{did_you_mean(name, SCHEDULES)} Schedules: {', '.join(SCHEDULES)}."
        )
    known = _OPTIONS.get(name, ())
    for option in options:
        if option not in known:
            raise UnknownArgument(
                f"the schedule {name} has no {option!r}.{did_you_mean(option, known)} "
                f"It has {', '.join(known) or 'no options'}."
            )
    if options.get("decay_type", "cosine") not in _DECAYS:
        raise InvalidArgument(f"decay_type is {options['decay_type']!r}; it must be one of {', '.join(_DECAYS)}.")
    if name == "one_cycle":
        return _one_cycle(total, warmup or max(1, round(0.3 * total)), options.get("start_factor", 0.04))
    least = options["min_lr"] / peak if "min_lr" in options else options.get("min_lr_rate", 0.0)
    least = options.get("min_lr_ratio", least)
    after = _after_warmup(name, max(1, total - warmup), warmup, {"lr_end": 1e-7, **options}, peak, least)
    if name == "constant":
        return after
    start = least if name == "warmup_stable_decay" else 0.0
    return lambda step: start + (1 - start) * step / max(1, warmup) if step < warmup else after(step - warmup)


_DECAYS: dict[str, Factor] = {
    "cosine": lambda share: 0.5 * (1 + math.cos(math.pi * share)),
    "linear": lambda share: 1 - share,
    "1-sqrt": lambda share: 1 - math.sqrt(share),
}
"""How a share of the decay takes the rate down."""


def _after_warmup(name: str, span: int, warmup: int, options: dict[str, Any], peak: float, least: float) -> Factor:
    """The factor so many steps after the warm-up, of `span`."""
    cycles = options.get("num_cycles", 1 if name == "cosine_with_restarts" else 0.5)

    def share(step: int) -> float:
        return min(1.0, step / span)

    def restarts(step: int) -> float:
        return 0.0 if step >= span else 0.5 * (1 + math.cos(math.pi * (cycles * step / span % 1.0)))

    def cosine(step: int) -> float:
        return float(least + (1 - least) * max(0.0, 0.5 * (1 + math.cos(2 * math.pi * cycles * share(step)))))

    def polynomial(step: int) -> float:
        end = options["lr_end"] / peak
        return float((1 - end) * (1 - share(step)) ** options.get("power", 1.0) + end)

    def inverse_sqrt(step: int) -> float:
        scale = options.get("timescale") or warmup or 10_000
        return 1.0 / math.sqrt((step + warmup + scale - warmup) / scale)

    def stable_then_decay(step: int) -> float:
        decay = options.get("num_decay_steps", max(1, span // 5))
        done = min(1.0, max(0.0, (step - span + decay) / max(1, decay)))
        return float(least + (1 - least) * _DECAYS[options.get("decay_type", "cosine")](done))

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

    peak = optimizer.defaults.get("lr", 1.0)
    factor = schedule(name, num_training_steps, num_warmup_steps, peak, **(scheduler_specific_kwargs or {}))
    return LambdaLR(optimizer, factor)
