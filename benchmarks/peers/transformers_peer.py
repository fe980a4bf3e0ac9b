"""transformers 4.57.6 on PyTorch, eager, as its users run it: the oracle that the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import transformers

from benchmarks.cases import Case, Forward, Generate, LongAnswer, Texts, ZeroShot
from benchmarks.models import MODELS
from benchmarks.peers.serving import Peer, Work, serve


class TransformersPeer(Peer):
    """A forward pass under inference_mode; `generate`; `pipeline(...)(…, batch_size=variant)`."""

    packages: ClassVar = ("transformers", "torch")

    def load(self, case: Case) -> Work:
        match case:
            case Forward():
                return _forward(case)
            case Generate():
                return _generate(case)
            case Texts():
                pipe = _pipeline(case, **({"return_tensors": True} if case.as_arrays else {}))
                return lambda variant, texts: pipe(texts, batch_size=int(variant))
            case ZeroShot():
                pipe, sentences, labels = _pipeline(case), case.texts(), list(case.LABELS)
                return lambda variant, texts: pipe(sentences, candidate_labels=labels, batch_size=int(variant))
            case LongAnswer():
                pipe, given = _pipeline(case), {"question": case.QUESTION, "context": case.context()}
                return lambda variant, texts: [pipe(**given, batch_size=int(variant))]


def _pipeline(case: Case, **options: Any) -> Any:
    files = MODELS[case.model]
    return transformers.pipeline(files.task, model=str(files.checkpoint), device="cpu", **options)


def _forward(case: Forward) -> Work:
    model = transformers.AutoModel.from_pretrained(MODELS[case.model].checkpoint, add_pooling_layer=False).eval()
    ids = torch.from_numpy(case.ids())
    mask = torch.ones_like(ids)

    def forward(variant: str, texts: Sequence[str]) -> Any:
        with torch.inference_mode():
            return model(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()

    return forward


def _generate(case: Generate) -> Work:
    kind = transformers.AutoModelForSeq2SeqLM if case.has_source else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(MODELS[case.model].checkpoint).eval()
    ids = torch.from_numpy(case.ids())
    mask = torch.ones_like(ids)

    def generate(variant: str, texts: Sequence[str]) -> Any:
        with torch.inference_mode():
            return case.new_of(model.generate(input_ids=ids, attention_mask=mask, **case.options()))

    return generate


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    serve(TransformersPeer())
