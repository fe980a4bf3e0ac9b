"""The models that panpipe answers with when none is named."""

from __future__ import annotations

from pathlib import Path

__all__ = ["path", "tasks"]

_FOLDERS = {"sentiment-analysis": "sentiment-analysis", "text-classification": "sentiment-analysis"}


def tasks() -> tuple[str, ...]:
    """The tasks that have a model here."""
    return tuple(_FOLDERS)


def path(task: str) -> Path | None:
    """The checkpoint folder of a task's model, or None where there is none."""
    folder = _FOLDERS.get(task)
    return None if folder is None else Path(__file__).parent / folder
