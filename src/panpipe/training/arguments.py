"""What a run of training is told: `TrainingArguments`, under transformers' names, those of older courses included."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, UnknownArgument, did_you_mean

__all__ = ["SCHEDULES", "Seq2SeqTrainingArguments", "TrainingArguments"]

_log = logging.getLogger("panpipe")

SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "cosine_with_min_lr",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "warmup_stable_decay",
    "one_cycle",
    "reduce_lr_on_plateau",
)
OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "adamw_hf", "adafactor", "sgd")
STRATEGIES = ("no", "steps", "epoch")

_OLD_NAMES = {
    "evaluation_strategy": "eval_strategy",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "no_cuda": "use_cpu",
    "full_determinism": "deterministic",
    "push_to_hub_model_id": "hub_model_id",
    "push_to_hub_token": "hub_token",
}
_WITHOUT_EFFECT = {
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), "call train(), evaluate() or predict()"),
    "logging_dir": "TensorBoard's files are in output_dir/runs",
    **dict.fromkeys(
        (
            "dataloader_num_workers",
            "dataloader_pin_memory",
            "dataloader_persistent_workers",
            "dataloader_prefetch_factor",
            "label_names",
            "ignore_data_skip",
            "accelerator_config",
            "ddp_find_unused_parameters",
            "ddp_bucket_cap_mb",
            "ddp_backend",
            "local_rank",
            "eval_accumulation_steps",
            "length_column_name",
            "save_safetensors",
            "torch_compile",
            "torch_empty_cache_steps",
            "tf32",
            "half_precision_backend",
            "fp16_opt_level",
            "bf16_full_eval",
            "fp16_full_eval",
            "gradient_checkpointing_kwargs",
            "include_inputs_for_metrics",
            "include_num_input_tokens_seen",
            "include_tokens_per_second",
            "log_level",
            "log_level_replica",
            "log_on_each_node",
            "logging_nan_inf_filter",
            "average_tokens_across_devices",
            "sortish_sampler",
            "auto_find_batch_size",
            "restore_callback_states_from_checkpoint",
            "use_mps_device",
            "jit_mode_eval",
            "skip_memory_metrics",
            "hub_strategy",
            "hub_always_push",
            "batch_eval_metrics",
            "eval_use_gather_object",
            "prediction_loss_only",
        ),
        "there is nothing for it to change here",
    ),
}


@dataclass
class TrainingArguments:
    """How to train. The names are those of transformers; older spellings are taken, with a line in the log.

    Steps may be shares: eval_steps=0.1 is ten times in a run; so may warmup_steps. Strategies: "no", "steps", "epoch".

    output_dir: the folder for checkpoints, the log (log.jsonl), the loss picture, the model card and emissions.csv.
    overwrite_output_dir: remove the checkpoints that an earlier run left there.
    per_device_train_batch_size: examples in a batch of one process.   per_device_eval_batch_size: in evaluation.
    max_tokens_per_batch: batches of at most so many tokens instead, of examples of about the same length.
    gradient_accumulation_steps: batches before each step of the optimizer.
    learning_rate: its peak.   lr_scheduler_type: how it changes.   lr_scheduler_kwargs: of that schedule.
    warmup_steps: steps until the peak; below 1 a share.   warmup_ratio: the share, as it was called.
    optim: adamw_torch, adafactor or sgd.   weight_decay: of matrices; biases and norms have none.
    adam_beta1, adam_beta2, adam_epsilon: of AdamW.   max_grad_norm: gradients are clipped to it; 0 for never.
    label_smoothing_factor: the probability that classes other than the right one get together.
    num_train_epochs: passes over the data.   max_steps: steps instead, if above 0.
    remove_unused_columns: leave out columns that models do not take; of account for losses of one's own alone.
    group_by_length: batches of examples of about the same length.   dataloader_drop_last: leave out the last, smaller.
    eval_strategy, eval_steps, eval_on_start, eval_delay: when to evaluate.
    logging_strategy, logging_steps, logging_first_step: when to log.
    report_to: tensorboard, wandb, trackio, or a Logger; log.jsonl is always written.
    save_strategy, save_steps, save_total_limit, save_only_model: when to write checkpoints, and how many stay; the
    strategy may also be "best": after an evaluation that is the best so far.
    load_best_model_at_end: end with the weights of the best evaluation.   metric_for_best_model: "loss" or a metric.
    greater_is_better: default: unless the metric is a loss.
    seed: of weights, dropout and masks.   data_seed: of the order of the data; default the seed.
    deterministic: refuse algorithms of PyTorch that are not.
    bf16, fp16: compute in it, with weights in float32; fp16 only on a GPU.   use_cpu: even if there is a GPU.
    gradient_checkpointing: compute layers again in the backward pass, to save memory.
    freeze: names of weights (fnmatch) that stay as they are.   fsdp: "full_shard" splits weights over the processes.
    predict_with_generate, generation_max_length, generation_num_beams, generation_config: evaluate texts as written.
    resume_from_checkpoint: go on from the newest whole checkpoint (True) or from that folder.
    disable_tqdm: no progress bar; default: where stderr is no terminal.
    energy: account for it.   country: where the electricity comes from (KOR); default: the world's average.
    push_to_hub, hub_model_id, hub_token, hub_private_repo: upload at the end.
    run_name: what the run is called in logs and in the energy report.
    """

    output_dir: str = "trainer_output"
    overwrite_output_dir: bool = False
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    max_tokens_per_batch: int | None = None
    gradient_accumulation_steps: int = 1
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "linear"
    lr_scheduler_kwargs: dict[str, Any] = field(default_factory=dict)
    warmup_steps: float = 0
    warmup_ratio: float = 0.0
    optim: str = "adamw_torch"
    weight_decay: float = 0.0
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    label_smoothing_factor: float = 0.0
    num_train_epochs: float = 3.0
    max_steps: int = -1
    remove_unused_columns: bool = True
    group_by_length: bool = False
    dataloader_drop_last: bool = False
    eval_strategy: str = "no"
    eval_steps: float | None = None
    eval_on_start: bool = False
    eval_delay: float = 0
    logging_strategy: str = "steps"
    logging_steps: float = 500
    logging_first_step: bool = False
    report_to: Any = ()
    save_strategy: str = "steps"
    save_steps: float = 500
    save_total_limit: int | None = None
    save_only_model: bool = False
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    greater_is_better: bool | None = None
    seed: int = 42
    data_seed: int | None = None
    deterministic: bool = False
    bf16: bool = False
    fp16: bool = False
    use_cpu: bool = False
    gradient_checkpointing: bool = False
    freeze: Sequence[str] = ()
    fsdp: str = ""
    predict_with_generate: bool = False
    generation_max_length: int | None = None
    generation_num_beams: int | None = None
    generation_config: Any = None
    resume_from_checkpoint: bool | str | None = None
    disable_tqdm: bool | None = None
    energy: bool = True
    country: str | None = None
    push_to_hub: bool = False
    hub_model_id: str | None = None
    hub_token: str | None = field(default=None, repr=False)
    hub_private_repo: bool | None = None
    run_name: str | None = None

    def __init__(self, output_dir: str | Path | None = None, **given: Any) -> None:
        """Raises UnknownArgument (with the nearest name) and InvalidArgument."""
        if output_dir is not None:
            given["output_dir"] = str(output_dir)
        values = _modern(type(self), given)
        for known in dataclasses.fields(self):
            default = known.default_factory() if known.default_factory is not dataclasses.MISSING else known.default
            setattr(self, known.name, values.get(known.name, default))
        self.__post_init__()

    def __post_init__(self) -> None:
        for name in ("eval_strategy", "logging_strategy", "save_strategy"):
            choices = (*STRATEGIES, "best") if name == "save_strategy" else STRATEGIES
            setattr(self, name, _one_of(name, _word(getattr(self, name)), choices))
        self.lr_scheduler_type = _one_of("lr_scheduler_type", _word(self.lr_scheduler_type), SCHEDULES)
        self.optim = _one_of("optim", _word(self.optim), OPTIMIZERS)
        self.report_to = _loggers(self.report_to)
        self.fsdp = " ".join(map(str, self.fsdp)) if isinstance(self.fsdp, list) else str(self.fsdp or "")
        if self.fsdp.split()[:1] in (["full_shard"], ["True"]):
            self.fsdp = "full_shard"
        elif self.fsdp:
            raise InvalidArgument(f'fsdp is {self.fsdp!r}; it must be "" or "full_shard".')
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            _at_least(name, getattr(self, name), 1)
        for name in ("learning_rate", "warmup_steps", "warmup_ratio", "weight_decay", "num_train_epochs", "eval_delay"):
            _at_least(name, getattr(self, name), 0)
        for name in ("logging_steps", "save_steps", "eval_steps", "save_total_limit", "max_tokens_per_batch"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise InvalidArgument(f"{name} is {getattr(self, name)}; it must be above 0.")
        if self.warmup_ratio > 1:
            raise InvalidArgument(f"warmup_ratio is {self.warmup_ratio}; it is a share of the run, at most 1.")
        if self.bf16 and self.fp16:
            raise InvalidArgument("bf16 and fp16 are both on; choose one.")
        if self.max_steps <= 0 and self.num_train_epochs == 0:
            raise InvalidArgument("num_train_epochs is 0: there is nothing to do. Give max_steps, or more epochs.")
        if self.load_best_model_at_end and self.eval_strategy == "no":
            raise InvalidArgument('load_best_model_at_end needs evaluations: give eval_strategy="epoch" or "steps".')

    # -- what follows from them --------------------------------------------------------------------------------------

    @property
    def best_metric(self) -> tuple[str, bool]:
        """The key of an evaluation that decides which is best, and whether more of it is better."""
        name = self.metric_for_best_model or "loss"
        key = name if name.startswith("eval_") else f"eval_{name}"
        is_greater = self.greater_is_better
        return key, not key.endswith("loss") if is_greater is None else is_greater

    def get_warmup_steps(self, total: int) -> int:
        """The steps of warm-up in a run of so many."""
        if self.warmup_steps:
            return int(self.warmup_steps) if self.warmup_steps >= 1 else math.ceil(total * self.warmup_steps)
        return math.ceil(total * self.warmup_ratio)

    def every(self, name: str, total: int) -> int:
        """`eval_steps`, `logging_steps` or `save_steps` in a run of so many steps: shares become numbers."""
        steps = getattr(self, name)
        if steps is None:  # eval_steps follows logging_steps, as in transformers
            return self.every("logging_steps", total)
        return max(1, math.ceil(total * steps) if steps < 1 else int(steps))

    def to_dict(self) -> dict[str, Any]:
        """All of them, for JSON; the token is not among them."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "hub_token"}
        values["report_to"] = [name if isinstance(name, str) else type(name).__name__ for name in self.report_to]
        if values["generation_config"] is not None:
            values["generation_config"] = str(values["generation_config"])
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    def changed(self) -> dict[str, Any]:
        """Those that are not as they would be if nothing had been given."""
        plain = type(self)().to_dict()
        return {name: value for name, value in self.to_dict().items() if value != plain[name]}


