"""Training, on PyTorch: the Trainer, its data and what it costs. Everything is imported when it is first used."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingDependency

_WHERE = {
    name: module
    for module, names in {
        ".trainer": ("Seq2SeqTrainer", "TrainOutput", "Trainer"),
        ".arguments": ("Seq2SeqTrainingArguments", "TrainingArguments"),
        ".evaluation": ("EvalPrediction", "PredictionOutput"),
        ".state": (
            "EarlyStoppingCallback",
            "PrinterCallback",
            "ProgressCallback",
            "TrainerCallback",
            "TrainerControl",
            "TrainerState",
        ),
        ".collators": (
            "DataCollatorForDenoising",
            "DataCollatorForLanguageModeling",
            "DataCollatorForSeq2Seq",
            "DataCollatorForSpanCorruption",
            "DataCollatorForTokenClassification",
            "DataCollatorForWholeWordMask",
            "DataCollatorWithPadding",
            "DefaultDataCollator",
            "default_data_collator",
        ),
        ".schedules": ("get_scheduler",),
        ".lora": ("LoraConfig", "apply_lora", "freeze", "get_peft_model", "load_adapter", "save_adapter"),
        ".head": ("fit_head",),
        ".run": ("TrainResult", "evaluate", "train"),
    }.items()
    for name in names
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_WHERE[name], __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "accelerate"):
            raise
        raise MissingDependency('training needs PyTorch and accelerate: pip install "panpipe[train]"') from error


def __dir__() -> list[str]:
    return sorted(__all__)
