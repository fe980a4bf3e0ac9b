"""Checkpoints that are whole or not there, whatever kills the process.

A checkpoint is written into a hidden folder, flushed to the disk, signed by a manifest of SHA-256 sums, and then
renamed: a rename happens or does not. Reading begins with the manifest; a folder that does not match it is passed over
for the one before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import CorruptCheckpoint, TrainingError

__all__ = [
    "checked",
    "checkpoints_in",
    "manifest_of",
    "newest_whole",
    "numbered",
    "problem_of",
    "remove",
    "remove_old",
    "write_checkpoint",
]

_log = logging.getLogger("panpipe")

MANIFEST = "manifest.json"
PREFIX = "checkpoint-"
_HALF = ".incomplete-"


def write_checkpoint(folder: Path, write: Callable[[Path], None], about: Mapping[str, Any]) -> None:
    """A folder that appears whole under its name.

    write: fills a folder.   about: goes into the manifest beside the sums.
    Raises TrainingError where it cannot be written (a full disk); what was there before is untouched.
    """
    half = folder.parent / f"{_HALF}{folder.name}-{os.urandom(4).hex()}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        half.mkdir()
        write(half)
        files = {path.relative_to(half).as_posix(): _signed(path) for path in sorted(half.rglob("*")) if path.is_file()}
        manifest = {"format": 1, "created": time.time(), **about, "files": files}
        path = half / MANIFEST
        path.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        _flush(path)
        _flush(half)
        if folder.exists():  # of an earlier run into the same folder
            remove(folder)
        half.rename(folder)
        _flush(folder.parent)
    except OSError as error:
        raise TrainingError(
            f"{folder} could not be written ({error.strerror or error}). The checkpoints before it are whole: make "
            "room, then go on with resume_from_checkpoint=True."
        ) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def problem_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None for a whole one."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        for name, signed in files.items():
            path = folder / name
            if Path(name).is_absolute() or ".." in Path(name).parts:
                return f"its manifest names {name}, outside of it"
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != signed["size_bytes"] or _signed(path) != signed:
                return f"{name} is not what was written"
    except FileNotFoundError:
        return f"it has no {MANIFEST}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {MANIFEST} cannot be read ({type(error).__name__})"
    return None


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a whole checkpoint."""
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def checkpoints_in(output_dir: Path) -> list[Path]:
    """The checkpoints of a folder, whole or not, the last written first."""
    found = numbered(output_dir, PREFIX)
    return sorted(found, key=lambda p: (_created(p), int(p.name[len(PREFIX) :])), reverse=True)


def numbered(output_dir: Path, prefix: str) -> list[Path]:
    """The folders whose names are the prefix and a number."""
    return [p for p in output_dir.glob(prefix + "*") if p.is_dir() and p.name[len(prefix) :].isdecimal()]


def newest_whole(output_dir: Path) -> Path | None:
    """The newest checkpoint that is whole; broken ones are named in the log. None where there is no checkpoint.

    Raises CorruptCheckpoint where there are only broken ones.
    """
    found = checkpoints_in(output_dir)
    for folder in found:
        problem = problem_of(folder)
        if problem is None:
            return folder
        _log.warning("%s is broken: %s. Going back to the one before it.", folder, problem)
    if found:
        raise CorruptCheckpoint(f"all checkpoints in {output_dir} are broken; begin anew in another folder.")
    return None


def checked(folder: Path) -> Path:
    """That checkpoint.   Raises CorruptCheckpoint, TrainingError if there is none."""
    if not folder.is_dir():
        raise TrainingError(f"there is no checkpoint {folder}.")
    problem = problem_of(folder)
    if problem is not None:
        raise CorruptCheckpoint(f"{folder} is broken: {problem}. resume_from_checkpoint=True finds a whole one.")
    return folder


def remove_old(output_dir: Path, limit: int | None) -> None:
    """Remove all but the last `limit` checkpoints, and what killed processes left half written."""
    for half in output_dir.glob(_HALF + "*"):
        shutil.rmtree(half, ignore_errors=True)
    if limit is not None:
        for folder in checkpoints_in(output_dir)[limit:]:
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder so that what is left of it, if this is cut short, is no checkpoint."""
    with contextlib.suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _created(folder: Path) -> float:
    try:
        return float(manifest_of(folder)["created"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def _signed(path: Path) -> dict[str, Any]:
    """The size and sum of a file, which is on the disk afterwards."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        size = file.tell()
    _flush(path)
    return {"sha256": digest.hexdigest(), "size_bytes": size}


def _flush(path: Path) -> None:
    """Onto the disk, not only into the system's memory. (Windows cannot open folders, and keeps their names itself.)"""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
