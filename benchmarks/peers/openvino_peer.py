"""OpenVINO, float32 throughout, one stream for one request at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import openvino
from openvino import opset13 as ops

from benchmarks.cases import Case, Forward, Generate, Texts
from benchmarks.models import MODELS
from benchmarks.peers.decoding import Step, choices, decode
from benchmarks.peers.loops import sorted_loop
from benchmarks.peers.serving import Array, Peer, Work, serve


class OpenVinoPeer(Peer):
    """Its own conversions of the models; shapes fixed for a forward pass, else open."""

    packages: ClassVar = ("openvino",)

    def load(self, case: Case) -> Work:
        match case:
            case Forward():
                model = _read(MODELS[case.model].path("openvino"))
                model.reshape({place: [case.sequences, case.tokens] for place in (0, 1)})
                request, ids = _compile(model), case.ids()
                mask = np.ones_like(ids)
                return lambda variant, texts: request.infer([ids, mask], share_inputs=True, share_outputs=True)[0]
            case Texts():
                request = _compile(_read(MODELS[case.model].path("openvino")))
                # copied, since the next request writes over what is shared
                return sorted_loop(
                    lambda *given: request.infer(given, share_inputs=True, share_outputs=True)[0].copy(), case
                )
            case Generate(has_source=True):
                return _sequence_to_sequence(case)
            case Generate():
                return _continuation(case)
        raise LookupError(f"OpenVINO has no {case.name}.")


def _read(path: Path) -> Any:
    return openvino.Core().read_model(path)


def _compile(model: Any) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": int(os.environ["OMP_NUM_THREADS"]),
    }
    return openvino.Core().compile_model(model, "CPU", settings).create_infer_request()


# -- generation ------------------------------------------------------------------------------------------------------


def _choosing(model: Any, case: Generate) -> Any:
    """The model with the likeliest next tokens as its outputs, (values, ids), instead of logits."""
    logits = model.output("logits").get_node().input_value(0)
    vocabulary = logits.get_partial_shape()[2].get_length()
    no_end = np.zeros((1, vocabulary), np.float32)
    no_end[0, case.end] = -np.inf
    last = ops.gather(logits, ops.constant(-1), ops.constant(1))
    allowed = ops.add(last, ops.constant(no_end))
    scores = ops.log_softmax(allowed, 1) if case.beams > 1 else allowed
    best = ops.topk(scores, ops.constant(choices(case)), 1, "max", "value", index_element_type="i64")
    return openvino.Model([best.output(0), best.output(1)], model.get_sinks(), model.get_parameters())


def _infer(request: Any, inputs: dict[str, Array]) -> tuple[Array, Array]:
    outputs = request.infer(inputs, share_inputs=True, share_outputs=True)
    return outputs[0].copy(), outputs[1].copy()


def _continuation(case: Generate) -> Work:
    request = _compile(_choosing(_read(MODELS[case.model].path("openvino-generator") / "openvino_model.xml"), case))
    ids = case.ids()

    def step_of() -> Step:
        length = 0

        def step(tokens: Array, origins: Array) -> tuple[Array, Array]:
            nonlocal length
            rows, count = tokens.shape
            positions = np.broadcast_to(np.arange(length, length + count), (rows, count))
            length += count
            mask = np.ones((rows, length), np.int64)
            inputs = {"input_ids": tokens, "attention_mask": mask, "position_ids": positions, "beam_idx": origins}
            return _infer(request, inputs)

        return step

    def generate(variant: str, texts: Any) -> Array:
        request.reset_state()
        return decode(step_of(), case, ids)

    return generate


def _sequence_to_sequence(case: Generate) -> Work:
    folder = MODELS[case.model].path("openvino-generator")
    encoder = _compile(_read(folder / "openvino_encoder_model.xml"))
    decoder = _compile(_choosing(_read(folder / "openvino_decoder_model.xml"), case))
    ids, starts = case.ids(), np.full((case.rows, 1), case.start, np.int64)
    mask = np.ones_like(ids)
    expanded = np.repeat(np.arange(case.sequences), case.beams)  # what it keeps of the sources follows no beam_idx

    def generate(variant: str, texts: Any) -> Array:
        states = encoder.infer([ids, mask], share_inputs=True)[0]
        sources = {"encoder_hidden_states": states[expanded], "encoder_attention_mask": mask[expanded]}
        decoder.reset_state()

        def step(tokens: Array, origins: Array) -> tuple[Array, Array]:
            return _infer(decoder, {**sources, "input_ids": tokens, "beam_idx": origins})

        return decode(step, case, starts)

    return generate


if __name__ == "__main__":
    serve(OpenVinoPeer())
