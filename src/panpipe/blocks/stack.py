"""A stack: embeddings and layers. Encoders and decoders are both made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..batch import Batch
from ..errors import ConfigError
from ..ops.base import Array, Ints, Ops
from ..weights.slots import NormSlot, Slot, TableSlot, Tree
from .attending import Attending, Fresh, Trace
from .embeddings import EmbeddingOptions, embed, embedding_slots
from .layers import LayerOptions, layer_slots, run_layer
from .norms import normed
from .relative_positions import bucket_of_distance
from .rotary import RotaryOptions, Rotation

__all__ = ["Relative", "StackOptions", "run_stack", "stack_slots"]


@dataclass(frozen=True)
class Relative:
    """A bias by distance, shared by all layers; see `relative_positions`."""

    num_heads: int
    num_buckets: int
    max_distance: int = 128
    is_bidirectional: bool = True

    def __post_init__(self) -> None:
        # Half of the buckets look one way, half of these are for one distance each, the rest share what is further.
        exact = self.num_buckets // (4 if self.is_bidirectional else 2)
        if exact < 1 or self.max_distance <= exact:
            raise ConfigError(
                f"relative positions with {self.num_buckets} buckets up to a distance of {self.max_distance} are not "
                "possible: there must be at least 4 buckets, and a distance beyond them."
            )


@dataclass(frozen=True)
class StackOptions:
    """What tells one stack from another.

    weights_of: the weights that each layer uses, by number, where layers share them (ALBERT); default 0, 1, 2 …
    has_final_norm: the last layer's output is normed.   max_length: the most tokens of a sequence; None: no limit.
    """

    embedding: EmbeddingOptions
    layers: tuple[LayerOptions, ...]
    weights_of: tuple[int, ...] | None = None
    has_final_norm: bool = False
    relative: Relative | None = None
    rotary: RotaryOptions | None = None

    def with_embedding(self, **changes: Any) -> StackOptions:
        """The same, with other `EmbeddingOptions`."""
        return replace(self, embedding=replace(self.embedding, **changes))

    @property
    def hidden_size(self) -> int:
        return self.embedding.hidden_size

    @property
    def vocab_size(self) -> int:
        return self.embedding.vocab_size

    @property
    def type_vocab_size(self) -> int:
        return self.embedding.type_vocab_size

    @property
    def max_length(self) -> int | None:
        """The most tokens a sequence may have; None: no limit."""
        if self.rotary is not None:
            return self.rotary.rows
        return self.embedding.position_rows - self.embedding.first_position or None

    @property
    def norm_epsilon(self) -> float:
        """The epsilon of the norms after the layers."""
        return self.layers[-1].norm_epsilon if self.layers else 1e-5


def stack_slots(options: StackOptions) -> dict[str, Slot]:
    """The weights of a stack."""
    slots = embedding_slots(options.embedding)
    if options.relative is not None:
        slots["relative_bias"] = TableSlot(options.relative.num_buckets, options.relative.num_heads)
    for number, layer in zip(options.weights_of or range(len(options.layers)), options.layers, strict=True):
        slots |= {f"layers.{number}.{name}": slot for name, slot in layer_slots(layer).items()}
    if options.has_final_norm:
        slots["norm"] = NormSlot(options.hidden_size, bias=not _is_rms(options))
    return slots


def run_stack(
    ops: Ops,
    w: Tree,
    options: StackOptions,
    batch: Batch,
    attending: Attending | None = None,
    rows: Ints | None = None,
    trace: Trace | None = None,
) -> Array:
    """The hidden states after the last layer.

    w: the tree of `stack_slots`.   attending: where keys and values are; default the batch itself.
    rows: int32 [n], increasing: the tokens whose states are wanted; the last layer then computes attention and
    feed-forward for these alone (all of them where a trace is asked for).
    Returns [tokens, hidden], or [n, hidden] with rows.
    """
    attending = attending or Fresh(batch, trace=trace)
    x = embed(ops, w.embeddings, options.embedding, batch)
    bias = _relative_bias(ops, w, options)
    rotation = None if options.rotary is None else Rotation(ops, options.rotary, batch.places)
    early, late = (rows, None) if trace is None and options.layers else (None, rows)
    weights_of = options.weights_of or range(len(options.layers))
    for number, (layer, place) in enumerate(zip(options.layers, weights_of, strict=True)):
        if trace is not None:
            trace.hidden_states.append(x)
        wanted = early if number + 1 == len(options.layers) else None
        x = ops.within(w.layers[place], run_layer, layer, number, x, attending, rotation, bias, wanted)
    if options.has_final_norm:
        x = normed(ops, x, w.norm, options.norm_epsilon, _is_rms(options))
    x = ops.drop(x, "states")
    if trace is not None:
        trace.hidden_states.append(x)
    return x if late is None else ops.take(x, late)


def _is_rms(options: StackOptions) -> bool:
    return bool(options.layers) and options.layers[-1].is_rms


def _relative_bias(ops: Ops, w: Tree, options: StackOptions) -> Any:
    if options.relative is None:
        return None
    relative = options.relative
    buckets = bucket_of_distance(relative.num_buckets, relative.max_distance, relative.is_bidirectional)
    return ops.embed([w.relative_bias], [buckets]).T  # [heads, 2 * max_distance + 1]
