"""OpenVINO, float32 throughout, one stream for one request at a time."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import openvino

from benchmarks.cases import MODELS, Case, Forward
from benchmarks.peers.loops import Array, sorted_loop
from benchmarks.peers.serving import Peer, Work, serve


class OpenVinoPeer(Peer):
    """Its own conversion of the model; shapes fixed for a forward pass, open for sentences."""

    packages: ClassVar = ("openvino",)

    def load(self, case: Case) -> Work:
        core = openvino.Core()
        model = core.read_model(MODELS[case.model].openvino)
        if isinstance(case, Forward):
            model.reshape({place: [case.sequences, case.tokens] for place in (0, 1)})
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def run(ids: Array, mask: Array, copy: bool = True) -> Any:
            outputs = request.infer([ids, mask], share_inputs=True, share_outputs=True)
            return outputs[0].copy() if copy else outputs[0]  # else the next request writes over it

        if isinstance(case, Forward):
            ids = case.ids()
            mask = (ids > 0).astype(ids.dtype)
            return lambda variant, texts: run(ids, mask, copy=False)
        return sorted_loop(run, case)


if __name__ == "__main__":
    serve(OpenVinoPeer())
