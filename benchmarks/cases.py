"""What is timed: the models, the forward passes and the sentences, and how much work each is.

Imported by the driver and inside every peer's environment: NumPy only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "CASES",
    "MODELS",
    "ROOT",
    "WORK",
    "Case",
    "Forward",
    "ModelFiles",
    "Shape",
    "Texts",
    "attention_flops",
    "forward_flops",
    "layer_weights",
    "read_sentences",
    "shape_of",
]

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "benchmarks" / "made"
SENTENCES = ROOT / "benchmarks" / "sentences.txt"


# -- models ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """An encoder's dimensions."""

    layers: int
    hidden: int
    inner: int
    heads: int


@dataclass(frozen=True)
class ModelFiles:
    """A model and what was exported from it. Every folder lies in `benchmarks/made/models`."""

    name: str
    task: str
    """The pipeline that runs it."""

    @property
    def checkpoint(self) -> Path:
        """config.json, model.safetensors, tokenizer.json."""
        return WORK / "models" / self.name

    @property
    def onnx(self) -> Path:
        """As torch.onnx.export wrote it."""
        return WORK / "models" / f"{self.name}.onnx"

    @property
    def fused_onnx(self) -> Path:
        """After ONNX Runtime's transformer optimizer."""
        return WORK / "models" / f"{self.name}.fused.onnx"

    @property
    def openvino(self) -> Path:
        """OpenVINO's own form."""
        return WORK / "models" / f"{self.name}.openvino.xml"

    @property
    def ctranslate2(self) -> Path:
        """CTranslate2's own form, a folder."""
        return WORK / "models" / f"{self.name}.ctranslate2"


MODELS = {
    name: ModelFiles(name, task)
    for name, task in {
        "bert-base": "feature-extraction",
        "distilbert": "text-classification",
        "minilm": "feature-extraction",
    }.items()
}


def shape_of(config: dict[str, Any]) -> Shape:
    """From a config.json of the families bert and distilbert."""
    if config["model_type"] == "distilbert":
        return Shape(config["n_layers"], config["dim"], config["hidden_dim"], config["n_heads"])
    return Shape(*(config[k] for k in ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")))


@cache
def model_shape(model: str) -> Shape:
    """Of one of MODELS, once it is made."""
    return shape_of(json.loads((MODELS[model].checkpoint / "config.json").read_text(encoding="utf-8")))


# -- work ------------------------------------------------------------------------------------------------------------


def layer_weights(shape: Shape) -> int:
    """The numbers in the matrices of all layers: what a forward pass of one token multiplies by and has to read."""
    return shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)


def attention_flops(shape: Shape, lengths: list[int]) -> int:
    """Scores and weighted sums: 2 multiply-adds per pair of tokens and hidden unit, in every layer."""
    return shape.layers * 4 * shape.hidden * sum(length * length for length in lengths)


def forward_flops(shape: Shape, lengths: list[int]) -> int:
    """Floating-point operations (a multiply-add is two) of an encoder without padding, matrices only."""
    return 2 * layer_weights(shape) * sum(lengths) + attention_flops(shape, lengths)


# -- cases -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Forward:
    """One forward pass over `sequences` of `tokens` random ids each."""

    name: str
    model: str
    sequences: int
    tokens: int

    def ids(self) -> npt.NDArray[np.int64]:
        """int64 [sequences, tokens], none of them special."""
        return np.random.default_rng(0).integers(1000, 20000, (self.sequences, self.tokens))

    def flops(self) -> int:
        """See `forward_flops`."""
        return forward_flops(model_shape(self.model), [self.tokens] * self.sequences)

    def bytes_read(self) -> int:
        """The float32 weights of the layers: each pass has to read them once."""
        return 4 * layer_weights(model_shape(self.model))


@dataclass(frozen=True)
class Texts:
    """All sentences through a whole pipeline: tokenizer, model and answers as Python objects.

    as_arrays: the features are asked for as arrays, not as nested lists of Python floats.
    """

    name: str
    model: str
    as_arrays: bool = False


Case = Forward | Texts

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Forward("bert-base-8x128", "bert-base", 8, 128),
        Forward("bert-base-32x64", "bert-base", 32, 64),
        Forward("bert-base-1x16", "bert-base", 1, 16),
        Forward("minilm-8x128", "minilm", 8, 128),
        Forward("minilm-32x64", "minilm", 32, 64),
        Forward("minilm-1x16", "minilm", 1, 16),
        Texts("minilm-sentences", "minilm"),
        Texts("minilm-sentences-arrays", "minilm", as_arrays=True),
        Texts("distilbert-sentences", "distilbert"),
    )
}


def read_sentences(path: Path = SENTENCES) -> list[str]:
    """One text a line; empty lines and the header's lines are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("# ")]
