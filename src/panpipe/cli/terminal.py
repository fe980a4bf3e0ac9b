"""What a terminal needs: columns of equal width in any script, colour where it is wanted, lines written whole."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

__all__ = [
    "bold",
    "elided",
    "is_terminal",
    "lines",
    "one_line",
    "padded",
    "prepare",
    "terminal_width",
    "undisturbed",
    "width",
    "write_line",
    "write_piece",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def prepare(stream: TextIO | None) -> None:
    """Let a stream take every character: UTF-8 into files and pipes, on a terminal what its code page has."""
    reconfigure = getattr(stream, "reconfigure", None)
    if stream is None or reconfigure is None:
        return
    if is_terminal(stream):
        reconfigure(errors="replace")
    else:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads (or types) there."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def write_line(stream: TextIO, line: str) -> None:
    """The line, whole: Ctrl-C waits for it."""
    with undisturbed():
        stream.write(line + "\n")
        stream.flush()


def write_piece(stream: TextIO, text: str) -> None:
    """A part of a line, whole."""
    with undisturbed():
        stream.write(text)
        stream.flush()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C takes effect after the block; a second one at once."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> Any:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def bold(text: str, stream: TextIO) -> str:
    """The text in bold, if the stream is a terminal that knows how (NO_COLOR is honoured: https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not is_terminal(stream)
    old_windows = sys.platform == "win32" and not os.environ.get("WT_SESSION")
    return text if plain or old_windows else f"\x1b[1m{text}\x1b[0m"


def terminal_width() -> int:
    """The columns of the terminal."""
    return max(40, shutil.get_terminal_size((100, 24)).columns)


def width(text: str) -> int:
    """The columns that a text takes: two for a Korean syllable or an ideograph, none for a combining mark."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text filled up with spaces."""
    space = " " * (columns - width(text))
    return space + text if right else text + space


def elided(text: str, columns: int) -> str:
    """The text on one line, cut to so many columns; without what could steer a terminal."""
    text = one_line(text)
    if width(text) <= columns:
        return text
    used = 1  # the sign of omission
    for index, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:index] + "…"
    return text


def one_line(text: str) -> str:
    """The text without line breaks and what else could steer a terminal."""
    return _CONTROL.sub(" ", text)


def lines(text: str) -> str:
    """The text with its line breaks and tabs, without what else could steer a terminal."""
    return _STEERING.sub("", text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
