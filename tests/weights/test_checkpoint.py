"""One view of weights in one file or in several, in either format."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from panpipe.errors import CheckpointNotFound
from panpipe.weights.checkpoint import ShardedCheckpoint, open_checkpoint
from panpipe.weights.save import save_safetensors

from . import torch_files as made


def shards(folder: Path, kind: str) -> None:
    """Two shards of that kind, with 'a' and 'b' in the first and 'c' in the second."""
    names = [f"{kind}-0000{i}-of-00002.{'bin' if kind == 'pytorch_model' else 'safetensors'}" for i in (1, 2)]
    for name, tensors in zip(names, (["a", "b"], ["c"]), strict=True):
        if kind == "pytorch_model":
            made.archive(folder / name, made.state_dict({tensor: made.tensor() for tensor in tensors}))
        else:
            save_safetensors(
                {tensor: np.arange(6, dtype=np.float32).reshape(2, 3) for tensor in tensors}, folder / name
            )
    index = {"metadata": {"total_size": 72}, "weight_map": {"a": names[0], "c": names[1], "b": names[0]}}
    suffix = "bin" if kind == "pytorch_model" else "safetensors"
    (folder / f"{kind}.{suffix}.index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize("kind", ["model", "pytorch_model"])
def test_shards_are_one_checkpoint(kind: str, tmp_path: Path) -> None:
    shards(tmp_path, kind)
    with open_checkpoint(tmp_path) as checkpoint:
        assert isinstance(checkpoint, ShardedCheckpoint)
        assert checkpoint.path.name.endswith(".index.json")
        assert sorted(checkpoint) == ["a", "b", "c"]
        assert len(checkpoint) == 3
        assert "c" in checkpoint
        assert "d" not in checkpoint
        assert checkpoint.nbytes == 72
        assert checkpoint.info("c").shape == (2, 3)
        tensor = checkpoint.read("c")
        checkpoint.release("c")
        assert tensor.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_index_may_be_opened_by_its_own_path(tmp_path: Path) -> None:
    shards(tmp_path, "model")
    with open_checkpoint(tmp_path / "model.safetensors.index.json") as checkpoint:
        assert len(checkpoint) == 3


def test_safetensors_come_before_bin_and_one_file_before_shards(tmp_path: Path) -> None:
    shards(tmp_path, "pytorch_model")
    made.archive(tmp_path / "pytorch_model.bin", made.state_dict({"one bin": made.tensor()}))
    order = ["one bin"]
    assert open_checkpoint(tmp_path).names() == order
    shards(tmp_path, "model")
    assert sorted(open_checkpoint(tmp_path)) == ["a", "b", "c"]
    save_safetensors({"one": np.zeros(1)}, tmp_path / "model.safetensors")
    assert open_checkpoint(str(tmp_path)).names() == ["one"]


def test_any_safetensors_file_may_be_opened_by_its_path(tmp_path: Path) -> None:
    save_safetensors({"x": np.ones(2, np.float16)}, tmp_path / "adapter.safetensors")
    assert open_checkpoint(tmp_path / "adapter.safetensors").read("x").tolist() == [1, 1]
    with pytest.raises(CheckpointNotFound, match="there is no file"):
        open_checkpoint(tmp_path / "other.safetensors")


def test_unknown_names_are_key_errors(tmp_path: Path) -> None:
    save_safetensors({"x": np.ones(2)}, tmp_path / "model.safetensors")
    checkpoint = open_checkpoint(tmp_path)
    for method in (checkpoint.info, checkpoint.read, checkpoint.release):
        with pytest.raises(KeyError):
            method("y")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace a mapped file")
def test_a_checkpoint_may_be_replaced_while_it_is_open(tmp_path: Path) -> None:
    """save_pretrained into the folder that was loaded from."""
    path = tmp_path / "model.safetensors"
    save_safetensors({"x": np.zeros(1000, np.float32)}, path)
    checkpoint = open_checkpoint(tmp_path)
    old = checkpoint.read("x")
    save_safetensors({"x": np.ones(1000, np.float32)}, path)
    assert old.sum() == 0
    assert open_checkpoint(tmp_path).read("x").sum() == 1000
    shutil.rmtree(tmp_path)
    assert old.sum() == 0
