"""Whose word counts when several say how to generate."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .config import GenerationConfig, takes_none

__all__ = ["prepared"]

_log = logging.getLogger("panpipe")

_DEFAULT = GenerationConfig()
_FILLS_FROM = (4, 50)
_SPECIAL_TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")


def prepared(
    call: Mapping[str, Any],
    *,
    model: GenerationConfig,
    config: GenerationConfig | None = None,
    constructor: Mapping[str, Any] | None = None,
    task: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    pad_token_id: int | None = None,
    strict: bool = False,
) -> GenerationConfig:
    """The config of one call. What stands higher counts more.

        call          keywords of the call
        config        `generation_config=` of the call; with it, task and defaults below do not count, and the model
                      only names its special tokens, and fills what it leaves at the default where the model was
                      saved by transformers >= 4.50
        constructor   keywords of the pipeline's constructor
        task          config.task_specific_params[task]
        defaults      the pipeline class's (max_new_tokens=256 …); of lengths the model's max_length counts more
        model         what the checkpoint's generation_config.json (or config.json) has that is not the default
                      GenerationConfig's own, and pad_token_id: the tokenizer's

    A None is a value where there is nothing else to say it (eos_token_id=None: no end), else as if not given.
    Lengths: a max_length of a higher level beats a max_new_tokens of a lower one; a max_length that nobody gave, 20,
    means 20 new tokens. strict (to compare with transformers): a max_length takes no max_new_tokens away, so that a
    call's max_length=30 is without effect.
    Raises UnknownArgument, InvalidArgument.
    """
    calls = [_given(constructor), _given(call)]  # the higher level last
    if config is None:
        made = _laid_over(GenerationConfig(), _with_defaults(model, defaults or {}).to_diff_dict())
        levels = [_task(task), *calls]
    else:
        made, levels = GenerationConfig(), [_filling(model), config.to_diff_dict(), *calls]
    for changes in levels:
        made = made.update(**changes) if strict else _laid_over(made, changes)
    if made.max_new_tokens is None and made.max_length == _DEFAULT.max_length and not _names("max_length", calls):
        made = made.update(max_new_tokens=made.max_length)
    if made.pad_token_id is None:
        made = made.update(pad_token_id=pad_token_id)
    _say_ineffective(made, {name for level in calls for name in level})
    return made


def _with_defaults(model: GenerationConfig, defaults: Mapping[str, Any]) -> GenerationConfig:
    """The model's config under the class's defaults, which in transformers count more; but its max_length stays."""
    if "max_new_tokens" in defaults and model.max_length not in (None, _DEFAULT.max_length):
        defaults = {**defaults, "max_new_tokens": None}
    return model.update(**defaults)


def _laid_over(config: GenerationConfig, changes: Mapping[str, Any]) -> GenerationConfig:
    for total, new in (("max_length", "max_new_tokens"), ("min_length", "min_new_tokens")):
        if total in changes and new in changes:
            _log.warning("%s=%s counts, and %s=%s does not.", new, changes[new], total, changes[total])
        elif total in changes and getattr(config, new) is not None:
            _log.info("%s=%s was given, so %s=%s does not count.", total, changes[total], new, getattr(config, new))
            config = config.update(**{new: None})
    return config.update(**changes)


def _filling(model: GenerationConfig) -> dict[str, Any]:
    """What a model's config gives to a call's `generation_config=`: all it has, or its special tokens only."""
    version = re.match(r"(\d+)\.(\d+)", model.transformers_version or "")
    values = model.to_diff_dict()
    if version is None or tuple(map(int, version.groups())) >= _FILLS_FROM:
        return values
    return {name: value for name, value in values.items() if name in _SPECIAL_TOKENS}


def _given(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was given: a None too, where it is a value (eos_token_id=None: no end token)."""
    return {k: v for k, v in (values or {}).items() if v is not None or (takes_none(k) and k != "max_length")}


def _task(values: Mapping[str, Any] | None) -> dict[str, Any]:
    """task_specific_params, which also holds what is not for generation (prefix)."""
    return {k: v for k, v in _given(values).items() if k in GenerationConfig.__dataclass_fields__}


def _names(name: str, levels: Iterable[Mapping[str, Any]]) -> bool:
    return any(name in level for level in levels)


def _say_ineffective(config: GenerationConfig, names: set[str]) -> None:
    """One line for what a call asked for and cannot have an effect."""
    without = set()
    if not config.do_sample:
        without |= {"temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"} & names
    if config.num_beams == 1:
        without |= {"length_penalty", "early_stopping"} & names
    if not config.return_dict_in_generate:
        without |= {n for n in names if n.startswith("output_") and getattr(config, n)}
    without = {name for name in without if getattr(config, name) != getattr(_DEFAULT, name)}
    if without:
        _log.warning(
            "without effect: %s. Sampling needs do_sample=True, beams num_beams=2, output_… return_dict_in_generate.",
            ", ".join(f"{name}={getattr(config, name)!r}" for name in sorted(without)),
        )
