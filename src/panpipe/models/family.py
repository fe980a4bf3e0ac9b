"""What a family of models is: a config, an architecture, heads and tensor names, declared in one small file each.

Three architectures stand here: `EncoderFamily`, `DecoderFamily` and `EncoderDecoderFamily`. What they share is how a
head and its weights are named.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..batch import Batch
from ..blocks import heads as blocks
from ..blocks.attending import Attending, Fresh, Source, Trace
from ..blocks.stack import StackOptions, run_stack, stack_slots
from ..errors import ConfigError, InputError
from ..ops.base import Array, Ints, Ops
from ..weights.name_map import Rows, Tied, locate, names_of
from ..weights.name_map import Source as Place
from ..weights.slots import Slot, Tree
from .config import Config

__all__ = [
    "HEADS",
    "DecoderFamily",
    "EncoderDecoderFamily",
    "EncoderDecoderOptions",
    "EncoderFamily",
    "Family",
    "Head",
    "HeadKind",
]


@dataclass(frozen=True)
class HeadKind:
    """A head by our name, the ends that its class names have, and the pipelines it serves.

    auto: what follows 'AutoModel' in the name of the class that finds the family.
    """

    name: str
    auto: str
    class_suffixes: tuple[str, ...]
    tasks: tuple[str, ...]


HEADS = {
    kind.name: kind
    for kind in (
        HeadKind("base", "", ("Model",), ("feature-extraction",)),
        HeadKind("masked-lm", "ForMaskedLM", ("ForMaskedLM",), ("fill-mask",)),
        HeadKind(
            "sequence-classification",
            "ForSequenceClassification",
            ("ForSequenceClassification",),
            ("text-classification", "zero-shot-classification"),
        ),
        HeadKind(
            "token-classification", "ForTokenClassification", ("ForTokenClassification",), ("token-classification",)
        ),
        HeadKind("question-answering", "ForQuestionAnswering", ("ForQuestionAnswering",), ("question-answering",)),
        HeadKind("causal-lm", "ForCausalLM", ("ForCausalLM", "LMHeadModel"), ("text-generation",)),
        HeadKind(
            "seq2seq-lm",
            "ForSeq2SeqLM",
            ("ForConditionalGeneration", "MTModel"),
            ("summarization", "translation", "text2text-generation"),
        ),
    )
}


@dataclass(frozen=True)
class Head:
    """How a family has a head.

    rows: its tensors' names.   activation: its dense layer's (a name, or a function of the config).
    prefix: before the body's names, where it is not the family's.   class_suffix: the end of the class's name, where it
    is not the kind's first.   bias: the output's, for heads that families have with and without.
    dropout: of what the output is given: keys of the config, the first that is set, or a number.   drops_input: of what
    the dense layer is given too.
    """

    rows: Rows = field(default_factory=dict)
    activation: str | Callable[[Any], str] = "tanh"
    prefix: str | None = None
    class_suffix: str | None = None
    bias: bool = True
    dropout: tuple[str | float, ...] = ()
    drops_input: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Family(ABC):
    """What all families have.

    model_types: config.json's names for it; the first is its own.   class_prefixes: 'Bert' of 'BertModel', per type.
    options: the architecture's options from a config.   prefix: before the body's names when a head stands on it.
    rows: the body's names.   heads: by the names in HEADS; 'base' has the pooler, if there is one.
    junk: names (fnmatch) that checkpoints carry and nobody reads.   unwritten: names that are read but not written.
    dropout: a place in `ops.base.PLACES` -> the config's key that says how large a share is dropped there.
    padding_learns: the padding's embedding is trained where it is looked up.
    """

    model_types: tuple[str, ...]
    class_prefixes: tuple[str, ...]
    configs: tuple[type[Config], ...]
    options: Callable[[Any], Any]
    prefix: str
    rows: Rows
    heads: Mapping[str, Head]
    junk: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()
    dropout: Mapping[str, str] = field(default_factory=dict)
    padding_learns: bool = False

    is_encoder_decoder = False

    # -- what it is made of ------------------------------------------------------------------------------------------

    @abstractmethod
    def slots(self, config: Config, head: str) -> dict[str, Slot]:
        """The weights of the model with that head."""

    def optional(self, head: str) -> frozenset[str]:
        """Slots that a checkpoint may lack: nothing but `pooler_output` needs the base model's pooler."""
        return frozenset({"pooler"}) if head == "base" else frozenset()

    def source(self, config: Config, head: str, slot: str, part: str) -> tuple[Place, str]:
        """Where a checkpoint keeps a tensor, and the prefix it has there when a head stands on the body."""
        kind = self.heads[head]
        prefix = self.prefix if kind.prefix is None else kind.prefix
        if slot.startswith("head."):
            source = locate(kind.rows, slot, part)
            if isinstance(source, Tied):
                if not config.tie_word_embeddings:
                    return source.untied, ""
                tied_slot, _, tied_part = source.ours.rpartition(".")
                return self.source(config, head, tied_slot, tied_part)
            return source, ""
        return locate(kind.rows if slot == "pooler" else self.rows_of(config), slot, part), prefix

    def rows_of(self, config: Config) -> Rows:
        """The body's names for a config."""
        return self.rows

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

    def class_suffix(self, head: str) -> str:
        """The end of the class's name: 'ForMaskedLM'."""
        return self.heads[head].class_suffix or HEADS[head].class_suffixes[0]

    def dropouts(self, config: Config, head: str) -> dict[str, float]:
        """What share training drops, by place: where transformers drops, and as much.   Raises ConfigError."""
        rates = {place: getattr(config, key) for place, key in self.dropout.items()}
        kind = self.heads[head]
        said = (key if isinstance(key, float) else getattr(config, key) for key in kind.dropout)
        rates["head"] = next((rate for rate in said if rate is not None), 0.0)
        rates["head_input"] = rates["head"] if kind.drops_input else 0.0
        for place, rate in rates.items():
            if not 0 <= rate <= 1:
                raise ConfigError(f"the config drops {rate} of the {place}; it must be a share from 0 to 1.")
        return {place: rate for place, rate in rates.items() if rate}

    # -- what it does ------------------------------------------------------------------------------------------------

    @abstractmethod
    def forward(
        self,
        ops: Ops,
        w: Tree,
        config: Config,
        options: Any,
        head: str,
        batch: Batch,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The head's answer; see `Model.forward`."""

    def activation(self, config: Config, head: str) -> str:
        """The activation of a head's dense layer."""
        activation = self.heads[head].activation
        return activation if isinstance(activation, str) else activation(config)


@dataclass(frozen=True, eq=False, kw_only=True)
class EncoderFamily(Family):
    """Families of encoders."""

    options: Callable[[Any], StackOptions]

    def slots(self, config: Config, head: str) -> dict[str, Slot]:
        """The weights of the model with that head."""
        options = self.options(config)
        hidden, width = options.hidden_size, options.embedding.width or options.hidden_size
        of_head: dict[str, Callable[[], dict[str, Slot]]] = {
            "base": lambda: blocks.pooler_slots(hidden) if self.heads["base"].rows else {},
            "masked-lm": lambda: blocks.masked_lm_slots(hidden, width, options.vocab_size),
            "sequence-classification": lambda: blocks.classifier_slots(hidden, config.num_labels),
            "token-classification": lambda: blocks.output_slots(hidden, config.num_labels),
            "question-answering": lambda: blocks.output_slots(hidden, 2),
        }
        return stack_slots(options) | of_head[head]()

    def forward(
        self,
        ops: Ops,
        w: Tree,
        config: Config,
        options: StackOptions,
        head: str,
        batch: Batch,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The head's answer; see `Model.forward`."""
        if head == "sequence-classification":
            first = run_stack(ops, w, options, batch, rows=batch.first_rows, trace=trace)
            return blocks.classifier(ops, w, first, self.activation(config, head))
        hidden = run_stack(ops, w, options, batch, rows=rows, trace=trace)
        if head == "masked-lm":
            return blocks.masked_lm(ops, w, hidden, self.activation(config, head), options.norm_epsilon)
        return hidden if head == "base" else blocks.output(ops, w, hidden)


@dataclass(frozen=True, eq=False, kw_only=True)
class DecoderFamily(Family):
    """Families of decoders: each token sees those before it."""

    options: Callable[[Any], StackOptions]

    def slots(self, config: Config, head: str) -> dict[str, Slot]:
        """The weights of the model with that head."""
        options = self.options(config)
        slots = stack_slots(options)
        if head == "causal-lm":
            return slots | blocks.language_model_slots(options.hidden_size, options.vocab_size, bias=False)
        if head == "base":
            return slots
        outputs = 2 if head == "question-answering" else config.num_labels
        return slots | blocks.output_slots(options.hidden_size, outputs, self.heads[head].bias)

    def forward(
        self,
        ops: Ops,
        w: Tree,
        config: Config,
        options: StackOptions,
        head: str,
        batch: Batch,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The head's answer; see `Model.forward`."""
        if head == "sequence-classification":
            rows = last_rows(batch, lambda ids: ids != config.pad_token_id)
        hidden = run_stack(ops, w, options, batch, rows=rows, trace=trace)
        if head == "base":
            return hidden
        return blocks.language_model(ops, w, hidden) if head == "causal-lm" else blocks.output(ops, w, hidden)

    def decode(
        self,
        ops: Ops,
        w: Tree,
        options: StackOptions,
        batch: Batch,
        attending: Attending,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The logits [n, vocab] of the tokens in `rows` (default all), with what came before them in `attending`."""
        return blocks.language_model(ops, w, run_stack(ops, w, options, batch, attending, rows, trace))


@dataclass(frozen=True)
class EncoderDecoderOptions:
    """The two stacks.   hidden_scale: what the decoder's states are multiplied by before the language model."""

    encoder: StackOptions
    decoder: StackOptions
    hidden_scale: float = 1.0

    @property
    def vocab_size(self) -> int:
        return self.encoder.vocab_size

    @property
    def type_vocab_size(self) -> int:
        return 0

    @property
    def max_length(self) -> int | None:
        """The most tokens of a source; None: no limit."""
        return self.encoder.max_length


@dataclass(frozen=True, eq=False, kw_only=True)
class EncoderDecoderFamily(Family):
    """Families of an encoder and a decoder that looks at what it made.

    shift: the decoder's tokens for a batch where none are given, from a config and the batch.
    needs_target: the body alone does not shift: the caller must say what the decoder is given (T5).
    has_logits_bias: the language model has a bias.
    """

    options: Callable[[Any], EncoderDecoderOptions]
    shift: Callable[[Any, Batch], Batch]
    needs_target: bool = False
    has_logits_bias: bool = False

    is_encoder_decoder = True

    def slots(self, config: Config, head: str) -> dict[str, Slot]:
        """The weights of the model with that head."""
        options = self.options(config)
        hidden, vocab = options.decoder.hidden_size, options.decoder.vocab_size
        of_head: dict[str, Callable[[], dict[str, Slot]]] = {
            "base": dict,
            "seq2seq-lm": lambda: blocks.language_model_slots(hidden, vocab, bias=self.has_logits_bias),
            "sequence-classification": lambda: blocks.classifier_slots(hidden, config.num_labels),
            "token-classification": lambda: blocks.output_slots(hidden, config.num_labels),
            "question-answering": lambda: blocks.output_slots(hidden, 2),
        }
        slots = {f"encoder.{name}": slot for name, slot in stack_slots(options.encoder).items()}
        if head != "token-classification":
            slots |= {f"decoder.{name}": slot for name, slot in stack_slots(options.decoder).items()}
        return slots | of_head[head]()

    def forward(
        self,
        ops: Ops,
        w: Tree,
        config: Config,
        options: EncoderDecoderOptions,
        head: str,
        batch: Batch,
        rows: Ints | None = None,
        trace: Trace | None = None,
        target: Batch | None = None,
        target_trace: Trace | None = None,
    ) -> Array:
        """The head's answer for sources and what the decoder is given of each (`target`; default: see `shift`)."""
        if head == "token-classification":
            return blocks.output(ops, w, run_stack(ops, w.encoder, options.encoder, batch, rows=rows, trace=trace))
        source = Source(self.encode(ops, w, options, batch, trace), batch.offsets)
        if head == "sequence-classification":
            ends = () if config.eos_token_id is None else config.eos_token_id
            rows = last_rows(batch, lambda ids: np.isin(ids, ends), "have an eos token")
        target = target or self.shift(config, batch)
        attending = Fresh(target, source, target_trace)
        hidden = run_stack(ops, w.decoder, options.decoder, target, attending, rows, target_trace)
        if head == "base":
            return hidden
        if head == "seq2seq-lm":
            return self._logits(ops, w, options, hidden)
        if head == "sequence-classification":
            return blocks.classifier(ops, w, hidden, self.activation(config, head))
        return blocks.output(ops, w, hidden)

    def encode(
        self, ops: Ops, w: Tree, options: EncoderDecoderOptions, batch: Batch, trace: Trace | None = None
    ) -> Array:
        """The encoder's hidden states [tokens, hidden]."""
        return run_stack(ops, w.encoder, options.encoder, batch, trace=trace)

    def decode(
        self,
        ops: Ops,
        w: Tree,
        options: EncoderDecoderOptions,
        batch: Batch,
        attending: Attending,
        rows: Ints | None = None,
        trace: Trace | None = None,
    ) -> Array:
        """The same of an encoder-decoder; the sources are in `attending` too."""
        hidden = run_stack(ops, w.decoder, options.decoder, batch, attending, rows, trace)
        return self._logits(ops, w, options, hidden)

    def _logits(self, ops: Ops, w: Tree, options: EncoderDecoderOptions, hidden: Array) -> Array:
        scaled = hidden if options.hidden_scale == 1.0 else hidden * options.hidden_scale
        return blocks.language_model(ops, w, scaled)


def last_rows(batch: Batch, counts: Callable[[Ints], Any], otherwise: str = "") -> Ints:
    """int32 [sequences]: the row of each sequence's last token that counts.

    Where none does: the sequence's last, or InputError if `otherwise` says what each must do.
    """
    places = np.where(counts(batch.token_ids), np.arange(len(batch.token_ids)), -1)
    last = np.maximum.reduceat(places, batch.first_rows) if len(batch) else np.zeros(0, int)
    blind = last < batch.first_rows
    if otherwise and blind.any():
        raise InputError(f"sequence {int(np.flatnonzero(blind)[0])} of the batch does not {otherwise}.")
    return np.where(blind, batch.offsets[1:] - 1, last).astype(np.int32)
