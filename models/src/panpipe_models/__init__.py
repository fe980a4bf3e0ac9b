"""The models that panpipe answers with when none is named: folders of checkpoints, and `models.json`, which lists them.

A folder is an ordinary checkpoint, or a LoRA adapter whose base is another of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Model", "base", "find", "models"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Model:
    """A row of models.json.

    folder: of the checkpoint or adapter.   task: panpipe's name of it.
    languages: "en", …; of translation the directions, "fr-en", …   score: how good it is, in a phrase.
    larger: the Hub's model for more accuracy.   hub_id: the Hub's model whose weights these are; "" for our own.
    """

    folder: Path
    task: str
    languages: tuple[str, ...]
    score: str
    larger: str
    hub_id: str = ""

    def __str__(self) -> str:
        return self.folder.name


def models() -> tuple[Model, ...]:
    """All models, as models.json has them.   Raises ValueError where it cannot be read."""
    return _read(_HERE)


def find(task: str, language: str | None = None) -> Model | None:
    """The first model of a task, or of a task and language; None where there is none.   Raises ValueError."""
    wanted = (model for model in models() if model.task == task)
    return next((model for model in wanted if language is None or language in model.languages), None)


def base(hub_id: str) -> Path | None:
    """The folder that has the weights of a Hub's model, or None.   Raises ValueError."""
    return next((model.folder for model in models() if hub_id and model.hub_id == hub_id), None)


@cache
def _read(folder: Path) -> tuple[Model, ...]:
    path = folder / "models.json"
    try:
        rows = json.loads(path.read_text("utf-8"))
        if not isinstance(rows, list):
            raise ValueError("it must be a list")
        return tuple(_model(folder, row) for row in rows)
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}: {error}") from None


def _model(folder: Path, row: dict[str, Any]) -> Model:
    texts = {name: str(row[name]) for name in ("task", "score", "larger")}
    languages = tuple(map(str, row["languages"]))
    if isinstance(row["languages"], str) or not languages:
        raise ValueError(f"{row['folder']} has no list of languages")
    return Model(folder / row["folder"], languages=languages, hub_id=row.get("hub_id", ""), **texts)
