"""What is trained: rows, features, settings, and the checkpoint that both Trainers begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from panpipe import AutoConfig, AutoTokenizer, load_dataset
from panpipe.data import Dataset
from panpipe.models import load_model
from panpipe.training.tasks import TrainingTask, task_named

__all__ = ["PROOFS", "Prepared", "Proof", "cut", "prepared", "scores"]

BLOCKS = 20
"""Parts of the test rows whose scores give the standard error of the whole."""


@dataclass(frozen=True)
class Proof:
    """One task.

    folder: of train and validation rows, below the data.   keeps: which rows are taken.   metrics: what is reported.
    rows, test_rows: how many, drawn with a fixed seed.   equal: the tokens of each row where all are equally long.
    """

    task: str
    folder: str
    options: Mapping[str, Any]
    keeps: Callable[[Mapping[str, Any]], bool]
    metrics: tuple[str, ...]
    rows: int
    epochs: float
    batch_size: int
    equal: int
    test_rows: int = 2000
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {
            "learning_rate": 1e-4,
            "lr_scheduler_type": "linear",
            "warmup_ratio": 0.1,
            "weight_decay": 0.01,
        }
    )


PROOFS = {
    "sentiment": Proof(
        "text-classification",
        "sentiment/en",
        {"max_length": 128},
        lambda row: row["label"] != "neutral",
        ("accuracy",),
        rows=6000,
        epochs=1,
        batch_size=32,
        equal=32,
    ),
    "ner": Proof(
        "token-classification",
        "ner/en",
        {"max_length": 128},
        lambda row: True,
        ("f1", "precision", "recall"),
        rows=6000,
        epochs=2,
        batch_size=32,
        equal=32,
    ),
    "qa": Proof(
        "question-answering",
        "qa/en",
        {"max_length": 384, "doc_stride": 128},
        lambda row: row["source"] in ("squad_v1_dev", "qamr_dev"),
        ("f1", "exact_match"),
        rows=8000,
        epochs=1,
        batch_size=16,
        equal=128,
    ),
}


@dataclass
class Prepared:
    """A task, ready.   start: the checkpoint.   test: the rows.   features, test_features: those that models read."""

    task: TrainingTask
    start: Path
    test: list[Mapping[str, Any]]
    features: list[dict[str, Any]]
    test_features: list[list[dict[str, Any]]]


def prepared(proof: Proof, data: Path, base: str, work: Path, seed: int = 0) -> Prepared:
    """Rows as features, and a checkpoint with a new head."""
    train, test = (_rows(data / proof.folder, split, proof, seed) for split in ("train", "validation"))
    task = task_named(proof.task)(**proof.options)
    task.read(train)
    model = load_model(base, task.head, new_head=True, **task.config(AutoConfig.from_pretrained(base)))
    tokenizer = AutoTokenizer.from_pretrained(base)
    task.take(model, tokenizer)
    start = work / "start"
    model.save_pretrained(start)
    tokenizer.save_pretrained(start)
    rows = list(test)
    return Prepared(task, start, rows, list(task.features(train)), task.encode(rows))


def _rows(folder: Path, split: str, proof: Proof, seed: int) -> Dataset:
    rows = load_dataset("json", data_files=str(folder / f"{split}.jsonl.gz"), split="train").filter(proof.keeps)
    count = proof.rows if split == "train" else proof.test_rows
    return rows.shuffle(seed=seed).select(range(min(count, len(rows))))


def cut(features: list[dict[str, Any]], length: int) -> list[dict[str, Any]]:
    """Those of at least so many tokens, cut to exactly so many: nobody has to pad."""
    return [
        {
            name: value[:length] if isinstance(value, list) else min(value, length - 1) if "position" in name else value
            for name, value in feature.items()
        }
        for feature in features
        if len(feature["input_ids"]) >= length
    ]


def scores(proof: Proof, ready: Prepared, predictions: Any) -> dict[str, Any]:
    """The metrics of the test rows, in percent: {"metrics", "blocks": those of parts of them, "by": by source}."""
    places = iter(range(sum(map(len, ready.test_features))))
    outputs = [
        [ready.task.output(predictions, next(places), feature) for feature in features]
        for features in ready.test_features
    ]

    def of(rows: list[int]) -> dict[str, float]:
        found = ready.task.score(
            [ready.test[row] for row in rows],
            [ready.test_features[row] for row in rows],
            [outputs[row] for row in rows],
        )
        share = 1.0 if proof.task == "question-answering" else 100.0
        return {name: share * float(found[name]) for name in proof.metrics}

    every = list(range(len(ready.test)))
    return {
        "metrics": of(every),
        "blocks": [of(part.tolist()) for part in np.array_split(np.array(every), BLOCKS)],
        "by": {source: {"rows": len(rows), **of(rows)} for source, rows in _by_source(ready.test)},
    }


def _by_source(rows: list[Mapping[str, Any]]) -> Iterator[tuple[str, list[int]]]:
    for source in sorted({row["source"] for row in rows}):
        yield source, [place for place, row in enumerate(rows) if row["source"] == source]
