"""The models that are timed, the forms in which the peers read them, and how large their matrices are.

Imported by the driver and inside every peer's environment: the standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "FORMS",
    "MODELS",
    "ROOT",
    "WORK",
    "Form",
    "ModelFiles",
    "Shape",
    "decoder_weights",
    "encoder_weights",
    "layer_weights",
    "model_config",
    "model_shape",
    "shape_of",
]

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "benchmarks" / "made"

CHECKPOINT = "checkpoint"


# -- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Form:
    """ending: of the model's name in `benchmarks/made/models`.

    environment, script: who makes it, the latter a module of benchmarks.prepare.
    """

    ending: str
    environment: str
    script: str


FORMS = {
    # config.json, model.safetensors and, where texts are given, tokenizer.json
    CHECKPOINT: Form("", "oracle", "checkpoints"),
    # after ONNX Runtime's transformer optimizer
    "fused-onnx": Form(".fused.onnx", "oracle", "export"),
    "openvino": Form(".openvino.xml", "oracle", "export"),
    "ctranslate2": Form(".ctranslate2", "oracle", "export"),
    # a folder with the keys and values as the model's own state
    "openvino-generator": Form(".openvino", "openvino-export", "openvino_generators"),
    "gguf": Form(".gguf", "llamacpp", "gguf_form"),
}


@dataclass(frozen=True)
class ModelFiles:
    """A model.   task: the pipeline that runs it.   exported: the forms that it has, besides the checkpoint."""

    name: str
    title: str
    task: str
    exported: tuple[str, ...]

    @property
    def forms(self) -> tuple[str, ...]:
        """All, the checkpoint, from which the others are made, first."""
        return (CHECKPOINT, *self.exported)

    @property
    def checkpoint(self) -> Path:
        """The folder that transformers and panpipe read."""
        return self.path(CHECKPOINT)

    def path(self, form: str) -> Path:
        """Where one of its forms lies."""
        return WORK / "models" / (self.name + FORMS[form].ending)


MODELS = {
    files.name: files
    for files in (
        ModelFiles("bert-base", "BERT-base", "feature-extraction", ("fused-onnx", "openvino", "ctranslate2")),
        ModelFiles("distilbert", "DistilBERT", "text-classification", ("fused-onnx", "openvino")),
        ModelFiles(
            "minilm", "MiniLM (all-MiniLM-L6-v2)", "feature-extraction", ("fused-onnx", "openvino", "ctranslate2")
        ),
        ModelFiles("gpt2", "GPT-2 124M", "text-generation", ("ctranslate2", "openvino-generator", "gguf")),
        ModelFiles("marian", "Marian", "translation", ("ctranslate2",)),
        ModelFiles("t5-small", "T5-small", "text2text-generation", ("ctranslate2", "openvino-generator")),
        ModelFiles("bart-large-mnli", "BART-large-MNLI", "zero-shot-classification", ("fused-onnx",)),
        ModelFiles("distilbert-qa", "DistilBERT", "question-answering", ("fused-onnx",)),
    )
}


@cache
def model_config(model: str) -> dict[str, Any]:
    """The config.json of one of MODELS, once it is made."""
    config: dict[str, Any] = json.loads((MODELS[model].checkpoint / "config.json").read_text(encoding="utf-8"))
    return config


# -- sizes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """A stack of layers, whose heads are together as wide as its hidden states."""

    layers: int
    hidden: int
    inner: int
    heads: int
    vocabulary: int


BART_KEYS = ("decoder_layers", "d_model", "decoder_ffn_dim", "decoder_attention_heads")

KEYS = {
    "bart": BART_KEYS,
    "distilbert": ("n_layers", "dim", "hidden_dim", "n_heads"),
    "gpt2": ("n_layer", "n_embd", "n_inner", "n_head"),
    "marian": BART_KEYS,
    "t5": ("num_decoder_layers", "d_model", "d_ff", "num_heads"),
}
"""Where a config says what `Shape` asks for. Encoder and decoder are alike in the encoder-decoders."""

BERT_KEYS = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")


def shape_of(config: dict[str, Any]) -> Shape:
    """From a config.json of the families above, and of BERT's like."""
    layers, hidden, inner, heads = (config[key] for key in KEYS.get(config["model_type"], BERT_KEYS))
    return Shape(layers, hidden, inner or 4 * hidden, heads, config["vocab_size"])


@cache
def model_shape(model: str) -> Shape:
    """Of one of MODELS, once it is made."""
    return shape_of(model_config(model))


def layer_weights(shape: Shape) -> int:
    """The numbers in the matrices of all layers: what a forward pass of one token multiplies by and has to read."""
    return shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)


def decoder_weights(shape: Shape, has_source: bool) -> int:
    """What a decoder multiplies by for every token: its layers and the vocabulary.

    has_source: it also attends to an encoder's states, whose keys and values are made beforehand.
    """
    queries_and_outputs = 2 * shape.hidden**2 if has_source else 0
    return layer_weights(shape) + shape.layers * queries_and_outputs + shape.vocabulary * shape.hidden


def encoder_weights(shape: Shape) -> int:
    """What an encoder-decoder multiplies by once: the encoder, and the decoder's keys and values of its states."""
    return layer_weights(shape) + shape.layers * 2 * shape.hidden**2
