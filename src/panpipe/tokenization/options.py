"""What a call of a tokenizer may ask for, and what padding and truncation it comes to."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple

from ..errors import InvalidArgument, UnknownArgument, did_you_mean

__all__ = ["PADDINGS", "TRUNCATIONS", "CallOptions", "Plan", "WarnOnce"]

PADDINGS = ("longest", "max_length", "do_not_pad")
TRUNCATIONS = ("longest_first", "only_first", "only_second", "do_not_truncate")
_NO_LIMIT_FROM = int(1e20)  # a model_max_length above this means that there is none

_log = logging.getLogger("panpipe")


class WarnOnce:
    """Logs each kind of warning once for a tokenizer."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, kind: str, message: str, *args: Any) -> None:
        if kind not in self._said:
            self._said.add(kind)
            _log.warning(message, *args)


class Plan(NamedTuple):
    """padding: one of PADDINGS.

    truncation: one of TRUNCATIONS.   max_length: for either; None: not given and not needed.
    """

    padding: str
    truncation: str
    max_length: int | None


@dataclass
class CallOptions:
    """The options of `Tokenizer.__call__`, under its names."""

    add_special_tokens: bool = True
    padding: bool | str = False
    truncation: bool | str | None = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    return_tensors: str | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None
    src_lang: str | None = None
    tgt_lang: str | None = None
    as_target: bool = False

    @classmethod
    def of(cls, given: dict[str, Any]) -> CallOptions:
        """From keyword arguments.   Raises UnknownArgument."""
        try:
            return cls(**given)
        except TypeError:
            refuse_unknown(given)
            raise


@cache
def _names() -> frozenset[str]:
    return frozenset(field.name for field in fields(CallOptions))


def refuse_unknown(given: dict[str, Any]) -> None:
    """Raise UnknownArgument for the first that is none of ours."""
    for name in given:
        if name not in _names():
            raise UnknownArgument(f"{name!r} is no argument of a tokenizer.{did_you_mean(name, _names())}")


def plan(options: CallOptions, model_max_length: int | float, warn: WarnOnce) -> Plan:
    """The padding and truncation that the options come to.   Raises InvalidArgument."""
    if options.padding is False and not options.truncation and options.max_length is None:
        return Plan("do_not_pad", "do_not_truncate", None)
    truncation_given = options.truncation
    max_length = options.max_length
    if max_length is not None and options.padding is False and truncation_given is None:
        if options.verbose:
            warn(
                "implicit",
                "max_length is given without truncation=: truncating as truncation=True ('longest_first') does.",
            )
        truncation_given = True
    padding = _choice("padding", options.padding, PADDINGS, "longest", "do_not_pad")
    truncation = _choice("truncation", truncation_given, TRUNCATIONS, "longest_first", "do_not_truncate")
    if options.padding is True and max_length is not None and truncation == "do_not_truncate" and options.verbose:
        warnings.warn(
            "max_length has no effect with padding=True; to pad to it, use padding='max_length'.", stacklevel=4
        )
    if max_length is None:
        max_length, padding, truncation = _model_limit(padding, truncation, model_max_length, options.verbose, warn)
    else:
        _check_length("max_length", max_length)
    multiple = options.pad_to_multiple_of
    if (
        multiple
        and max_length
        and padding != "do_not_pad"
        and truncation != "do_not_truncate"
        and max_length % multiple
    ):
        raise InvalidArgument(
            f"max_length={max_length} must be a multiple of pad_to_multiple_of={multiple} where both are given."
        )
    return Plan(padding, truncation, max_length)


def _choice(name: str, value: Any, choices: tuple[str, ...], true: str, false: str) -> str:
    if value is None or value is False:
        return false
    if value is True:
        return true
    value = getattr(value, "value", value)  # an enum of transformers' kind
    if value not in choices:
        near = did_you_mean(str(value), choices)
        raise InvalidArgument(f"{name}={value!r}: expected True, False or one of {', '.join(choices)}.{near}")
    return str(value)


def _model_limit(
    padding: str, truncation: str, limit: int | float, verbose: bool, warn: WarnOnce
) -> tuple[int | None, str, str]:
    """max_length from the model's own limit; where there is none, neither is done."""
    if padding != "max_length" and truncation == "do_not_truncate":
        return None, padding, truncation
    if limit <= _NO_LIMIT_FROM:
        return int(limit), padding, truncation
    if verbose:
        warn(
            "no-limit",
            "The tokenizer's files name no model_max_length, so there is nothing to pad or truncate to: give "
            "max_length=.",
        )
    return None, "do_not_pad" if padding == "max_length" else padding, "do_not_truncate"


def _check_length(name: str, value: Any) -> None:
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 0:
        raise InvalidArgument(f"{name}={value!r}: expected a whole number, 0 or more.")
