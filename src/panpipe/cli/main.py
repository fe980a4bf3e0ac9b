"""Which verb, and what its errors become: one line on stderr and an exit code.

0 done   1 an error   2 a command that cannot be meant   130 Ctrl-C
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..errors import InvalidArgument, PanpipeError, UnknownTask, did_you_mean
from .terminal import one_line, prepare

__all__ = ["main"]

_log = logging.getLogger("panpipe")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    is_debug = "--debug" in given
    if given[:1] == ["--debug"]:
        given.pop(0)
    prepare(sys.stdout)
    with _messages():
        try:
            code = _run(given)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
        except SystemExit as stop:  # argparse, after --help
            return int(stop.code or 0)
        except KeyboardInterrupt:
            return _say("interrupted; what was written is whole.", 130)
        except (PanpipeError, OSError) as error:
            if _is_closed_pipe(error):
                return _leave_quietly()
            if is_debug:
                raise
            what = str(error) if isinstance(error, PanpipeError) else f"{type(error).__name__}: {error}"
            return _say(f"error: {what}", 2 if isinstance(error, (InvalidArgument, UnknownTask)) else 1)


def _run(given: list[str]) -> int:
    verb = next(iter(given), "--help")
    if verb in ("-h", "--help", "help"):
        print(_help())
        return 0
    if verb in ("-V", "--version"):
        from .. import __version__

        print(f"panpipe {__version__}")
        return 0
    if verb in _VERBS:
        return _VERBS[verb](given[1:])
    from ..pipelines.tasks import check_task, get_supported_tasks

    if verb.startswith("-"):
        raise InvalidArgument(f"{verb} comes after a task or verb: panpipe TASK {verb} … See: panpipe --help")
    try:
        check_task(verb)
    except UnknownTask as error:
        near = did_you_mean(verb, [*_VERBS, *get_supported_tasks()])
        if any(repr(name) in near for name in _VERBS):
            raise UnknownTask(f"{verb!r} is not a task or verb.{near} See: panpipe --help") from None
        raise error
    from .run_task import run_task

    return run_task(verb, given[1:])


def _verb(name: str) -> Callable[[list[str]], int]:
    """The function of that name in the module of that name, imported when it is called."""

    def run(given: list[str]) -> int:
        function: Callable[[list[str]], int] = getattr(importlib.import_module(f".{name}", __package__), name)
        return function(given)

    return run


_VERBS = {name: _verb(name) for name in ("info", "doctor", "tasks", "train", "evaluate", "tokenizer", "energy")}


def _help() -> str:
    from ..pipelines.tasks import get_supported_tasks

    names = "\n".join(f"  panpipe {task}" for task in get_supported_tasks())
    return f"""Text models on the command line.

usage: panpipe TASK [TEXT …] [--input FILE] [options]
       panpipe info MODEL
       panpipe doctor
       panpipe tasks
       panpipe train | evaluate | tokenizer | energy …

  panpipe sentiment-analysis "I've been waiting for a HuggingFace course my whole life."
  panpipe ner --input news.jsonl --aggregation-strategy simple --output entities.jsonl
  cat reviews.txt | panpipe zero-shot-classification --labels delivery,quality,price

On a terminal the answers are a table; in a pipe or file, a line of JSON for each input.

tasks (each has a --help of its own):
{names}

verbs:
  info MODEL    what a model is: a folder, a model id of the Hub, or a task's default
  doctor        this machine: versions, instruction sets, threads, speed, caches, network
  tasks         the tasks and their default models
  train TASK    teach a model: --model M --data D --output O
  evaluate TASK how good a model is: --model M --data D
  tokenizer     train one from texts, or show how one cuts them
  energy        report what runs have cost, or estimate it

options: --version, --help; after a task or verb: --debug, to see where an error came from"""


# -- messages and endings ---------------------------------------------------------------------------------------------


@contextmanager
def _messages() -> Iterator[None]:
    """The library's log and warnings as lines on stderr, for as long as the command runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    _log.addHandler(handler)

    def show(message: Any, category: type[Warning], *_: Any) -> None:
        _say(f"warning: {message}", 0)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show  # type: ignore[assignment]
            yield
    finally:
        _log.removeHandler(handler)


class _OneLine(logging.Formatter):
    """A message as one line; what it quotes from a checkpoint cannot steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(f"panpipe: {record.getMessage()}")


def _say(message: str, code: int) -> int:
    if sys.stderr is not None:
        print(one_line(f"panpipe: {message}"), file=sys.stderr)
    return code


def _is_closed_pipe(error: BaseException) -> bool:
    """Whether whoever read our output went away; Windows calls that an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        sys.platform == "win32" and isinstance(error, OSError) and error.errno == errno.EINVAL
    )


def _leave_quietly() -> int:
    """Nobody reads: let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 0
