"""What is timed: forward passes, sentences, generation, and two pipelines on inputs of many parts.

Imported by the driver and inside every peer's environment: NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.models import (
    MODELS,
    ROOT,
    Shape,
    decoder_weights,
    encoder_weights,
    layer_weights,
    model_config,
    model_shape,
)

__all__ = [
    "CASES",
    "SENTENCES",
    "TOP_K",
    "Case",
    "Forward",
    "Generate",
    "LongAnswer",
    "Texts",
    "ZeroShot",
    "attention_flops",
    "forward_flops",
    "read_sentences",
]

SENTENCES = ROOT / "benchmarks" / "sentences.txt"

TOP_K = 50
"""Samples are drawn from so many of the likeliest tokens, which is transformers' default."""


def read_sentences(path: Path = SENTENCES) -> list[str]:
    """One text a line; empty lines and the header's lines are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]


# -- work ------------------------------------------------------------------------------------------------------------


def attention_flops(shape: Shape, lengths: list[int]) -> int:
    """Scores and weighted sums: 2 multiply-adds per pair of tokens and hidden unit, in every layer."""
    return shape.layers * 4 * shape.hidden * sum(length * length for length in lengths)


def forward_flops(shape: Shape, lengths: list[int]) -> int:
    """Floating-point operations (a multiply-add is two) of an encoder without padding, matrices only."""
    return 2 * layer_weights(shape) * sum(lengths) + attention_flops(shape, lengths)


# -- kinds of cases --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forward:
    """One forward pass over `sequences` of `tokens` random ids each."""

    name: str
    model: str
    sequences: int
    tokens: int

    @property
    def title(self) -> str:
        """In the report."""
        return f"{MODELS[self.model].title}, {self.sequences} × {self.tokens} tokens"

    def ids(self) -> npt.NDArray[np.int64]:
        """int64 [sequences, tokens], none of them special."""
        return _random_ids(self.sequences, self.tokens)

    def work(self) -> dict[str, int]:
        """Operations, and bytes of float32 weights: each pass has to read them once."""
        shape = model_shape(self.model)
        flops = forward_flops(shape, [self.tokens] * self.sequences)
        return {"flops": flops, "bytes": 4 * layer_weights(shape)}


@dataclass(frozen=True)
class Texts:
    """All sentences through a whole pipeline: tokenizer, model and answers as Python objects.

    as_arrays: the features are asked for as arrays, not as nested lists of Python floats.
    """

    name: str
    model: str
    as_arrays: bool = False

    @property
    def title(self) -> str:
        """In the report."""
        files = MODELS[self.model]
        forms = {"feature-extraction": ", arrays" if self.as_arrays else ", nested lists"}
        return f"{files.title}, {files.task}{forms.get(files.task, '')}"


@dataclass(frozen=True)
class Generate:
    """`new_tokens` after each of `sequences` prompts, from ids to ids; an end before that is suppressed.

    The likeliest token each time; the likeliest sequence that a search with `beams` finds; or, for each prompt, as
    many drawn sequences as `samples` says.
    """

    name: str
    model: str
    sequences: int
    prompt_tokens: int
    new_tokens: int
    beams: int = 1
    samples: int = 0

    @property
    def title(self) -> str:
        """In the report."""
        how = f"batch {self.sequences}, greedy"
        if self.beams > 1:
            how = f"batch {self.sequences}, {self.beams} beams"
        if self.samples:
            how = f"{self.samples} sampled sequences of one prompt"
        return f"{MODELS[self.model].title}, {self.prompt_tokens} + {self.new_tokens} tokens, {how}"

    @property
    def has_source(self) -> bool:
        """Whether the prompt is for an encoder, and what is generated starts with nothing."""
        return bool(model_config(self.model).get("is_encoder_decoder"))

    @property
    def end(self) -> int:
        """The id that would end a sequence."""
        return int(model_config(self.model)["eos_token_id"])

    @property
    def start(self) -> int:
        """The id that the decoder of an encoder-decoder begins with."""
        return int(model_config(self.model)["decoder_start_token_id"])

    @property
    def rows(self) -> int:
        """The sequences that are decoded together, and the most that a step works on."""
        return self.sequences * max(self.beams, self.samples, 1)

    def ids(self) -> npt.NDArray[np.int64]:
        """int64 [sequences, prompt_tokens]; none of them special but a source's last, which ends it."""
        ids = _random_ids(self.sequences, self.prompt_tokens)
        if self.has_source:
            ids[:, -1] = self.end
        return ids

    def options(self) -> dict[str, Any]:
        """Keyword arguments of transformers' and panpipe's `generate`."""
        options: dict[str, Any] = {"max_new_tokens": self.new_tokens, "min_new_tokens": self.new_tokens}
        if self.samples:
            return {**options, "do_sample": True, "top_k": TOP_K, "num_return_sequences": self.samples}
        return {**options, "do_sample": False, "num_beams": self.beams}

    def new_of(self, sequences: Any) -> Any:
        """Of what `generate` returned, [sequences, tokens], what comes after the prompt or the start."""
        return sequences[:, 1 if self.has_source else self.prompt_tokens :]

    def work(self) -> dict[str, int]:
        """The tokens in the answer, and the bytes of float32 weights that its steps, one for each token, have to read.

        A step reads the weights once, for however many sequences; an encoder's are read in the first.
        """
        shape = model_shape(self.model)
        weights = self.new_tokens * decoder_weights(shape, self.has_source)
        weights += encoder_weights(shape) if self.has_source else 0
        return {"tokens": self.sequences * max(self.samples, 1) * self.new_tokens, "bytes": 4 * weights}


