"""`panpipe info MODEL`: what a checkpoint is, from its config, its tokenizer and the headers of its weights."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, CheckpointNotFound, HubUnavailable, MissingDependency, UnknownFamily
from ..weights.source import WEIGHT_FILES, Folder, read_json
from .parser import Parser, parse
from .report import print_report
from .tasks import told

__all__ = ["describe", "info"]

_SIZES = (  # config.json's names of one thing in different families
    ("layers", ("num_hidden_layers", "n_layers", "n_layer")),
    ("hidden_size", ("hidden_size", "dim", "n_embd", "d_model")),
    ("heads", ("num_attention_heads", "n_heads", "n_head")),
)
_FORMATS = {".safetensors": "safetensors", ".bin": "pickle of PyTorch"}


def info(arguments: Sequence[str]) -> int:
    """Print what a model is."""
    parser = Parser("panpipe info", "What a model is: read from its files' headers, without loading it.")
    parser.add_argument("model", metavar="MODEL", help="a folder, a model id of the Hub, or a task (its default model)")
    parser.add_argument("--revision", metavar="REV", help="a branch, tag or commit of the Hub")
    parser.add_argument("--offline", action="store_true", help="never ask the network")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parse(parser, arguments)
    print_report(describe(given.model, given.revision, given.offline), given.json)
    return 0


def describe(model: str, revision: str | None = None, local_files_only: bool = False) -> dict[str, Any]:
    """What a folder, a Hub id, or a task's default model holds.

    Of a Hub's model that is not in the cache, config and tokenizer are fetched, and of the weights only the headers.
    Raises CheckpointError's kinds, HubUnavailable.
    """
    from ..weights.adapters import with_base
    from ..weights.hub import resolve

    asked = model
    embedded: list[Any] = []
    if not Path(model).is_dir():
        model, revision, embedded = _default_of_task(model, revision)
    files = resolve(model, revision=revision, local_files_only=local_files_only)
    if embedded:  # perhaps an adapter, whose base is embedded too
        files = with_base(files)
    values = files.json("config.json")
    if not isinstance(values, dict):
        raise CheckpointError(f"{files.name}: config.json holds no object.")
    report: dict[str, Any] = {"model": asked if asked == files.name else f"{files.name} (for {asked})"}
    if embedded:
        report["embedded"] = [f"{', '.join(one.languages)}: {told(one)}" for one in embedded]
    report["where"] = str(files.require("config.json").parent)
    report["architecture"], config = _architecture(files, values)
    report["checkpoint"], license_name = _weights(files, revision, local_files_only)
    report["labels"] = None if config is None else _labels(report, config)
    report["tokenizer"] = _tokenizer(files)
    report["limits"] = _limits(report, config)
    report["licence"] = _licence(files) or license_name
    return {name: value for name, value in report.items() if value is not None}


def _default_of_task(name: str, revision: str | None) -> tuple[str, str | None, list[Any]]:
    """(model, revision, the embedded models) of a task's default; of any other name, that name."""
    from ..pipelines.defaults import embedded_for
    from ..pipelines.tasks import ALIASES, TASKS

    task = TASKS.get(ALIASES.get(name, name))
    if task is None:
        return name, revision, []
    models = embedded_for(task.name) if revision is None else []
    if models:
        return str(models[0].folder), None, models
    return task.model or name, revision or task.revision, []


