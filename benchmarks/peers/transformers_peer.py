"""transformers 4.57.6 on PyTorch, eager, as its users run it: the oracle that the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import transformers

from benchmarks.cases import MODELS, Case, Forward
from benchmarks.peers.serving import Peer, Work, serve


class TransformersPeer(Peer):
    """A forward pass under inference_mode; `pipeline(...)(list, batch_size=variant)`."""

    packages: ClassVar = ("transformers", "torch")

    def load(self, case: Case) -> Work:
        files = MODELS[case.model]
        if isinstance(case, Forward):
            model = transformers.AutoModel.from_pretrained(files.checkpoint, add_pooling_layer=False).eval()
            ids = torch.from_numpy(case.ids())
            mask = torch.ones_like(ids)

            def forward(variant: str, texts: Sequence[str]) -> Any:
                with torch.inference_mode():
                    return model(input_ids=ids, attention_mask=mask).last_hidden_state.numpy()

            return forward
        options = {"return_tensors": True} if case.as_arrays else {}
        pipe = transformers.pipeline(files.task, model=str(files.checkpoint), device="cpu", **options)
        return lambda variant, texts: pipe(texts, batch_size=int(variant))


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    serve(TransformersPeer())
