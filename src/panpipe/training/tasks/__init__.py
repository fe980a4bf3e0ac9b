"""The tasks that can be trained: from the columns of a data set to features, batches and scores. No PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ...errors import UnknownTask, did_you_mean
from .base import TrainingTask
from .language_modeling import Denoising, FillMask, TextGeneration
from .question_answering import QuestionAnswering
from .sequence_to_sequence import Summarization, Text2TextGeneration, Translation
from .text_classification import TextClassification
from .token_classification import TokenClassification

__all__ = ["ALIASES", "TASKS", "TrainingTask", "options_of", "task_named"]

TASKS: dict[str, type[TrainingTask]] = {
    kind.name: kind
    for kind in (
        TextClassification,
        TokenClassification,
        QuestionAnswering,
        Summarization,
        Translation,
        Text2TextGeneration,
        TextGeneration,
        FillMask,
        Denoising,
    )
}
ALIASES = {"sentiment-analysis": "text-classification", "ner": "token-classification", "causal-lm": "text-generation"}
ALIASES |= {"masked-lm": "fill-mask", "zero-shot-classification": "text-classification"}


def task_named(name: str) -> type[TrainingTask]:
    """A task by its name.   Raises UnknownTask."""
    kind = TASKS.get(ALIASES.get(name, name))
    if kind is None:
        near = did_you_mean(name, [*TASKS, *ALIASES])
        raise UnknownTask(f"{name!r} is not a task to train for.{near} Tasks: {', '.join(TASKS)}.")
    return kind


def options_of(kind: type[TrainingTask], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those that are the task's own options, and the others."""
    own = {each.name for each in fields(kind) if each.init}
    return {k: v for k, v in given.items() if k in own}, {k: v for k, v in given.items() if k not in own}
