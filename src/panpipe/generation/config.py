"""GenerationConfig: how to generate, under the keys, defaults and files of transformers 4.57.6.

What a config means for one prompt (how many tokens, which edits of the scores, when to stop) is in `plan`; whose word
counts when several configs speak is in `priority`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, InvalidArgument, UnknownArgument, did_you_mean
from ..weights.source import Source, read_json

__all__ = ["FILE_NAME", "OTHER_NAMES", "GenerationConfig", "load_generation_config", "takes_none"]

FILE_NAME = "generation_config.json"

G = TypeVar("G", bound="GenerationConfig")


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How to generate. Never changed: `update(top_k=5)` makes another.

    Length: max_new_tokens, or max_length with the prompt counted (an encoder-decoder's start token is such a prompt);
    min_new_tokens, min_length; max_time in seconds; stop_strings end a text and stay in it.
    Search: greedy; do_sample; num_beams > 1 with length_penalty (score / tokens ** length_penalty) and early_stopping
    (True: as soon as num_beams texts ended; False: when a better one is unlikely; "never": when it is impossible).
    num_return_sequences: how many texts per prompt.
    Sampling: temperature, top_k (0: all), top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff.
    prompt_lookup_num_tokens: the most tokens guessed ahead from the text so far (results do not depend on it); None:
    decided by what they have saved so far, 0: never.   max_matching_ngram_size: tokens that must match for a guess.
    Raises InvalidArgument for a value that cannot be, UnknownArgument (`update`) for a name that there is not.
    """

    max_length: int | None = 20
    max_new_tokens: int | None = None
    min_length: int | None = 0
    min_new_tokens: int | None = None
    early_stopping: bool | str = False
    max_time: float | None = None
    stop_strings: str | Sequence[str] | None = None

    do_sample: bool = False
    num_beams: int = 1
    num_return_sequences: int = 1

    temperature: float | None = 1.0
    top_k: int | None = 50
    top_p: float | None = 1.0
    min_p: float | None = None
    typical_p: float | None = 1.0
    epsilon_cutoff: float | None = 0.0
    eta_cutoff: float | None = 0.0

    repetition_penalty: float | None = 1.0
    encoder_repetition_penalty: float | None = 1.0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int | None = 0
    encoder_no_repeat_ngram_size: int | None = 0
    bad_words_ids: Sequence[Sequence[int]] | None = None
    sequence_bias: Mapping[tuple[int, ...], float] | Sequence[Any] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | Sequence[int] | None = None
    suppress_tokens: Sequence[int] | None = None
    begin_suppress_tokens: Sequence[int] | None = None
    exponential_decay_length_penalty: Sequence[float] | None = None
    renormalize_logits: bool = False
    remove_invalid_values: bool = False
    guidance_scale: float | None = None

    output_attentions: bool = False
    output_hidden_states: bool = False
    output_scores: bool = False
    output_logits: bool | None = None
    return_dict_in_generate: bool = False

    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | Sequence[int] | None = None
    decoder_start_token_id: int | None = None

    prompt_lookup_num_tokens: int | None = None
    max_matching_ngram_size: int | None = None
    transformers_version: str | None = None

    def __post_init__(self) -> None:
        for check in _CHECKS:
            for name in check.names:
                value = getattr(self, name)
                if not (value is None and takes_none(name)) and not check.passes(value):
                    raise InvalidArgument(f"{name}={value!r}: it must be {check.expected}.")
        if self.num_return_sequences > self.num_beams > 1:
            raise InvalidArgument(
                f"num_return_sequences={self.num_return_sequences} with num_beams={self.num_beams}: a beam search has "
                "no more answers than beams. Raise num_beams, or ask for fewer."
            )

    # -- what it says ------------------------------------------------------------------------------------------------

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """The tokens that end a text: none, one or several."""
        return _as_tuple(self.eos_token_id)

    @property
    def padding_id(self) -> int:
        """What fills rectangles: the padding token, else the first end token, else 0."""
        return self.pad_token_id if self.pad_token_id is not None else next(iter(self.eos_token_ids), 0)

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """The stop strings: none, one or several."""
        return (self.stop_strings,) if isinstance(self.stop_strings, str) else tuple(self.stop_strings or ())

    @property
    def keeps_steps(self) -> bool:
        """Whether something of every step is to be kept: scores, logits, attentions or hidden states."""
        flags = (self.output_scores, self.output_logits, self.output_attentions, self.output_hidden_states)
        return self.return_dict_in_generate and any(flags)

    # -- making another ----------------------------------------------------------------------------------------------

    def update(self: G, **changes: Any) -> G:
        """Another config with these values.   Raises UnknownArgument, InvalidArgument."""
        return dataclasses.replace(self, **_accepted(changes))

    @classmethod
    def from_dict(cls: type[G], values: Mapping[str, Any], **changes: Any) -> G:
        """A config from a JSON object, whose keys that are not ours are left out; `changes` are laid over it."""
        known = {f.name for f in dataclasses.fields(cls)}
        kept = {k: v for k, v in values.items() if k in known and not (v is None and not takes_none(k))}
        for name in ("pad_token_id", "bos_token_id", "decoder_start_token_id"):
            if kept.get(name) == -1:  # how older checkpoints say that there is none
                kept[name] = None
        for name in _UNSUPPORTED:
            _refuse(name, values.get(name))
        return cls(**{**kept, **_accepted(changes)})

    @classmethod
    def from_model_config(cls: type[G], config: Any) -> G:
        """From a model's config (an object or config.json's), where checkpoints before 2023 have these keys.

        Flags that would change what `generate` returns (output_…, return_dict_in_generate) are not taken from there.
        """
        values = config if isinstance(config, Mapping) else _attributes(config)
        others = ("output_", "return_", "transformers_version")
        return cls.from_dict({k: v for k, v in values.items() if v is not None and not k.startswith(others)})

    @classmethod
    def from_pretrained(cls: type[G], id_or_path: str | Path, config_file_name: str = FILE_NAME, **options: Any) -> G:
        """The generation_config.json of a folder or a Hub id.

        options: revision, cache_dir, token, local_files_only, subfolder; others are laid over the config.
        Raises CheckpointNotFound, ConfigError, HubUnavailable, UnknownArgument.
        """
        from ..weights.hub import resolve

        finding = {k: options.pop(k) for k in _FINDING if k in options}
        path = resolve(id_or_path, **finding).require(config_file_name)
        return _read(cls, path).update(**options)

    # -- keeping -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All keys and values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def to_diff_dict(self) -> dict[str, Any]:
        """The keys whose values are not the defaults, as generation_config.json has them."""
        default = GenerationConfig().to_dict()
        changed = {name: value for name, value in self.to_dict().items() if value != default[name]}
        if isinstance(bias := changed.get("sequence_bias"), Mapping):
            changed["sequence_bias"] = [[list(ids), value] for ids, value in bias.items()]
        return changed

    def save_pretrained(self, folder: str | Path, config_file_name: str = FILE_NAME) -> None:
        """Write generation_config.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_diff_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / config_file_name).write_text(text, encoding="utf-8")

    def __repr__(self) -> str:
        return f"GenerationConfig({', '.join(f'{k}={v!r}' for k, v in self.to_diff_dict().items())})"


def _unchangeable(self: GenerationConfig, name: str, value: Any) -> None:
    raise InvalidArgument(
        f"a GenerationConfig is never changed; make another: config = config.update({name}={value!r}), and for a model "
        f"model.generation_config = model.generation_config.update({name}={value!r})."
    )


GenerationConfig.__setattr__ = _unchangeable  # type: ignore[method-assign, assignment]  # in words of ours


def load_generation_config(files: Source, config: Any) -> GenerationConfig:
    """A checkpoint's: its generation_config.json, else what config.json and the model's config say of generation."""
    path = files.file(FILE_NAME)
    if path is not None:
        return _read(GenerationConfig, path)
    raw = files.file("config.json")
    written = read_json(raw) if raw is not None else {}
    try:
        return GenerationConfig.from_model_config({**_attributes(config), **written})
    except InvalidArgument as error:
        raise ConfigError(f"{raw}: {error}") from error


# -- the parts -------------------------------------------------------------------------------------------------------

_FINDING = ("revision", "cache_dir", "token", "local_files_only", "subfolder")

_IGNORED = (
    "use_cache",
    "cache_implementation",
    "cache_config",
    "return_legacy_cache",
    "prefill_chunk_size",
    "compile_config",
    "disable_compile",
    "low_memory",
    "is_assistant",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "assistant_confidence_threshold",
    "assistant_lookbehind",
    "target_lookbehind",
)
"""transformers' keys that say how it computes, not what; they change nothing here."""

