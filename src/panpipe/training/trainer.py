"""The Trainer: one loop that teaches a model, and can be killed at any moment.

    trainer = Trainer(model, TrainingArguments("out"), train_dataset=rows, processing_class=tokenizer)
    trainer.train()                              # train(resume_from_checkpoint=True) goes on where it was killed

The names are transformers'. A step is: the examples that `order` says, as ragged batches; the sum of their losses over
all batches and processes, divided by the number of terms; one step of the optimizer. All that is random is drawn from
(seed, step), so that nothing has to be remembered but the weights, the optimizer's state and the step.
"""

from __future__ import annotations

import copy
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..carbon import EnergyMeter, EnergyResult
from ..data import as_dataset
from ..errors import InvalidArgument, UnknownArgument
from ..models.model import Model
from . import checkpoints, outputs, resuming, snapshots
from .arguments import TrainingArguments
from .batches import Padded, TrainingBatch
from .collators import DataCollatorWithPadding, default_data_collator
from .distributed import Processes
from .evaluation import EvalPrediction, Evaluator, PredictionOutput
from .feed import Feed, Rows, Step, by_name, collated, dataloader, padded
from .interruption import Interruption
from .loggers import Logger, open_loggers, plain
from .lora import apply_lora, freeze
from .memory import keep_freed_memory
from .module import Trainable
from .objectives import loss_sum
from .optimizers import make_optimizer
from .order import step_seed
from .schedules import plateau, schedule
from .state import PrinterCallback, ProgressCallback, TrainerCallback, TrainerControl, TrainerState, shows_progress
from .tuning import BestRun, hyperparameter_search

__all__ = ["Seq2SeqTrainer", "TrainOutput", "Trainer"]

_log = logging.getLogger("panpipe")


class TrainOutput(NamedTuple):
    """What `train` returns.   training_loss: the mean over all steps."""

    global_step: int
    training_loss: float
    metrics: dict[str, float]


