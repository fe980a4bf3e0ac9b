"""What a checkpoint of a run holds, and how a run goes on from it.

    config.json, model.safetensors …, tokenizer files      the model, as anything opens it (or the adapter)
    training.safetensors                                    the optimizer's state; of an adapter also its weights
    trainer_state.json, training_args.json                  where the run stands, and what it was told
    manifest.json                                           the sums of all these files, and the machine

Nothing in it is pickled. Weights that are split over processes are put together, so that any number can go on.
"""

from __future__ import annotations

import copy
import json
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..errors import TrainingError
from ..models import loading
from ..models.model import Model
from ..weights.safetensors_file import SafetensorsFile
from ..weights.save import save_safetensors
from . import checkpoints, snapshots
from .arguments import TrainingArguments
from .distributed import Processes
from .lora import adapter_writer
from .module import Trainable
from .state import TrainerState

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["STATE", "folder_to_resume", "load_state", "load_weights", "model_writer", "save_best", "save_checkpoint"]

_log = logging.getLogger("panpipe")

STATE = "trainer_state.json"
ARGUMENTS = "training_args.json"
TENSORS = "training.safetensors"
BEST = "best-"


# -- reading ---------------------------------------------------------------------------------------------------------


def folder_to_resume(resume: bool | str | Path | None, args: TrainingArguments, processes: Processes) -> Path | None:
    """The checkpoint to go on from, or None to begin.   Raises TrainingError, CorruptCheckpoint."""
    output = Path(args.output_dir)

    def found() -> Path | None:
        if isinstance(resume, (str, Path)):
            return _complete(checkpoints.checked(Path(resume)))
        if resume:
            folder = checkpoints.newest_whole(output)
            if folder is not None:
                return _complete(folder)
            _log.info("there is no checkpoint in %s yet: the run begins.", output)
        elif args.overwrite_output_dir:
            checkpoints.remove_old(output, 0)
        return None

    return processes.on_main(found)


def _complete(folder: Path) -> Path:
    """A checkpoint with all that a run goes on from.   Raises TrainingError for one of save_only_model."""
    if _arguments_of(folder).get("save_only_model"):
        raise TrainingError(
            f"{folder} was saved with save_only_model=True: it has weights, but no optimizer's state to go on with. "
            "Begin another run from it, with from_pretrained."
        )
    return folder


def _arguments_of(folder: Path) -> dict[str, Any]:
    """What the run of a checkpoint was told."""
    given: dict[str, Any] = json.loads((folder / ARGUMENTS).read_text(encoding="utf-8"))
    return given


def load_weights(folder: Path, trainable: Trainable, model: Model, is_adapter: bool) -> None:
    """Give the parameters the values that a checkpoint has."""
    if is_adapter:
        snapshots.load_parameters(trainable.named_parameters(), _read(folder / TENSORS))
        return
    stored = loading.fill(loading.find_files(folder), model.family, model.config, model.head)
    snapshots.load_parameters(trainable.named_parameters(), snapshots.weights_by_name(stored))


def load_state(folder: Path, trainer: Trainer) -> TrainerState:
    """Give the trainer's optimizer its state; the state of the run."""
    named = list(trainer._trainable().named_parameters())
    snapshots.restore_optimizer(named, trainer.optimizer, _read(folder / TENSORS))
    state = TrainerState.load_from_json(folder / STATE)
    if trainer.lr_scheduler is not None and state.scheduler:
        trainer.lr_scheduler.load_state_dict(state.scheduler)
    if state.scaler:  # none where fp16 was off
        trainer._scaler.load_state_dict(state.scaler)
    if state.best_model_checkpoint is not None:
        _find_best(state, folder.parent, trainer.processes)
    _warn_of_changes(folder, trainer, state)
    return state


def _find_best(state: TrainerState, beside: Path, processes: Processes) -> None:
    """The best weights where they are now: folders get moved. They are forgotten where they are no longer whole."""
    written = Path(str(state.best_model_checkpoint))

    def found() -> Path | None:
        return next((p for p in (beside / written.name, written) if checkpoints.problem_of(p) is None), None)

    best = processes.on_main(found)
    state.best_model_checkpoint = None if best is None else str(best)
    if best is None:
        state.best_metric = state.best_global_step = None
        if processes.is_main:
            _log.warning("the best weights, %s, are gone or broken: the best from here on counts.", written)


