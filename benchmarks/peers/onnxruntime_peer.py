"""ONNX Runtime on the graph that its transformer optimizer fused."""

from __future__ import annotations

import os
from typing import ClassVar

import onnxruntime

from benchmarks.cases import MODELS, Case, Forward
from benchmarks.peers.loops import Array, sorted_loop
from benchmarks.peers.serving import Peer, Work, serve


class OnnxRuntimePeer(Peer):
    """All graph optimizations. Its threads spin on for a while after their work; the driver waits for them."""

    packages: ClassVar = ("onnxruntime",)

    def load(self, case: Case) -> Work:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        path = str(MODELS[case.model].fused_onnx)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(ids: Array, mask: Array) -> Array:
            output: Array = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            return output

        if isinstance(case, Forward):
            ids = case.ids()
            mask = (ids > 0).astype(ids.dtype)
            return lambda variant, texts: run(ids, mask)
        return sorted_loop(run, case)


if __name__ == "__main__":
    serve(OnnxRuntimePeer())
