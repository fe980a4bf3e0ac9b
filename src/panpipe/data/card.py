"""What a data set's README says of its files: `configs`, and the names of classes in `dataset_info`.

The YAML between the lines `---` is read as text only, without anchors: nothing in it is built, run or multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError, DataNotFound, did_you_mean
from .features import ClassLabel, Feature, Sequence
from .files import as_splits

__all__ = ["Config", "chosen", "configs_of"]

_MOST_CHARACTERS = 2_000_000
_NOT_OPTIONS = {"config_name", "data_files", "data_dir", "default", "description", "version", "drop_labels"}
_SECTIONS = ("configs", "dataset_info")


@dataclass(frozen=True)
class Config:
    """One form of a data set.   splits: split → patterns, or None: by the files' names.   options: of the reader."""

    name: str
    splits: dict[str, list[str]] | None = None
    data_dir: str | None = None
    is_default: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)


def configs_of(readme: str) -> list[Config]:
    """The configurations that a README lists; none where it does not.   Raises DataError."""
    header = _header(readme)
    infos = header.get("dataset_info") or []
    features = {
        str(info.get("config_name", "default")): _features(info.get("features"))
        for info in (infos if isinstance(infos, list) else [infos])
        if isinstance(info, Mapping)
    }
    listed = header.get("configs") or []
    if not isinstance(listed, list):
        raise DataError("the card's `configs` is not a list.")
    return [_config(entry, features) for entry in listed]


def chosen(configs: list[Config], name: str | None, what: str) -> Config:
    """The configuration of that name; without a name the default, or the only one.   Raises DataNotFound."""
    names = [config.name for config in configs]
    if name is not None:
        if name not in names:
            raise DataNotFound(
                f"{what} has no configuration {name!r}.{did_you_mean(name, names)} Its: {', '.join(names)}."
            )
        return configs[names.index(name)]
    for config in configs:
        if config.is_default or config.name == "default" or len(configs) == 1:
            return config
    raise DataNotFound(
        f"{what} has several configurations; give one: load_dataset({what!r}, {names[0]!r}). Its: {names}."
    )


def _header(readme: str) -> dict[str, Any]:
    """The sections of ours of the YAML at the top."""
    lines = readme.lstrip("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != "---":
        return {}
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    kept: list[str] = []
    is_ours = False
    for line in lines[1:end]:
        if line[:1] not in (" ", "-", "#", ""):  # a key at the top
            is_ours = line.split(":")[0].strip("'\" ") in _SECTIONS
        if is_ours:
            kept.append(line)
    text = "\n".join(kept)
    if len(text) > _MOST_CHARACTERS:
        raise DataError(f"the card's header has {len(text)} characters; at most {_MOST_CHARACTERS} are read.")
    value = _yaml(text)
    return value if isinstance(value, dict) else {}


def _yaml(text: str) -> Any:
    """Mappings, lists and texts."""
    import yaml  # type: ignore[import-untyped]  # huggingface_hub needs it

    try:
        for token in yaml.scan(text, Loader=_loader(yaml)):
            if isinstance(token, (yaml.AliasToken, yaml.AnchorToken, yaml.TagToken)):
                raise DataError("the card's header uses YAML anchors or tags, which are not read.")
        return yaml.load(text, Loader=_loader(yaml))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the card's header is not YAML: {' '.join(str(error).split())[:200]}.") from None


def _loader(yaml: Any) -> Any:
    return getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # scalars stay text: a language 'no' is not False


def _config(entry: Any, features: dict[str, dict[str, Feature]]) -> Config:
    if not isinstance(entry, Mapping):
        raise DataError(f"the card's `configs` holds {entry!r:.60}; expected mappings.")
    name = str(entry.get("config_name", "default"))
    files = entry.get("data_files")
    return Config(
        name,
        None if files is None else _splits(files),
        entry.get("data_dir") if isinstance(entry.get("data_dir"), str) else None,
        entry.get("default") in ("true", "True"),
        {str(key): value for key, value in entry.items() if key not in _NOT_OPTIONS},
        features.get(name, {}),
    )


def _splits(files: Any) -> dict[str, list[str]]:
    if isinstance(files, list) and files and all(isinstance(item, Mapping) and "path" in item for item in files):
        return as_splits({item.get("split", "train"): item["path"] for item in files})
    return as_splits(files)


def _features(described: Any) -> dict[str, Feature]:
    """Of the card's features those that say more than the files: names of classes, alone and in lists."""
    found: dict[str, Feature] = {}
    for entry in described if isinstance(described, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("name"), str):
            feature = _feature(entry)
            if feature is not None:
                found[entry["name"]] = feature
    return found


def _feature(entry: Mapping[str, Any]) -> Feature | None:
    for key in ("sequence", "list"):
        if isinstance(entry.get(key), Mapping):
            inner = _feature({"dtype": entry[key]} if "class_label" in entry[key] else entry[key])
            return None if inner is None else Sequence(inner)
    kind = entry.get("dtype")
    label = kind.get("class_label") if isinstance(kind, Mapping) else None
    names = label.get("names") if isinstance(label, Mapping) else None
    if isinstance(names, Mapping):
        return ClassLabel(names=list(names.values()))
    return ClassLabel(names=names) if isinstance(names, list) and names else None
