"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["whole_file"]


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new empty file beside `path`, to be filled; it takes that name if the block ends well, and vanishes if not.

    A link at `path` is replaced, not followed.
    """
    temporary = path.with_name(f".{os.urandom(8).hex()}.incomplete")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # never a file or link that is there
    try:
        yield temporary
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
