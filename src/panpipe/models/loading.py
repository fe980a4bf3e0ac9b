"""From a checkpoint to a model: which config, which family, which tensors; and back to a folder.

Loading is total: every slot is filled, every tensor used or left by a named rule; one error lists all that is wrong.
"""

from __future__ import annotations

import fnmatch
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ConfigError, MissingHead, UnknownFamily, WeightsMismatch, did_you_mean
from ..ops import Ops
from ..weights.adapters import Adapted, AdaptedCheckpoint, Adapter, KeptTensors, with_base
from ..weights.checkpoint import Checkpoint, open_checkpoint
from ..weights.hub import resolve
from ..weights.name_map import (
    Join,
    Row,
    Source,
    Tied,
    Transposed,
    from_stored,
    locate,
    names_of,
    stored_shape,
    to_stored,
)
from ..weights.slots import LinearSlot, Slot, TableSlot, Tensors, Tree, grow, random_tensors
from ..weights.source import Source as Files
from ..weights.source import read_json
from .config import Config
from .families import FAMILIES
from .family import HEADS, Family

__all__ = [
    "Stored",
    "checkpoint_tensors",
    "family_of",
    "fill",
    "find_files",
    "head_of",
    "load_config",
    "merged",
    "read_config",
]

_log = logging.getLogger("panpipe")

Tensor = npt.NDArray[Any]
Plan = dict[str, dict[str, tuple[Source, tuple[str, ...]]]]
"""slot -> part -> how the checkpoint keeps it, and the names there; no names for zeros."""


# -- the config ------------------------------------------------------------------------------------------------------


def find_files(id_or_path: str | Path | Files, adapter: str | Path | None = None, **options: Any) -> Files:
    """The files of a checkpoint, or of an adapter and its base; `options` are those of `resolve`.

    adapter: a LoRA adapter for the checkpoint.
    """
    files = with_base(id_or_path if isinstance(id_or_path, Files) else resolve(id_or_path, **options))
    if adapter is None:
        return files
    options = {key: value for key, value in options.items() if key not in ("revision", "subfolder")}
    return with_base(resolve(adapter, **options), base=files)


def load_config(id_or_path: str | Path | Files, **options: Any) -> Config:
    """The config of a folder or a Hub id. Options of `resolve` find it, the others are laid over it."""
    finding = {key: options.pop(key) for key in RESOLVE_OPTIONS if key in options}
    return read_config(find_files(id_or_path, **finding), **options)


RESOLVE_OPTIONS = ("revision", "cache_dir", "token", "local_files_only", "subfolder")


def read_config(files: Files, **changes: Any) -> Config:
    """config.json as its family's Config.   Raises ConfigError, UnknownFamily."""
    path = files.require("config.json")
    values = read_json(path)
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds a JSON {type(values).__name__}; it must be an object.")
    model_type = values.get("model_type") or _type_in_name(files.name)
    if model_type is None:
        raise UnknownFamily(
            f'{path} has no "model_type". Add it, for instance "model_type": "bert"; panpipe has {_families()}.'
        )
    family = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if family is None:
        near = did_you_mean(str(model_type), FAMILIES)
        raise UnknownFamily(
            f"{files.name} is of the family {model_type!r}, which panpipe does not have.{near} It has {_families()}."
        )
    config_class = family.configs[family.model_types.index(model_type)]
    if isinstance(files, Adapted) and not files.has_own_config:
        changes = _said_by_adapter(files, family, config_class.from_dict(values, str(path))) | changes
    return config_class.from_dict(values, str(path), **changes)


_HEADS_OF_ADAPTERS = {
    "SEQ_CLS": "sequence-classification",
    "TOKEN_CLS": "token-classification",
    "QUESTION_ANS": "question-answering",
    "CAUSAL_LM": "causal-lm",
    "SEQ_2_SEQ_LM": "seq2seq-lm",
    "FEATURE_EXTRACTION": "base",
}
"""PEFT's task_type -> our name of the head."""


