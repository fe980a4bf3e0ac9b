"""Exports the models for ONNX Runtime, OpenVINO's forward passes and CTranslate2. Runs in the environment `oracle`.

ONNX after ONNX Runtime's own transformer optimizer, OpenVINO's own conversion from PyTorch, CTranslate2's converter.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import ctranslate2.converters
import openvino
import torch
import transformers
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from benchmarks.models import ModelFiles, model_shape
from benchmarks.prepare.once import main

LOADERS = {
    "feature-extraction": transformers.AutoModel,
    "text-classification": transformers.AutoModelForSequenceClassification,
    "zero-shot-classification": transformers.AutoModelForSequenceClassification,
    "question-answering": transformers.AutoModelForQuestionAnswering,
}
"""task -> the class that loads the model with its head."""


class OneOutput(torch.nn.Module):
    """A model as a function of tensors to one tensor: hidden states, logits of labels, or those of starts and ends."""

    attention = "sdpa"
    """The form that the optimizers fuse: here as one operation."""

    def __init__(self, files: ModelFiles) -> None:
        super().__init__()
        options: dict[str, Any] = {"add_pooling_layer": False} if files.task == "feature-extraction" else {}
        loader = LOADERS[files.task]
        self.model = loader.from_pretrained(files.checkpoint, attn_implementation=self.attention, **options).eval()
        self.is_extractive = files.task == "question-answering"

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """int64 [batch, tokens] each -> float32."""
        output = self.model(input_ids=input_ids, attention_mask=attention_mask)
        found: torch.Tensor = torch.stack(output[:2], -1) if self.is_extractive else output[0]
        return found


class BartClassifier(OneOutput):
    """The label's state is that of the last token, which the mask tells, instead of a search for the separators."""

    attention = "eager"  # the encoder's is fused so; the decoder's in no form

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """int64 [batch, tokens] each -> float32 [batch, labels]."""
        shifted = torch.cat([torch.full_like(input_ids[:, :1], self.model.config.decoder_start_token_id), input_ids], 1)
        states = self.model.model(
            input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=shifted[:, :-1], use_cache=False
        )[0]
        last = (attention_mask.sum(1) - 1)[:, None, None].expand(-1, 1, states.shape[-1])
        logits: torch.Tensor = self.model.classification_head(states.gather(1, last)[:, 0])
        return logits


def function_of(files: ModelFiles) -> OneOutput:
    """What is exported."""
    return BartClassifier(files) if files.name == "bart-large-mnli" else OneOutput(files)


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask, of sizes that no dimension of the models has."""
    return torch.arange(2 * 11).reshape(2, 11) + 1000, torch.ones(2, 11, dtype=torch.int64)


def export_fused_onnx(files: ModelFiles, path: Path) -> None:
    """Plain first; batch and length stay open."""
    plain = path.with_name(f"unfinished-plain.{path.name}")
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        function_of(files),
        example(),
        str(plain),
        input_names=["input_ids", "attention_mask"],
        output_names=["output"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "output": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )
    fuse(files, plain, path)
    plain.unlink()


def fuse(files: ModelFiles, plain: Path, path: Path) -> None:
    """ONNX Runtime's transformer optimizer: attention, GELU and layer norms.   Raises where it missed an encoder's."""
    shape = model_shape(files.name)
    options = FusionOptions("bert")  # which fuses more of BART than its own
    model = optimizer.optimize_model(
        str(plain), "bert", num_heads=shape.heads, hidden_size=shape.hidden, optimization_options=options
    )
    fused = {kind: count for kind, count in model.get_fused_operator_statistics().items() if count}
    print(f"    {fused}", flush=True)
    if fused.get("Attention") != shape.layers:
        raise RuntimeError(f"ONNX Runtime's optimizer did not fuse the attention of {files.name}: {fused}.")
    model.save_model_to_file(str(path))


def export_openvino(files: ModelFiles, path: Path) -> None:
    """Traced from PyTorch by OpenVINO itself, float32."""
    ids, mask = example()
    model = openvino.convert_model(
        function_of(files),
        example_input={"input_ids": ids, "attention_mask": mask},
        input=[("input_ids", [-1, -1], openvino.Type.i64), ("attention_mask", [-1, -1], openvino.Type.i64)],
    )
    openvino.save_model(model, path, compress_to_fp16=False)


# -- CTranslate2 -----------------------------------------------------------------------------------------------------


class Converter(ctranslate2.converters.TransformersConverter):
    """Its own; where a checkpoint has no tokenizer, tokens are the ids in writing."""

    def load_tokenizer(self, kind: Any, folder: str, **options: Any) -> Any:
        """One with the tokens that the converter asks for."""
        if (Path(folder) / "tokenizer.json").exists():
            return super().load_tokenizer(kind, folder, **options)
        return WrittenIds(transformers.AutoConfig.from_pretrained(folder))


class WrittenIds:
    """What the converter wants to know of a tokenizer. Marian's padding has its name, by which it is left out."""

    def __init__(self, config: Any) -> None:
        self.vocabulary = {str(token): token for token in range(config.vocab_size)}
        if config.model_type == "marian":
            self.vocabulary["<pad>"] = self.vocabulary.pop(str(config.pad_token_id))
        self.bos_token = self.eos_token = self.unk_token = str(config.eos_token_id)
        self.pad_token = str(config.pad_token_id)

    def get_vocab(self) -> dict[str, int]:
        """token -> id."""
        return self.vocabulary

    def convert_ids_to_tokens(self, token: int) -> str:
        """The reverse of one."""
        return str(token)


def export_ctranslate2(files: ModelFiles, folder: Path) -> None:
    """Float32."""
    Converter(str(files.checkpoint)).convert(str(folder), force=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    main({"fused-onnx": export_fused_onnx, "openvino": export_openvino, "ctranslate2": export_ctranslate2})