@dataclass(frozen=True)
class ZeroShot:
    """The probability of each of ten labels for some of the sentences: a pass for every pair of them."""

    name: str
    model: str
    sequences: int

    LABELS = ("books", "cooking", "film", "health", "language", "music", "politics", "science", "sport", "travel")
    TEMPLATE = "This example is {}."

    @property
    def title(self) -> str:
        """In the report."""
        return f"{MODELS[self.model].title}, zero-shot: {self.sequences} sentences, {len(self.LABELS)} labels"

    def texts(self) -> list[str]:
        """From all over the sentences."""
        sentences = read_sentences()
        return sentences[:: len(sentences) // self.sequences][: self.sequences]


@dataclass(frozen=True)
class LongAnswer:
    """A question to a context of so many words, which is read in windows that overlap."""

    name: str
    model: str
    words: int

    QUESTION = "What do the authors of these sentences think of the film?"
    WINDOW, OVERLAP, LONGEST_ANSWER = 384, 128, 15
    """In tokens; the last in words. The pipeline's defaults."""

    @property
    def title(self) -> str:
        """In the report."""
        return f"{MODELS[self.model].title}, question answering: a context of {self.words} words"

    def context(self) -> str:
        """The sentences, one after the other."""
        return " ".join(" ".join(read_sentences()).split()[: self.words])


def _random_ids(sequences: int, tokens: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(0).integers(1000, 20000, (sequences, tokens))


# -- cases -----------------------------------------------------------------------------------------------------------

Case = Forward | Texts | Generate | ZeroShot | LongAnswer

_CASES: tuple[Case, ...] = (
    Forward("bert-base-8x128", "bert-base", 8, 128),
    Forward("bert-base-32x64", "bert-base", 32, 64),
    Forward("bert-base-1x16", "bert-base", 1, 16),
    Forward("minilm-8x128", "minilm", 8, 128),
    Forward("minilm-32x64", "minilm", 32, 64),
    Forward("minilm-1x16", "minilm", 1, 16),
    Texts("minilm-sentences", "minilm"),
    Texts("minilm-sentences-arrays", "minilm", as_arrays=True),
    Texts("distilbert-sentences", "distilbert"),
    ZeroShot("bart-zero-shot", "bart-large-mnli", 4),
    LongAnswer("distilbert-long-answer", "distilbert-qa", 3000),
    Generate("gpt2-1", "gpt2", 1, 32, 128),
    Generate("gpt2-4", "gpt2", 4, 32, 128),
    Generate("gpt2-samples", "gpt2", 1, 32, 128, samples=5),
    Generate("marian-1", "marian", 1, 32, 64),
    Generate("marian-1-beams4", "marian", 1, 32, 64, beams=4),
    Generate("marian-8", "marian", 8, 32, 64),
    Generate("marian-8-beams4", "marian", 8, 32, 64, beams=4),
    Generate("t5-1", "t5-small", 1, 32, 64),
    Generate("t5-1-beams4", "t5-small", 1, 32, 64, beams=4),
    Generate("t5-8", "t5-small", 8, 32, 64),
    Generate("t5-8-beams4", "t5-small", 8, 32, 64, beams=4),
)

CASES = {case.name: case for case in _CASES}
