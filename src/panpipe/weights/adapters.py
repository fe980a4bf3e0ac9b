"""LoRA adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors` (or `.bin`).

An adapter changes a checkpoint's tensors: W + scaling * B A for those it adapts, others replaced whole (a new head,
biases). `AdaptedCheckpoint` is the checkpoint with that done, so that nothing further on knows of adapters.

Not here: DoRA and the other kinds, quantised bases, initialisations that rewrite the base (PiSSA, OLoRA, …): refused
by name before a tensor is read. Of the patterns in a file's config, those of `rank_pattern` and `alpha_pattern` alone
are run, and only such as cannot take long.

Sources: Hu et al. 2021, arXiv:2106.09685; Kalajdzievski 2023, arXiv:2312.03732 (use_rslora); PEFT's checkpoint format.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError, CheckpointNotFound, ConfigError, UnknownArgument, WeightsMismatch, did_you_mean
from .base import DTYPES, Checkpoint, TensorInfo, Tensors
from .checkpoint import open_checkpoint
from .hub import HubRepo, resolve
from .save import save_safetensors
from .source import WEIGHT_FILES, Source
from .whole_file import whole_file

__all__ = [
    "Adapted",
    "AdaptedCheckpoint",
    "Adapter",
    "KeptTensors",
    "LoraConfig",
    "read_adapter",
    "save_adapter_files",
    "with_base",
]

CONFIG_FILE = "adapter_config.json"
TENSOR_FILES = ("adapter_model.safetensors", "adapter_model.bin")
PREFIX = "base_model.model."
_MOST_RANK = 65_536

_HARMLESS = (
    *("auto_mapping", "inference_mode", "megatron_config", "megatron_core", "peft_type", "peft_version"),
    *("corda_config", "ensure_weight_tying", "eva_config", "lora_ga_config", "qalora_group_size", "runtime_config"),
)
"""Keys of PEFT's config that change nothing once the tensors are there."""

_INITIAL = (True, False, None, "gaussian", "eva", "orthogonal")
"""Ways to begin that leave the base's weights as they are."""


