"""What a careful user of a bare runtime writes: tokenize all, sort by length, pad each batch to its longest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from benchmarks.cases import MODELS, Texts
from benchmarks.peers.serving import Work

__all__ = ["Array", "sorted_loop"]

Array = npt.NDArray[Any]
Run = Callable[[Array, Array], Array]
"""(ids, mask), int64 [batch, tokens] each -> hidden states [batch, tokens, hidden] or logits [batch, labels]."""


def _load_tokenizer(folder: Path) -> Tokenizer:
    """Without padding and truncation: the loop pads."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def sorted_loop(run: Run, case: Texts) -> Work:
    """All texts to what the pipelines answer: features (views of a batch's array, or lists), or label and score.

    The variant is the batch size.
    """
    files = MODELS[case.model]
    tokenizer = _load_tokenizer(files.checkpoint)

    def work(variant: str, texts: Sequence[str]) -> list[Any]:
        batch_size = int(variant)
        sequences = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
        order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
        answers: list[Any] = [None] * len(sequences)
        for begin in range(0, len(order), batch_size):
            places = order[begin : begin + batch_size]
            ids, mask = _rectangle([sequences[i] for i in places])
            output = run(ids, mask)
            if files.task == "text-classification":
                scores = _softmax(output)
                best = scores.argmax(1)
                for row, place in enumerate(places):
                    answers[place] = {"label": f"LABEL_{best[row]}", "score": float(scores[row, best[row]])}
            else:
                for row, place in enumerate(places):
                    features = output[row : row + 1, : len(sequences[place])]
                    answers[place] = features if case.as_arrays else features.tolist()
        return answers

    return work


def _rectangle(sequences: list[list[int]]) -> tuple[Array, Array]:
    longest = max(map(len, sequences))
    ids = np.zeros((len(sequences), longest), np.int64)
    mask = np.zeros((len(sequences), longest), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    scores: Array = powers / powers.sum(1, keepdims=True)
    return scores
