"""Padding: of fresh encodings, and of examples in dictionaries (`Tokenizer.pad`, collation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Encoding

from ..errors import InputError, InvalidArgument
from .batch_encoding import BatchEncoding, to_python

__all__ = ["pad_encodings", "pad_examples", "round_up"]

_FILL = {"attention_mask": 0, "token_type_ids": 0, "special_tokens_mask": 1}


def round_up(length: int, multiple: int | None) -> int:
    """The next multiple at or above length."""
    return -(-length // multiple) * multiple if multiple else length


def pad_encodings(rows: Sequence[Encoding], length: int, side: str, pad_id: int, pad_token: str) -> None:
    """Pad each, in place, to `length`; a longer one stays as it is."""
    for row in rows:
        row.pad(length, direction=side, pad_id=pad_id, pad_type_id=0, pad_token=pad_token)


def pad_examples(
    examples: Any,
    *,
    main: str,
    length: int | None,
    longest: bool,
    multiple: int | None,
    side: str,
    pad_id: int | None,
    with_mask: bool,
    return_tensors: str | None,
) -> BatchEncoding:
    """Pad a dictionary of lists, or a list of dictionaries (one per example), to one length.

    main: the name that decides the length.   length: at least this, if not None.   longest: to the longest example.
    Keys other than the main one, the masks and the token types stay as they are.
    """
    if isinstance(examples, (list, tuple)) and examples and isinstance(examples[0], Mapping):
        examples = {key: [example[key] for example in examples] for key in examples[0]}
    if not isinstance(examples, Mapping) or main not in examples:
        keys = list(examples) if isinstance(examples, Mapping) else type(examples).__name__
        raise InputError(f"pad takes a tokenizer's output, or a list of them, with {main!r} in it; this has {keys}.")
    return_tensors = return_tensors or _tensor_type(examples[main])
    columns = {key: to_python(value) for key, value in examples.items()}
    if len(columns[main]) == 0:
        return BatchEncoding(columns | ({"attention_mask": []} if with_mask else {}))
    is_single = not isinstance(columns[main][0], (list, tuple))
    if is_single:
        columns = {key: [value] for key, value in columns.items()}
    sizes = {key: len(value) for key, value in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"the examples differ in what they have: {sizes}.")
    lengths = [len(row) for row in columns[main]]
    if with_mask and "attention_mask" not in columns:
        columns["attention_mask"] = [[1] * count for count in lengths]
    target = max(lengths) if longest else length
    if target is not None:
        target = round_up(target, multiple)
        for key in (main, *_FILL):
            if key in columns and (key != "attention_mask" or with_mask):
                columns[key] = [_padded(row, target, side, _fill(key, main, pad_id)) for row in columns[key]]
    if is_single:
        columns = {key: value[0] for key, value in columns.items()}
    return BatchEncoding(columns, tensor_type=return_tensors)


def _fill(key: str, main: str, pad_id: int | None) -> int:
    if key != main:
        return _FILL[key]
    if pad_id is None:
        raise InvalidArgument(NO_PAD_TOKEN)
    return pad_id


def _padded(row: Sequence[int], length: int, side: str, fill: int) -> list[int]:
    missing = [fill] * (length - len(row))
    return [*row, *missing] if side == "right" else [*missing, *row]


def _tensor_type(rows: Any) -> str | None:
    """Arrays in, arrays out."""
    first = rows if hasattr(rows, "tolist") else next(iter(rows), None)
    if not hasattr(first, "tolist"):
        return None
    return "pt" if type(first).__module__.split(".")[0] == "torch" else "np"


NO_PAD_TOKEN = (
    "padding needs a padding token, and this tokenizer has none. Use another as such (tokenizer.pad_token = "
    "tokenizer.eos_token) "
    "or add one (tokenizer.add_special_tokens({'pad_token': '[PAD]'}))."
)
