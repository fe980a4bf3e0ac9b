"""The tasks: one row each."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArgument, UnknownTask, did_you_mean

__all__ = [
    "ALIASES",
    "EMBEDDED",
    "EMBEDDED_LANGUAGES",
    "PIPELINE_REGISTRY",
    "TASKS",
    "TRANSLATIONS",
    "Task",
    "check_task",
    "get_supported_tasks",
    "task_of_architectures",
    "tasks_of_head",
]

_log = logging.getLogger("panpipe")


@dataclass(frozen=True)
class Task:
    """A task: its class, the model's head, and transformers' default model with the revision it is pinned to.

    prefix: `FillMask` for the class FillMaskPipeline in fill_mask.py, imported when first used.
    """

    name: str
    prefix: str
    head: str | None
    model: str | None = None
    revision: str | None = None
    registered: type | None = None

    @property
    def pipeline_class(self) -> Any:
        """The class that runs the task."""
        module = "." + self.name.replace("-", "_")
        return self.registered or getattr(importlib.import_module(module, __package__), f"{self.prefix}Pipeline")


_SST2 = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
_CONLL = "dbmdz/bert-large-cased-finetuned-conll03-english"
_MNLI = "facebook/bart-large-mnli"
_SQUAD = "distilbert/distilbert-base-cased-distilled-squad"
_CNN = "sshleifer/distilbart-cnn-12-6"
_T5 = ("google-t5/t5-base", "a9723ea")

_ROWS = (
    Task("feature-extraction", "FeatureExtraction", "base", "distilbert/distilbert-base-cased", "6ea8117"),
    Task("fill-mask", "FillMask", "masked-lm", "distilbert/distilroberta-base", "fb53ab8"),
    Task("question-answering", "QuestionAnswering", "question-answering", _SQUAD, "564e9b5"),
    Task("summarization", "Summarization", "seq2seq-lm", _CNN, "a4f8f3e"),
    Task("text-generation", "TextGeneration", "causal-lm", "openai-community/gpt2", "607a30d"),
    Task("text2text-generation", "Text2TextGeneration", "seq2seq-lm", *_T5),
    Task("text-classification", "TextClassification", "sequence-classification", _SST2, "714eb0f"),
    Task("token-classification", "TokenClassification", "token-classification", _CONLL, "4c53496"),
    Task("translation", "Translation", "seq2seq-lm"),
    Task("zero-shot-classification", "ZeroShotClassification", "sequence-classification", _MNLI, "d7645e1"),
)

TASKS: dict[str, Task] = {task.name: task for task in _ROWS}
ALIASES = {"ner": "token-classification", "sentiment-analysis": "text-classification"}

TRANSLATIONS = {("en", "de"): _T5, ("en", "fr"): _T5, ("en", "ro"): _T5}
"""The Hub's default models of translation, by the pair of languages."""

EMBEDDED = frozenset(task for task in TASKS if task != "text2text-generation")
"""The tasks that panpipe-models has models for, once it is installed."""

EMBEDDED_LANGUAGES = frozenset({"", "en", "fr", "ko"})
"""Between which it translates; "" is one that was not said."""

_ARCHITECTURES = {  # the end of an architecture's name: what it is for
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForPreTraining": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "M2M100ForConditionalGeneration": "translation",
    "PegasusForConditionalGeneration": "summarization",
    "ForConditionalGeneration": "text2text-generation",
    "MarianMTModel": "translation",
    "Model": "feature-extraction",
}


def get_supported_tasks() -> list[str]:
    """The names of all tasks, aliases included, sorted."""
    return sorted([*TASKS, *ALIASES])


def check_task(name: str) -> tuple[str, Task, tuple[str, str] | None]:
    """(canonical name, its row, the languages of translation_XX_to_YY).

    Raises UnknownTask, with the near miss and the list.
    """
    if not isinstance(name, str):
        raise UnknownTask(f"a task is a string, not {name!r} ({type(name).__name__}). Tasks: {_listed()}.")
    name = ALIASES.get(name, name)
    if name in TASKS:
        return name, TASKS[name], None
    parts = name.split("_")
    if parts[0] != "translation":
        raise _unknown(name)
    if len(parts) != 4 or parts[2] != "to":
        raise UnknownTask(
            f"Invalid translation task {name!r}: write translation_XX_to_YY, for example translation_en_to_fr."
        )
    return parts[0], TASKS[parts[0]], (parts[1], parts[3])


def _listed() -> str:
    return ", ".join([*get_supported_tasks(), "translation_XX_to_YY"])


def _unknown(name: str) -> UnknownTask:
    hint = did_you_mean(name, get_supported_tasks())
    if "/" in name or "\\" in name:
        hint = f" If it is a model: pipeline(model={name!r})."
    return UnknownTask(f"{name!r} is not a task.{hint} Tasks: {_listed()}.")


def tasks_of_head(head: str | None) -> list[str]:
    """The tasks that a model with this head can do."""
    return [task.name for task in TASKS.values() if task.head == head] or ["no task"]


def task_of_architectures(architectures: tuple[str, ...] | list[str] | None, model: str) -> str:
    """The task that a config's `architectures` name.   Raises InvalidArgument where they name none."""
    for architecture in architectures or ():
        for ending, task in _ARCHITECTURES.items():
            if architecture.endswith(ending):
                return task
    listed = ", ".join(get_supported_tasks())
    raise InvalidArgument(
        f"the config of {model} names no architecture with a task (architectures: {list(architectures or ())}); "
        f"say which: pipeline(task, model=…). Tasks: {listed}."
    )


class PipelineRegistry:
    """The table of tasks, to look at and to add to."""

    @property
    def supported_tasks(self) -> dict[str, Task]:
        """The rows by canonical name."""
        return TASKS

    @property
    def task_aliases(self) -> dict[str, str]:
        """Other names of tasks."""
        return ALIASES

    def get_supported_tasks(self) -> list[str]:
        """The names of all tasks, aliases included, sorted."""
        return get_supported_tasks()

    def check_task(self, task: str) -> tuple[str, Task, tuple[str, str] | None]:
        """(canonical name, its row, the languages of a translation).   Raises UnknownTask."""
        return check_task(task)

    def register_pipeline(
        self,
        task: str,
        pipeline_class: type,
        pt_model: Any = None,
        default: Mapping[str, Any] | None = None,
        type: str | None = None,
    ) -> None:
        """Add a task of one's own, so that `pipeline(task)` finds its class.

        pt_model: the class (or classes) the model is loaded with; else the pipeline class's `head`.
        default: {"pt": (model id, revision)}, the model of `pipeline(task)`.   type: "text".
        Raises InvalidArgument for another type.
        """
        if type not in (None, "text"):
            raise InvalidArgument(f"type={type!r}: panpipe's pipelines take text.")
        if task in TASKS:
            _log.warning("the task %s is already there: its class is now %s.", task, pipeline_class.__name__)
        classes = pt_model if isinstance(pt_model, tuple) else (pt_model,)
        head = getattr(pipeline_class, "head", None) or getattr(classes[0], "head", None)
        given = (default or {}).get("model", default) or {}
        model, revision = given.get("pt", (None, None))
        TASKS[task] = Task(task, pipeline_class.__name__, head, model, revision, pipeline_class)


PIPELINE_REGISTRY = PipelineRegistry()
