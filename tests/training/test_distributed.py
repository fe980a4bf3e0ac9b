"""Two processes on gloo compute what one computes. With SGD: Adam would not show a gradient of the wrong size."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.training import checkpoints

pytest.importorskip("torch")

pytestmark = [pytest.mark.train, pytest.mark.skipif(sys.platform != "linux", reason="gloo over the loopback device")]

ALONE = "gradient_accumulation_steps=2"
"""One process that accumulates two batches takes the same examples in a step as two processes."""


def command(folder: Path, processes: int, *options: str) -> subprocess.Popen[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        launcher = ["torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", "0", "--standalone"]
        start += [*launcher, "-m"]
    return subprocess.Popen(
        [*start, "tests.training.many", str(folder), *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def trained(folder: Path, processes: int, *options: str) -> dict[str, Any]:
    process = command(folder, processes, *options)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return trained(tmp_path_factory.mktemp("alone") / "run", 1, ALONE)


def alike(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    np.testing.assert_allclose(found["losses"], wanted["losses"], rtol=1e-5)
    np.testing.assert_allclose(found["norms"], wanted["norms"], rtol=1e-4)
    np.testing.assert_allclose(found["weights"], wanted["weights"], atol=2e-5)
    for ours, theirs in zip(found["evaluations"], wanted["evaluations"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("fsdp", ["", "full_shard"])
def test_two_processes_train_as_one(tmp_path: Path, alone: dict[str, Any], fsdp: str) -> None:
    found = trained(tmp_path / "run", 2, f'fsdp="{fsdp}"')
    alike(found, alone)
    share = found["elements_held"] / alone["elements_held"]
    assert share < 0.6 if fsdp else share == 1


@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
@pytest.mark.parametrize("fsdp", ["", "full_shard"])
def test_a_checkpoint_resumes_on_another_number_of_processes(
    tmp_path: Path, alone: dict[str, Any], first: int, then: int, fsdp: str
) -> None:
    def options(processes: int) -> list[str]:
        return [f'fsdp="{fsdp}"'] if processes > 1 else [ALONE]

    folder = tmp_path / "run"
    trained(folder, first, *options(first), 'optim="sgd"')
    for later in checkpoints.checkpoints_in(folder)[:-1]:
        checkpoints.remove(later)
    assert [c.name for c in checkpoints.checkpoints_in(folder)] == ["checkpoint-3"]
    alike(trained(folder, then, *options(then)), alone)


def test_an_error_in_one_process_ends_all(tmp_path: Path) -> None:
    process = command(tmp_path / "run", 2, "fails=true")
    out, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "one process fails" in out


def test_a_killed_process_is_started_again_and_nothing_is_lost(tmp_path: Path, alone: dict[str, Any]) -> None:
    folder = tmp_path / "run"
    start = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--standalone",
        "--max-restarts",
        "2",
    ]
    process = subprocess.Popen(
        [*start, "-m", "tests.training.many", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not checkpoints.checkpoints_in(folder):
        assert process.poll() is None
        time.sleep(0.01)
    workers = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(workers[-1]), signal.SIGKILL)
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0, out
    alike(json.loads((folder / "result.json").read_text()), alone)
