"""What a run knows of itself, and whom it tells: TrainerState, TrainerControl and callbacks, as in transformers."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidArgument

if TYPE_CHECKING:
    from .arguments import TrainingArguments

__all__ = [
    "EarlyStoppingCallback",
    "PrinterCallback",
    "ProgressCallback",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "shows_progress",
]

_log = logging.getLogger("panpipe")


@dataclass
class TrainerState:
    """Where a run stands; trainer_state.json in its checkpoints.

    epoch: with a fraction.   epoch_number, steps_in_epoch, examples_in_epoch: the place in the data.
    num_train_epochs: that the run begins.   num_examples: rows of the training data.   Both 0 for a stream.
    log_history: all that was logged.
    window_loss, window_steps: the losses since the last log.   loss_sum: of all logged steps.
    best_model_checkpoint: the folder of the best weights.   scheduler, scaler: what those remember.
    """

    global_step: int = 0
    epoch: float = 0.0
    max_steps: int = 0
    num_train_epochs: int = 0
    epoch_number: int = 0
    steps_in_epoch: int = 0
    examples_in_epoch: int = 0
    examples_seen: int = 0
    tokens_seen: int = 0
    train_seconds: float = 0.0
    num_examples: int = 0
    logging_steps: int = 500
    eval_steps: int = 500
    save_steps: int = 500
    window_loss: float = 0.0
    window_steps: int = 0
    loss_sum: float = 0.0
    best_metric: float | None = None
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    is_world_process_zero: bool = True
    run_id: str = ""
    scheduler: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    log_history: list[dict[str, Any]] = field(default_factory=list)

    def count_step(self, examples: int, steps: int, seconds: float) -> None:
        """One step further, which took `examples`.   steps: of the epoch, 0: unknown.   seconds: since the start."""
        self.global_step += 1
        self.steps_in_epoch += 1
        self.window_steps += 1
        self.examples_in_epoch += examples
        self.examples_seen += examples
        self.train_seconds = seconds
        self.epoch = self.epoch_number + (self.steps_in_epoch / steps if steps else 0.0)

    def begin_epoch(self, number: int) -> None:
        """At the first example of an epoch."""
        self.epoch_number, self.steps_in_epoch, self.examples_in_epoch = number, 0, 0
        self.epoch = float(number)

    def save_to_json(self, path: str | Path) -> None:
        """Write trainer_state.json."""
        text = json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load_from_json(cls, path: str | Path) -> TrainerState:
        """Read it."""
        values = json.loads(Path(path).read_text(encoding="utf-8"))
        known = {f.name for f in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass
class TrainerControl:
    """What callbacks ask of the loop; each is taken back once it was done."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False


class TrainerCallback:
    """Told of what happens; override what is of interest.

    Each is called with (args, state, control) and model=, processing_class=, and what belongs to the event: logs= or
    metrics=. An exception in a callback ends the run: nothing is swallowed.
    """

    def on_init_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> Any: ...

    def on_predict(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> Any: ...

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> Any: ...

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> Any: ...


class EarlyStoppingCallback(TrainerCallback):
    """Stops when `early_stopping_patience` evaluations in a row did not improve the best metric.

    early_stopping_threshold: an improvement is more than this. It reads the log, so that a resumed run knows it too.
    """

    def __init__(self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0) -> None:
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """A run that was killed when it had to stop does not go on.

        Raises InvalidArgument where nothing will be evaluated.
        """
        if args.eval_strategy == "no":
            raise InvalidArgument('EarlyStoppingCallback needs evaluations: give eval_strategy="epoch" or "steps".')
        self._decide(args, state, control)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Stop, if it does not get better."""
        self._decide(args, state, control)

    def _decide(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        key, is_greater = args.best_metric
        best, bad = -math.inf, 0
        for values in state.log_history:
            if key in values:
                value = values[key] if is_greater else -values[key]
                better = value > best + self.early_stopping_threshold
                best, bad = (value, 0) if better else (best, bad + 1)
        if bad >= self.early_stopping_patience:
            control.should_training_stop = True


def shows_progress(is_disabled: bool | None = None) -> bool:
    """Is a bar to be drawn? Unless it was said: where stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty() if is_disabled is None else not is_disabled


class ProgressCallback(TrainerCallback):
    """A bar with the loss and the rate."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """The bar of the run, at the step it begins from."""
        from tqdm import tqdm

        if state.is_world_process_zero:
            total = state.max_steps
            self._bar = tqdm(
                total=total, initial=state.global_step, desc="training", unit=" steps", dynamic_ncols=True, leave=True
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """One further."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """The loss beside the bar; evaluations as lines above it."""
        logs = more.get("logs") or {}
        if self._bar is None:
            return
        if "loss" in logs:
            self._bar.set_postfix(loss=f"{logs['loss']:.4g}", tokens_per_s=logs.get("tokens_per_second"))
        elif any(key.startswith("eval_") for key in logs):
            self._bar.write(_line(logs), file=sys.stderr)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Done."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class PrinterCallback(TrainerCallback):
    """A line in panpipe's log for whatever is logged."""

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        """Say it."""
        if state.is_world_process_zero and more.get("logs"):
            _log.info("%s", _line(more["logs"]))


def _line(logs: dict[str, Any]) -> str:
    """The logged values as a line of text."""
    shown = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in logs.items()}
    return "  ".join(f"{key} {value}" for key, value in shown.items())
