"""Which files make which split: what the user named, what the card says, or what the files' names say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import DataNotFound, InvalidArgument, did_you_mean
from ..pipelines.inputs import shown
from .opening import COMPRESSIONS

__all__ = ["FORMATS", "as_splits", "format_of", "is_data", "matching", "most_common_format", "splits_by_name"]

FORMATS = ("csv", "tsv", "json", "jsonl", "text", "parquet", "arrow", "feather")
_ENDINGS = {
    ".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".txt": "text",
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow",
}  # fmt: skip
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_WORD_ENDS = r"[-._ 0-9]"
_SHARD = re.compile(r"(?:.*/)?data/([\w.-]+?)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_NOT_DATA = {"readme.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}


def format_of(name: str) -> str | None:
    """The format that a file's name says, below its compression."""
    lowered = name.lower()
    for ending in COMPRESSIONS:
        lowered = lowered.removesuffix(ending)
    return _ENDINGS.get(PurePosixPath(lowered).suffix)


def is_data(name: str) -> bool:
    """A file of rows, not one that describes, or is hidden? A hidden folder hides what is in it."""
    parts = PurePosixPath(name).parts
    is_hidden = any(part.startswith((".", "__")) for part in parts)
    return bool(parts) and not is_hidden and parts[-1].lower() not in _NOT_DATA and format_of(name) is not None


def most_common_format(names: Iterable[str]) -> str | None:
    """The format of most of the files; the others describe them, or are the same again."""
    formats = [format_of(name) for name in names if is_data(name)]
    return max(dict.fromkeys(formats), key=formats.count, default=None)


def splits_by_name(names: Sequence[str]) -> dict[str, list[str]]:
    """Split → its files: by `data/train-00000-of-00002…`, else by folders named as a split, else by the files' names.

    Where no name says anything, all is 'train'.
    """
    if sharded := [(match[1], name) for name in names if (match := _SHARD.fullmatch(name))]:
        return _grouped(sharded)
    for part in (_split_of_folders, _split_of_name):
        if found := [(split, name) for name in names if (split := part(name)) is not None]:
            return _grouped(found)
    return {"train": list(names)} if names else {}


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The files of each split: train, validation, test, then others."""
    groups: dict[str, list[str]] = {split: [] for split in _KEYWORDS}
    for split, name in pairs:
        groups.setdefault(split, []).append(name)
    return {split: names for split, names in groups.items() if names}


def _split_of_folders(name: str) -> str | None:
    return next((split for part in PurePosixPath(name).parts[:-1] if (split := _keyword(part, is_folder=True))), None)


def _split_of_name(name: str) -> str | None:
    return _keyword(PurePosixPath(name).name)


def _keyword(text: str, is_folder: bool = False) -> str | None:
    """The split that a word of the text names: 'my-train_2.csv' → 'train'."""
    for split, keywords in _KEYWORDS.items():
        for keyword in keywords:
            end = rf"(?:{_WORD_ENDS}|$)" if is_folder else _WORD_ENDS
            if re.search(rf"(?:^|{_WORD_ENDS}){keyword}{end}", text):
                return split
    return None


def as_splits(data_files: Any) -> dict[str, list[str]]:
    """Split → patterns, of what was given as data_files: a name, a list, or a dictionary of splits.

    Raises InvalidArgument.
    """
    if isinstance(data_files, Mapping):
        return {str(split): _patterns(files) for split, files in data_files.items()}
    return {"train": _patterns(data_files)}


def _patterns(files: Any) -> list[str]:
    if isinstance(files, (str, Path)):
        return [str(files)]
    if isinstance(files, Sequence) and files and all(isinstance(file, (str, Path)) for file in files):
        return [str(file) for file in files]
    raise InvalidArgument(
        f"data_files: expected names of files, a list, or a dictionary of splits, not {shown(files)}."
    )


def matching(pattern: str, names: Sequence[str], where: str) -> list[str]:
    """The names that a pattern of *, ?, [abc] and ** means.   Raises DataNotFound, with what is there."""
    if pattern in names:
        return [pattern]
    matcher = _regex(pattern.removeprefix("./"))
    found = [name for name in names if matcher.fullmatch(name) and not _hides(name, pattern)]
    if not found:
        there = ", ".join(map(repr, names[:12])) or "nothing"
        raise DataNotFound(f"no file {pattern!r} in {where}.{did_you_mean(pattern, names)} It holds: {there}.")
    return found


def _hides(name: str, pattern: str) -> bool:
    return any(part.startswith(".") and part not in pattern for part in PurePosixPath(name).parts)


def _regex(pattern: str) -> re.Pattern[str]:
    """`**` goes through folders, `*` and `?` do not."""
    pieces = []
    for piece in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", pattern, re.DOTALL):
        if piece[0] == "[" and len(piece) > 2:
            inside = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            pieces.append("[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]")
        else:
            pieces.append({"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(piece))
    return re.compile("".join(pieces), re.DOTALL)