_UNSUPPORTED = {
    "penalty_alpha": "contrastive search",
    "dola_layers": "DoLa decoding",
    "diversity_penalty": "diverse beam search",
    "num_beam_groups": "diverse beam search",
    "constraints": "constrained beam search",
    "force_words_ids": "constrained beam search",
    "watermarking_config": "watermarking",
    "token_healing": "token healing",
    "assistant_early_exit": "early exit",
}
OTHER_NAMES = (*_IGNORED, *_UNSUPPORTED)
"""transformers' parameters that are no fields of a GenerationConfig here."""

_OFF: tuple[Any, ...] = (None, False, 0, 0.0)


def _refuse(name: str, value: Any) -> None:
    if value not in _OFF and not (name == "num_beam_groups" and value == 1):
        raise InvalidArgument(
            f"{name}={value!r}: panpipe has no {_UNSUPPORTED[name]} (transformers 4.57 moved it out as well). Use "
            "greedy search, sampling or beam search."
        )


def _accepted(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are ours; transformers' others are left out or refused, and typos are errors."""
    known = GenerationConfig.__dataclass_fields__
    accepted = {}
    for name, value in changes.items():
        if name in _UNSUPPORTED:
            _refuse(name, value)
        elif name in known:
            accepted[name] = value
        elif name not in _IGNORED:
            raise UnknownArgument(f"{name!r} is not a generation parameter.{did_you_mean(name, known)}")
    return accepted


def _read(cls: type[G], path: Path) -> G:
    values = read_json(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a JSON {type(values).__name__}; it must be an object.")
    try:
        return cls.from_dict(values)
    except InvalidArgument as error:
        raise ConfigError(f"{path}: {error}") from error


def _attributes(config: Any) -> dict[str, Any]:
    return {f.name: getattr(config, f.name, None) for f in dataclasses.fields(GenerationConfig)}


def _as_tuple(value: int | Sequence[int] | None) -> tuple[int, ...]:
    return () if value is None else (int(value),) if _is_int(value) else tuple(int(v) for v in value)  # type: ignore[union-attr, arg-type]


def takes_none(name: str) -> bool:
    """Whether None is a value of that parameter."""
    return name in GenerationConfig.__dataclass_fields__ and "None" in str(
        GenerationConfig.__dataclass_fields__[name].type
    )


@dataclass(frozen=True)
class _Check:
    expected: str
    passes: Callable[[Any], bool]
    names: tuple[str, ...]


def _is_int(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real) and math.isfinite(value)


def _is_id(value: Any) -> bool:
    return _is_int(value) and value >= 0


def _is_ids(value: Any) -> bool:
    return not isinstance(value, (str, bytes, Mapping)) and hasattr(value, "__iter__") and all(map(_is_id, value))


def _is_words(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(_is_ids(word) and len(word) for word in value)


def _is_bias(value: Any) -> bool:
    pairs = value.items() if isinstance(value, Mapping) else value
    return (
        isinstance(value, (Mapping, list, tuple))
        and bool(value)
        and all(len(pair) == 2 and _is_ids(pair[0]) and len(pair[0]) and not _is_ids(pair[1]) for pair in pairs)
    )


_CHECKS = (
    _Check(
        "a whole number, 1 or more",
        lambda v: _is_int(v) and v >= 1,
        ("max_length", "max_new_tokens", "num_beams", "num_return_sequences", "max_matching_ngram_size"),
    ),
    _Check(
        "a whole number, 0 or more",
        lambda v: _is_int(v) and v >= 0,
        (
            "min_length",
            "min_new_tokens",
            "top_k",
            "no_repeat_ngram_size",
            "encoder_no_repeat_ngram_size",
            "prompt_lookup_num_tokens",
        ),
    ),
    _Check(
        "a number above 0",
        lambda v: _is_number(v) and v > 0,
        ("max_time", "repetition_penalty", "encoder_repetition_penalty"),
    ),
    _Check(
        "a number from 0 to 1",
        lambda v: _is_number(v) and 0 <= v <= 1,
        ("top_p", "min_p", "epsilon_cutoff", "eta_cutoff"),
    ),
    _Check("a number above 0, up to 1", lambda v: _is_number(v) and 0 < v <= 1, ("typical_p",)),
    _Check("a number, 0 or more", lambda v: _is_number(v) and v >= 0, ("temperature",)),
    _Check("a number", _is_number, ("length_penalty", "guidance_scale")),
    _Check('True, False or "never"', lambda v: v in (True, False, "never"), ("early_stopping",)),
    _Check(
        "True or False",
        lambda v: isinstance(v, bool),
        (
            "do_sample",
            "renormalize_logits",
            "remove_invalid_values",
            "output_attentions",
            "output_hidden_states",
            "output_scores",
            "output_logits",
            "return_dict_in_generate",
        ),
    ),
    _Check("a token id", _is_id, ("pad_token_id", "bos_token_id", "decoder_start_token_id", "forced_bos_token_id")),
    _Check("a token id, or a list of them", lambda v: _is_id(v) or _is_ids(v), ("eos_token_id", "forced_eos_token_id")),
    _Check("a list of token ids", _is_ids, ("suppress_tokens", "begin_suppress_tokens")),
    _Check("a list of lists of token ids, none of them empty", _is_words, ("bad_words_ids",)),
    _Check("{(token ids): number}, or [[[token ids], number], …]", _is_bias, ("sequence_bias",)),
    _Check(
        "a string, or a list of strings, none of them empty",
        lambda v: all(isinstance(s, str) and s for s in ([v] if isinstance(v, str) else v)),
        ("stop_strings",),
    ),
    _Check(
        "(tokens after which it begins, factor)",
        lambda v: isinstance(v, (list, tuple)) and len(v) == 2 and _is_int(v[0]) and _is_number(v[1]),
        ("exponential_decay_length_penalty",),
    ),
)
