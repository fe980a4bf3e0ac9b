"""The sentence encoder that other models here are adapters of: all-MiniLM-L6-v2 as it is, in half precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from panpipe import pipeline
from panpipe.metrics import spearman

from .about import About
from .common import MINILM, minilm, rows_of
from .floors import words
from .measure import Scores, by_source

ABOUT = About(
    folder="all-minilm-l6-v2",
    task="feature-extraction",
    languages=["en"],
    title="all-MiniLM-L6-v2, in half precision",
    text="A vector of 384 numbers for each token; their mean stands for a sentence, and similar sentences have similar "
    "means. The weights are those of sentence-transformers/all-MiniLM-L6-v2, rounded to float16. English.",
    data=["sts/en"],
    metric="Spearman",
    on="how alike English sentences are",
    goal="the base's own",
    larger="sentence-transformers/all-mpnet-base-v2",
    anchor="82.0 for this model itself on STS-B (MTEB); these rows are a part of STS-B's sources",
    base=MINILM,
    examples=["That is a happy person"],
    hub_id=MINILM,
)


def make(data: Path, work: Path, share: float) -> Path:
    """Nothing is trained."""
    del data, work, share
    return Path(minilm())


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Spearman's correlation with what people said, of cosines, and of the share of words in common."""
    rows = list(rows_of(data, "sts/en", split))
    pipe = pipeline("feature-extraction", model=str(folder))
    first, second = (
        [np.mean(found[0], 0) for found in pipe([row[name] for row in rows])] for name in ("text1", "text2")
    )
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(first, second, strict=True)]
    shared = [_shared(row["text1"], row["text2"]) for row in rows]
    truths = [row["score"] for row in rows]

    def correlated(values: list[float]) -> Scores:
        return by_source(rows, lambda i: {"Spearman": spearman([values[k] for k in i], [truths[k] for k in i])})

    return correlated(cosines), correlated(shared)


def _shared(first: str, second: str) -> float:
    a, b = set(words(first)), set(words(second))
    return len(a & b) / max(1, len(a | b))
