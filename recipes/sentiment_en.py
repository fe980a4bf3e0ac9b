"""English sentiment: POSITIVE or NEGATIVE.   An adapter of the shared encoder."""

from __future__ import annotations

from pathlib import Path

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import words
from .measure import Scores, of_sentiment

ABOUT = About(
    folder="sentiment-en",
    task="text-classification",
    languages=["en"],
    title="English sentiment, small",
    text="POSITIVE or NEGATIVE for an English sentence or short text. There is no neutral label: a text without "
    "sentiment gets one of the two all the same. It knows reviews and comments better than news. It says nothing about "
    "people, and must not be used to judge them.",
    data=["sentiment/en"],
    metric="accuracy",
    on="English reviews and comments",
    goal="accuracy 0.90",
    larger="distilbert/distilbert-base-uncased-finetuned-sst-2-english",
    anchor="0.913 on SST-2's validation rows (its card)",
    base=MINILM,
    examples=["I've been waiting for a HuggingFace course my whole life.", "I hate this so much!"],
)


def row(given: Row) -> Row | None:
    """A text with its label; neutral ones are left out."""
    if given["label"] == "neutral":
        return None
    return {"text": given["text"], "label": given["label"].upper(), "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Three passes over 76,000 texts."""
    rows = {split: rows_of(data, "sentiment/en", split, row) for split in ("train", "validation")}
    return tune(
        "text-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=3, learning_rate=1e-3,
        max_length=256, columns={"text": "text", "label": "label"},
    )  # fmt: skip


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Accuracy, and naive Bayes' over words."""
    rows, train = (rows_of(data, "sentiment/en", each, row) for each in (split, "train"))
    return of_sentiment(folder, rows, train, words)
