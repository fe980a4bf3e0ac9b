"""English words that are hidden.   An adapter of the shared encoder, with a head for its vocabulary."""

from __future__ import annotations

from pathlib import Path

from .common import Row, lora, minilm, rows_of, tune

TASK, LANGUAGE = "fill-mask", "en"


def row(given: Row) -> Row | None:
    """A text; news whose licence is not proven are left out."""
    return None if given["source"] == "gmb" else {"text": given["text"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Four million tokens of novels, abstracts, manuals, reviews and textbooks."""
    rows = {split: rows_of(data, "lm/en", split, row) for split in ("train", "validation")}
    adapter = lora(bias="all", modules_to_save=("transform.dense", "transform.LayerNorm"))
    return tune(
        "fill-mask", minilm(), rows, work, share, lora=adapter,
        max_steps=1000, learning_rate=1e-3, block_size=128, limit=6000, eval_limit=100,
    )  # fmt: skip
