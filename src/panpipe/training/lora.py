"""LoRA on the modules of a `Trainable`, in PEFT's terms and files; and freezing by name.

The base's weights stay as they are; beside those that are adapted stand a small A and B, and the map gives
W x + scaling * B A x. What a checkpoint keeps apart (query, key and value) is adapted apart, though it is one matrix
here. Sources: Hu et al. 2021, arXiv:2106.09685; what is trained and saved besides is as in PEFT.
"""

from __future__ import annotations

import copy
import fnmatch
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import InvalidArgument, WeightsMismatch, did_you_mean
from ..models.model import Model
from ..weights.adapters import LoraConfig, read_adapter, save_adapter_files
from ..weights.base import Tensors
from ..weights.name_map import Join, Source, Tied, Transposed, from_stored, locate, names_of, to_stored
from ..weights.slots import LinearSlot
from ..weights.source import Folder
from .module import Trainable, Weights

__all__ = [
    "LoraConfig",
    "adapter_writer",
    "apply_lora",
    "default_targets",
    "freeze",
    "get_peft_model",
    "load_adapter",
    "save_adapter",
    "trainable_parameters",
]

_TASK_TYPES = {
    "sequence-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "causal-lm": "CAUSAL_LM",
    "seq2seq-lm": "SEQ_2_SEQ_LM",
}
_OF_HEADS = {
    "sequence-classification": ("classifier", "score"),
    "token-classification": ("classifier", "score"),
    "question-answering": ("qa_outputs",),
}
"""Ends of the names of the modules that PEFT trains whole for a head."""


# -- the modules -----------------------------------------------------------------------------------------------------


