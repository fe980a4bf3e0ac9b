"""What `split=` asks for: one split, parts of splits put together, or a list of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InvalidArgument
from .combining import concatenate_datasets
from .dataset import Dataset
from .dataset_dict import DatasetDict
from .splitting import parse_split

__all__ = ["select_split"]


def select_split(splits: DatasetDict, wanted: str | Sequence[str] | None, there: list[str] | None = None) -> Any:
    """The part that was asked for; None: all splits.   there: the names of all, for an error."""
    if wanted is None:
        return splits
    if isinstance(wanted, (list, tuple)):
        return [select_split(splits, each, there) for each in wanted]
    parts = []
    for part in parse_split(str(wanted), there or list(splits)):
        whole = splits[part.name]
        if part.is_whole:
            parts.append(whole)
        elif isinstance(whole, Dataset):
            begin, end = part.bounds(len(whole))
            parts.append(whole.select(range(begin, end)))
        else:
            raise InvalidArgument(f"split={wanted!r}: of a stream only whole splits; use .take(n) and .skip(n).")
    made = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    made.split = str(wanted)
    return made
