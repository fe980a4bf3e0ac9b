"""English inference between two texts, and by it labels that nobody trained on.   An adapter of the shared encoder."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from panpipe import Dataset, pipeline

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import most_frequent
from .measure import Scores, classified, of_task

TOPICS = {
    "computers": ("reference/", "library/", "c-api/", "content/en/docs/", "src/", "docs/source/"),
    "education": ("chapters/en", "units/en"),
    "literature": ("corpus/",),
    "movies": ("movie_reviews/",),
    "politics": ("inaugural/", "state_union/"),
    "history": ("world-history:",),
    "psychology": ("psychology:",),
    "science": ("acl#",),
}
"""A topic, and how the names of its texts begin."""
WORDS = {
    "computers": ["computers", "programming", "software", "technology"],
    "education": ["education", "a course", "learning", "teaching"],
    "literature": ["literature", "fiction", "a story"],
    "movies": ["movies", "films", "entertainment"],
    "politics": ["politics", "government"],
    "history": ["history", "the past"],
    "psychology": ["psychology", "the mind"],
    "science": ["science", "research"],
}
"""What a topic may be called."""

ABOUT = About(
    folder="zero-shot-en",
    task="zero-shot-classification",
    languages=["en"],
    title="English inference and zero-shot labels, small",
    text="Does an English text entail, contradict or leave open another? By that it sorts texts under labels that are "
    "given when it is asked. It learnt from captions, Wikipedia sentences, requests to assistants and banks, and "
    "from texts of eight subjects: on labels far from these it is poor.",
    data=["nli/en", "nli/en_qa2d_synthetic", "zeroshot/en", "lm/en"],
    metric="accuracy",
    on="inference between English sentences",
    goal="0.68 three-way; 0.75 of seen labels",
    larger="facebook/bart-large-mnli",
    anchor="0.899 on MNLI (Lewis et al. 2020, arXiv:1910.13461), trained on 393,000 pairs; here 28,000 by people",
    base=MINILM,
    license="cc-by-sa-4.0",
    left_out=("gmb",),
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
PIECES = 500
"""Of texts of each topic."""


def row(given: Row) -> Row:
    """A premise and a hypothesis."""
    return {name: given[name] for name in ("premise", "hypothesis", "label", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """Two passes over 28,000 pairs judged by people; one over pairs made of questions, and of texts with labels."""
    human = list(rows_of(data, "nli/en", "train", row))
    derived = list(rows_of(data, "nli/en_qa2d_synthetic", "train", row))
    draw = random.Random(7)
    labelled = list(rows_of(data, "zeroshot/en", "train"))
    requests = [each for each in labelled if each["source"] != "goemotions" or draw.random() < 0.5]
    made = [*asked(requests, draw), *asked(topical(data, draw), draw)]
    rows = {
        "train": Dataset.from_list([*human, *human, *draw.sample(derived, len(derived) // 2), *made]),
        "validation": rows_of(data, "nli/en", "validation", row),
    }
    return tune(
        "text-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=1, learning_rate=1e-3,
        max_length=256, columns={"text": "premise", "pair": "hypothesis", "label": "label"},
    )  # fmt: skip


def topical(data: Path, draw: random.Random) -> list[Row]:
    """Pieces of texts with what they are about, by where they are from; as many of each topic."""
    texts: dict[str, list[list[str]]] = defaultdict(list)
    for given in rows_of(data, "lm/en", "train"):
        for topic, sources in TOPICS.items():
            if given["doc"].startswith(sources):
                texts[topic].append(given["text"].split())
    found = []
    for topic in TOPICS:
        for words in draw.choices(texts[topic], k=PIECES):
            begin = draw.randrange(max(1, len(words) - 40))
            piece = " ".join(words[begin : begin + draw.randint(8, 40)])
            found += [{"text": piece, "label": label, "source": "topics"} for label in draw.sample(WORDS[topic], 2)]
    return found


def asked(rows: list[Row], draw: random.Random) -> list[Row]:
    """Each text with its label as a hypothesis, and with others' labels of the same source."""
    labels: dict[str, set[str]] = defaultdict(set)
    for given in rows:
        labels[given["source"]].add(given["label"])
    alike = {label: set(words) for words in WORDS.values() for label in words}
    made = []
    for given in rows:
        right = given["label"]
        wrong = sorted(labels[given["source"]] - alike.get(right, {right}))
        answers = [(right, "entailment"), *((label, "contradiction") for label in draw.sample(wrong, NEGATIVES))]
        for label, answer in answers:
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
