"""llama.cpp, float32 weights, keys and values, through its C interface as llama-cpp-python binds it."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import llama_cpp
import numpy as np

from benchmarks.cases import TOP_K, Case, Generate
from benchmarks.models import MODELS, model_shape
from benchmarks.peers.decoding import Step, decode
from benchmarks.peers.serving import Array, Peer, Work, serve

FLOAT32 = 0
"""ggml's number of the type."""


class LlamaCppPeer(Peer):
    """A row is a sequence of the context; drawn rows go on from copies of the prompt's, which share its cells."""

    packages: ClassVar = ("llama-cpp-python",)

    def load(self, case: Case) -> Work:
        assert isinstance(case, Generate), "it has no encoders"
        context = _Context(case)
        step = context.step_of(case)
        ids = case.ids()

        def generate(variant: str, texts: Any) -> Array:
            context.clear()
            return decode(step, case, ids)

        return generate


class _Context:
    """A model with room for all rows of a case."""

    def __init__(self, case: Generate) -> None:
        self.end, self.vocabulary = case.end, model_shape(case.model).vocabulary
        path = str(MODELS[case.model].path("gguf")).encode()
        self.model = llama_cpp.llama_model_load_from_file(path, llama_cpp.llama_model_default_params())
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = case.rows * (case.prompt_tokens + case.new_tokens)
        settings.n_seq_max = case.rows
        settings.n_threads = settings.n_threads_batch = int(os.environ["OMP_NUM_THREADS"])
        settings.type_k = settings.type_v = FLOAT32
        settings.kv_unified = bool(case.samples)  # or the rows would each have a copy of the prompt
        if not case.samples:  # else it is the faster way
            settings.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        self.memory = llama_cpp.llama_get_memory(self.context)
        self.batch = llama_cpp.llama_batch_init(case.sequences * case.prompt_tokens, 0, 1)
        self.clear()

    def __del__(self) -> None:
        llama_cpp.llama_batch_free(self.batch)
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)

    def clear(self) -> None:
        """Forget all sequences."""
        llama_cpp.llama_memory_clear(self.memory, True)
        self.length = 0

    def step_of(self, case: Generate) -> Step:
        """Chooses by llama.cpp's own sampler where tokens are drawn, and else the likeliest."""
        choose = self._sampler() if case.samples else self._likeliest

        def step(tokens: Array, origins: Array) -> tuple[Array, Array]:
            for row, origin in enumerate(origins.tolist()):
                if self.length and origin != row:
                    llama_cpp.llama_memory_seq_cp(self.memory, origin, row, 0, -1)
            ids = [[choose(place)] for place in self._forward(tokens)]
            return np.zeros((len(ids), 1), np.float32), np.array(ids)

        return step

    def _forward(self, tokens: Array) -> list[int]:
        """Append to every row; the places in the batch of the rows' last tokens."""
        batch, (rows, count) = self.batch, tokens.shape
        batch.n_tokens = rows * count
        for place, token in enumerate(tokens.reshape(-1).tolist()):
            row, column = divmod(place, count)
            batch.token[place], batch.pos[place] = token, self.length + column
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, row
            batch.logits[place] = column == count - 1
        failed = llama_cpp.llama_decode(self.context, batch)
        assert not failed, f"llama_decode returned {failed}"
        self.length += count
        return [row * count + count - 1 for row in range(rows)]

    def _logits(self, place: int) -> Array:
        """A view of those after a token, without the end."""
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, place), (self.vocabulary,))
        logits[self.end] = -np.inf
        return logits

    def _likeliest(self, place: int) -> int:
        return int(self._logits(place).argmax())

    def _sampler(self) -> Any:
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_top_k(TOP_K))
        llama_cpp.llama_sampler_chain_add(chain, llama_cpp.llama_sampler_init_dist(0))

        def draw(place: int) -> int:
            self._logits(place)
            return int(llama_cpp.llama_sampler_sample(chain, self.context, place))

        return draw


if __name__ == "__main__":
    serve(LlamaCppPeer())
