"""Two processes on gloo compute what one computes. With SGD: Adam would not show a gradient of the wrong size."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.errors import TrainingError
from panpipe.training import checkpoints

torch = pytest.importorskip("torch")

from panpipe.training.distributed import Processes  # noqa: E402

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


def test_each_machine_counts_its_energy_and_the_run_has_the_sum(tmp_path: Path) -> None:
    """Two processes that are each the first of their machine."""
    folder = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = [sys.executable, "-m", "tests.training.many", str(folder), "energy=true", "max_steps=3"]
    here = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    here |= {"MASTER_PORT": str(port), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    machines = [subprocess.Popen(start, env={**os.environ, **here, "RANK": str(rank)}) for rank in (0, 1)]
    assert [machine.wait(300) for machine in machines] == [0, 0]
    with (folder / "emissions.csv").open(encoding="utf-8") as file:
        first, second = sorted(csv.DictReader(file), key=lambda row: len(row["run_id"]))
    assert second["run_id"] == f"{first['run_id']}-1"
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    used = sum(float(row["energy_consumed"]) for row in (first, second))
    emitted = sum(float(row["emissions"]) for row in (first, second))
    assert (logged[-1]["train_energy_kwh"], logged[-1]["train_kg_co2e"]) == pytest.approx((used, emitted))
    assert float(first["energy_consumed"]) < used


def test_an_error_of_the_main_process_is_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError("no space left")

    sent: list[Any] = []
    main, other = (Processes.__new__(Processes) for _ in range(2))
    main.size = other.size = 2
    main.is_main, other.is_main = True, False
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda held, src: sent.extend(held))
    with pytest.raises(OSError, match="no space left"):
        main.on_main(full)
    monkeypatch.setattr(torch.distributed, "broadcast_object_list", lambda held, src: held.__setitem__(slice(2), sent))
    with pytest.raises(TrainingError, match="no space left"):
        other.on_main(full)
