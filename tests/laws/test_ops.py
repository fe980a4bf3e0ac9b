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
from panpipe.ops.base import ACTIVATIONS, POOLINGS, Ops

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


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 80, 128])
def test_attention_at_awkward_head_sizes(ops: Ops, rng: np.random.Generator, size: int) -> None:
    check_attention(ops, rng, (1, 13, 40), (5, 13, 40), 3, 1, size, size % 2 == 0, None)


@pytest.mark.parametrize("keys", [size for size in AWKWARD if size > 0] + [255, 256, 257, 513])
def test_attention_at_awkward_lengths(ops: Ops, rng: np.random.Generator, keys: int) -> None:
    check_attention(ops, rng, (1, keys), (keys, keys), 1, 1, 16, False, normal(rng, 1, 2 * keys + 3))


def test_attention_by_given_positions(ops: Ops, rng: np.random.Generator) -> None:
    positions = np.array([0, 5, 2, 2, 9, -1, 40], np.int32)  # any order; before the first and past the last key too
    check_attention(ops, rng, (5, 2), (8, 30), 2, 1, 16, True, normal(rng, 2, 7), positions)


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

    return {
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