class Piece(nn.Module):
    """The update of one of a checkpoint's linear maps: outputs begin to end of ours.

    module: its name in transformers.   bias: where the base's biases are trained with it.
    """

    def __init__(self, module: str, config: LoraConfig, weight: torch.Tensor, begin: int, end: int) -> None:
        super().__init__()
        rank = config.rank(module)
        self.module, self.begin, self.end = module, begin, end
        self.scaling, self.dropout = config.scaling(module), config.lora_dropout
        self.A = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        self.B = nn.Parameter(weight.new_zeros(end - begin, rank))
        self.register_parameter("bias", None)
        if config.init_lora_weights == "gaussian":
            nn.init.normal_(self.A, std=1 / rank)
        else:
            nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))
        if config.init_lora_weights is False:
            nn.init.normal_(self.B, std=0.02)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What is added to the outputs."""
        x = nn.functional.dropout(x, self.dropout, self.training) if self.dropout else x
        return nn.functional.linear(nn.functional.linear(x, self.A), self.B) * self.scaling


class AdaptedWeights(Weights):
    """A linear map with updates; the torch engine asks it to `adapt` what W x + b gives."""

    def __init__(self, base: Weights, pieces: list[Piece]) -> None:
        super().__init__()
        self.register_parameter("weight", base.weight)
        self.register_parameter("bias", base.bias)
        self.pieces = nn.ModuleList(pieces)

    def adapt(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """y with the updates of x."""
        for piece in self._pieces():
            update = piece(x)
            if piece.bias is not None:
                update = update + (piece.bias - self.get("bias")[piece.begin : piece.end])
            if piece.end - piece.begin == y.shape[1]:
                y = y + update
            else:
                y[:, piece.begin : piece.end] += update
        return y

    def value(self, part: str) -> torch.Tensor:
        """The weight or bias with the updates in it."""
        whole = _whole(super().value(part)).clone()
        for piece in self._pieces():
            if part == "weight":
                whole[piece.begin : piece.end] += piece.scaling * (_whole(piece.B) @ _whole(piece.A))
            elif piece.bias is not None:
                whole[piece.begin : piece.end] = _whole(piece.bias)
        return whole

    def _pieces(self) -> list[Piece]:
        return list(self.pieces)


def apply_lora(trainable: Trainable, config: LoraConfig | Mapping[str, Any]) -> Trainable:
    """Freeze the weights and put updates beside those that the config names; `trainable.lora` is it, filled in.

    A classifier's head, and whatever the checkpoint lacked, is trained whole.
    Raises InvalidArgument for names that no module has, ConfigError for a config that cannot be.
    """
    model = trainable.model
    config = _filled(model, config if isinstance(config, LoraConfig) else LoraConfig.from_dict(config))
    tensors = list(_tensors(trainable))
    _check(config, tensors)
    learnt = {id(p) for p in trainable.parameters() if p.requires_grad}
    trainable.requires_grad_(False)
    for tensor in tensors:
        is_bias = config.bias == "all" and tensor.part == "bias" and id(tensor.parameter) in learnt
        if is_bias or tensor.is_saved(config):
            tensor.parameter.requires_grad_(True)
        if tensor.is_map and any(map(config.is_target, tensor.modules)):
            _adapt(trainable.weights, tensor, config)
    trainable.weights.train(trainable.training)
    trainable.lora = config
    return trainable


def get_peft_model(model: Model, peft_config: LoraConfig | Mapping[str, Any]) -> Model:
    """The same model, of which the Trainer trains an adapter, as `Trainer(model, peft_config=…)` does.

    `print_trainable_parameters()` says how few that are.   Raises as `apply_lora`.
    """
    shown = trainable_parameters(apply_lora(Trainable(model), peft_config))
    made = copy.copy(model)
    vars(made).update(peft_config=peft_config, print_trainable_parameters=lambda: print(shown))
    return made


def default_targets(model: Model) -> tuple[str, ...]:
    """The ends of the names of the maps to queries and values, as PEFT adapts them unless told otherwise."""
    chosen: list[str] = []
    for slot, kind in model.stored.slots.items():
        if isinstance(kind, LinearSlot) and slot.endswith(("attention.qkv", "source.q", "source.kv")):
            modules = [name.removesuffix(".weight") for name in Place(model, slot, "weight").names]
            chosen += modules[-1:] if slot.endswith("source.kv") else modules[::2]
    return tuple(dict.fromkeys(module.rpartition(".")[2] for module in chosen))


def trainable_parameters(module: nn.Module) -> str:
    """'trainable params: 294,912 || all params: 109,778,690 || trainable%: 0.2686', as PEFT prints it."""
    sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
    every, some = sum(size for size, _ in sizes), sum(size for size, is_trained in sizes if is_trained)
    return f"trainable params: {some:,} || all params: {every:,} || trainable%: {100 * some / max(every, 1):.4f}"


def _filled(model: Model, config: LoraConfig) -> LoraConfig:
    """The config with what it leaves open: the head's modules, the targets, the base."""
    places = [Place(model, slot, "weight") for slot, kind in model.stored.slots.items() if "weight" in kind.shapes()]
    config = config.replace(modules_to_save=(*(config.modules_to_save or ()), *_OF_HEADS.get(model.head, ())))
    for place in places:
        is_new = place.slot == "head.output" or (place.slot in model.stored.drawn and not place.is_tied)
        if is_new and not place.is_saved(config):
            config = config.replace(modules_to_save=(*(config.modules_to_save or ()), *place.modules))
    targets = config.target_modules
    if targets == "all-linear":
        targets = tuple(m for p in places if p.is_map and p.slot != "head.decoder" for m in p.modules)
    return config.replace(
        target_modules=default_targets(model) if targets is None else targets,
        modules_to_save=config.modules_to_save or None,
        task_type=config.task_type or _TASK_TYPES.get(model.head),
        base_model_name_or_path=config.base_model_name_or_path or model.name_or_path or None,
        fan_in_fan_out=any(isinstance(place.source, Transposed) for place in places),
    )


