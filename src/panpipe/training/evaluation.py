"""Evaluation: the loss of a data set, and the predictions that metrics are made of.

On a CPU the model is evaluated by the engine that will serve it, with the weights of the moment: the native one, as a
rule, which is faster. Batches are ragged here too; only what metrics are given is laid into rectangles, as they expect.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..batch import Batch
from ..errors import InputError, InvalidArgument
from ..generation import Prompt, generate_many, prepared
from ..models.model import Model
from .arguments import TrainingArguments
from .batches import IGNORED, Padded, TrainingBatch, as_numpy
from .collators.ragged import DOCUMENTS, Feature, labels_of, ragged, ragged_inputs, rows_of
from .distributed import Processes
from .feed import knows, padded
from .loggers import plain
from .objectives import loss_sum
from .order import example_seeds
from .state import shows_progress

__all__ = ["EvalPrediction", "Evaluator", "PredictionOutput"]

Array = npt.NDArray[Any]

WINDOW = 32
"""Batches whose examples are sorted by length together."""

OF_TOKENS = ("token-classification", "masked-lm", "causal-lm", "seq2seq-lm", "question-answering")


class EvalPrediction:
    """What `compute_metrics` is given: `predictions, label_ids = prediction`.

    predictions: logits [examples, labels], or [examples, longest, …] with -100 beyond an example's end; for
    question-answering two such, of starts and ends; with predict_with_generate token ids.   label_ids: likewise.
    """

    def __init__(self, predictions: Any, label_ids: Any, inputs: Any = None) -> None:
        self.predictions = predictions
        self.label_ids = label_ids
        self.inputs = inputs

    def __iter__(self) -> Iterator[Any]:
        return iter((self.predictions, self.label_ids))

    def __getitem__(self, place: int) -> Any:
        return (self.predictions, self.label_ids)[place]


class PredictionOutput(NamedTuple):
    """predictions, label_ids: see EvalPrediction.   metrics: by name."""

    predictions: Any
    label_ids: Any
    metrics: dict[str, float]


@dataclass
class _Sums:
    loss: float = 0.0
    terms: int = 0
    examples: int = 0
    batches: int = 0


class Evaluator:
    """Runs a model over data sets.

    model: on the engine that computes.   preprocess: of logits and labels, before they are kept for metrics.
    generation: how to write texts instead of keeping logits; None: logits.   own_loss: of the model, rectangles and
    their terms, with `True` also its outputs: instead of the head's, where there are labels.
    """

    def __init__(
        self,
        model: Model,
        collator: Callable[[list[Any]], Any],
        args: TrainingArguments,
        processes: Processes,
        *,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        preprocess: Callable[[Any, Any], Any] | None = None,
        generation: dict[str, Any] | None = None,
        own_loss: Callable[[Model, Padded, float, bool], Any] | None = None,
    ) -> None:
        self.model = model
        self.collator = collator
        self.args = args
        self.processes = processes
        self.compute_metrics = compute_metrics
        self.preprocess = preprocess
        self.generation = generation
        self.own_loss = own_loss

    def run(self, rows: Any, prefix: str, keeps: bool) -> PredictionOutput:
        """The loss and the metrics of a data set; with `keeps` also what was predicted, in the order of the rows.

        Raises InputError for no data.
        """
        began = time.perf_counter()
        sums = _Sums()
        predictions: dict[int, Any] = {}
        labels: dict[int, Any] = {}
        with torch.no_grad(), self._bar(rows) as bar:
            for indices, part in self._batches(rows):
                found, wanted = self._predicted(indices, part, sums, keeps)
                predictions |= zip(indices, found, strict=True) if keeps else ()
                labels |= zip(indices, wanted, strict=True) if wanted else ()
                bar.update(len(part))
        totals = self.processes.sum([sums.loss, sums.terms, sums.examples, sums.batches])
        metrics = _measured(prefix, totals, time.perf_counter() - began)
        if not keeps:
            return PredictionOutput(None, None, metrics)
        predictions, labels = (_merged(self.processes.gather(of_each)) for of_each in (predictions, labels))
        if labels and len(labels) < len(predictions):
            raise InputError(f"{len(labels)} of the {len(predictions)} rows have labels; give them to all, or to none.")
        laid, right = _rectangles(predictions), _rectangles(labels)
        if self.compute_metrics is not None and right is not None:
            scores = plain(self.compute_metrics(EvalPrediction(laid, right)))
            metrics |= {n if n.startswith(f"{prefix}_") else f"{prefix}_{n}": v for n, v in scores.items()}
        return PredictionOutput(laid, right, metrics)

    def _bar(self, rows: Any) -> Any:
        from tqdm import tqdm

        is_shown = self.processes.is_main and shows_progress(self.args.disable_tqdm)
        total = len(rows) if hasattr(rows, "__len__") else None
        return tqdm(total=total, desc="evaluating", unit=" rows", dynamic_ncols=True, leave=False, disable=not is_shown)

    def _batches(self, rows: Any) -> Iterator[tuple[list[int], list[Any]]]:
        """Rows of about the same length, with their indices: this process's share of them."""
        size, number = self.args.per_device_eval_batch_size, 0
        source = enumerate(rows)
        while window := list(itertools.islice(source, WINDOW * size)):
            window.sort(key=lambda item: -len(item[1].get("input_ids", ())))
            for start in range(0, len(window), size):
                if number % self.processes.size == self.processes.rank:
                    part = window[start : start + size]
                    yield [index for index, _ in part], [row for _, row in part]
                number += 1

    def _predicted(self, indices: list[int], rows: list[Any], sums: _Sums, keeps: bool) -> tuple[list[Any], list[Any]]:
        """What the model says of each row, if that is kept, and its labels, if it has any; the sums grow."""
        sums.examples += len(rows)
        sums.batches += 1
        keeps_logits = keeps and self.generation is None
        if self.own_loss is not None:
            drops = self.args.remove_unused_columns
            batch = padded(self.collator, rows, self.model, self._seeds(indices), drops=drops)
            if labels_of(batch.inputs) is not None:
                return self._judged(self.own_loss, rows, batch, sums, keeps)
        features, given = self._collated(indices, rows)
        wanted: list[Any] = []
        if given is not None:
            every = keeps_logits and self.model.head in OF_TOKENS
            logits = self._logits(given.batch, None if every else given.rows, given.target)
            picked = logits[torch.as_tensor(given.rows).long()] if every and given.rows is not None else logits
            smoothing = self.args.label_smoothing_factor
            kind = self.model.config.problem_type
            sums.loss += float(loss_sum(self.model.head, picked, given.labels, given.batch, smoothing, kind))
            sums.terms += given.num_terms
            widths = _widths(given.target or given.batch, features)
            wanted = self._labels(given, widths) if keeps else []
        elif keeps_logits:
            source, target = ragged_inputs(features, self.model)
            logits, widths = self._logits(source, None, target), _widths(target or source, features)
        if keeps_logits:
            return self._kept(logits, widths, wanted), wanted
        return self._written(features) if keeps else [], wanted

    def _collated(self, indices: list[int], rows: list[Any]) -> tuple[Sequence[Feature], TrainingBatch | None]:
        """The rows, as a collator of one's own made them; and their batch, if they have labels."""
        is_ours = knows(self.collator, "ragged")
        features = rows if is_ours else rows_of(self.collator(rows))
        if len(features) != len(rows):
            raise InputError(f"the collator made {len(features)} rows of {len(rows)}; an evaluation tells them apart.")
        makes_labels = is_ours and getattr(self.collator, "makes_labels", False)
        if not makes_labels and any(labels_of(feature) is None for feature in features):
            return features, None
        if not is_ours:
            return features, ragged(features, self.model)
        return features, self.collator.ragged(features, self.model, self._seeds(indices))  # type: ignore[attr-defined]

    def _seeds(self, indices: list[int]) -> list[int]:
        return example_seeds(self.args.seed, 0, indices)

    def _judged(
        self, own_loss: Callable[..., Any], rows: list[Any], batch: Padded, sums: _Sums, keeps: bool
    ) -> tuple[list[Any], list[Any]]:
        """The same by a loss of one's own: of rectangles, and of labels of any kind."""
        given = labels_of(batch.inputs)
        wanted = _by_row(given) if keeps else []
        keeps_logits = keeps and self.generation is None
        answer = own_loss(self.model, batch, max(1.0, batch.num_terms), keeps_logits)
        if keeps_logits and not isinstance(answer, tuple):
            raise InvalidArgument("compute_loss must give (loss, outputs) if it is called with return_outputs=True.")
        loss = answer[0] if keeps_logits else answer
        if batch.num_terms:
            sums.loss += float(loss) * batch.num_terms
            sums.terms += batch.num_terms
        if not keeps_logits:
            return self._written(rows) if keeps else [], wanted
        outputs = answer[1]
        if self.model.head == "question-answering":
            return _by_row((outputs["start_logits"], outputs["end_logits"])), wanted
        logits = outputs["logits"]
        return _by_row(logits if self.preprocess is None else self.preprocess(logits, given)), wanted

    def _labels(self, given: TrainingBatch, widths: list[int]) -> list[Any]:
        """Each row's labels as they were learned: of tokens one for each that is left, of answers (start, end)."""
        if self.model.head == "question-answering":
            return [tuple(pair) for pair in given.labels]
        if given.rows is None:
            return list(given.labels)
        laid = np.full(sum(widths), IGNORED, np.int64)
        laid[given.rows + (self.model.head == "causal-lm")] = given.labels  # there a token's label is the next
        return np.split(laid, np.cumsum(widths)[:-1])

    def _logits(self, batch: Batch, rows: Any, target: Batch | None) -> torch.Tensor:
        more: dict[str, Any] = {} if target is None else {"target": target}
        logits = self.model.run(batch, rows, **more)
        return logits if isinstance(logits, torch.Tensor) else torch.from_numpy(self.model.ops.numpy(logits))

    def _kept(self, logits: torch.Tensor, widths: list[int], wanted: list[Any]) -> list[Any]:
        """The logits of each row, as NumPy.   widths: the tokens of each."""
        logits = logits.float().cpu()
        if self.model.head not in OF_TOKENS:
            if self.preprocess is not None:
                logits = self.preprocess(logits, torch.as_tensor(np.array(wanted)) if wanted else None)
            return list(np.asarray(logits))
        parts = logits.split(widths)
        if self.model.head == "question-answering":
            return [(part[:, 0].numpy(), part[:, 1].numpy()) for part in parts]
        if self.preprocess is None:
            return [part.numpy() for part in parts]
        labels = [torch.from_numpy(label)[None] for label in wanted] or [None] * len(parts)
        made = (self.preprocess(part[None], label) for part, label in zip(parts, labels, strict=True))
        return [np.asarray(each)[0] for each in made]

    def _written(self, rows: Sequence[Feature]) -> list[Array]:
        """The texts that the model writes, as token ids."""
        config = prepared(self.generation or {}, model=self.model.generation_config)
        batch, _ = ragged_inputs(rows, self.model)
        sources = np.split(batch.token_ids, batch.offsets[1:-1])
        prompts = [Prompt(ids.tolist(), config, tag=place) for place, ids in enumerate(sources)]
        jobs = {job.prompt.tag: job for job in generate_many(self.model, prompts)}
        return [np.array(jobs[place].results[0].tokens, np.int64) for place in range(len(rows))]


