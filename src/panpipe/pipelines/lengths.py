"""Tokenizing under a length limit: which texts are cut, read in windows, or refused.

The limit is the smaller of the tokenizer's `model_max_length` and the model's positions. One rule for every task:

    truncation=True (or a strategy)   cut at max_length or the limit, as transformers does
    max_length=n alone                the same, as transformers does
    long_text="error"                 (default of most tasks) a text over the limit is TooLong, before anything runs
    long_text="truncate"              a text over the limit is cut
    long_text="window"                a text over the limit becomes windows of that many tokens; the task merges them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError, InvalidArgument, PanpipeError, TokenizerError, TooLong, did_you_mean

__all__ = ["LONG_TEXT", "STRATEGIES", "check_length_arguments", "encode_each", "encode_within"]

STRATEGIES = ("longest_first", "only_first", "only_second", "do_not_truncate")
LONG_TEXT = ("error", "truncate", "window")


def check_length_arguments(parameters: dict[str, Any]) -> None:
    """Raises InvalidArgument for a `truncation`, `max_length` or `long_text` that cannot be meant."""
    strategy = _strategy(parameters.get("truncation"), None)
    max_length = parameters.get("max_length")
    if max_length is not None and (isinstance(max_length, bool) or not isinstance(max_length, int) or max_length < 1):
        raise InvalidArgument(f"max_length={max_length!r}: give a number of tokens, 1 or more.")
    long_text = parameters.get("long_text")
    if long_text is not None and long_text not in LONG_TEXT:
        hint = did_you_mean(str(long_text), LONG_TEXT)
        raise InvalidArgument(f"long_text={long_text!r} is not a choice.{hint} Choices: {', '.join(LONG_TEXT)}.")
    if long_text == "window" and strategy is not None:
        raise InvalidArgument(
            f'truncation={parameters["truncation"]!r} cuts long texts, long_text="window" reads them whole: give one.'
        )


def encode_within(
    tokenizer: Any,
    texts: Sequence[Any],
    pairs: Sequence[Any] | None,
    limit: int | None,
    *,
    truncation: bool | str | None = None,
    max_length: int | None = None,
    long_text: str = "error",
    default_strategy: str = "longest_first",
    stride: int = 0,
    **options: Any,
) -> list[list[Any] | PanpipeError]:
    """For each text its Encodings: one, or several windows; or TooLong in its place.

    stride: tokens that neighbouring windows share.   default_strategy: what truncation=True and "truncate" cut.
    options: on to the tokenizer's `encode_batch`.
    """
    strategy = _strategy(truncation, default_strategy if long_text != "window" else None, max_length)
    length = min((n for n in (max_length, limit) if n is not None), default=None)
    if strategy is not None and length is not None:
        return _encode_cut(tokenizer, texts, pairs, strategy, length, limit, options)
    encoded = encode_each(tokenizer, texts, pairs, **options)
    most = length if long_text == "window" else limit
    for index, whole in enumerate(encoded):
        if most is None or isinstance(whole, PanpipeError) or len(whole[0]) <= most:
            continue
        text, pair = texts[index : index + 1], None if pairs is None else pairs[index : index + 1]
        if long_text == "window":
            encoded[index] = _windows(tokenizer, text, pair, len(whole[0]), most, stride, options)
        elif long_text == "truncate":
            encoded[index] = _encode_cut(tokenizer, text, pair, default_strategy, most, limit, options)[0]
        else:
            encoded[index] = too_long(text[0], len(whole[0]), most)
    return encoded


def too_long(text: Any, tokens: int, limit: int) -> TooLong:
    """The error, with both numbers and the remedies."""
    shown = str(text)
    shown = repr(shown if len(shown) <= 40 else shown[:39] + "…")
    return TooLong(
        f"{shown} has {tokens} tokens (special ones included) and the model takes at most {limit}. Shorten it, or give "
        'truncation=True to cut it, long_text="window" to read it in pieces, or a model with more positions.'
    )


def _strategy(truncation: Any, default: str | None, max_length: int | None = None) -> str | None:
    """The strategy asked for, None for no truncation. A max_length alone asks for it too."""
    name = getattr(truncation, "value", truncation)  # an enum, as in transformers
    if name is None:
        return default if max_length is not None else None
    if name is True:
        return default or "longest_first"
    if name is False or name == "do_not_truncate":
        return None
    if name in STRATEGIES:
        return str(name)
    raise InvalidArgument(
        f"truncation={truncation!r} is not a choice.{did_you_mean(str(name), STRATEGIES)} Choices: True, False, "
        f"{', '.join(STRATEGIES)}."
    )


def encode_each(
    tokenizer: Any,
    texts: Sequence[Any],
    pairs: Sequence[Any] | None = None,
    **options: Any,
) -> list[list[Any] | PanpipeError]:
    """Each text's Encoding, in one call; where that fails, one by one, with the errors in their places."""
    try:
        return [[encoding] for encoding in tokenizer.encode_batch(texts, pairs, **options)]
    except (InputError, TokenizerError) as error:
        if len(texts) == 1:
            return [error]
    alone = range(len(texts))
    return [encode_each(tokenizer, texts[i : i + 1], pairs and pairs[i : i + 1], **options)[0] for i in alone]


def _encode_cut(
    tokenizer: Any,
    texts: Sequence[Any],
    pairs: Sequence[Any] | None,
    strategy: str,
    length: int,
    limit: int | None,
    options: dict[str, Any],
) -> list[list[Any] | PanpipeError]:
    """Cut at `length`. A text that the strategy cannot bring there stays whole, and is TooLong if over the limit."""
    encoded = encode_each(tokenizer, texts, pairs, truncation=strategy, max_length=length, **options)
    for index, cut in enumerate(encoded):
        if isinstance(cut, TooLong):
            text, pair = texts[index : index + 1], None if pairs is None else pairs[index : index + 1]
            (whole,) = encode_each(tokenizer, text, pair, **options)
            is_over = not isinstance(whole, PanpipeError) and limit is not None and len(whole[0]) > limit
            encoded[index] = too_long(text[0], len(whole[0]), limit or 0) if is_over else whole  # type: ignore[index]
    return encoded


def _windows(
    tokenizer: Any,
    text: Sequence[Any],
    pair: Sequence[Any] | None,
    tokens: int,
    length: int,
    stride: int,
    options: dict[str, Any],
) -> list[Any] | PanpipeError:
    """A text's windows; of a pair, the longer part is the one that moves."""
    strategy = "longest_first"
    if pair is not None:
        strategy = "only_first" if len(text[0]) >= len(pair[0]) else "only_second"
    window = {"truncation": strategy, "max_length": length, "stride": stride, "overflow": True}
    (encoded,) = encode_each(tokenizer, text, pair, **{**window, **options})
    if isinstance(encoded, TooLong):
        return too_long(text[0], tokens, length)
    return encoded if isinstance(encoded, PanpipeError) else [encoded[0], *encoded[0].overflowing]
