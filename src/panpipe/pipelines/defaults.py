"""The pipeline of a task for which no model was named: of the models that came with panpipe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..weights.embedded import embedded_models
from .base import Pipeline
from .by_language import Models, Translations, sources, target_of, way
from .language_names import english_name

__all__ = ["Pair", "embedded_class", "embedded_for", "embedded_pipeline"]

_log = logging.getLogger("panpipe")

Load = Callable[[Path], tuple[Any, Any]]
"""A folder to its model and tokenizer."""

Pair = tuple[str | None, str | None]
"""The languages of a translation as the caller names them; None: not said."""


def embedded_for(task: str, pair: Pair = (None, None)) -> list[Any]:
    """The embedded models for a task, English first; of translation those that know the pair.

    Raises CheckpointError.
    """
    models = embedded_models(task)
    if task == "translation":
        return [model for model in models if _is_possible(model.languages, *pair)]
    return sorted(models, key=lambda model: "en" not in model.languages)


def embedded_class(models: Sequence[Any]) -> type[Pipeline] | None:
    """The class that runs the models, where it is not the task's: a summary is picked where none can be written."""
    if not models or models[0].task != "summarization":
        return None
    from ..models.loading import head_of, load_config
    from .extractive import ExtractiveSummarizationPipeline

    return None if head_of(load_config(models[0].folder)) == "seq2seq-lm" else ExtractiveSummarizationPipeline


def embedded_pipeline(
    models: Sequence[Any], pipeline_class: type[Pipeline], load: Load, pair: Pair, task: str, **parameters: Any
) -> Pipeline:
    """The pipeline of the models that `embedded_for` found for a task (and a pair).   parameters: its own."""
    first = models[0]
    parameters = {"task": task, **parameters}
    if first.task == "translation":
        return _translation(first, pipeline_class, load(first.folder), pair, parameters)
    nature = getattr(pipeline_class, "nature", "")
    make = partial(_made, pipeline_class, load, nature, parameters)
    pipe = make(first)
    if not nature:  # what picks sentences looks at the language itself
        pairs = [(language, model) for model in models for language in model.languages]
        pipe.by_language = Models(pipe, dict(reversed(pairs)), pairs[0][0], make)
    return pipe


def _made(
    pipeline_class: type[Pipeline], load: Load, nature: str, parameters: dict[str, Any], row: Any, language: str = ""
) -> Pipeline:
    """The pipeline of an embedded model, for all texts or those of a language."""
    model, tokenizer = load(row.folder)
    _say(parameters["task"], row, f" {english_name(language)} texts" if language else "", nature)
    return pipeline_class(model=model, tokenizer=tokenizer, **parameters)


def _is_possible(directions: Sequence[str], source: str | None, target: str | None) -> bool:
    if source is None:
        return bool(sources(directions, target))
    return bool(way(source, target or target_of(source), directions))


def _translation(
    row: Any, pipeline_class: type[Pipeline], loaded: tuple[Any, Any], pair: Pair, parameters: dict[str, Any]
) -> Pipeline:
    """Between two languages, perhaps by way of English; or from that of each text."""
    from .pivot import PivotTranslationPipeline

    through_english = partial(PivotTranslationPipeline, loaded, loaded, **parameters)
    source, target = pair
    first = source or sources(row.languages, target)[0]
    ends = {"src_lang": first, "tgt_lang": target or target_of(first)}
    found = "" if source else " The language of each text is found."
    if target is None:
        found += (
            f" It goes to {english_name(ends['tgt_lang'])}." if source else " It goes to English, English to French."
        )
    _say(parameters["task"], row, "", found.strip())
    if source and len(way(ends["src_lang"], ends["tgt_lang"], row.languages)) == 2:
        return through_english(**ends)
    pipe = pipeline_class(*loaded, **{**parameters, **ends})
    if source is None:
        pipe.by_language = Translations(pipe, row.languages, target, through_english)
    return pipe


def _say(task: str, model: Any, whose: str, more: str) -> None:
    """Which model it is, how good, and which one is better."""
    _log.warning(
        "%s: no model was named, so %s, which came with panpipe, answers%s (%s).%s%s",
        task,
        model.folder.name,
        whose,
        model.score,
        f" {more}" if more else "",
        f" For more accuracy: model={model.larger!r}." if model.larger else "",
    )