def _warn_of_changes(folder: Path, trainer: Trainer, state: TrainerState) -> None:
    """Say what keeps a resumed run from ending with the same bits."""
    before, now = checkpoints.manifest_of(folder), _environment(trainer.processes)
    changes = [f"{name} was {before.get(name)}, is {value}" for name, value in now.items() if before.get(name) != value]
    kept = _arguments_of(folder)
    given = json.loads(json.dumps(trainer.args.to_dict(), default=str))
    changes += [
        f"{name} was {kept.get(name)}, is {value}"
        for name, value in given.items()
        if kept.get(name) != value and name not in _HARMLESS
    ]
    data: Any = trainer.train_dataset
    rows = len(data) if hasattr(data, "__len__") else 0
    if rows != state.num_examples:
        changes.append(f"the training data had {state.num_examples} rows, have {rows}")
    if changes and trainer.processes.is_main:
        _log.warning("the run goes on, but not to the last bit as it would have: %s.", "; ".join(changes))


_HARMLESS = {
    "output_dir",
    "resume_from_checkpoint",
    "overwrite_output_dir",
    "save_total_limit",
    "disable_tqdm",
    "report_to",
}


# -- writing ---------------------------------------------------------------------------------------------------------


def save_checkpoint(folder: Path, trainer: Trainer) -> None:
    """Write a checkpoint of a run, and remove those there are too many of."""
    write_model = model_writer(trainer)
    named = list(trainer._trainable().named_parameters())
    only_model = trainer.args.save_only_model
    tensors = {} if only_model else snapshots.optimizer_tensors(named, trainer.optimizer)
    if trainer.peft_config is not None:
        tensors |= snapshots.parameter_tensors(named)
    state = trainer.state
    state.scheduler = {} if trainer.lr_scheduler is None else _plain(trainer.lr_scheduler.state_dict())
    state.scaler = trainer._scaler.state_dict()

    def write(half: Path) -> None:
        write_model(half)
        if tensors:
            save_safetensors(tensors, half / TENSORS)
        state.save_to_json(half / STATE)
        arguments = json.dumps(trainer.args.to_dict(), indent=1, ensure_ascii=False, default=str)
        (half / ARGUMENTS).write_text(arguments + "\n", encoding="utf-8")

    def on_main() -> None:
        about = {"step": state.global_step, "run_id": state.run_id, **_environment(trainer.processes)}
        checkpoints.write_checkpoint(folder, write, about)
        output = Path(trainer.args.output_dir)
        checkpoints.remove_old(output, trainer.args.save_total_limit)
        if state.best_model_checkpoint is not None:
            _remove_bests(output, state.best_model_checkpoint)

    trainer.processes.on_main(on_main)


def save_best(trainer: Trainer) -> Path:
    """Write the weights of the moment as the best so far; the folder."""
    folder = Path(trainer.args.output_dir) / f"{BEST}{trainer.state.global_step}"
    write_model = model_writer(trainer)
    adapter = {}
    if trainer.peft_config is not None:
        adapter = snapshots.parameter_tensors(trainer._trainable().named_parameters())

    def write(half: Path) -> None:
        write_model(half)
        if adapter:
            save_safetensors(adapter, half / TENSORS)

    def on_main() -> None:
        about = {"step": trainer.state.global_step, "run_id": trainer.state.run_id}
        checkpoints.write_checkpoint(folder, write, about)
        _remove_bests(folder.parent, str(folder), trainer._best_saved)

    trainer.processes.on_main(on_main)
    return folder


def _remove_bests(output: Path, *kept: str | None) -> None:
    """Remove what was the best once."""
    names = {Path(path).name for path in kept if path is not None}
    for folder in checkpoints.numbered(output, BEST):
        if folder.name not in names:
            checkpoints.remove(folder)


def model_writer(trainer: Trainer) -> Callable[[Path], None]:
    """Takes the weights of the moment (all processes must ask); what it returns writes them into a folder."""
    trainable = trainer.trainable
    model = trainer.model
    if trainable is not None:
        model = copy.copy(model)
        model.stored = trainable.stored()
    write_weights = model.save_pretrained if trainable is None or trainable.lora is None else adapter_writer(trainable)

    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_weights(folder)
        if hasattr(trainer.processing_class, "save_pretrained"):
            trainer.processing_class.save_pretrained(folder)

    return write


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    file = SafetensorsFile(path)
    return {name: file.read(name) for name in file.names()}


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """What of a scheduler's state is plain numbers."""
    return {name: value for name, value in state.items() if isinstance(value, (int, float, bool, list, str))}


def _environment(processes: Processes) -> dict[str, Any]:
    """What the bits of a run depend on."""
    return {
        "panpipe": __version__,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processes": processes.size,
        "device": processes.device.type,
        "machine": platform.machine(),
    }
