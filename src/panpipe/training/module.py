"""A model as PyTorch trains it: the tree of its weights as modules, over the torch engine.

The forward pass is the family's own, the one that the other engines run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import numpy.typing as npt
import torch
from torch import nn

from ..batch import Batch
from ..blocks.attending import Trace
from ..models.loading import Stored
from ..models.model import Model
from ..ops.base import Ints
from ..ops.torch import TorchOps
from ..weights.name_map import Row, Source
from ..weights.slots import FormulaSlot, Slot, TableSlot
from .batches import TrainingBatch

__all__ = ["Trainable", "Weights"]

T = TypeVar("T")


class Weights(nn.Module):
    """A part of the tree: `weights.layers[3].attention.qkv.weight`."""

    def get(self, name: str) -> Any:
        """The part of that name, or None."""
        return getattr(self, name, None)

    def value(self, part: str) -> torch.Tensor:
        """A tensor as the model uses it: of an adapted map, with its update."""
        held: torch.Tensor = getattr(self, part)
        return held

    def forward(self, function: Callable[..., T], ops: TorchOps, *given: Any) -> T:
        """What `TorchOps.within` computes with these weights: inside, so that hooks see it begin and end."""
        return function(ops, self, *given)


class Trainable(nn.Module):
    """The weights of a model, as parameters, and its forward pass.

    model: the same model on the torch engine, sharing these parameters; it computes what `forward` does.
    autocast: the dtype of products, None for the weights' own. Norms, softmax and losses are float32 in any case.
    In training mode (`train()`, as modules are made) it drops what the config says; see `Family.dropouts`.
    """

    def __init__(self, model: Model, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self.lora: Any = None  # the config of `lora.apply_lora`
        self.autocast: torch.dtype | None = None
        self.ops = TorchOps(device)
        self.weights = _tree(model, self.ops)
        self.model = type(model).__new__(type(model))
        vars(self.model).update(vars(model), ops=self.ops, weights=self.weights, _trainable=self)
        self.model.stored = replace(model.stored, read=self.tensors, release=lambda slot: None)
        self.train()

    @property
    def gradient_checkpointing(self) -> bool:
        """Are layers computed again in the backward pass, instead of kept?"""
        return self.ops.recomputes

    @gradient_checkpointing.setter
    def gradient_checkpointing(self, value: bool) -> None:
        self.ops.recomputes = value

    def forward(
        self, given: TrainingBatch | Batch, rows: Ints | None = None, trace: Trace | None = None, **target: Any
    ) -> torch.Tensor:
        """The logits of the rows that have labels; or what `Model.run` gives, for what it is given."""
        is_called = isinstance(given, Batch)  # by `Model.run`: its callers compute with the logits in float32
        if isinstance(given, TrainingBatch):
            target = {} if given.target is None else {"target": given.target}
            rows, given = given.rows, given.batch
        self.ops.still = self._still()  # now: weights that are split over processes were just gathered into new tensors
        with torch.autocast(self.ops.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            logits: torch.Tensor = self.model.compute(given, rows, trace, **target)
        return logits.float() if is_called else logits

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Within: nothing is dropped, and nothing kept for gradients."""
        was = self.training
        with torch.no_grad():
            self.train(False)
            try:
                yield
            finally:
                self.train(was)

    def _still(self) -> dict[int, int]:
        padding = self.model.config.pad_token_id
        if padding is None or self.model.family.padding_learns:
            return {}
        stacks = (self.weights, self.weights.get("encoder"), self.weights.get("decoder"))
        tables = (stack.embeddings.tokens for stack in stacks if hasattr(stack, "embeddings"))
        return {id(table): padding for table in tables if padding < len(table)}

    def train(self, mode: bool = True) -> Trainable:
        """Drop from here on, or no longer."""
        super().train(mode)
        model = self.model
        self.ops.dropout = model.family.dropouts(model.config, model.head) if mode else {}
        return self

    def _apply(self, *given: Any, **options: Any) -> Trainable:
        super()._apply(*given, **options)
        self.ops.device = next(self.parameters()).device
        self.ops.forget()
        return self

    def tensors(self, slot: str) -> dict[str, npt.NDArray[Any]]:
        """A slot's tensors as they are now, as NumPy."""
        place = self.weights.get_submodule(slot.rpartition(".")[0]) if "." in slot else self.weights
        held = getattr(place, slot.rpartition(".")[2])
        parts = self.model.stored.slots[slot].shapes()
        return {part: self.ops.numpy(held if isinstance(held, torch.Tensor) else held.value(part)) for part in parts}

    def stored(self) -> Stored:
        """All tensors as they are now, copied: what the model is made of after training."""
        kept = {slot: {part: t.copy() for part, t in self.tensors(slot).items()} for slot in self.model.stored.slots}
        return Stored(self.model.stored.slots, kept.__getitem__)


def _tree(model: Model, ops: TorchOps) -> Weights:
    root = Weights()
    shared: dict[Any, nn.Parameter] = {}
    for name, slot in model.stored.slots.items():
        sources = {part: model.family.source(model.config, model.head, name, part) for part in slot.shapes()}
        tensors = model.stored.read(name)
        parameters = {}
        for part, source in sources.items():
            if source not in shared:
                values = ops.array(tensors[part]).float().clone()
                shared[source] = nn.Parameter(values, requires_grad=not _stays(slot, source[0]))
            parameters[part] = shared[source]
        _place(root, name, slot, parameters, ops)
    return root


def _stays(slot: Slot, source: Source) -> bool:
    """Sinusoids, and what is added to logits, are no weights to be learnt in transformers."""
    return isinstance(source, Row) or (isinstance(slot, TableSlot) and slot.formula is not None)


def _place(root: Weights, name: str, slot: Slot, parameters: Mapping[str, nn.Parameter], ops: TorchOps) -> None:
    *parents, leaf = name.split(".")
    place: Any = root
    for parent, child in zip(parents, [*parents, leaf][1:], strict=True):
        if parent.isdigit():
            if len(place) == int(parent):
                place.append(Weights())
            place = place[int(parent)]
        else:
            if not hasattr(place, parent):
                place.add_module(parent, nn.ModuleList() if child.isdigit() else Weights())
            place = getattr(place, parent)
    if isinstance(slot, FormulaSlot):
        place.register_buffer(leaf, slot.ready(ops, {}), persistent=False)
    elif isinstance(slot, TableSlot):
        place.register_parameter(leaf, parameters["weight"])
    else:
        node = Weights()
        for part in ("weight", "bias"):
            node.register_parameter(part, parameters.get(part))
        place.add_module(leaf, node)