# -- the config ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """What is adapted, and how much; PEFT's names and meanings.

    r: the rank.   lora_alpha: the update counts lora_alpha / r times; / sqrt(r) with use_rslora.
    target_modules: the ends of modules' names, as transformers has them; a string is a regular expression for the whole
    name; "all-linear": every linear map but the head; None: the queries and values of every attention.
    rank_pattern, alpha_pattern: other values for modules whose names end in a pattern.
    modules_to_save: ends of names of modules that are trained whole; a classifier's head always is.
    bias: which biases are trained: "none", "all", "lora_only" (those of adapted modules).
    layers_to_transform, layers_pattern: only layers of these numbers (in lists of that name).
    init_lora_weights: True (uniform A, zero B) or "gaussian".   lora_dropout: of an adapted map's inputs.
    Raises ConfigError for a value that cannot be.
    """

    r: int = 8
    lora_alpha: float = 8
    target_modules: tuple[str, ...] | str | None = None
    exclude_modules: tuple[str, ...] | str | None = None
    lora_dropout: float = 0.0
    bias: str = "none"
    modules_to_save: tuple[str, ...] | None = None
    use_rslora: bool = False
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    layers_to_transform: tuple[int, ...] | int | None = None
    layers_pattern: tuple[str, ...] | str | None = None
    init_lora_weights: bool | str | None = True
    fan_in_fan_out: bool = False
    task_type: str | None = None
    base_model_name_or_path: str | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        for name in ("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"):
            value = getattr(self, name)
            if isinstance(value, (list, set, frozenset, tuple)):
                object.__setattr__(self, name, tuple(sorted(value) if isinstance(value, (set, frozenset)) else value))
        for name, rank in (("r", self.r), *((f"rank_pattern[{k!r}]", v) for k, v in self.rank_pattern.items())):
            if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= _MOST_RANK:
                raise ConfigError(f"{name} is {rank!r:.40}; it must be a whole number from 1 to {_MOST_RANK}.")
        alphas = ((f"alpha_pattern[{k!r}]", v) for k, v in self.alpha_pattern.items())
        for name, alpha in (("lora_alpha", self.lora_alpha), *alphas):
            if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not math.isfinite(alpha):
                raise ConfigError(f"{name} is {alpha!r:.40}; it must be a finite number.")
        if not isinstance(self.lora_dropout, (int, float)) or not 0 <= self.lora_dropout < 1:
            raise ConfigError(f"lora_dropout is {self.lora_dropout!r:.40}; it must be from 0 up to 1.")
        if self.bias not in ("none", "all", "lora_only"):
            raise ConfigError(f"bias is {self.bias!r:.40}; it must be 'none', 'all' or 'lora_only'.")
        if self.init_lora_weights not in _INITIAL:
            raise ConfigError(
                f"init_lora_weights is {self.init_lora_weights!r:.40}, which changes the base's weights: panpipe does "
                "not have it. Convert the adapter with PEFT (path_initial_model_for_weight_conversion)."
            )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LoraConfig:
        """The config of a JSON object as PEFT writes it.

        Raises ConfigError for what panpipe does not have, by name, UnknownArgument for keys that nobody has.
        """
        kind = values.get("peft_type") or "LORA"
        if kind != "LORA":
            raise ConfigError(f"peft_type is {kind!r:.40}; panpipe has LORA only. Merge it with PEFT first.")
        own = {f.name: f for f in dataclasses.fields(cls)}
        for key, value in values.items():
            if key in own or key in _HARMLESS or key in _ABSENT or value in (None, False, {}, []):
                continue
            raise UnknownArgument(f"{key!r:.60} is not known to panpipe's LoRA.{did_you_mean(key, own)}")
        for key in _ABSENT:
            if values.get(key):
                raise ConfigError(
                    f"{key} is {values[key]!r:.60}; panpipe does not have it. Merge the adapter into its base "
                    "with PEFT (merge_and_unload), and load that."
                )
        return cls(**{key: _checked(key, value) for key, value in values.items() if key in own})

    def to_dict(self) -> dict[str, Any]:
        """The config as adapter_config.json has it."""
        values = dataclasses.asdict(self)
        plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {"peft_type": "LORA", "inference_mode": True, **plain}

    def replace(self, **changes: Any) -> LoraConfig:
        """The config with some values changed."""
        return dataclasses.replace(self, **changes)

    def is_target(self, module: str) -> bool:
        """Is the linear map of that name, in full and as transformers has it, adapted?"""
        if self.is_saved(module) or _is_named(self.exclude_modules, module):
            return False
        if not _is_named(self.target_modules, module):
            return False
        if isinstance(self.target_modules, str) or self.layers_to_transform in (None, ()):
            return True
        patterns = self.layers_pattern or (r"[^.]*",)
        patterns = (patterns,) if isinstance(patterns, str) else patterns
        number = next((int(m[1]) for p in patterns if (m := re.match(rf".*\.{p}\.(\d+)\.", module))), None)
        wanted = self.layers_to_transform
        return number in ((wanted,) if isinstance(wanted, int) else wanted or ())

    def is_saved(self, module: str) -> bool:
        """Is the module trained whole?   PEFT asks for the end of its name, or that of a module it is in."""
        parents = module.split(".")
        names = [".".join(parents[: n + 1]) for n in range(len(parents))]
        return any(name.endswith(saved) for saved in self.modules_to_save or () for name in names)

    def rank(self, module: str) -> int:
        """The rank of a module's update."""
        return int(_by_pattern(self.rank_pattern, module, self.r))

    def scaling(self, module: str) -> float:
        """What a module's update is multiplied by."""
        rank = self.rank(module)
        alpha = float(_by_pattern(self.alpha_pattern, module, self.lora_alpha))
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


_ABSENT = (
    "use_dora",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
    "alora_invocation_tokens",
    "arrow_config",
    "layer_replication",
    "loftq_config",
    "target_parameters",
    "trainable_token_indices",
)
"""What PEFT's LoRA can and ours cannot."""


def _checked(name: str, value: Any) -> Any:
    """A value of a file in its declared type: what `__post_init__` does not look at."""

    def is_text(item: Any) -> bool:
        return isinstance(item, str) and len(item) < 1000

    def is_list(item: Any, kind: Any) -> bool:
        return isinstance(item, (list, tuple, set)) and len(item) <= 100_000 and all(map(kind, item))

    fine = True
    if name in ("target_modules", "exclude_modules", "layers_pattern", "modules_to_save"):
        fine = value is None or is_list(value, is_text) or (name != "modules_to_save" and is_text(value))
    elif name in ("rank_pattern", "alpha_pattern"):
        value = value or {}
        fine = isinstance(value, Mapping) and len(value) <= 10_000 and all(map(_is_quick, value))
    elif name == "layers_to_transform":
        fine = value is None or isinstance(value, int) or is_list(value, lambda item: isinstance(item, int))
    elif name in ("task_type", "base_model_name_or_path", "revision"):
        value = value or None
        fine = value is None or is_text(value)
    elif name in ("use_rslora", "fan_in_fan_out"):
        fine = isinstance(value, bool)
    if not fine:
        raise ConfigError(f"{name} cannot be {value!r:.80}.")
    return value


