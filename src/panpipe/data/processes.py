"""A function's work on many rows divided among processes, each of which writes a table of its own.

The processes are forks, so that functions need not be picklable; where there is no safe fork (macOS, Windows) the work
is done in one process. The results come in the order of the rows.
"""

from __future__ import annotations

import multiprocessing
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from .columns import Column
from .storing import TableWriter, open_table

__all__ = ["Fill", "filled", "spans"]

Fill = Callable[[TableWriter, int, int], None]
"""Puts what rows begin … end - 1 give into a table."""

_LEAST_ROWS = 1000  # per process: a fork and a table of its own cost some tens of milliseconds
_COPIED = 1 << 16
_ERROR = "error.pickle"


def spans(rows: int, batch_size: int, processes: int | None) -> list[tuple[int, int]]:
    """(begin, end) of the rows of each process, in whole batches."""
    number = min(processes or 1, rows // max(_LEAST_ROWS, batch_size)) if sys.platform == "linux" else 1
    if number < 2:
        return [(0, rows)]
    share = -(-rows // number // batch_size) * batch_size
    return [(begin, min(begin + share, rows)) for begin in range(0, rows, share)]


def filled(folder: Path | None, parts: list[tuple[int, int]], fill: Fill) -> TableWriter:
    """The table of all parts, in the folder or in memory.   Raises what a process raised."""
    with TableWriter(folder) as writer:
        if len(parts) == 1:
            fill(writer, *parts[0])
        else:
            _fill_in_processes(folder, parts, fill, writer)
        return writer


def _fill_in_processes(folder: Path | None, parts: list[tuple[int, int]], fill: Fill, writer: TableWriter) -> None:
    with tempfile.TemporaryDirectory(
        dir=None if folder is None else folder.parent, prefix=".", suffix=".part"
    ) as place:
        for columns, rows in _made(Path(place), parts, fill):
            for begin in range(0, rows, _COPIED):
                end = min(begin + _COPIED, rows)
                writer.extend({name: column.slice(begin, end) for name, column in columns.items()}, end - begin)


def _made(place: Path, parts: list[tuple[int, int]], fill: Fill) -> Iterator[tuple[dict[str, Column], int]]:
    folders = [place / str(number) for number in range(len(parts))]
    fork = multiprocessing.get_context("fork")
    processes = [
        fork.Process(target=_work, args=(folder, part, fill), daemon=True)
        for folder, part in zip(folders, parts, strict=True)
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads, which the user asked for
            for process in processes:
                process.start()
        for folder, process in zip(folders, processes, strict=True):
            process.join()
            _raise_error(folder, process.exitcode)
            columns, rows, *_ = open_table(folder)
            yield columns, rows
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()


def _work(folder: Path, part: tuple[int, int], fill: Fill) -> None:
    folder.mkdir()
    try:
        with TableWriter(folder) as writer:
            fill(writer, *part)
            writer.finish()
    except Exception as error:  # handed to the parent
        try:
            data = pickle.dumps(error)
            pickle.loads(data)
        except Exception:
            data = pickle.dumps(DataError(f"{type(error).__name__}: {error}"))
        (folder / _ERROR).write_bytes(data)


def _raise_error(folder: Path, code: int | None) -> None:
    if (folder / _ERROR).is_file():
        error: Any = pickle.loads((folder / _ERROR).read_bytes())  # our own process wrote it, a moment ago
        raise error
    if code:
        raise DataError(f"a process of num_proc ended with the code {code}. Try num_proc=1, which shows where.")
