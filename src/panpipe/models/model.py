"""A model: a family, a config, weights and the engine that runs them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..blocks.attending import Trace
from ..blocks.heads import pooler
from ..errors import (
    ConfigError,
    InputError,
    InvalidArgument,
    MissingDependency,
    MissingHead,
    ShapeError,
    TooLong,
    UnknownArgument,
    did_you_mean,
)
from ..ops import Ops, get_ops
from ..ops.base import POOLINGS, Array, Ints
from ..weights.adapters import read_adapter
from ..weights.hub import resolve
from ..weights.save import save_safetensors
from ..weights.slots import random_tensors
from ..weights.source import Source as Files
from . import loading
from .config import Config
from .edge import ModelOutput, call_with_rectangles
from .families import FAMILIES
from .family import HEADS, Family
from .loading import Stored

if TYPE_CHECKING:
    from ..generation.config import GenerationConfig
    from ..training.module import Trainable

__all__ = ["Model", "class_named", "class_of", "load_model"]

M = TypeVar("M", bound="Model")


class Model:
    """A model of a family with a head. Made by `from_pretrained` or `from_config`.

    Not changed by a call, safe in threads; but what asks for gradients (`train()`, `parameters()`, labels that are
    torch tensors …) moves it, in place and for good, to the torch engine, where its weights are parameters.

    config: the checkpoint's.   name_or_path: as the user typed it.   max_length: the most tokens of a sequence.
    head: its name in `panpipe.models.HEADS`.   ops: the engine.   weights: their tree, as the engine keeps them.
    """

    _trainable: Trainable | None = None
    _modules: ClassVar[dict[str, Any]] = {}  # accelerate looks for compiled parts there
    head: ClassVar[str] = "base"
    model_types: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: Config,
        stored: Stored | None = None,
        *,
        ops: Ops | None = None,
        name_or_path: str = "",
        seed: int = 0,
    ) -> None:
        """With no stored tensors the weights are drawn at random, as `BertModel(BertConfig())` does in the course."""
        self.config = config
        self.family: Family = loading.family_of(config)
        if self.model_types and config.model_type not in self.model_types:
            raise ConfigError(
                f"{type(self).__name__} takes a {self.model_types[0]} config, not one of {config.model_type}."
            )
        self.options = self.family.options(config)
        self.name_or_path = name_or_path
        self.ops = ops or get_ops()
        self.stored = stored or _drawn(self.family, config, self.head, seed)
        self.weights = self.stored.ready(self.ops)
        self._files: Files | None = None
        self._generation_config: GenerationConfig | None = None

    # -- making and keeping ------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls: type[M], config: Config, *, seed: int = 0, engine: str | Ops | None = None) -> M:
        """A model with random weights."""
        made = class_of(cls, config)
        return made(config, ops=_ops(engine), seed=seed)

    @classmethod
    def from_pretrained(
        cls: type[M],
        id_or_path: str | Path | Files,
        *,
        config: Config | str | Path | None = None,
        engine: str | Ops | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        subfolder: str | None = None,
        new_head: bool | None = None,
        drop: Iterable[str] = (),
        adapter: str | Path | None = None,
        **changes: Any,
    ) -> M:
        """A model from a folder or a Hub id; a folder or a cached id never touches the network.

        What holds a LoRA adapter (PEFT's adapter_config.json) gives the model that it adapts, with it merged.

        engine: 'native', 'reference', 'torch' or an Ops; default the fastest there is.
        new_head: what becomes of a head that the checkpoint lacks: None draws it at random, to be trained, with a
        warning; True in silence, one of another size too; False raises MissingHead.
        drop: names (fnmatch) of tensors to leave unread.   adapter: a LoRA adapter to merge, a folder or a Hub id.
        changes: keys of the config to lay over it (num_labels=3).
        Raises CheckpointError's kinds, HubUnavailable, UnknownArgument.
        """
        changes = _transformers_arguments(changes)
        new_head = changes.pop("ignore_mismatched_sizes", False) or new_head
        finding: dict[str, Any] = {"revision": revision, "cache_dir": cache_dir}
        finding |= {"token": token, "local_files_only": local_files_only}
        files = loading.find_files(id_or_path, adapter, subfolder=subfolder, **finding)
        if not isinstance(config, Config):
            source = files if config is None else loading.find_files(config, **finding)
            config = loading.read_config(source, **changes)
        elif changes:
            config = config.from_dict(config.to_dict(), **changes)
        made = class_of(cls, config)
        stored = loading.fill(files, loading.family_of(config), config, made.head, new_head=new_head, drop=drop)
        model = made(config, stored, ops=_ops(engine), name_or_path=files.name)
        model._files = files
        return model

    def load_adapter(self: M, id_or_path: str | Path, **finding: Any) -> M:
        """Merge a LoRA adapter in PEFT's files into this model's weights; the model itself.

        finding: revision, cache_dir, token, local_files_only, subfolder.
        Raises ConfigError for an adapter that is no plain LoRA, WeightsMismatch for one of another model.
        """
        adapter = read_adapter(resolve(id_or_path, **finding))
        self.take_weights(loading.merged(adapter, self.family, self.config, self.head, self.stored))
        return self

    def save_pretrained(self, folder: str | Path, **_: Any) -> None:
        """Write config.json and model.safetensors, as transformers reads them."""
        folder = Path(folder)
        tensors = loading.checkpoint_tensors(self.family, self.config, self.head, self.stored)
        folder.mkdir(parents=True, exist_ok=True)
        self.config.from_dict(self.config.to_dict() | {"architectures": [type(self).__name__]}).save_pretrained(folder)
        save_safetensors(tensors, folder / "model.safetensors")
        if self.can_generate:
            self.generation_config.save_pretrained(folder)

    def with_weights(self: M, stored: Stored, ops: Ops | None = None) -> M:
        """The same model with other tensors, on its engine or another."""
        made = copy.copy(self)
        made.ops = ops or self.ops
        made.take_weights(stored)
        return made

    def take_weights(self, stored: Stored) -> None:
        """Let these tensors be the model's: what training ends with."""
        self.stored = stored
        self.weights = stored.ready(self.ops)
        self._trainable = None

    # -- running -----------------------------------------------------------------------------------------------------

    @property
    def max_length(self) -> int | None:
        """The most tokens that a sequence may have, special tokens included; None where there is no limit."""
        limit: int | None = self.options.max_length
        return limit

    def forward(self, batch: Batch, rows: Ints | None = None) -> npt.NDArray[np.float32]:
        """What the head answers for a ragged batch, as NumPy.

        base: hidden states [tokens, hidden].   masked-lm: logits [tokens, vocab].
        sequence-classification: logits [sequences, labels].   token-classification: [tokens, labels].
        question-answering: [tokens, 2] for start and end.   causal-lm: logits [tokens, vocab].
        An encoder and decoder gives the decoder what it reads, one place later; seq2seq-lm: logits [tokens, vocab].
        rows: int32 [n], increasing: the tokens wanted; the answer then has n rows (not for sequence-classification).
        Raises TooLong, InputError for tokens that are not in the vocabulary.
        """
        with self._inference():
            return self.ops.numpy(self.run(batch, rows))

    def run(self, batch: Batch, rows: Ints | None = None, trace: Trace | None = None, **target: Any) -> Array:
        """`forward` in the engine's own arrays; `trace` collects hidden states and attentions.

        target: of an encoder and decoder, `target=` what the decoder is given, a Batch, and its `target_trace=`.
        """
        return (self._trainable or self.compute)(batch, rows, trace, **target)

    def compute(self, batch: Batch, rows: Ints | None = None, trace: Trace | None = None, **target: Any) -> Array:
        """`run`, without what training puts around it."""
        self.check(batch)
        if target.get("target") is not None:
            self.check(target["target"], of_decoder=True)
        return self.family.forward(
            self.ops, self.weights, self.config, self.options, self.head, batch, rows, trace, **target
        )

    def pool(self, batch: Batch, pooling: str = "mean", normalize: bool = False) -> npt.NDArray[np.float32]:
        """One vector per sequence of the base model's hidden states, [sequences, hidden]; see `Ops.pool`."""
        if pooling not in POOLINGS:
            raise InvalidArgument(
                f"pooling is {pooling!r}; it must be one of {', '.join(POOLINGS)}.{did_you_mean(pooling, POOLINGS)}"
            )
        if self.head != "base":
            raise InvalidArgument(
                f"a model with a head for {self.head} has no vectors to pool; load it with AutoModel."
            )
        with self._inference():
            if pooling == "cls":
                pooled = self.run(batch, batch.first_rows)
            else:
                pooled = self.ops.pool(self.run(batch), batch.offsets, pooling)
            return self.ops.numpy(self.ops.normalize(pooled) if normalize else pooled)

    def pooler_output(self, hidden: Array, batch: Batch) -> Array | None:
        """BERT's pooled output [sequences, hidden], or None where the family or the checkpoint has no pooler."""
        if self.weights.get("pooler") is None:
            return None
        return pooler(self.ops, self.weights, self.ops.take(hidden, batch.first_rows))

    # -- generating --------------------------------------------------------------------------------------------------

    @property
    def can_generate(self) -> bool:
        """Has it a head that makes text?"""
        return self.head in ("causal-lm", "seq2seq-lm")

    @property
    def generation_config(self) -> GenerationConfig:
        """How the checkpoint says to generate: its generation_config.json, else what its config.json says of it."""
        if self._generation_config is None:
            from ..generation.config import GenerationConfig, load_generation_config

            if self._files is None:
                self._generation_config = GenerationConfig.from_model_config(self.config)
            else:
                self._generation_config = load_generation_config(self._files, self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self._generation_config = config

    def generate(self, inputs: Any = None, **options: Any) -> Any:
        """Token ids [batch, tokens] that follow those given; see `panpipe.generation.generate`."""
        from ..generation.edge import generate

        with self._inference():
            return generate(self, inputs, **options)

    # -- as in the course --------------------------------------------------------------------------------------------

    def __call__(
        self, input_ids: Any = None, attention_mask: Any = None, token_type_ids: Any = None, **options: Any
    ) -> ModelOutput:
        """The model on rectangles [batch, tokens], as in the course; see `panpipe.models.edge`."""
        return call_with_rectangles(self, input_ids, attention_mask, token_type_ids, **options)

    def check(self, batch: Batch, of_decoder: bool = False) -> None:
        """Raises TooLong, ShapeError, InputError for a batch that the model (or its decoder) cannot take."""
        options = self.options.decoder if of_decoder else self.options
        if len(batch.token_ids) == 0:
            return
        longest = int(batch.lengths.max())
        if options.max_length is not None and longest > options.max_length:
            raise TooLong(
                f"a sequence has {longest} tokens; {self.name_or_path or 'the model'} takes at most "
                f"{options.max_length}. "
                "Truncate it, split it, or use a model with more positions."
            )
        if int(batch.lengths.min()) == 0:
            raise ShapeError("a sequence of the batch has no tokens; leave it out.")
        for name, ids, size in (
            ("token", batch.token_ids, options.vocab_size),
            ("token type", batch.token_type_ids, options.type_vocab_size),
        ):
            if ids is not None and size and (int(ids.min()) < 0 or int(ids.max()) >= size):
                raise InputError(
                    f"the batch has a {name} id of {int(ids.max()) if int(ids.min()) >= 0 else int(ids.min())}; "
                    f"{self.name_or_path or 'this model'} has {size}. Is it the tokenizer of another model?"
                )

    # -- what users of torch modules call ----------------------------------------------------------------------------

    def trainable(self) -> Trainable:
        """The model's weights as a `torch.nn.Module`, made on the first call: from then on the torch engine runs it.

        Raises MissingDependency where there is no PyTorch.
        """
        if self._trainable is None:
            self._trainable = _by_hand().made_trainable(self)
        return self._trainable

    def loss(
        self, answer: Any, batch: Batch, rows: npt.NDArray[Any], shape: tuple[int, int], labels: dict[str, Any]
    ) -> Any:
        """The loss of an answer for every token of a batch; see `panpipe.training.by_hand`."""
        hand = _by_hand()
        return hand.loss_of(self, answer, hand.labelled(self, batch, rows, shape, labels))

    @property
    def training(self) -> bool:
        """Does it drop what its config says?"""
        return self._trainable is not None and self._trainable.training

    def train(self: M, mode: bool = True) -> M:
        """Ready to be trained, by a loop of one's own: see `trainable`."""
        if mode or self._trainable is not None:
            self.trainable().train(mode)
        return self

    def eval(self: M) -> M:
        """As it answers, nothing dropped."""
        return self.train(False)

    def parameters(self) -> Iterator[Any]:
        """The weights, for an optimizer; see `trainable`."""
        yield from self.trainable().parameters()

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """The weights by our names: 'layers.3.attention.qkv.weight'."""
        yield from self.trainable().weights.named_parameters()

    def state_dict(self) -> dict[str, Any]:
        """The weights by our names, tied ones under each."""
        state: dict[str, Any] = self.trainable().weights.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> Any:
        """Take what `state_dict` gave."""
        return self.trainable().weights.load_state_dict(state)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        self.trainable().zero_grad(set_to_none)

    def to(self: M, device: Any = None, *_: Any, **__: Any) -> M:
        """The model itself, moved to a device of PyTorch's if it is another than the CPU, or is being trained.

        Raises InvalidArgument for a device that is not there, or for a dtype: weights are float32.
        """
        name = "cpu" if device is None or str(device) == "torch.float32" else str(device)
        if device is not None and (name != "cpu" or self._trainable is not None):
            try:
                self.trainable().to(name)
            except (RuntimeError, AssertionError, MissingDependency) as error:
                raise InvalidArgument(f"panpipe computes on the CPU here; .to({device!r}) is not possible.") from error
        return self

    def _inference(self) -> AbstractContextManager[None]:
        return nullcontext() if self._trainable is None else self._trainable.inference()

    def num_parameters(self) -> int:
        """The number of weights; shared ones count once."""
        sizes = {
            self.family.source(self.config, self.head, slot, part): int(np.prod(shape))
            for slot, kind in self.stored.slots.items()
            for part, shape in kind.shapes().items()
        }
        return sum(sizes.values())

    def __reduce__(self) -> tuple[Any, ...]:
        tensors = {slot: dict(self.stored.read(slot)) for slot in self.stored.slots}
        generation = self.generation_config if self.can_generate else None
        return _rebuilt, (type(self).__name__, self.config, tensors, self.ops, self.name_or_path, generation)

    def __repr__(self) -> str:
        where = f" from {self.name_or_path}" if self.name_or_path else ""
        return f"<{type(self).__name__}{where}: {self.num_parameters():,} parameters, {self.ops.name} engine>"


def load_model(id_or_path: str | Path | Files, head: str | None = None, **options: Any) -> Model:
    """The model of a checkpoint with that head, or the one its config names; see `Model.from_pretrained`.

    For use, not for training: a head that the checkpoint lacks is an error, unless new_head=True.
    """
    options = {"new_head": False, **options}
    if head is None:
        finding = {k: options[k] for k in loading.RESOLVE_OPTIONS if k in options}
        id_or_path = loading.find_files(id_or_path, **finding)
        head = loading.head_of(loading.read_config(id_or_path))
    return _BY_HEAD[loading.checked_head(head)].from_pretrained(id_or_path, **options)


# -- the classes -----------------------------------------------------------------------------------------------------


def class_of(cls: type[M], config: Config) -> type[M]:
    """The class for a config among the family's, for a class that stands for any (AutoModel…)."""
    if cls.model_types:
        return cls
    return class_named(loading.family_of(config), config.model_type, cls.head)  # type: ignore[return-value]


def class_named(family: Family, model_type: str, head: str) -> type[Model]:
    """The class of a family's model with that head: `BertForMaskedLM`."""
    if head not in family.heads:
        raise MissingHead(
            f"{model_type} models have no head for {head}; they have: {', '.join(family.heads)}. "
            f"Name a model for {' or '.join(HEADS[head].tasks)}."
        )
    prefix = family.class_prefixes[family.model_types.index(model_type)]
    return CLASSES[prefix + family.class_suffix(head)]


def _family_classes() -> dict[str, type[Model]]:
    made: dict[str, type[Model]] = {}
    for family in dict.fromkeys(FAMILIES.values()):
        for model_type, prefix in zip(family.model_types, family.class_prefixes, strict=True):
            for head in family.heads:
                name = prefix + family.class_suffix(head)
                about = f"{prefix} with the head for {head}." if head != "base" else f"{prefix} without a head."
                namespace = {
                    "head": head,
                    "model_types": (model_type,),
                    "__doc__": about,
                    "__module__": "panpipe.models",
                }
                made[name] = type(name, (Model,), namespace)
    return made


def _auto_classes() -> dict[str, type[Model]]:
    made: dict[str, type[Model]] = {}
    for kind in HEADS.values():
        name = "AutoModel" + kind.auto
        about = f"Makes the class for {kind.name} of whichever family a checkpoint is."
        made[name] = type(name, (Model,), {"head": kind.name, "__doc__": about, "__module__": "panpipe.models"})
    return made


def _ops(engine: str | Ops | None) -> Ops:
    return engine if isinstance(engine, Ops) else get_ops(engine)


def _drawn(family: Family, config: Config, head: str, seed: int) -> Stored:
    slots = family.slots(config, head)
    generator = np.random.default_rng(seed)
    tensors = {name: random_tensors(slot, config.initializer_range, generator) for name, slot in slots.items()}
    return Stored(slots, loading.tied_together(family, config, head, tensors).__getitem__)


def _rebuilt(
    name: str,
    config: Config,
    tensors: dict[str, Any],
    ops: Ops,
    name_or_path: str,
    generation_config: GenerationConfig | None,
) -> Model:
    """A model from its pickle."""
    made = CLASSES[name]
    slots = loading.family_of(config).slots(config, made.head)
    stored = Stored({slot: slots[slot] for slot in tensors}, tensors.__getitem__)
    model = made(config, stored, ops=ops, name_or_path=name_or_path)
    model._generation_config = generation_config
    return model


def _by_hand() -> Any:
    """The one way from a model to training, which imports it: for who calls a model as a module of PyTorch's."""
    from ..training import by_hand

    return by_hand


_ACCEPTED = (
    "torch_dtype",
    "dtype",
    "device_map",
    "low_cpu_mem_usage",
    "use_safetensors",
    "attn_implementation",
    "resume_download",
    "force_download",
)
"""transformers' arguments that change nothing here: we compute in float32, on the CPU."""


def _transformers_arguments(changes: dict[str, Any]) -> dict[str, Any]:
    if changes.pop("trust_remote_code", False):
        raise InvalidArgument("panpipe never runs code from a checkpoint: trust_remote_code=True is not possible.")
    if changes.get("device_map") not in (None, "auto", "cpu"):
        raise InvalidArgument(f"panpipe computes on the CPU; device_map={changes['device_map']!r} is not possible.")
    if "output_attentions" in changes or "output_hidden_states" in changes:
        raise UnknownArgument("give output_attentions= and output_hidden_states= when calling the model.")
    return {key: value for key, value in changes.items() if key not in _ACCEPTED}


CLASSES = _family_classes()
AUTO_CLASSES = _auto_classes()
_BY_HEAD = {model.head: model for model in AUTO_CLASSES.values()}
