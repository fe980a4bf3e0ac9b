"""A task, a model and data: trained, or evaluated, in one call.

    train("text-classification", "bert-base-uncased", "reviews.csv", "out", num_train_epochs=3)
    evaluate("text-classification", "out", "reviews.csv", split="test")

Training needs PyTorch; evaluation runs on the native engine.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..carbon import Plan, plan
from ..errors import InvalidArgument, TrainingError, UnknownArgument, did_you_mean
from ..models import AutoConfig, Model, load_model
from ..tokenization import AutoTokenizer, Tokenizer
from .arguments import TrainingArguments
from .card import DataUsed
from .scoring import evaluate
from .scratch import scratch_model
from .splits import training_rows
from .tasks import TrainingTask, options_of, task_named

__all__ = ["SHORT", "TrainResult", "check_output", "evaluate", "train"]

SHORT = {"epochs": "num_train_epochs", "batch_size": "per_device_train_batch_size", "resume": "resume_from_checkpoint"}
"""Short names of arguments."""

_TRIED = 6
"""Steps that an estimate runs; the first is not counted."""


@dataclass(frozen=True)
class TrainResult:
    """What a run came to.

    output: the folder with the model.   metrics: of the evaluation data, if there were any.   training: of the run:
    loss, seconds, rates, energy.   columns: role → column.   rows: by use.
    """

    task: str
    output: str
    metrics: dict[str, Any]
    training: dict[str, Any]
    columns: dict[str, str]
    rows: dict[str, int]
    steps: int
    labels: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


# -- training --------------------------------------------------------------------------------------------------------


def train(
    task: str,
    model: str | Path | None,
    data: Any,
    output: str | Path,
    *,
    eval_data: Any = None,
    columns: Mapping[str, str] | None = None,
    data_name: str | None = None,
    limit: int | None = None,
    eval_limit: int | None = None,
    tokenizer: str | Path | None = None,
    from_scratch: str | None = None,
    lora: Mapping[str, Any] | str | None = None,
    freeze: Sequence[str] = (),
    estimate: bool = False,
    **arguments: Any,
) -> TrainResult | Plan:
    """Fine-tune a model for a task, or train one from scratch; the output folder then holds it, with its tokenizer.

    task: see `panpipe.training.tasks.TASKS`.   model: a folder or a model id; for a model from scratch whose config and
    tokenizer are taken.   tokenizer: another folder or id for that.
    data: what `load_dataset` takes (a folder, a file, a data set's id; data_name: its configuration), a data set, or
    several by split.   eval_data: another such, the name of a split, or the share of rows to keep out of training;
    default the validation split.   columns: role → column, those that are not to be guessed.
    limit, eval_limit: rows to take, drawn by the seed.
    from_scratch: a size ("tiny"), a family and size ("gpt2:tiny"), or a config.json: random weights.
    lora: a LoraConfig's values ({"r": 8}, "r=8,lora_alpha=16"): train an adapter.   freeze: names of weights that stay.
    estimate: only run a few steps, and return a `carbon.Plan` of the whole.
    arguments: the task's own (max_length …) and those of TrainingArguments, also as epochs, batch_size, resume.
    Raises InvalidArgument, UnknownArgument, MissingKey, DataNotFound, TrainingError before any work is done.
    """
    kind = task_named(task)
    own, given = options_of(kind, {SHORT.get(name, name): value for name, value in arguments.items()})
    _check_known(kind, given)
    args = _arguments(output, given | ({"freeze": tuple(freeze)} if freeze else {}))
    peft_config = _lora(lora)
    if not estimate:
        check_output(args)
    job = kind(**own)
    rows, held_out = training_rows(data, data_name, eval_data, limit, eval_limit, args.seed)
    job.read(rows, columns)
    job.take(*_model(job, model, tokenizer, from_scratch, args.seed))
    args = _changed(args, {**job.arguments(), **_evaluations(held_out), **given})
    at_its_end = {"push_to_hub": False}  # with the card that is written then
    trainer = _trainer(job, _changed(args, at_its_end), rows, None if estimate else held_out, peft_config)
    if estimate:
        return _estimated(trainer)
    done = trainer.train()
    metrics = {} if held_out is None else _without_prefix("eval_", trainer.evaluate(), _RATES)
    if job.best[0] == "loss" and "loss" in metrics:
        metrics["perplexity"] = math.exp(min(metrics["loss"], 700))
    trainer.save_model()
    if trainer.processes.is_main:
        trainer.create_model_card(task=job.name, datasets=_data_used(data, data_name, rows, held_out))
    if args.push_to_hub:
        trainer.push_to_hub()
    return TrainResult(
        job.name,
        str(output),
        metrics,
        _without_prefix("train_", done.metrics),
        job.columns,
        {"training": len(rows), "evaluation": 0 if held_out is None else len(held_out)},
        done.global_step,
        list(getattr(job, "names", [])),
    )


def _data_used(data: Any, data_name: str | None, rows: Any, held_out: Any) -> list[DataUsed]:
    """What the card says of the data: the id on the Hub, or the name of the file or folder."""
    is_name = isinstance(data, (str, Path))
    is_on_hub = is_name and not Path(data).exists()
    name = "data of one's own" if not is_name else str(data) if is_on_hub else Path(data).resolve().name
    used = [("training", rows), ("evaluation", held_out)]
    return [DataUsed(name, use, len(part), data_name, None, is_on_hub) for use, part in used if part is not None]


def check_output(args: TrainingArguments) -> None:
    """Raises TrainingError where the output folder holds another run."""
    folder = Path(args.output_dir)
    if args.resume_from_checkpoint or args.overwrite_output_dir or not folder.exists():
        return
    if not folder.is_dir():
        raise TrainingError(f"{folder} is a file; the output must be a folder.")
    found = [*folder.glob("checkpoint-*"), *folder.glob("trainer_state.json"), *folder.glob("config.json")]
    if found:
        raise TrainingError(
            f"{folder} holds a run or a model already ({found[0].name}): go on with it (--resume, resume=True), "
            "replace it (--overwrite-output-dir, overwrite_output_dir=True), or name another folder."
        )


def _check_known(kind: type[TrainingTask], given: Mapping[str, Any]) -> None:
    """Raises UnknownArgument for the near miss of an option that only this function, or the task, has."""
    own = [each.name for each in dataclasses.fields(kind) if each.init]
    known = [*own, *SHORT, *(each.name for each in dataclasses.fields(TrainingArguments))]
    for name in given:
        if name not in known and did_you_mean(name, [*own, *SHORT]):
            raise UnknownArgument(f"training for {kind.name} has no {name!r}.{did_you_mean(name, known)}")


def _arguments(output: str | Path, given: Mapping[str, Any]) -> TrainingArguments:
    usual = {"save_strategy": "epoch", "save_total_limit": 1, "logging_steps": 50, "per_device_eval_batch_size": 32}
    return TrainingArguments(output, **{**usual, **given})


def _changed(args: TrainingArguments, changes: Mapping[str, Any]) -> TrainingArguments:
    return TrainingArguments(
        **{**{each.name: getattr(args, each.name) for each in dataclasses.fields(args)}, **changes}
    )


def _evaluations(held_out: Any) -> dict[str, Any]:
    """What is usual where there are data to evaluate by, or not."""
    if held_out is None:
        return {"eval_strategy": "no", "load_best_model_at_end": False}
    return {"eval_strategy": "epoch", "load_best_model_at_end": True}


def _trainer(job: TrainingTask, args: TrainingArguments, rows: Any, held_out: Any, peft_config: Any) -> Any:
    from . import Trainer

    return Trainer(
        job.model,
        args,
        job.collator,
        job.features(rows),
        None if held_out is None else job.features(held_out),
        job.tokenizer,
        compute_metrics=None if held_out is None else job.compute_metrics(held_out),
        peft_config=peft_config,
    )


def _model(
    job: TrainingTask, model: str | Path | None, tokenizer: str | Path | None, from_scratch: str | None, seed: int
) -> tuple[Model, Tokenizer]:
    if model is None and (from_scratch is None or tokenizer is None):
        raise InvalidArgument("name a model to begin with: a folder or a model id; or from_scratch and a tokenizer.")
    pieces = AutoTokenizer.from_pretrained(tokenizer or model)  # type: ignore[arg-type]
    if from_scratch is not None:
        like = None if model is None else str(model)
        return scratch_model(from_scratch, job.head, pieces, like, seed, job.config(_NoLabels())), pieces
    assert model is not None, "checked above"
    changes = job.config(AutoConfig.from_pretrained(model))
    return load_model(model, job.head, new_head=True, **changes), pieces


class _NoLabels:
    """The config of a model that has no labels of its own."""

    label2id: Mapping[str, int] = {}
    id2label: Mapping[int, str] = {}


def _lora(given: Mapping[str, Any] | str | None) -> Any:
    if not given:
        return None
    from ..weights.adapters import LoraConfig

    values = dict(given) if isinstance(given, Mapping) else dict(map(_setting, given.split(",")))
    return LoraConfig.from_dict(values)


def _setting(text: str) -> tuple[str, Any]:
    name, found, value = (part.strip() for part in text.partition("="))
    if not found:
        raise InvalidArgument(f"lora is a list of settings such as r=8,lora_alpha=16, and {text!r} is none.")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    if value.replace(".", "", 1).isdigit():
        return name, float(value) if "." in value else int(value)
    return name, tuple(value.split("+")) if "+" in value else value


def _estimated(trainer: Any) -> Plan:
    """The time of a few steps, for all of them."""
    from .feed import Feed
    from .state import TrainerCallback

    times: list[float] = []

    class Clock(TrainerCallback):
        """Notes when steps end."""

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            """A step is over."""
            times.append(time.perf_counter())

    args = trainer.args
    total = Feed(trainer.train_dataset, args, trainer.processes.rank, trainer.processes.size).total_steps()
    with tempfile.TemporaryDirectory() as folder:
        quiet = {
            "save_strategy": "no",
            "eval_strategy": "no",
            "logging_strategy": "no",
            "load_best_model_at_end": False,
        }
        trainer.args = _changed(args, quiet | {"output_dir": folder, "max_steps": _TRIED, "energy": False})
        trainer.add_callback(Clock())
        trainer.train()
    return plan(seconds=(times[-1] - times[0]) / (len(times) - 1) * total, country=args.country)


_RATES = ("eval_runtime", "eval_samples_per_second", "eval_steps_per_second")


def _without_prefix(prefix: str, metrics: Mapping[str, Any], dropped: Sequence[str] = ()) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in metrics.items() if name not in dropped}
