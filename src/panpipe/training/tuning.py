"""Hyper-parameter search with a Trainer: each trial a run of its own, from a model made anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InvalidArgument
from .search import SearchResult, loguniform, search
from .state import TrainerCallback

if TYPE_CHECKING:
    from .trainer import Trainer

__all__ = ["BestRun", "hyperparameter_search"]

DEFAULT_SPACE = {
    "learning_rate": loguniform(1e-6, 1e-4),
    "num_train_epochs": [1, 2, 3, 4, 5],
    "per_device_train_batch_size": [4, 8, 16, 32, 64],
}


class BestRun(NamedTuple):
    """The best trial.   run_summary: the SearchResult: all trials, and what they cost together."""

    run_id: str
    objective: float
    hyperparameters: dict[str, Any]
    run_summary: SearchResult


def hyperparameter_search(
    trainer: Trainer,
    hp_space: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | None,
    compute_objective: Callable[[dict[str, float]], float] | None,
    n_trials: int,
    direction: str,
    backend: str,
    pruning: bool,
) -> BestRun:
    """See `Trainer.hyperparameter_search`."""
    if trainer.model_init is None:
        raise InvalidArgument("a search needs model_init, a function that makes the model: each trial begins anew.")
    if trainer.eval_dataset is None:
        raise InvalidArgument("a search needs an eval_dataset to compare trials by.")
    objective = compute_objective or _objective

    def run(parameters: Mapping[str, Any], folder: Path, report: Callable[[int, float], None]) -> dict[str, float]:
        of_trial = {"output_dir": str(folder), "energy": False, "push_to_hub": False}
        args = type(trainer.args)(**{**_as_given(trainer.args), **parameters, **of_trial})
        trial = trainer.again(args, _Reports(report, objective))
        trial.train(resume_from_checkpoint=not args.save_only_model)
        metrics = trial.evaluate()
        return {**metrics, "objective": objective(metrics)}

    result = search(
        DEFAULT_SPACE if hp_space is None else hp_space,
        run,
        trials=n_trials,
        direction=direction,
        metric="objective",
        method=backend,
        seed=trainer.args.seed,
        output_dir=Path(trainer.args.output_dir) / "search",
        pruning=pruning,
        country=trainer.args.country,
    )
    best = result.best
    return BestRun(str(best.number), float(best.value or 0.0), dict(best.parameters), result)


def _as_given(args: Any) -> dict[str, Any]:
    return {field.name: getattr(args, field.name) for field in dataclasses.fields(args)}


def _objective(metrics: dict[str, float]) -> float:
    """As in transformers: the sum of the metrics, or the loss where there is nothing else."""
    speeds = ("_runtime", "_per_second")
    found = {n: v for n, v in metrics.items() if n.startswith("eval_") and n != "eval_loss" and not n.endswith(speeds)}
    return sum(found.values()) if found else metrics["eval_loss"]


class _Reports(TrainerCallback):
    """Tells the search how a trial develops."""

    def __init__(self, report: Callable[[int, float], None], objective: Callable[[dict[str, float]], float]) -> None:
        self._report = report
        self._objective = objective

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Report it; a hopeless trial ends here."""
        if state.global_step < state.max_steps:
            self._report(state.global_step, self._objective(more["metrics"]))
