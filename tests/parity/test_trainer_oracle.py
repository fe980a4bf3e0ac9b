"""The same run by our Trainer and by transformers': all rows in each step, so that the order does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")
pytest.importorskip("accelerate", reason="training needs it")

from panpipe.models import AUTO_CLASSES, load_model  # noqa: E402
from panpipe.training.arguments import SCHEDULES, TrainingArguments  # noqa: E402
from panpipe.training.collators import default_data_collator  # noqa: E402
from panpipe.training.schedules import schedule  # noqa: E402
from panpipe.training.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.oracle

SETTINGS = {
    "num_train_epochs": 9,
    "per_device_train_batch_size": 6,
    "gradient_accumulation_steps": 2,
    "learning_rate": 5e-3,
    "weight_decay": 0.05,
    "warmup_steps": 2,
    "max_grad_norm": 0.5,
    "logging_steps": 1,
    "save_strategy": "no",
    "lr_scheduler_type": "cosine",
    "adam_beta2": 0.95,
    "use_cpu": True,
    "disable_tqdm": True,
}


def rows(kind: str) -> list[dict[str, Any]]:
    random = np.random.default_rng(2)
    found = []
    for _ in range(12):
        ids = random.integers(3, 60, 9).tolist()
        labels: Any = int(random.integers(2))
        if kind != "SequenceClassification":
            # transformers counts a text's first token among what is predicted, which nothing predicts
            labels = [-100, *ids[1:]] if kind == "CausalLM" else random.integers(0, 2, 9).tolist()
        found.append({"input_ids": ids, "attention_mask": [1] * 9, "labels": labels})
    return found


@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification", "CausalLM"])
@pytest.mark.parametrize("changes", [{}, {"optim": "sgd", "learning_rate": 0.1}])
def test_a_run_ends_with_the_weights_of_transformers(tmp_path: Path, kind: str, changes: dict[str, Any]) -> None:
    if kind == "CausalLM":
        config = transformers.GPT2Config(
            vocab_size=60, n_embd=32, n_layer=2, n_head=2, n_positions=32, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
        )
    else:
        config = transformers.BertConfig(
            vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )  # fmt: skip
    torch.manual_seed(0)
    theirs = getattr(transformers, f"AutoModelFor{kind}").from_config(config)
    theirs.save_pretrained(tmp_path / "start")
    ours = AUTO_CLASSES[f"AutoModelFor{kind}"].from_pretrained(tmp_path / "start")
    settings = {**SETTINGS, **changes}
    wanted = transformers.Trainer(
        theirs,
        transformers.TrainingArguments(str(tmp_path / "theirs"), report_to="none", **settings),
        train_dataset=rows(kind),
    )
    wanted.train()
    found = Trainer(
        ours, TrainingArguments(tmp_path / "ours", **settings), default_data_collator, train_dataset=rows(kind)
    )
    found.train()
    for name in ("loss", "grad_norm"):
        their_values = [entry[name] for entry in wanted.state.log_history if name in entry]
        our_values = [entry[name] for entry in found.state.log_history if name in entry]
        assert len(our_values) == 9
        np.testing.assert_allclose(our_values, their_values, rtol=2e-3)
    theirs.save_pretrained(tmp_path / "end")
    end = load_model(tmp_path / "end")
    for slot, kept in end.stored.slots.items():
        for part in kept.shapes():
            np.testing.assert_allclose(ours.stored.read(slot)[part], end.stored.read(slot)[part], atol=3e-4)


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in SCHEDULES if name not in ("one_cycle", "reduce_lr_on_plateau", "cosine_with_min_lr")),
    ("polynomial", {"power": 2.0, "lr_end": 1e-3}),
    ("cosine", {"num_cycles": 1.5}),
    ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    ("cosine_with_min_lr", {"min_lr": 0.001}),
    *(("warmup_stable_decay", {"num_decay_steps": 10, "decay_type": kind}) for kind in ("cosine", "linear", "1-sqrt")),
    ("warmup_stable_decay", {"num_decay_steps": 10, "min_lr_ratio": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize(("total", "warmup"), [(40, 5), (40, 0), (17, 7)])
def test_schedules_are_those_of_transformers(name: str, options: dict[str, Any], total: int, warmup: int) -> None:
    peak = 0.02
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    theirs = {"num_decay_steps": max(1, (total - warmup) // 5)} if name == "warmup_stable_decay" else {}
    scheduler = transformers.get_scheduler(
        name,
        optimizer,
        num_warmup_steps=warmup,
        num_training_steps=total,
        scheduler_specific_kwargs={**theirs, **options},
    )
    factor = schedule(name, total, warmup, peak, **options)
    for step in range(total):
        assert peak * factor(step) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-7), (name, step)
        if step + 1 < total:  # after the end transformers' polynomial may divide by 0
            optimizer.step()
            scheduler.step()