def _said_by_adapter(files: Adapted, family: Family, config: Config) -> dict[str, Any]:
    """What the base's config cannot know: the head that the adapter is for, and the number of its labels."""
    head = _HEADS_OF_ADAPTERS.get(files.config.task_type or "")
    if head is None or head not in family.heads:
        return {}
    prefix = family.class_prefixes[family.model_types.index(config.model_type)]
    changes: dict[str, Any] = {"architectures": [prefix + family.class_suffix(head)]}
    if head.endswith("classification"):
        output = names_of(locate(family.heads[head].rows, "head.output", "weight"))
        adapter = files.adapter()
        for name in adapter.whole.keys() & set(output):
            labels = adapter.stored.info(adapter.whole[name]).shape[0]
            changes |= {"num_labels": labels} if labels != config.num_labels else {}
    return changes


def _type_in_name(name: str) -> str | None:
    """The longest model_type that the checkpoint's name holds: configs from before 2020 have none of their own."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    return max((model_type for model_type in FAMILIES if model_type in last), key=len, default=None)


def family_of(config: Config) -> Family:
    """The family of a config."""
    return FAMILIES[config.model_type]


def head_of(config: Config) -> str:
    """The head that config.architectures names; 'base' when it names none of ours."""
    for architecture in config.architectures:
        for kind in HEADS.values():
            if kind.name != "base" and architecture.endswith(kind.class_suffixes):
                return kind.name
        if architecture.endswith("ForPreTraining"):
            return "masked-lm"
    return "base"


def _families() -> str:
    return ", ".join(sorted(FAMILIES))


# -- the tensors -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A model's tensors under our names, read only when asked for."""

    slots: Mapping[str, Slot]
    read: Callable[[str], Tensors]
    """slot -> its tensors."""

    release: Callable[[str], None] = lambda slot: None
    """Say that a slot's tensors were copied, so that the file's pages may leave the memory."""

    drawn: frozenset[str] = frozenset()
    """Slots that the checkpoint lacks: drawn at random, to be trained."""

    def ready(self, ops: Ops) -> Tree:
        """All weights as the engine keeps them."""

        def each() -> Iterable[tuple[str, Any]]:
            for name, slot in self.slots.items():
                weights = slot.ready(ops, self.read(name))
                if isinstance(slot, LinearSlot):
                    self.release(name)
                yield name, weights

        return grow(each())


def fill(
    files: Files | Checkpoint,
    family: Family,
    config: Config,
    head: str,
    *,
    new_head: bool | None = False,
    drop: Iterable[str] = (),
) -> Stored:
    """The tensors of a checkpoint for the model with that head; those of an adapter's files, merged into its base.

    new_head: draw the head's tensors that are missing or of another shape, instead of refusing; None: those that are
    missing, with a warning.
    drop: names (fnmatch) of tensors to leave unread, besides those that the family knows.
    Raises WeightsMismatch, MissingHead and what `open_checkpoint` raises.
    """
    slots = family.slots(config, head)
    checkpoint = files if isinstance(files, Checkpoint) else open_checkpoint(files)
    if isinstance(files, Adapted):
        checkpoint = _adapted(checkpoint, files.adapter(), family, config, head)
    names = set(checkpoint.names())
    plan: Plan = {}
    missing, wrong, absent_optional, fresh = [], [], set(), set()
    is_another_head = _is_another_head(config, head)
    for slot, kind in slots.items():
        plan[slot] = {}
        for part, shape in kind.shapes().items():
            source, prefix = family.source(config, head, slot, part)
            found = None if is_another_head and slot.startswith("head.") else _find(source, prefix, names)
            if found is None:
                if isinstance(source, Row) or getattr(kind, "formula", None) is not None:
                    plan[slot][part] = (source, ())
                elif slot in family.optional(head):
                    absent_optional.add(slot)
                elif new_head is not False and slot.startswith("head."):
                    fresh.add(slot)
                else:
                    missing.append(f"{slot}.{part} ({_wanted(source, prefix)})")
                continue
            has = stored_shape(source, [checkpoint.info(name).shape for name in found])
            if has == shape:
                plan[slot][part] = (source, found)
            elif new_head and slot.startswith("head."):
                fresh.add(slot)
            else:
                wrong.append(f"{found[0]} is {list(has)}, the config says {list(shape)}")
    known = family.known_names(config)
    patterns = (*family.junk, *drop)
    unused = sorted(
        n
        for n in names
        if _modern(n) not in known and n not in known and not any(fnmatch.fnmatch(n, p) for p in patterns)
    )
    _complain(checkpoint, config, head, missing, wrong, unused)
    if isinstance(checkpoint, AdaptedCheckpoint):
        _check_tied(checkpoint, family, config, plan)
    if fresh and new_head is None:
        _log.warning(
            "%s has no head for %s: %s drawn at random. Train the model before you use it.",
            checkpoint.path,
            head,
            _list(sorted(fresh)),
        )
    generator = np.random.default_rng(0)
    drawn = {slot: random_tensors(slots[slot], config.initializer_range, generator) for slot in sorted(fresh)}
    kept = {slot: kind for slot, kind in slots.items() if slot not in absent_optional}

    def read(slot: str) -> Tensors:
        if slot in drawn:
            return drawn[slot]
        return {part: tensor(slot, part) for part in plan[slot]}

    def tensor(slot: str, part: str) -> Tensor:
        source, found = plan[slot][part]
        if not found:
            kind = slots[slot]
            formula = kind.formula if isinstance(kind, TableSlot) else None
            return np.zeros(kind.shapes()[part], np.float32) if formula is None else formula()
        return _floats(from_stored(source, [checkpoint.read(name) for name in found]), found)

    def release(slot: str) -> None:
        for _, found in plan[slot].values():
            for name in found:
                checkpoint.release(name)

    return Stored(kept, read, release, frozenset(drawn))


