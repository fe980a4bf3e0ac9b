"""A small GPT that writes English, from random weights."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.proof.counting import counted
from panpipe import Dataset
from panpipe.tokenization import AutoTokenizer

from .about import About
from .common import Row, rows_of, small_gpt, tune
from .measure import Scores, by_source, of_task

LEFT_OUT = ("gmb",)  # a licence that its copy does not prove
CONTEXT = 512
BOUND = 180
"""Stated before it was trained: the perplexity on the validation texts is to be below it, and below pairs counted."""

ABOUT = About(
    folder="text-generation-en",
    task="text-generation",
    languages=["en"],
    title="A GPT that writes simple English, tiny",
    text="Goes on with an English text: sentences that read as English, without knowledge or plan. It was trained on "
    "old novels, abstracts of papers, manuals, reviews and textbooks, and writes like them. For learning and trying "
    "out; nothing that it says is to be believed.",
    data=["lm/en"],
    metric="perplexity",
    on="English text of many kinds",
    goal=f"perplexity {BOUND} on the validation texts, stated before training",
    larger="openai-community/gpt2",
    anchor="29.4 a word on WikiText-2 (Radford et al. 2019), by other tokens: not to be compared",
    license="cc-by-sa-4.0",
    left_out=LEFT_OUT,
    examples=["In this course, we will teach you how to", "The old man looked at"],
)


def row(given: Row) -> Row | None:
    """A text."""
    return None if given["source"] in LEFT_OUT else {"text": given["text"], "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Nine million tokens of novels, abstracts, manuals, reviews and textbooks, once."""
    rows = {"train": read_rows(data), "validation": rows_of(data, "lm/en", "validation", row)}
    no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    base = small_gpt(rows["train"], work / "base", CONTEXT, **no_dropout)
    return tune(
        "text-generation", str(base), rows, work / "model", share,
        max_steps=2200, block_size=256, per_device_train_batch_size=16, max_tokens_per_batch=None, learning_rate=2e-3,
        lr_scheduler_type="cosine", weight_decay=0.1, adam_beta2=0.99,
    )  # fmt: skip


def read_rows(data: Path) -> Dataset:
    """The texts that are learnt from."""
    texts = list(rows_of(data, "lm/en", "train", row))
    random.Random(7).shuffle(texts)
    return Dataset.from_list(texts[:12_000])


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Perplexity; and that of pairs of tokens counted on the texts that were learnt from."""
    rows = rows_of(data, "lm/en", split, row)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scores = of_task("text-generation", folder, rows, {"perplexity": "perplexity"}, block_size=CONTEXT)
    every = list(rows)

    def ids(texts: list[str]) -> Any:
        return np.concatenate([[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts])

    read = ids([each["text"] for each in read_rows(data)])

    def floor(chosen: list[int]) -> dict[str, float]:
        asked = ids([every[i]["text"] for i in chosen])
        return {"perplexity": math.exp(counted(read, asked, len(tokenizer))["pairs of tokens"])}

    return scores, by_source(every, floor)
