"""Entities found by tagging words or characters: precision, recall and F1 of whole entities, by type and overall.

Two ways to read tags, and the result says which: 'conll', as conlleval and seqeval's default do, makes the best of tags
that break the scheme (an entity may begin with I-); 'strict' counts only entities that are tagged as the scheme says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError, InvalidArgument
from .classification import f1
from .inputs import check_lengths, items

__all__ = ["SCHEMES", "entities", "entity_scores"]

Entity = tuple[str, int, int]  # type, first, last
Tag = tuple[str, str]  # one of B, I, E, S, O; type

SCHEMES = ("IOB2", "IOBES", "BILOU")
_PREFIXES = {**{letter: letter for letter in "BIESO"}, "L": "E", "U": "S"}  # BILOU is IOBES in other letters
_ALLOWED = {"IOB2": "BIO", "IOBES": "BIESO", "BILOU": "BILUO"}


def entity_scores(
    predictions: Any,
    references: Any,
    *,
    scheme: str | None = None,
    mode: str | None = None,
    suffix: bool = False,
    zero_division: float | str = "warn",
    character_f1: bool = False,
) -> dict[str, Any]:
    """Scores of entities.

    predictions, references: for each text a list of tags such as 'B-PER', 'I-PER', 'O'.
    mode: None or 'conll'; 'strict', by a scheme: 'IOB2', 'IOBES' or 'BILOU' (None: the one that the references use).
    suffix: the tags are written 'PER-B'.   zero_division: see `precision_recall_f1`.
    character_f1: for Korean, whose entities KLUE tags by characters: the mean over types of entity F1 and, beside it,
    over the tags other than O, of the F1 of single characters.
    Returns {type: {precision, recall, f1, number}, …, overall_precision, overall_recall, overall_f1, overall_accuracy
    (of tags), overall_mode ('conll', 'strict IOB2' …) and, if asked for, overall_macro_f1, overall_character_f1}.
    Raises InputError, InvalidArgument.   Source: Tjong Kim Sang & De Meulder 2003, arXiv:cs/0306050.
    """
    guesses, truths = _rows(predictions, "predictions"), _rows(references, "references")
    check_lengths(guesses, truths)
    for index, (guess, truth) in enumerate(zip(guesses, truths, strict=True)):
        if len(guess) != len(truth):
            raise InputError(f"predictions[{index}] has {len(guess)} tags and references[{index}] {len(truth)}.")
    scheme = _scheme(mode, scheme, truths, suffix)
    found, true = (
        {(index, *entity) for index, tags in enumerate(rows) for entity in _read(tags, scheme, suffix)}
        for rows in (guesses, truths)
    )
    by_type = _by_type(found, true, zero_division)
    flat = [(g, t) for guess, truth in zip(guesses, truths, strict=True) for g, t in zip(guess, truth, strict=True)]
    overall = _scores(len(found & true), len(found), len(true), zero_division)
    scores: dict[str, Any] = dict(by_type)
    scores |= {f"overall_{name}": overall[name] for name in ("precision", "recall", "f1")}
    scores["overall_accuracy"] = sum(guess == truth for guess, truth in flat) / max(len(flat), 1)
    scores["overall_mode"] = "conll" if scheme is None else f"strict {scheme}"
    if character_f1:
        scores["overall_macro_f1"] = float(np.mean([row["f1"] for row in by_type.values()] or [0.0]))
        scores["overall_character_f1"] = _character_f1(flat)
    return scores


def entities(tags: Sequence[str], *, scheme: str | None = None, suffix: bool = False) -> list[Entity]:
    """The entities (type, first, last) of a text's tags; scheme=None: read as conlleval does.

    Raises InputError, InvalidArgument.
    """
    _check_scheme(scheme)
    return _read(tags, scheme, suffix)


def _rows(values: Any, name: str) -> list[list[Any]]:
    return [items(row, f"{name}[{index}]") for index, row in enumerate(items(values, name))]


def _character_f1(flat: list[tuple[str, str]]) -> float:
    tags = sorted({tag for pair in flat for tag in pair} - {"O"})
    if not tags:
        return 0.0
    return float(f1([g for g, _ in flat], [t for _, t in flat], average="macro", labels=tags, zero_division=0))


# -- reading tags ----------------------------------------------------------------------------------------------------


def _scheme(mode: str | None, scheme: str | None, truths: list[list[Any]], suffix: bool) -> str | None:
    """The scheme of a strict reading, None for conlleval's."""
    if mode not in (None, "conll", "strict"):
        raise InvalidArgument(f"mode={mode!r:.40}: expected 'conll' (or None) or 'strict'.")
    _check_scheme(scheme)
    if mode != "strict":
        if scheme is not None:
            raise InvalidArgument(f"scheme={scheme!r} has a meaning with mode='strict' only; give both or neither.")
        return None
    if scheme is not None:
        return scheme
    letters = {str(tag)[-1 if suffix else 0] for tags in truths for tag in tags if str(tag)}
    return "BILOU" if letters & set("LU") else "IOBES" if letters & set("ES") else "IOB2"


