"""A run killed with -9 at any moment goes on, and ends with the bits of a run that never stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from panpipe.errors import CorruptCheckpoint
from panpipe.training import checkpoints

pytest.importorskip("torch")

pytestmark = pytest.mark.train

KILLS = 24
HALF = 6
"""Kills that come while a checkpoint is being written, at least."""


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training.killed", str(folder), *options]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(command, stderr=log, stdout=log, env={**os.environ, "OMP_NUM_THREADS": "1"})


def finished(folder: Path, *options: str) -> dict[str, object]:
    assert start(folder, *options).wait(600) == 0, (folder.parent / f"{folder.name}.log").read_text()
    found: dict[str, object] = json.loads((folder / "result.json").read_text())
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return finished(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_many_kills_change_no_bit(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    folder = tmp_path / "run"
    found = finished(folder, f"kills={KILLS}")
    kills = json.loads((folder / "kills.json").read_text())
    print(f"killed {sum(kills.values())} times, {kills['half']} of them while writing a checkpoint")
    assert kills["half"] >= HALF
    assert sum(kills.values()) >= 20
    assert found == undisturbed


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("short") / "run"
    finished(folder, "max_steps=4")
    return folder


@pytest.mark.parametrize("broken", ["model.safetensors", "training.safetensors", "trainer_state.json", "manifest.json"])
@pytest.mark.parametrize("how", ["cut", "removed", "changed"])
def test_a_broken_newest_checkpoint_gives_way_to_the_one_before(
    tmp_path: Path, short: Path, broken: str, how: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(short, folder)
    newest, *older = checkpoints.checkpoints_in(folder)
    path = newest / broken
    raw = path.read_bytes()
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2] if how == "cut" else raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
    assert checkpoints.newest_whole(folder) == older[0]


def test_only_broken_checkpoints_are_an_error(tmp_path: Path) -> None:
    for step in (1, 2):
        (tmp_path / f"checkpoint-{step}").mkdir()
    with pytest.raises(CorruptCheckpoint, match="all checkpoints"):
        checkpoints.newest_whole(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are not sent there")
def test_sigterm_ends_with_a_checkpoint(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    folder = tmp_path / "run"
    process = start(folder, "save_steps=1000")
    while not (folder / "log.jsonl").exists() or not (folder / "log.jsonl").read_text():
        assert process.poll() is None
        time.sleep(0.005)
    process.terminate()
    assert process.wait(300) != 0
    assert len(checkpoints.checkpoints_in(folder)) == 1
    assert finished(folder, "save_steps=1000") == undisturbed
