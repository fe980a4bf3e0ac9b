"""English inference between two texts, and by it labels that nobody trained on.   An adapter of the shared encoder."""

from __future__ import annotations

import random
from pathlib import Path

from panpipe import Dataset, pipeline

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import most_frequent
from .measure import Scores, classified, of_task

ABOUT = About(
    folder="zero-shot-en",
    task="zero-shot-classification",
    languages=["en"],
    title="English inference and zero-shot labels, small",
    text="Does an English text entail, contradict or leave open another? By that it sorts texts under labels that are "
    "given when it is asked. It learnt from captions, Wikipedia sentences, and from requests to assistants and banks: "
    "on labels far from these it is poor.",
    data=["nli/en", "nli/en_qa2d_synthetic", "zeroshot/en"],
    metric="accuracy",
    on="inference between English sentences",
    goal="0.68 three-way; 0.75 of seen labels",
    larger="facebook/bart-large-mnli",
    anchor="0.899 on MNLI (Lewis et al. 2020, arXiv:1910.13461), trained on 393,000 pairs; here 28,000 by people",
    base=MINILM,
    license="cc-by-sa-4.0",
    examples=["This is a course about the Transformers library"],
)

TEMPLATES = (
    *["This example is {}."] * 4, "This text is about {}.", "The topic is {}.", "It is about {}.",
    "The user asks about {}.", "The author expresses {}.", "This is {}.",
)  # fmt: skip
ASKED = 200
"""Texts of each source that are measured: each asks about all labels."""
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


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Accuracy of three-way inference; and, of each source of labelled texts, among all its labels."""
    rows, columns = rows_of(data, "nli/en", split, row), {"text": "premise", "pair": "hypothesis", "label": "label"}
    scores = of_task("text-classification", folder, rows, {"accuracy": "accuracy"}, columns=columns)
    floor = classified(list(rows), list(map(most_frequent(rows_of(data, "nli/en", "train", row)), rows)))
    texts = list(rows_of(data, "zeroshot/en", "test_seen" if split == "test" else split))
    guess = most_frequent(texts)
    for source in sorted({each["source"] for each in texts}):
        mine = [each for each in texts if each["source"] == source]
        labels = sorted({each["label"] for each in mine})
        chosen = random.Random(7).sample(mine, min(ASKED, len(mine)))
        pipe = pipeline("zero-shot-classification", model=str(folder))
        found = [pipe(each["text"], labels)["labels"][0] for each in chosen]
        named = f"{source}, {len(labels)} labels"
        scores[named] = classified(chosen, found)["all"]
        floor[named] = classified(chosen, list(map(guess, chosen)))["all"]
    return scores, floor
