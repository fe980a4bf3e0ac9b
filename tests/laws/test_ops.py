"""The laws of engines: each operation of each engine equals `ops/base.py` run in float64, whatever the sizes.

Tolerances are for float32 (24 bits: a rounding is 6e-8 of a value): a sum of n products may be off by some n roundings
of its largest part; activations and norms by a few.
"""

from __future__ import annotations

import inspect
import itertools
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe import threads
from panpipe.errors import EngineError, InvalidArgument, MissingDependency, PanpipeError, ShapeError
from panpipe.ops import get_ops
from panpipe.ops.base import ACTIVATIONS, PLACES, POOLINGS, Ops

try:
    from panpipe.ops import native
except EngineError:
    native = None  # type: ignore[assignment]

Floats = npt.NDArray[np.floating[Any]]

TRUTH = Ops()
ROUNDING = 2.0**-24
AWKWARD = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65)


def engine_names() -> list[str]:
    names = ["reference"]
    if native is not None:
        names += [f"native-{isa}" for isa in native.available_isas()]
    try:
        get_ops("torch")
    except (EngineError, MissingDependency):
        return names
    return [*names, "torch"]


def make_engine(name: str) -> Ops:
    if name.startswith("native-"):
        assert native is not None
        return native.NativeOps(name.removeprefix("native-"))
    return get_ops(name)


@pytest.fixture(params=engine_names())
def ops(request: pytest.FixtureRequest) -> Ops:
    return make_engine(request.param)


needs_native = pytest.mark.skipif(native is None, reason="the native kernels are not built")


@pytest.fixture(params=native.available_isas() if native is not None else [pytest.param(None, marks=needs_native)])
def kernels(request: pytest.FixtureRequest) -> Any:
    return make_engine(f"native-{request.param}")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def normal(rng: np.random.Generator, *shape: int) -> Any:
    return rng.standard_normal(shape, dtype=np.float32)


def wide(x: Any) -> Any:
    return None if x is None else x.astype(np.float64)


def offsets_of(*lengths: int) -> npt.NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def close(got: Any, want: Floats, tolerance: float) -> None:
    """Every value within `tolerance` of the truth, relative to the largest true value (at least 1)."""
    assert got.shape == want.shape
    assert np.isfinite(got).all()
    if want.size:
        assert np.abs(got - want).max() <= tolerance * max(1.0, np.abs(want).max())


def check_linear(
    ops: Ops, rng: np.random.Generator, rows: int, inputs: int, outputs: int, activation: str | None, with_parts: bool
) -> None:
    weight, x = normal(rng, outputs, inputs), normal(rng, rows, inputs)
    bias = normal(rng, outputs) if with_parts else None
    residual = normal(rng, rows, outputs) if with_parts else None
    got = ops.linear(
        ops.array(x), ops.linear_weights(weight, bias), activation, None if residual is None else ops.array(residual)
    )
    want = TRUTH.linear(wide(x), TRUTH.linear_weights(wide(weight), wide(bias)), activation, wide(residual))
    assert got.shape == want.shape
    if want.size:
        # Partial sums reach 4 sqrt(inputs), and the roundings of as many add up like a random walk. What they amount to
        # does not shrink where an activation then makes the result small: so not relative to the result.
        tolerance = 8 * (4 + np.sqrt(inputs)) * (4 + 4 * np.sqrt(inputs)) * ROUNDING
        assert np.abs(ops.numpy(got) - want).max() <= tolerance


# -- linear ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 23, 25, 49, 97, 200])
def test_linear_at_awkward_rows(ops: Ops, rng: np.random.Generator, rows: int) -> None:
    for inputs, outputs in ((7, 5), (33, 70), (385, 31)):
        check_linear(ops, rng, rows, inputs, outputs, None, True)


@pytest.mark.parametrize("outputs", [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129])
def test_linear_at_awkward_outputs(ops: Ops, rng: np.random.Generator, outputs: int) -> None:
    for rows, inputs in ((1, 19), (2, 40), (13, 3)):
        check_linear(ops, rng, rows, inputs, outputs, "gelu", outputs % 2 == 0)


@pytest.mark.parametrize("inputs", [0, 1, 2, 3, 5, 767, 768, 769, 1537])
def test_linear_at_awkward_inputs(ops: Ops, rng: np.random.Generator, inputs: int) -> None:
    for rows, outputs in ((1, 33), (3, 64), (50, 17)):
        check_linear(ops, rng, rows, inputs, outputs, None, True)


@pytest.mark.parametrize("activation", [None, *ACTIVATIONS])
@pytest.mark.parametrize("with_parts", [False, True])
def test_linear_fuses_activation_bias_and_residual(
    ops: Ops, rng: np.random.Generator, activation: str | None, with_parts: bool
) -> None:
    for rows in (1, 14, 110):
        check_linear(ops, rng, rows, 37, 41, activation, with_parts)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(0, 60), inputs=st.integers(0, 90), outputs=st.integers(1, 90), seed=st.integers(0, 99))
@pytest.mark.parametrize("name", engine_names())
def test_linear_at_any_size(name: str, rows: int, inputs: int, outputs: int, seed: int) -> None:
    check_linear(make_engine(name), np.random.default_rng(seed), rows, inputs, outputs, None, seed % 2 == 0)


def test_linear_takes_float16_transposed_and_unaligned_weights(ops: Ops, rng: np.random.Generator) -> None:
    x, weight = normal(rng, 5, 20), normal(rng, 34, 20)
    half = weight.astype(np.float16)
    unaligned = np.frombuffer(b"\0" + weight.tobytes(), np.uint8)[1:].view(np.float32).reshape(34, 20)
    transposed = np.ascontiguousarray(weight.T).T
    for given_weight, meant in ((half, half), (transposed, weight), (unaligned, weight), (half.T.copy().T, half)):
        got = ops.linear(ops.array(x), ops.linear_weights(given_weight))
        close(ops.numpy(got), wide(x) @ wide(meant).T, 40 * ROUNDING)


