"""A run that a test kills: `python -m tests.training.killed FOLDER [name=value …]` trains, going on where it was.

result.json has the SHA-256 of the trained weights. With kills=24 it starts the run that often (as a child that has
everything imported), kills it with -9, and writes kills.json: how often, and how often amid a checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from random import Random

import numpy as np
import torch

from panpipe.models import BertConfig, BertForSequenceClassification
from panpipe.models.model import Model
from panpipe.training.arguments import TrainingArguments
from panpipe.training.trainer import Trainer


def model() -> Model:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    return BertForSequenceClassification.from_config(BertConfig(vocab_size=80, **sizes))


def rows(count: int = 90) -> list[dict[str, object]]:
    random = np.random.default_rng(3)
    drawn = [random.integers(1, 80, random.integers(2, 14)).tolist() for _ in range(count)]
    return [{"input_ids": ids, "labels": int(ids[1] > 40)} for ids in drawn]


def digest(trained: Model) -> str:
    total = hashlib.sha256()
    for slot in trained.stored.slots:
        for tensor in trained.stored.read(slot).values():
            total.update(np.ascontiguousarray(tensor).tobytes())
    return total.hexdigest()


def arguments(folder: str, **changes: object) -> TrainingArguments:
    given = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 2e-3,
        "save_steps": 1,
        "logging_steps": 3,
        "save_total_limit": 3,
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
        "warmup_ratio": 0.1,
        "lr_scheduler_type": "cosine",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return TrainingArguments(folder, **{**given, **changes})


def main() -> None:
    folder, *options = sys.argv[1:]
    changes = {name: json.loads(value) for name, _, value in (option.partition("=") for option in options)}
    kills = changes.pop("kills", 0)
    counts = {"half": 0, "whole": 0}
    random = Random(5)
    while sum(counts.values()) < kills:
        how = killed(Path(folder), changes, wants_half=counts["half"] < kills // 3, delay=random.random() * 0.02)
        if how is None:
            break
        counts[how] += 1
    if kills:
        (Path(folder) / "kills.json").write_text(json.dumps(counts), encoding="utf-8")
    train(folder, changes)


def killed(folder: Path, changes: dict[str, object], wants_half: bool, delay: float) -> str | None:
    """Train in a child until its next checkpoint, or half of one, and kill it; None if it came to its end."""
    before = set(folder.glob("checkpoint-*"))
    child = os.fork()
    if not child:
        train(str(folder), changes)
        os._exit(0)
    while not os.waitpid(child, os.WNOHANG)[0]:
        if list(folder.glob(".incomplete-*")) if wants_half else set(folder.glob("checkpoint-*")) - before:
            time.sleep(0 if wants_half else delay)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "half" if list(folder.glob(".incomplete-*")) else "whole"
    return None


def train(folder: str, changes: dict[str, object]) -> None:
    torch.set_num_threads(1)
    data = rows()
    trained = model()
    trainer = Trainer(trained, arguments(folder, **changes), train_dataset=data, eval_dataset=data[:20])
    trainer.train(resume_from_checkpoint=True)
    losses = [round(entry["loss"], 12) for entry in trainer.state.log_history if "loss" in entry]
    result = {"weights": digest(trained), "steps": trainer.state.global_step, "losses": losses}
    (Path(folder) / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
