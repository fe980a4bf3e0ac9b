"""A function's work on many rows divided among processes, each of which writes a table of its own.

The processes are forks, so that functions need not be picklable; where there is no safe fork (macOS, Windows) the work
is done in one process. The results come in the order of the rows.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
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
    near = None if folder is None else folder.parent
    with tempfile.TemporaryDirectory(".incomplete", ".", near) as place:
        for columns, rows in _made(Path(place), parts, fill):
            for begin in range(0, rows, _COPIED):
                end = min(begin + _COPIED, rows)
                writer.extend({name: column.slice(begin, end) for name, column in columns.items()}, end - begin)


def _made(place: Path, parts: list[tuple[int, int]], fill: Fill) -> Iterator[tuple[dict[str, Column], int]]:
    """The tables of the parts, in order."""
    fork = multiprocessing.get_context("fork")
    folders = [place / str(number) for number in range(len(parts))]
    pipes = [fork.Pipe(duplex=False) for _ in parts]
    processes = [
        fork.Process(target=_work, args=(folder, part, fill, sender), daemon=True)
        for folder, part, (_, sender) in zip(folders, parts, pipes, strict=True)
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads, which the user asked for
            for process in processes:
                process.start()
        for _, sender in pipes:
            sender.close()  # so that the end of a process that is killed can be seen
        for folder, (receiver, _), process in zip(folders, pipes, processes, strict=True):
            error = _received(receiver)
            if error is not None:
                raise error
            process.join()
            columns, rows, *_ = open_table(folder)
            yield columns, rows
    finally:
        for process, (receiver, _) in zip(processes, pipes, strict=True):
            process.terminate()
            process.join()
            receiver.close()


def _work(folder: Path, part: tuple[int, int], fill: Fill, answer: Any) -> None:
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # the parent's may have been held when we were forked, and nobody lets it go here
    folder.mkdir()
    try:
        with TableWriter(folder) as writer:
            fill(writer, *part)
            writer.finish()
        answer.send(None)
    except Exception as error:  # handed to the parent
        try:
            answer.send(error)
        except Exception:  # what it holds cannot be sent
            answer.send(DataError(f"{type(error).__name__}: {error}"))


def _received(answer: Any) -> Exception | None:
    """The error of a process, or None.   The parent's own forks are the only ones that write there."""
    try:
        return answer.recv()  # type: ignore[no-any-return]
    except EOFError:
        return DataError("a process of num_proc was killed; is there enough memory? Fewer processes take less.")
    except Exception as error:  # an exception that cannot be made again from what was sent
        return DataError(f"a process of num_proc ended with an error ({error}). Try num_proc=1, which shows it.")
