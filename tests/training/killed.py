"""A run that a test kills: `python -m tests.training.killed FOLDER [name=value …]` trains, going on where it was.

It prints the SHA-256 of the trained weights.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

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
    torch.set_num_threads(1)
    folder, *options = sys.argv[1:]
    changes = {name: json.loads(value) for name, _, value in (option.partition("=") for option in options)}
    data = rows()
    trained = model()
    trainer = Trainer(trained, arguments(folder, **changes), train_dataset=data, eval_dataset=data[:20])
    trainer.train(resume_from_checkpoint=True)
    losses = [round(entry["loss"], 12) for entry in trainer.state.log_history if "loss" in entry]
    result = {"weights": digest(trained), "steps": trainer.state.global_step, "losses": losses}
    (Path(folder) / "result.json").write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
