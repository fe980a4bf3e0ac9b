"""Which column of a data set plays which part in a task: guessed from names and values, unless it is said."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError, InvalidArgument, MissingKey, did_you_mean

__all__ = [
    "Role",
    "check_found",
    "class_names",
    "column_of",
    "guessed",
    "is_answers",
    "is_label",
    "is_spans",
    "is_tags",
    "is_text",
    "is_words",
]

LOOKED_AT = 50
"""Rows whose values are looked at."""

_NEVER_GUESSED = {"id", "idx", "index", "guid", "uid", "source", "doc", "__index_level_0__"}
"""Columns about a row, not of it: taken only if they are named."""


@dataclass(frozen=True)
class Role:
    """A part that a column plays.

    about: what it holds.   usual: names that data sets have for it, the likeliest first.   fits: can it be this value?
    is_needed: there is nothing to learn without.   by_values: a column of another name is taken if it alone fits.
    """

    name: str
    about: str
    usual: tuple[str, ...]
    fits: Callable[[Any], bool]
    is_needed: bool = True
    by_values: bool = True


def guessed(roles: Sequence[Role], rows: Any, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Role → column.

    rows: a data set.   given: those that are said.   Raises InvalidArgument, MissingKey (have, need, closest).
    """
    values = _values(rows)
    taken = _checked(roles, values, given or {})
    for role in roles:
        free = [name for name in values if name not in taken.values()]
        if role.name not in taken and (name := _by_name(role, free, values)) is not None:
            taken[role.name] = name
    for role in roles:
        free = [name for name in values if name not in taken.values() and name.lower() not in _NEVER_GUESSED]
        fitting = [name for name in free if _fits(role, values[name])]
        if role.name not in taken and role.by_values and len(fitting) == 1:
            taken[role.name] = fitting[0]
    return taken


def check_found(roles: Iterable[Role], found: Mapping[str, str], rows: Any, task: str) -> None:
    """Raises MissingKey where a role that is needed has no column."""
    missing = [role for role in roles if role.is_needed and role.name not in found]
    if missing:
        need = "; ".join(f"{role.name} ({role.about}), such as {role.usual[0]!r}" for role in missing)
        raise MissingKey(
            f"the data have the columns {', '.join(_values(rows)) or 'none'}; {task} needs {need}. Say which: "
            f"columns={{{', '.join(f'{role.name!r}: …' for role in missing)}}} "
            f"(--columns {','.join(f'{role.name}=…' for role in missing)})."
        )


def column_of(rows: Any, name: str) -> Iterable[Any]:
    """All values of a column, one after the other."""
    if isinstance(getattr(rows, "features", None), Mapping) and hasattr(rows, "num_rows"):
        return rows[name]  # type: ignore[no-any-return]
    return (row[name] for row in rows)


def class_names(rows: Any, column: str) -> list[str] | None:
    """The names that a ClassLabel (or a list of such) has, in its order; None where the column is none."""
    features = getattr(rows, "features", None)
    feature = features.get(column) if isinstance(features, Mapping) else None
    names = getattr(getattr(feature, "feature", feature), "names", None)
    return list(names) if names else None


def _values(rows: Any) -> dict[str, list[Any]]:
    """The first values of each column, without None."""
    sample = list(itertools.islice(iter(rows), LOOKED_AT))
    if not sample:
        raise InputError("the data are empty.")
    names = list(getattr(rows, "column_names", None) or sample[0])
    return {name: [row[name] for row in sample if row.get(name) is not None] for name in names}


def _checked(roles: Sequence[Role], values: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    known = [role.name for role in roles]
    for name, column in given.items():
        if name not in known:
            raise InvalidArgument(
                f"columns: there is no {name!r}; the task has {', '.join(known)}.{did_you_mean(name, known)}"
            )
        if column not in values:
            raise MissingKey(
                f"there is no column {column!r}; the data have {', '.join(values)}.{did_you_mean(column, values)}"
            )
    return dict(given)


def _by_name(role: Role, free: Sequence[str], values: Mapping[str, list[Any]]) -> str | None:
    by_lower = {name.lower(): name for name in reversed(free)}
    names = (by_lower.get(usual) for usual in role.usual)
    return next((name for name in names if name is not None and _fits(role, values[name])), None)


def _fits(role: Role, values: Sequence[Any]) -> bool:
    return bool(values) and all(map(role.fits, values))


# -- what values look like -------------------------------------------------------------------------------------------


def is_text(value: Any) -> bool:
    """A text."""
    return isinstance(value, str)


def is_label(value: Any) -> bool:
    """A class, a number, or a list of classes."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(each, (str, int, float)) for each in value)
    return isinstance(value, (int, float)) or (isinstance(value, str) and len(value) <= 100)


def is_words(value: Any) -> bool:
    """A list of words."""
    return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)


def is_tags(value: Any) -> bool:
    """A list of tags, or of their numbers."""
    return isinstance(value, (list, tuple)) and all(isinstance(tag, (str, int)) for tag in value)


def is_spans(value: Any) -> bool:
    """A list of {start, end, label}."""
    return isinstance(value, (list, tuple)) and all(
        isinstance(span, Mapping) and {"start", "end", "label"} <= set(span) for span in value
    )


def is_answers(value: Any) -> bool:
    """SQuAD's {"text": […], "answer_start": […]}, or a list of {"text", "start" or "answer_start"}."""
    if isinstance(value, Mapping):
        return {"text", "answer_start"} <= set(value)
    return isinstance(value, (list, tuple)) and all(
        isinstance(answer, Mapping) and "text" in answer and {"start", "answer_start"} & set(answer) for answer in value
    )
