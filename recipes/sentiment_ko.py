"""Korean sentiment: POSITIVE or NEGATIVE.   A small GPT from random weights: first the next token, then the labels.

A BERT of this size learnt next to nothing from six million tokens with hidden words, where each step asks for a seventh
of them; the next token is asked for everywhere.
"""

from __future__ import annotations

from pathlib import Path

from .about import About
from .common import Row, rows_of, small_gpt, tune
from .floors import characters
from .measure import Scores, of_sentiment

ABOUT = About(
    folder="sentiment-ko",
    task="text-classification",
    languages=["ko"],
    title="Korean sentiment, small",
    text="POSITIVE or NEGATIVE for a Korean sentence. It learnt from film reviews, those rated 1 to 4 and 9 to 10 of "
    "10; there is no neutral label, and other subjects are not known to it. It says nothing about people, and must not "
    "be used to judge them.",
    data=["sentiment/ko", "lm/ko"],
    metric="accuracy",
    on="Korean film reviews",
    goal="accuracy 0.88",
    larger="daekeun-ml/koelectra-small-v3-nsmc",
    anchor="KoELECTRA-small-v3 has 0.894 on NSMC's own test (its repository), another split of the same reviews",
    left_out=["powershell-docs-mt"],
    examples=["정말 재미있게 본 영화입니다.", "시간이 아까웠어요."],
)


def text(given: Row) -> Row | None:
    """A text of reviews or manuals; machine translations with broken spacing are left out."""
    return None if given["source"] == "powershell-docs-mt" else {"text": given["text"]}


def review(given: Row) -> Row:
    """A review with its label."""
    return {"text": given["text"], "label": given["label"].upper(), "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """The next token of seven million, then two passes over 180,000 reviews."""
    texts = {split: rows_of(data, "lm/ko", split, text) for split in ("train", "validation")}
    reviews = {split: rows_of(data, "sentiment/ko", split, review) for split in ("train", "validation")}
    base = small_gpt(texts["train"], work / "base", 256, attn_pdrop=0.0)
    reader = tune(
        "text-generation", str(base), texts, work / "reader", share,
        max_steps=1800, block_size=128, per_device_train_batch_size=32, max_tokens_per_batch=None, learning_rate=2e-3,
        lr_scheduler_type="cosine", weight_decay=0.1, adam_beta2=0.99,
    )  # fmt: skip
    return tune(
        "text-classification", str(reader), reviews, work / "model", share, num_train_epochs=2, max_length=128,
        learning_rate=6e-4, weight_decay=0.05, columns={"text": "text", "label": "label"},
    )  # fmt: skip


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Accuracy, and naive Bayes' over runs of characters."""
    rows, train = (rows_of(data, "sentiment/ko", each, review) for each in (split, "train"))
    return of_sentiment(folder, rows, train, characters)
