"""Rotary positions: the angles of a config, and how they are stretched over longer texts than a model was trained on.

Sources: Su et al. 2021, arXiv:2104.09864; stretching: Chen et al. 2023, arXiv:2306.15595 ('linear'); Peng et al. 2023,
arXiv:2309.00071 ('yarn'); Grattafiori et al. 2024, arXiv:2407.21783 ('llama3').
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError
from ..ops.base import Array, Ints, Ops

__all__ = ["RotaryOptions", "Rotation", "rotary_options"]

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RotaryOptions:
    """rows: the most positions.   size: the columns of a head that turn.   base: of the wavelengths.

    scaling: config.json's `rope_scaling`, its plain values as sorted (key, value) pairs.
    """

    rows: int
    size: int
    base: float
    scaling: tuple[tuple[str, Any], ...] = ()


class Rotation:
    """The turns of one forward pass: sines and cosines for its tokens, so that no table of all positions is kept."""

    def __init__(self, ops: Ops, options: RotaryOptions, positions: Ints) -> None:
        frequencies, factor = _frequencies(options)
        angles = positions.astype(np.float32)[:, None] * frequencies
        self.cosines = ops.vector_weights(np.cos(angles) * np.float32(factor))
        self.sines = ops.vector_weights(np.sin(angles) * np.float32(factor))
        self.rows = np.arange(len(positions), dtype=np.int32)

    def turn(self, ops: Ops, x: Array, num_heads: int) -> Array:
        """x [tokens, num_heads * head_size], turned."""
        return ops.rotate(x, self.cosines, self.sines, self.rows, num_heads)


def rotary_options(
    rows: int, head_size: int, base: float, scaling: Mapping[str, Any] | None, share: float = 1.0
) -> RotaryOptions:
    """From a config's keys.   share: of a head's columns that turn.   Raises ConfigError for a stretching we lack."""
    size = int(head_size * share)
    if base <= 1:
        raise ConfigError(f"rope_theta is {base}; it must be more than 1.")
    if not 0 < size <= head_size or size % 2:
        raise ConfigError(f"{size} of the {head_size} columns of a head cannot turn: it must be an even part of them.")
    options = RotaryOptions(rows, size, base, _plain(scaling or {}))
    _frequencies(options)  # a config that cannot be is refused before any weight is read
    return options


def _plain(scaling: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((k, v) for k, v in scaling.items() if v is None or isinstance(v, (bool, int, float, str))))


@cache
def _frequencies(options: RotaryOptions) -> tuple[Floats, float]:
    """float32 [size / 2]: radians per position; and what sines and cosines are multiplied by."""
    scaling = dict(options.scaling)
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    steps = np.arange(0, options.size, 2, dtype=np.float32) / np.float32(options.size)
    plain = (1.0 / np.power(np.float32(options.base), steps)).astype(np.float32)
    if kind == "default":
        return plain, 1.0
    stretch = _STRETCHES.get(kind) if isinstance(kind, str) else None
    if stretch is None:
        raise ConfigError(f"rope_scaling is of type {kind!r}; panpipe has default, {', '.join(_STRETCHES)}.")
    return stretch(options, _Numbers(scaling), plain)


class _Numbers:
    """The numbers of a `rope_scaling`, checked as they are asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __call__(self, name: str, default: float | None = None) -> float:
        value = self.values.get(name)
        if value is None:
            value = default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1e9:
            raise ConfigError(f"rope_scaling: {name} is {value!r}; it must be a number above 0, at most 1e9.")
        return float(value)


def _linear(options: RotaryOptions, given: _Numbers, plain: Floats) -> tuple[Floats, float]:
    return plain / np.float32(given("factor")), 1.0


def _llama3(options: RotaryOptions, given: _Numbers, plain: Floats) -> tuple[Floats, float]:
    """Long waves are stretched, short ones stay, those between are blended."""
    factor, low, high = given("factor"), given("low_freq_factor"), given("high_freq_factor")
    length = given("original_max_position_embeddings")
    if high <= low:
        raise ConfigError(f"rope_scaling: high_freq_factor, {high}, must be more than low_freq_factor, {low}.")
    waves = 2 * math.pi / plain
    blend = (length / waves - low) / (high - low)
    between = (1 - blend) * plain / factor + blend * plain
    stretched = np.where(waves > length / low, plain / factor, plain)
    is_between = ~(waves < length / high) & ~(waves > length / low)
    return np.where(is_between, between, stretched).astype(np.float32), 1.0


def _yarn(options: RotaryOptions, given: _Numbers, plain: Floats) -> tuple[Floats, float]:
    """Each wave by how often it turns within the length of training."""
    factor = given("factor")
    length = given("original_max_position_embeddings", options.rows)

    def column_of(turns: float) -> float:
        return options.size * math.log(length / (turns * 2 * math.pi)) / (2 * math.log(options.base))

    first, last = column_of(given("beta_fast", 32)), column_of(given("beta_slow", 1))
    if given.values.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, options.size - 1)
    ramp = (np.arange(options.size // 2, dtype=np.float32) - first) / ((last - first) or 0.001)
    kept = 1 - np.clip(ramp, 0, 1)
    frequencies = plain / np.float32(factor) * (1 - kept) + plain * kept
    return frequencies.astype(np.float32), _yarn_factor(given, factor)


def _yarn_factor(given: _Numbers, factor: float) -> float:
    def of(scale: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * scale * math.log(factor) + 1.0

    if given.values.get("attention_factor") is not None:
        return given("attention_factor")
    if given.values.get("mscale") and given.values.get("mscale_all_dim"):
        return of(given("mscale")) / of(given("mscale_all_dim"))
    return of(1.0)


_STRETCHES: dict[str, Callable[[RotaryOptions, _Numbers, Floats], tuple[Floats, float]]] = {
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