def _is_quick(pattern: Any) -> bool:
    """A regular expression that cannot take long on a module's name: two repetitions at most, none of a group."""
    if not isinstance(pattern, str) or len(pattern) > 500:
        return False
    if len(re.findall(r"(?<!\\)[*+?{]", pattern)) > 2 or re.search(r"\)[*+?{]", pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, RecursionError):
        return False
    return True


def _is_named(wanted: tuple[str, ...] | str | None, module: str) -> bool:
    if isinstance(wanted, str):
        return re.fullmatch(wanted, module) is not None
    return any(module == name or module.endswith(f".{name}") for name in wanted or ())


def _by_pattern(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value of the first pattern that the name ends in."""
    return next((value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module)), default)


# -- the files -------------------------------------------------------------------------------------------------------


class Adapted(Source):
    """The files of an adapter and of its base: the base's weights, everything else the adapter's own where it has it.

    base: of the model that is adapted.   own: of the adapter.   name: for messages, default the adapter's.
    Raises ConfigError for an adapter that panpipe cannot merge, by what makes it so.
    """

    def __init__(self, base: Source, own: Source, name: str = "") -> None:
        if isinstance(base, Adapted) or (base.file(CONFIG_FILE) is not None and base.first(*WEIGHT_FILES) is None):
            raise ConfigError(
                f"the base of the adapter {own.name!r}, {base.name!r}, is an adapter itself. Merge that one first: "
                "load it, save_pretrained(), and give the folder as the base."
            )
        self.base, self.own = base, own
        self.name, self.subfolder = name or own.name, own.subfolder
        self.config = _read_config(own)

    def file(self, name: str) -> Path | None:
        """An optional file."""
        return None if (chosen := self._of(name)) is None else chosen.file(name)

    def require(self, name: str) -> Path:
        """A file that must be there."""
        return (self._of(name) or self.base).require(name)

    def files(self) -> list[str]:
        """The names that are on this machine now, sorted."""
        return sorted({*self.base.files(), *self.own.files()})

    @property
    def has_own_config(self) -> bool:
        """Does the adapter bring a config.json, with its labels?"""
        return self.own.file("config.json") is not None

    def adapter(self) -> Adapter:
        """The adapter's tensors; see `read_adapter`."""
        return read_adapter(self.own)

    def _of(self, name: str) -> Source:
        if name in WEIGHT_FILES or name.endswith((".safetensors", ".bin", ".index.json")):
            return self.base
        if name.startswith(("config.", "generation_config.")):
            return self.own if self.own.file(name) is not None else self.base
        return self.own if self.own.file("tokenizer_config.json") is not None else self.base


def with_base(files: Source, base: Source | None = None) -> Source:
    """The same files, or where they are an adapter's: with those of the model that it adapts.

    base: that model, instead of the one that the adapter names.
    Raises ConfigError, CheckpointNotFound (the base), HubUnavailable.
    """
    if base is not None:
        return Adapted(base, files, base.name)
    if isinstance(files, Adapted):
        return files
    files.file("config.json")  # asked for first: on the Hub, the other's absence comes to be known with it
    if files.file(CONFIG_FILE) is None:
        return files
    config = _read_config(files)
    named = config.base_model_name_or_path
    hint = "Give the base, and the adapter beside it: from_pretrained(base, adapter=…)."
    if not named:
        raise ConfigError(f"the adapter {files.name!r} names no base_model_name_or_path. {hint}")
    if named.startswith(("//", "\\\\")):
        raise CheckpointError(f"the adapter {files.name!r} names a base on another machine, {named!r:.80}. {hint}")
    finding = files.finding if isinstance(files, HubRepo) else {}
    try:
        found = resolve(named, revision=config.revision, prefer_embedded=True, **finding)
    except CheckpointNotFound as error:
        raise CheckpointNotFound(f"the base of the adapter {files.name!r}: {error} {hint}") from error
    return Adapted(found, files)


def read_adapter(files: Source) -> Adapter:
    """The adapter of these files, but for its base.

    Raises ConfigError (it is no plain LoRA), CheckpointNotFound, CorruptCheckpoint, UnsafeCheckpoint, WeightsMismatch.
    """
    config = _read_config(files)
    found = files.first(*TENSOR_FILES)
    if found is None:
        raise CheckpointNotFound(f"{files.name!r} has an {CONFIG_FILE} but no {' or '.join(TENSOR_FILES)}.")
    return Adapter(config, open_checkpoint(found))


def _read_config(files: Source) -> LoraConfig:
    values = files.json(CONFIG_FILE)
    where = f"{files.name}/{CONFIG_FILE}"
    if not isinstance(values, dict):
        raise ConfigError(f"{where} holds a JSON {type(values).__name__}; it must be an object.")
    try:
        return LoraConfig.from_dict(values)
    except (ConfigError, UnknownArgument) as error:
        raise ConfigError(f"{where}: {error}") from None


def save_adapter_files(folder: Path, config: LoraConfig, tensors: Mapping[str, Tensors]) -> None:
    """Write an adapter as PEFT reads it; tensors by module: 'bert.….query.lora_A.weight'."""
    folder.mkdir(parents=True, exist_ok=True)
    save_safetensors({PREFIX + name: tensor for name, tensor in tensors.items()}, folder / TENSOR_FILES[0])
    with whole_file(folder / CONFIG_FILE) as path:
        path.write_text(json.dumps(config.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


# -- the tensors -----------------------------------------------------------------------------------------------------

_HALF = re.compile(r"(.+)\.lora_(A|B)(?:\.default)?\.weight|(.+)\.lora_embedding_(A|B)(?:\.default)?")
_WRAPPING = re.compile(r"\.(base_layer|modules_to_save(\.default)?)(?=\.)")


class Adapter:
    """An adapter's tensors, by the modules that they change; nothing is read before it is asked for.

    updates: module -> the names of A and B.   whole: tensor -> its name in the file.
    Raises WeightsMismatch for halves, and for updates whose rank is not the config's.
    """

    def __init__(self, config: LoraConfig, stored: Checkpoint) -> None:
        self.config, self.stored = config, stored
        self.whole: dict[str, str] = {}
        halves: dict[str, dict[str, str]] = {}
        for name in stored.names():
            if not name.startswith(PREFIX):
                raise WeightsMismatch(f"{stored.path}: {name!r:.120} does not begin with {PREFIX!r}, as LoRA's do.")
            if (half := _HALF.fullmatch(name, len(PREFIX))) is not None:
                halves.setdefault(half[1] or half[3], {})[half[2] or half[4]] = name
            elif ".original_module." not in name:  # the base's own, which PEFT writes beside its change
                self.whole[_WRAPPING.sub("", name[len(PREFIX) :])] = name
        alone = sorted(next(iter(pair.values())) for pair in halves.values() if len(pair) == 1)
        if alone:
            raise WeightsMismatch(f"{stored.path}: {_some(alone)} of an A and a B without the other.")
        self.updates = {module: (pair["A"], pair["B"]) for module, pair in halves.items()}
        for module, (a, b) in self.updates.items():
            shapes, rank = (stored.info(a).shape, stored.info(b).shape), config.rank(module)
            if any(len(s) != 2 for s in shapes) or shapes[0][0] != rank or shapes[1][1] != rank:
                raise WeightsMismatch(
                    f"{stored.path}: the config says rank {rank} for {module}, its A is {list(shapes[0])} and its B "
                    f"{list(shapes[1])}."
                )

    def shape(self, module: str) -> tuple[int, int]:
        """Outputs and inputs of an update; of a table of embeddings, the width and the rows."""
        a, b = self.updates[module]
        return self.stored.info(b).shape[0], self.stored.info(a).shape[1]

    def update(self, module: str) -> Tensors:
        """scaling * B A, float32 [outputs, inputs]."""
        a, b = (self.stored.read(name).astype(np.float32, copy=False) for name in self.updates[module])
        product: Tensors = (b * np.float32(self.config.scaling(module))) @ a
        return product


class AdaptedCheckpoint(Checkpoint):
    """A checkpoint as an adapter changes it, under the checkpoint's own names.

    maps: the linear maps of the model's body, as it names them -> is the matrix stored [inputs, outputs]?
    tables: its tables of embeddings.   prefix: what a checkpoint with a head has before the body's names.
    Raises WeightsMismatch for anything that the two do not have in common.
    """

    def __init__(
        self, base: Checkpoint, adapter: Adapter, maps: Mapping[str, bool], tables: Iterable[str], prefix: str
    ) -> None:
        self.path, self._base, self._adapter = adapter.stored.path, base, adapter
        self._there = there = set(base.names())
        self._prefix = prefix
        self._whole = {self._known(name): theirs for name, theirs in adapter.whole.items()}
        names = there | set(self._whole)
        self._updates: dict[str, tuple[str, bool]] = {}
        wrong, missing = [], []
        tables = set(tables)
        for module in adapter.updates:
            name = self._known(f"{module}.weight")
            own = module.removeprefix(prefix)
            is_turned = own in tables or maps.get(own, False)
            expected = adapter.shape(module)[::-1] if is_turned else adapter.shape(module)
            if name not in names:
                missing.append(f"{module}.weight")
            elif self._stored(name).shape != expected:
                wrong.append(f"{name} is {list(self._stored(name).shape)}, its update {list(expected)}")
            self._updates[name] = (module, is_turned)
        if missing:
            raise WeightsMismatch(
                f"{self.path} adapts what {base.path} does not have: {_some(missing)}. Is it the adapter of another "
                "model? Name its base: from_pretrained(base, adapter=…)."
            )
        if wrong:
            raise WeightsMismatch(f"{self.path} does not fit {base.path}: {'; '.join(wrong[:3])}.")
        self._check_targets(maps)

    def _check_targets(self, maps: Mapping[str, bool]) -> None:
        """Is everything there that the config says is adapted? (Patterns of a file are not run to know it.)"""
        config = self._adapter.config
        if isinstance(config.target_modules, str) or isinstance(config.exclude_modules, str) or config.layers_pattern:
            return
        adapted = {module.removeprefix(self._prefix) for module in self._adapter.updates}
        missing = [name for name in maps if config.is_target(self._prefix + name) and name not in adapted]
        if missing:
            raise WeightsMismatch(f"{self.path} has no update for {_some(missing)}, which its config says it adapts.")

    def _known(self, name: str) -> str:
        """The base's name for one of the adapter's: with or without the prefix; the adapter's where it is new."""
        for own in (name, name.removeprefix(self._prefix), self._prefix + name):
            if own in self._there:
                return own
        return name

    def _stored(self, name: str) -> TensorInfo:
        """A tensor before its update."""
        return self._adapter.stored.info(self._whole[name]) if name in self._whole else self._base.info(name)

    def changed(self) -> set[str]:
        """The names of all tensors that are not the base's."""
        return {*self._whole, *self._updates}

    def names(self) -> list[str]:
        """Those of the base, and the adapter's new ones."""
        return [*self._base.names(), *(name for name in self._whole if name not in self._there)]

    def info(self, name: str) -> TensorInfo:
        """The dtype and shape of what `read` gives, but that bfloat16 is said."""
        stored = self._stored(name)
        return TensorInfo("F32", stored.shape) if name in self._updates else stored

    def read(self, name: str) -> Tensors:
        """See `Checkpoint.read`; what is updated comes as float32."""
        stored = self._adapter.stored.read(self._whole[name]) if name in self._whole else self._base.read(name)
        if name not in self._updates:
            return stored
        module, is_turned = self._updates[name]
        update = self._adapter.update(module)
        return np.ascontiguousarray(stored.astype(np.float32) + (update.T if is_turned else update))

    def release(self, name: str) -> None:
        """See `Checkpoint.release`."""
        if name in self._there:
            self._base.release(name)

    def close(self) -> None:
        """Lets go of the files."""
        self._base.close()
        self._adapter.stored.close()


class KeptTensors(Checkpoint):
    """Tensors in memory, as a checkpoint."""

    def __init__(self, tensors: Mapping[str, Tensors], path: Path) -> None:
        self.path, self._tensors = path, tensors

    def names(self) -> list[str]:
        """Every name."""
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        """The dtype and shape."""
        tensor = self._tensors[name]
        dtype = next(ours for ours, (_, kind) in DTYPES.items() if kind is not None and tensor.dtype == np.dtype(kind))
        return TensorInfo(dtype, tensor.shape)

    def read(self, name: str) -> Tensors:
        """The tensor."""
        return self._tensors[name]

    def release(self, name: str) -> None:
        """Nothing: there is no file."""

    def close(self) -> None:
        """Nothing: there is no file."""


def _some(names: list[str], most: int = 3) -> str:
    return f"{len(names)} ({', '.join(names[:most])}{', …' if len(names) > most else ''})"
