"""The kinds of columns that a csv file holds as text: whole numbers, numbers, true and false, or text after all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from .building import build, widened
from .columns import BOOL, FLOAT, INT, NULL, STRING, Column, Kind

__all__ = ["MISSING", "TextKind", "one_typed", "typed"]

MISSING = frozenset({"", "NA", "N/A", "n/a", "nan", "NaN", "-nan", "-NaN", "null", "NULL", "None", "<NA>", "#N/A"})
"""In a column of numbers these say that there is none. In a column of text only the empty field does."""

_INT = re.compile(r"\s*[+-]?(?:0|[1-9][0-9]{0,18})\s*")
_FLOAT = re.compile(r"\s*[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?|inf(?:inity)?)\s*", re.IGNORECASE)
_NUMBER_IN_NAME_ONLY = re.compile(r"\s*[+-]?(?:0[0-9]+|[0-9]{18,})\s*")
"""A telephone number, a postal code, an id too long for 64 bits: not quantities, and lost if they were made such."""
_TRUTHS = {"true": True, "false": False}


class TextKind:
    """The narrowest kind that holds all texts that were seen: `kind`; NULL before the first."""

    def __init__(self, missing: Collection[str] = ()) -> None:
        self.missing = MISSING | set(missing)
        self.kind = NULL

    def see(self, values: Iterable[str]) -> None:
        """Take note of some texts."""
        for value in values:
            if self.kind == STRING:
                return
            if value not in self.missing and not (self.kind != NULL and _fits(self.kind, value)):
                self.kind = self._wider(value)

    def _wider(self, value: str) -> Kind:
        if self.kind == INT:
            return FLOAT if _fits(FLOAT, value) else STRING
        return (
            next((kind for kind in (BOOL, INT, FLOAT) if _fits(kind, value)), STRING) if self.kind == NULL else STRING
        )


def _fits(kind: Kind, value: str) -> bool:
    if kind == BOOL:
        return value.strip().lower() in _TRUTHS
    if kind == INT:
        return _INT.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63
    return _FLOAT.fullmatch(value) is not None and not _NUMBER_IN_NAME_ONLY.fullmatch(value)


def one_typed(value: Any, kind: Kind, missing: Collection[str]) -> Any:
    """A text as that kind: None where it is missing, and the text itself where it does not fit."""
    if value is None or value in missing:
        return None
    if not _fits(kind, value):
        return value
    return _TRUTHS[value.strip().lower()] if kind == BOOL else int(value) if kind == INT else float(value)


def typed(texts: Column, kind: Kind, missing: Collection[str]) -> Column:
    """A column of texts as one of that kind, which all of them fit."""
    return widened(build([one_typed(value, kind, missing) for value in texts.rows()]), kind)
