"""panpipe-models with models of a test's own: its code from this repository, its folders from a temporary one."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from panpipe.weights.adapters import LoraConfig, save_adapter_files

CODE = Path(__file__).parents[1] / "models" / "src" / "panpipe_models" / "__init__.py"


def row(folder: str, task: str, languages: Iterable[str], **more: str) -> dict[str, Any]:
    """A row of models.json."""
    known = {"score": f"accuracy 0.5 of {folder}", "larger": f"owner/large-{folder}"}
    return {"folder": folder, "task": task, "languages": list(languages), **known, **more}


def install(monkeypatch: pytest.MonkeyPatch, root: Path, rows: Any) -> Any:
    """Make `import panpipe_models` give this one: the folders lie in root, where models.json is written."""
    spec = importlib.util.spec_from_file_location("panpipe_models", CODE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "panpipe_models", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_HERE", root)
    (root / "models.json").write_text(rows if isinstance(rows, str) else json.dumps(rows), "utf-8")
    return module


def uninstall(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if panpipe-models were not there."""
    monkeypatch.setitem(sys.modules, "panpipe_models", None)


def adapter_of(base: str, trained: str | Path, folder: Path) -> Path:
    """An adapter's folder, without a tokenizer: the head and config of a trained BERT, no other change of its base."""
    checkpoint = load_file(Path(trained) / "model.safetensors")
    width = checkpoint["classifier.weight"].shape[1]
    query = "bert.encoder.layer.0.attention.self.query"
    halves = {f"{query}.lora_A.weight": np.ones((2, width), np.float32)}
    halves[f"{query}.lora_B.weight"] = np.zeros((width, 2), np.float32)
    head = {name: checkpoint[name] for name in ("classifier.weight", "classifier.bias")}
    config = LoraConfig(r=2, target_modules=(query,), task_type="SEQ_CLS", base_model_name_or_path=base)
    save_adapter_files(folder, config, {**halves, **head})
    shutil.copy(Path(trained) / "config.json", folder)
    return folder
