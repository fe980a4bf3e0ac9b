"""One Rust tokenizer under several settings at once.

In the Rust library truncation is a state of the tokenizer: switching it for one call changes what every other thread
gets. So the tokenizer itself never truncates or pads. For each truncation asked for there is a *view*: a second
tokenizer over the same model (which they share; a view costs microseconds and no memory to speak of) whose state is
set once, before anyone sees it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from tokenizers import Encoding
from tokenizers import Tokenizer as RustTokenizer

from ..errors import InputError, InvalidArgument
from .guard import encoding_error
from .languages import Around, set_around

__all__ = ["MAX_VIEWS", "Truncation", "Views", "batch_of", "shell"]

MAX_VIEWS = 64


class Truncation(NamedTuple):
    """max_length: with the special tokens.   stride: tokens that a window shares with the one before.

    strategy: 'longest_first', 'only_first', 'only_second'.   side: where tokens are cut, 'right' or 'left'.
    """

    max_length: int
    stride: int
    strategy: str
    side: str


class Views:
    """The views of one tokenizer, and encoding through them. Safe to use from several threads."""

    def __init__(self, rust: RustTokenizer) -> None:
        self._rust = rust
        self._views: dict[tuple[Truncation | None, bool, Around | None], RustTokenizer] = {}

    def forget(self) -> None:
        """After the tokenizer has been changed."""
        self._views = {}

    def encode(
        self,
        inputs: list[Any],
        truncation: Truncation | None,
        *,
        add_special_tokens: bool = True,
        words: bool = False,
        split_special: bool | None = None,
        fast: bool = False,
        around: Around | None = None,
    ) -> list[Encoding]:
        """One encoding per input (a text, a pair; or these as lists of words); further windows are in its
        `overflowing`.

        fast: without offsets.   around: the special tokens, if not the tokenizer's own.
        Raises InputError, TooLong, InvalidArgument, TokenizerError.
        """
        rust = self._rust
        if truncation is not None or split_special is not None or around is not None:
            split = rust.encode_special_tokens if split_special is None else split_special
            rust = self._view(truncation, split, around)
            if truncation is not None and add_special_tokens:
                _check_room(rust, inputs, truncation, words)
        if fast and inputs and _is_pair(inputs[0], words):
            fast = rust.post_processor is not None  # without one the second text's types would be the first's
        encode_batch = rust.encode_batch_fast if fast else rust.encode_batch
        try:
            return encode_batch(inputs, words, add_special_tokens)
        except BaseException as error:
            encoding_error(error, inputs, lambda one: encode_batch(one, words, add_special_tokens), words)

    def _view(self, truncation: Truncation | None, split_special: bool, around: Around | None) -> RustTokenizer:
        view = self._views.get((truncation, split_special, around))
        if view is None:
            view = _with_truncation(self._rust, truncation, split_special)
            if around is not None:
                set_around(view, around)
            if len(self._views) >= MAX_VIEWS:
                self._views = {}
            self._views[truncation, split_special, around] = view
        return view


def _with_truncation(rust: RustTokenizer, truncation: Truncation | None, split_special: bool) -> RustTokenizer:
    view = shell(rust)
    view.encode_special_tokens = split_special
    if truncation is not None:
        try:
            view.enable_truncation(
                max_length=min(truncation.max_length, sys.maxsize),
                stride=truncation.stride,
                strategy=truncation.strategy,
                direction=truncation.side,
            )
        except (ValueError, OverflowError) as error:
            raise InvalidArgument(
                f"stride={truncation.stride} with max_length={truncation.max_length}: {error}. "
                "The stride must be smaller than max_length less the special tokens."
            ) from None
    return view


def shell(rust: RustTokenizer) -> RustTokenizer:
    """Another tokenizer of the same parts, without truncation and padding."""
    copy = RustTokenizer(rust.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if (value := getattr(rust, part)) is not None:
            setattr(copy, part, value)
    added = rust.get_added_tokens_decoder()
    copy.add_tokens([added[index] for index in sorted(added)])
    copy.encode_special_tokens = rust.encode_special_tokens
    return copy


def _check_room(rust: RustTokenizer, inputs: Sequence[Any], truncation: Truncation, words: bool) -> None:
    """The Rust library subtracts the special tokens without looking: below zero it would not truncate at all."""
    if truncation.max_length > 8 or not inputs:  # no model adds so many
        return
    pair = _is_pair(inputs[0], words)
    special = rust.num_special_tokens_to_add(pair)
    if truncation.max_length < special:
        raise InvalidArgument(
            f"max_length={truncation.max_length} leaves no room: the special tokens alone are {special}. "
            "Raise max_length, or use add_special_tokens=False."
        )


def _is_pair(item: Any, words: bool) -> bool:
    if words:
        return len(item) == 2 and not isinstance(item[0], str)
    return not isinstance(item, str)


def batch_of(texts: Any, pairs: Any = None) -> list[Any]:
    """The inputs of a batch: texts, or pairs of them.   Raises InputError, InvalidArgument."""
    for name, given in (("texts", texts), ("pairs", pairs)):
        if isinstance(given, str):
            raise InputError(f"{name} is one str, {given[:40]!r}; expected a list of them.")
    if pairs is None:
        return texts if type(texts) is list else list(texts)
    texts, pairs = list(texts), list(pairs)
    if len(texts) != len(pairs):
        raise InvalidArgument(f"{len(texts)} texts and {len(pairs)} second texts: each text needs one.")
    return list(zip(texts, pairs, strict=True))
