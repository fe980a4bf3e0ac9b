"""`panpipe tasks`: what can be done, and with which model by default."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from .parser import Parser, parse
from .writers import columns_of, to_json

__all__ = ["list_tasks", "tasks", "told"]


def tasks(arguments: Sequence[str]) -> int:
    """Print the table of tasks."""
    parser = Parser("panpipe tasks", "The tasks, their other names and their default models.")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each task")
    given = parse(parser, arguments)
    rows = list_tasks()
    if given.json:
        for row in rows:
            print(to_json(row))
    else:
        columns_of([{**row, "embedded": ", ".join(row["embedded"]) or "no"} for row in rows], sys.stdout)
    return 0


def list_tasks() -> list[dict[str, Any]]:
    """For each task its name, its alias, the languages of its embedded models, and the models without --model."""
    from ..pipelines.defaults import embedded_for
    from ..pipelines.tasks import ALIASES, TASKS

    alias = {name: other for other, name in ALIASES.items()}
    rows = []
    for task in TASKS.values():
        models = embedded_for(task.name)
        rows.append(
            {
                "task": task.name,
                "alias": alias.get(task.name, ""),
                "embedded": [language for model in models for language in model.languages],
                "model": "; ".join(map(told, models)) or _default(task),
            }
        )
    return rows


def told(model: Any) -> str:
    """An embedded model, and how good it is."""
    return f"{model.folder.name} ({model.score})"


def _default(task: Any) -> str:
    """A task's model; of translation, those of its pairs of languages."""
    from ..pipelines.tasks import TRANSLATIONS

    if task.model is not None:
        return f"{task.model} at {task.revision}"
    if task.name != "translation":
        return ""
    models = {f"{model} at {revision}" for model, revision in TRANSLATIONS.values()}
    pairs = ", ".join(f"{source} to {target}" for source, target in TRANSLATIONS)
    return f"{', '.join(sorted(models))} ({pairs})"
