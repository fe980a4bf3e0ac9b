"""The operations in PyTorch, with autograd: what training uses. See `base` for what each means.

Arrays are torch tensors; ids, rows and offsets stay NumPy int32, as everywhere. Weights are tensors that may require
gradients: `TorchOps` hands them out as they are, so an optimizer can own them.

Dropout stands where a sublayer ends, on what `linear` adds to its residual, and on attention's probabilities. Both are
0 unless asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from .base import Array, Ints, Linear, Ops

__all__ = ["TorchOps"]

_ACTIVATIONS = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "tanh": torch.tanh,
}


class TorchOps(Ops):
    """The operations on torch tensors.

    device: where tensors live.   dropout, attention_dropout: the share of a sublayer's outputs, and of attention's
    probabilities, that is set to 0; for training only. (On a CPU PyTorch's fast attention has no dropout.)
    """

    name: ClassVar[str] = "torch"

    def __init__(
        self, device: str | torch.device = "cpu", dropout: float = 0.0, attention_dropout: float = 0.0
    ) -> None:
        self.device = torch.device(device)
        self.dropout = dropout
        self.attention_dropout = attention_dropout

    def array(self, values: npt.NDArray[Any]) -> Array:
        if not values.flags.writeable:  # torch would warn, and could write into a memory map
            values = values.copy()
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def numpy(self, array: Array) -> npt.NDArray[Any]:
        values: npt.NDArray[Any] = array.detach().cpu().numpy()
        return values

    def linear_weights(self, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> Linear:
        return Linear(self._float(weight), None if bias is None else self._float(bias))

    def table_weights(self, table: npt.NDArray[Any]) -> Array:
        return self._float(table)

    def vector_weights(self, vector: npt.NDArray[Any]) -> Array:
        return self._float(vector)

    def embed(self, tables: Sequence[Any], indices: Sequence[Ints]) -> Array:
        rows = [functional.embedding(self._index(i), t) for t, i in zip(tables, indices, strict=True)]
        return sum(rows[1:], rows[0])

    def take(self, x: Array, rows: Ints) -> Array:
        return x[self._index(rows)]

    def linear(self, x: Array, weights: Any, activation: str | None = None, residual: Array | None = None) -> Array:
        y = functional.linear(x, weights.weight, weights.bias)
        if activation is not None:
            y = self.activate(y, activation)
        return y if residual is None else self._drop(y) + residual

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
        return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)

    def rms_norm(self, x: Array, weight: Any, epsilon: float) -> Array:
        return functional.rms_norm(x, x.shape[-1:], weight, epsilon)

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
        num_kv_heads = num_kv_heads or num_heads
        q_rows, q_there = self._rectangle(q_offsets)
        k_rows, k_there = self._rectangle(kv_offsets)
        if 0 in q_rows.shape:
            return q.new_zeros(q.shape)
        if 0 in k_rows.shape:
            return q.new_zeros(q.shape) + 0 * v.sum()
        batch, longest = q_rows.shape
        mask = (k_there[:, None, None, :]).expand(-1, 1, longest, -1)  # [batch, 1, queries, keys]
        addend = None
        if causal or relative_bias is not None:
            distance = self._distance(q_offsets, kv_offsets, q_positions, q_rows, k_rows.shape[1])
            if causal:
                mask = mask & (distance <= 0)[:, None]
                if window is not None:
                    mask = mask & (distance > -window)[:, None]
            if relative_bias is not None:
                span = relative_bias.shape[1] // 2
                addend = relative_bias[:, distance.clamp(-span, span) + span].transpose(0, 1)
        blind = ~mask.any(-1, keepdim=True)  # queries that see no key: softmax would give NaN
        minus = torch.zeros(mask.shape, dtype=q.dtype, device=self.device).masked_fill_(~(mask | blind), -math.inf)
        out = functional.scaled_dot_product_attention(
            self._heads(q, q_rows, num_heads),
            self._heads(k, k_rows, num_kv_heads),
            self._heads(v, k_rows, num_kv_heads),
            attn_mask=minus if addend is None else minus + addend,
            dropout_p=self.attention_dropout,
            scale=scale,
            enable_gqa=num_kv_heads != num_heads,
        )
        out = out.masked_fill(blind, 0.0)
        return out.transpose(1, 2).reshape(batch * longest, -1)[q_there.reshape(-1)]

    def new_cache(self, layers: int, rows: int, width: int) -> Array:
        return torch.empty(layers, rows, width, device=self.device)

    def store(self, cache: Array, rows: Ints, x: Array) -> None:
        cache[self._index(rows)] = x.detach()

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

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _float(self, values: npt.NDArray[Any]) -> Array:
        tensor = self.array(values)
        return tensor.float() if tensor.dtype == torch.float16 else tensor

    def _index(self, values: npt.NDArray[Any]) -> Array:
        return torch.as_tensor(np.array(values, np.int64), device=self.device)

    def _drop(self, x: Array) -> Array:
        return functional.dropout(x, self.dropout) if self.dropout else x

    def _rectangle(self, offsets: Ints) -> tuple[Array, Array]:
        """int64 and bool [sequences, longest]: the rows, and which are there (the others point to row 0)."""
        lengths = np.diff(offsets)
        columns = np.arange(lengths.max(initial=0))
        there = columns < lengths[:, None]
        return self._index(np.where(there, offsets[:-1, None] + columns, 0)), torch.as_tensor(there, device=self.device)

    def _heads(self, x: Array, rows: Array, heads: int) -> Array:
        """[tokens, heads * size] -> [sequences, heads, longest, size]."""
        return x[rows].unflatten(-1, (heads, x.shape[1] // heads)).transpose(1, 2)

    def _distance(self, q_offsets: Ints, kv_offsets: Ints, q_positions: Ints | None, q_rows: Array, keys: int) -> Array:
        """int64 [sequences, queries, keys]: key's place minus query's."""
        if q_positions is None:
            shift = self._index(np.diff(kv_offsets) - np.diff(q_offsets))
            place = torch.arange(q_rows.shape[1], device=self.device) + shift[:, None]
        else:
            place = self._index(q_positions)[q_rows]
        return torch.arange(keys, device=self.device) - place[..., None]