def _check(config: LoraConfig, tensors: list[Tensor]) -> None:
    """Raises InvalidArgument for names that mean nothing here, or that mean a part of a tensor or one use of two."""
    modules = list(dict.fromkeys(module for tensor in tensors for module in tensor.modules))
    maps = [module for tensor in tensors if tensor.is_map for module in tensor.modules]
    if not any(map(config.is_target, maps)):
        ends = ", ".join(dict.fromkeys(module.rpartition(".")[2] for module in maps))
        wanted = config.target_modules
        near = _near(wanted[:1] if isinstance(wanted, tuple) else (), maps)
        raise InvalidArgument(f"target_modules={wanted!r:.80} names no linear map of this model.{near} It has: {ends}.")
    for name in set(config.modules_to_save or ()).difference(*_OF_HEADS.values()):
        if not any(config.replace(modules_to_save=(name,)).is_saved(module) for module in modules):
            raise InvalidArgument(f"modules_to_save: no module's name ends in {name!r}.{_near([name], modules)}")
    uses = Counter(id(tensor.parameter) for tensor in tensors)
    for tensor in tensors:
        saved = list(map(config.is_saved, tensor.modules))
        if any(saved) and not all(saved):
            raise InvalidArgument(
                f"modules_to_save names a part of {tensor.slot}, which is one tensor here: name all of "
                f"{', '.join(tensor.modules)}, or adapt it (target_modules)."
            )
        is_changed = any(saved) or (tensor.is_map and any(map(config.is_target, tensor.modules)))
        if is_changed and uses[id(tensor.parameter)] > 1:
            raise InvalidArgument(
                f"{tensor.modules[0]} is used in more than one place (tie_word_embeddings), so it cannot be changed in "
                "one alone: leave it out of target_modules and modules_to_save."
            )


def _adapt(weights: Weights, tensor: Tensor, config: LoraConfig) -> None:
    """Puts the updates of a map's pieces beside it."""
    parent, _, leaf = tensor.slot.rpartition(".")
    place = weights.get_submodule(parent)
    base: Any = getattr(place, leaf)
    pieces = []
    for module, (begin, end) in zip(tensor.modules, tensor.bounds(), strict=True):
        if config.is_target(module):
            piece = Piece(module, config, base.weight, begin, end)
            if config.bias == "lora_only" and base.bias is not None:
                piece.bias = nn.Parameter(base.bias[begin:end].detach().clone())
            pieces.append(piece)
    setattr(place, leaf, AdaptedWeights(base, pieces))


def _near(names: Iterable[str], modules: list[str]) -> str:
    ends = {module.rpartition(".")[2] for module in modules}
    return next((near for name in names if (near := did_you_mean(name, ends))), "")


# -- files -----------------------------------------------------------------------------------------------------------


def save_adapter(trainable: Trainable, folder: str | Path) -> None:
    """Write what is trained: adapter_model.safetensors, adapter_config.json; and config.json, for the labels."""
    adapter_writer(trainable)(Path(folder))


def adapter_writer(trainable: Trainable) -> Callable[[Path], None]:
    """Takes the adapter of the moment (all processes must ask); what it returns writes it into a folder."""
    config, model = _config_of(trainable), trainable.model
    tensors: dict[str, Tensors] = {}
    for tensor in _tensors(trainable):
        pieces = _pieces_of(trainable.weights, tensor)
        is_adapted = {piece.module for piece in pieces}
        if tensor.part == "weight":
            for piece in pieces:
                tensors[f"{piece.module}.lora_A.weight"] = _numpy(piece.A)
                tensors[f"{piece.module}.lora_B.weight"] = _numpy(piece.B)
                if piece.bias is not None:
                    tensors[f"{piece.module}.base_layer.bias"] = _numpy(piece.bias)
        if tensor.parameter.requires_grad:
            for name, stored in tensor.stored(_numpy(tensor.parameter)).items():
                module, _, end = name.rpartition(".")
                tensors[f"{module}.base_layer.{end}" if module in is_adapted else name] = stored

    def write(folder: Path) -> None:
        save_adapter_files(folder, config, tensors)
        kept = model.config.from_dict(model.config.to_dict() | {"architectures": [type(model).__name__]})
        kept.save_pretrained(folder)

    return write