def test_half_precision_extremes_survive_packing(ops: Ops) -> None:
    values = np.array([0.0, -0.0, 6e-8, -6e-8, 6.1e-5, 65504.0, -1.5, 0.1], np.float16).reshape(8, 1)
    got = ops.linear(ops.array(np.ones((1, 1), np.float32)), ops.linear_weights(values))
    assert ops.numpy(got).ravel().tolist() == values.astype(np.float32).ravel().tolist()


def test_linear_takes_columns_of_a_wider_matrix(ops: Ops, rng: np.random.Generator) -> None:
    full, weight = normal(rng, 30, 50), normal(rng, 9, 20)
    x, residual = full[:, 11:31], full[:, 40:49]
    got = ops.linear(ops.array(full)[:, 11:31], ops.linear_weights(weight), None, ops.array(full)[:, 40:49])
    close(ops.numpy(got), wide(x) @ wide(weight).T + wide(residual), 40 * ROUNDING)


# -- activations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_over_their_whole_range(ops: Ops, activation: str) -> None:
    x = np.concatenate(
        [np.linspace(-30, 30, 40_001), np.geomspace(1e-30, 80, 500), -np.geomspace(1e-30, 80, 500), [0.0]]
    )
    x = x.astype(np.float32)[None, :]
    got, want = ops.numpy(ops.activate(ops.array(x), activation)), TRUTH.activate(wide(x), activation)
    # Relative to x, not to the result: where GELU and SiLU fall to nothing they are differences of what is left of 1.
    assert (np.abs(got - want) <= 4 * ROUNDING * np.maximum(np.abs(x), np.abs(want))).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_at_awkward_sizes_keep_the_shape(ops: Ops, rng: np.random.Generator, activation: str) -> None:
    for shape in ((0, 4), (1, 1), (3, 7), (2, 33), (1, 4097)):
        x = normal(rng, *shape)
        close(ops.numpy(ops.activate(ops.array(x), activation)), TRUTH.activate(wide(x), activation), 8 * ROUNDING)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_pass_on_what_is_not_a_number(ops: Ops, activation: str) -> None:
    x = np.full((1, 40), np.nan, np.float32)
    with np.errstate(invalid="ignore"):
        assert np.isnan(ops.numpy(ops.activate(ops.array(x), activation))).all()


# -- norms, pooling, embeddings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [size for size in AWKWARD if size > 0] + [384, 768, 1000])
def test_norms(ops: Ops, rng: np.random.Generator, hidden: int) -> None:
    weight, bias = normal(rng, hidden), normal(rng, hidden)
    w, b = ops.vector_weights(weight), ops.vector_weights(bias)
    for rows in (0, 1, 3, 40):
        x = normal(rng, rows, hidden) + np.float32(3)
        a = ops.array(x)
        # Behind the division by a spread: roundings of the mean grow when values lie close together.
        close(ops.numpy(ops.layer_norm(a, w, b, 1e-3)), TRUTH.layer_norm(wide(x), wide(weight), wide(bias), 1e-3), 4e-5)
        close(ops.numpy(ops.layer_norm(a, w, None, 1e-3)), TRUTH.layer_norm(wide(x), wide(weight), None, 1e-3), 4e-5)
        close(ops.numpy(ops.rms_norm(a, w, 1e-6)), TRUTH.rms_norm(wide(x), wide(weight), 1e-6), 16 * ROUNDING)
        close(ops.numpy(ops.normalize(a)), TRUTH.normalize(wide(x)), 16 * ROUNDING)


def test_norms_of_constant_and_zero_rows_are_finite(ops: Ops) -> None:
    w = ops.vector_weights(np.ones(20, np.float32))
    for value in (0.0, 5.0):
        x = ops.array(np.full((2, 20), value, np.float32))
        close(ops.numpy(ops.layer_norm(x, w, w, 1e-12)), np.ones((2, 20)), 1e-2)
        assert np.isfinite(ops.numpy(ops.rms_norm(x, w, 1e-12))).all()
        assert np.isfinite(ops.numpy(ops.normalize(x))).all()


def test_norms_take_columns_of_a_wider_matrix(ops: Ops, rng: np.random.Generator) -> None:
    full, weight = normal(rng, 6, 90), normal(rng, 33)
    x, w = ops.array(full)[:, 5:38], ops.vector_weights(weight)
    close(
        ops.numpy(ops.layer_norm(x, w, w, 1e-5)),
        TRUTH.layer_norm(wide(full[:, 5:38]), wide(weight), wide(weight), 1e-5),
        1e-5,
    )
    close(ops.numpy(ops.normalize(x)), TRUTH.normalize(wide(full[:, 5:38])), 16 * ROUNDING)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pool(ops: Ops, rng: np.random.Generator, pooling: str) -> None:
    for lengths in ((), (0,), (1,), (3, 0, 1), (0, 0, 300, 1, 2), (1,) * 70):
        for hidden in (1, 15, 16, 17, 100):
            x, offsets = normal(rng, sum(lengths), hidden), offsets_of(*lengths)
            close(
                ops.numpy(ops.pool(ops.array(x), offsets, pooling)),
                TRUTH.pool(wide(x), offsets, pooling),
                100 * ROUNDING,
            )


def test_embed(ops: Ops, rng: np.random.Generator) -> None:
    for hidden in (1, 7, 8, 9, 16, 33, 384):
        tables = [normal(rng, 20, hidden), normal(rng, 5, hidden).astype(np.float16), normal(rng, 40, hidden)]
        for tokens in (0, 1, 6, 90):
            indices = [rng.integers(0, len(table), tokens).astype(np.int32) for table in tables]
            for count in (1, 2, 3):
                ready = [ops.table_weights(table) for table in tables[:count]]
                got = ops.numpy(ops.embed(ready, indices[:count]))
                close(got, TRUTH.embed([wide(t) for t in tables[:count]], indices[:count]), 4 * ROUNDING)


