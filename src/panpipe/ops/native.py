"""The native engine: the operations of `base` by C++ kernels (`native/`), on NumPy float32 arrays.

Matrices may be slices of wider ones (rows at a stride); any other dtype is refused, except where weights are made ready
(float16 too). Results do not depend on what else is in the batch, on the number of threads or on the run, to the last
bit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import threads
from ..errors import EngineError, InvalidArgument, did_you_mean
from .base import ACTIVATIONS, POOLINGS, Array, Ints, Ops

try:
    from .. import _native
except ImportError as error:
    raise EngineError(
        f"the native kernels are not built here ({error}). To build them, reinstall panpipe where a C++ compiler is: "
        "pip install --force-reinstall --no-binary panpipe panpipe (in a source checkout: pip install -e .)."
    ) from error

__all__ = ["NativeOps", "available_isas", "fma_peak", "memory_rate"]

ISA_VARIABLE = "PANPIPE_ISA"

# The kernels' numbers for the names, in the order of the enumerations in native/src/engine.h.
_ACTIVATIONS: dict[str | None, int] = {None: 0, "gelu": 1, "gelu_tanh": 2, "relu": 3, "silu": 4, "tanh": 5}
_POOLINGS = {"mean": 0, "cls": 1, "last": 2, "max": 3}


class NativeOps(Ops):
    """The kernels of one instruction set: the machine's best, or PANPIPE_ISA, or the one named.

    Raises EngineError if this machine or this build lacks it.
    """

    name: ClassVar[str] = "native"

    def __init__(self, isa: str | None = None) -> None:
        name = isa or os.environ.get(ISA_VARIABLE) or available_isas()[0]
        if name not in available_isas():
            source = "" if isa else f"{ISA_VARIABLE}="
            raise EngineError(
                f"{source}{name!r} is not an instruction set of this machine and build."
                f"{did_you_mean(name, available_isas())} There is: {', '.join(available_isas())}."
            )
        self._engine = _native.Engine(name)
        _native.set_num_threads(threads.get_num_threads())

    @property
    def isa(self) -> str:
        """The instruction set: 'avx512', 'avx2', 'neon' or 'scalar'."""
        return self._engine.isa

    def __reduce__(self) -> tuple[type[NativeOps], tuple[()]]:
        return type(self), ()  # the reader's machine may be another: it takes its own best

    def array(self, values: npt.NDArray[Any]) -> Array:
        return np.ascontiguousarray(values, np.float32)

    def lists(self, array: npt.NDArray[Any]) -> list[list[float]]:
        return _native.to_lists(array)

    def linear_weights(self, weight: npt.NDArray[Any], bias: npt.NDArray[Any] | None = None) -> _native.LinearWeight:
        if weight.dtype not in (np.float32, np.float16) or not weight.flags.aligned:
            weight = weight.astype(np.float32)
        return self._engine.pack(weight, None if bias is None else np.ascontiguousarray(bias, np.float32))

    def table_weights(self, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
        is_half = table.dtype == np.float16
        return np.require(table, np.float16 if is_half else np.float32, ("C_CONTIGUOUS", "ALIGNED"))

    def vector_weights(self, vector: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return np.require(vector, np.float32, ("C_CONTIGUOUS", "ALIGNED"))

    def embed(self, tables: Sequence[Any], indices: Sequence[Ints]) -> Array:
        return self._engine.embed(tables, indices)

    def take(self, x: Array, rows: Ints) -> Array:
        return self._engine.take(x, rows)

    def linear(self, x: Array, weights: Any, activation: str | None = None, residual: Array | None = None) -> Array:
        return self._engine.linear(x, weights, _number(_ACTIVATIONS, activation), residual)

    def activate(self, x: Array, activation: str) -> Array:
        return self._engine.activate(np.ascontiguousarray(x), _number(_ACTIVATIONS, activation))

    def gate(self, x: Array, activation: str) -> Array:
        return self._engine.gate(x, _number(_ACTIVATIONS, activation))

    def rotate(self, x: Array, cosines: Any, sines: Any, positions: Ints, num_heads: int) -> Array:
        return self._engine.rotate(x, cosines, sines, positions, num_heads)

    def layer_norm(self, x: Array, weight: Any, bias: Any, epsilon: float) -> Array:
        return self._engine.layer_norm(x, weight, bias, epsilon)

    def rms_norm(self, x: Array, weight: Any, epsilon: float) -> Array:
        return self._engine.rms_norm(x, weight, epsilon)

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
        return self._engine.attention(
            q,
            k,
            v,
            q_offsets,
            kv_offsets,
            num_heads,
            num_kv_heads or num_heads,
            math.nan if scale is None else scale,
            causal,
            window,
            None if relative_bias is None else self.vector_weights(relative_bias),  # may be a view
            q_positions,
        )

    def store(self, cache: Array, rows: Ints, x: Array) -> None:
        self._engine.store(cache, rows, x)

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
        """As in the base; the same to the last bit for a sequence's query alone and with up to 15 others."""
        return self._engine.paged_attention(
            q,
            cache,
            tables,
            q_offsets,
            kv_lengths,
            block_size,
            num_heads,
            num_kv_heads or num_heads,
            math.nan if scale is None else scale,
            causal,
            window,
            None if relative_bias is None else self.vector_weights(relative_bias),  # may be a view
            q_positions,
        )

    def log_softmax(self, x: Array) -> Array:
        return self._engine.log_softmax(x)

    def top(self, x: npt.NDArray[Any], count: int) -> tuple[npt.NDArray[Any], Ints]:
        return self._engine.top(x, count)

    def pool(self, x: Array, offsets: Ints, pooling: str) -> Array:
        return self._engine.pool(x, offsets, _number(_POOLINGS, pooling))

    def normalize(self, x: Array) -> Array:
        return self._engine.normalize(x)


def available_isas() -> list[str]:
    """The instruction sets that this machine has and this build was made for, the best first."""
    return _native.available_isas()


def fma_peak(num_threads: int, seconds: float = 0.2) -> float:
    """The most that many threads can compute, in float32 GFLOP/s: fused multiply-adds on registers alone."""
    return _native.measure_fma_peak(num_threads, seconds)


def memory_rate(num_threads: int, seconds: float = 0.5) -> float:
    """How fast that many threads can read memory one after another, in GB/s."""
    return _native.measure_memory_rate(num_threads, seconds)


def _number(numbers: dict[Any, int], name: str | None) -> int:
    try:
        return numbers[name]
    except KeyError:
        choices = ACTIVATIONS if numbers is _ACTIVATIONS else POOLINGS
        raise InvalidArgument(
            f"{name!r} is not one of: {', '.join(choices)}.{did_you_mean(str(name), choices)}"
        ) from None
