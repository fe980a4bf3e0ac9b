"""Models: one family per file, and the classes that users type (`BertModel`, `AutoModelForMaskedLM`, …)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .config import Config
from .families import FAMILIES
from .family import HEADS
from .model import AUTO_CLASSES, CLASSES, Model, class_named, load_model

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "AUTO_CLASSES",
    "CLASSES",
    "CONFIGS",
    "FAMILIES",
    "HEADS",
    "AutoConfig",
    "Config",
    "Model",
    "class_named",
    "class_names",
    "load_model",
]

CONFIGS: dict[str, type[Config]] = {
    config.__name__: config for family in dict.fromkeys(FAMILIES.values()) for config in family.configs
}


class AutoConfig:
    """Reads a config.json as its family's Config."""

    @staticmethod
    def from_pretrained(id_or_path: str | Path, **options: Any) -> Config:
        """The config of a folder or a Hub id.

        options: revision, cache_dir, token, local_files_only, subfolder; others are keys to lay over it (num_labels=3).
        Raises ConfigError, UnknownFamily, CheckpointNotFound, HubUnavailable, UnknownArgument.
        """
        from .loading import load_config

        options.pop("trust_remote_code", None)
        return load_config(id_or_path, **options)


def class_names() -> list[str]:
    """Every model and config class, by name."""
    return sorted({*CLASSES, *AUTO_CLASSES, *CONFIGS, "AutoConfig"})


def __getattr__(name: str) -> Any:
    for classes in (CLASSES, AUTO_CLASSES, CONFIGS):
        if name in classes:
            return classes[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
