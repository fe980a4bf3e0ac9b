"""The rows whose vectors are nearest to another, by exact comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ShapeError
from .columns import Column

__all__ = ["VectorIndex"]

_BLOCK = 65536


class VectorIndex:
    """vectors: float32 [rows, size].   by_product: the largest inner products are nearest, else the least distances."""

    def __init__(self, vectors: NDArray[np.float32], by_product: bool) -> None:
        self.vectors = vectors
        self.by_product = by_product

    @staticmethod
    def of(column: Column, name: str, metric_type: Any) -> VectorIndex:
        """Of a column of vectors of one size.   Raises DataError."""
        vectors = [np.asarray(column.array(row), np.float32).reshape(-1) for row in range(len(column))]
        if len({vector.shape for vector in vectors}) != 1 or not vectors[0].size:
            raise DataError(f"the column {name!r} must hold vectors of one size.")
        return VectorIndex(np.stack(vectors), metric_type in (0, "inner_product"))

    def nearest(self, query: Any, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(scores, rows) of the k nearest: squared distances increasing, or inner products decreasing."""
        vector = np.asarray(query, np.float32).reshape(-1)
        if vector.shape != self.vectors.shape[1:]:
            raise ShapeError(
                f"the query has {vector.size} numbers; the vectors of the index have {self.vectors.shape[1]}."
            )
        scores = np.concatenate(
            [
                self._scores(self.vectors[begin : begin + _BLOCK], vector)
                for begin in range(0, len(self.vectors), _BLOCK)
            ]
        )
        order = np.argsort(-scores if self.by_product else scores, kind="stable")[:k]
        return scores[order], order

    def _scores(self, vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors @ query if self.by_product else np.square(vectors - query).sum(axis=1)
