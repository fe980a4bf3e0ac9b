"""Ctrl-C and SIGTERM while training: noticed between steps, so that what is written is whole."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interruption"]

_log = logging.getLogger("panpipe")


class Interruption:
    """While it is entered, the first such signal is counted in `seen`; the second does what it always does.

    Only the main thread can be told of signals; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._notice)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.seen = 1
        _log.warning("stopping after this step, with a checkpoint; again to stop at once.")
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)