def _architecture(files: Any, values: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """(what config.json says, the config if the family is one of ours)."""
    from ..models.families import FAMILIES
    from ..models.family import HEADS
    from ..models.loading import family_of, head_of, read_config

    found: dict[str, Any] = {"class": values.get("architectures") or "not named", "family": values.get("model_type")}
    for name, keys in _SIZES:
        size = next((values[key] for key in keys if key in values), None)
        if size is not None:
            found[name] = size
    try:
        config = read_config(files)
    except UnknownFamily as error:
        return {**found, "supported": f"no: {error}"}, None
    head = head_of(config)
    tasks = list(HEADS[head].tasks)
    entails = any(label.lower().startswith("entail") for label in config.label2id)
    if "zero-shot-classification" in tasks and not entails:
        tasks.remove("zero-shot-classification")
    if "feature-extraction" not in tasks:
        tasks.append("feature-extraction")
    own = family_of(config).model_types[0]
    if own != found["family"]:
        found["family"] = f"{found['family']} ({own})" if own in FAMILIES else found["family"]
    return {**found, "head": head, "tasks": tasks}, config


def _weights(files: Any, revision: str | None, local_files_only: bool) -> tuple[dict[str, Any], str | None]:
    """(files, tensors, parameters, licence as the Hub has it where the weights are not on this machine)."""
    from ..weights.checkpoint import open_checkpoint

    here = set(files.files())
    if not isinstance(files, Folder) and not here & set(WEIGHT_FILES):
        return _remote_weights(files.name, revision, local_files_only)
    try:
        opened = open_checkpoint(files)
    except CheckpointNotFound as error:
        return {"files": f"none: {error}"}, None
    with opened as checkpoint:
        infos = [checkpoint.info(name) for name in checkpoint.names()]
        shards = _paths(checkpoint.path)
    counts: Counter[str] = Counter()
    for tensor in infos:
        counts[tensor.dtype] += math.prod(tensor.shape)
    return {
        "files": [path.name for path in shards],
        "format": _FORMATS.get(shards[0].suffix, shards[0].suffix),
        "size_bytes": sum(path.stat().st_size for path in shards),
        "tensors": len(infos),
        "parameters": sum(number for dtype, number in counts.items() if "F" in dtype),  # BF16 too; not buffers of ints
        "dtypes": dict(counts.most_common()),
    }, None


def _paths(path: Path) -> list[Path]:
    """The files that hold the tensors: those that an index names, or the one."""
    if not path.name.endswith(".index.json"):
        return [path]
    return [path.parent / name for name in sorted(set(read_json(path)["weight_map"].values()))]


def _remote_weights(name: str, revision: str | None, local_files_only: bool) -> tuple[dict[str, Any], str | None]:
    """What the Hub tells of weights that are not on this machine."""
    from ..weights.hub import endpoint, is_offline

    if local_files_only or is_offline():
        return {"files": "the weights are not on this machine"}, None
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint(), library_name="panpipe")
    try:
        found = api.model_info(name, revision=revision, files_metadata=True)
    except Exception as error:  # huggingface_hub's classes differ between its versions; the rest is told all the same
        return {"files": f"the weights are not on this machine, and the Hub does not tell more ({error})"}, None
    chosen = [f for f in found.siblings or () if f.rfilename.endswith(tuple(_FORMATS)) and "/" not in f.rfilename]
    chosen = [f for f in chosen if f.rfilename.endswith(".safetensors")] or chosen
    tensors = getattr(found, "safetensors", None)
    card = getattr(found, "card_data", None) or {}
    return {
        "files": [f.rfilename for f in chosen],
        "on_this_machine": False,
        "size_bytes": sum(f.size or 0 for f in chosen),
        **({"parameters": tensors.total, "dtypes": dict(tensors.parameters)} if tensors else {}),
    }, card.get("license")


def _labels(report: dict[str, Any], config: Any) -> dict[str, str] | None:
    has_labels = report["architecture"]["head"] in ("sequence-classification", "token-classification")
    return {str(index): label for index, label in config.id2label.items()} if has_labels else None


def _tokenizer(files: Any) -> dict[str, Any]:
    from ..tokenization import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(files)
    except (CheckpointError, HubUnavailable, MissingDependency) as error:
        return {"class": f"none: {error}"}
    limit = tokenizer.model_max_length
    return {
        "class": type(tokenizer).__name__,
        "vocabulary": len(tokenizer),
        "mask_token": tokenizer.mask_token,
        "special_tokens": list(tokenizer.all_special_tokens),
        "limit_tokens": limit if limit is not None and limit < 10**9 else None,
    }


def _limits(report: dict[str, Any], config: Any) -> dict[str, Any] | None:
    """How long a text may be, special tokens included."""
    if config is None:
        return None
    from ..models.loading import family_of

    positions = family_of(config).options(config).max_length
    of_tokenizer = report["tokenizer"].get("limit_tokens")
    return {
        "longest_text_tokens": min(n for n in (positions, of_tokenizer) if n is not None),
        "positions": positions,
        "vocabulary": config.vocab_size,
    }


def _licence(files: Any) -> str | None:
    """The licence that the model card on this machine states."""
    path = files.file("README.md") if "README.md" in files.files() else None
    if path is None:
        return None
    front = re.match(r"---\s*\n(.*?)\n---\s*\n", path.read_text("utf-8-sig", "replace"), re.DOTALL)
    stated = re.search(r"^license(?:_name)?:\s*(.+?)\s*$", front[1], re.MULTILINE) if front else None
    return stated[1].strip("'\"") if stated else None
