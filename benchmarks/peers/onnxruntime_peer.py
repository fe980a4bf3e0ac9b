"""ONNX Runtime on the graph that its transformer optimizer fused."""

from __future__ import annotations

import os
from typing import ClassVar

import numpy as np
import onnxruntime

from benchmarks.cases import Case, Forward, LongAnswer, Texts, ZeroShot
from benchmarks.models import MODELS
from benchmarks.peers.loops import long_answer_loop, sorted_loop, zero_shot_loop
from benchmarks.peers.serving import Array, Peer, Work, serve


class OnnxRuntimePeer(Peer):
    """All graph optimizations. Its threads spin on for a while after their work; the driver waits for them."""

    packages: ClassVar = ("onnxruntime",)

    def load(self, case: Case) -> Work:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        path = str(MODELS[case.model].path("fused-onnx"))
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

        def run(ids: Array, mask: Array) -> Array:
            output: Array = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
            return output

        match case:
            case Forward():
                ids = case.ids()
                mask = np.ones_like(ids)
                return lambda variant, texts: run(ids, mask)
            case Texts():
                return sorted_loop(run, case)
            case ZeroShot():
                return zero_shot_loop(run, case)
            case LongAnswer():
                return long_answer_loop(run, case)
        raise LookupError(f"ONNX Runtime has no {case.name}.")


if __name__ == "__main__":
    serve(OnnxRuntimePeer())
