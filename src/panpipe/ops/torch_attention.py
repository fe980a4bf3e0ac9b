"""Attention of a ragged batch in PyTorch: sequences of like length are padded together, and nothing else is.

On a CPU the steps are ours, forward and backward: PyTorch's attention with dropout writes the probabilities three times
and draws its dropout ten times slower than `kept` does. Elsewhere `scaled_dot_product_attention` computes each bucket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .base import Ints

__all__ = ["Plan", "Shape", "attend", "kept", "plan_of", "strength"]

Index: TypeAlias = torch.Tensor
LIKE = 0.6
"""Sequences share a bucket if the shortest has this share of the longest one's tokens."""
MOST = 1 << 16
"""Scores of one head in a bucket of several sequences: what is passed over ten times is to stay in the cache."""


@dataclass(frozen=True)
class Shape:
    """num_heads, num_kv_heads, scale: see `Ops.attention`.   dropout: the share of probabilities that is set to 0."""

    num_heads: int
    num_kv_heads: int
    scale: float
    dropout: float


@dataclass(frozen=True)
class Bucket:
    """Some sequences of a batch, padded to the longest.

    q_rows, k_rows: int64 [sequences * queries], [sequences * keys]: the rows, 0 where there are none; None where they
    are all the rows in their order.   q_padding: the places in q_rows that are none.
    mask: [1 or sequences, 1 or queries, keys], 0 or -inf, or None.   blind: bool like it, the queries that see nothing.
    distance: int64 [1 or sequences, queries, keys], key's place minus query's, where a bias needs it.
    is_causal: the mask is a triangle, and not made.
    """

    sequences: int
    queries: int
    keys: int
    q_rows: Index | None
    k_rows: Index | None
    q_padding: Index | None
    mask: torch.Tensor | None
    blind: torch.Tensor | None
    distance: Index | None
    is_causal: bool


@dataclass(frozen=True)
class Plan:
    """How a batch is cut into buckets.

    q_places, k_places: int64, for each row of the batch its place among the buckets' rows laid end to end; the one
    after the last where a row is in none. None where it is the same.
    """

    buckets: tuple[Bucket, ...]
    q_places: Index | None
    k_places: Index | None


def kept(x: torch.Tensor, rate: float) -> torch.Tensor:
    """x's shape and dtype (float32): 0 for a share `rate` of the places, 1 for the others.

    Sixteen random bits for each place, so that one draw of the generator serves four.
    """
    count = x.numel()
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    return torch.ge(bits.view(x.shape), round(rate * 65536) - 32768, out=torch.empty(x.shape))


def strength(dropout: float) -> float:
    """What is kept is multiplied by, so that the mean stays: by the rate that sixteen bits can tell."""
    share = round(dropout * 65536) / 65536
    return 1.0 / (1.0 - share) if share < 1 else 0.0


# -- the plan --------------------------------------------------------------------------------------------------------


