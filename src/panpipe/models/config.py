"""A checkpoint's config.json, as a closed dataclass per family.

Keys we do not know are dropped, the ones we know are checked for type and range, and nothing in it can name code.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ..errors import ConfigError, UnknownArgument, did_you_mean

__all__ = ["Config"]

C = TypeVar("C", bound="Config")

LARGEST_INTEGER = 2**31 - 1
MOST_LAYERS = 1024
MOST_LABELS = 1_000_000
"""Far beyond any model: a config may not ask for lists longer than these."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What all families have. Fields are the checkpoint's own keys; defaults are those of transformers.

    id2label {int: str} and label2id {str: int}: each is made from the other, or from num_labels (LABEL_0, LABEL_1 …).
    Raises ConfigError for a value that cannot be.
    """

    model_type: ClassVar[str] = ""

    architectures: tuple[str, ...] = ()
    num_labels: int = 0
    id2label: dict[int, str] = field(default_factory=dict)
    label2id: dict[str, int] = field(default_factory=dict)
    problem_type: str | None = None
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    is_encoder_decoder: bool = False
    decoder_start_token_id: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | tuple[int, ...] | None = None
    prefix: str | None = None
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    function_to_apply: str | None = None
    return_all_scores: bool | None = None
    task_specific_params: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        labels = {int(i): label for i, label in self.id2label.items()}
        if not labels and self.label2id:
            labels = {i: label for label, i in self.label2id.items()}
        if not labels:
            labels = {i: f"LABEL_{i}" for i in range(self.num_labels or 2)}
        if sorted(labels) != list(range(len(labels))):
            raise ConfigError(f"id2label must number the labels 0 to {len(labels) - 1}; it has {sorted(labels)[:8]}.")
        set_field = object.__setattr__
        set_field(self, "id2label", dict(sorted(labels.items())))
        set_field(self, "num_labels", len(labels))
        if sorted(self.label2id.values()) != list(range(len(labels))):
            set_field(self, "label2id", {label: i for i, label in labels.items()})

    # -- from and to JSON --------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any], where: str = "the config", **changes: Any) -> C:
        """A config from a JSON object; `changes` are laid over it.   Raises ConfigError, UnknownArgument."""
        known = {f.name: f for f in dataclasses.fields(cls)}
        aliases = cls.aliases()
        for name in changes:
            if name not in known and name not in aliases:
                raise UnknownArgument(
                    f"{name!r} is not a parameter, nor a key of a {cls.model_type} config.{did_you_mean(name, known)}"
                )
        merged = {**values, **changes}
        if {"id2label", "num_labels", "label2id"} & set(changes):
            merged = {k: v for k, v in merged.items() if k in changes or k not in _LABEL_KEYS}
        checked = {}
        for key, value in merged.items():
            name = aliases.get(key, key)
            if name in known:
                checked[name] = _checked(name, value, str(known[name].type), where)
        return cls(**checked)

    @classmethod
    def aliases(cls) -> dict[str, str]:
        """Other spellings of keys that checkpoints of the family use."""
        return {}

    @classmethod
    def from_pretrained(cls: type[C], id_or_path: str | Path, **options: Any) -> C:
        """The config of a checkpoint: a folder or a Hub id. See `AutoConfig.from_pretrained`."""
        from .loading import load_config

        config = load_config(id_or_path, **options)
        if not isinstance(config, cls):
            raise ConfigError(f"{id_or_path} holds a {config.model_type} config, not one for {cls.__name__}.")
        return config

    def to_dict(self) -> dict[str, Any]:
        """The config as config.json has it, for transformers and for us."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["num_labels"]
        values["architectures"] = list(self.architectures)
        values["id2label"] = {str(i): label for i, label in self.id2label.items()}
        # None is said where a reader would otherwise take something else for granted.
        unsaid = {f.name for f in dataclasses.fields(self) if f.default is None}
        kept = {key: value for key, value in values.items() if value is not None or key not in unsaid}
        return {"model_type": self.model_type} | kept

    def save_pretrained(self, folder: str | Path) -> None:
        """Write config.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")


_LABEL_KEYS = {"id2label", "label2id", "num_labels"}


def _checked(name: str, value: Any, declared: str, where: str) -> Any:
    """The value in its declared type ('int', 'float | None', …)."""

    def wrong(expected: str) -> ConfigError:
        return ConfigError(f"{where}: {name} is {_short(value)}; it must be {expected}.")

    if value is None:
        if "None" in declared or name in _LABEL_KEYS or name == "architectures":
            return (
                ()
                if name == "architectures"
                else (
                    {}
                    if declared.startswith("dict") and "None" not in declared
                    else 0
                    if name == "num_labels"
                    else None
                )
            )
        raise wrong(f"a value of type {declared}")
    kind = declared.removesuffix(" | None")
    if kind == "int":
        if name == "pad_token_id" and value == -1:
            return None
        most = MOST_LAYERS if "layers" in name else MOST_LABELS if name == "num_labels" else LARGEST_INTEGER
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise wrong(f"a whole number from 0 to {most}")
        return value
    if kind == "int | tuple[int, ...]":
        if isinstance(value, (list, tuple)):
            return tuple(_checked(name, each, "int", where) for each in value[:MOST_LAYERS])
        return _checked(name, value, "int", where)
    if kind == "float":
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
            or abs(value) > 1e9
        ):
            raise wrong("a finite number")
        return float(value)
    if kind == "bool":
        if not isinstance(value, bool):
            raise wrong("true or false")
        return value
    if kind == "str":
        if not isinstance(value, str) or len(value) > 10_000:
            raise wrong("a short string")
        return value
    if kind == "tuple[int, ...]":
        if not isinstance(value, (list, tuple)) or len(value) > MOST_LAYERS:
            raise wrong("a list of whole numbers")
        return tuple(_checked(name, each, "int", where) for each in value)
    if kind.startswith("tuple"):
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value) or len(value) > 1000:
            raise wrong("a list of strings")
        return tuple(value)
    if not isinstance(value, Mapping) or len(value) > MOST_LABELS:
        raise wrong("an object")
    return _labels(name, value, wrong) if name in _LABEL_KEYS else dict(value)


def _labels(name: str, value: Mapping[Any, Any], wrong: Any) -> dict[Any, Any]:
    try:
        if name == "id2label":
            return {int(i): str(label) for i, label in value.items()}
        return {str(label): int(i) for label, i in value.items()}
    except (TypeError, ValueError) as error:
        raise wrong("an object of labels and their numbers") from error


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
