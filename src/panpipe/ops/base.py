"""The operations that models are written in, in plain NumPy: this file is the *meaning* of each.

An engine is a subclass that overrides what it does better (`native.py` by C++ kernels, `torch.py` with autograd);
a fused operation stands here as its unfused parts. The tests compare every engine with this one, run in float64.

Rows are tokens of a ragged batch (`panpipe.batch`): `offsets` int32 [sequences + 1] says where each sequence begins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

__all__ = ["ACTIVATIONS", "PLACES", "POOLINGS", "Array", "Ints", "Linear", "Ops"]

T = TypeVar("T")

Array = Any
"""What an engine computes on: numpy.ndarray here and in `native`, torch.Tensor in `torch`."""

Ints = npt.NDArray[np.int32]
"""Token ids, rows and offsets are NumPy int32 in every engine."""

POOLINGS = ("mean", "cls", "last", "max")

PLACES = ("embeddings", "attention", "attended", "inner", "feed_forward", "states", "head_input", "head")
"""Where families drop: the embeddings, attention's probabilities, what it adds, within the feed-forward, what that
adds, the stack's last states, what a head's dense layer is given, and what its output is given.
"""


class Linear(NamedTuple):
    """The weights of one `linear`, as an engine keeps them: here weight [out, in] and bias [out] or None."""

    weight: Array
    bias: Array | None


class Ops:
    """The NumPy reference. Computes in the dtype of its inputs (float32, or float64 as a truth for tests)."""

    name: ClassVar[str] = "reference"

    # -- moving in and out -------------------------------------------------------------------------------------------

    def array(self, values: npt.NDArray[Any]) -> Array:
        """A NumPy array as this engine's, without a copy where it can be."""
        return values

    def numpy(self, array: Array) -> npt.NDArray[Any]:
        """An array of this engine as NumPy."""
        return np.asarray(array)

    def lists(self, array: npt.NDArray[Any]) -> list[list[float]]:
        """A NumPy matrix [rows, columns] as lists of Python floats, which for a model's output are millions."""
        values: list[list[float]] = array.tolist()
        return values

    # -- weights, made ready once at load ----------------------------------------------------------------------------

    def linear_weights(self, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> Any:
        """weight [out, in] (float32 or float16), bias [out] -> what `linear` takes. The input may be a memory map."""
        return Linear(_float(weight), None if bias is None else _float(bias))

    def table_weights(self, table: npt.NDArray[Any]) -> Any:
        """table [rows, hidden] (float32 or float16) -> what `embed` takes. May keep a view of a memory map."""
        return table

    def vector_weights(self, vector: npt.NDArray[Any]) -> Any:
        """vector [hidden] (or any small array) -> what norms and `attention` (`relative_bias`) take."""
        return _float(vector)

    # -- operations --------------------------------------------------------------------------------------------------

    def embed(self, tables: Sequence[Any], indices: Sequence[Ints]) -> Array:
        """Sum over the tables of their rows: sum_t tables[t][indices[t]].

        tables: each [rows_t, hidden].   indices: each int32 [tokens], 0 <= index < rows_t (the caller checks).
        Returns [tokens, hidden].
        """
        total = _float(tables[0][indices[0]])
        for table, index in zip(tables[1:], indices[1:], strict=True):
            total = total + _float(table[index])
        return total

    def take(self, x: Array, rows: Ints) -> Array:
        """Some rows of x. x: [tokens, hidden].   rows: int32 [n].   Returns [n, hidden]."""
        return x[rows]

    def columns(self, x: Array, widths: Sequence[int]) -> Sequence[Array]:
        """x [tokens, sum of widths], cut into parts that lie side by side."""
        ends = list(itertools.accumulate(widths))
        return [x[:, end - width : end] for width, end in zip(widths, ends, strict=True)]

    def linear(self, x: Array, weights: Any, activation: str | None = None, residual: Array | None = None) -> Array:
        """activation(x @ weight.T + bias) + residual.

        x: [tokens, in].   weights: from `linear_weights`, [out, in].   residual: [tokens, out].
        activation: one of ACTIVATIONS, or None.   Returns [tokens, out].
        """
        y = x @ weights.weight.T.astype(x.dtype, copy=False)
        if weights.bias is not None:
            y = y + weights.bias.astype(x.dtype, copy=False)
        if activation is not None:
            y = self.activate(y, activation)
        return y if residual is None else y + residual

    def activate(self, x: Array, activation: str) -> Array:
        """One of ACTIVATIONS, element by element."""
        return ACTIVATIONS[activation](x)

    def gate(self, x: Array, activation: str) -> Array:
        """activation(left half of x) * right half (Shazeer 2020, arXiv:2002.05202).

        x: [tokens, 2 * inner].   Returns [tokens, inner].
        """
        inner = x.shape[1] // 2
        return self.activate(x[:, :inner], activation) * x[:, inner:]

    def rotate(self, x: Array, cosines: Any, sines: Any, positions: Ints, num_heads: int) -> Array:
        """Rotary positions (Su et al. 2021, arXiv:2104.09864), by halves: (a, b) -> (a cos - b sin, b cos + a sin).

        x: [tokens, num_heads * head_size], possibly a column slice of a wider matrix.
        cosines, sines: `vector_weights` of [rows, n], 2 * n <= head_size: of each head the first n columns are a, the
        next n are b, and the rest stays.   positions: int32 [tokens], each a row of the tables.
        Returns [tokens, num_heads * head_size].
        """
        heads = x.reshape(len(x), num_heads, x.shape[1] // num_heads)
        n = cosines.shape[1]
        cos = cosines[positions][:, None].astype(x.dtype, copy=False)
        sin = sines[positions][:, None].astype(x.dtype, copy=False)
        a, b = heads[..., :n], heads[..., n : 2 * n]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin, heads[..., 2 * n :]], -1).reshape(x.shape)

    def layer_norm(self, x: Array, weight: Any, bias: Any, epsilon: float) -> Array:
        """(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis (Ba et al. 2016, arXiv:1607.06450).

        x: [tokens, hidden].   weight, bias: [hidden] (bias may be None).   Returns [tokens, hidden].
        """
        centred = x - x.mean(-1, keepdims=True)
        y = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + epsilon) * weight
        return y if bias is None else y + bias

    def rms_norm(self, x: Array, weight: Any, epsilon: float) -> Array:
        """x / sqrt(mean(x^2) + epsilon) * weight over the last axis (Zhang & Sennrich 2019, arXiv:1910.07467)."""
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight

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
        """softmax(scale * q @ k.T + bias) @ v for each sequence and head (Vaswani et al. 2017, arXiv:1706.03762).

        q: [q_tokens, num_heads * head_size].   k, v: [kv_tokens, num_kv_heads * head_size], each possibly a column
        slice of a wider matrix (rows at a stride, columns contiguous).   Returns [q_tokens, num_heads * head_size].
        q_offsets, kv_offsets: int32 [sequences + 1]; sequence s attends from its queries to its own keys. A query whose
        sequence has no keys (or sees none) gives zeros.
        num_kv_heads: a divisor of num_heads (default num_heads); head h uses key/value head
        h // (num_heads / num_kv_heads).
        scale: default 1 / sqrt(head_size).
        q_positions: int32 [q_tokens], each query's place among its sequence's keys; default: the queries are the last
        ones (n keys, m queries: n - m, …, n - 1).
        causal: a query at place p sees the keys 0 … p.
        window: of these only the last so many, p - window + 1 … p (Beltagy et al. 2020, arXiv:2004.05150; with causal).
        relative_bias: [num_heads, 2 * span + 1]: adds relative_bias[h, clip(j - p, -span, span) + span] to the score of
        the query at place p and the key at place j (T5's and MPNet's buckets, ALiBi).
        """
        out, _ = self._attend(
            q,
            k,
            v,
            q_offsets,
            kv_offsets,
            num_heads,
            num_kv_heads or num_heads,
            scale,
            causal,
            window,
            relative_bias,
            q_positions,
        )
        return out

    # -- a key/value cache in blocks ---------------------------------------------------------------------------------

    def new_cache(self, layers: int, rows: int, width: int) -> Array:
        """Memory for keys and values, [layers, rows, width]; what is in it means nothing yet."""
        return np.empty((layers, rows, width), np.float32)

    def store(self, cache: Array, rows: Ints, x: Array) -> None:
        """cache[rows] = x.

        cache: one layer of `new_cache`, [rows_in_all, width], or some of its columns.   rows: int32 [n], each once.
        x: [n, width], possibly a column slice of a wider matrix.
        """
        cache[rows] = x

    def paged_attention(
        self,
        q: Array,
        cache: Array,
        tables: Ints,
        q_offsets: Ints,
        kv_lengths: Ints,
        *,
        block_size: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        scale: float | None = None,
        causal: bool = False,
        window: int | None = None,
        relative_bias: Any = None,
        q_positions: Ints | None = None,
    ) -> Array:
        """`attention` to keys and values that lie in blocks (Kwon et al. 2023, arXiv:2309.06180).

        cache: one layer of `new_cache`, [blocks * block_size, 2 * num_kv_heads * head_size]: keys left, values right.
        tables: int32 [sequences, most_blocks]; the key at place j of sequence s is in the row
        tables[s, j // block_size] * block_size + j % block_size.   kv_lengths: int32 [sequences].
        The rest is as in `attention`. A query's result does not depend on how many others of its sequence come with it.
        """
        k, v, kv_offsets = self.gathered(cache, tables, kv_lengths, block_size)
        return self.attention(
            q,
            k,
            v,
            q_offsets,
            kv_offsets,
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            scale=scale,
            causal=causal,
            window=window,
            relative_bias=relative_bias,
            q_positions=q_positions,
        )

    def gathered(self, cache: Array, tables: Ints, kv_lengths: Ints, block_size: int) -> tuple[Array, Array, Ints]:
        """The keys and the values of `paged_attention`, each [kv_tokens, width], end to end, and their kv_offsets."""
        places = [np.arange(length, dtype=np.int32) for length in kv_lengths.tolist()]
        rows = [t[p // block_size] * block_size + p % block_size for t, p in zip(tables, places, strict=True)]
        both = self.take(cache, np.concatenate([np.zeros(0, np.int32), *rows]).astype(np.int32))
        width = both.shape[1] // 2
        offsets = np.concatenate([[0], np.cumsum(kv_lengths)]).astype(np.int32)
        return both[:, :width], both[:, width:], offsets

    # -- on logits ---------------------------------------------------------------------------------------------------

    def log_softmax(self, x: Array) -> Array:
        """x - log(sum(e^x)) over the last axis. x: [rows, columns]; -inf stays so, also if a row has nothing else."""
        top = x.max(-1, keepdims=True)
        none = top == -np.inf
        total = np.exp(x - np.where(none, 0, top)).sum(-1, keepdims=True)
        return x - np.where(none, 0, top + np.log(np.where(none, 1, total)))

    def top(self, x: npt.NDArray[Any], count: int) -> tuple[npt.NDArray[Any], Ints]:
        """The `count` largest of each row, largest first; of equals the one further left first.

        x: NumPy [rows, columns], no NaN; 1 <= count <= columns.   Returns values and columns (int32), [rows, count].
        """
        order = np.argsort(-x, axis=-1, kind="stable")[:, :count].astype(np.int32)
        return np.take_along_axis(x, order, -1), order

    def attention_probabilities(
        self, q: Array, k: Array, q_offsets: Ints, kv_offsets: Ints, **options: Any
    ) -> list[Array]:
        """The softmax of `attention`, one [num_heads, queries, keys] per sequence: to look at, not to compute with."""
        num_heads = options.pop("num_heads")
        options = {
            "num_kv_heads": num_heads,
            "scale": None,
            "causal": False,
            "window": None,
            "relative_bias": None,
            "q_positions": None,
            **options,
        }
        return self._attend(q, k, k, q_offsets, kv_offsets, num_heads, **options)[1]

    def _attend(
        self,
        q: Array,
        k: Array,
        v: Array,
        q_offsets: Ints,
        kv_offsets: Ints,
        num_heads: int,
        num_kv_heads: int,
        scale: float | None,
        causal: bool,
        window: int | None,
        relative_bias: Any,
        q_positions: Ints | None,
    ) -> tuple[Array, list[Array]]:
        head_size = q.shape[1] // num_heads
        group = num_heads // num_kv_heads
        scale = 1.0 / math.sqrt(head_size) if scale is None else scale
        out = np.zeros((len(q), num_heads * head_size), q.dtype)
        all_probabilities = []
        for (q0, q1), (k0, k1) in zip(_spans(q_offsets), _spans(kv_offsets), strict=True):
            m, n = q1 - q0, k1 - k0
            place = np.arange(n - m, n) if q_positions is None else q_positions[q0:q1]
            distance = np.arange(n)[None, :] - place[:, None]  # [queries, keys]
            qs = q[q0:q1].reshape(m, num_heads, head_size).swapaxes(0, 1)
            ks = k[k0:k1].reshape(n, num_kv_heads, head_size).swapaxes(0, 1).repeat(group, 0)
            vs = v[k0:k1].reshape(n, num_kv_heads, head_size).swapaxes(0, 1).repeat(group, 0)
            scores = qs @ ks.swapaxes(1, 2) * np.asarray(scale, q.dtype)  # [heads, queries, keys]
            if relative_bias is not None:
                span = relative_bias.shape[1] // 2
                scores = scores + relative_bias[:, np.clip(distance, -span, span) + span]
            if causal:
                hidden = distance > 0 if window is None else (distance > 0) | (distance <= -window)
                scores = np.where(hidden, -np.inf, scores)
            probabilities = _softmax(scores)
            all_probabilities.append(probabilities)
            out[q0:q1] = (probabilities @ vs).swapaxes(0, 1).reshape(m, num_heads * head_size)
        return out, all_probabilities

    def pool(self, x: Array, offsets: Ints, pooling: str) -> Array:
        """One vector per sequence; a sequence of no tokens gives zeros.

        x: [tokens, hidden].   offsets: int32 [sequences + 1].
        pooling: 'mean', 'cls' (the first token), 'last', 'max'.   Returns [sequences, hidden].
        Source: Reimers & Gurevych 2019, arXiv:1908.10084, section 3.
        """
        out = np.zeros((len(offsets) - 1, x.shape[1]), x.dtype)
        reduce: dict[str, Callable[[Array], Array]] = {
            "mean": lambda rows: rows.mean(0),
            "cls": lambda rows: rows[0],
            "last": lambda rows: rows[-1],
            "max": lambda rows: rows.max(0),
        }
        for sequence, (begin, end) in enumerate(_spans(offsets)):
            if end > begin:
                out[sequence] = reduce[pooling](x[begin:end])
        return out

    def normalize(self, x: Array) -> Array:
        """Each row divided by its Euclidean length (at least 1e-12)."""
        return x / np.maximum(np.sqrt((x * x).sum(-1, keepdims=True)), 1e-12)

    # -- places where training does something else -------------------------------------------------------------------

    def drop(self, x: Array, place: str) -> Array:
        """Where training sets a share of x to 0: x itself.

        place: one of PLACES; how large the share is there, a family says (`Family.dropout`).
        """
        return x

    def linear_onto(self, x: Array, weights: Any, residual: Array, place: str) -> Array:
        """`linear` with a residual, which is added to what `drop` leaves."""
        return self.linear(x, weights, residual=residual)

    def within(self, weights: Any, function: Callable[..., T], *given: Any) -> T:
        """function(self, weights, *given): a layer: training may compute it twice, of weights gathered for it."""
        return function(self, weights, *given)


# -- the parts -------------------------------------------------------------------------------------------------------


def _float(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """float16 is stored, never computed with."""
    return values.astype(np.float32) if values.dtype == np.float16 else np.asarray(values)


def _spans(offsets: Ints) -> list[tuple[int, int]]:
    ends = offsets.tolist()
    return list(itertools.pairwise(ends))


def _softmax(scores: Array) -> Array:
    """Over the last axis; a row with nothing to see (no keys, or all at -inf) gives zeros."""
    if scores.shape[-1] == 0:
        return scores
    top = scores.max(-1, keepdims=True)
    powers = np.exp(scores - np.where(np.isfinite(top), top, 0))
    total = powers.sum(-1, keepdims=True)
    return powers / np.where(total > 0, total, 1)


def _gelu(x: Array) -> Array:
    """x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415)."""
    return 0.5 * x * (1.0 + _erf(x * math.sqrt(0.5)))


def _gelu_tanh(x: Array) -> Array:
    """GELU by its tanh approximation (same paper; GPT-2's `gelu_new`)."""
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _silu(x: Array) -> Array:
    """x * sigmoid(x), with the sigmoid by tanh so that no exponential overflows."""
    return x * (0.5 + 0.5 * np.tanh(0.5 * x))


def _erf(x: Array) -> Array:
    """The error function, which NumPy lacks, to the last digits of float64.

    Source: W. J. Cody 1969, "Rational Chebyshev approximations for the error function", Math. Comp. 23: one fit of erf
    near 0, two of erfc further out.
    """
    y = np.abs(x).astype(np.float64)
    near = y <= 0.46875
    z = np.where(near, y * y, 0)
    erf_near = y * _ratio(z, _ERF_NEAR)
    middle = np.clip(y, 0.46875, 4.0)
    erfc_middle = np.exp(-middle * middle) * _ratio(middle, _ERFC_MIDDLE)
    far = np.maximum(y, 4.0)
    inverse = 1.0 / (far * far)
    erfc_far = np.exp(-far * far) / far * (1.0 / math.sqrt(math.pi) - inverse * _ratio(inverse, _ERFC_FAR))
    value = np.where(near, erf_near, 1.0 - np.where(y <= 4.0, erfc_middle, erfc_far))
    return np.copysign(value, x).astype(x.dtype)


def _ratio(x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    numerator, denominator = coefficients
    return np.polyval(numerator, x) / np.polyval(denominator, x)


# fmt: off
_ERF_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)
_ERFC_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)
# fmt: on


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": _silu,
    "tanh": np.tanh,
}
