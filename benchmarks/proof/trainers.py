"""The two Trainers, made from the same words. Each lives in a process of its own and imports nothing of the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["MAKERS", "Job"]


@dataclass(frozen=True)
class Job:
    """A run: head and checkpoint, features, and settings as both call them."""

    head: str
    start: str
    output: str
    features: list[dict[str, Any]]
    settings: dict[str, Any]
    test_features: list[dict[str, Any]]

    @property
    def arguments(self) -> dict[str, Any]:
        """TrainingArguments, of both."""
        usual = {"save_strategy": "no", "logging_steps": 25, "disable_tqdm": True, "use_cpu": True, "report_to": "none"}
        return {"output_dir": self.output, "per_device_eval_batch_size": 32, **usual, **self.settings}


def ours(job: Job, rows: Any, callback: type) -> Any:
    """panpipe's Trainer."""
    import panpipe
    from panpipe import training
    from panpipe.models import load_model

    tokenizer = panpipe.AutoTokenizer.from_pretrained(job.start)
    is_ner = job.head == "token-classification"
    collator = training.DataCollatorForTokenClassification if is_ner else training.DataCollatorWithPadding
    return training.Trainer(
        load_model(job.start, job.head),
        training.TrainingArguments(**job.arguments),
        collator(tokenizer),
        rows,
        processing_class=tokenizer,
        callbacks=[type("Turns", (callback, training.TrainerCallback), {})],
    )


def theirs(job: Job, rows: Any, callback: type) -> Any:
    """transformers' Trainer, with its own model."""
    import transformers

    heads = {
        "sequence-classification": transformers.AutoModelForSequenceClassification,
        "token-classification": transformers.AutoModelForTokenClassification,
        "question-answering": transformers.AutoModelForQuestionAnswering,
    }
    tokenizer = transformers.AutoTokenizer.from_pretrained(job.start)
    is_ner = job.head == "token-classification"
    collator = transformers.DataCollatorForTokenClassification if is_ner else transformers.DataCollatorWithPadding
    return transformers.Trainer(
        heads[job.head].from_pretrained(job.start),
        transformers.TrainingArguments(**job.arguments),
        collator(tokenizer),
        rows,
        processing_class=tokenizer,
        callbacks=[type("Turns", (callback, transformers.TrainerCallback), {})],
    )


MAKERS = {"panpipe": ours, "transformers": theirs}
