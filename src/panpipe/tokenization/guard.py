"""Calls into the Rust library, with every failure turned into one of our exceptions.

The library panics on some files and texts. A panic reaches Python as `PanicException`, which derives from
BaseException so that `except Exception` lets it pass: a server's request would die unanswered. Here it is caught by
name, since the class cannot be imported. KeyboardInterrupt, SystemExit and MemoryError pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from ..errors import InputError, InvalidArgument, TokenizerError, TooLong

__all__ = ["encoding_error", "is_panic", "load", "reason"]

T = TypeVar("T")


def is_panic(error: BaseException) -> bool:
    """Whether the Rust library panicked."""
    return type(error).__name__ == "PanicException"


def reason(error: BaseException, limit: int = 300) -> str:
    """The library's own words, on one line and cut: they may quote a hostile file at length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= limit else words[:limit] + "…"


def load(what: str, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """call(*args, **kwargs), a step in making the tokenizer `what` from its files.   Raises TokenizerError."""
    try:
        return call(*args, **kwargs)
    except TokenizerError as error:
        if what in str(error):
            raise
        raise TokenizerError(f"{what}: {error}") from None
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, Exception)) or isinstance(error, MemoryError):
            raise
        raise TokenizerError(
            f"{what} cannot be made into a tokenizer: {reason(error)}. The file is damaged or of a form the tokenizers "
            "library does not know; fetch it again, or save it again with the library that trained it."
        ) from None


def encoding_error(error: BaseException, inputs: Any, encode: Callable[[Any], Any], words: bool) -> NoReturn:
    """Raise what best explains why `inputs` (a batch) could not be encoded; `encode` encodes one batch.

    words: whether the texts are lists of words.   Raises InputError (a text that is none), TooLong (truncation cannot
    make it fit), InvalidArgument (the stride), TokenizerError (the library panicked), or the error itself.
    """
    if not (is_panic(error) or isinstance(error, Exception)) or isinstance(error, MemoryError):
        raise error
    for index, item in enumerate(inputs):
        _check(item, f"text {index}" if len(inputs) > 1 else "the text", words)
    said = reason(error)
    if "stride" in said:
        raise InvalidArgument(f"stride: {said}. It must be smaller than max_length less the special tokens.") from None
    if "second sequence" in said.lower():
        raise InvalidArgument("truncation='only_second' needs a second text (text_pair=) to cut.") from None
    if "too short" in said.lower():
        which = _first_failing(inputs, encode)
        raise TooLong(
            f"{which} cannot be truncated to max_length ({said}): what may not be cut is already too long. "
            "Raise max_length, shorten the other text, or truncate by 'longest_first'."
        ) from None
    if is_panic(error):
        raise TokenizerError(
            f"the tokenizer failed on {_first_failing(inputs, encode)}: {said}. Its tokenizer.json asks for "
            "something that "
            "cannot be done on this text (such as a regular expression that backtracks without end)."
        ) from None
    raise InputError(f"{_first_failing(inputs, encode)} cannot be tokenized: {said}.") from None


def _first_failing(inputs: Sequence[Any], encode: Callable[[Any], Any]) -> str:
    for index, item in enumerate(inputs):
        if len(inputs) == 1 or _fails(item, encode):
            shown = repr(item)
            return f"text {index} ({shown if len(shown) <= 60 else shown[:60] + '…'})"
    return "the batch"


def _fails(item: Any, encode: Callable[[Any], Any]) -> bool:
    try:
        encode([item])
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, Exception)):
            raise
        return True
    return False


def _check(item: Any, name: str, words: bool) -> None:
    if isinstance(item, str):
        if words:
            raise InputError(f"{name} is a str; with is_split_into_words=True each text is a list of words.")
        _check_characters(item, name)
    elif isinstance(item, (list, tuple)):
        for part in item:
            if words and isinstance(part, (list, tuple)):
                _check(part, name, words)
            elif isinstance(part, str):
                _check_characters(part, name)
            else:
                raise InputError(f"{name} contains {_shown(part)} where a str is expected.")
        if not words and len(item) != 2:
            raise InputError(
                f"{name} is a list of {len(item)} strings; a text is a str, a pair is (text, text_pair), "
                "and a text already split into words needs is_split_into_words=True."
            )
    else:
        raise InputError(f"{name} is {_shown(item)}; expected a str{' or a list of words' if words else ''}.")


def _shown(value: Any) -> str:
    shown = repr(value)
    return f"{shown if len(shown) <= 40 else shown[:40] + '…'} ({type(value).__name__})"


def _check_characters(text: str, name: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} has a lone surrogate ({text[error.start]!r}) at character {error.start}, which is no Unicode "
            "text. It comes "
            "from bytes decoded wrongly or cut in the middle of an emoji; clean it with "
            "text.encode('utf-8', 'replace').decode()."
        ) from None
