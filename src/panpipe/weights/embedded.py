"""The models that come with panpipe: those of the distribution panpipe-models, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, CheckpointNotFound

__all__ = ["AGAIN", "embedded_base", "embedded_models", "is_installed"]

_log = logging.getLogger("panpipe")
AGAIN = "Install it anew: pip install --upgrade --force-reinstall panpipe-models."


def is_installed() -> bool:
    """Whether there are any."""
    return importlib.util.find_spec("panpipe_models") is not None


def embedded_models(task: str | None = None) -> list[Any]:
    """The models of a task, or all; each has folder, task, languages, score, larger and hub_id.

    Raises CheckpointError where the index of the distribution cannot be read, CheckpointNotFound where the folder of
    one of the task's models is not there.
    """
    if not is_installed():
        return []
    try:
        models = importlib.import_module("panpipe_models").models()
    except (ValueError, AttributeError) as error:  # broken, or of an older version
        raise CheckpointError(f"the models that came with panpipe: {error}. {AGAIN}") from None
    found = [model for model in models if task in (None, model.task)]
    missing = [] if task is None else [str(model.folder) for model in found if not model.folder.is_dir()]
    if missing:
        raise CheckpointNotFound(f"of the models that came with panpipe there is no {', '.join(missing)}. {AGAIN}")
    return found


def embedded_base(hub_id: str) -> Path | None:
    """The folder that came with panpipe and holds the weights of a Hub's model, or None."""
    try:
        folder = importlib.import_module("panpipe_models").base(hub_id) if is_installed() else None
    except (ValueError, AttributeError) as error:  # a matter of the installation, and not of the caller's model
        _log.warning("the models that came with panpipe: %s. %s", error, AGAIN)
        return None
    return folder if folder is not None and folder.is_dir() else None
