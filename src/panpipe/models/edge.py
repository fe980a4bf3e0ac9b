"""The public edge: models called with rectangles, as the course does.

`input_ids` and `attention_mask` [batch, tokens] become a ragged batch, and what comes back is laid into rectangles
again, with zeros where the mask is 0. Arrays come back in the kind that came in: torch tensors for torch tensors, NumPy
for the rest. Positions are those of the rectangle, as in transformers: left padding moves them where it does there.
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
from ..blocks.encoder import Trace, token_positions
from ..errors import InputError, ShapeError, UnknownArgument, did_you_mean

if TYPE_CHECKING:
    from .model import Model

__all__ = [
    "BaseModelOutput",
    "MaskedLMOutput",
    "ModelOutput",
    "QuestionAnsweringModelOutput",
    "SequenceClassifierOutput",
    "TokenClassifierOutput",
    "call_with_rectangles",
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
class BaseModelOutput(ModelOutput):
    """last_hidden_state: [batch, tokens, hidden].   pooler_output: [batch, hidden] or None."""

    last_hidden_state: Any = None
    pooler_output: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class MaskedLMOutput(ModelOutput):
    """logits: [batch, tokens, vocab]."""

    logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class SequenceClassifierOutput(ModelOutput):
    """logits: [batch, labels]."""

    logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class TokenClassifierOutput(ModelOutput):
    """logits: [batch, tokens, labels]."""

    logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


@dataclass
class QuestionAnsweringModelOutput(ModelOutput):
    """start_logits, end_logits: [batch, tokens]."""

    start_logits: Any = None
    end_logits: Any = None
    hidden_states: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None


_OUTPUTS: dict[str, type[ModelOutput]] = {
    "base": BaseModelOutput,
    "masked-lm": MaskedLMOutput,
    "sequence-classification": SequenceClassifierOutput,
    "token-classification": TokenClassifierOutput,
    "question-answering": QuestionAnsweringModelOutput,
}

_OPTIONS = ("position_ids", "output_hidden_states", "output_attentions", "return_dict")


def call_with_rectangles(
    model: Model, input_ids: Any = None, attention_mask: Any = None, token_type_ids: Any = None, **options: Any
) -> ModelOutput:
    """The model's output for rectangles of ids (numpy arrays, nested lists or torch tensors), each [batch, tokens].

    options: position_ids; output_hidden_states, output_attentions (bool); return_dict=False gives a tuple.
    Raises ShapeError, InputError, TooLong, UnknownArgument.
    """
    for name in options:
        if name == "labels":
            raise UnknownArgument("models do not compute losses; training does (panpipe's Trainer).")
        if name not in _OPTIONS:
            raise UnknownArgument(f"a model takes no {name!r}.{did_you_mean(name, _OPTIONS)}")
    if input_ids is None:
        raise InputError("give input_ids: token ids in a rectangle [batch, tokens].")
    ids = _rectangle("input_ids", input_ids)
    given = {
        "attention_mask": attention_mask,
        "token_type_ids": token_type_ids,
        "position_ids": options.get("position_ids"),
    }
    mask, types, positions = (None if v is None else _rectangle(n, v, ids.shape) for n, v in given.items())
    batch, rows = _ragged(model, ids, mask, types, positions)
    trace = None
    if options.get("output_hidden_states") or options.get("output_attentions"):
        trace = Trace(with_attentions=bool(options.get("output_attentions")))
    answer = model.run(batch, trace=trace)

    outward = _outward(model, input_ids)
    tokens = ids.shape[1]

    def spread(values: Any) -> Any:
        return outward(_spread(model.ops.numpy(values), batch, rows, tokens))

    named: dict[str, Any]
    if model.head == "base":
        pooled = model.pooler_output(answer, batch)
        named = {
            "last_hidden_state": spread(answer),
            "pooler_output": None if pooled is None else outward(model.ops.numpy(pooled)),
        }
    elif model.head == "question-answering":
        named = {"start_logits": spread(answer[:, :1])[..., 0], "end_logits": spread(answer[:, 1:])[..., 0]}
    elif model.head == "sequence-classification":
        named = {"logits": outward(model.ops.numpy(answer))}
    else:
        named = {"logits": spread(answer)}
    if trace is not None and options.get("output_hidden_states"):
        named["hidden_states"] = tuple(spread(x) for x in trace.hidden_states)
    if trace is not None and options.get("output_attentions"):
        places = np.split(rows, batch.offsets[1:-1])
        named["attentions"] = tuple(
            outward(_spread_attention([model.ops.numpy(a) for a in layer], places, tokens))
            for layer in trace.attentions
        )
    output = _OUTPUTS[model.head](**named)
    return output if options.get("return_dict", True) else output.to_tuple()  # type: ignore[return-value]


def _rectangle(name: str, values: Any, shape: tuple[int, ...] | None = None) -> npt.NDArray[np.int32]:
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
    return array.astype(np.int32)


def _ragged(
    model: Model,
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
    first = model.options.first_position
    if positions is None:
        whole = Batch(ids.ravel(), np.full(len(ids), ids.shape[1], np.int32))
        positions = token_positions(model.options, whole).reshape(ids.shape)
    rows = np.flatnonzero(keep)
    highest = int(positions[keep].max())
    if highest >= model.options.position_rows or int(positions[keep].min()) < 0:
        raise InputError(
            f"a position of {highest} is beyond the model's {model.options.position_rows} (left padding counts)."
        )
    return (
        Batch(
            ids.ravel()[rows],
            lengths,
            None if types is None or not model.options.type_vocab_size else types.ravel()[rows],
            (positions - first).ravel()[rows].astype(np.int32),
        ),
        rows,
    )


def _spread(values: npt.NDArray[Any], batch: Batch, rows: npt.NDArray[np.int64], tokens: int) -> npt.NDArray[Any]:
    """[tokens kept, width] -> [batch, tokens, width], zeros where the mask is 0."""
    out = np.zeros((len(batch) * tokens, values.shape[1]), values.dtype)
    out[rows] = values
    return out.reshape(len(batch), tokens, values.shape[1])


def _spread_attention(
    layer: list[npt.NDArray[Any]], places: list[npt.NDArray[np.int64]], tokens: int
) -> npt.NDArray[Any]:
    """One [heads, n, n] per sequence -> [batch, heads, tokens, tokens]."""
    out = np.zeros((len(layer), layer[0].shape[0], tokens, tokens), layer[0].dtype)
    for sequence, (weights, place) in enumerate(zip(layer, places, strict=True)):
        columns = place % tokens
        out[sequence][:, columns[:, None], columns[None, :]] = weights
    return out


def _outward(model: Model, given: Any) -> Callable[[npt.NDArray[Any]], Any]:
    """From NumPy to the kind of array that came in. Only someone who has torch can have given a tensor."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        return lambda array: torch.from_numpy(np.ascontiguousarray(array))
    return lambda array: array
