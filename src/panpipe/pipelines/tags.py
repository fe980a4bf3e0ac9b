"""What a token label says: which type of entity, and whether it begins or ends one.

A label set follows a *scheme*. `read_tags` turns the labels of a model into `Tags` once; grouping (`entities.py`) then
needs no strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgument, did_you_mean

__all__ = ["SCHEMES", "Tag", "Tags", "read_tags"]

_ROLES = {"bio": "BI", "iob1": "BI", "iob2": "BI", "iobes": "BIMES", "bioes": "BIMES", "bmes": "BIMES"}
_ROLES |= {"bilou": "BILU", "bioul": "BILU"}
SCHEMES = ("transformers", "auto", "plain", *_ROLES)

_BEGINS = "BSU"
_ENDS = "ESLU"


class Tag(NamedTuple):
    """One label.   kind: tags of one kind may continue each other.   name: what `entity_group` shows."""

    kind: str
    name: str
    begins: bool = False
    ends: bool = False


class Tags(NamedTuple):
    """The tags of a model's labels, as columns with an entry for each label's number.

    kinds: int, equal for labels of one kind.   begins, ends: bool.   names: what `entity_group` shows.
    """

    kinds: npt.NDArray[np.intp]
    begins: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.bool_]
    names: list[str]


def read_tags(labels: Mapping[int, str], scheme: str = "transformers") -> Tags:
    """The tag of each label.

    labels: {0: "O", 1: "B-PER", …}, as `config.id2label`.
    scheme: 'transformers': as 4.57 reads them: B- and I- only; the name loses what stands before its first dash;
    'bio' (= 'iob1', 'iob2'), 'iobes' (= 'bioes', 'bmes'), 'bilou' (= 'bioul'): a role before or after the type
    (B-PER, B_PER, PER-B, PER_B); 'plain': the label is the type; 'auto': whichever of these the label set shows.
    Raises InvalidArgument for another scheme.
    """
    tags = _tags_of(labels, scheme)
    every = [tags.get(index, Tag("", "")) for index in range(max(tags, default=-1) + 1)]
    numbers = {kind: number for number, kind in enumerate(dict.fromkeys(tag.kind for tag in every))}
    return Tags(
        np.array([numbers[tag.kind] for tag in every], np.intp),
        np.array([tag.begins for tag in every], bool),
        np.array([tag.ends for tag in every], bool),
        [tag.name for tag in every],
    )


def _tags_of(labels: Mapping[int, str], scheme: str) -> dict[int, Tag]:
    if scheme not in SCHEMES:
        near = did_you_mean(scheme, SCHEMES) if isinstance(scheme, str) else ""
        raise InvalidArgument(f"scheme={scheme!r} is not a label scheme.{near} Schemes: {', '.join(SCHEMES)}.")
    if scheme == "transformers":
        return {index: _as_transformers(label) for index, label in labels.items()}
    if scheme == "plain":
        return {index: Tag(label, label) for index, label in labels.items()}
    separator, before = _layout(labels.values())
    parts = {index: _split(label, separator, before) for index, label in labels.items()}
    roles = _roles_of(parts.values()) if scheme == "auto" else _ROLES[scheme]
    return {
        index: Tag(kind, kind, role in _BEGINS, role in _ENDS)
        if role and role in roles
        else Tag(labels[index], labels[index])
        for index, (role, kind) in parts.items()
    }


def _as_transformers(label: str) -> Tag:
    name = label.split("-", 1)[-1]
    return Tag(label[2:] if label.startswith(("B-", "I-")) else label, name, label.startswith("B-"))


def _layout(labels: Iterable[str]) -> tuple[str, bool]:
    """The separator, and whether the role stands before it: the layout in which most labels show a B or an I."""
    known = list(labels)

    def shown(layout: tuple[str, bool]) -> int:
        return sum(_split(label, *layout)[0] in ("B", "I") for label in known)

    return max((("-", True), ("_", True), ("-", False), ("_", False)), key=shown)  # the first of equals


def _split(label: str, separator: str, before: bool) -> tuple[str, str]:
    """(role, type); the role is '' where the label has none."""
    role, found, kind = label.partition(separator) if before else label.rpartition(separator)[::-1]
    return (role, kind) if found and kind and role in tuple("BIMESLU") else ("", label)


def _roles_of(parts: Iterable[tuple[str, str]]) -> str:
    """The roles that the set really uses: E- is one only where its type is also begun or continued by B or I."""
    seen: dict[str, set[str]] = {}
    for role, kind in parts:
        seen.setdefault(role, set()).add(kind)
    inside = seen.get("B", set()) | seen.get("I", set())
    return "".join(role for role in "BIMESLU" if seen.get(role, set()) & inside)
