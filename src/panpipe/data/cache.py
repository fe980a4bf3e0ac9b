"""Where data sets are kept between runs: each result in a folder of its own, named by what it was made of."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import CorruptCheckpoint, DataError
from .columns import Column
from .features import Feature, feature_from_json
from .storing import TABLE, is_table, open_table, whole_folder

__all__ = ["CacheInfo", "Stored", "cache_clear", "cache_info", "cached", "data_cache", "opened"]

_ABANDONED_SECONDS = 24 * 3600


class CacheInfo(NamedTuple):
    """What the cache holds.   tables: data sets and results of map and filter."""

    folder: Path
    tables: int
    size_bytes: int


class Stored(NamedTuple):
    """A table that was written."""

    columns: dict[str, Column]
    rows: int
    features: dict[str, Feature]
    note: object


def data_cache(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """The folder: as given, else PANPIPE_DATA_CACHE, else panpipe/data in XDG_CACHE_HOME or ~/.cache."""
    chosen = cache_dir or os.environ.get("PANPIPE_DATA_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "panpipe" / "data"


def cache_info(cache_dir: str | os.PathLike[str] | None = None) -> CacheInfo:
    """How much is kept, and where."""
    folder = data_cache(cache_dir)
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return CacheInfo(folder, sum(path.name == TABLE for path in files), sum(path.stat().st_size for path in files))


def cache_clear(cache_dir: str | os.PathLike[str] | None = None) -> CacheInfo:
    """Forget what is kept; says what that was. Data sets that are open stay readable, except on Windows."""
    held = cache_info(cache_dir)
    for part in ("tables", "files"):  # nothing else in a folder that somebody chose
        shutil.rmtree(held.folder / part, ignore_errors=True)
    return held


def cached(cache: Path, name: str | None, write: Callable[[Path], Any], again: bool = False) -> Stored:
    """The table of that name in the cache; if it is not there, what `write` puts into the folder that it is given.

    again: write it in any case. Without a name the files vanish from the disk when nothing reads them any more.
    """
    if name is None:
        (cache / "tables").mkdir(parents=True, exist_ok=True)
        passing = Path(tempfile.mkdtemp(prefix=".", suffix=".incomplete", dir=cache / "tables"))
        try:
            write(passing)
            return opened(passing)
        finally:
            shutil.rmtree(passing, ignore_errors=True)  # the maps keep the bytes
    path = cache / "tables" / name
    if not again and is_table(path):
        with contextlib.suppress(DataError, CorruptCheckpoint):  # a disk that lost some of it: it is made again
            return opened(path)
    _sweep(path.parent)
    with whole_folder(path, replace=again or path.exists()) as folder:
        write(folder)
    return opened(path)


def opened(folder: Path) -> Stored:
    """The table in a folder.   Raises DataError."""
    columns, rows, features, note = open_table(folder)
    described = features if isinstance(features, dict) else {}
    known = {name: feature_from_json(value) for name, value in described.items() if name in columns}
    return Stored(columns, rows, known, note)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind a day ago or earlier."""
    for path in folder.glob(".*.incomplete"):
        try:
            is_old = time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
        except OSError:  # another process was quicker
            continue
        if is_old:
            shutil.rmtree(path, ignore_errors=True)
