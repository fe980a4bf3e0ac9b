"""A model as PyTorch trains it: the tree of its weights as modules, over the torch engine.

The forward pass is the family's own, the one that the other engines run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch
from torch import nn

from ..models.loading import Stored
from ..models.model import Model
from ..ops.torch import TorchOps
from ..weights.slots import FormulaSlot, Slot, TableSlot
from .batches import TrainingBatch

__all__ = ["Trainable"]


class Weights(nn.Module):
    """A part of the tree: `weights.layers[3].attention.qkv.weight`."""

    def get(self, name: str) -> Any:
        """The part of that name, or None."""
        return getattr(self, name, None)


class Trainable(nn.Module):
    """The weights of a model, as parameters, and its forward pass.

    model: the same model on the torch engine, sharing these parameters; it computes what `forward` does.
    """

    def __init__(self, model: Model, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self.ops = TorchOps(device)
        self.weights = _tree(model, self.ops)
        self.model = type(model).__new__(type(model))
        vars(self.model).update(vars(model), ops=self.ops, weights=self.weights)
        self.model.stored = replace(model.stored, read=self.tensors, release=lambda slot: None)

    def forward(self, given: TrainingBatch) -> torch.Tensor:
        """The logits of the rows that have labels."""
        target: dict[str, Any] = {} if given.target is None else {"target": given.target}
        logits: torch.Tensor = self.model.run(given.batch, given.rows, **target)
        return logits

    def tensors(self, slot: str) -> dict[str, npt.NDArray[Any]]:
        """A slot's tensors as they are now, as NumPy."""
        place = self.weights.get_submodule(slot.rpartition(".")[0]) if "." in slot else self.weights
        held = getattr(place, slot.rpartition(".")[2])
        parts = self.model.stored.slots[slot].shapes()
        return {part: self.ops.numpy(held if isinstance(held, torch.Tensor) else getattr(held, part)) for part in parts}

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
                shared[source] = nn.Parameter(ops.array(tensors[part]).float().clone())
            parameters[part] = shared[source]
        _place(root, name, slot, parameters, ops)
    return root


def _place(root: Weights, name: str, slot: Slot, parameters: Mapping[str, nn.Parameter], ops: TorchOps) -> None:
    *parents, leaf = name.split(".")
    place: Any = root
    for parent, child in zip(parents, [*parents[1:], leaf], strict=True):
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
