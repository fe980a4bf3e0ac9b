"""`evaluate`: the scores of a model on data, by the engine that will serve it. No PyTorch here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, MissingKey, UnknownArgument, did_you_mean
from ..models import Model, load_model
from ..tokenization import AutoTokenizer
from .predictions import outputs_of
from .splits import some, split_to_evaluate, splits_of
from .state import shows_progress
from .tasks import TrainingTask, options_of, task_named
from .tasks.base import Row

__all__ = ["evaluate"]


def evaluate(
    task: str,
    model: str | Path | Model,
    data: Any,
    *,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    data_name: str | None = None,
    limit: int | None = None,
    by: str | None = None,
    batch_size: int = 32,
    tokenizer: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """The scores of a model on data: {"task", "split", "rows", "metrics", "seconds", and with `by` "by"}.

    model: a folder, a model id or a Model (then with its tokenizer).   data, columns, data_name: as in `train`.
    split: default test, else validation, else all there is.   limit: rows to take.
    by: a column; the metrics then also for the rows of each of its values.   options: the task's own.
    Needs no PyTorch.   Raises InvalidArgument, UnknownArgument, MissingKey, DataNotFound.
    """
    began = time.perf_counter()
    kind = task_named(task)
    own, unknown = options_of(kind, options)
    if unknown:
        raise UnknownArgument(f"evaluating {kind.name} has no {next(iter(unknown))!r}.")
    splits = splits_of(data, data_name)
    split = split_to_evaluate(splits, split)
    rows = some(splits[split], limit, 0)
    job = kind(**own)
    job.read(rows, columns)
    groups = None if by is None else _groups(rows, by)
    loaded = model if isinstance(model, Model) else load_model(model, job.head)
    if loaded.head != job.head:
        raise InvalidArgument(f"{kind.name} needs a model for {job.head}; this is one for {loaded.head}.")
    if tokenizer is None or isinstance(tokenizer, (str, Path)):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer or loaded.name_or_path)
    job.adopt(loaded.config)
    job.take(loaded, tokenizer)
    every = [row for block in job.blocks(rows) for row in block]
    features, outputs = _said(job, every, batch_size)

    def scores(places: Iterable[int]) -> dict[str, Any]:
        chosen = [(every[place], features[place], outputs[place]) for place in places]
        return {"rows": len(chosen), **job.score(*map(list, zip(*chosen, strict=True)))}

    metrics = scores(range(len(every)))
    result: dict[str, Any] = {"task": kind.name, "split": split, "rows": metrics.pop("rows"), "metrics": metrics}
    result["seconds"] = round(time.perf_counter() - began, 3)
    return result if groups is None else result | {"by": {value: scores(places) for value, places in groups.items()}}


def _said(job: TrainingTask, rows: list[Row], batch_size: int) -> tuple[list[Any], list[Any]]:
    """For each row its features, and what the model says of them."""
    from tqdm import tqdm

    is_shown = shows_progress()
    with tqdm(desc="evaluating", unit=" rows", dynamic_ncols=True, leave=False, disable=not is_shown) as bar:
        if job.writes:
            from ..pipelines import pipeline

            pipe: Any = pipeline(job.name, job.model, tokenizer=job.tokenizer, **job.generation())  # type: ignore[attr-defined]
            outputs = []
            for answer in pipe(iter([job.pair(row)[0] for row in rows]), batch_size=batch_size):  # type: ignore[attr-defined]
                first = answer[0] if isinstance(answer, list) else answer
                outputs.append([next(value for name, value in first.items() if name.endswith("_text")).strip()])
                bar.update()
            return [[] for _ in rows], outputs
        features = [each for start in range(0, len(rows), 1000) for each in job.encode(rows[start : start + 1000])]
        flat = [feature for of_row in features for feature in of_row]
        bar.total = len(flat)
        found = iter(outputs_of(job, flat, batch_size, bar))
        return features, [[next(found) for _ in of_row] for of_row in features]


def _groups(rows: Any, by: str) -> dict[str, list[int]]:
    if by not in rows.column_names:
        raise MissingKey(
            f"there is no column {by!r} to tell rows apart by; the data have {', '.join(rows.column_names)}."
            f"{did_you_mean(by, rows.column_names)}"
        )
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(str(row[by]), []).append(place)
    return dict(sorted(groups.items()))
