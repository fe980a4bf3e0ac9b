"""The answers recorded from transformers by tests/golden/make_pipelines_c.py, and the pipelines to ask again."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "golden" / "pipelines_c"
TOKENIZERS = Path(__file__).parents[1] / "golden" / "tokenizers"
TOKENIZER_OF = {"gpt2": "gpt2", "llama": "smollm", "mbart": "mbart50", "m2m_100": "m2m100"}
MAX_LENGTHS = {"bart": 64, "t5": 512}


@cache
def model(family: str, engine: str | None = None) -> Any:
    from panpipe.models import load_model

    return load_model(FOLDER / family, engine=engine)


@cache
def tokenizer(family: str, **settings: Any) -> Any:
    from panpipe.tokenization import AutoTokenizer

    if family in MAX_LENGTHS:
        settings = {"model_max_length": MAX_LENGTHS[family], **settings}
    return AutoTokenizer.from_pretrained(TOKENIZERS / TOKENIZER_OF.get(family, family), **settings)


def make(task: str, family: str, **parameters: Any) -> Any:
    """Our pipeline of that task on the family's tiny model."""
    from panpipe.pipelines.tasks import check_task

    made = check_task(task)[1].pipeline_class
    return made(model=model(family), tokenizer=tokenizer(family), task=task, **parameters)


@cache
def rows() -> list[dict[str, Any]]:
    with (FOLDER / "answers.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cases(*tasks: str) -> list[Any]:
    """pytest parameters: what was asked in these tasks, with the answer."""
    chosen = [row for row in rows() if row["task"].startswith(tasks)]
    return [pytest.param(row, id=f"{row['task']}-{row['family']}-{number}") for number, row in enumerate(chosen)]


def ask(row: dict[str, Any]) -> Any:
    """Our answer to what was asked; arrays as lists."""
    return plain(make(row["task"], row["family"], **row["make"])(*row["call"], **row["options"]))


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value
