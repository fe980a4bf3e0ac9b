"""CTranslate2's encoder, float32: padding-free like ours inside a batch, on rectangles outside."""

from __future__ import annotations

import os
from typing import ClassVar

import ctranslate2
import numpy as np

from benchmarks.cases import MODELS, Case, Forward
from benchmarks.peers.loops import Array, sorted_loop
from benchmarks.peers.serving import Peer, Work, serve


class CTranslate2Peer(Peer):
    """One batch at a time on all threads."""

    packages: ClassVar = ("ctranslate2",)

    def load(self, case: Case) -> Work:
        encoder = ctranslate2.Encoder(
            str(MODELS[case.model].ctranslate2),
            device="cpu",
            compute_type="float32",
            inter_threads=1,
            intra_threads=int(os.environ["OMP_NUM_THREADS"]),
        )

        def run(ids: Array, mask: Array) -> Array:
            lengths = ctranslate2.StorageView.from_array(mask.sum(1, dtype=np.int32))
            output = encoder.forward_batch(ctranslate2.StorageView.from_array(ids.astype(np.int32)), lengths)
            return np.array(output.last_hidden_state)

        if isinstance(case, Forward):
            ids = case.ids()
            mask = (ids > 0).astype(ids.dtype)
            return lambda variant, texts: run(ids, mask)
        return sorted_loop(run, case)


if __name__ == "__main__":
    serve(CTranslate2Peer())