def merged(adapter: Adapter, family: Family, config: Config, head: str, stored: Stored) -> Stored:
    """A model's tensors with an adapter merged into them.   Raises WeightsMismatch."""
    kept = KeptTensors(checkpoint_tensors(family, config, head, stored), Path("the model"))
    return fill(_adapted(kept, adapter, family, config, head), family, config, head)


def _adapted(base: Checkpoint, adapter: Adapter, family: Family, config: Config, head: str) -> AdaptedCheckpoint:
    maps: dict[str, bool] = {}
    tables: list[str] = []
    prefix = ""
    for slot, kind in family.slots(config, head).items():
        if slot.startswith("head.") or slot == "pooler" or not isinstance(kind, (LinearSlot, TableSlot)):
            continue
        source, prefix = family.source(config, head, slot, "weight")
        modules = [name.removesuffix(".weight") for name in names_of(source)]
        if isinstance(kind, TableSlot):
            tables += modules
        else:
            maps |= dict.fromkeys(modules, isinstance(source, Transposed))
    return AdaptedCheckpoint(base, adapter, maps, tables, prefix)


def _check_tied(checkpoint: AdaptedCheckpoint, family: Family, config: Config, plan: Plan) -> None:
    """Raises WeightsMismatch where an adapter changes one of two uses of a tensor: both would change, or neither."""
    uses = Counter(name for parts in plan.values() for _, found in parts.values() for name in found)
    outputs = {row.untied for kind in family.heads.values() for row in kind.rows.values() if isinstance(row, Tied)}
    twice = sorted(n for n in checkpoint.changed() if uses[n] > 1 or (n in outputs and config.tie_word_embeddings))
    if twice:
        raise WeightsMismatch(
            f"{checkpoint.path} changes {_list(twice)}, which the model uses in more than one place "
            "(tie_word_embeddings); panpipe cannot change one use alone. Merge the adapter with PEFT, untied."
        )


def checkpoint_tensors(family: Family, config: Config, head: str, stored: Stored) -> dict[str, Tensor]:
    """The tensors under the names that transformers gives them, for writing: tied ones once."""
    tensors: dict[str, Tensor] = {}
    for slot, kind in stored.slots.items():
        parts = stored.read(slot)
        for part in kind.shapes():
            source, prefix = family.source(config, head, slot, part)
            prefix = "" if head == "base" else prefix
            stored_pieces = to_stored(source, parts[part], getattr(kind, "pieces", ()))
            named = {prefix + name: piece for name, piece in stored_pieces.items()}
            tensors |= {name: piece for name, piece in named.items() if name not in family.unwritten}
    return tensors