def _check_scheme(scheme: str | None) -> None:
    if scheme is not None and scheme not in SCHEMES:
        raise InvalidArgument(f"scheme={scheme!r:.40}: expected one of {', '.join(SCHEMES)}.")


def _read(tags: Sequence[str], scheme: str | None, suffix: bool) -> list[Entity]:
    known = {tag: _parse(tag, scheme, suffix) for tag in set(tags)}
    pairs = [known[tag] for tag in tags]
    return _strict(pairs, scheme == "IOB2") if scheme else _conll(pairs)


def _parse(tag: Any, scheme: str | None, suffix: bool) -> Tag:
    """Raises InputError."""
    allowed = _ALLOWED[scheme] if scheme else "".join(_PREFIXES)
    text = tag if isinstance(tag, str) else ""
    prefix, rest = (text[-1:], text[:-1]) if suffix else (text[:1], text[1:])
    if not prefix or prefix not in allowed or (rest and not (rest.endswith("-") if suffix else rest.startswith("-"))):
        form = "PER-B" if suffix else "B-PER"
        raise InputError(f"{tag!r:.60} is no tag; expected str such as {form!r}, with one of {', '.join(allowed)}.")
    return _PREFIXES[prefix], (rest[:-1] if suffix else rest[1:]) or "_"


def _conll(tags: Sequence[Tag]) -> list[Entity]:
    """An entity goes on while the type stays and no tag begins or ends one."""
    found: list[Entity] = []
    start, before = -1, ("O", "_")
    for index, (prefix, kind) in enumerate([*tags, ("O", "_")]):
        goes_on = start >= 0 and kind == before[1] and prefix in "IE" and before[0] in "BI"
        if start >= 0 and not goes_on:
            found.append((before[1], start, index - 1))
            start = -1
        if start < 0 and prefix != "O":
            start = index
        before = (prefix, kind)
    return found


def _strict(tags: Sequence[Tag], ends_anywhere: bool) -> list[Entity]:
    """Begun by B, gone on with by I of its type, ended by E of its type (ends_anywhere: by whatever follows); or S."""
    found: list[Entity] = []
    start, type_ = -1, "_"
    for index, (prefix, kind) in enumerate([*tags, ("O", "_")]):
        if start >= 0 and kind == type_ and prefix == "I":
            continue
        if start >= 0 and kind == type_ and prefix == "E":
            found.append((type_, start, index))
        elif start >= 0 and ends_anywhere:
            found.append((type_, start, index - 1))
        if prefix == "S":
            found.append((kind, index, index))
        start, type_ = (index, kind) if prefix == "B" else (-1, "_")
    return found


# -- counting --------------------------------------------------------------------------------------------------------


def _by_type(
    found: set[tuple[Any, ...]], true: set[tuple[Any, ...]], zero_division: float | str
) -> dict[str, dict[str, Any]]:
    right, guessed, number = (Counter(entity[1] for entity in part) for part in (found & true, found, true))
    return {kind: _scores(right[kind], guessed[kind], number[kind], zero_division) for kind in sorted(guessed | number)}


def _scores(right: int, guessed: int, number: int, zero_division: float | str) -> dict[str, Any]:
    if zero_division not in (0, 1, "warn"):
        raise InvalidArgument(f"zero_division={zero_division!r:.40}: expected 0, 1 or 'warn'.")
    undefined = 0.0 if zero_division == "warn" else float(zero_division)
    precision = right / guessed if guessed else undefined
    recall = right / number if number else undefined
    total = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (total or 1), "number": number}