def plan_of(
    q_offsets: Ints,
    kv_offsets: Ints,
    q_positions: Ints | None,
    causal: bool,
    window: int | None,
    with_distance: bool,
    device: torch.device,
) -> Plan:
    """The buckets of a batch: several by length on a CPU, one elsewhere, where a launch costs more than padding."""
    lengths = np.maximum(np.diff(q_offsets), np.diff(kv_offsets))
    order = np.argsort(-lengths, kind="stable")
    order = order[(np.diff(q_offsets)[order] > 0) & (np.diff(kv_offsets)[order] > 0)]
    groups = _groups(lengths[order], *((LIKE, MOST) if device.type == "cpu" else (0.0, None)))
    members = [np.sort(order[begin:end]) for begin, end in groups]
    is_whole = q_positions is None and np.array_equal(q_offsets, kv_offsets)
    # In a triangle no token sees the padding behind it.
    is_triangle = causal and is_whole and window is None and not with_distance and device.type != "cpu"

    def tensor(values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(device)

    def bucket(chosen: npt.NDArray[Any]) -> Bucket:
        q_rows, q_there = _rectangle(q_offsets, chosen)
        k_rows, k_there = _rectangle(kv_offsets, chosen)
        distance = _distance(q_rows, k_rows, q_positions, None if is_whole else _more(q_offsets, kv_offsets)[chosen])
        seen = np.ones((1, 1, 1), bool) if k_there.all() or (causal and is_whole) else k_there[:, None, :]
        if causal and not is_triangle:
            seen = seen & (distance <= 0)
        if causal and window is not None:
            seen = seen & (distance > -window)
        blind = np.logical_not(seen.any(-1, keepdims=True))
        return Bucket(
            *(len(chosen), q_rows.shape[1], k_rows.shape[1]),
            q_rows=None if _is_in_order(q_rows, q_offsets) else tensor(q_rows.reshape(-1)),
            k_rows=None if _is_in_order(k_rows, kv_offsets) else tensor(k_rows.reshape(-1)),
            q_padding=None if q_there.all() else tensor(np.flatnonzero(~q_there)),
            mask=None if seen.all() else tensor(np.where(seen | blind, np.float32(0), np.float32(-np.inf))),
            blind=tensor(blind) if blind.any() else None,
            distance=tensor(distance) if with_distance else None,
            is_causal=is_triangle,
        )

    return Plan(
        tuple(bucket(chosen) for chosen in members),
        *(_places(offsets, members, tensor) for offsets in (q_offsets, kv_offsets)),
    )


def _more(q_offsets: Ints, kv_offsets: Ints) -> npt.NDArray[np.int64]:
    """By how many tokens each sequence's keys are more than its queries."""
    return (np.diff(kv_offsets) - np.diff(q_offsets)).astype(np.int64)


def _distance(
    q_rows: npt.NDArray[np.int64],
    k_rows: npt.NDArray[np.int64],
    q_positions: Ints | None,
    more: npt.NDArray[np.int64] | None,
) -> npt.NDArray[np.int64]:
    """[1 or sequences, queries, keys]: key's place minus query's."""
    if q_positions is not None:
        places = q_positions.astype(np.int64)[q_rows]
    else:
        places = np.arange(q_rows.shape[1])[None] + (np.zeros(1, np.int64) if more is None else more)[:, None]
    return np.arange(k_rows.shape[1]) - places[..., None]


def _groups(lengths: npt.NDArray[Any], like: float, most: int | None) -> list[tuple[int, int]]:
    """Falling lengths, cut where one is too short for the first of its group, or makes it too large: (begin, end)."""
    groups, begin = [], 0
    for end in range(1, len(lengths) + 1):
        is_last = end == len(lengths)
        is_full = most is not None and (end - begin + 1) * int(lengths[begin]) ** 2 > most
        if is_last or is_full or lengths[end] < like * lengths[begin]:
            groups.append((begin, end))
            begin = end
    return groups


def _rectangle(offsets: Ints, chosen: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """int64 and bool [sequences, longest]: the rows, and which are there; 0 for the others."""
    begins, lengths = offsets[:-1][chosen].astype(np.int64), np.diff(offsets)[chosen]
    columns = np.arange(lengths.max())
    there = columns < lengths[:, None]
    return np.where(there, begins[:, None] + columns, 0), there


def _is_in_order(rows: npt.NDArray[np.int64], offsets: Ints) -> bool:
    return rows.size == offsets[-1] and bool((rows.reshape(-1) == np.arange(rows.size)).all())


def _places(
    offsets: Ints, members: list[npt.NDArray[Any]], tensor: Callable[[npt.NDArray[Any]], torch.Tensor]
) -> Index | None:
    lengths = np.diff(offsets)
    size = sum(len(chosen) * int(lengths[chosen].max()) for chosen in members)
    places = np.full(int(offsets[-1]), size, np.int64)
    begin = 0
    for chosen in members:
        rows, there = _rectangle(offsets, chosen)
        places[rows[there]] = begin + np.flatnonzero(there)
        begin += rows.size
    return None if size == len(places) and (places == np.arange(size)).all() else tensor(places)


# -- the computation -------------------------------------------------------------------------------------------------


def attend(
    plan: Plan, shape: Shape, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, relative_bias: torch.Tensor | None
) -> torch.Tensor:
    """`Ops.attention`, [q_tokens, num_heads * head_size]."""
    biases = [None if relative_bias is None else _bias(bucket, relative_bias) for bucket in plan.buckets]
    if q.device.type == "cpu":
        out: torch.Tensor = _Attention.apply(q, k, v, plan, shape, *biases)
        return out
    parts = [_fused(bucket, shape, q, k, v, bias) for bucket, bias in zip(plan.buckets, biases, strict=True)]
    return _ragged(parts, plan.q_places, q)


def _bias(bucket: Bucket, relative_bias: torch.Tensor) -> torch.Tensor:
    """[1 or sequences, heads, queries, keys]."""
    assert bucket.distance is not None
    span = relative_bias.shape[1] // 2
    rows = bucket.distance.clamp(-span, span) + span
    return functional.embedding(rows, relative_bias.T).movedim(-1, 1)


def _fused(
    bucket: Bucket, shape: Shape, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    mask = None if bucket.mask is None else bucket.mask[:, None].to(q.dtype)
    if bias is not None:
        mask = bias.to(q.dtype) if mask is None else bias.to(q.dtype) + mask
    if mask is not None:
        mask = mask.expand(bucket.sequences, -1, bucket.queries, -1)
    out = functional.scaled_dot_product_attention(
        _heads(q, bucket.q_rows, bucket.queries, shape.num_heads),
        _heads(k, bucket.k_rows, bucket.keys, shape.num_kv_heads),
        _heads(v, bucket.k_rows, bucket.keys, shape.num_kv_heads),
        attn_mask=mask,
        is_causal=bucket.is_causal,
        dropout_p=shape.dropout,
        scale=shape.scale,
        enable_gqa=shape.num_kv_heads != shape.num_heads,
    )
    return _flat(out if bucket.blind is None else out.masked_fill(bucket.blind[:, None], 0.0))


class _Attention(torch.autograd.Function):  # type: ignore[misc]
    """On a CPU. Of the probabilities it keeps one matrix, negative where dropout set them to 0."""

    @staticmethod
    def forward(
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        plan: Plan,
        shape: Shape,
        *biases: torch.Tensor | None,
    ) -> torch.Tensor:
        signed, parts = [], []
        for bucket, bias in zip(plan.buckets, biases, strict=True):
            qb, kb, vb = _taken(bucket, shape, q, k, v)
            probabilities = _probabilities(bucket, shape, qb, kb, bias)
            if shape.dropout:
                probabilities.mul_(kept(probabilities, shape.dropout).mul_(2).sub_(1))
            signed.append(probabilities)
            passed = functional.relu(probabilities) if shape.dropout else probabilities
            out = torch.matmul(passed.to(vb.dtype), vb).mul_(strength(shape.dropout))
            parts.append(_flat(_ungrouped(out, shape)))
        ctx.save_for_backward(q, k, v, *signed)
        ctx.plan, ctx.shape, ctx.biases = plan, shape, [None if b is None else b.shape for b in biases]
        return _ragged(parts, plan.q_places, q)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, *signed = ctx.saved_tensors
        plan, shape = ctx.plan, ctx.shape
        grads: list[list[torch.Tensor]] = [[], [], []]
        bias_grads: list[torch.Tensor | None] = []
        for bucket, both, of_bias in zip(plan.buckets, signed, ctx.biases, strict=True):
            qb, kb, vb = _taken(bucket, shape, q, k, v)
            gb = _grouped(_heads(grad, bucket.q_rows, bucket.queries, shape.num_heads, bucket.q_padding), shape)
            gb = gb * strength(shape.dropout)
            passed = functional.relu(both) if shape.dropout else both
            dv = torch.matmul(passed.to(gb.dtype).transpose(-1, -2), gb)
            dp = torch.matmul(gb, vb.transpose(-1, -2)).float()
            if shape.dropout:
                dp.mul_(torch.ge(both, 0, out=torch.empty_like(both)))
            # softmax's: each score moves the others of its row
            ds = torch._softmax_backward_data(dp, both.abs() if shape.dropout else both, -1, torch.float32)
            bias_grads.append(None if of_bias is None else _ungrouped_scores(ds, bucket, shape).sum_to_size(of_bias))
            ds = ds.to(qb.dtype)
            dq = _ungrouped(torch.matmul(ds, kb).mul_(shape.scale), shape)
            dk = torch.matmul(ds.transpose(-1, -2), qb).mul_(shape.scale)
            for place, part in zip(grads, (dq, dk, dv), strict=True):
                place.append(_flat(part))
        dq, dk, dv = (
            _ragged(parts, places, like)
            for parts, places, like in zip(grads, (plan.q_places, *[plan.k_places] * 2), (q, k, v), strict=True)
        )
        return dq, dk, dv, None, None, *bias_grads


def _probabilities(
    bucket: Bucket, shape: Shape, q: torch.Tensor, k: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """float32 [sequences, kv_heads, group * queries, keys], 0 for queries that see nothing."""
    scores = torch.matmul(q * shape.scale, k.transpose(-1, -2)).float()
    by_head = _ungrouped_scores(scores, bucket, shape)
    if bias is not None:
        by_head += bias
    if bucket.mask is not None:
        by_head += bucket.mask[:, None]
    probabilities = torch.softmax(scores, -1)
    if bucket.blind is not None:
        _ungrouped_scores(probabilities, bucket, shape).masked_fill_(bucket.blind[:, None], 0)
    return probabilities


def _taken(bucket: Bucket, shape: Shape, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> list[torch.Tensor]:
    return [
        _grouped(_heads(q, bucket.q_rows, bucket.queries, shape.num_heads), shape),
        *(_heads(x, bucket.k_rows, bucket.keys, shape.num_kv_heads) for x in (k, v)),
    ]


def _heads(x: torch.Tensor, rows: Index | None, length: int, heads: int, padding: Index | None = None) -> torch.Tensor:
    """[tokens, heads * size] -> [sequences, heads, length, size]; zeros where there is padding."""
    laid = x if rows is None else x.index_select(0, rows)
    if padding is not None:
        laid = laid.index_fill(0, padding, 0)
    return laid.unflatten(0, (-1, length)).unflatten(-1, (heads, -1)).transpose(1, 2).contiguous()


def _grouped(q: torch.Tensor, shape: Shape) -> torch.Tensor:
    """[sequences, heads, queries, size] -> [sequences, kv_heads, group * queries, size]."""
    return q.reshape(len(q), shape.num_kv_heads, -1, q.shape[-1])


def _ungrouped(q: torch.Tensor, shape: Shape) -> torch.Tensor:
    return q.reshape(len(q), shape.num_heads, -1, q.shape[-1])


def _ungrouped_scores(scores: torch.Tensor, bucket: Bucket, shape: Shape) -> torch.Tensor:
    return scores.view(bucket.sequences, shape.num_heads, bucket.queries, bucket.keys)


def _flat(x: torch.Tensor) -> torch.Tensor:
    """[sequences, heads, length, size] -> [sequences * length, heads * size]."""
    return x.transpose(1, 2).reshape(x.shape[0] * x.shape[2], -1)


def _ragged(parts: list[torch.Tensor], places: Index | None, like: torch.Tensor) -> torch.Tensor:
    """The buckets' rows as the batch's, [tokens, …]; zeros for what is in no bucket."""
    if not parts:
        return torch.zeros_like(like)
    if places is None:
        return parts[0] if len(parts) == 1 else torch.cat(parts)
    none = parts[0].new_zeros(1, parts[0].shape[1])
    return torch.cat([*parts, none]).index_select(0, places)
