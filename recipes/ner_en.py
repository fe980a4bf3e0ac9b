"""English names: persons, organisations, places and others.   An adapter of the shared encoder."""

from __future__ import annotations

from pathlib import Path

from panpipe import Dataset

from .common import Row, lora, minilm, rows_of, tune

TASK, LANGUAGE = "ner", "en"

LEFT_OUT = ("gmb",)  # machine-made labels, and a licence that its copy does not prove


def make(data: Path, work: Path, share: float) -> Path:
    """Six passes over 17,000 sentences of Wikipedia, the web and tweets."""

    def row(given: Row) -> Row | None:
        if given["source"] in LEFT_OUT:
            return None
        return {name: given[name] for name in ("tokens", "tags", "source")}

    rows = {split: rows_of(data, "ner/en", split, row) for split in ("train", "validation")}
    rows["train"] = repeated(rows["train"])
    return tune(
        "token-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=4, learning_rate=1e-3,
        max_tokens_per_batch=2048, columns={"words": "tokens", "tags": "tags"},
    )  # fmt: skip


def repeated(rows: Dataset) -> Dataset:
    """The edited texts twice, since more than half of the rows are tweets."""
    edited = [row for row in rows if row["source"] not in ("btc", "wnut17")]
    return Dataset.from_list([*rows, *edited])
