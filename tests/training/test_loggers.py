from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe.models import BertConfig, BertForSequenceClassification  # noqa: E402
from panpipe.training.arguments import TrainingArguments  # noqa: E402
from panpipe.training.loggers import open_loggers, plain  # noqa: E402
from panpipe.training.state import TrainerState  # noqa: E402
from panpipe.training.trainer import Trainer  # noqa: E402

pytestmark = pytest.mark.train

CONFIG = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=60)
ROWS = [{"input_ids": [2, 5 + i, 3], "labels": i % 2} for i in range(8)]


def trainer(folder: Path, metrics: Any, **changes: Any) -> Trainer:
    given = {"num_train_epochs": 3, "eval_strategy": "epoch", "use_cpu": True, "disable_tqdm": True, "energy": False}
    args = TrainingArguments(folder, **{**given, **changes})
    model = BertForSequenceClassification.from_config(CONFIG)
    return Trainer(model, args, train_dataset=ROWS, eval_dataset=ROWS, compute_metrics=metrics)


def test_what_metrics_give_is_logged_as_json_holds_it(tmp_path: Path) -> None:
    def metrics(_: Any) -> dict[str, Any]:
        by_name = {"좋음": np.float32(0.5), 1: [np.int64(3), torch.tensor(2.5)]}
        return {"f1": np.float32(0.25), "by_name": by_name, "matrix": np.eye(2, dtype=np.int64), "mode": "strict"}

    expected = {"f1": 0.25, "by_name": {"좋음": 0.5, "1": [3, 2.5]}, "matrix": [[1, 0], [0, 1]], "mode": "strict"}
    made = trainer(tmp_path, metrics, metric_for_best_model="f1", save_strategy="epoch")
    made.train()
    returned = made.evaluate()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    logged = next(line for line in lines if "eval_f1" in line)
    for name, value in expected.items():
        assert logged[f"eval_{name}"] == returned[f"eval_{name}"] == value
    assert TrainerState.load_from_json(tmp_path / "trainer_state.json").best_metric == 0.25


def test_what_a_user_logs_may_be_a_tensor(tmp_path: Path) -> None:
    made = trainer(tmp_path, None)
    made.log({"margin": torch.tensor(1.5), "folder": tmp_path})
    assert made.state.log_history[-1]["margin"] == 1.5
    assert json.loads(json.dumps(made.state.log_history[-1]))["folder"] == str(tmp_path)


def test_tensorboard_gets_the_numbers_and_no_more(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    values = plain({"eval_f1": np.float32(0.5), "eval_mode": "strict", "eval_matrix": np.eye(2)})
    for begin, steps in ((0, (1, 2, 3)), (1, (2,))):  # killed after step 3, gone on from step 1
        (logger,) = open_loggers(TrainingArguments(tmp_path, report_to="tensorboard"), begin)[1:]
        for step in steps:
            logger.log(values, step)
        logger.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "runs" / "run")).Reload()
    assert read.Tags()["scalars"] == ["eval/f1"]
    assert [(event.step, event.value) for event in read.Scalars("eval/f1")] == [(1, 0.5), (2, 0.5)]


@pytest.mark.parametrize("is_greater", [True, False])
def test_what_is_no_number_is_never_the_best(tmp_path: Path, is_greater: bool) -> None:
    scores = iter([float("nan"), 0.5, float("nan")])
    made = trainer(
        tmp_path,
        lambda _: {"score": next(scores)},
        metric_for_best_model="score",
        greater_is_better=is_greater,
        load_best_model_at_end=True,
    )
    made.train()
    assert (made.state.best_metric, made.state.best_global_step) == (0.5, 2)
