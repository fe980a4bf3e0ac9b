"""English sentiment: POSITIVE or NEGATIVE.   An adapter of the shared encoder."""

from __future__ import annotations

from pathlib import Path

from .common import Row, lora, minilm, rows_of, tune

TASK, LANGUAGE = "sentiment-analysis", "en"


def row(given: Row) -> Row | None:
    """A text with its label; neutral ones are left out."""
    if given["label"] == "neutral":
        return None
    return {"text": given["text"], "label": given["label"].upper(), "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Two passes over 76,000 texts."""
    rows = {split: rows_of(data, "sentiment/en", split, row) for split in ("train", "validation")}
    return tune(
        "text-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=2, max_length=256,
        columns={"text": "text", "label": "label"},
    )  # fmt: skip
