"""English inference between two texts, and by it labels that nobody trained on.   An adapter of the shared encoder."""

from __future__ import annotations

import random
from pathlib import Path

from panpipe import Dataset

from .common import Row, lora, minilm, rows_of, tune

TASK, LANGUAGE = "zero-shot-classification", "en"

TEMPLATES = (
    *["This example is {}."] * 4, "This text is about {}.", "The topic is {}.", "It is about {}.",
    "The user asks about {}.", "The author expresses {}.", "This is {}.",
)  # fmt: skip
NEGATIVES = 2
"""Wrong labels for each text, each as a row."""


def row(given: Row) -> Row | None:
    """A premise and a hypothesis."""
    return {name: given[name] for name in ("premise", "hypothesis", "label", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """Two passes over 28,000 pairs judged by people, one over those made of questions and of labelled texts."""
    human = list(rows_of(data, "nli/en", "train", row))
    derived = list(rows_of(data, "nli/en_qa2d_synthetic", "train", row))
    labelled = asked(rows_of(data, "zeroshot/en", "train"))
    rows = {
        "train": Dataset.from_list([*human, *human, *derived, *labelled]),
        "validation": rows_of(data, "nli/en", "validation", row),
    }
    return tune(
        "text-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=1.5, learning_rate=7e-4,
        max_length=256, columns={"text": "premise", "pair": "hypothesis", "label": "label"},
    )  # fmt: skip


def asked(rows: Dataset, seed: int = 7) -> list[Row]:
    """Each text with its label as a hypothesis, and with others' labels of the same source."""
    draw = random.Random(seed)
    labels = {
        source: sorted({row["label"] for row in rows if row["source"] == source}) for source in set(rows["source"])
    }
    made = []
    for given in rows:
        wrong = [label for label in labels[given["source"]] if label != given["label"]]
        for label, answer in (
            (given["label"], "entailment"),
            *((each, "contradiction") for each in draw.sample(wrong, NEGATIVES)),
        ):
            hypothesis = draw.choice(TEMPLATES).format(label)
            made.append(
                {"premise": given["text"], "hypothesis": hypothesis, "label": answer, "source": given["source"]}
            )
    return made
