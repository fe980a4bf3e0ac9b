"""The collators of the course: called, they pad rows into rectangles, as transformers does.

The Trainer asks them for ragged batches instead, where nothing is padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError, InvalidArgument
from ...models.model import Model
from ...tokenization import BatchEncoding, Tokenizer
from ...tokenization.batch_encoding import to_python
from ...tokenization.padding import round_up
from ..batches import IGNORED, TrainingBatch
from .ragged import Feature, ragged, shifted

__all__ = [
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "default_data_collator",
]


class Collator:
    """What all collators do for the Trainer."""

    def ragged(self, features: Sequence[Feature], model: Model, seeds: Sequence[int]) -> TrainingBatch:
        """The rows as a ragged batch; see `panpipe.training.collators.ragged`."""
        return ragged(features, model, seeds)


@dataclass
class DefaultDataCollator(Collator):
    """Stacks rows that are of one length already; `label` and `label_ids` become `labels`.

    return_tensors: "pt", or "np", which it also is where PyTorch is not installed.
    """

    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> dict[str, Any]:
        """The rectangles by name.   Raises InvalidArgument for rows of different lengths."""
        return dict(tensors(_columns(features), return_tensors or self.return_tensors))


default_data_collator = DefaultDataCollator()


@dataclass
class _Padding(Collator):
    """tokenizer: knows the padding token and side.   padding: True or "longest", "max_length", False.

    max_length, pad_to_multiple_of: in tokens.   return_tensors: "pt", or "np", which it also is without PyTorch.
    """

    tokenizer: Tokenizer
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None

    def _padded(self, columns: Mapping[str, list[Any]]) -> dict[str, Any]:
        return padded(self.tokenizer, columns, self.padding, self.max_length, self.pad_to_multiple_of)


@dataclass
class DataCollatorWithPadding(_Padding):
    """Pads the tokens of each row to the longest; `label` and `label_ids` become `labels`.

    tokenizer: knows the padding token and side.   padding: True or "longest", "max_length", False.
    max_length, pad_to_multiple_of: in tokens.   return_tensors: "pt", or "np", which it also is without PyTorch.
    """

    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Feature]) -> BatchEncoding:
        """The rectangles by name."""
        return tensors(self._padded(_columns(features)), self.return_tensors)


@dataclass
class DataCollatorForTokenClassification(_Padding):
    """Pads tokens, and their labels with label_pad_token_id on the same side.   The rest as DataCollatorWithPadding."""

    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Feature], return_tensors: str | None = None) -> BatchEncoding:
        """The rectangles by name."""
        columns = _columns(features)
        labels = columns.pop("labels", None)
        made = self._padded(columns)
        if labels is not None:
            width = len(made["input_ids"][0])
            made["labels"] = [
                filled(row, width, self.label_pad_token_id, self.tokenizer.padding_side) for row in labels
            ]
        return tensors(made, return_tensors or self.return_tensors)


@dataclass
class DataCollatorForSeq2Seq(Collator):
    """Pads sources and labels, each to their longest, and makes the decoder's input from the labels.

    model: whose decoder it is; without one there are no decoder_input_ids.   label_pad_token_id: of labels.
    The rest as DataCollatorWithPadding; padding="max_length" is for both.
    """

    tokenizer: Tokenizer
    model: Model | None = None
    padding: bool | str = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Feature], return_tensors: str | None = None) -> BatchEncoding:
        """The rectangles by name."""
        columns = _columns(features)
        labels = columns.pop("labels", None)
        made = padded(self.tokenizer, columns, self.padding, self.max_length, self.pad_to_multiple_of)
        if labels is not None:
            made["labels"] = [
                filled(row, self._width(labels), self.label_pad_token_id, self.tokenizer.padding_side) for row in labels
            ]
            if self.model is not None and "decoder_input_ids" not in made:
                made["decoder_input_ids"] = _given_to_decoder(made["labels"], self.model)
        return tensors(made, return_tensors or self.return_tensors)

    def _width(self, labels: Sequence[Sequence[int]]) -> int:
        if self.padding is False or self.padding == "do_not_pad":
            return 0
        is_fixed = self.padding == "max_length" and self.max_length is not None
        return round_up((self.max_length or 0) if is_fixed else max(map(len, labels)), self.pad_to_multiple_of)


def _given_to_decoder(labels: list[list[int]], model: Model) -> list[list[int]]:
    """The labels one place later, behind what the model's decoder starts with. -100 becomes padding."""
    padding = model.config.pad_token_id or 0
    learned = [[label for label in row if label != IGNORED] or [padding] for row in labels]
    lengths = np.array([len(row) for row in learned])
    target = shifted(np.concatenate([np.asarray(row) for row in learned]), lengths, model)
    starts = target.token_ids[target.first_rows].tolist()
    return [
        [start, *(padding if label == IGNORED else label for label in row[:-1])]
        for start, row in zip(starts, labels, strict=True)
    ]


# -- columns ---------------------------------------------------------------------------------------------------------


def _columns(features: Sequence[Any]) -> dict[str, list[Any]]:
    """Lists by name; the names of labels are one, and what is no number is left out.   Raises InputError."""
    rows = [row if isinstance(row, Mapping) else vars(row) for row in features]
    if not rows:
        raise InputError("a collator needs at least one row.")
    names = [name for name, value in rows[0].items() if value is not None and not isinstance(value, (str, bytes))]
    for place, row in enumerate(rows):
        if lacking := [name for name in names if name not in row]:
            raise InputError(f"row {place} of the batch lacks {', '.join(lacking)}, which row 0 has.")
    columns = {name: [to_python(row[name]) for row in rows] for name in names}
    for old in ("label", "label_ids"):
        if old in columns:
            values = columns.pop(old)
            columns.setdefault("labels", values)
    return {name: values for name, values in columns.items() if not _holds_text(values[0])}


def _holds_text(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes, Mapping))


def padded(
    tokenizer: Tokenizer,
    columns: Mapping[str, list[Any]],
    padding: bool | str,
    max_length: int | None,
    multiple: int | None,
) -> dict[str, Any]:
    """The columns, with those of tokens padded, as lists."""
    return dict(tokenizer.pad(columns, padding=padding, max_length=max_length, pad_to_multiple_of=multiple))


def filled(row: Sequence[int], width: int, value: int, side: str) -> list[int]:
    """A row of labels made as long as its tokens are."""
    fill = [value] * (width - len(row))
    return [*row, *fill] if side == "right" else [*fill, *row]


def tensors(columns: Mapping[str, Any], kind: str) -> BatchEncoding:
    """Whole numbers as int64, others as float32, in PyTorch's tensors or NumPy's arrays.

    Raises InvalidArgument for rows of different lengths.
    """
    return BatchEncoding({name: _tensor(name, values, kind) for name, values in columns.items()})


def _tensor(name: str, values: Any, kind: str) -> Any:
    try:
        array = np.array(values)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise InvalidArgument(
            f"{name} cannot be one array: its rows differ in length. Tokenize with padding, or take the collator of "
            "the task (DataCollatorForTokenClassification, DataCollatorForSeq2Seq …)."
        )
    array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    if kind == "np":
        return array
    if kind != "pt":
        raise InvalidArgument(f"return_tensors={kind!r}: expected 'pt' (PyTorch) or 'np' (NumPy).")
    try:
        import torch
    except ImportError:
        return array
    return torch.from_numpy(array)