def load_adapter(trainable: Trainable, folder: str | Path) -> None:
    """Read what `save_adapter` wrote, of the same config.   Raises WeightsMismatch, CheckpointError's kinds."""
    adapter = read_adapter(Folder(folder))
    taken: set[str] = set()

    def fill(parameter: torch.Tensor, values: list[tuple[str, Tensors]], source: Source = "") -> None:
        value = torch.from_numpy(from_stored(source, [each for _, each in values]).copy())
        if value.shape != parameter.shape:
            raise WeightsMismatch(f"{folder}: {values[0][0]} is {list(value.shape)}, not {list(parameter.shape)}.")
        with torch.no_grad():
            parameter.copy_(value)
        taken.update(name for name, _ in values)

    def read(name: str) -> tuple[str, Tensors]:
        if name not in adapter.stored:
            raise WeightsMismatch(f"{folder} has no tensor {name}: it is not of this run's adapter.")
        return name, adapter.stored.read(name)

    for tensor in _tensors(trainable):
        if tensor.part == "weight":
            for piece in _pieces_of(trainable.weights, tensor):
                a, b = adapter.updates.get(piece.module, (f"{piece.module}.lora_A.weight",) * 2)
                fill(piece.A, [read(a)])
                fill(piece.B, [read(b)])
                if piece.bias is not None:
                    fill(piece.bias, [read(adapter.whole.get(f"{piece.module}.bias", f"{piece.module}.bias"))])
        if tensor.parameter.requires_grad:
            fill(tensor.parameter, [read(adapter.whole.get(name, name)) for name in tensor.names], tensor.source)
    if left := sorted(set(adapter.stored.names()) - taken):
        raise WeightsMismatch(f"{folder} has {len(left)} tensors more than this run's adapter ({left[0]}, …).")


def _config_of(trainable: Trainable) -> LoraConfig:
    config = trainable.lora
    if not isinstance(config, LoraConfig):
        raise InvalidArgument("there is no adapter: apply_lora(trainable, LoraConfig(…)) makes one.")
    return config


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """A parameter that may be split over processes, in one piece."""
    gathered: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered.detach()


def _numpy(tensor: torch.Tensor) -> Tensors:
    values: Tensors = _whole(tensor).float().cpu().numpy().copy()
    return values


# -- freezing --------------------------------------------------------------------------------------------------------


def freeze(trainable: Trainable, *patterns: str) -> None:
    """Keep weights as they are: they get no gradients.

    patterns: parts of the model by our names ("embeddings", "layers.0-5", "layers.0.attention") or by transformers'
    ("bert.embeddings", "bert.encoder.layer.*.attention.*"); `*` stands for anything, 0-5 for these numbers.
    Raises InvalidArgument for a pattern that names nothing, or a part of one of our tensors.
    """
    tensors = list(_tensors(trainable))
    frozen = []
    for pattern in patterns:
        for one in _numbers_written_out(pattern):
            found = False
            for tensor in tensors:
                named = [_covers(one, f"{tensor.slot}.{tensor.part}"), *(_covers(one, n) for n in tensor.names)]
                if named[0] or all(named[1:]):
                    frozen.append(tensor)
                    found = True
                elif any(named):
                    raise InvalidArgument(
                        f"freeze: {pattern!r} names a part of {tensor.slot}, which is one tensor here: name all of "
                        f"{', '.join(tensor.modules)}."
                    )
            if not found:
                raise InvalidArgument(f"freeze: {one!r} names no weights.{_near_part(one, tensors)}")
    for tensor in frozen:
        tensor.parameter.requires_grad_(False)
        if tensor.part == "weight":
            for piece in _pieces_of(trainable.weights, tensor):
                piece.requires_grad_(False)


