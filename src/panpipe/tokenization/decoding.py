"""Ids to text."""

from __future__ import annotations

from typing import Any

from tokenizers import Tokenizer as RustTokenizer

from ..errors import InputError
from .batch_encoding import to_python
from .guard import is_panic, reason

__all__ = ["CLEANED_UP", "check", "clean_up", "decode", "id_list"]

CLEANED_UP = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def decode(rust: RustTokenizer, ids: list[int], skip_special_tokens: bool) -> str:
    """The text of ids; those that are no token's are passed over.   Raises InputError."""
    try:
        return rust.decode(ids, skip_special_tokens=skip_special_tokens)
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, Exception)):
            raise
        check(ids)
        raise InputError(f"these ids cannot be decoded: {reason(error)}.") from None


def check(ids: list[int]) -> None:
    """Raises InputError for what can be no id."""
    wrong = [index for index in ids if not isinstance(index, int) or not 0 <= index < 2**32]
    if wrong:
        hint = " Labels of -100 are to be replaced by pad_token_id first." if -100 in wrong else ""
        raise InputError(f"{wrong[0]!r:.60} is not a token id.{hint}") from None


def id_list(values: Any) -> list[int]:
    """One id, or a list, array or tensor of ids, as a list of int.   Raises InputError."""
    values = to_python(values)
    if hasattr(values, "__index__"):
        return [int(values)]
    if isinstance(values, (list, tuple)) and all(hasattr(value, "__index__") for value in values):
        return [int(value) for value in values]
    hint = " Use batch_decode for a list of sequences." if values and isinstance(values, (list, tuple)) else ""
    raise InputError(f"{values!r:.80} is not a sequence of token ids.{hint}")


def clean_up(text: str) -> str:
    """Without the spaces that word-by-word decoding leaves before English punctuation and contractions."""
    for spaced in CLEANED_UP:
        text = text.replace(spaced, spaced.strip())
    return text
