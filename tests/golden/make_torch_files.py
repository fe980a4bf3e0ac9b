"""Writes tests/golden/torch_files: what real torch saves, for the tests that read it without torch.

Run where torch is installed:  python tests/golden/make_torch_files.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent / "torch_files"


def state_dict() -> dict[str, Any]:
    """A state_dict with every kind of storage and view that checkpoints have."""
    torch.manual_seed(7)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    shared = torch.randn(6, 4)
    state: dict[str, Any] = module.state_dict()  # an OrderedDict with a _metadata attribute
    state["shared.whole"] = shared
    state["shared.rows"] = shared[2:5]
    state["shared.steps"] = shared[::2, 1::2]
    state["transposed"] = torch.arange(12.0).reshape(3, 4).t()
    state["expanded"] = torch.arange(5).expand(1, -1)
    state["repeated"] = torch.tensor([1.5]).expand(4)
    state["parameter"] = torch.nn.Parameter(torch.randn(3))
    state["bfloat16"] = torch.randn(3, 3).to(torch.bfloat16)
    state["half"] = torch.randn(5).half()
    state["double"] = torch.randn(2).double()
    state["int8"] = torch.tensor([-1, 2], dtype=torch.int8)
    state["int16"] = torch.tensor([-300, 2], dtype=torch.int16)
    state["int32"] = torch.tensor([-70000], dtype=torch.int32)
    state["uint8"] = torch.tensor([255, 0], dtype=torch.uint8)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    return state


def values(state: dict[str, Any]) -> dict[str, Any]:
    """Each tensor's dtype and numbers, for JSON (a float64 holds every one of them exactly)."""
    return {
        name: {
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "shape": list(tensor.shape),
            "values": tensor.detach().double().flatten().tolist(),
        }
        for name, tensor in state.items()
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    state = state_dict()
    (FOLDER / "expected.json").write_text(json.dumps(values(state)), encoding="utf-8")
    torch.save(state, FOLDER / "zip.bin")
    torch.save(state, FOLDER / "zip_protocol_4.bin", pickle_protocol=4)
    torch.save(state, FOLDER / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.save({**state, "epoch": 3, "uint16": torch.tensor([40000], dtype=torch.uint16)}, FOLDER / "extra.bin")
    torch.save(torch.nn.Linear(2, 2), FOLDER / "module.bin")
