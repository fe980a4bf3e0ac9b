"""Metrics by name, with the result keys of Hugging Face's evaluate; nothing is downloaded."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InputError, InvalidArgument, UnknownArgument, did_you_mean
from . import answers, classification, language_modeling, regression, translation
from .entities import entity_scores
from .inputs import items
from .rouge import rouge

__all__ = ["CombinedMetrics", "Metric", "combine", "load", "names"]

Results = dict[str, Any]


def _named(**metrics: Callable[..., Any]) -> Callable[..., Results]:
    """Metrics of one value each, under their keys; an option goes to those that have it."""
    parameters: dict[str, inspect.Parameter] = {}
    taken = {key: inspect.signature(metric).parameters for key, metric in metrics.items()}
    for each in taken.values():
        parameters |= each

    def compute(predictions: Any, references: Any, **options: Any) -> Results:
        return {
            key: metric(predictions, references, **{name: v for name, v in options.items() if name in taken[key]})
            for key, metric in metrics.items()
        }

    compute.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    return compute


def _perplexity(losses: Any, num_tokens: Any = None) -> Results:
    return {"perplexity": language_modeling.perplexity(losses, num_tokens)}


_ACCURACY = _named(accuracy=classification.accuracy)
_ACCURACY_AND_F1 = _named(accuracy=classification.accuracy, f1=classification.f1)
_MATTHEWS = _named(matthews_correlation=classification.matthews_correlation)
_METRICS: dict[str, Callable[..., Results]] = {
    "accuracy": _ACCURACY,
    "bleu": translation.bleu_of_evaluate,
    "chrf": translation.chrf,
    "exact_match": _named(exact_match=answers.exact_match),
    "f1": _named(f1=classification.f1),
    "mae": _named(mae=regression.mae),
    "matthews_correlation": _MATTHEWS,
    "mse": _named(mse=regression.mse),
    "pearsonr": _named(pearsonr=regression.pearson),
    "perplexity": _perplexity,
    "precision": _named(precision=classification.precision),
    "recall": _named(recall=classification.recall),
    "rouge": rouge,
    "sacrebleu": translation.bleu,
    "seqeval": entity_scores,
    "spearmanr": _named(spearmanr=regression.spearman),
    "squad": answers.squad,
    "squad_v2": answers.squad_v2,
    "ter": translation.ter,
}
_CONFIGS: dict[str, dict[str, Callable[..., Results]]] = {
    "glue": {
        "cola": _MATTHEWS,
        "sst2": _ACCURACY,
        "mrpc": _ACCURACY_AND_F1,
        "qqp": _ACCURACY_AND_F1,
        "stsb": _named(pearson=regression.pearson, spearmanr=regression.spearman),
        **dict.fromkeys(("mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli", "hans", "ax"), _ACCURACY),
    },
    "mse": {"multilist": _METRICS["mse"]},
    "mae": {"multilist": _METRICS["mae"]},
    **{name: {"multilabel": _METRICS[name]} for name in ("accuracy", "f1", "precision", "recall")},
}


def names() -> list[str]:
    """The metrics there are."""
    return sorted({*_METRICS, *_CONFIGS})


def load(path: str, config_name: str | None = None, **settings: Any) -> Metric:
    """A metric by its name in evaluate, such as "accuracy", or "glue" with "mrpc".

    settings: options of `compute`, for every call.   Raises InvalidArgument, UnknownArgument.
    """
    if path not in _METRICS and path not in _CONFIGS:
        raise InvalidArgument(
            f"{path!r:.60} is no metric.{did_you_mean(str(path), names())} Metrics: {', '.join(names())}."
        )
    configs = _CONFIGS.get(path, {})
    if config_name not in (None, "default") and config_name not in configs:
        has = f"the metric {path!r} has {', '.join(configs) or 'no configurations'}"
        raise InvalidArgument(f"{config_name!r:.60}: {has}.{did_you_mean(str(config_name), configs)}")
    compute = configs.get(str(config_name)) or _METRICS.get(path)
    if compute is None:
        raise InvalidArgument(f"{path!r} needs a configuration: load({path!r}, NAME) with one of {', '.join(configs)}.")
    return Metric(path, compute, settings)


class Metric:
    """A metric, to be computed at once, or over batches that are added one after the other.

    name: as in `load`.
    """

    def __init__(self, name: str, function: Callable[..., Results], settings: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self._function = function
        parameters = [*inspect.signature(function).parameters]
        self._inputs = [each for each in parameters if each in ("predictions", "references", "losses")]
        self.options = [each for each in parameters if each not in self._inputs]
        self._check(settings or {})
        self._settings = dict(settings or {})
        self._added: dict[str, list[Any]] = {}

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> Results:
        """The scores of what is given, or of all that was added before, which is then forgotten.

        Raises InputError, InvalidArgument, UnknownArgument.
        """
        batch = {"predictions": predictions, "references": references}
        batch |= {name: options.pop(name) for name in self._inputs if name in options}
        self._check(options)
        if self._added:
            if any(value is not None for value in batch.values()):
                self.add_batch(**batch)
            batch = self._added
        inputs = {name: batch.get(name) for name in self._inputs}
        if missing := [name for name, value in inputs.items() if value is None]:
            raise InputError(f"{self.name} needs {' and '.join(f'{name}=' for name in missing)}.")
        self._added = {}
        return self._function(**inputs, **{**self._settings, **options})

    def add(self, *, prediction: Any = None, reference: Any = None, **inputs: Any) -> None:
        """One example more."""
        one = {"predictions": prediction, "references": reference, **inputs}
        self._add({name: [value] for name, value in one.items() if value is not None})

    def add_batch(self, *, predictions: Any = None, references: Any = None, **inputs: Any) -> None:
        """A batch of examples more.   Raises InputError."""
        batch = {"predictions": predictions, "references": references, **inputs}
        self._add({name: items(_on_cpu(value), name) for name, value in batch.items() if value is not None})

    def _add(self, batch: Mapping[str, Sequence[Any]]) -> None:
        if wrong := [name for name in batch if name not in self._inputs]:
            raise UnknownArgument(f"{self.name} takes no {wrong[0]!r:.40}; it takes {', '.join(self._inputs)}.")
        sizes = {name: len(values) for name, values in batch.items()}
        if len(set(sizes.values())) > 1 or len(batch) < len(self._inputs):
            raise InputError(f"{self.name} was given {sizes}; expected as many of each of {', '.join(self._inputs)}.")
        for name, values in batch.items():
            self._added.setdefault(name, []).extend(values)

    def _check(self, options: Mapping[str, Any]) -> None:
        if unknown := [name for name in options if name not in self.options]:
            near = did_you_mean(unknown[0], self.options)
            has = ", ".join(self.options) or "no options"
            raise UnknownArgument(f"{self.name} has no option {unknown[0]!r:.60}.{near} It has {has}.")

    def __repr__(self) -> str:
        return f"Metric({self.name!r}, options: {', '.join(self.options) or 'none'})"


def _on_cpu(values: Any) -> Any:
    return values.detach().cpu() if hasattr(values, "detach") else values


def combine(
    evaluations: Sequence[str | Metric] | Mapping[str, str | Metric], force_prefix: bool = False
) -> CombinedMetrics:
    """Several metrics of the same predictions, by name or loaded.

    A key that several have gets the metric's name before it (force_prefix: every key does).
    """
    named = evaluations if isinstance(evaluations, Mapping) else None
    metrics = [load(each) if isinstance(each, str) else each for each in (named.values() if named else evaluations)]
    return CombinedMetrics(metrics, list(named) if named else [metric.name for metric in metrics], force_prefix)


class CombinedMetrics:
    """Several metrics as one; an option goes to each that has it."""

    def __init__(self, metrics: Sequence[Any], prefixes: Sequence[str], force_prefix: bool) -> None:
        self._metrics = list(metrics)
        times = Counter(prefixes)
        seen: Counter[str] = Counter()
        self._prefixes = []
        for prefix in prefixes:
            self._prefixes.append(f"{prefix}_{seen[prefix]}" if times[prefix] > 1 else prefix)
            seen[prefix] += 1
        self._always = force_prefix

    def compute(self, *, predictions: Any = None, references: Any = None, **options: Any) -> Results:
        """The scores of all.   Raises as `Metric.compute` does."""
        known = {name for metric in self._metrics for name in metric.options}
        if unknown := [name for name in options if name not in known]:
            raise UnknownArgument(
                f"none of the metrics has the option {unknown[0]!r:.60}.{did_you_mean(unknown[0], known)}"
            )
        results = [
            metric.compute(
                predictions=predictions,
                references=references,
                **{name: value for name, value in options.items() if name in metric.options},
            )
            for metric in self._metrics
        ]
        times = Counter(key for result in results for key in result)
        return {
            f"{prefix}_{key}" if self._always or times[key] > 1 else key: value
            for prefix, result in zip(self._prefixes, results, strict=True)
            for key, value in result.items()
        }

    def add(self, *, prediction: Any = None, reference: Any = None) -> None:
        """One example more."""
        for metric in self._metrics:
            metric.add(prediction=prediction, reference=reference)

    def add_batch(self, *, predictions: Any = None, references: Any = None) -> None:
        """A batch of examples more."""
        for metric in self._metrics:
            metric.add_batch(predictions=predictions, references=references)
