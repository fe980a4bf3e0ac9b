"""panpipe, as installed by pip from this checkout. Measures the machine's limits too."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import panpipe
from benchmarks.cases import Case, Forward, Generate, LongAnswer, Texts, ZeroShot
from benchmarks.models import MODELS
from benchmarks.peers.serving import Peer, Work, serve
from panpipe.batch import Batch
from panpipe.models import load_model
from panpipe.ops.native import available_isas, fma_peak, memory_rate


class PanpipePeer(Peer):
    """The batch is made anew for each forward pass; the pipelines choose their own batches."""

    packages: ClassVar = ("panpipe", "numpy", "tokenizers")

    def load(self, case: Case) -> Work:
        match case:
            case Forward():
                return _forward(case)
            case Generate():
                return _generate(case)
            case Texts():
                pipe, options = _pipeline(case), {"return_tensors": True} if case.as_arrays else {}
                return lambda variant, texts: pipe(texts, **options)
            case ZeroShot():
                pipe, sentences, labels = _pipeline(case), case.texts(), list(case.LABELS)
                return lambda variant, texts: pipe(sentences, candidate_labels=labels)
            case LongAnswer():
                pipe, given = _pipeline(case), {"question": case.QUESTION, "context": case.context()}
                return lambda variant, texts: [pipe(**given)]

    def versions(self) -> dict[str, str]:
        return {**super().versions(), "panpipe's instruction set": available_isas()[0]}

    def rates(self, seconds: float) -> dict[str, float]:
        threads = int(os.environ["PANPIPE_NUM_THREADS"])
        return {"fma": 1e9 * fma_peak(threads, seconds), "memory": 1e9 * memory_rate(threads, seconds)}


def _pipeline(case: Case) -> Any:
    files = MODELS[case.model]
    return panpipe.pipeline(files.task, model=str(files.checkpoint))


def _forward(case: Forward) -> Work:
    model = load_model(MODELS[case.model].checkpoint, "base")
    ids = case.ids()
    shape = (case.sequences, case.tokens, -1)
    return lambda variant, texts: model.forward(Batch.of(list(ids))).reshape(shape)


def _generate(case: Generate) -> Work:
    kind = panpipe.AutoModelForSeq2SeqLM if case.has_source else panpipe.AutoModelForCausalLM
    model, ids = kind.from_pretrained(str(MODELS[case.model].checkpoint)), case.ids()
    return lambda variant, texts: case.new_of(model.generate(input_ids=ids, **case.options()))


if __name__ == "__main__":
    serve(PanpipePeer())