def _covers(pattern: str, name: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}.*")


def _numbers_written_out(pattern: str) -> list[str]:
    """'layers.0-2' -> 'layers.0', 'layers.1', 'layers.2'."""
    choices = []
    for part in pattern.split("."):
        numbers = re.fullmatch(r"(\d{1,4})-(\d{1,4})", part)
        choices.append([str(n) for n in range(int(numbers[1]), int(numbers[2]) + 1)] if numbers else [part])
    return [".".join(parts) for parts in itertools.product(*choices)] or [pattern]


def _near_part(pattern: str, tensors: list[Tensor]) -> str:
    tops = sorted({name.partition(".")[0] for tensor in tensors for name in (tensor.slot, *tensor.names)})
    return did_you_mean(pattern.partition(".")[0], tops) + f" The names begin with {', '.join(tops)}."


# -- our names and transformers' -------------------------------------------------------------------------------------


class Place:
    """Where transformers has a tensor of ours: the names of its pieces, and how they are stored."""

    def __init__(self, model: Model, slot: str, part: str) -> None:
        self.slot, self.part, self.kind = slot, part, model.stored.slots[slot]
        row = locate(model.family.heads[model.head].rows, slot, part) if slot.startswith("head.") else None
        self.is_tied = isinstance(row, Tied) and model.config.tie_word_embeddings
        if isinstance(row, Tied):
            self.source: Source = row.untied
            prefix = ""
        else:
            self.source, prefix = model.family.source(model.config, model.head, slot, part)
        names = names_of(self.source) if isinstance(self.source, Join) else names_of(self.source)[:1]
        self.prefix = "" if model.head == "base" else prefix
        self.names = tuple(self.prefix + name for name in names)
        self.modules = tuple(name.rpartition(".")[0] for name in self.names)

    @property
    def is_map(self) -> bool:
        """Is it the matrix of a linear map?"""
        return self.part == "weight" and isinstance(self.kind, LinearSlot)

    def is_saved(self, config: LoraConfig) -> bool:
        """Is it trained whole?"""
        return all(map(config.is_saved, self.modules))

    def bounds(self) -> list[tuple[int, int]]:
        """The first output and the end of each piece of a linear map."""
        assert isinstance(self.kind, LinearSlot), "only linear maps have pieces"
        sizes = self.kind.pieces if len(self.kind.pieces) == len(self.names) else ()
        ends = list(itertools.accumulate(sizes or (self.kind.outputs // len(self.names),) * len(self.names)))
        return list(zip([0, *ends], ends, strict=False))

    def stored(self, tensor: Tensors) -> dict[str, Tensors]:
        """The pieces as transformers stores them."""
        pieces = to_stored(self.source, tensor, getattr(self.kind, "pieces", ()))
        return {self.prefix + name: piece for name, piece in pieces.items()}


class Tensor(Place):
    """The same, with the parameter."""

    def __init__(self, model: Model, slot: str, part: str, parameter: nn.Parameter) -> None:
        super().__init__(model, slot, part)
        self.parameter = parameter


def _tensors(trainable: Trainable) -> Iterator[Tensor]:
    """Every tensor of the base; those that are used twice, twice."""
    parameters = dict(trainable.weights.named_parameters(remove_duplicate=False))
    for slot, kind in trainable.model.stored.slots.items():
        for part in kind.shapes():
            name = f"{slot}.{part}"
            yield Tensor(trainable.model, slot, part, parameters[name if name in parameters else slot])


def _pieces_of(weights: Weights, tensor: Tensor) -> list[Piece]:
    parent, _, leaf = tensor.slot.rpartition(".")
    held = getattr(weights.get_submodule(parent), leaf)
    return list(held.pieces) if isinstance(held, AdaptedWeights) else []
