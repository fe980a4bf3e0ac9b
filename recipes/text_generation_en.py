"""A small GPT that writes English, from random weights.

Stated before it was trained: perplexity on the validation texts below 180, and below what pairs of tokens give that
were counted on the texts it read.
"""

from __future__ import annotations

import random
from pathlib import Path

from panpipe import Dataset, GPT2Config, GPT2LMHeadModel
from panpipe.tokenization.training import train_tokenizer

from .common import Row, rows_of, saved, tune

TASK, LANGUAGE = "text-generation", "en"

LEFT_OUT = ("gmb",)  # a licence that its copy does not prove
VOCABULARY, LAYERS, WIDTH, HEADS, CONTEXT = 8000, 4, 256, 4, 512


def row(given: Row) -> Row | None:
    """A text."""
    return None if given["source"] in LEFT_OUT else {"text": given["text"], "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Eight million tokens of novels, abstracts, manuals, reviews and textbooks, once."""
    texts = list(rows_of(data, "lm/en", "train", row))
    random.Random(7).shuffle(texts)
    rows = {"train": Dataset.from_list(texts[:12_000]), "validation": rows_of(data, "lm/en", "validation", row)}
    return tune(
        "text-generation", str(begun(rows["train"], work / "base")), rows, work / "model", share,
        max_steps=2200, block_size=256, per_device_train_batch_size=16, max_tokens_per_batch=None, learning_rate=2e-3,
        lr_scheduler_type="cosine", weight_decay=0.1, adam_beta2=0.99,
    )  # fmt: skip


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
