"""A small GPT that writes English, from random weights."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.proof.counting import counted
from panpipe import Dataset, GPT2Config, GPT2LMHeadModel
from panpipe.tokenization import AutoTokenizer
from panpipe.tokenization.training import train_tokenizer

from .about import About
from .common import Row, rows_of, saved, tune
from .measure import Scores, by_source, of_task

LEFT_OUT = ("gmb",)  # a licence that its copy does not prove
VOCABULARY, LAYERS, WIDTH, HEADS, CONTEXT = 8000, 4, 256, 4, 512
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
    """Eight million tokens of novels, abstracts, manuals, reviews and textbooks, once."""
    rows = {"train": read_rows(data), "validation": rows_of(data, "lm/en", "validation", row)}
    return tune(
        "text-generation", str(begun(rows["train"], work / "base")), rows, work / "model", share,
        max_steps=2200, block_size=256, per_device_train_batch_size=16, max_tokens_per_batch=None, learning_rate=2e-3,
        lr_scheduler_type="cosine", weight_decay=0.1, adam_beta2=0.99,
    )  # fmt: skip


def read_rows(data: Path) -> Dataset:
    """The texts that are learnt from."""
    texts = list(rows_of(data, "lm/en", "train", row))
    random.Random(7).shuffle(texts)
    return Dataset.from_list(texts[:12_000])


def begun(texts: Dataset, folder: Path) -> Path:
    """The model with random weights, and a tokenizer learnt from the texts."""

    def write(folder: Path) -> None:
        tokenizer = train_tokenizer(texts, "byte-bpe", VOCABULARY, model_max_length=CONTEXT)
        end = tokenizer.eos_token_id
        config = GPT2Config(
            vocab_size=len(tokenizer), n_layer=LAYERS, n_embd=WIDTH, n_head=HEADS, n_positions=CONTEXT,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=end, eos_token_id=end,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        GPT2LMHeadModel.from_config(config, seed=7).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return saved(folder, write)


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """Perplexity and bits a byte; and that of pairs of tokens counted on twelve thousand of the training texts."""
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
