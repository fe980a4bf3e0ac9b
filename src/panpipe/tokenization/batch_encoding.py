"""What a call of a tokenizer returns: arrays by name, and where each token came from."""

from __future__ import annotations

import warnings
from collections import UserDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding

from ..errors import InvalidArgument, MissingDependency

__all__ = ["BatchEncoding", "CharSpan", "TokenSpan", "to_python"]


class CharSpan(NamedTuple):
    """Characters start … end - 1 of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens start … end - 1 of a sequence."""

    start: int
    end: int


class BatchEncoding(UserDict):  # type: ignore[type-arg]
    """A dictionary of `input_ids`, `attention_mask`, …, whose values are also attributes.

    encodings: one `tokenizers.Encoding` per row, which the methods ask; each takes a row and a place in it, or (for a
    single text) the place alone. Offsets are in characters (code points) of the original text.
    """

    def __init__(
        self,
        data: Any = None,
        encoding: Encoding | Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
        prepend_batch_axis: bool = False,
        n_sequences: int | None = None,
    ) -> None:
        self.data = dict(data) if data is not None else {}
        self._encodings = [encoding] if isinstance(encoding, Encoding) else encoding
        if n_sequences is None and self._encodings:
            n_sequences = self._encodings[0].n_sequences
        self._n_sequences = n_sequences
        self.convert_to_tensors(tensor_type, prepend_batch_axis)

    @property
    def n_sequences(self) -> int | None:
        """1 for single texts, 2 for pairs."""
        return self._n_sequences

    @property
    def is_fast(self) -> bool:
        """Whether it knows where its tokens came from."""
        return self._encodings is not None

    @property
    def encodings(self) -> Sequence[Encoding] | None:
        """One per row, or None (after `pad`)."""
        return self._encodings

    def __getitem__(self, item: str | int | slice) -> Any:
        """A value by name; the encoding of a row by number; some rows of everything by slice."""
        if isinstance(item, str):
            return self.data[item]
        if self._encodings is not None:
            return self._encodings[item]
        if isinstance(item, slice):
            return {key: value[item] for key, value in self.data.items()}
        raise KeyError(f"{item!r}: rows are there only where a tokenizer made this; names are {', '.join(self.data)}.")

    def __getattr__(self, name: str) -> Any:
        data = self.__dict__.get("data", {})
        if name in data:
            return data[name]
        raise AttributeError(f"a BatchEncoding of {', '.join(data) or 'nothing'} has no {name!r}.")

    def __getstate__(self) -> dict[str, Any]:
        return {"data": self.data, "encodings": self._encodings, "n_sequences": self._n_sequences}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.data = state["data"]
        self._encodings = state["encodings"]
        self._n_sequences = state["n_sequences"]

    # -- where tokens came from --------------------------------------------------------------------------------------

    def _row(self, index: int) -> Encoding:
        if not self._encodings:
            raise InvalidArgument(
                "only what a tokenizer's call returned knows its tokens' words and characters; this does not."
            )
        return self._encodings[index]

    def _place(self, first: int, second: int | None) -> tuple[Encoding, int]:
        """The row's encoding and the place in it: (row, place), or the place alone in row 0."""
        return (self._row(0), first) if second is None else (self._row(first), second)

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens as text."""
        return list(self._row(batch_index).tokens)

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Each token's word, None for special tokens."""
        return list(self._row(batch_index).word_ids)

    def words(self, batch_index: int = 0) -> list[int | None]:
        """The old name of `word_ids`."""
        warnings.warn("BatchEncoding.words() is now called word_ids().", FutureWarning, stacklevel=2)
        return self.word_ids(batch_index)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """0 for tokens of the first text, 1 for those of the second, None for special tokens."""
        return list(self._row(batch_index).sequence_ids)

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """Which text a token is of."""
        row, place = self._place(batch_or_token_index, token_index)
        return row.token_to_sequence(_from_end(row, place))

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """A token's word."""
        row, place = self._place(batch_or_token_index, token_index)
        return row.token_to_word(_from_end(row, place))

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """A token's characters; None for special tokens."""
        row, place = self._place(batch_or_token_index, token_index)
        span = row.token_to_chars(_from_end(row, place))
        return None if span is None else CharSpan(*span)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """A word's tokens."""
        row, place = self._place(batch_or_word_index, word_index)
        span = row.word_to_tokens(place, sequence_index)
        return None if span is None else TokenSpan(*span)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """A word's characters."""
        row, place = self._place(batch_or_word_index, word_index)
        span = row.word_to_chars(place, sequence_index)
        return None if span is None else CharSpan(*span)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The token that holds a character; None for a space between tokens."""
        row, place = self._place(batch_or_char_index, char_index)
        return row.char_to_token(place, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The word that holds a character."""
        row, place = self._place(batch_or_char_index, char_index)
        return row.char_to_word(place, sequence_index)

    # -- arrays ------------------------------------------------------------------------------------------------------

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Turn the lists into arrays in place: 'np' (int64) or 'pt'.   Raises InvalidArgument (ragged rows)."""
        if tensor_type is None:
            return self
        make = _array_maker(tensor_type)
        for key, value in self.data.items():
            rows = [value] if prepend_batch_axis else value
            if hasattr(rows, "shape"):
                continue
            try:
                self.data[key] = make(rows)
            except (ValueError, TypeError):
                raise InvalidArgument(
                    f"{key} cannot be one array: its rows differ in length. Tokenize with padding=True (and "
                    "truncation=True "
                    "if they may be longer than the model takes)."
                ) from None
        return self

    def to(self, device: Any, *, non_blocking: bool = False) -> BatchEncoding:
        """Move the torch tensors to a device, in place; other values stay."""
        self.data = {
            key: value.to(device=device, non_blocking=non_blocking) if callable(getattr(value, "to", None)) else value
            for key, value in self.data.items()
        }
        return self


def _from_end(row: Encoding, place: int) -> int:
    return place + len(row) if place < 0 else place


def _array_maker(tensor_type: str) -> Any:
    if tensor_type == "np":
        return _numpy
    if tensor_type == "pt":
        try:
            import torch
        except ImportError as error:
            raise MissingDependency(
                "return_tensors='pt' needs PyTorch: pip install \"panpipe[train]\", or ask for 'np'."
            ) from error
        return lambda rows: torch.as_tensor(rows, dtype=torch.int64)
    raise InvalidArgument(f"return_tensors={tensor_type!r}: expected 'np' (NumPy), 'pt' (PyTorch) or None (lists).")


def _numpy(rows: Any) -> Any:
    """int64; of rows that differ in length an array of arrays, as in transformers."""
    if len({len(row) if isinstance(row, (list, tuple)) else -1 for row in rows}) > 1:
        ragged = np.empty(len(rows), dtype=object)
        ragged[:] = [np.asarray(row, dtype=np.int64) for row in rows]
        return ragged
    return np.asarray(rows, dtype=np.int64)


def to_python(values: Any) -> Any:
    """Arrays and tensors, also within lists, as Python numbers and lists."""
    if hasattr(values, "tolist"):
        return values.tolist()
    if isinstance(values, (list, tuple)):
        return [to_python(value) if hasattr(value, "tolist") else value for value in values]
    return values
