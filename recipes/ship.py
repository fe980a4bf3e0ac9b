"""From a trained model to the folder that is shipped: half precision, and nothing but what a reader needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

__all__ = ["ship"]

_ADAPTER = ("adapter_config.json", "config.json")
_WHOLE = (
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "1_Pooling/config.json"),
)


def ship(made: Path, folder: Path) -> Path:
    """Write the weights of `made` in float16, with their files; of an adapter those that the base has not."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    is_adapter = (made / "adapter_config.json").exists()
    for name in _ADAPTER if is_adapter else _WHOLE:
        if (made / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(made / name, folder / name)
    weights = "adapter_model.safetensors" if is_adapter else "model.safetensors"
    halves = {
        name: tensor.astype(np.float16) if tensor.dtype == np.float32 else tensor
        for name, tensor in load_file(made / weights).items()
    }
    save_file(halves, folder / weights, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["torch_dtype"] = "float16"
    config.pop("_name_or_path", None)
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return folder
