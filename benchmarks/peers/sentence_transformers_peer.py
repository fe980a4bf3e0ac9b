"""sentence-transformers: `encode` of a list, which sorts by length itself and gives one vector for each text."""

from __future__ import annotations

from typing import ClassVar

import sentence_transformers
import transformers

from benchmarks.cases import Case
from benchmarks.models import MODELS
from benchmarks.peers.serving import Peer, Work, serve


class SentenceTransformersPeer(Peer):
    """Mean-pooled, normalized vectors: less to hand over than the features of every token."""

    packages: ClassVar = ("sentence-transformers",)

    def load(self, case: Case) -> Work:
        model = sentence_transformers.SentenceTransformer(str(MODELS[case.model].checkpoint), device="cpu")
        return lambda variant, texts: model.encode(texts, batch_size=int(variant), show_progress_bar=False)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    serve(SentenceTransformersPeer())
