"""What several processes train: `torchrun --nproc_per_node 2 -m tests.training.many FOLDER [name=value …]`.

The main process writes result.json: the losses, the metrics, and the trained weights as one list of numbers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from panpipe.models import GPT2Config, GPT2LMHeadModel
from panpipe.models.model import Model
from panpipe.training.arguments import TrainingArguments
from panpipe.training.evaluation import EvalPrediction
from panpipe.training.state import TrainerCallback
from panpipe.training.trainer import Trainer


def model() -> Model:
    return GPT2LMHeadModel.from_config(
        GPT2Config(
            vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
        )
    )


def rows(count: int = 22) -> list[dict[str, Any]]:
    """Texts of unequal length, with some labels ignored: processes have unequal numbers of terms."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(count):
        ids = random.integers(1, 60, random.integers(3, 20)).tolist()
        labels = [-100 if random.random() < 0.3 else i for i in ids[:-1]] + ids[-1:]
        found.append({"input_ids": ids, "labels": labels})
    return found


def metrics(given: EvalPrediction) -> dict[str, float]:
    kept = given.label_ids[:, 1:] != -100
    right = given.predictions[:, :-1].argmax(-1) == given.label_ids[:, 1:]
    return {"accuracy": float(right[kept].mean()), "rows": float(len(given.predictions))}


class FailsOnOne(TrainerCallback):
    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if not state.is_world_process_zero and state.global_step == 2:
            raise RuntimeError("one process fails")


def collator(features: list[dict[str, Any]]) -> dict[str, Any]:
    """A foreign one: rectangles."""
    longest = max(len(f["input_ids"]) for f in features)

    def laid(name: str, filling: int) -> torch.Tensor:
        return torch.tensor([[*f[name], *[filling] * (longest - len(f[name]))] for f in features])

    mask = torch.tensor([[int(i < len(f["input_ids"])) for i in range(longest)] for f in features])
    return {"input_ids": laid("input_ids", 0), "attention_mask": mask, "labels": laid("labels", -100)}


def main() -> None:
    torch.set_num_threads(1)
    folder, *options = sys.argv[1:]
    changes = {name: json.loads(value) for name, _, value in (option.partition("=") for option in options)}
    fails = changes.pop("fails", False)
    given = {
        "optim": "sgd",
        "learning_rate": 0.5,
        "max_grad_norm": 0.3,
        "per_device_train_batch_size": 2,
        "num_train_epochs": 2,
        "logging_steps": 2,
        "save_steps": 3,
        "eval_strategy": "epoch",
        "use_cpu": True,
        "disable_tqdm": True,
        "energy": False,
    }
    trainer = Trainer(
        trained := model(),
        TrainingArguments(folder, **{**given, **changes}),
        data_collator=collator,
        train_dataset=rows(),
        eval_dataset=rows(7),
        compute_metrics=metrics,
        callbacks=[FailsOnOne] if fails else [],
    )
    trainer.train(resume_from_checkpoint=True)
    if trainer.processes.is_main:
        history = trainer.state.log_history
        tensors = [
            trained.stored.read(slot)[part] for slot, kind in trained.stored.slots.items() for part in kind.shapes()
        ]
        result = {
            "losses": [entry["loss"] for entry in history if "loss" in entry],
            "norms": [entry["grad_norm"] for entry in history if "grad_norm" in entry],
            "evaluations": [
                {k: entry[k] for k in ("eval_loss", "eval_accuracy", "eval_rows")}
                for entry in history
                if "eval_loss" in entry
            ],
            "weights": np.concatenate([t.ravel() for t in tensors]).tolist(),
            "elements_held": sum(
                (p.to_local() if hasattr(p, "to_local") else p).numel() for p in trainer.trainable.parameters()
            ),
        }
        (Path(folder) / "result.json").write_text(json.dumps(result), encoding="utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
