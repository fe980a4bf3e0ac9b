"""panpipe, as installed by pip from this checkout. Measures the machine's limits too."""

from __future__ import annotations

import os
from typing import ClassVar

from benchmarks.cases import MODELS, Case, Forward
from benchmarks.peers.serving import Peer, Work, serve
from panpipe import pipeline
from panpipe.batch import Batch
from panpipe.models import load_model
from panpipe.ops.native import available_isas, fma_peak, memory_rate


class PanpipePeer(Peer):
    """The batch is made anew for each forward pass; the pipeline chooses its own batches."""

    packages: ClassVar = ("panpipe", "numpy", "tokenizers")

    def load(self, case: Case) -> Work:
        files = MODELS[case.model]
        if isinstance(case, Forward):
            model = load_model(files.checkpoint, "base")
            ids = case.ids()
            shape = (case.sequences, case.tokens, -1)
            return lambda variant, texts: model.forward(Batch.of(list(ids))).reshape(shape)
        pipe = pipeline(files.task, model=str(files.checkpoint))
        options = {"return_tensors": True} if case.as_arrays else {}
        return lambda variant, texts: pipe(texts, **options)

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "panpipe's instruction set": available_isas()[0]}

    def rates(self, seconds: float) -> dict[str, float]:
        threads = int(os.environ["PANPIPE_NUM_THREADS"])
        return {"fma": 1e9 * fma_peak(threads, seconds), "memory": 1e9 * memory_rate(threads, seconds)}


if __name__ == "__main__":
    serve(PanpipePeer())
