"""The operations in PyTorch, with autograd: what training uses. See `base` for what each means.

Arrays are torch tensors; ids, rows and offsets stay NumPy int32, as everywhere. Weights are tensors that may require
gradients: `TorchOps` hands them out as they are, so an optimizer can own them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .base import Array, Ints, Linear, Ops
from .torch_attention import Shape, attend, kept, plan_of, strength

__all__ = ["TorchOps"]

T = TypeVar("T")

_ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}
MOST_KEPT = 16
"""Rows and plans that are remembered: all layers of a batch use the same few."""
SHAPES_KEPT = "64"
"""Shapes of products that oneDNN keeps code for, half a megabyte each: its own 1024 never recur in ragged batches."""


class TorchOps(Ops):
    """The operations on torch tensors.

    device: where tensors live.   dropout: place -> the share that is set to 0 there, see `Ops.drop`; for training.
    still: id of a table -> its row that learns nothing from being looked up: the padding's.
    recomputes: a layer's inner results are not kept for the backward pass but computed again (Chen et al. 2016,
    arXiv:1604.06174).
    """

    name: ClassVar[str] = "torch"

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.dropout: Mapping[str, float] = {}
        self.recomputes = False
        self.still: Mapping[int, int] = {}
        self._remembered: dict[Any, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.device,)

    def array(self, values: npt.NDArray[Any]) -> Array:
        if not values.flags.writeable:  # torch would warn, and could write into a memory map
            values = values.copy()
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def numpy(self, array: Array) -> npt.NDArray[Any]:
        array = array.detach()
        if hasattr(array, "full_tensor"):  # it is split over processes
            array = array.full_tensor()
        values: npt.NDArray[Any] = (array.float() if array.dtype == torch.bfloat16 else array).cpu().numpy()
        return values

    def linear_weights(self, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> Linear:
        return Linear(self._float(weight), None if bias is None else self._float(bias))

    def table_weights(self, table: npt.NDArray[Any]) -> Array:
        return self._float(table)

    def vector_weights(self, vector: npt.NDArray[Any]) -> Array:
        return self._float(vector)

    def embed(self, tables: Sequence[Any], indices: Sequence[Ints]) -> Array:
        rows = [
            functional.embedding(self._index(index), table, self.still.get(id(table)))
            for table, index in zip(tables, indices, strict=True)
        ]
        return sum(rows[1:], rows[0])

    def take(self, x: Array, rows: Ints) -> Array:
        return x.index_select(0, self._index(rows))

    def columns(self, x: Array, widths: Sequence[int]) -> Sequence[Array]:
        parts: Sequence[Array] = x.split(list(widths), 1)
        return parts

    def linear(self, x: Array, weights: Any, activation: str | None = None, residual: Array | None = None) -> Array:
        y = _mapped(x, weights)
        if activation is not None:
            y = self.activate(y, activation)
        return y if residual is None else y + residual

    def activate(self, x: Array, activation: str) -> Array:
        return _ACTIVATIONS[activation](x)

    def rotate(self, x: Array, cosines: Any, sines: Any, positions: Ints, num_heads: int) -> Array:
        heads = x.reshape(len(x), num_heads, x.shape[1] // num_heads)
        n = cosines.shape[1]
        rows = self._index(positions)
        cos, sin = cosines[rows][:, None], sines[rows][:, None]
        a, b = heads[..., :n], heads[..., n : 2 * n]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, heads[..., 2 * n :]], -1).reshape(x.shape)

    def layer_norm(self, x: Array, weight: Any, bias: Any, epsilon: float) -> Array:
        return functional.layer_norm(_wide(x), x.shape[-1:], weight, bias, epsilon)

    def rms_norm(self, x: Array, weight: Any, epsilon: float) -> Array:
        return functional.rms_norm(_wide(x), x.shape[-1:], weight, epsilon)

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        q_offsets: Ints,
        kv_offsets: Ints,
        *,
        num_heads: int,
        num_kv_heads: int | None = None,
        scale: float | None = None,
        causal: bool = False,
        window: int | None = None,
        relative_bias: Any = None,
        q_positions: Ints | None = None,
    ) -> Array:
        key = tuple(None if a is None else a.tobytes() for a in (q_offsets, kv_offsets, q_positions))
        with_distance = relative_bias is not None
        plan = self._once(
            (*key, causal, window, with_distance),
            partial(plan_of, q_offsets, kv_offsets, q_positions, causal, window, with_distance, self.device),
        )
        scale = 1.0 / math.sqrt(q.shape[1] // num_heads) if scale is None else scale
        shape = Shape(num_heads, num_kv_heads or num_heads, scale, self.dropout.get("attention", 0.0))
        if torch.is_autocast_enabled(self.device.type):
            q, k, v = (x.to(torch.get_autocast_dtype(self.device.type)) for x in (q, k, v))
        return attend(plan, shape, q, k, v, relative_bias)

    def new_cache(self, layers: int, rows: int, width: int) -> Array:
        return torch.empty(layers, rows, width, device=self.device)

    def store(self, cache: Array, rows: Ints, x: Array) -> None:
        cache[self._index(rows)] = x.detach().to(cache.dtype)

    def log_softmax(self, x: Array) -> Array:
        none = x.amax(-1, keepdim=True) == -math.inf
        return torch.where(none, x, torch.log_softmax(x, -1))

    def attention_probabilities(
        self, q: Array, k: Array, q_offsets: Ints, kv_offsets: Ints, **options: Any
    ) -> list[Array]:
        """Without gradients: the reference's, as tensors."""
        if options.get("relative_bias") is not None:
            options["relative_bias"] = self.numpy(options["relative_bias"])
        shown = super().attention_probabilities(self.numpy(q), self.numpy(k), q_offsets, kv_offsets, **options)
        return [self.array(probabilities) for probabilities in shown]

    def pool(self, x: Array, offsets: Ints, pooling: str) -> Array:
        rows, there = self._rectangle(offsets)
        if 0 in rows.shape:
            return x.new_zeros(len(rows), x.shape[1])
        lengths = self._index(np.diff(offsets))[:, None]
        there = there[..., None]
        laid = x[rows] if len(x) else x.new_zeros(*rows.shape, x.shape[1])
        if pooling == "mean":
            return torch.where(there, laid, 0).sum(1) / lengths.clamp(min=1)
        if pooling == "max":
            return torch.where(lengths > 0, laid.masked_fill(~there, -math.inf).amax(1), 0)
        column = torch.zeros_like(lengths) if pooling == "cls" else (lengths - 1).clamp(min=0)
        picked = laid.gather(1, column[..., None].expand(-1, 1, x.shape[1]))[:, 0]
        return torch.where(lengths > 0, picked, 0)

    def normalize(self, x: Array) -> Array:
        return functional.normalize(x, dim=-1, eps=1e-12)

    # -- what training adds ------------------------------------------------------------------------------------------

    def drop(self, x: Array, place: str) -> Array:
        return _dropped(x, self.dropout.get(place, 0.0))

    def linear_onto(self, x: Array, weights: Any, residual: Array, place: str) -> Array:
        return residual + self.drop(_mapped(x, weights), place)

    def within(self, weights: Any, function: Callable[..., T], *given: Any) -> T:
        # A module's hooks gather its weights where they are split over processes: what uses them runs inside it.
        if not isinstance(weights, torch.nn.Module):
            return function(self, weights, *given)
        result: T = weights(self._recomputed(function), self, *given)
        return result

    def _recomputed(self, function: Callable[..., T]) -> Callable[..., T]:
        if not (self.recomputes and torch.is_grad_enabled()):
            return function
        return partial(checkpoint, function, use_reentrant=False)

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _float(self, values: npt.NDArray[Any]) -> Array:
        tensor = self.array(values)
        return tensor.float() if tensor.dtype == torch.float16 else tensor

    def _once(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, remembered by the key for the layers to come."""
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= MOST_KEPT:
                self._remembered = {}  # anew: another thread may be reading
            found = self._remembered[key] = make()
        return found

    def forget(self) -> None:
        """What was remembered, after the device changed."""
        self._remembered = {}

    def _index(self, values: npt.NDArray[Any]) -> Array:
        return self._once(
            ("rows", values.shape, values.tobytes()),
            lambda: torch.from_numpy(values.astype(np.int64)).to(self.device, non_blocking=True),
        )

    def _rectangle(self, offsets: Ints) -> tuple[Array, Array]:
        """int64 and bool [sequences, longest]: the rows, and which are there (the others point to row 0)."""
        lengths = np.diff(offsets)
        columns = np.arange(lengths.max(initial=0))
        there = columns < lengths[:, None]
        return self._index(np.where(there, offsets[:-1, None] + columns, 0)), torch.as_tensor(there, device=self.device)


def _wide(x: Array) -> Array:
    """Norms are computed in float32, whatever came."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _dropped(x: Array, rate: float) -> Array:
    if not rate:
        return x
    return _Dropped.apply(x, rate) if x.device.type == "cpu" else functional.dropout(x, rate)


class _Dropped(torch.autograd.Function):  # type: ignore[misc]
    """Some of x set to 0, the rest scaled so that the mean stays (Srivastava et al. 2014, JMLR 15). On a CPU, where
    PyTorch's own takes as long as a product of matrices.
    """

    @staticmethod
    def forward(ctx: Any, x: Array, rate: float) -> Array:
        mask = kept(x, rate).mul_(strength(rate))
        ctx.save_for_backward(mask)
        return x * mask.to(x.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Array) -> tuple[Array, None]:
        (mask,) = ctx.saved_tensors
        return grad * mask.to(grad.dtype), None


def _mapped(x: Array, weights: Any) -> Array:
    y = _linear(x, weights.weight, weights.bias)
    adapt = getattr(weights, "adapt", None)  # of LoRA's modules
    return y if adapt is None else adapt(x, y)


def _linear(x: Array, weight: Array, bias: Array | None) -> Array:
    product = _product()
    plain = product is None or x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32
    if plain or 0 in x.shape or torch.is_autocast_enabled("cpu"):
        return functional.linear(x, weight, bias)
    return _Linear.apply(x, weight, bias)


class _Linear(torch.autograd.Function):  # type: ignore[misc]
    """x @ weight.T + bias, and its gradients, by `_product`."""

    @staticmethod
    def forward(ctx: Any, x: Array, weight: Array, bias: Array | None) -> Array:
        ctx.save_for_backward(x, weight)
        return _product()(x, weight, bias)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Array) -> tuple[Array | None, Array | None, Array | None]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        product = _product()
        return (
            product(grad, weight.t(), None) if for_x else None,
            product(grad.t(), x.t(), None) if for_weight else None,
            grad.sum(0) if for_bias else None,
        )


@cache
def _product() -> Any:
    """(x, weight, bias) -> x @ weight.T + bias by oneDNN, or None where PyTorch lacks it.

    `functional.linear` takes MKL for float32, which runs at half of oneDNN's speed on AMD's processors.
    """
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkl.is_available()):
        return None
    for variable in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(variable, SHAPES_KEPT)  # read at the first product
    try:
        operation = torch.ops.mkldnn._linear_pointwise.default
        product = partial(_pointwise, operation)
        probe = torch.arange(6.0).view(2, 3)
        is_right = torch.equal(product(probe, probe.t().contiguous().t(), torch.ones(2)), probe @ probe.T + 1)
    except (AttributeError, RuntimeError):
        return None
    return product if is_right else None


def _pointwise(operation: Any, x: Array, weight: Array, bias: Array | None) -> Array:
    return operation(x, weight, bias, "none", [], "")
