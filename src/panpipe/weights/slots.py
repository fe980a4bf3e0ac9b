"""The weights a model is made of: slots with shapes, read from a source, made ready for an engine, in a tree.

A slot is one module's weights under our own name ('layers.3.attention.output'); `name_map` says where a checkpoint
keeps them. This module knows neither checkpoints nor models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = [
    "Engine",
    "FormulaSlot",
    "LinearSlot",
    "Norm",
    "NormSlot",
    "Slot",
    "TableSlot",
    "Tensors",
    "Tree",
    "grow",
    "random_tensors",
]

Tensor = npt.NDArray[Any]
Tensors = Mapping[str, Tensor]
"""The tensors of one slot: 'weight', and 'bias' where it has one."""


class Engine(Protocol):
    """What of `panpipe.ops.Ops` makes weights ready."""

    def linear_weights(self, weight: Tensor, bias: Tensor | None = None) -> Any: ...
    def table_weights(self, table: Tensor) -> Any: ...
    def vector_weights(self, vector: Tensor) -> Any: ...


class Norm(NamedTuple):
    """The weights of a norm as an engine keeps them; bias may be None."""

    weight: Any
    bias: Any


@dataclass(frozen=True)
class LinearSlot:
    """A linear map: weight [outputs, inputs], bias [outputs].

    pieces: the outputs of the parts that a checkpoint keeps apart; default equal parts.
    """

    outputs: int
    inputs: int
    bias: bool = True
    pieces: tuple[int, ...] = ()

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"weight": (self.outputs, self.inputs)} | ({"bias": (self.outputs,)} if self.bias else {})

    def ready(self, engine: Engine, tensors: Tensors) -> Any:
        return engine.linear_weights(tensors["weight"], tensors.get("bias"))


@dataclass(frozen=True)
class NormSlot:
    """A layer norm's or RMS norm's gain [size] and bias [size]."""

    size: int
    bias: bool = True

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"weight": (self.size,)} | ({"bias": (self.size,)} if self.bias else {})

    def ready(self, engine: Engine, tensors: Tensors) -> Norm:
        bias = engine.vector_weights(tensors["bias"]) if self.bias else None
        return Norm(engine.vector_weights(tensors["weight"]), bias)


@dataclass(frozen=True)
class TableSlot:
    """A table of embeddings: weight [rows, width].   formula: what it holds where a checkpoint lacks it."""

    rows: int
    width: int
    formula: Callable[[], Tensor] | None = None

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {"weight": (self.rows, self.width)}

    def ready(self, engine: Engine, tensors: Tensors) -> Any:
        return engine.table_weights(tensors["weight"])


@dataclass(frozen=True)
class FormulaSlot:
    """A table that is computed, not stored: positions of sines and cosines."""

    make: Callable[[], Tensor]

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {}

    def ready(self, engine: Engine, tensors: Tensors) -> Any:
        return engine.table_weights(self.make())


Slot = LinearSlot | NormSlot | TableSlot | FormulaSlot


class Tree:
    """Weights by the parts of their names: 'layers.3.attention.output' is `tree.layers[3].attention.output`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"these weights have no {name!r}; they have {', '.join(sorted(vars(self)))}.")

    def get(self, name: str) -> Any:
        """The part of that name, or None: for weights that a checkpoint may lack."""
        return vars(self).get(name)


def grow(ready: Iterable[tuple[str, Any]]) -> Tree:
    """The tree of (dotted name, weights) pairs; parts that are numbers make lists."""
    nested: dict[str, Any] = {}
    for name, value in ready:
        *parents, leaf = name.split(".")
        place = nested
        for parent in parents:
            place = place.setdefault(parent, {})
        place[leaf] = value
    tree = _tree(nested)
    assert isinstance(tree, Tree), "a model's weights have names at the top, not numbers"
    return tree


def _tree(nested: Any) -> Any:
    if not isinstance(nested, dict):
        return nested
    if nested and all(key.isdigit() for key in nested):
        return [_tree(nested[str(i)]) for i in range(len(nested))]
    tree = Tree()
    vars(tree).update({key: _tree(value) for key, value in nested.items()})
    return tree


def random_tensors(slot: Slot, std: float, generator: np.random.Generator) -> Tensors:
    """Fresh float32 weights for a slot: normal(0, std) matrices, norms of 1, biases of 0."""
    tensors: dict[str, Tensor] = {}
    for part, shape in slot.shapes().items():
        if isinstance(slot, TableSlot) and slot.formula is not None:
            tensors[part] = slot.formula()
        elif part == "bias":
            tensors[part] = np.zeros(shape, np.float32)
        elif isinstance(slot, NormSlot):
            tensors[part] = np.ones(shape, np.float32)
        else:
            tensors[part] = (generator.standard_normal(shape, np.float32) * np.float32(std)).astype(np.float32)
    return tensors
