"""CTranslate2, float32: generators, and an encoder that is padding-free inside a batch, on rectangles outside."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import ctranslate2
import numpy as np

from benchmarks.cases import TOP_K, Case, Forward, Generate, Texts
from benchmarks.models import MODELS
from benchmarks.peers.loops import sorted_loop
from benchmarks.peers.serving import Array, Peer, Work, serve


class CTranslate2Peer(Peer):
    """One batch at a time on all threads."""

    packages: ClassVar = ("ctranslate2",)

    def load(self, case: Case) -> Work:
        match case:
            case Forward():
                run, ids = _encoder(case), case.ids()
                return lambda variant, texts: run(ids, np.ones_like(ids))
            case Texts():
                return sorted_loop(_encoder(case), case)
            case Generate(has_source=True):
                return _translator(case)
            case Generate():
                return _generator(case)
        raise LookupError(f"CTranslate2 has no {case.name}.")


def _load(kind: Any, case: Case) -> Any:
    return kind(
        str(MODELS[case.model].path("ctranslate2")),
        device="cpu",
        compute_type="float32",
        inter_threads=1,
        intra_threads=int(os.environ["OMP_NUM_THREADS"]),
    )


def _encoder(case: Case) -> Any:
    encoder = _load(ctranslate2.Encoder, case)

    def run(ids: Array, mask: Array) -> Array:
        lengths = ctranslate2.StorageView.from_array(mask.sum(1, dtype=np.int32))
        output = encoder.forward_batch(ctranslate2.StorageView.from_array(ids.astype(np.int32)), lengths)
        return np.array(output.last_hidden_state)

    return run


def _drawing(case: Generate) -> dict[str, Any]:
    return {"sampling_topk": TOP_K, "num_hypotheses": case.samples} if case.samples else {"beam_size": case.beams}


def _generator(case: Generate) -> Work:
    generator, prompts = _load(ctranslate2.Generator, case), _tokens(case)

    def generate(variant: str, texts: Any) -> list[list[int]]:
        results = generator.generate_batch(
            prompts,
            max_length=case.new_tokens,
            min_length=case.new_tokens,
            include_prompt_in_result=False,
            **_drawing(case),
        )
        return [ids for result in results for ids in result.sequences_ids]

    return generate


def _translator(case: Generate) -> Work:
    translator, sources = _load(ctranslate2.Translator, case), _tokens(case)

    def generate(variant: str, texts: Any) -> list[list[int]]:
        results = translator.translate_batch(
            sources, max_decoding_length=case.new_tokens, min_decoding_length=case.new_tokens, **_drawing(case)
        )
        return [[int(token) for token in tokens] for result in results for tokens in result.hypotheses]

    return generate


def _tokens(case: Generate) -> list[list[str]]:
    """It takes tokens, which are the ids in writing."""
    return [[str(token) for token in row] for row in case.ids().tolist()]


if __name__ == "__main__":
    serve(CTranslate2Peer())
