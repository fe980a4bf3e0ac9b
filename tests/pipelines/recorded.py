"""The answers recorded from transformers by tests/golden/make_pipelines_b.py, and the pipelines to ask again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "golden" / "pipelines_b"
FAMILIES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
TASK_OF = {"ner": "token-classification"}


@cache
def model(family: str, task: str) -> Any:
    from panpipe.models import load_model

    return load_model(FOLDER / family / TASK_OF.get(task, task))


@cache
def tokenizer(family: str) -> Any:
    from panpipe.tokenization import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER / family)


def make(task: str, family: str, **parameters: Any) -> Any:
    """Our pipeline of that task on the family's tiny model."""
    from panpipe.pipelines.tasks import check_task

    made = check_task(task)[1].pipeline_class
    return made(model=model(family, task), tokenizer=tokenizer(family), task=task, **parameters)


@cache
def rows() -> list[dict[str, Any]]:
    with (FOLDER / "answers.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cases(*tasks: str) -> list[Any]:
    """pytest parameters: what was asked in these tasks, with the answer."""
    chosen = [row for row in rows() if row["task"] in tasks]
    return [pytest.param(row, id=f"{row['family']}-{number}") for number, row in enumerate(chosen)]


def assert_same(ours: Any, theirs: Any, where: str = "answer") -> None:
    """Equal, scores within 1e-4: float32 sums in another order, through two layers of a model with wide weights."""
    assert type(ours) is type(theirs), f"{where}: {ours!r} instead of {theirs!r}"
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{where}[{key!r}] of {theirs}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), f"{where}: {ours!r} instead of {theirs!r}"
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(mine, other, f"{where}[{index}]")
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, abs=1e-4), where
    else:
        assert ours == theirs, where