class Trainer:
    """Teaches a model.

    model: with a head, on any engine; after `train` it holds the trained weights.
    train_dataset, eval_dataset: rows of features (`input_ids`, `labels` …): ours, Hugging Face's, pandas, lists of
    dicts; eval_dataset may be several by name.   data_collator: default: pads (at the edge; inside nothing is padded).
    processing_class (or tokenizer): saved beside the model.   compute_metrics: EvalPrediction -> metrics by name.
    model_init: makes the model anew, for a search.   peft_config: a LoraConfig, to train an adapter instead.
    compute_loss_func: (outputs, labels, num_items_in_batch) -> loss.   optimizers: (optimizer, scheduler) of one's own.
    Raises InvalidArgument, InputError before any work.
    """

    def __init__(
        self,
        model: Model | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable[[list[Any]], Any] | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[[], Model] | None = None,
        compute_loss_func: Callable[..., Any] | None = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        callbacks: Sequence[TrainerCallback | type[TrainerCallback]] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        preprocess_logits_for_metrics: Callable[[Any, Any], Any] | None = None,
        *,
        tokenizer: Any = None,
        peft_config: Any = None,
    ) -> None:
        if model is None and model_init is not None:
            model = model_init()
        if not isinstance(model, Model) or model.head == "base":
            raise InvalidArgument(
                f"Trainer needs a panpipe model with a head (AutoModelForSequenceClassification …), not {model!r}."
            )
        self.model: Model = model
        self.model_init = model_init
        self.args = args or TrainingArguments()
        self.processing_class = tokenizer if processing_class is None else processing_class
        self.train_dataset = None if train_dataset is None else as_dataset(train_dataset)
        self.eval_dataset = eval_dataset
        self.data_collator = data_collator or self._default_collator()
        self.compute_loss_func = compute_loss_func
        self.compute_metrics = compute_metrics
        self.preprocess_logits_for_metrics = preprocess_logits_for_metrics
        self.peft_config = getattr(model, "peft_config", None) if peft_config is None else peft_config
        self._given_optimizers = optimizers
        self.optimizer, self.lr_scheduler = optimizers
        self.processes = Processes(self.args.use_cpu)
        self.state = TrainerState(is_world_process_zero=self.processes.is_main)
        self.control = TrainerControl()
        self.trainable: Trainable | None = None
        self.energy: EnergyMeter | None = None
        self.energy_used: EnergyResult | None = None
        self._is_training = self._is_split = self._is_interrupted = False
        self._best_saved: str | None = None  # what the newest checkpoint knows as the best
        self._grad_norm: Any = 0.0
        self._window: torch.Tensor = torch.zeros((), dtype=torch.float64)
        self._loggers: list[Logger] = []
        self.callbacks: list[TrainerCallback] = []
        is_shown = shows_progress(self.args.disable_tqdm)
        for callback in (ProgressCallback if is_shown else PrinterCallback, *(callbacks or ())):
            self.add_callback(callback)
        self._tell("on_init_end")

    @property
    def tokenizer(self) -> Any:
        """The processing_class, by its old name."""
        return self.processing_class

    # -- the loop ----------------------------------------------------------------------------------------------------

    def train(self, resume_from_checkpoint: bool | str | Path | None = None, **unknown: Any) -> TrainOutput:
        """Train; the model holds the result.

        resume_from_checkpoint: True goes on from the newest whole checkpoint in output_dir, or begins where there is
        none; a path goes on from that one. On the same machine, processes and threads the weights are the same to the
        last bit as if the run had never stopped.
        Raises TrainingError, InputError.   Ctrl-C and SIGTERM write a checkpoint first, then raise KeyboardInterrupt.
        """
        for name in unknown:
            if name not in ("trial", "ignore_keys_for_eval"):
                raise UnknownArgument(f"train() takes no {name!r}.")
        if self.train_dataset is None:
            raise InvalidArgument("train() needs a train_dataset; give one to the Trainer.")
        if self.processes.device.type == "cpu":
            keep_freed_memory()
        resume = self.args.resume_from_checkpoint if resume_from_checkpoint is None else resume_from_checkpoint
        folder = resuming.folder_to_resume(resume, self.args, self.processes)
        feed = Feed(self.train_dataset, self.args, self.processes.rank, self.processes.size)
        self._prepare(feed, folder)
        self._is_training = True
        try:
            with Interruption() as self._interruption, outputs.metered(self) as self.energy:
                self._began = time.perf_counter() - self.state.train_seconds
                self._tell("on_train_begin")
                if self.args.eval_on_start and not self.state.global_step:
                    self.evaluate()
                while not self._is_over():
                    self._epoch(feed)
            return self._finish()
        finally:
            self._is_training = False
            self._tell("on_train_end")
            for logger in self._loggers:
                logger.close()
            self._loggers = []

    def _epoch(self, feed: Feed) -> None:
        """The steps of an epoch that are not done yet."""
        state = self.state
        self.control.should_epoch_stop = False
        steps = feed.steps_in_epoch(state.epoch_number)
        self._tell("on_epoch_begin")
        for step in feed.steps(state.epoch_number, state.examples_in_epoch):
            self._tell("on_step_begin")
            self._step(step, feed)
            state.count_step(step.examples, steps, time.perf_counter() - self._began)
            self._plan(step.is_last)
            self._tell("on_step_end")
            if self.control.should_epoch_stop and not step.is_last:
                self._plan(is_epoch_end=True)
            is_end = step.is_last or self.control.should_epoch_stop
            if is_end:
                state.begin_epoch(state.epoch_number + 1)
                self._tell("on_epoch_end")
            self._act()
            if is_end or self._is_over():
                return
        state.begin_epoch(state.epoch_number + 1)  # resumed, and there are fewer data than there were

    def _step(self, step: Step, feed: Feed) -> None:
        """One step of the optimizer."""
        args, state, processes = self.args, self.state, self.processes
        torch.manual_seed(step_seed(args.seed, state.global_step, processes.rank))
        batches = [self._collate(rows) for rows in step.batches]
        counts = [sum(b.num_terms for b in batches), sum(b.num_tokens for b in batches), len(batches)]
        terms, tokens, count, interrupted = processes.sum([*counts, self._interruption.seen])
        loss = torch.zeros((), dtype=torch.float64, device=processes.device)
        for batch, share in self._equally_many(batches, feed):
            part = self._loss(batch, max(1.0, terms), count) * share
            self._scaler.scale(part).backward()
            loss += part.detach()
        parameters = [p for p in self._trainable().parameters() if p.requires_grad]
        processes.sum_gradients(parameters)
        self._scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(parameters, args.max_grad_norm or math.inf)
        self._set_learning_rate()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.lr_scheduler is not None:
            self.lr_scheduler.step()
        self._grad_norm = snapshots.whole(norm.detach())
        self._window += loss / (processes.size if self._is_split else 1)
        state.tokens_seen += int(tokens)
        if interrupted:
            self.control.should_training_stop = self.control.should_save = self._is_interrupted = True

    def _equally_many(
        self, batches: list[TrainingBatch | Padded], feed: Feed
    ) -> Iterator[tuple[TrainingBatch | Padded, float]]:
        """The batches, and what their loss is multiplied by.

        Where the weights are split all processes compute together: one that has fewer batches computes some in vain,
        and what is divided by the number of processes on the way is multiplied by it here.
        """
        most = max(self.processes.gather(len(batches))) if self._is_split else 0
        yield from ((batch, float(self.processes.size if self._is_split else 1)) for batch in batches)
        for _ in range(most - len(batches)):
            yield self._collate(feed.any_batch()), 0.0

    def _loss(self, batch: TrainingBatch | Padded, terms: float, count: float) -> torch.Tensor:
        """A batch's part of the step's loss.   terms, count: of the whole step, its terms and its batches."""
        trainable = self._trainable()
        if isinstance(batch, TrainingBatch):
            logits = trainable(batch)
            smoothing = self.args.label_smoothing_factor
            kind = self.model.config.problem_type
            return loss_sum(self.model.head, logits, batch.labels, batch.batch, smoothing, kind) / terms
        loss: torch.Tensor = self._own_loss(trainable.model, batch, terms)
        return loss if self.compute_loss_func is not None else loss / count

    @property
    def _has_own_loss(self) -> bool:
        return self.compute_loss_func is not None or type(self).compute_loss is not Trainer.compute_loss

    def _own_loss(self, model: Model, batch: Padded, terms: float, return_outputs: bool = False) -> Any:
        device = self.processes.device
        inputs = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.inputs.items()}
        return self.compute_loss(model, inputs, return_outputs, num_items_in_batch=terms)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: float | None = None
    ) -> Any:
        """The mean loss of a batch of rectangles: override it to train by another.

        With compute_loss_func it is what that says: the batch's sum by num_items_in_batch, the terms of the step.
        """
        labels = inputs.pop("labels", None) if self.compute_loss_func is not None else None
        outputs_ = model(**inputs)
        if self.compute_loss_func is None:
            loss = outputs_.loss
        else:
            loss = self.compute_loss_func(outputs_, labels, num_items_in_batch=num_items_in_batch)
        return (loss, outputs_) if return_outputs else loss

    def _collate(self, rows: Rows) -> TrainingBatch | Padded:
        given = self.data_collator, rows.rows, self.model, rows.seeds
        return padded(*given, drops=self.args.remove_unused_columns) if self._has_own_loss else collated(*given)

    def _set_learning_rate(self) -> None:
        if self._given_optimizers[0] is not None and self._given_optimizers[1] is not None:
            return  # the schedule is the user's
        factor = self._factor(self.state.global_step)
        if self.args.lr_scheduler_type == "reduce_lr_on_plateau":
            key, is_greater = self.args.best_metric
            found = [values[key] for values in self.state.log_history if key in values]
            factor *= plateau(found, is_greater_better=is_greater, **self._plateau_options)
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    # -- what happens between steps ----------------------------------------------------------------------------------

    def _is_over(self) -> bool:
        return self.state.global_step >= self.state.max_steps or self.control.should_training_stop

    def _plan(self, is_epoch_end: bool) -> None:
        """What is due after this step, by the arguments; callbacks may ask for more. A run ends its last epoch."""
        args, state, control = self.args, self.state, self.control
        is_end = state.global_step >= state.max_steps

        def due(strategy: str, every: int) -> bool:
            if strategy == "epoch":
                return is_epoch_end or is_end
            return strategy == "steps" and state.global_step % every == 0

        is_first = args.logging_first_step and state.global_step == 1
        control.should_log |= due(args.logging_strategy, state.logging_steps) or is_first
        if state.epoch >= args.eval_delay if args.eval_strategy == "epoch" else state.global_step >= args.eval_delay:
            control.should_evaluate |= due(args.eval_strategy, state.eval_steps)
        control.should_save |= due(args.save_strategy, state.save_steps) or (is_end and args.save_strategy == "steps")

    def _act(self) -> None:
        """Log, evaluate and save, if that is due."""
        control, is_over = self.control, self._is_over()
        if control.should_log or (is_over and self.state.window_steps and not self._is_interrupted):
            control.should_log = False
            self._log_window()
        if control.should_evaluate:
            control.should_evaluate = False
            self.evaluate()
        if control.should_save:
            control.should_save = False
            self._save_checkpoint()

    def _log_window(self) -> None:
        """The mean loss since the last time."""
        state = self.state
        total = self.processes.sum([float(self._window)])[0]
        state.loss_sum += total
        loss = total / max(1, state.window_steps)
        if not math.isfinite(loss):
            _log.warning("the loss is %s at step %d: is the learning rate too high?", loss, state.global_step)
        logs = {
            "loss": loss,
            "grad_norm": float(self._grad_norm),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "tokens_per_second": round(state.tokens_seen / max(state.train_seconds, 1e-9)),
        }
        self._window.zero_()
        state.window_steps = 0
        self.log(logs)

    def log(self, logs: Mapping[str, Any], start_time: float | None = None) -> None:
        """Note numbers of this step in the state, the log and the loggers."""
        values = {**plain(logs), "epoch": round(self.state.epoch, 4)}
        self.state.log_history.append({**values, "step": self.state.global_step})
        for logger in self._loggers:
            logger.log(values, self.state.global_step)
        self._tell("on_log", logs=values)

    def add_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """Tell this one too."""
        self.callbacks.append(callback() if isinstance(callback, type) else callback)

    def remove_callback(self, callback: TrainerCallback | type[TrainerCallback]) -> None:
        """Do not tell it any more."""
        kind = callback if isinstance(callback, type) else type(callback)
        self.callbacks = [c for c in self.callbacks if c is not callback and not (kind is callback and type(c) is kind)]

    def _tell(self, event: str, **more: Any) -> None:
        for callback in self.callbacks:
            changed = getattr(callback, event)(
                self.args, self.state, self.control, model=self.model, processing_class=self.processing_class, **more
            )
            self.control = self.control if changed is None else changed

    # -- a run's beginning and end -----------------------------------------------------------------------------------

    def _prepare(self, feed: Feed, folder: Path | None) -> None:
        """Weights, optimizer and state as they are at the step to begin from."""
        args, processes = self.args, self.processes
        Path(args.output_dir).mkdir(parents=True, exist_ok=True)
        is_gpu = processes.device.type != "cpu"
        if args.deterministic:
            torch.use_deterministic_algorithms(True)
        if args.fp16 and not is_gpu:
            _log.warning("fp16 needs a GPU: this run computes in float32. (bf16=True works on a CPU.)")
        self._scaler = torch.amp.GradScaler(processes.device.type, enabled=args.fp16 and is_gpu)
        self._is_interrupted, self.control = False, TrainerControl()
        total = feed.total_steps()
        warmup = args.get_warmup_steps(total)
        options = dict(args.lr_scheduler_kwargs)
        self._plateau_options = {key: options.pop(key) for key in ("factor", "patience") if key in options}
        self._factor = schedule(args.lr_scheduler_type, total, warmup, args.learning_rate, **options)
        self.trainable = self._made_trainable()
        if folder is not None:
            resuming.load_weights(folder, self.trainable, self.model, is_adapter=self.peft_config is not None)
        self._is_split = bool(args.fsdp) and processes.split(self.trainable)
        self.optimizer, self.lr_scheduler = self._given_optimizers
        self.optimizer = self.optimizer or self.create_optimizer()
        run_id = processes.on_main(lambda: uuid.uuid4().hex)
        self.state = TrainerState(run_id=run_id)
        if folder is not None:
            self.state = resuming.load_state(folder, self)
        state = self.state
        state.is_world_process_zero, state.max_steps = processes.is_main, total
        state.num_train_epochs, state.num_examples = feed.num_epochs(), feed.num_examples
        state.logging_steps, state.save_steps = args.every("logging_steps", total), args.every("save_steps", total)
        state.eval_steps = args.every("eval_steps", total)
        window = state.window_loss if processes.is_main else 0.0  # it is the sum of all
        self._window = torch.tensor(window, dtype=torch.float64, device=processes.device)
        self._best_saved = state.best_model_checkpoint
        self._loggers = open_loggers(args, state.global_step) if processes.is_main else []

    def _made_trainable(self) -> Trainable:
        """The model as PyTorch trains it, with what the arguments say of its weights."""
        args, is_gpu = self.args, self.processes.device.type != "cpu"
        if self._given_optimizers[0] is not None:  # made for the parameters of the model, so these are trained
            trainable: Trainable = self.model.trainable().to(self.processes.device)
        else:
            trainable = Trainable(self.model, self.processes.device)
        torch.manual_seed(args.seed)  # an adapter is drawn
        if self.peft_config is not None:
            apply_lora(trainable, self.peft_config)
        if args.freeze:
            freeze(trainable, *args.freeze)
        trainable.gradient_checkpointing = args.gradient_checkpointing
        trainable.autocast = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 and is_gpu else None
        if not any(p.requires_grad for p in trainable.parameters()):
            raise InvalidArgument("all weights are frozen: there is nothing to train.")
        trainable.train()
        return trainable

    def create_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the run; override it for another."""
        return make_optimizer(self._trainable().named_parameters(), self.args)

    def _trainable(self) -> Trainable:
        assert self.trainable is not None, "train() makes it"
        return self.trainable

    def _default_collator(self) -> Callable[[list[Any]], Any]:
        tokenizer = self.processing_class
        collator: Callable[[list[Any]], Any] = default_data_collator
        return collator if tokenizer is None else DataCollatorWithPadding(tokenizer)

    def _finish(self) -> TrainOutput:
        """The best weights if wanted, the model, the picture, the card, and the figures of the run."""
        state = self.state
        if self._is_interrupted:
            self._take_weights()
            raise KeyboardInterrupt(
                f"training was interrupted at step {state.global_step}; {self.args.output_dir} has a checkpoint: go on "
                "with train(resume_from_checkpoint=True)."
            )
        if self.args.load_best_model_at_end and state.best_model_checkpoint:
            best = Path(state.best_model_checkpoint)
            resuming.load_weights(best, self._trainable(), self.model, is_adapter=self.peft_config is not None)
        self._take_weights()
        if state.window_steps:  # stopped early, between two logs
            self._log_window()
        self.energy_used = outputs.energy_used(self)
        seconds = state.train_seconds
        metrics = {
            "train_runtime": round(seconds, 4),
            "train_samples_per_second": round(state.examples_seen / max(seconds, 1e-9), 3),
            "train_steps_per_second": round(state.global_step / max(seconds, 1e-9), 3),
            "train_tokens_per_second": round(state.tokens_seen / max(seconds, 1e-9), 1),
            "train_loss": state.loss_sum / max(1, state.global_step),
            **outputs.energy_metrics(self.energy_used),
        }
        self.log(metrics)
        self.processes.on_main(lambda: outputs.write_report(self))
        if self.args.push_to_hub:
            self.push_to_hub()
        return TrainOutput(state.global_step, metrics["train_loss"], metrics)

    def _take_weights(self) -> None:
        """The user's model becomes what was trained, on its own engine."""
        self.model.take_weights(self._trainable().stored())

    # -- saving ------------------------------------------------------------------------------------------------------

    def _save_checkpoint(self) -> None:
        state = self.state
        state.window_loss = self.processes.sum([float(self._window)])[0]
        folder = Path(self.args.output_dir) / f"{checkpoints.PREFIX}{state.global_step}"
        resuming.save_checkpoint(folder, self)
        self._best_saved = state.best_model_checkpoint
        if self.energy is not None:
            self.energy.flush()
        self._tell("on_save")

    def save_model(self, output_dir: str | Path | None = None, **_: Any) -> None:
        """Write the model (or its adapter) and the tokenizer as they are now; default into output_dir."""
        write = resuming.model_writer(self)
        self.processes.on_main(lambda: write(Path(output_dir or self.args.output_dir)))

    def save_state(self) -> None:
        """Write trainer_state.json into output_dir."""
        self.state.save_to_json(Path(self.args.output_dir) / resuming.STATE)

    def create_model_card(self, **more: Any) -> None:
        """Write README.md: the data, the settings, the results and the energy.   more: fields of RunReport."""
        outputs.write_card(self, more)

    def push_to_hub(self, commit_message: str = "End of training", **more: Any) -> Any:
        """Upload the model and its card. A failure loses nothing: it is a warning with the command to try again."""
        return outputs.push(self, commit_message)

    # -- evaluating --------------------------------------------------------------------------------------------------

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval", **generation: Any
    ) -> dict[str, float]:
        """The loss of the evaluation data, and what compute_metrics says; logged, and the best weights are kept.

        eval_dataset: instead of the Trainer's own; several by name give eval_NAME_loss …
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if dataset is None:
            raise InvalidArgument("evaluate() needs an eval_dataset; give one to it, or to the Trainer.")
        several = by_name(dataset)
        metrics: dict[str, float] = {}
        for name, rows in several.items():
            prefix = f"{metric_key_prefix}_{name}" if name else metric_key_prefix
            metrics |= self._predicted(rows, prefix, generation, keeps=self.compute_metrics is not None).metrics
        metrics = self.processes.on_main(lambda: metrics)  # what follows from them must be the same for all
        self.log(metrics)
        self._tell("on_evaluate", metrics=metrics)
        if eval_dataset is None and metric_key_prefix == "eval" and self._is_training:
            self._note_best(metrics)
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: Any = None, metric_key_prefix: str = "test", **generation: Any
    ) -> PredictionOutput:
        """What the model says of each row, in order; labels and metrics where the rows have labels."""
        output = self._predicted(as_dataset(test_dataset), metric_key_prefix, generation, keeps=True)
        self._tell("on_predict", metrics=output.metrics)
        return output

    def _predicted(self, rows: Any, prefix: str, generation: dict[str, Any], keeps: bool) -> PredictionOutput:
        args = self.args
        written = {"num_beams": args.generation_num_beams, "max_length": args.generation_max_length, **generation}
        evaluator = Evaluator(
            self._current_model(),
            self.data_collator,
            args,
            self.processes,
            compute_metrics=self.compute_metrics,
            preprocess=self.preprocess_logits_for_metrics,
            generation={k: v for k, v in written.items() if v is not None} if args.predict_with_generate else None,
            own_loss=self._own_loss if self._has_own_loss else None,
        )
        try:
            return evaluator.run(rows, prefix, keeps)
        finally:
            if self.trainable is not None:
                self.trainable.train()

    def _current_model(self) -> Model:
        """The model with the weights of the moment: on its own engine, or on the GPU where there is one."""
        if self.trainable is None:
            return copy.copy(self.model)  # a loss of one's own may move it to another engine
        self.trainable.eval()
        if self.processes.device.type != "cpu" and not self._is_split:
            return self.trainable.model
        return self.model.with_weights(self.trainable.stored())

    def _note_best(self, metrics: Mapping[str, float]) -> None:
        """Keep the weights of the best evaluation, if they will be wanted."""
        args, state = self.args, self.state
        key, is_greater = args.best_metric
        if key not in metrics:
            if args.metric_for_best_model or args.load_best_model_at_end:
                raise InvalidArgument(f"metric_for_best_model is {key!r}; an evaluation gives {', '.join(metrics)}.")
            return
        value, best = metrics[key], state.best_metric
        if math.isnan(value) or (best is not None and not (value > best if is_greater else value < best)):
            return
        state.best_metric, state.best_global_step = value, state.global_step
        self.control.should_save |= args.save_strategy == "best"
        if args.load_best_model_at_end or args.save_strategy == "best":
            state.best_model_checkpoint = str(resuming.save_best(self))

    # -- searching ---------------------------------------------------------------------------------------------------

    def hyperparameter_search(
        self,
        hp_space: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None = None,
        compute_objective: Callable[[dict[str, float]], float] | None = None,
        n_trials: int = 20,
        direction: str = "minimize",
        backend: str = "random",
        pruning: bool = False,
    ) -> BestRun:
        """Train with many settings; the best, and what all cost together. A search that was killed goes on.

        hp_space: a function of a trial that suggests TrainingArguments, or ranges by name (see `search`).
        compute_objective: of the metrics; default their sum, or the loss.   backend: "random", "grid" or "optuna".
        Raises InvalidArgument without model_init or eval_dataset.
        """
        return hyperparameter_search(self, hp_space, compute_objective, n_trials, direction, backend, pruning)

    def again(self, args: TrainingArguments, *callbacks: TrainerCallback) -> Trainer:
        """A Trainer for the same task and data with other arguments, and a model made anew."""
        return type(self)(
            args=args,
            data_collator=self.data_collator,
            train_dataset=self.train_dataset,
            eval_dataset=self.eval_dataset,
            processing_class=self.processing_class,
            model_init=self.model_init,
            compute_loss_func=self.compute_loss_func,
            compute_metrics=self.compute_metrics,
            callbacks=callbacks,
            preprocess_logits_for_metrics=self.preprocess_logits_for_metrics,
            peft_config=self.peft_config,
        )

    # -- for loops of one's own --------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> Any:
        """The training data as PyTorch's DataLoader of padded rectangles, to look at or for a loop written by hand."""
        args = self.args
        return dataloader(self.train_dataset, self.data_collator, args.per_device_train_batch_size, args.seed)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """The evaluation data likewise, in order."""
        rows = as_dataset(self.eval_dataset if eval_dataset is None else eval_dataset)
        return dataloader(rows, self.data_collator, self.args.per_device_eval_batch_size)


class Seq2SeqTrainer(Trainer):
    """The same: every Trainer knows predict_with_generate."""
