"""Makes models.json: what transformers 4.57.6 answers for the tiny models of `tests/models/tiny.py`, saved by us.

Run in the oracle's environment, from the repository's root:  python -m tests.golden.make_models
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import safe_open

from tests.models.tiny import EACH, HEADS, ORACLE_OPTIONS, made, rectangle

KEYS = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits")


def golden(name: str, head: str) -> dict[str, Any]:
    """The tensors' names that transformers writes, and its outputs (the first values and the sum of all that count)."""
    with tempfile.TemporaryDirectory() as folder:
        made(name, head, "reference").save_pretrained(folder)
        options = ORACLE_OPTIONS.get(name, {})
        model, report = getattr(transformers, HEADS[head]).from_pretrained(folder, output_loading_info=True, **options)
        assert not any(report.values()), (name, head, report)
        model.save_pretrained(Path(folder) / "again")
        with safe_open(Path(folder) / "again" / "model.safetensors", "pt") as file:
            names = sorted(file.keys())
    given = {key: torch.tensor(values) for key, values in rectangle(name, 5, head).items()}
    with torch.no_grad():
        outputs = model.eval()(**given)
    kept = given["attention_mask"].bool()
    values = {}
    for key in KEYS:
        if outputs.get(key) is not None:
            tensor = outputs[key]
            tensor = tensor[kept] if tensor.shape[:2] == kept.shape else tensor
            values[key] = [round(v, 6) for v in tensor[-1].flatten().tolist()[:16] + tensor[0].flatten().tolist()[:16]]
            values[key].append(round(tensor.double().abs().mean().item(), 6))
    return {"names": names, "outputs": values}


def main() -> None:
    goldens = {f"{name}/{head}": golden(name, head) for name, head in EACH}
    path = Path(__file__).with_name("models.json")
    path.write_text(json.dumps(goldens, indent=0) + "\n", encoding="utf-8")
    print(f"{len(goldens)} goldens from transformers {transformers.__version__} in {path}")


if __name__ == "__main__":
    main()
