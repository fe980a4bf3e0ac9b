"""What goes through the model for one input: items on the way in, outputs on the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..errors import MissingDependency

__all__ = ["Array", "Item", "Outputs", "as_torch", "groups", "to_batch"]

Array = npt.NDArray[Any]

_NOTHING: Array = np.zeros(0, np.float32)

TOKENS_PER_FORWARD = 1536  # enough rows to keep the kernels busy, few enough that their buffers stay in cache


@dataclass(eq=False, slots=True)
class Item:
    """One token sequence to run. An input becomes one item, or several (windows, labels).

    rows: the tokens whose output is wanted, as places in this item; None means all (or, with a head over sequences, the
    one row of the sequence).
    encoding: the tokenizer's Encoding (offsets, word ids …) where the task needs it.   extra: the task's own.
    output: filled by the forward step: [labels] of a sequence head, else [tokens or rows, …].
    """

    token_ids: Sequence[int]
    type_ids: Sequence[int] | None = None
    rows: Sequence[int] | None = None
    encoding: Any = None
    extra: Any = None
    output: Array = field(default_factory=lambda: _NOTHING)

    def __getitem__(self, name: str) -> Array:
        """`item["logits"]`: the output with a batch axis of 1 before it, whatever name it goes by in transformers."""
        return self.output[None]


@dataclass(eq=False)
class Outputs:
    """What `postprocess` gets: the input and its items, their outputs filled in.

    Like transformers' model outputs, `outputs["logits"]` (or `outputs.logits`, `outputs[0]["logits"]`) is [1, …]: that
    of the first item.
    """

    input: Any
    items: list[Item]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: int | str) -> Any:
        return self.items[0][key] if isinstance(key, str) else self.items[key]

    @property
    def logits(self) -> Array:
        return self["logits"]  # type: ignore[no-any-return]

    @property
    def last_hidden_state(self) -> Array:
        return self["last_hidden_state"]  # type: ignore[no-any-return]


def groups(
    items: Sequence[Item], batch_size: int | None = None, tokens: int = TOKENS_PER_FORWARD
) -> Iterator[list[Item]]:
    """The items by length, in groups of at most so many tokens (a longer item goes alone) and at most batch_size items.

    An item that occurs twice is in one group only.
    """
    group: list[Item] = []
    room = tokens
    for item in sorted(dict.fromkeys(items), key=lambda item: len(item.token_ids)):
        if group and (len(item.token_ids) > room or len(group) == batch_size):
            yield group
            group, room = [], tokens
        group.append(item)
        room -= len(item.token_ids)
    if group:
        yield group


def to_batch(items: Sequence[Item]) -> Batch:
    """The items laid end to end. Types are given for all of the items or for none."""
    types = [item.type_ids for item in items if item.type_ids is not None]
    return Batch.of([item.token_ids for item in items], types or None)


def as_torch(array: Array) -> Any:
    """A PyTorch tensor that shares the array's memory.   Raises MissingDependency."""
    try:
        import torch
    except ImportError as error:
        raise MissingDependency('return_tensors="pt" needs PyTorch: pip install torch') from error
    return torch.from_numpy(array)
