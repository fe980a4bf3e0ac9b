"""Which rows of the data are to train on, and which to evaluate by."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data import as_dataset, load_dataset
from ..errors import DataNotFound, InvalidArgument, did_you_mean
from .order import generator

__all__ = ["some", "split_to_evaluate", "splits_of", "training_rows"]

_log = logging.getLogger("panpipe")

_OF_EVALUATION = ("validation", "valid", "dev", "eval")


def splits_of(data: Any, name: str | None = None) -> dict[str, Any]:
    """The data sets by split; one alone is "train".   Raises DataNotFound, DataError."""
    if isinstance(data, (str, Path)):
        data = load_dataset(str(data), name)
    if isinstance(data, Mapping) and data and all(hasattr(part, "column_names") for part in data.values()):
        return {str(split): as_dataset(part) for split, part in data.items()}
    return {"train": as_dataset(data)}


def training_rows(
    data: Any, name: str | None, eval_data: Any, limit: int | None, eval_limit: int | None, seed: int
) -> tuple[Any, Any]:
    """The rows to train on, and those to evaluate by, or None.

    eval_data: other data, the name of a split, or the share of the rows to keep for it; default: a validation split.
    """
    splits = splits_of(data, name)
    rows = splits["train"] if "train" in splits else _only(splits, "training")
    share = _share(eval_data)
    if share is not None:
        both = (rows if hasattr(rows, "train_test_split") else as_dataset(list(rows))).train_test_split(
            share, seed=seed
        )
        rows, held_out = both["train"], both["test"]
    elif eval_data is None or (isinstance(eval_data, str) and eval_data in splits):
        held_out = splits.get(eval_data) if eval_data else _held_out(splits)
        if held_out is None:
            _log.info("there are no validation data, so nothing is evaluated: eval_data=0.1 keeps a tenth for that.")
    else:
        if isinstance(eval_data, str) and (near := did_you_mean(eval_data, splits)) and not Path(eval_data).exists():
            raise DataNotFound(f"there is no split {eval_data!r}; the data have {', '.join(splits)}.{near}")
        others = splits_of(eval_data)
        held_out = _held_out(others) or _only(others, "evaluation")
    return some(rows, limit, seed), None if held_out is None else some(held_out, eval_limit, seed)


def split_to_evaluate(splits: Mapping[str, Any], asked: str | None) -> str:
    """The split that is asked for; default test, else validation, else the first.   Raises DataNotFound."""
    if asked is not None and asked not in splits:
        near = did_you_mean(asked, splits)
        raise DataNotFound(f"there is no split {asked!r}; the data have {', '.join(splits)}.{near}")
    return asked or next((name for name in ("test", *_OF_EVALUATION) if name in splits), next(iter(splits)))


def some(rows: Any, limit: int | None, seed: int) -> Any:
    """So many of the rows, drawn by the seed, in their order."""
    if limit is not None and limit < 1:
        raise InvalidArgument(f"limit is {limit}; it must be 1 or more.")
    if limit is None or limit >= len(rows):
        return rows
    chosen = sorted(generator(seed, 3).permutation(len(rows))[:limit].tolist())
    return rows.select(chosen) if hasattr(rows, "select") else as_dataset([rows[index] for index in chosen])


def _held_out(splits: Mapping[str, Any]) -> Any:
    return next((splits[split] for split in _OF_EVALUATION if split in splits), None)


def _only(splits: Mapping[str, Any], wanted: str) -> Any:
    if len(splits) != 1:
        raise DataNotFound(f"the data have the splits {', '.join(splits)}; which are for {wanted}?")
    return next(iter(splits.values()))


def _share(given: Any) -> float | None:
    """A share of the rows, also as it is typed.   Raises InvalidArgument."""
    if isinstance(given, str) and given.replace(".", "", 1).isdigit():
        given = float(given)
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    if not 0 < given < 1:
        raise InvalidArgument(f"eval_data is {given}; a share of the rows is between 0 and 1.")
    return float(given)
