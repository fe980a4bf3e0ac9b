"""Answers that stand in an English text, or none.   An adapter of the shared encoder."""

from __future__ import annotations

import re
from pathlib import Path

from panpipe import Dataset
from panpipe.metrics import squad

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import words
from .measure import Scores, by_source, of_task

ABOUT = About(
    folder="question-answering-en",
    task="question-answering",
    languages=["en"],
    title="English question answering, small",
    text="Finds the words of a text that answer a question, or none (`handle_impossible_answer=True`). It learnt from "
    "encyclopedic text; 34 articles of it were long.",
    data=["qa/en"],
    metric="F1",
    on="questions on Wikipedia texts, a quarter without answer",
    goal="F1 65 on SQuAD rows, 75 on single sentences",
    larger="distilbert/distilbert-base-cased-distilled-squad",
    anchor="F1 87.1 on SQuAD 1.1 (its card), trained on 88,000 such questions; here 7,500",
    base=MINILM,
    license="cc-by-sa-4.0",
    left_out=("restaurant8k",),
    examples=[
        {"text": "Where do I work?", "context": "My name is Sylvain and I work at Hugging Face in Brooklyn."},
    ],
)


def row(given: Row) -> Row | None:
    """A question with its context and answers; the templated ones are left out."""
    if given["source"] in ABOUT.left_out:
        return None
    return {name: given[name] for name in ("question", "context", "answers", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """One pass over 44,000 questions, those on SQuAD's paragraphs twice."""
    rows = {split: rows_of(data, "qa/en", split, row) for split in ("train", "validation")}
    long = [each for each in rows["train"] if each["source"] == "squad_v1_dev"]
    rows["train"] = Dataset.from_list([*rows["train"], *long])
    return tune(
        "question-answering", minilm(), rows, work, share, lora=lora(), num_train_epochs=1, learning_rate=1e-3,
        max_length=384, doc_stride=128, columns={"question": "question", "context": "context", "answers": "answers"},
    )  # fmt: skip


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """F1 and exact match in per cent, and those of the sentence that shares most words with the question."""
    rows = rows_of(data, "qa/en", split, row)
    names = {"f1": "F1", "exact_match": "exact match"}
    columns = {"question": "question", "context": "context", "answers": "answers"}
    every = list(rows)

    def floor(chosen: list[int]) -> dict[str, float]:
        guesses = [{"id": str(i), "prediction_text": _nearest(every[i])} for i in chosen]
        truths = [{"id": str(i), "answers": {"text": [a["text"] for a in every[i]["answers"]] or [""]}} for i in chosen]
        return {"F1": squad(guesses, truths)["f1"]}

    return of_task("question-answering", folder, rows, names, columns=columns), by_source(every, floor)


def _nearest(given: Row) -> str:
    asked = set(words(given["question"]))
    return max(re.split(r"(?<=[.!?])\s+", given["context"]), key=lambda sentence: len(asked & set(words(sentence))))
