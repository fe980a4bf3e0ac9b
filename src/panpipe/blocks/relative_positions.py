"""Relative position buckets: a bias per head and distance, learnt for few near distances and many far ones together.

Source: Raffel et al. 2020 (T5), arXiv:1910.10683, section 2.1; MPNet takes it over.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["bucket_of_distance"]


@cache
def bucket_of_distance(num_buckets: int, max_distance: int, bidirectional: bool) -> npt.NDArray[np.int32]:
    """int32 [2 * max_distance + 1]: the bucket of each distance key - query from -max_distance to max_distance.

    Beyond max_distance the bucket no longer changes, so the table, clipped at its ends, holds for any length.
    """
    distance = np.arange(-max_distance, max_distance + 1)
    bucket = np.zeros(len(distance), np.int32)
    behind = -distance
    if bidirectional:
        num_buckets //= 2
        bucket += (behind < 0) * np.int32(num_buckets)
        behind = np.abs(behind)
    else:
        behind = np.maximum(behind, 0)
    exact = num_buckets // 2
    # float32, as the models were trained: in float64 some distances on a border fall into the next bucket
    ratio = np.log(np.maximum(behind, 1).astype(np.float32) / exact) / np.float32(math.log(max_distance / exact))
    far = np.minimum(exact + (ratio * np.float32(num_buckets - exact)).astype(np.int32), num_buckets - 1)
    bucket += np.where(behind < exact, behind, far).astype(np.int32)
    bucket.flags.writeable = False
    return bucket
