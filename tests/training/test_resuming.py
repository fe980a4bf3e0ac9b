"""How a run goes on, and when it must not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from panpipe.errors import TrainingError
from panpipe.training import checkpoints
from panpipe.training.lora import LoraConfig
from panpipe.training.state import EarlyStoppingCallback, TrainerCallback
from panpipe.training.trainer import Trainer

from .test_trainer import arguments, classifier, rows

pytestmark = pytest.mark.train

SAVES = {"save_strategy": "steps", "save_steps": 1}
KEEPS = {"eval_strategy": "epoch", "load_best_model_at_end": True, "save_strategy": "epoch"}


class Counts(TrainerCallback):
    """The steps that were done."""

    def __init__(self) -> None:
        self.steps = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self.steps += 1


def trainer(folder: Path, *callbacks: TrainerCallback, count: int = 40, **changes: Any) -> Trainer:
    args = arguments(folder, energy=False, **changes)
    held_out = rows(20, seed=9)
    return Trainer(classifier(), args, train_dataset=rows(count), eval_dataset=held_out, callbacks=callbacks)


def test_a_run_killed_after_early_stopping_does_not_train_on(tmp_path: Path) -> None:
    def stopping(*more: TrainerCallback) -> Trainer:
        given = {"num_train_epochs": 30, "learning_rate": 0.05, "eval_strategy": "epoch", "save_strategy": "epoch"}
        return trainer(tmp_path, EarlyStoppingCallback(2), *more, **given)

    stopped = stopping()
    stopped.train()
    assert stopped.state.global_step < stopped.state.max_steps
    counts = Counts()
    again = stopping(counts)
    assert again.train(True).global_step == stopped.state.global_step
    assert counts.steps == 0


def test_the_loss_of_a_run_that_stops_between_two_logs_is_that_of_its_steps(tmp_path: Path) -> None:
    given = {"num_train_epochs": 30, "learning_rate": 0.05, "eval_strategy": "epoch", "logging_steps": 500}
    stopped = trainer(tmp_path, EarlyStoppingCallback(2), **given)
    output = stopped.train()
    (logged,) = (entry["loss"] for entry in stopped.state.log_history if "loss" in entry)
    assert output.training_loss == logged > 0


def test_the_best_weights_are_found_where_the_folder_was_moved(tmp_path: Path) -> None:
    run = trainer(tmp_path / "여기", num_train_epochs=8, learning_rate=0.02, **KEEPS)
    run.train()
    best = run.evaluate()["eval_loss"]
    assert run.state.best_global_step != run.state.global_step, "the best is the last, and this shows nothing"
    shutil.move(tmp_path / "여기", tmp_path / "저기")
    moved = trainer(tmp_path / "저기", num_train_epochs=9, learning_rate=0.02, **KEEPS)
    moved.train(True)
    assert moved.evaluate()["eval_loss"] <= best
    assert Path(moved.state.best_model_checkpoint or "").parent == tmp_path / "저기"
    assert len(list((tmp_path / "저기").glob("best-*"))) == 1


@pytest.mark.parametrize("how", ["gone", "broken"])
def test_best_weights_that_are_lost_are_forgotten_with_a_warning(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer(tmp_path, **KEEPS).train()
    (best,) = tmp_path.glob("best-*")
    if how == "gone":
        shutil.rmtree(best)
    else:
        (best / "model.safetensors").write_bytes(b"no weights")
    again = trainer(tmp_path, **{**KEEPS, "num_train_epochs": 3})
    again.train(True)
    assert "the best weights" in caplog.text
    assert again.state.best_global_step == again.state.global_step  # the only evaluation since
    assert checkpoints.problem_of(Path(again.state.best_model_checkpoint or "")) is None


@pytest.mark.parametrize("adapter", [None, LoraConfig(r=2)])
@pytest.mark.parametrize("names_it", [True, False])
def test_weights_without_an_optimizer_are_not_resumed_from(
    tmp_path: Path, adapter: LoraConfig | None, names_it: bool
) -> None:
    def run() -> Trainer:
        model = classifier()
        model.save_pretrained(tmp_path / "base")
        model.name_or_path = str(tmp_path / "base")
        args = arguments(tmp_path, energy=False, max_steps=2, save_only_model=True, **SAVES)
        return Trainer(model, args, train_dataset=rows(), peft_config=adapter)

    run().train()
    with pytest.raises(TrainingError, match="save_only_model=True"):
        run().train(tmp_path / "checkpoint-2" if names_it else True)


def test_fewer_rows_than_before_do_not_stall_a_run(tmp_path: Path) -> None:
    trainer(tmp_path, max_steps=4, **SAVES).train()
    assert trainer(tmp_path, count=16, max_steps=6, **SAVES).train(True).global_step == 6


def test_the_end_of_a_run_ends_its_epoch(tmp_path: Path) -> None:
    run = trainer(tmp_path, max_steps=3, **KEEPS)
    run.train()
    assert [entry["step"] for entry in run.state.log_history if "eval_loss" in entry] == [3]
    assert [folder.name for folder in checkpoints.checkpoints_in(tmp_path)] == ["checkpoint-3"]


def test_an_epoch_that_a_callback_ends_is_evaluated(tmp_path: Path) -> None:
    class Short(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            control.should_epoch_stop = state.steps_in_epoch == 2

    run = trainer(tmp_path, Short(), max_steps=5, eval_strategy="epoch")
    run.train()
    assert [entry["step"] for entry in run.state.log_history if "eval_loss" in entry] == [2, 4, 5]
    assert run.state.epoch_number == 2


def test_what_was_the_best_once_is_removed_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    mine = tmp_path / "best-of"
    mine.mkdir()
    improved: list[int] = []

    class Notes(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            improved.append(state.best_global_step)
            assert len(list(tmp_path.glob("best-*"))) <= 2

    changes = {**KEEPS, "save_strategy": "no", "greater_is_better": True}  # the loss of what was not seen grows
    trainer(tmp_path, Notes(), num_train_epochs=6, **changes).train()
    assert len(set(improved)) > 2, "it never got better, and this shows nothing"
    assert mine.is_dir()


def test_a_checkpoint_of_each_best_evaluation_can_be_resumed_from(tmp_path: Path) -> None:
    changes = {"save_strategy": "best", "eval_strategy": "epoch", "num_train_epochs": 3, "save_total_limit": 1}
    run = trainer(tmp_path, **changes)
    run.train()
    (folder,) = checkpoints.checkpoints_in(tmp_path)
    assert folder.name == f"checkpoint-{run.state.best_global_step}"
    counts = Counts()
    trainer(tmp_path, counts, **changes).train(True)
    assert counts.steps == run.state.max_steps - (run.state.best_global_step or 0)
