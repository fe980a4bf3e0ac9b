"""From a data set to the steps of a run: which rows each process reads, and their batches."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data import as_dataset
from ..errors import InputError, InvalidArgument
from ..models.model import Model
from .arguments import TrainingArguments
from .batches import Padded, TrainingBatch
from .collators.ragged import LABEL_NAMES, ragged_from_rectangles
from .order import Indices, epoch_batches, example_seeds

__all__ = ["Feed", "Rows", "Step", "by_name", "collated", "dataloader", "knows", "padded"]

Collator = Callable[[list[Any]], Any]


class Rows(NamedTuple):
    """Examples of one forward pass.   seeds: one each, see `order.example_seeds`."""

    rows: list[Any]
    seeds: list[int]


class Step(NamedTuple):
    """What one process reads for one step.   examples: those of all processes.   is_last: of its epoch."""

    batches: list[Rows]
    examples: int
    is_last: bool


def collated(collator: Collator, rows: list[Any], model: Model, seeds: Sequence[int]) -> TrainingBatch:
    """Rows as a ragged batch; a collator that only knows rectangles is asked for one, and its padding left out."""
    if knows(collator, "ragged"):
        given: TrainingBatch = collator.ragged(rows, model, seeds)  # type: ignore[attr-defined]
        return given
    return ragged_from_rectangles(collator(rows), model)


def padded(collator: Collator, rows: list[Any], model: Model, seeds: Sequence[int], *, drops: bool = True) -> Padded:
    """Rows as rectangles, for a loss of one's own; a collator that draws does it from the seeds.

    drops: our collators are given only the columns that models take; others than ours may need more.
    """
    draws = knows(collator, "rectangles")
    if drops and knows(collator, "ragged") and not draws:
        rows = [{name: value for name, value in row.items() if name in _TAKEN} for row in rows]
    given = collator.rectangles(rows, seeds) if draws else collator(rows)  # type: ignore[attr-defined]
    return Padded.of(given, len(rows), model.head)


_TAKEN = {"input_ids", "attention_mask", "token_type_ids", "position_ids", "start_positions", "end_positions"}
_TAKEN |= {"decoder_input_ids", "decoder_attention_mask", *LABEL_NAMES}


def knows(collator: Collator, method: str) -> bool:
    """Has it the method? A class derived from one of ours that only changes the call has not: its call counts."""
    for kind in type(collator).__mro__:
        if method in vars(kind):
            return True
        if "__call__" in vars(kind) and not kind.__module__.startswith(f"{__package__}."):
            return False
    return hasattr(collator, method)


class Feed:
    """The training data of a run.

    dataset: rows by index, or a stream.   rank, size: this process's place, and how many there are.
    Raises InputError for no data, InvalidArgument for a stream without max_steps.
    """

    def __init__(self, dataset: Any, args: TrainingArguments, rank: int, size: int) -> None:
        self.dataset = dataset
        self.args = args
        self.rank = rank
        self.size = size
        self.is_stream = not hasattr(dataset, "__len__")
        self._known: tuple[int, list[Indices]] | None = None
        if self.is_stream and args.max_steps <= 0:
            raise InvalidArgument("the training data are a stream of unknown length: give max_steps.")
        if not self.is_stream and not len(dataset):
            raise InputError("the training data are empty.")

    @property
    def num_examples(self) -> int:
        """The rows of the data set; 0 for a stream."""
        return 0 if self.is_stream else len(self.dataset)

    def steps_in_epoch(self, epoch: int = 0) -> int:
        """The steps of an epoch; 0 for a stream: nobody knows."""
        return 0 if self.is_stream else math.ceil(len(self._batches(epoch)) / self._per_step)

    def total_steps(self) -> int:
        """The steps of the run."""
        epochs = self.args.num_train_epochs
        if self.args.max_steps > 0:
            return self.args.max_steps
        if not self.args.max_tokens_per_batch:
            return math.ceil(epochs * self.steps_in_epoch())
        each = ((min(1.0, epochs - e), self.steps_in_epoch(e)) for e in range(math.ceil(epochs)))  # not all as many
        return math.ceil(sum(share * steps for share, steps in each))

    def num_epochs(self) -> int:
        """The epochs that the run begins; 0 for a stream: nobody knows."""
        if self.args.max_steps <= 0:
            return math.ceil(self.args.num_train_epochs)
        return 0 if self.is_stream else math.ceil(self.args.max_steps / self.steps_in_epoch())

    def steps(self, epoch: int, examples_done: int) -> Iterator[Step]:
        """The steps of an epoch from an example of it on."""
        if self.is_stream:
            yield from self._stream(epoch, examples_done)
            return
        batches = self._batches(epoch)
        ends = np.cumsum([len(batch) for batch in batches])
        for start in range(int(np.searchsorted(ends, examples_done, "right")), len(batches), self._per_step):
            group = batches[start : start + self._per_step]
            mine = [self._rows(epoch, indices.tolist()) for indices in group[self.rank :: self.size]]
            yield Step(mine, sum(map(len, group)), start + self._per_step >= len(batches))

    def _stream(self, epoch: int, examples_done: int) -> Iterator[Step]:
        stream, width = self.dataset, self.args.per_device_train_batch_size
        if hasattr(stream, "set_epoch"):
            stream.set_epoch(epoch)
        rows = iter(stream.skip(examples_done) if examples_done else stream)
        group = _next(rows, width * self._per_step)
        if not group and not examples_done:
            raise InputError("the training data are empty.")
        while group:
            after = _next(rows, width * self._per_step)
            parts = range(0, len(group), width)[self.rank :: self.size]
            mine = [
                Rows(group[i : i + width], self._seeds(epoch, range(examples_done + i, examples_done + i + width)))
                for i in parts
            ]
            yield Step(mine, len(group), not after)
            examples_done += len(group)
            group = after

    def any_batch(self) -> Rows:
        """Some batch, for a process that has none while others compute."""
        if self.is_stream:
            return Rows(_next(iter(self.dataset), 1), self._seeds(0, [0]))
        return self._rows(0, [0])

    def _rows(self, epoch: int, indices: list[int]) -> Rows:
        return Rows([self.dataset[index] for index in indices], self._seeds(epoch, indices))

    def _seeds(self, epoch: int, indices: Sequence[int]) -> list[int]:
        return example_seeds(self.args.seed, epoch, indices)

    def _batches(self, epoch: int) -> list[Indices]:
        """The batches of an epoch; those of the last that was asked for are remembered."""
        if self._known is None or self._known[0] != epoch:
            self._known = epoch, self._made(epoch)
        return self._known[1]

    def _made(self, epoch: int) -> list[Indices]:
        args = self.args
        return epoch_batches(
            len(self.dataset),
            args.per_device_train_batch_size,
            seed=args.seed if args.data_seed is None else args.data_seed,
            epoch=epoch,
            lengths=self._lengths if args.group_by_length or args.max_tokens_per_batch else None,
            max_tokens=args.max_tokens_per_batch,
            drop_last=args.dataloader_drop_last,
        )

    @property
    def _per_step(self) -> int:
        """Batches of a step, of all processes."""
        return self.size * self.args.gradient_accumulation_steps

    @functools.cached_property
    def _lengths(self) -> Indices:
        """The tokens of each example."""
        return np.fromiter((len(row["input_ids"]) for row in self.dataset), np.int64, len(self.dataset))


def dataloader(dataset: Any, collator: Collator, batch_size: int, seed: int | None = None) -> Any:
    """PyTorch's DataLoader of what the collator makes, shuffled if there is a seed."""
    import torch

    drawn = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.utils.data.DataLoader(
        dataset, batch_size=batch_size, shuffle=seed is not None, generator=drawn, collate_fn=collator
    )


def by_name(dataset: Any) -> dict[str, Any]:
    """Data sets by name; one alone has the name ''."""
    if (
        isinstance(dataset, Mapping)
        and not hasattr(dataset, "column_names")
        and all(
            not isinstance(rows, (list, tuple)) or (rows and isinstance(rows[0], Mapping)) for rows in dataset.values()
        )
    ):
        return {str(name): as_dataset(rows) for name, rows in dataset.items()}
    return {"": as_dataset(dataset)}


def _next(rows: Iterator[Any], count: int) -> list[Any]:
    return list(itertools.islice(rows, count))
