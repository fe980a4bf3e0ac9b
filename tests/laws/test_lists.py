"""Matrices as lists of Python floats, on every engine."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from panpipe.ops import get_ops
from tests.engines import ENGINES


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (1, 1), (5, 17)])
def test_they_are_the_same_floats(engine: str, shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(0).standard_normal(shape, np.float32)
    assert get_ops(engine).lists(matrix) == matrix.tolist()
    wide = np.hstack([matrix, matrix])
    assert get_ops(engine).lists(wide[:, shape[1] :]) == matrix.tolist()


@pytest.mark.parametrize("engine", ENGINES)
def test_they_are_ordinary_lists(engine: str) -> None:
    class Marked:
        pass

    rows = get_ops(engine).lists(np.ones((2, 3), np.float32))
    marked = Marked()
    seen = weakref.ref(marked)
    rows[0].append(marked)  # type: ignore[arg-type]
    rows[1][:] = rows[0]
    rows[0].sort(key=id)
    del marked, rows
    gc.collect()
    assert seen() is None
