"""Where a checkpoint's files come from: the interface, and the plain folder.

A source is asked for files by name. Names are relative, with '/', and may not lead out of it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import CheckpointNotFound, CorruptCheckpoint, UnsafeCheckpoint

__all__ = ["WEIGHT_FILES", "Folder", "Source", "check_file_name", "read_json"]

WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""In the order of preference. What is chosen is final: a broken file never makes another one be read instead."""

_MAX_JSON_BYTES = 200_000_000  # the tokenizer.json of a large vocabulary has 20 to 35 MB
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # Windows opens a device for these
_FORBIDDEN = re.compile(r'[\x00-\x1f\\:*?"<>|]')


class Source(ABC):
    """The files of one checkpoint.

    name: as the user typed it, for messages.   subfolder: where in the folder or repository the files are ('', 'a/b').
    """

    name: str
    subfolder: str = ""

    @abstractmethod
    def file(self, name: str) -> Path | None:
        """An optional file, or None where the checkpoint has none of that name.

        Raises UnsafeCheckpoint (a name that leads outside), HubUnavailable (it had to be fetched, and could not be).
        """

    @abstractmethod
    def require(self, name: str) -> Path:
        """A file that must be there.   Raises CheckpointNotFound, and as `file` does."""

    @abstractmethod
    def files(self) -> list[str]:
        """The names that are on this machine now, sorted."""

    def first(self, *names: str) -> Path | None:
        """The first of these files that there is."""
        return next((path for name in names if (path := self.file(name)) is not None), None)

    def json(self, name: str) -> Any:
        """A required file's JSON value.   Raises CorruptCheckpoint, and as `require` does."""
        return read_json(self.require(name))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Folder(Source):
    """A folder on this machine; never asks the network.

    hides_an_id: its path as typed could also be a model id, which a message then mentions.
    """

    def __init__(
        self, path: str | Path, name: str | None = None, subfolder: str = "", hides_an_id: bool = False
    ) -> None:
        self.name = str(path) if name is None else name
        self._hides_an_id = hides_an_id
        self.subfolder = subfolder
        self.path = inside(Path(path), subfolder)

    def file(self, name: str) -> Path | None:
        """An optional file."""
        path = inside(self.path, name)
        return path if path.is_file() else None

    def require(self, name: str) -> Path:
        """A file that must be there."""
        if (path := self.file(name)) is None:
            here = ", ".join(self.files()[:12]) or "nothing"
            hint = f" This folder hides the model {self.name!r} of the Hub: rename it." if self._hides_an_id else ""
            raise CheckpointNotFound(f"there is no {name} in the folder {str(self.path)!r}. It holds: {here}.{hint}")
        return path

    def files(self) -> list[str]:
        """The names of the files in the folder itself, sorted."""
        return sorted(entry.name for entry in self.path.iterdir() if entry.is_file()) if self.path.is_dir() else []


def read_json(path: Path) -> Any:
    """The JSON value of a file.   Raises CheckpointNotFound, CorruptCheckpoint."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise CorruptCheckpoint(
                f"{path} has {path.stat().st_size} bytes; at most {_MAX_JSON_BYTES} are read as JSON."
            )
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise CheckpointNotFound(f"there is no file {path}.") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, CorruptCheckpoint):
            raise
        raise CorruptCheckpoint(f"{path} is not JSON: {error}.") from None


def inside(folder: Path, name: str) -> Path:
    """folder/name.   Raises UnsafeCheckpoint for a name that could lead elsewhere, on this system or on Windows."""
    if not name:
        return folder
    for part in name.split("/"):
        check_file_name(part, name)
    return folder.joinpath(*PurePosixPath(name).parts)


def check_file_name(part: str, whole: str | None = None) -> str:
    """One plain file name.   Raises UnsafeCheckpoint for '..', separators, drives, devices and the like."""
    plain = (
        isinstance(part, str)
        and 0 < len(part) <= 255
        and part not in (".", "..")
        and "/" not in part
        and not part.endswith((".", " "))
        and not _FORBIDDEN.search(part)
        and not _RESERVED.fullmatch(part)
    )
    if not plain:
        raise UnsafeCheckpoint(f"{whole or part!r:.200} is not the name of a file inside a checkpoint's folder.")
    return part