def tied_together(
    family: Family, config: Config, head: str, tensors: Mapping[str, Tensors]
) -> dict[str, dict[str, Tensor]]:
    """Tensors by slot, where those that a checkpoint keeps once (tied ones) are the first of them."""
    first: dict[tuple[Source, str], Tensor] = {}
    return {
        slot: {part: first.setdefault(family.source(config, head, slot, part), t) for part, t in parts.items()}
        for slot, parts in tensors.items()
    }


def _find(source: Source, prefix: str, names: set[str]) -> tuple[str, ...] | None:
    """The names in the checkpoint of the tensor's pieces, or None if any is missing."""
    if isinstance(source, Join):
        found = [_first((prefix + name, name), names) for name in source.names]
        return tuple(name for name in found if name) if all(found) else None
    one = _first([p + name for name in names_of(source) for p in (prefix, "")], names)
    return None if one is None else (one,)


def _first(candidates: Iterable[str], names: set[str]) -> str | None:
    for name in candidates:
        if name in names:
            return name
        if (old := _old(name)) in names:
            return old
    return None


def _old(name: str) -> str:
    """TensorFlow's words for a norm's weight and bias, in checkpoints converted before 2019."""
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def _modern(name: str) -> str:
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _floats(tensor: Tensor, names: tuple[str, ...]) -> Tensor:
    """float32 or float16, as engines take weights."""
    if tensor.dtype.kind != "f":
        raise WeightsMismatch(
            f"{names[0]} holds {tensor.dtype}; weights must be floats. Quantised checkpoints are not supported."
        )
    return tensor.astype(np.float32) if tensor.dtype.itemsize > 4 else tensor


def _wanted(source: Source, prefix: str) -> str:
    return prefix + names_of(source)[0]


def _complain(
    checkpoint: Checkpoint, config: Config, head: str, missing: list[str], wrong: list[str], unused: list[str]
) -> None:
    if missing and not wrong and all(m.startswith("head.") for m in missing):
        raise MissingHead(_head_message(checkpoint, config, head, missing))
    if missing or wrong or unused:
        ways = [
            'If this is another family, set "model_type" in config.json.',
            "Tensors that may be left out are named by drop=['pattern*']." if unused else "",
            "A head of another size is drawn anew with new_head=True." if wrong and not missing else "",
        ]
        raise WeightsMismatch(
            f"{checkpoint.path} does not fit a {config.model_type} model: "
            f"{_list(missing)} missing, {_list(unused)} unused, "
            f"{_list(wrong)} of another shape. {' '.join(w for w in ways if w)}"
        )


def _is_another_head(config: Config, head: str) -> bool:
    """Is it a classifier of texts where one of tokens is wanted, or the reverse? Only the config may tell."""
    stated = head_of(config)
    return head != stated and {head, stated} == {"sequence-classification", "token-classification"}


def _head_message(checkpoint: Checkpoint, config: Config, head: str, missing: list[str]) -> str:
    tasks = " or ".join(HEADS[head_of(config)].tasks)
    return (
        f"{checkpoint.path} has no head for {head}: {_list(missing)} missing. It is a checkpoint for {tasks}. "
        f"Name a model that was fine-tuned for {' or '.join(HEADS[head].tasks)}; "
        "to draw the head at random and train it, "
        f"give new_head=True (in a pipeline: model_kwargs={{'new_head': True}})."
    )


def _list(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most]) + (", …" if len(names) > most else "")
    return f"{len(names)} ({shown})" if names else "0"


def checked_head(head: str) -> str:
    """The name of a head.   Raises ConfigError for one we do not have."""
    if head not in HEADS:
        raise ConfigError(f"{head!r} is not a head.{did_you_mean(head, HEADS)} Heads: {', '.join(HEADS)}.")
    return head