class Seq2SeqTrainingArguments(TrainingArguments):
    """The same: every Trainer knows predict_with_generate."""


def _modern(cls: type[TrainingArguments], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments under their names of today.   Raises UnknownArgument."""
    known = {f.name for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name in known:
            values[name] = value
        elif name in _OLD_NAMES:
            _log.info("TrainingArguments: %s is called %s now.", name, _OLD_NAMES[name])
            values[_OLD_NAMES[name]] = value
        elif name == "warmup":
            values["warmup_steps"] = value
        elif name == "precision":
            values |= _precision(value)
        elif name in _WITHOUT_EFFECT:
            _log.info("TrainingArguments: %s has no effect: %s.", name, _WITHOUT_EFFECT[name])
        else:
            raise UnknownArgument(f"TrainingArguments has no {name!r}.{did_you_mean(name, {*known, *_OLD_NAMES})}")
    return values


def _precision(value: Any) -> dict[str, bool]:
    value = _one_of("precision", str(value), ("fp32", "bf16", "fp16"))
    return {} if value == "fp32" else {value: True}


def _word(value: Any) -> Any:
    """A word, also from transformers' enumerations."""
    return getattr(value, "value", value)


def _loggers(given: Any) -> tuple[Any, ...]:
    found = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    return () if found in ((None,), ("none",), ("all",)) else found  # "all" is what old courses had by default


def _one_of(name: str, value: Any, choices: Sequence[str]) -> str:
    if value is False:
        value = "no"
    if value not in choices:
        near = did_you_mean(str(value), choices)
        raise InvalidArgument(f"{name} is {value!r}; it must be one of {', '.join(choices)}.{near}")
    return str(value)


def _at_least(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
        raise InvalidArgument(f"{name} is {value!r}; it must be a number, {least} or more.")
