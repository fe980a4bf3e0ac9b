"""The public edge: models called with rectangles, as the course does.

`input_ids` and `attention_mask` [batch, tokens] become a ragged batch, and what comes back is laid into rectangles
again, with zeros where the mask is 0. Arrays come back in the kind that came in: torch tensors for torch tensors (with
gradients, where the model's weights have them), NumPy for the rest. Labels give a loss too. Positions are those of the
rectangle, as in transformers: left padding moves them where it does there.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..blocks.attending import Trace
from ..blocks.embeddings import token_positions
from ..blocks.stack import StackOptions
from ..errors import InputError, ShapeError, UnknownArgument, did_you_mean
from .family import EncoderDecoderFamily

if TYPE_CHECKING:
    from .model import Model

__all__ = [
    "BaseModelOutput",
    "CausalLMOutput",
    "MaskedLMOutput",
    "ModelOutput",
    "QuestionAnsweringModelOutput",
    "Seq2SeqLMOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "call_with_rectangles",
    "in_kind_of",
    "rectangle",
]


@dataclass
class ModelOutput:
    """Named arrays, also by key and by place: `outputs.logits`, `outputs["logits"]`, `outputs[0]`; None is left out."""

    def keys(self) -> list[str]:
        """The names of what is there."""
        return [f.name for f in dataclasses.fields(self) if getattr(self, f.name) is not None]

    def values(self) -> list[Any]:
        """What is there."""
        return [getattr(self, name) for name in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        """Names and values."""
        return list(zip(self.keys(), self.values(), strict=True))

    def get(self, key: str, default: Any = None) -> Any:
        """What has that name, or the default."""
        return getattr(self, key) if key in self else default

    def to_tuple(self) -> tuple[Any, ...]:
        """The values, as `return_dict=False` gives them."""
        return tuple(self.values())

    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            if key not in self.keys():
                raise KeyError(key)
            return getattr(self, key)
        return self.to_tuple()[key]

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())


@dataclass
class _Shown(ModelOutput):
    """hidden_states: [batch, tokens, hidden] for the embeddings and each layer.   attentions: [batch, heads, queries,
    keys] for each layer. Those of encoder and decoder apart where there are both.
    """

    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None
    decoder_hidden_states: tuple[Any, ...] | None = None
    decoder_attentions: tuple[Any, ...] | None = None
    cross_attentions: tuple[Any, ...] | None = None
    encoder_last_hidden_state: Any = None
    encoder_hidden_states: tuple[Any, ...] | None = None
    encoder_attentions: tuple[Any, ...] | None = None

    def keys(self) -> list[str]:
        """The names of what is there, the answer itself first."""
        shown = {f.name for f in dataclasses.fields(_Shown)}
        return sorted(super().keys(), key=lambda name: name in shown)


@dataclass
class BaseModelOutput(_Shown):
    """last_hidden_state: [batch, tokens, hidden].   pooler_output: [batch, hidden] or None."""

    last_hidden_state: Any = None
    pooler_output: Any = None


@dataclass
class LogitsOutput(_Shown):
    """loss: where labels were given.   logits: [batch, tokens, vocab or labels], or [batch, labels]."""

    loss: Any = None
    logits: Any = None


class MaskedLMOutput(LogitsOutput):
    """logits: [batch, tokens, vocab]."""


class CausalLMOutput(LogitsOutput):
    """logits: [batch, tokens, vocab]."""


class Seq2SeqLMOutput(LogitsOutput):
    """logits: [batch, decoder's tokens, vocab]."""


class SequenceClassifierOutput(LogitsOutput):
    """logits: [batch, labels]."""


class TokenClassifierOutput(LogitsOutput):
    """logits: [batch, tokens, labels]."""


@dataclass
class QuestionAnsweringModelOutput(_Shown):
    """loss: where answers were given.   start_logits, end_logits: [batch, tokens]."""

    loss: Any = None
    start_logits: Any = None
    end_logits: Any = None


_OUTPUTS: dict[str, type[ModelOutput]] = {
    "base": BaseModelOutput,
    "masked-lm": MaskedLMOutput,
    "sequence-classification": SequenceClassifierOutput,
    "token-classification": TokenClassifierOutput,
    "question-answering": QuestionAnsweringModelOutput,
    "causal-lm": CausalLMOutput,
    "seq2seq-lm": Seq2SeqLMOutput,
}

LARGEST = 2**31 - 1

_LABELS: dict[str, tuple[str, ...]] = {"base": (), "question-answering": ("start_positions", "end_positions")}
_OPTIONS = ("position_ids", "output_hidden_states", "output_attentions", "return_dict", "use_cache")
_OF_DECODER = ("decoder_input_ids", "decoder_attention_mask")


def call_with_rectangles(
    model: Model, input_ids: Any = None, attention_mask: Any = None, token_type_ids: Any = None, **options: Any
) -> ModelOutput:
    """The model's output for rectangles of ids (numpy arrays, nested lists or torch tensors), each [batch, tokens].

    options: position_ids; output_hidden_states, output_attentions (bool); return_dict=False gives a tuple; use_cache
    changes nothing (`generate` keeps keys and values). Of an encoder and decoder also decoder_input_ids and
    decoder_attention_mask.
    labels, or of question answering start_positions and end_positions: what transformers takes, IGNORED (-100) and
    padding left out; the output then has their mean `loss`. Labels that are torch tensors move the model to the torch
    engine (see `Model.trainable`), and the loss has gradients; NumPy's leave it where it is, and give a number.
    Raises ShapeError, InputError, TooLong, UnknownArgument, MissingDependency (a loss needs PyTorch).
    """
    of_labels = _LABELS.get(model.head, ("labels",))
    known = (*_OPTIONS, *of_labels, *(_OF_DECODER if model.family.is_encoder_decoder else ()))
    for name in options:
        if name not in known:
            raise UnknownArgument(f"a model for {model.head} takes no {name!r}.{did_you_mean(name, known)}")
    labels = {name: options[name] for name in of_labels if options.get(name) is not None}
    if labels and len(labels) < len(of_labels):
        raise InputError(f"give {' and '.join(of_labels)}, or neither; there is only {next(iter(labels))}.")
    if any(hasattr(value, "detach") for value in labels.values()):
        model.trainable()
    if input_ids is None:
        raise InputError("give input_ids: token ids in a rectangle [batch, tokens].")
    stack = model.options.encoder if model.family.is_encoder_decoder else model.options
    source = _laid(stack, "", input_ids, attention_mask, token_type_ids, options.get("position_ids"))
    outward = _Outward(model, input_ids)
    asks = options.get("output_hidden_states"), options.get("output_attentions")
    if model.family.is_encoder_decoder and model.head != "token-classification":
        named = _both(model, source, options, asks, outward, labels)
    else:
        trace = _trace(*asks)
        answer = model.run(source.batch, trace=trace)
        named = _loss(model, answer, source, labels) | _named(model, answer, source, outward)
        named |= outward.shown("", trace, asks, source)
    output = _OUTPUTS[model.head](**named)
    return output if options.get("return_dict", True) else output.to_tuple()  # type: ignore[return-value]


def _both(
    model: Model,
    source: _Laid,
    options: dict[str, Any],
    asks: tuple[Any, Any],
    outward: _Outward,
    labels: dict[str, Any],
) -> Any:
    """The named outputs of an encoder and decoder."""
    family = model.family
    assert isinstance(family, EncoderDecoderFamily)
    given = options.get("decoder_input_ids")
    if given is not None:
        mask = options.get("decoder_attention_mask")
        target = _laid(model.options.decoder, "decoder_", given, mask)
    elif model.head == "seq2seq-lm" and labels:
        target = _shifted(model, labels["labels"])
    elif model.head == "seq2seq-lm" or (model.head == "base" and family.needs_target):
        raise InputError("give decoder_input_ids: what the decoder has so far, [batch, tokens]; or call generate().")
    else:
        target = _Laid(family.shift(model.config, source.batch), source.rows, source.tokens)
    if len(target.batch) != len(source.batch):
        raise ShapeError(f"decoder_input_ids has {len(target.batch)} rows, input_ids {len(source.batch)}.")
    # The encoder's last state is always shown, as transformers does.
    encoder, decoder = _trace(True, asks[1]), _trace(*asks)
    answer = model.run(source.batch, trace=encoder, target=target.batch, target_trace=decoder)
    assert encoder is not None
    named = _loss(model, answer, target, labels) | _named(model, answer, target, outward)
    named["encoder_last_hidden_state"] = outward.spread(encoder.hidden_states[-1], source)
    named |= outward.shown("encoder_", encoder, asks, source) | outward.shown("decoder_", decoder, asks, target)
    if asks[1] and decoder is not None:
        named["cross_attentions"] = outward.attentions(decoder.cross_attentions, target, source)
    return named


def _loss(model: Model, answer: Any, laid: _Laid, labels: dict[str, Any]) -> dict[str, Any]:
    if not labels:
        return {}
    return {"loss": model.loss(answer, laid.batch, laid.rows, (len(laid.batch), laid.tokens), labels)}


def _shifted(model: Model, labels: Any) -> _Laid:
    """What the decoder is given where only labels are: the start, then each label but the last."""
    values = rectangle("labels", labels)
    padding = model.config.pad_token_id or 0
    lengths = np.maximum(1, values.shape[1] - np.argmax(values[:, ::-1] >= 0, 1)).astype(np.int32)
    lengths[(values < 0).all(1)] = 1
    rows = np.flatnonzero(np.arange(values.shape[1]) < lengths[:, None])
    ids = np.where(values < 0, padding, values).reshape(-1)[rows].astype(np.int32)
    return _Laid(model.family.shift(model.config, Batch(ids, lengths)), rows, values.shape[1])  # type: ignore[attr-defined]


def _trace(hidden_states: Any, attentions: Any) -> Trace | None:
    return Trace(with_attentions=bool(attentions)) if hidden_states or attentions else None


def _named(model: Model, answer: Any, laid: _Laid, outward: _Outward) -> dict[str, Any]:
    if model.head == "base":
        pooled = model.pooler_output(answer, laid.batch)
        return {
            "last_hidden_state": outward.spread(answer, laid),
            "pooler_output": None if pooled is None else outward.array(pooled),
        }
    if model.head == "question-answering":
        return {
            "start_logits": outward.spread(answer[:, :1], laid)[..., 0],
            "end_logits": outward.spread(answer[:, 1:], laid)[..., 0],
        }
    return {
        "logits": outward.array(answer) if model.head == "sequence-classification" else outward.spread(answer, laid)
    }


@dataclass(frozen=True)
class _Laid:
    """A rectangle as a ragged batch.   rows: the kept tokens' places in it, flattened.   tokens: its width."""

    batch: Batch
    rows: npt.NDArray[np.int64]
    tokens: int

    @property
    def columns(self) -> list[npt.NDArray[np.int64]]:
        """The kept tokens' columns, per row."""
        return np.split(self.rows % self.tokens, self.batch.offsets[1:-1])


def _laid(stack: StackOptions, name: str, ids: Any, mask: Any, types: Any = None, positions: Any = None) -> _Laid:
    whole = rectangle(f"{name}input_ids", ids)
    given = {f"{name}attention_mask": mask, "token_type_ids": types, "position_ids": positions}
    checked = (None if v is None else rectangle(n, v, whole.shape) for n, v in given.items())
    batch, rows = _ragged(stack, whole, *checked)
    return _Laid(batch, rows, whole.shape[1])


def in_kind_of(given: Any) -> Callable[[npt.NDArray[Any]], Any]:
    """From NumPy to the kind of array that was given. Only someone who has torch can have given a tensor."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        return lambda array: torch.from_numpy(np.ascontiguousarray(array))
    return lambda array: array


class _Outward:
    """From the engine's arrays to the kind that came in."""

    def __init__(self, model: Model, given: Any) -> None:
        self.model = model
        self._of = in_kind_of(given)
        self._is_torch = model.ops.name == "torch" and hasattr(given, "detach")

    def array(self, values: Any) -> Any:
        """An array of the engine's."""
        return values if self._is_torch else self._of(self.model.ops.numpy(values))

    def spread(self, values: Any, laid: _Laid) -> Any:
        """[tokens kept, width] -> [batch, tokens, width], zeros where the mask is 0."""
        if self._is_torch:
            out = values.new_zeros(len(laid.batch) * laid.tokens, values.shape[1])
            rows = self.model.ops.array(laid.rows)
            return out.index_copy(0, rows, values).view(len(laid.batch), laid.tokens, -1)
        values = self.model.ops.numpy(values)
        out = np.zeros((len(laid.batch) * laid.tokens, values.shape[1]), values.dtype)
        out[laid.rows] = values
        return self._of(out.reshape(len(laid.batch), laid.tokens, values.shape[1]))

    def attentions(self, layers: list[list[Any]], queries: _Laid, keys: _Laid) -> tuple[Any, ...]:
        """For each layer one [heads, m, n] per sequence -> [batch, heads, queries, keys]."""
        return tuple(self._attention([self.model.ops.numpy(a) for a in layer], queries, keys) for layer in layers)

    def _attention(self, layer: list[npt.NDArray[Any]], queries: _Laid, keys: _Laid) -> Any:
        out = np.zeros((len(layer), layer[0].shape[0], queries.tokens, keys.tokens), layer[0].dtype)
        for sequence, (weights, m, n) in enumerate(zip(layer, queries.columns, keys.columns, strict=True)):
            out[sequence][:, m[:, None], n[None, :]] = weights
        return self._of(out)

    def shown(self, name: str, trace: Trace | None, asks: tuple[Any, Any], laid: _Laid) -> dict[str, Any]:
        """What a trace was asked to collect, named."""
        named: dict[str, Any] = {}
        if trace is not None and asks[0]:
            named[f"{name}hidden_states"] = tuple(self.spread(x, laid) for x in trace.hidden_states)
        if trace is not None and asks[1]:
            named[f"{name}attentions"] = self.attentions(trace.attentions, laid, laid)
        return named


def rectangle(name: str, values: Any, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.int32]:
    """Lists, an array or a tensor as whole numbers [batch, tokens], of that shape.   Raises ShapeError, InputError."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{name} is not a rectangle: its rows have different lengths. Pad them (padding=True)."
        ) from error
    if array.ndim != 2 or (
        array.dtype.kind not in "iub" and array.size and not (array == array.astype(np.int64)).all()
    ):
        raise ShapeError(
            f"{name} has shape {array.shape} and dtype {array.dtype}; it must be whole numbers [batch, tokens]."
        )
    if shape is not None and array.shape != shape:
        raise ShapeError(f"{name} has shape {array.shape}; input_ids has {shape}, and they must be equal.")
    if array.size and max(abs(int(array.min())), abs(int(array.max()))) > LARGEST:
        raise InputError(f"{name} holds {array.min()} … {array.max()}: no token id is beyond {LARGEST}.")
    return array.astype(np.int32)


def _ragged(
    stack: StackOptions,
    ids: npt.NDArray[np.int32],
    mask: npt.NDArray[np.int32] | None,
    types: npt.NDArray[np.int32] | None,
    positions: npt.NDArray[np.int32] | None,
) -> tuple[Batch, npt.NDArray[np.int64]]:
    """The batch of the tokens that the mask keeps, and their places in the flattened rectangle."""
    keep = np.ones(ids.shape, bool) if mask is None else mask != 0
    lengths = keep.sum(1).astype(np.int32)
    if ids.size == 0 or (lengths == 0).any():
        raise InputError(
            f"input_ids has shape {ids.shape}, and each row must have at least one token that attention_mask keeps."
        )
    embedding = stack.embedding
    if positions is None:
        whole = Batch(ids.ravel(), np.full(len(ids), ids.shape[1], np.int32))
        positions = token_positions(embedding, whole).reshape(ids.shape)
    rows = np.flatnonzero(keep)
    highest = int(positions[keep].max())
    most = None if stack.max_length is None else stack.max_length + embedding.first_position
    if (most is not None and highest >= most) or int(positions[keep].min()) < 0:
        raise InputError(f"a position of {highest} is beyond the model's {most} (left padding counts).")
    return (
        Batch(
            ids.ravel()[rows],
            lengths,
            None if types is None or not embedding.type_vocab_size else types.ravel()[rows],
            (positions - embedding.first_position).ravel()[rows].astype(np.int32),
        ),
        rows,
    )
