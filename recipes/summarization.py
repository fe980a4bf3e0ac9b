"""Summaries of English texts: sentences that are picked, not written."""

from __future__ import annotations

from pathlib import Path

from panpipe import pipeline
from panpipe.metrics import rouge
from panpipe.pipelines.extractive import ExtractiveSummarizationPipeline
from panpipe.pipelines.sentences import split_sentences

from .about import About
from .common import MINILM, rows_of
from .measure import Scores, by_source

ABOUT = About(
    folder="all-minilm-l6-v2",
    task="summarization",
    languages=["en"],
    title="Summaries of picked sentences",
    text="The sentences of a text that stand for it best, by the sentence encoder. It is extractive: it writes nothing "
    "of its own, so it cannot say what the text does not say.",
    data=["summarization/en"],
    metric="ROUGE-L",
    on="abstracts and manuals",
    goal="above the first sentence",
    larger="sshleifer/distilbart-cnn-12-6",
    anchor="ROUGE-L 30.6 on CNN/DailyMail (its card), news that these rows do not hold",
    base=MINILM,
    has_card=False,
)


def make(data: Path, work: Path, share: float) -> None:
    """Nothing is trained."""


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """ROUGE-L of one picked sentence, and of the first."""
    rows = list(rows_of(data, "summarization/en", split))
    pipe = pipeline("summarization", str(folder), pipeline_class=ExtractiveSummarizationPipeline)
    picked = [found["summary_text"] for found in pipe([row["text"] for row in rows], num_sentences=1)]
    first = [split_sentences(row["text"])[0].text for row in rows]

    def scored(texts: list[str]) -> Scores:
        def score(chosen: list[int]) -> dict[str, float]:
            found = rouge([texts[i] for i in chosen], [rows[i]["summary"] for i in chosen])
            return {name: 100 * float(found[key]) for name, key in (("ROUGE-L", "rougeL"), ("ROUGE-1", "rouge1"))}

        return by_source(rows, score)

    return scored(picked), scored(first)
