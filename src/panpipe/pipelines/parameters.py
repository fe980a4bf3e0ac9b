"""The parameters of a call: the options that every pipeline has, and those of a task, sorted to its steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument, UnknownArgument, did_you_mean

if TYPE_CHECKING:
    from .base import Pipeline

__all__ = [
    "LENGTH_ARGUMENTS",
    "OPTIONS",
    "Options",
    "Parameters",
    "check_names",
    "given",
    "known_names",
    "named_parameters",
]

LENGTH_ARGUMENTS = ("truncation", "max_length", "long_text")
"""What every task may be told about long texts; see `lengths`."""


@dataclass(frozen=True)
class Options:
    """How a call runs, the same for every task.

    batch_size: the most items of one forward pass; results do not depend on it. A stream with batch_size=1 is read one
    input at a time, without reading ahead.   num_workers: no meaning here; accepted.
    always_list: one entry per input in a list, each entry of one documented form, whatever the other arguments.
    on_error: "raise", or "return" the error in the input's place.   progress: show a bar.
    """

    batch_size: int | None = None
    num_workers: int | None = None
    always_list: bool = False
    on_error: str = "raise"
    progress: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "num_workers"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise InvalidArgument(f"{name}={value!r}: give a whole number, or leave it out.")
        if self.batch_size == 0:
            raise InvalidArgument("batch_size=0: give 1 or more, or leave it out.")
        if self.on_error not in ("raise", "return"):
            raise InvalidArgument(f'on_error={self.on_error!r}: give "raise" or "return".')


OPTIONS = tuple(option.name for option in fields(Options))


@dataclass(frozen=True)
class Parameters:
    """A call's parameters: those of the run, and those of each step.   given: those of the call, as it named them."""

    options: Options = field(default_factory=Options)
    preprocess: dict[str, Any] = field(default_factory=dict)
    forward: dict[str, Any] = field(default_factory=dict)
    postprocess: dict[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


def check_names(cls: type[Pipeline], given: Iterable[str]) -> None:
    """Raises UnknownArgument for a name that is no parameter of the class, with the nearest one and the list."""
    known = cls.known_names
    unknown = [] if known is None else [name for name in given if name not in known]
    if known and unknown:
        raise UnknownArgument(
            f"{cls.task_name or cls.__name__} has no parameter {unknown[0]!r}.{did_you_mean(unknown[0], known)} "
            f"Parameters: {', '.join(sorted(known))}."
        )


def named_parameters(cls: type[Pipeline]) -> tuple[str, ...]:
    """The parameters that the class's `_sanitize_parameters` has by name."""
    parameters = list(inspect.signature(cls._sanitize_parameters).parameters.values())[1:]
    return tuple(p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL))


def known_names(cls: type[Pipeline]) -> frozenset[str] | None:
    """All parameters there are; None where the class takes any (`**kwargs` without saying of what)."""
    writer = next(base for base in cls.__mro__ if "_sanitize_parameters" in vars(base))
    kinds = {p.kind for p in inspect.signature(cls._sanitize_parameters).parameters.values()}
    is_open = inspect.Parameter.VAR_KEYWORD in kinds
    if is_open and vars(writer).get("open_names") is None:
        return None
    return frozenset((*named_parameters(cls), *(cls.open_names if is_open else ()), *LENGTH_ARGUMENTS, *OPTIONS))


def given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the caller gave: a None is one that was left out."""
    return {name: value for name, value in parameters.items() if value is not None}
