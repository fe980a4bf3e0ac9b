"""Answers that stand in an English text, or none.   An adapter of the shared encoder."""

from __future__ import annotations

from pathlib import Path

from panpipe import Dataset

from .common import Row, lora, minilm, rows_of, tune

TASK, LANGUAGE = "question-answering", "en"


def row(given: Row) -> Row | None:
    """A question with its context and answers; the templated ones are left out."""
    if given["source"] == "restaurant8k":
        return None
    return {name: given[name] for name in ("question", "context", "answers", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """Two passes over 44,000 questions, those on SQuAD's paragraphs twice in each."""
    rows = {split: rows_of(data, "qa/en", split, row) for split in ("train", "validation")}
    long = [each for each in rows["train"] if each["source"] == "squad_v1_dev"]
    rows["train"] = Dataset.from_list([*rows["train"], *long])
    return tune(
        "question-answering", minilm(), rows, work, share, lora=lora(), num_train_epochs=2, learning_rate=1e-3,
        max_length=384, doc_stride=128, columns={"question": "question", "context": "context", "answers": "answers"},
    )  # fmt: skip
