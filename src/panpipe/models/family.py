"""What a family of models is: a config, an architecture, heads and tensor names, declared in one small file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..batch import Batch
from ..blocks import heads as blocks
from ..blocks.encoder import EncoderOptions, Trace, encode, encoder_slots
from ..ops.base import Array, Ints, Ops
from ..weights.name_map import Rows, Source, Tied, locate, names_of
from ..weights.slots import Slot, Tree
from .config import Config

__all__ = ["HEADS", "EncoderFamily", "Head", "HeadKind"]


@dataclass(frozen=True)
class HeadKind:
    """A head by our name, the end of its class name, and the pipelines it serves."""

    name: str
    class_suffix: str
    tasks: tuple[str, ...]


HEADS = {
    kind.name: kind
    for kind in (
        HeadKind("base", "Model", ("feature-extraction",)),
        HeadKind("masked-lm", "ForMaskedLM", ("fill-mask",)),
        HeadKind(
            "sequence-classification", "ForSequenceClassification", ("text-classification", "zero-shot-classification")
        ),
        HeadKind("token-classification", "ForTokenClassification", ("token-classification",)),
        HeadKind("question-answering", "ForQuestionAnswering", ("question-answering",)),
    )
}


@dataclass(frozen=True)
class Head:
    """How a family has a head: its rows, and its dense layer's activation (a name, or a function of the config)."""

    rows: Rows = field(default_factory=dict)
    activation: str | Callable[[Any], str] = "tanh"


@dataclass(frozen=True, eq=False)
class EncoderFamily:
    """An encoder family.

    model_types: config.json's names for it; the first is its own.   class_prefix: 'Bert' of 'BertModel', per type.
    options: the encoder's options from a config.   prefix: before the body's names when a head stands on it.
    rows: the body's names.   heads: by the names in HEADS; 'base' has the pooler, if there is one.
    junk: names (fnmatch) that checkpoints carry and nobody reads.
    """

    model_types: tuple[str, ...]
    class_prefixes: tuple[str, ...]
    configs: tuple[type[Config], ...]
    options: Callable[[Any], EncoderOptions]
    prefix: str
    rows: Rows
    heads: Mapping[str, Head]
    junk: tuple[str, ...] = ()

    # -- what it is made of ------------------------------------------------------------------------------------------

    def slots(self, config: Config, head: str) -> dict[str, Slot]:
        """The weights of the model with that head."""
        options = self.options(config)
        hidden = options.hidden_size
        of_head: dict[str, Callable[[], dict[str, Slot]]] = {
            "base": lambda: blocks.pooler_slots(hidden) if self.heads["base"].rows else {},
            "masked-lm": lambda: blocks.language_model_slots(
                hidden, options.embedding_size or hidden, options.vocab_size
            ),
            "sequence-classification": lambda: blocks.classifier_slots(hidden, config.num_labels),
            "token-classification": lambda: blocks.per_token_slots(hidden, config.num_labels),
            "question-answering": lambda: blocks.per_token_slots(hidden, 2),
        }
        return encoder_slots(options) | of_head[head]()

    def optional(self, head: str) -> frozenset[str]:
        """Slots that a checkpoint may lack: nothing but `pooler_output` needs the base model's pooler."""
        return frozenset({"pooler"}) if head == "base" else frozenset()

    def source(self, config: Config, head: str, slot: str, part: str) -> tuple[Source, str]:
        """Where a checkpoint keeps a tensor, and the prefix it has there when a head stands on the body."""
        of_head = self.heads[head].rows
        if slot.startswith("head."):
            source = locate(of_head, slot, part)
            if isinstance(source, Tied):
                if not config.tie_word_embeddings:
                    return source.untied, ""
                tied_slot, _, tied_part = source.ours.rpartition(".")
                return self.source(config, head, tied_slot, tied_part)
            return source, ""
        return locate(of_head if slot == "pooler" else self.rows, slot, part), self.prefix

    def known_names(self, config: Config) -> set[str]:
        """Every name that a checkpoint of this family may use, whatever its head: those may be left unread."""
        known: set[str] = set()
        for head, kind in self.heads.items():
            for slot, kept in self.slots(config, head).items():
                for part in kept.shapes():
                    source, prefix = self.source(config, head, slot, part)
                    known.update(name for own in names_of(source) for name in (own, prefix + own))
            known.update(row.untied for row in kind.rows.values() if isinstance(row, Tied))
        return known

    # -- what it does ------------------------------------------------------------------------------------------------

    def forward(
        self,
        ops: Ops,
        w: Tree,
        config: Config,
        options: EncoderOptions,
        head: str,
        batch: Batch,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The head's answer; see `Model.forward`."""
        if head == "sequence-classification":
            first = encode(ops, w, options, batch, batch.first_rows, trace)
            return blocks.classifier(ops, w, first, self.activation(config, head))
        hidden = encode(ops, w, options, batch, rows, trace)
        if head == "masked-lm":
            return blocks.language_model(ops, w, hidden, self.activation(config, head), options.norm_epsilon)
        return hidden if head == "base" else blocks.per_token(ops, w, hidden)

    def activation(self, config: Config, head: str) -> str:
        """The activation of a head's dense layer."""
        activation = self.heads[head].activation
        return activation if isinstance(activation, str) else activation(config)
