"""Hostile and strange adapters: each ends in one of our errors, soon, before anything large is read or made."""

from __future__ import annotations

import json
import os
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.errors import CheckpointError, ConfigError, CorruptCheckpoint, PanpipeError, UnsafeCheckpoint
from panpipe.models import load_model
from tests.models.tiny import made

from ..weights.test_adapters import HALVES, HEAD, write
from .test_loading import HEADERS, canary, entry, with_header

__all__ = ["canary"]  # a fixture

CONFIGS: dict[str, Any] = {
    "another kind of adapter": {"peft_type": "IA3"},
    "DoRA": {"use_dora": True},
    "biases of LoRA's own": {"lora_bias": True},
    "copies of layers": {"layer_replication": [[0, 4], [2, 5]]},
    "parameters": {"target_parameters": ["feed_forward.experts.gate_up_proj"]},
    "new tokens": {"trainable_token_indices": [1, 2]},
    "a base that PiSSA rewrote": {"init_lora_weights": "pissa_niter_16"},
    "a key of the future": {"use_everything": True},
    "rank 0": {"r": 0},
    "rank -1": {"r": -1},
    "rank 10^12": {"r": 10**12},
    "rank true": {"r": True},
    "rank 2.5": {"r": 2.5},
    "a rank pattern of text": {"rank_pattern": {"query": "2"}},
    "alpha of infinity": {"lora_alpha": float("inf")},
    "alpha of nothing": {"lora_alpha": None},
    "targets that are numbers": {"target_modules": [1, 2]},
    "targets that are an object": {"target_modules": {"query": 1}},
    "a base that is a list": {"base_model_name_or_path": ["a"]},
    "a pattern that takes for ever": {"alpha_pattern": {r"((([a-z])+.)+[A-Z]([a-z])+)+$": 1}},
    "a pattern of many stars": {"rank_pattern": {".*.*.*.*.*.*.*.*.*!": 1}},
    "a pattern that is none": {"alpha_pattern": {"(": 1}},
    "a pattern of a megabyte": {"alpha_pattern": {"a" * 1_000_000: 1}},
    "a million patterns": {"rank_pattern": {f"m{i}": 1 for i in range(20_000)}},
    "dropout of 2": {"lora_dropout": 2.0},
    "biases of a kind that is none": {"bias": "some"},
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    made("bert", "base").save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def refused(folder: Path, error: type[Exception] = CheckpointError) -> str:
    begin = time.process_time()
    with pytest.raises(error) as caught:
        load_model(folder)
    assert time.process_time() - begin < 1.0
    assert isinstance(caught.value, PanpipeError) and len(str(caught.value)) < 2000
    return str(caught.value)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_cannot_be_is_refused_by_name(base: Path, tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "adapter", base, **CONFIGS[name])
    (folder / "adapter_model.safetensors").write_bytes(b"not read")
    assert next(iter(CONFIGS[name])) in refused(folder, ConfigError)


@pytest.mark.parametrize("content", ["", "[]", "null", '"LORA"', "{", '{"r": 1e999}', "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(base: Path, tmp_path: Path, content: str) -> None:
    folder = write(tmp_path / "adapter", base)
    (folder / "adapter_config.json").write_text(content)
    refused(folder)


@pytest.mark.parametrize("named", ["//server/share/model", r"\\server\share\model", "", None, "a/b/c/d"])
def test_a_base_elsewhere_is_not_looked_for(tmp_path: Path, named: str | None) -> None:
    assert "from_pretrained(base, adapter=…)" in refused(write(tmp_path / "adapter", named))


@pytest.mark.parametrize("header", HEADERS)
def test_broken_tensors_are_refused(base: Path, tmp_path: Path, header: str) -> None:
    folder = write(tmp_path / "adapter", base)
    (folder / "adapter_model.safetensors").write_bytes(HEADERS[header])
    refused(folder, CorruptCheckpoint)


def test_a_huge_update_is_refused_before_it_is_made(base: Path, tmp_path: Path) -> None:
    """A of [2, 2^20] and B of [2^20, 2] would make a matrix of 4 TB."""
    folder = write(tmp_path / "adapter", base)
    side, size = 2**20, 8 * 2**20
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_{}.weight"
    header = json.dumps(
        {
            name.format("A"): entry(shape=(2, side), offsets=(0, size)),
            name.format("B"): entry(shape=(side, 2), offsets=(size, 2 * size)),
        }
    ).encode()
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(with_header(header))
        file.truncate(file.tell() + 2 * size)
    assert "its update" in refused(folder)


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch canary",)


def test_a_pickle_runs_nothing(base: Path, canary: Path) -> None:
    folder = write(canary.parent / "adapter", base)
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_bytes(pickle.dumps({"base_model.model.x.lora_A.weight": Bomb()}))
    refused(folder, (CorruptCheckpoint, UnsafeCheckpoint))  # type: ignore[arg-type]


def test_numbers_that_are_none_do_not_hide(base: Path, tmp_path: Path) -> None:
    """Not refused: a checkpoint may hold NaN too; but they are seen in what comes out, not lost."""
    tensors = {**HEAD, **{key: np.full_like(value, np.nan) for key, value in HALVES.items()}}
    model = load_model(write(tmp_path / "adapter", base, tensors))
    assert np.isnan(model.stored.read("layers.0.attention.qkv")["weight"][:24]).all()