def test_take(ops: Ops, rng: np.random.Generator) -> None:
    x = normal(rng, 9, 50)
    for rows in ([], [0], [8, 8, 0], list(range(9))):
        index = np.array(rows, np.int32)
        assert (ops.numpy(ops.take(ops.array(x), index)) == x[index]).all()
        assert (ops.numpy(ops.take(ops.array(x)[:, 3:20], index)) == x[index, 3:20]).all()


# -- attention -------------------------------------------------------------------------------------------------------

RAGGED = {
    "one": ((1,), (1,)),
    "empty": ((), ()),
    "short": ((3, 0, 17, 10), (3, 0, 17, 10)),
    "decoding": ((1, 1, 1), (300, 7, 1)),
    "few": ((2, 3, 4), (70, 33, 4)),
    "cross": ((40, 5, 13), (16, 90, 1)),
    "no keys": ((4, 20), (0, 33)),
    "long among short": ((2, 700, 1), (2, 700, 1)),
    "cut": ((200, 401), (200, 401)),
    "prefix": ((20, 12), (300, 12)),
}


@pytest.mark.parametrize("case", RAGGED)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_attention_over_ragged_batches(
    ops: Ops, rng: np.random.Generator, case: str, causal: bool, with_bias: bool
) -> None:
    for num_heads, num_kv_heads, size in ((2, 2, 32), (4, 2, 20)):
        bias = normal(rng, num_heads, 2 * 9 + 1) if with_bias else None
        check_attention(ops, rng, *RAGGED[case], num_heads, num_kv_heads, size, causal, bias)


@pytest.mark.parametrize("case", ["short", "decoding", "few", "no keys", "prefix"])
@pytest.mark.parametrize("window", [1, 2, 16, 37, 290])
def test_attention_to_a_window_of_the_last_keys(ops: Ops, rng: np.random.Generator, case: str, window: int) -> None:
    check_attention(ops, rng, *RAGGED[case], 2, 1, 20, True, normal(rng, 2, 2 * 9 + 1), window=window)
    check_paged(ops, rng, *RAGGED[case], causal=True, window=window)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 80, 128])
def test_attention_at_awkward_head_sizes(ops: Ops, rng: np.random.Generator, size: int) -> None:
    check_attention(ops, rng, (1, 13, 40), (5, 13, 40), 3, 1, size, size % 2 == 0, None)


@pytest.mark.parametrize("keys", [size for size in AWKWARD if size > 0] + [255, 256, 257, 513])
def test_attention_at_awkward_lengths(ops: Ops, rng: np.random.Generator, keys: int) -> None:
    check_attention(ops, rng, (1, keys), (keys, keys), 1, 1, 16, False, normal(rng, 1, 2 * keys + 3))


def test_attention_by_given_positions(ops: Ops, rng: np.random.Generator) -> None:
    positions = np.array([0, 5, 2, 2, 9, -1, 40], np.int32)  # any order; before the first and past the last key too
    for window in (None, 4):
        check_attention(ops, rng, (5, 2), (8, 30), 2, 1, 16, True, normal(rng, 2, 7), positions, window)


def test_attention_with_a_scale_and_large_scores(ops: Ops, rng: np.random.Generator) -> None:
    q, k, v = (normal(rng, 30, 32) * np.float32(20) for _ in range(3))
    offsets = offsets_of(30)
    for scale in (0.0, 1.0, 3.0):
        a, b, c = ops.array(q), ops.array(k), ops.array(v)
        got = ops.attention(a, b, c, offsets, offsets, num_heads=2, scale=scale)
        want = TRUTH.attention(wide(q), wide(k), wide(v), offsets, offsets, num_heads=2, scale=scale)
        # Scores in the thousands carry roundings of 1e-3, which the exponential makes relative errors of 1e-3.
        close(ops.numpy(got), want, 5e-3)


def check_attention(
    ops: Ops,
    rng: np.random.Generator,
    q_lengths: tuple[int, ...],
    kv_lengths: tuple[int, ...],
    num_heads: int,
    num_kv_heads: int,
    size: int,
    causal: bool,
    bias: Any,
    positions: Any = None,
    window: int | None = None,
) -> None:
    q_offsets, kv_offsets = offsets_of(*q_lengths), offsets_of(*kv_lengths)
    queries = normal(rng, sum(q_lengths), num_heads * size + 3)  # q, k and v are columns of wider matrices
    keys = normal(rng, sum(kv_lengths), 2 * num_kv_heads * size)
    q, k, v = (
        queries[:, 1 : 1 + num_heads * size],
        keys[:, : num_kv_heads * size],
        keys[:, num_kv_heads * size :],
    )
    options: dict[str, Any] = {
        "num_heads": num_heads,
        "num_kv_heads": num_kv_heads,
        "causal": causal,
        "q_positions": positions,
        "window": window,
    }
    whole_q, whole_k = ops.array(queries), ops.array(keys)
    got = ops.attention(
        whole_q[:, 1 : 1 + num_heads * size],
        whole_k[:, : num_kv_heads * size],
        whole_k[:, num_kv_heads * size :],
        q_offsets,
        kv_offsets,
        relative_bias=None if bias is None else ops.vector_weights(bias),
        **options,
    )
    want = TRUTH.attention(wide(q), wide(k), wide(v), q_offsets, kv_offsets, relative_bias=wide(bias), **options)
    # An average of values near 1 with weights from scores near 1: each of a few steps rounds once or twice.
    close(ops.numpy(got), want, 64 * ROUNDING)


