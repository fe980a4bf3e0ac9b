"""feature-extraction, text and zero-shot classification against recorded answers of transformers 4.57.6."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from panpipe import AutoTokenizer, pipeline
from tests.alike import alike

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = [
    json.loads(line) for line in (GOLDEN / "pipelines_a" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
]
GROUPS = sorted({(answer["task"], answer["family"], answer["model"]) for answer in ANSWERS})


@cache
def tokenizer_of(family: str) -> Any:
    return AutoTokenizer.from_pretrained(GOLDEN / "pipelines_b" / {"camembert": "xlm-roberta"}.get(family, family))


@pytest.mark.parametrize(("task", "family", "model"), GROUPS)
def test_answers_are_those_of_transformers(task: str, family: str, model: str) -> None:
    """Structure, labels and order exactly; numbers to 1e-4, the rounding of another order of summation in float32."""
    folder = GOLDEN / "pipelines_a" / family / model
    pipes: dict[str, Any] = {}
    for asked in ANSWERS:
        if (asked["task"], asked["family"], asked["model"]) != (task, family, model):
            continue
        make = json.dumps(asked["make"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of deprecated names have tests of their own
            if make not in pipes:
                head_model = str(folder) if task != "feature-extraction" or model == "base" else classifier(folder)
                pipes[make] = pipeline(task, model=head_model, tokenizer=tokenizer_of(family), **asked["make"])
            answer = pipes[make](*asked["call"], **asked["options"])
        assert alike(answer, asked["answer"]), (asked, answer)


def classifier(folder: Path) -> Any:
    from panpipe import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder)