def _by_row(values: Any) -> list[Any]:
    """An array's rows, or of several arrays tuples of them."""
    return list(zip(*map(_by_row, values), strict=True)) if isinstance(values, tuple) else list(as_numpy(values))


def _widths(batch: Batch, features: Sequence[Feature]) -> list[int]:
    """How many of the batch's tokens are each row's: those of all its documents."""
    lengths: list[int] = batch.lengths.tolist()
    if len(lengths) == len(features):
        return lengths
    documents = iter(lengths)
    return [sum(itertools.islice(documents, len(feature[DOCUMENTS]))) for feature in features]


def _rectangles(found: dict[int, Any], padding: int = IGNORED) -> Any:
    """What was found of each example, one below the other; lists of unequal length are filled up with -100."""
    values = [found[index] for index in sorted(found)]
    if not values:
        return None
    if isinstance(values[0], tuple):
        return tuple(_rectangles(dict(enumerate(part)), padding) for part in zip(*values, strict=True))
    arrays = [np.asarray(value) for value in values]
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    longest = max(len(array) for array in arrays)
    laid = np.full((len(arrays), longest, *arrays[0].shape[1:]), padding, arrays[0].dtype)
    for row, array in zip(laid, arrays, strict=True):
        row[: len(array)] = array
    return laid


def _measured(prefix: str, sums: Sequence[float], seconds: float) -> dict[str, float]:
    """The metrics that need no predictions; sums: loss, terms, examples, batches.   Raises InputError for no data."""
    loss, terms, examples, batches = sums
    if not examples:
        raise InputError("the data set to evaluate is empty.")
    values = {f"{prefix}_loss": loss / terms} if terms else {}
    return values | {
        f"{prefix}_runtime": round(seconds, 4),
        f"{prefix}_samples_per_second": round(examples / max(seconds, 1e-9), 3),
        f"{prefix}_steps_per_second": round(batches / max(seconds, 1e-9), 3),
    }


def _merged(parts: list[dict[int, Any]]) -> dict[int, Any]:
    return {index: value for part in parts for index, value in part.items()}
