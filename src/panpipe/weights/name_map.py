"""Tensor names: ours on the left, the checkpoint's on the right. The same table loads and saves.

A row names a module; its tensors are `<module>.weight` and `<module>.bias`. The right-hand side is a name or a mark:

    "layers.{i}.attention.output": "encoder.layer.{i}.attention.output.dense"
    "layers.{i}.attention.qkv": join("encoder.layer.{i}.attention.self.query", "….key", "….value")
        three, one after another along the outputs
    "head.decoder.bias": either("cls.predictions.bias", "cls.predictions.decoder.bias")
        the first there is
    "head.decoder.weight": tied("embeddings.tokens.weight", untied="cls.predictions.decoder.weight")
        another tensor of ours, unless the config unties them

A key that ends in .weight or .bias is a row for that tensor alone, before its module's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Either", "Join", "Rows", "Source", "Tied", "either", "join", "locate", "names_of", "tied"]


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


Source = str | Join | Either | Tied
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
    return type(source)(tuple(name.format(**numbers) + end for name in source.names))
