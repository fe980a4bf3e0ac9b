"""What a careful user of a bare runtime writes: tokenize all, sort by length, pad each batch to its longest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from benchmarks.cases import LongAnswer, Texts, ZeroShot
from benchmarks.models import MODELS, model_config
from benchmarks.peers.serving import Array, Work

__all__ = ["long_answer_loop", "sorted_loop", "zero_shot_loop"]

Run = Callable[[Array, Array], Array]
"""(ids, mask), int64 [batch, tokens] each -> hidden states [batch, tokens, hidden], logits [batch, labels], or those of
starts and ends [batch, tokens, 2]."""


def _load_tokenizer(folder: Path) -> Tokenizer:
    """Without padding and truncation: the loop pads."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _batches(run: Run, sequences: Sequence[list[int]], batch_size: int) -> Iterator[tuple[list[int], Array]]:
    """Shortest first: each batch's places among the sequences, and its output."""
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    for begin in range(0, len(order), batch_size):
        places = order[begin : begin + batch_size]
        yield places, run(*_rectangle([sequences[i] for i in places]))


def _rectangle(sequences: list[list[int]]) -> tuple[Array, Array]:
    longest = max(map(len, sequences))
    ids = np.zeros((len(sequences), longest), np.int64)
    mask = np.zeros((len(sequences), longest), np.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return ids, mask


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    scores: Array = powers / powers.sum(-1, keepdims=True)
    return scores


def sorted_loop(run: Run, case: Texts) -> Work:
    """All texts to what the pipelines answer: features (views of a batch's array, or lists), or label and score.

    The variant is the batch size.
    """
    files = MODELS[case.model]
    tokenizer = _load_tokenizer(files.checkpoint)

    def work(variant: str, texts: Sequence[str]) -> list[Any]:
        sequences = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]
        answers: list[Any] = [None] * len(sequences)
        for places, output in _batches(run, sequences, int(variant)):
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


# -- zero-shot classification ----------------------------------------------------------------------------------------


def zero_shot_loop(run: Run, case: ZeroShot) -> Work:
    """Each text with each label's hypothesis; the labels by how likely they are entailed."""
    tokenizer = _load_tokenizer(MODELS[case.model].checkpoint)
    entailment = model_config(case.model)["label2id"]["entailment"]
    hypotheses = [case.TEMPLATE.format(label) for label in case.LABELS]

    def work(variant: str, texts: Sequence[str]) -> list[dict[str, Any]]:
        texts = case.texts()
        pairs = [(text, hypothesis) for text in texts for hypothesis in hypotheses]
        sequences = [encoding.ids for encoding in tokenizer.encode_batch_fast(pairs)]
        logits = np.empty(len(sequences), np.float32)
        for places, output in _batches(run, sequences, int(variant)):
            logits[places] = output[:, entailment]
        scores = _softmax(logits.reshape(len(texts), -1))
        return [_ranked(text, case.LABELS, row) for text, row in zip(texts, scores, strict=True)]

    return work


def _ranked(text: str, labels: Sequence[str], scores: Array) -> dict[str, Any]:
    order = np.argsort(-scores)
    return {"sequence": text, "labels": [labels[i] for i in order], "scores": scores[order].tolist()}


# -- question answering ----------------------------------------------------------------------------------------------

CANDIDATES = 12
"""Of each window."""


def long_answer_loop(run: Run, case: LongAnswer) -> Work:
    """The likeliest span of words in all windows; equal answers' probabilities are added, as transformers does."""
    tokenizer = _load_tokenizer(MODELS[case.model].checkpoint)
    tokenizer.enable_truncation(case.WINDOW, stride=case.OVERLAP, strategy="only_second")

    def work(variant: str, texts: Sequence[str]) -> list[dict[str, Any]]:
        context = case.context()
        first = tokenizer.encode(case.QUESTION, context)
        windows = [first, *first.overflowing]
        answers: dict[str, dict[str, Any]] = {}
        found = {
            place: output[row]
            for places, output in _batches(run, [window.ids for window in windows], int(variant))
            for row, place in enumerate(places)
        }
        for place, window in enumerate(windows):
            for begin, end, score in _spans(found[place][: len(window.ids)], window, case.LONGEST_ANSWER):
                text = context[begin:end]
                answer = answers.setdefault(text.lower(), {"score": 0.0, "start": begin, "end": end, "answer": text})
                answer["score"] += score
        return [max(answers.values(), key=lambda answer: answer["score"])]

    return work


def _spans(logits: Array, window: Encoding, longest: int) -> Iterator[tuple[int, int, float]]:
    """(begin, end, score), in characters, of the window's likeliest spans of the context."""
    is_context = np.array([sequence == 1 for sequence in window.sequence_ids])
    is_context[0] = True  # where models point that find no answer
    chances = _softmax(np.where(is_context[:, None], logits, -10_000).T)
    chances[:, 0] = 0
    candidates = np.tril(np.triu(np.outer(chances[0], chances[1])), longest - 1)
    best = np.argpartition(-candidates.reshape(-1), CANDIDATES)[:CANDIDATES]
    for place in best[np.argsort(-candidates.reshape(-1)[best])]:
        first, last = divmod(int(place), len(window.ids))
        if is_context[first] and is_context[last]:
            yield _word(window, first)[0], _word(window, last)[1], float(candidates[first, last])


def _word(window: Encoding, place: int) -> tuple[int, int]:
    """(begin, end), in characters of the context, of the word that a token is part of."""
    word = window.token_to_word(place)
    found = None if word is None else window.word_to_chars(word, 1)
    assert found is not None, "a token of the context is part of a word"
    return found
