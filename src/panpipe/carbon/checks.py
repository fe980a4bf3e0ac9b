"""Arguments of this package, checked once."""

from __future__ import annotations

import math
from typing import Any

from ..errors import InvalidArgument, did_you_mean

__all__ = ["check_choice", "check_number"]


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raises InvalidArgument for a value that is none of the choices."""
    if value not in choices:
        near = did_you_mean(str(value), choices)
        raise InvalidArgument(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}.{near}")


def check_number(name: str, value: Any) -> None:
    """Raises InvalidArgument for what is neither None nor a finite number of at least 0."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InvalidArgument(f"{name}={value!r} must be a finite number, 0 or more.")
