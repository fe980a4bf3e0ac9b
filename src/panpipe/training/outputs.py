"""What a run leaves for people: a bar while it goes on, its energy, a picture of the loss, a model card, an upload."""

from __future__ import annotations

import contextlib
import logging
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..carbon import EnergyMeter, EnergyResult
from ..carbon.components import added
from ..models.family import HEADS
from ..weights.hub import endpoint
from .card import DataUsed, RunReport, model_card
from .picture import loss_curve_svg

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["energy_metrics", "energy_used", "metered", "push", "write_card", "write_report"]

_log = logging.getLogger("panpipe")

PICTURE, CARD = "loss.svg", "README.md"


@contextlib.contextmanager
def metered(trainer: Trainer) -> Iterator[EnergyMeter | None]:
    """Counts the energy of the block, once for all processes of a machine; each machine has a row of its own."""
    args, processes = trainer.args, trainer.processes
    if not args.energy or not processes.is_first_here:
        yield None
        return
    run_id = trainer.state.run_id if processes.is_main else f"{trainer.state.run_id}-{processes.rank}"
    with EnergyMeter(args.run_name or "training", args.output_dir, run_id, args.country) as meter:
        yield meter


def energy_used(trainer: Trainer) -> EnergyResult | None:
    """What the machines of the run used together (all processes must ask); None where it was not counted."""
    meter = trainer.energy
    gathered = trainer.processes.gather(None if meter is None else meter.result)
    results: list[EnergyResult] = [result for result in gathered if result is not None]
    if not results:
        return None
    first, *others = results
    components = first.components
    for other in others:
        components = tuple(added(components, other.components))
    return replace(first, components=components, kg_co2e=sum(result.kg_co2e for result in results))


def energy_metrics(used: EnergyResult | None) -> dict[str, float]:
    """The energy of the run, by name."""
    return {} if used is None else {"train_energy_kwh": used.kwh, "train_kg_co2e": used.kg_co2e}


def write_report(trainer: Trainer) -> None:
    """The picture of the loss, the card and the state, into the output folder; the run is not lost where that fails."""
    folder = Path(trainer.args.output_dir)
    title = trainer.args.run_name or folder.name
    try:
        (folder / PICTURE).write_text(loss_curve_svg(trainer.state.log_history, title=title), encoding="utf-8")
        trainer.save_state()
        write_card(trainer, {})
    except OSError as error:  # a full disk
        _log.warning("the card of the run was not written: %s. The model has its weights: save_model elsewhere.", error)


def write_card(trainer: Trainer, more: Mapping[str, Any]) -> None:
    """README.md.   more: fields of RunReport that only the caller knows."""
    folder, state, model = Path(trainer.args.output_dir), trainer.state, trainer.model
    known: dict[str, Any] = {
        "model_name": trainer.args.hub_model_id or folder.resolve().name,
        "base_model": model.name_or_path or None,
        "task": HEADS[model.head].tasks[0],
        "training_type": "fine-tuning" if model.name_or_path else "pre-training",
        "datasets": _data_used(trainer),
        "arguments": {name: value for name, value in trainer.args.changed().items() if name != "output_dir"},
        "log_history": state.log_history,
        "metrics": _last_evaluation(state.log_history),
        "energy": trainer.energy_used,
        "hardware": f"{trainer.processes.size} × {trainer.processes.device.type}, {torch.get_num_threads()} threads",
        "versions": {"panpipe": __version__, "PyTorch": torch.__version__, "Python": platform.python_version()},
        "seconds": state.train_seconds,
        "steps": state.global_step,
        "tokens_per_second": state.tokens_seen / max(state.train_seconds, 1e-9),
        "num_parameters": model.num_parameters(),
        "picture": PICTURE if (folder / PICTURE).exists() else None,
    }
    (folder / CARD).write_text(model_card(RunReport(**{**known, **more})), encoding="utf-8")


def _last_evaluation(log_history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    last: Mapping[str, Any] = next(
        (logs for logs in reversed(log_history) if any(name.startswith("eval_") for name in logs)), {}
    )
    return {name: value for name, value in last.items() if name not in ("step", "epoch")}


def _data_used(trainer: Trainer) -> list[DataUsed]:
    """The data sets by the names they have, if any."""
    used = []
    for dataset, use in ((trainer.train_dataset, "training"), (trainer.eval_dataset, "evaluation")):
        if dataset is not None:
            rows = len(dataset) if hasattr(dataset, "__len__") else None
            used.append(DataUsed(getattr(dataset, "name", None) or "a data set of one's own", use, rows))
    return used


def push(trainer: Trainer, message: str) -> str | None:
    """Upload the model and its card; the address, or None where that failed: the log then says how to try again."""
    args = trainer.args
    trainer.save_model()
    if not trainer.processes.is_main:
        return None
    from huggingface_hub import HfApi

    name = args.hub_model_id or Path(args.output_dir).resolve().name
    api = HfApi(endpoint(), token=args.hub_token)
    try:
        repo = api.create_repo(name, private=args.hub_private_repo, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo.repo_id, folder_path=args.output_dir, commit_message=message, ignore_patterns=_KEPT_HERE
        )
    except Exception as error:  # whatever the network does, the run is not lost
        _log.warning(
            "the upload failed (%s: %s). Again: %s",
            type(error).__name__,
            error,
            shlex.join(["hf", "upload", name, str(args.output_dir)]),
        )
        return None
    return str(done)


_KEPT_HERE = ["checkpoint-*/**", "best-*/**", "runs/**", ".incomplete-*/**", "*.incomplete"]
