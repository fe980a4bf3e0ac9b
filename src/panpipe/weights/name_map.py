"""Tensor names: ours on the left, the checkpoint's on the right. The same table loads and saves.

A row names a module; its tensors are `<module>.weight` and `<module>.bias`. The right-hand side is a name or a mark:

    "layers.{i}.attention.output": "encoder.layer.{i}.attention.output.dense"
    "layers.{i}.attention.qkv": join("encoder.layer.{i}.attention.self.query", "….key", "….value")
        three, one after another along the outputs
    "head.decoder.bias": either("cls.predictions.bias", "cls.predictions.decoder.bias")
        the first there is
    "head.decoder.weight": tied("embeddings.tokens.weight", untied="cls.predictions.decoder.weight")
        another tensor of ours, unless the config unties them
    "layers.{i}.attention.qkv": transposed("h.{i}.attn.c_attn")
        its weight is stored [inputs, outputs]
    "head.decoder.bias": row("final_logits_bias")
        stored as a matrix of one row; zeros where a checkpoint lacks it

A key that ends in .weight or .bias is a row for that tensor alone, before its module's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Either",
    "Join",
    "Row",
    "Rows",
    "Source",
    "Tied",
    "Transposed",
    "either",
    "from_stored",
    "join",
    "locate",
    "names_of",
    "row",
    "stored_shape",
    "tied",
    "to_stored",
    "transposed",
]

Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class Join:
    """Several tensors, one after another along their first axis (the outputs)."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Either:
    """Names that different checkpoints give one tensor; the first is the one we write."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Tied:
    """Another tensor of ours, used twice; a config that unties them has it under `untied`."""

    ours: str
    untied: str


@dataclass(frozen=True)
class Transposed:
    """A matrix stored the other way round (GPT-2's)."""

    names: tuple[str]


@dataclass(frozen=True)
class Row:
    """A vector stored as a matrix of one row; zeros where a checkpoint lacks it."""

    names: tuple[str]


Source = str | Join | Either | Tied | Transposed | Row
Rows = Mapping[str, Source]


def join(*names: str) -> Join:
    """See the module."""
    return Join(names)


def either(*names: str) -> Either:
    """See the module."""
    return Either(names)


def tied(ours: str, untied: str) -> Tied:
    """See the module."""
    return Tied(ours, untied)


def transposed(name: str) -> Transposed:
    """See the module."""
    return Transposed((name,))


def row(name: str) -> Row:
    """See the module."""
    return Row((name,))


def names_of(source: Source) -> tuple[str, ...]:
    """The checkpoint's names in a source: one, the pieces of a join, or the alternatives."""
    if isinstance(source, str):
        return (source,)
    return () if isinstance(source, Tied) else source.names


def locate(rows: Rows, slot: str, part: str) -> Source:
    """Where the tensor `slot`.`part` ('layers.3.attention.qkv', 'weight') is kept: its row, with the numbers filled in.

    `{i}`, `{j}` on the left stand for the numbers of a name, in order.
    """
    numbers = [p for p in slot.split(".") if p.isdigit()]
    letters = iter("ij")
    pattern = ".".join("{" + next(letters) + "}" if p.isdigit() else p for p in slot.split("."))
    filled = dict(zip("ij", numbers, strict=False))
    if (tensor := rows.get(f"{pattern}.{part}")) is not None:
        return _fill(tensor, filled, "")
    return _fill(rows[pattern], filled, f".{part}")


def _fill(source: Source, numbers: Mapping[str, str], end: str) -> Source:
    if isinstance(source, str):
        return source.format(**numbers) + end
    if isinstance(source, Tied):
        return source
    names = tuple(name.format(**numbers) + end for name in source.names)
    if isinstance(source, Transposed) and end == ".bias":
        return names[0]
    return type(source)(names)  # type: ignore[arg-type]


# -- between a tensor as we have it and as it is stored ----------------------------------------------------------------


def stored_shape(source: Source, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Our tensor's shape, from those of the stored pieces (that of the first, if they do not fit together)."""
    first = shapes[0]
    if isinstance(source, Transposed):
        return first[::-1]
    if isinstance(source, Row):
        return first[-1:] if first[:-1] in ((1,), ()) else first
    if len({shape[1:] for shape in shapes}) > 1 or not all(shapes):
        return first
    return (sum(shape[0] for shape in shapes), *first[1:])


def from_stored(source: Source, pieces: Sequence[Tensor]) -> Tensor:
    """Our tensor, from the stored pieces."""
    if isinstance(source, Transposed):
        return pieces[0].T
    if isinstance(source, Row):
        return pieces[0].reshape(-1)
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def to_stored(source: Source, tensor: Tensor, sizes: Sequence[int] = ()) -> dict[str, Tensor]:
    """The pieces as transformers stores them, by name.   sizes: the outputs of each, if they are not equal."""
    names = names_of(source)
    if isinstance(source, Join):
        ends = np.cumsum(sizes)[:-1] if sizes else len(names)
        pieces = np.split(tensor, ends)
    elif isinstance(source, Transposed):
        pieces = [tensor.T]
    else:
        pieces = [tensor[None] if isinstance(source, Row) else tensor]
    return {name: np.ascontiguousarray(piece) for name, piece in zip(names, pieces, strict=False)}