# -- keys and values in blocks ---------------------------------------------------------------------------------------

GARBAGE = np.iinfo(np.int32).min


def paged(rng: np.random.Generator, lengths: tuple[int, ...], width: int, block_size: int) -> tuple[Any, Any, Any]:
    """A cache of random keys and values, tables of blocks in no order (with nonsense where none is used), lengths."""
    counts = [-(-length // block_size) for length in lengths]
    free = rng.permutation(sum(counts) + 2).astype(np.int32)
    tables = np.full((len(lengths), max(counts, default=0) + 1), GARBAGE, np.int32)
    cache = np.full((len(free) * block_size, 2 * width), np.nan, np.float32)
    taken = 0
    for table, count, length in zip(tables, counts, lengths, strict=True):
        table[:count] = free[taken : taken + count]
        taken += count
        places = np.arange(length)
        cache[table[places // block_size] * block_size + places % block_size] = normal(rng, length, 2 * width)
    return cache, tables, np.array(lengths, np.int32)


def check_paged(
    ops: Ops,
    rng: np.random.Generator,
    q_lengths: tuple[int, ...],
    kv_lengths: tuple[int, ...],
    heads: tuple[int, int] = (4, 2),
    size: int = 20,
    block_size: int = 16,
    **options: Any,
) -> None:
    num_heads, num_kv_heads = heads
    cache, tables, lengths = paged(rng, kv_lengths, num_kv_heads * size, block_size)
    queries, q_offsets = normal(rng, sum(q_lengths), num_heads * size + 3), offsets_of(*q_lengths)
    options |= {"block_size": block_size, "num_heads": num_heads, "num_kv_heads": num_kv_heads}
    bias = options.pop("relative_bias", None)
    got = ops.paged_attention(
        ops.array(queries)[:, 1 : 1 + num_heads * size],
        ops.array(cache),
        tables,
        q_offsets,
        lengths,
        relative_bias=None if bias is None else ops.vector_weights(bias),
        **options,
    )
    q = wide(queries[:, 1 : 1 + num_heads * size])
    want = TRUTH.paged_attention(q, wide(cache), tables, q_offsets, lengths, relative_bias=wide(bias), **options)
    close(ops.numpy(got), want, 64 * ROUNDING)


@pytest.mark.parametrize("case", RAGGED)
def test_paged_attention_over_ragged_batches(ops: Ops, rng: np.random.Generator, case: str) -> None:
    check_paged(ops, rng, *RAGGED[case])
    check_paged(ops, rng, *RAGGED[case], causal=True, relative_bias=normal(rng, 4, 2 * 9 + 1))


@pytest.mark.parametrize("block_size", [1, 4, 5, 16, 400])
def test_paged_attention_with_blocks_of_any_size(ops: Ops, rng: np.random.Generator, block_size: int) -> None:
    check_paged(ops, rng, (1, 3, 0, 20, 1), (300, 33, 5, 41, 0), block_size=block_size, causal=True)


@pytest.mark.parametrize("size", [1, 3, 4, 8, 15, 16, 17, 33, 64, 65, 80, 128])
@pytest.mark.parametrize("heads", [(1, 1), (6, 2), (8, 1)])
def test_paged_attention_at_awkward_head_sizes(
    ops: Ops, rng: np.random.Generator, size: int, heads: tuple[int, int]
) -> None:
    check_paged(ops, rng, (1, 3, 16, 17), (29, 3, 64, 17), heads, size, causal=size % 2 == 0)


@pytest.mark.parametrize("keys", [size for size in AWKWARD if size > 0] + [255, 256, 257, 513])
def test_paged_attention_at_awkward_lengths(ops: Ops, rng: np.random.Generator, keys: int) -> None:
    check_paged(ops, rng, (1, min(keys, 5), 20), (keys, keys, keys), causal=True, relative_bias=normal(rng, 4, 301))


def test_paged_attention_by_given_positions(ops: Ops, rng: np.random.Generator) -> None:
    places = np.array([0, 5, 2, 2, 9, -1, 40], np.int32)  # any order; before the first and past the last key too
    check_paged(ops, rng, (5, 2), (8, 30), causal=True, q_positions=places, relative_bias=normal(rng, 4, 7))


def test_paged_attention_reads_tables_that_are_columns_of_wider_ones(ops: Ops, rng: np.random.Generator) -> None:
    cache, tables, lengths = paged(rng, (40, 20), 8, 16)
    q, ends = normal(rng, 2, 8), offsets_of(1, 1)
    full = np.concatenate([tables, np.full((2, 5), GARBAGE, np.int32)], 1)
    a, b = ops.array(q), ops.array(cache)
    options: dict[str, Any] = {"block_size": 16, "num_heads": 1}
    got = ops.paged_attention(a, b, full[:, :3], ends, lengths, **options)
    assert (ops.numpy(got) == ops.numpy(ops.paged_attention(a, b, tables, ends, lengths, **options))).all()


@pytest.mark.parametrize("heads", [(2, 2), (6, 2)])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("window", [None, 21])
def test_a_querys_attention_is_the_same_with_others_beside_it_to_the_last_bit(
    kernels: Ops, rng: np.random.Generator, heads: tuple[int, int], with_bias: bool, window: int | None
) -> None:
    """Drafts are checked many at once, and what is accepted must be what one by one would have given."""
    size, most = 24, 16
    bias = normal(rng, heads[0], 41) if with_bias else None
    for keys in (16, 40, 300, 263):
        cache, tables, _ = paged(rng, (keys,), heads[1] * size, 16)
        q = normal(rng, most, heads[0] * size)

        def attend(begin: int, end: int, keys: int = keys, cache: Any = cache, tables: Any = tables, q: Any = q) -> Any:
            return kernels.paged_attention(
                q[begin:end],
                cache,
                tables,
                offsets_of(end - begin),
                np.array([keys - most + end], np.int32),
                block_size=16,
                num_heads=heads[0],
                num_kv_heads=heads[1],
                causal=True,
                window=window,
                relative_bias=bias,
            )

        alone = np.concatenate([attend(i, i + 1) for i in range(most)])
        for count in (2, 3, 5, 11, 16):
            for begin in range(0, most - count + 1, 3):
                assert (attend(begin, begin + count) == alone[begin : begin + count]).all()


@pytest.mark.parametrize("causal", [False, True])
def test_paged_attention_in_a_batch_equals_one_by_one_to_the_last_bit(
    kernels: Ops, rng: np.random.Generator, causal: bool
) -> None:
    q_lengths, kv_lengths = (1, 3, 16, 0, 40, 1), (600, 3, 20, 8, 41, 1)
    cache, tables, lengths = paged(rng, kv_lengths, 32, 16)
    q, ends = normal(rng, sum(q_lengths), 64), offsets_of(*q_lengths)
    options: dict[str, Any] = {"block_size": 16, "num_heads": 4, "num_kv_heads": 2, "causal": causal}
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(3)
        together = kernels.paged_attention(q, cache, tables, ends, lengths, **options)
        threads.set_num_threads(1)
        for s, (begin, end) in enumerate(itertools.pairwise(ends)):
            one = slice(s, s + 1)
            alone = kernels.paged_attention(
                q[begin:end], cache, tables[one], offsets_of(int(end - begin)), lengths[one], **options
            )
            assert (alone == together[begin:end]).all()
    finally:
        threads.set_num_threads(before)


def test_store(ops: Ops, rng: np.random.Generator) -> None:
    for width in (1, 7, 64):
        cache = ops.new_cache(2, 30, width)
        assert tuple(cache.shape) == (2, 30, width)
        before, rows = normal(rng, 30, width), rng.permutation(30).astype(np.int32)
        full = normal(rng, 30, width + 5)
        ops.store(cache[1], np.arange(30, dtype=np.int32), ops.array(before))
        for count in (0, 1, 9):
            ops.store(cache[1], rows[:count], ops.array(full)[:count, 2 : 2 + width])
            want = before.copy()
            want[rows[:count]] = full[:count, 2 : 2 + width]
            assert (ops.numpy(cache[1]) == want).all()


# -- rotary positions, gates -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gate(ops: Ops, rng: np.random.Generator, activation: str) -> None:
    for inner in (1, 7, 16, 33, 512):
        full = normal(rng, 9, 2 * inner + 4)
        for rows in (0, 1, 9):
            got = ops.gate(ops.array(full)[:rows, 3 : 3 + 2 * inner], activation)
            close(ops.numpy(got), TRUTH.gate(wide(full[:rows, 3 : 3 + 2 * inner]), activation), 8 * ROUNDING)


def test_rotate(ops: Ops, rng: np.random.Generator) -> None:
    for num_heads, size, half in ((1, 2, 1), (3, 8, 4), (2, 20, 7), (2, 33, 16), (4, 64, 32), (2, 80, 17), (1, 5, 0)):
        cosines, sines = normal(rng, 11, half), normal(rng, 11, half)
        full = normal(rng, 40, num_heads * size + 6)
        for tokens in (0, 1, 40):
            places = rng.integers(0, 11, tokens).astype(np.int32)
            x = full[:tokens, 5 : 5 + num_heads * size]
            got = ops.rotate(
                ops.array(full)[:tokens, 5 : 5 + num_heads * size],
                ops.vector_weights(cosines),
                ops.vector_weights(sines),
                places,
                num_heads,
            )
            close(ops.numpy(got), TRUTH.rotate(wide(x), wide(cosines), wide(sines), places, num_heads), 4 * ROUNDING)


# -- on logits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 63, 64, 65, 257, 4099])
def test_log_softmax(ops: Ops, rng: np.random.Generator, columns: int) -> None:
    full = normal(rng, 7, columns + 3) * np.float32(10)
    for rows in (0, 1, 7):
        x = full[:rows, 2 : 2 + columns]
        close(ops.numpy(ops.log_softmax(ops.array(full)[:rows, 2 : 2 + columns])), TRUTH.log_softmax(wide(x)), 2e-6)


def test_log_softmax_keeps_what_has_no_chance(ops: Ops) -> None:
    x = np.array([[0.0, -np.inf, 0.0], [-np.inf, 500.0, -np.inf], [-np.inf] * 3, [-300.0, 0.0, 300.0]], np.float32)
    got = ops.numpy(ops.log_softmax(ops.array(x)))
    half = np.log(np.float32(0.5))
    assert np.abs(got[0, [0, 2]] - half).max() < 1e-6
    assert got[1].tolist() == [-np.inf, 0.0, -np.inf]
    assert np.isneginf(got[0, 1])
    assert np.isneginf(got[2]).all()
    assert got[3].tolist() == [-600.0, -300.0, 0.0]


def test_log_softmax_of_many_columns_sums_to_one(ops: Ops, rng: np.random.Generator) -> None:
    got = ops.numpy(ops.log_softmax(ops.array(normal(rng, 2, 100_003))))
    assert np.abs(np.exp(got.astype(np.float64)).sum(-1) - 1).max() < 1e-5


@pytest.mark.parametrize("columns", [1, 2, 15, 16, 17, 255, 256, 257, 300, 4099, 70_001])
def test_top(ops: Ops, rng: np.random.Generator, columns: int) -> None:
    full = normal(rng, 3, columns + 3)
    kinds = {
        "drawn": full,
        "rising": np.sort(full, -1),
        "falling": -np.sort(-full, -1),
        "few values": np.round(full),
        "constant": np.zeros_like(full),
        "mostly minus infinity": np.where(full > 2, full, -np.inf).astype(np.float32),
        "zeros of both signs": np.where(full > 0, np.float32(0), np.float32(-0.0)),
    }
    for kind, x in kinds.items():
        for count in {1, 2, min(10, columns), min(100, columns)} & set(range(1, columns + 1)):
            for rows in (0, 1, 3):
                values, places = ops.top(x[:rows, 1 : 1 + columns], count)
                want, meant = TRUTH.top(x[:rows, 1 : 1 + columns], count)
                assert places.dtype == np.int32
                assert (values == want).all(), kind
                assert (places == meant).all(), kind


@settings(max_examples=50, deadline=None)
@given(columns=st.integers(1, 1200), levels=st.integers(1, 40), seed=st.integers(0, 99), data=st.data())
@pytest.mark.parametrize("name", engine_names())
def test_top_takes_equals_from_the_left(name: str, columns: int, levels: int, seed: int, data: Any) -> None:
    x = np.random.default_rng(seed).integers(0, levels, (2, columns)).astype(np.float32)
    count = data.draw(st.integers(1, columns))
    values, places = make_engine(name).top(x, count)
    want, meant = TRUTH.top(x, count)
    assert (values == want).all()
    assert (places == meant).all()


# -- places where training does something else -----------------------------------------------------------------------


def test_outside_training_nothing_is_dropped_or_done_twice(ops: Ops, rng: np.random.Generator) -> None:
    x, residual = ops.array(normal(rng, 5, 12)), ops.array(normal(rng, 5, 9))
    weights = ops.linear_weights(normal(rng, 9, 12), normal(rng, 9))
    assert all(ops.drop(x, place) is x for place in PLACES)
    want = ops.numpy(ops.linear(x, weights, None, residual))
    close(ops.numpy(ops.linear_onto(x, weights, residual, "attended")), want, 4 * ROUNDING)
    calls: list[Any] = []
    assert ops.within(weights, lambda *given: calls.append(given) or 7, 1, 2) == 7
    assert calls == [(ops, weights, 1, 2)]


def test_columns_lie_side_by_side(ops: Ops, rng: np.random.Generator) -> None:
    x = normal(rng, 5, 12)
    parts = [ops.numpy(part) for part in ops.columns(ops.array(x), (3, 8, 1))]
    for part, want in zip(parts, np.split(x, (3, 11), 1), strict=True):
        assert (part == want).all()


# -- what every engine owes ------------------------------------------------------------------------------------------


def test_every_engine_has_the_signatures_of_the_base(ops: Ops) -> None:
    for name, meant in inspect.getmembers(Ops, inspect.isfunction):
        if not name.startswith("_"):
            had = inspect.signature(getattr(type(ops), name))
            assert list(had.parameters) == list(inspect.signature(meant).parameters), name
            for parameter, spec in inspect.signature(meant).parameters.items():
                assert (had.parameters[parameter].kind, had.parameters[parameter].default) == (spec.kind, spec.default)


def layer(ops: Ops, x: Any, offsets: Any) -> Any:
    """A transformer layer: what the laws below are tried on."""
    rng = np.random.default_rng(1)
    h = x.shape[1]
    shapes = [(3 * h, h), (h, h), (4 * h, h), (h, 4 * h)]
    qkv, out, up, down = (
        ops.linear_weights(normal(rng, *s) / np.float32(s[1]) ** 0.5, normal(rng, s[0])) for s in shapes
    )
    w = ops.vector_weights(normal(rng, h))
    fused = ops.linear(ops.array(x), qkv)
    attended = ops.attention(fused[:, :h], fused[:, h : 2 * h], fused[:, 2 * h :], offsets, offsets, num_heads=4)
    y = ops.layer_norm(ops.linear(attended, out, None, ops.array(x)), w, w, 1e-5)
    return ops.numpy(ops.layer_norm(ops.linear(ops.linear(y, up, "gelu"), down, None, y), w, w, 1e-5))


def test_batch_equals_one_by_one_to_the_last_bit(kernels: Ops, rng: np.random.Generator) -> None:
    lengths = [1, 30, 2, 300, 13, 0, 5]
    x, offsets = normal(rng, sum(lengths), 64), offsets_of(*lengths)
    together = layer(kernels, x, offsets)
    for begin, end in itertools.pairwise(offsets):
        alone = layer(kernels, x[begin:end], offsets_of(int(end - begin)))
        assert (alone == together[begin:end]).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_do_not_depend_on_threads_or_run(kernels: Ops, rng: np.random.Generator, count: int) -> None:
    x, offsets = normal(rng, 150, 96), offsets_of(100, 0, 50)
    before = threads.get_num_threads()
    try:
        threads.set_num_threads(1)
        want = layer(kernels, x, offsets)
        threads.set_num_threads(count)
        for _ in range(5):
            assert (layer(kernels, x, offsets) == want).all()
    finally:
        threads.set_num_threads(before)


def test_python_threads_may_compute_at_once(ops: Ops, rng: np.random.Generator, two_threads: None) -> None:
    inputs = [normal(rng, 60 + i, 64) for i in range(6)]
    want = [layer(ops, x, offsets_of(len(x))) for x in inputs]
    worst = [np.inf] * len(inputs)

    def work(i: int) -> None:
        results = [layer(ops, inputs[i], offsets_of(len(inputs[i]))) for _ in range(8)]
        worst[i] = max(float(np.abs(result - want[i]).max()) for result in results)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert max(worst) < 1e-5


def in_child(x: Any, want: Any, result: Any) -> None:
    same = (layer(native.NativeOps(), x, offsets_of(len(x))) == want).all()
    result.put(bool(same))


@needs_native
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_with_threads_of_its_own(rng: np.random.Generator, two_threads: None) -> None:
    x = normal(rng, 200, 64)
    want = layer(native.NativeOps(), x, offsets_of(200))  # the pool lives now, and its threads stay in the parent
    context = multiprocessing.get_context("fork")
    result = context.SimpleQueue()
    child = context.Process(target=in_child, args=(x, want, result))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert result.get() is True
    assert (layer(native.NativeOps(), x, offsets_of(200)) == want).all()


def test_weights_pickle(kernels: Any, rng: np.random.Generator) -> None:
    weight, bias, x = normal(rng, 50, 33), normal(rng, 50), normal(rng, 4, 33)
    for given_bias in (bias, None):
        packed = kernels.linear_weights(weight, given_bias)
        copy = pickle.loads(pickle.dumps(packed))
        assert (copy.outputs, copy.inputs) == (50, 33)
        assert (copy.unpack() == weight).all()
        close(kernels.linear(x, copy), wide(kernels.linear(x, packed)), 40 * ROUNDING)
    assert isinstance(pickle.loads(pickle.dumps(kernels)), type(kernels))


def test_results_outlive_their_engine_and_are_not_shared(kernels: Ops, rng: np.random.Generator) -> None:
    x, packed = normal(rng, 3, 8), kernels.linear_weights(normal(rng, 8, 8))
    first = kernels.linear(x, packed)
    kept = first.copy()
    first_view = first[1:]
    del first
    others = [kernels.linear(x + 1, packed) for _ in range(5)]
    assert (first_view == kept[1:]).all()
    assert all((other == others[0]).all() for other in others)


# -- what is refused -------------------------------------------------------------------------------------------------


def wrong_calls(ops: Any) -> dict[str, tuple[Callable[[], object], type[PanpipeError], str]]:
    x, packed = np.zeros((3, 4), np.float32), ops.linear_weights(np.zeros((5, 4), np.float32))
    vector, index = np.zeros(4, np.float32), np.array([0, 3], np.int32)
    ends, four = offsets_of(3), np.zeros((3, 16), np.float32)

    def attend(k: Any = x, kv_offsets: Any = ends, num_heads: int = 2, **options: Any) -> object:
        return ops.attention(x, k, x, ends, kv_offsets, num_heads=num_heads, **options)

    logits, two_columns = np.zeros((2, 6), np.float32), np.zeros((4, 2), np.float32)
    read_only = np.zeros((3, 4), np.float32)
    read_only.flags.writeable = False

    def attend_blocks(
        cache: Any = np.zeros((8, 8), np.float32),  # noqa: B008
        table: Any = (0, 1),
        length: int = 8,
        block_size: int = 4,
        **options: Any,
    ) -> object:
        tables, lengths = np.array([table], np.int32), np.array([length], np.int32)
        return ops.paged_attention(x, cache, tables, ends, lengths, block_size=block_size, num_heads=2, **options)

    def turn(table: Any = two_columns, positions: Any = (0, 1, 3), num_heads: int = 1) -> object:
        return ops.rotate(x, table, table, np.array(positions, np.int32), num_heads)

    return {
        "cache": (lambda: attend_blocks(cache=four), ShapeError, r"cache is float32 \[3, 16\].*2 \* 2 \* head_size"),
        "blocks": (lambda: attend_blocks(table=(0, 2)), InvalidArgument, "tables has the value 2; .* blocks 0 to 1"),
        "negative block": (lambda: attend_blocks(table=(-1, 0)), InvalidArgument, "tables has the value -1"),
        "half a block": (lambda: attend_blocks(block_size=5, length=6), InvalidArgument, "blocks 0 to 0"),
        "too many keys": (lambda: attend_blocks(length=9), InvalidArgument, "value 9; 2 blocks of 4 hold 0 to 8"),
        "fewer than no keys": (lambda: attend_blocks(length=-1), InvalidArgument, "kv_lengths has the value -1"),
        "block size": (lambda: attend_blocks(block_size=0), InvalidArgument, "block_size is 0"),
        "tables of others": (
            lambda: ops.paged_attention(
                x,
                np.zeros((8, 8), np.float32),
                np.zeros((2, 1), np.int32),
                ends,
                offsets_of(3)[1:],
                block_size=4,
                num_heads=2,
            ),
            ShapeError,
            "with 1 sequences",
        ),
        "int64 tables": (
            lambda: ops.paged_attention(
                x, x, np.zeros((1, 1), np.int64), ends, offsets_of(3)[1:], block_size=1, num_heads=2, num_kv_heads=1
            ),
            ShapeError,
            "tables is int64",
        ),
        "paged kv heads": (lambda: attend_blocks(num_kv_heads=3), InvalidArgument, "must divide"),
        "window": (lambda: attend(causal=True, window=0), InvalidArgument, "window is 0"),
        "paged positions": (lambda: attend_blocks(q_positions=index), ShapeError, "2 values for 3 queries"),
        "store row": (lambda: ops.store(x.copy(), index, x[:2]), InvalidArgument, "rows has the value 3"),
        "store columns": (lambda: ops.store(four.copy(), index, x[:2]), ShapeError, r"it must be \[2, 16\]"),
        "store count": (lambda: ops.store(x.copy(), index, x), ShapeError, "in 2 rows"),
        "store in what is read-only": (lambda: ops.store(read_only, index[:1], x[:1]), ShapeError, "written to"),
        "odd gate": (lambda: ops.gate(np.zeros((2, 3), np.float32), "silu"), ShapeError, "two halves"),
        "gate's activation": (lambda: ops.gate(x, "gelo"), InvalidArgument, "Did you mean 'gelu'"),
        "wide rotation": (lambda: turn(num_heads=2), ShapeError, "at most the head size, 2"),
        "rotated heads": (lambda: turn(num_heads=3), ShapeError, "with 3 heads"),
        "rotated positions": (lambda: turn(positions=(0, 1)), ShapeError, "with 2 positions"),
        "a position past the last": (lambda: turn(positions=(0, 4, 1)), InvalidArgument, "positions has the value 4"),
        "more than there are": (lambda: ops.top(logits, 7), InvalidArgument, "count is 7; .* 1 to 6"),
        "none": (lambda: ops.top(logits, 0), InvalidArgument, "count is 0"),
        "what is no number": (lambda: ops.top(logits * np.float32(np.nan), 1), InvalidArgument, "row 0 of x has fewer"),
        "columns": (
            lambda: ops.linear(four, packed),
            ShapeError,
            r"x is float32 \[3, 16\], but the weight .* \[5, 4\]",
        ),
        "dtype": (lambda: ops.linear(wide(x), packed), ShapeError, r"x is float64 \[3, 4\]; it must be a float32"),
        "dimensions": (lambda: ops.linear(vector, packed), ShapeError, r"x is float32 \[4\]"),
        "a list": (lambda: ops.linear([[1.0] * 4], packed), ShapeError, "x is a list"),
        "turned": (lambda: ops.linear(np.zeros((4, 3), np.float32).T, packed), ShapeError, "not contiguous"),
        "residual": (lambda: ops.linear(x, packed, None, x), ShapeError, r"residual is float32 \[3, 4\]; .* \[3, 5\]"),
        "activation": (lambda: ops.linear(x, packed, "gelo"), InvalidArgument, "'gelo'.*Did you mean 'gelu'"),
        "bias": (lambda: ops.linear_weights(np.zeros((5, 4), np.float32), vector), ShapeError, "bias has 4 values"),
        "norm": (lambda: ops.layer_norm(four, vector, vector, 1e-5), ShapeError, "one for each column"),
        "index": (lambda: ops.take(x, index), InvalidArgument, "has the value 3; there are rows 0 to 2"),
        "negative index": (lambda: ops.embed([x], [index - 4]), InvalidArgument, "has the value -1"),
        "int64 index": (lambda: ops.take(x, index.astype(np.int64)), ShapeError, "int32"),
        "tables": (lambda: ops.embed([x, four], [index[:1], index[:1]]), ShapeError, "table 1"),
        "no tables": (lambda: ops.embed([], []), ShapeError, "1 to 4 tables"),
        "offsets": (lambda: ops.pool(x, offsets_of(2), "mean"), ShapeError, "offsets must rise from 0 to .* 3"),
        "falling": (lambda: ops.pool(x, np.array([0, 4, 3], np.int32), "mean"), ShapeError, "must rise"),
        "pooling": (lambda: ops.pool(x, ends, "maen"), InvalidArgument, "Did you mean 'mean'"),
        "heads": (lambda: attend(num_heads=3), ShapeError, r"with 3 heads"),
        "kv heads": (lambda: attend(num_heads=4, num_kv_heads=3), InvalidArgument, "must divide"),
        "keys": (lambda: attend(k=four), ShapeError, "k is float32"),
        "sequences": (lambda: attend(kv_offsets=offsets_of(1, 2)), ShapeError, r"sequences \+ 1"),
        "relative": (lambda: attend(relative_bias=np.zeros((2, 4), np.float32)), ShapeError, r"2 \* span \+ 1"),
        "positions": (lambda: attend(q_positions=index), ShapeError, "2 values for 3 queries"),
    }


WRONG = [*wrong_calls(native.NativeOps())] if native is not None else []


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments_are_refused_in_words(kernels: Any, case: str) -> None:
    call, error, words = wrong_calls(kernels)[case]
    with pytest.raises(error, match=words):
        call()


@needs_native
def test_unknown_instruction_sets_are_refused_with_what_there_is() -> None:
    with pytest.raises(EngineError, match=r"'avx1024'.*There is: .*scalar"):
        native.NativeOps("avx1024")


@needs_native
@pytest.mark.parametrize(("value", "words"), [("scalar", "scalar\n"), ("sse9", "EngineError"), ("", "")])
def test_the_environment_chooses_the_instruction_set(value: str, words: str) -> None:
    code = "from panpipe.ops import get_ops; print(get_ops('native').isa)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PANPIPE_ISA": value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert words in ran.stdout + ran.stderr
    assert (ran.returncode == 0) is (value != "sse9")


# -- threads ---------------------------------------------------------------------------------------------------------


def test_the_number_of_threads_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(InvalidArgument, match="set_num_threads"):
            threads.set_num_threads(wrong)  # type: ignore[arg-type]
    monkeypatch.setattr(threads, "_chosen", None)
    monkeypatch.setenv("PANPIPE_NUM_THREADS", "3")
    assert threads.get_num_threads() == 3
    monkeypatch.setenv("PANPIPE_NUM_THREADS", "many")
    with pytest.raises(InvalidArgument, match="PANPIPE_NUM_THREADS is 'many'"):
        threads.get_num_threads()
    monkeypatch.delenv("PANPIPE_NUM_THREADS")
    assert threads.get_num_threads() == threads.available_cpus() >= 1


@pytest.mark.parametrize(
    ("files", "membership", "quota"),
    [
        ({}, "0::/\n", None),
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu.max": "max 100000\n"}, "0::/\n", None),
        ({"a/cpu.max": "50000 100000\n", "a/b/cpu.max": "400000 100000\n"}, "0::/a/b\n", 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "4:cpu,cpuacct:/\n", None),
        (
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"},
            "4:cpu,cpuacct:/job\n",
            3.0,
        ),
        ({"cpu.max": "nonsense\n"}, "0::/../..\n", None),
    ],
)
def test_a_control_groups_quota_limits_the_threads(
    tmp_path: Any, files: dict[str, str], membership: str, quota: float | None
) -> None:
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text)
    (tmp_path / "cgroup").write_text(membership)
    assert threads._cgroup_quota(tmp_path / "fs", tmp_path / "cgroup") == quota
