"""How the scripts here are run: `python -m benchmarks.prepare.SCRIPT MODEL FORM` makes one form of one model."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.models import MODELS, ModelFiles

__all__ = ["Maker", "main"]

Maker = Callable[[ModelFiles, Path], None]
"""(model, path to write)."""


def main(makers: Mapping[str, Maker]) -> None:
    """Make what the command line names, whole or not at all."""
    model, form = sys.argv[1:]
    files = MODELS[model]
    path = files.path(form)
    unfinished = path.with_name(f"unfinished-{path.name}")
    for rest in path.parent.glob("unfinished-*"):
        rest.unlink() if rest.is_file() else shutil.rmtree(rest)
    makers[form](files, unfinished)
    for part in path.parent.glob(f"unfinished-{path.name.partition('.')[0]}*"):  # some forms are two files, of one stem
        part.rename(part.with_name(part.name.removeprefix("unfinished-")))
