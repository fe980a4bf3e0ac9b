"""The driver's side: one process for each peer, all alive together, one at work at a time."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Forward, Generate, Texts
from benchmarks.environments import python_of
from benchmarks.models import MODELS, ROOT, WORK

__all__ = ["PEERS", "PeerFailed", "PeerSpec", "Worker", "child_environment", "load_all", "peers_of", "settle"]

BATCH_SIZES = ("4", "8", "16", "32")


class PeerFailed(RuntimeError):
    """A peer's process ended; what it said is in its log."""


@dataclass(frozen=True)
class PeerSpec:
    """How to start a peer, and what it can be asked for."""

    name: str
    label: str
    environment: str
    forms: tuple[str, ...] = ("checkpoint",)
    """Of a model, that it reads: it takes the cases whose model has one of them."""
    batch_sizes: tuple[str, ...] = BATCH_SIZES
    """The variants that are tried on texts; the best is timed. Forward passes and generation have one variant, ''."""

    @property
    def sorts(self) -> bool:
        """Whether it sorts by length: then a batch of a sample is padded more than one of all."""
        return self.name != "transformers"

    @property
    def module(self) -> str:
        """Of benchmarks.peers."""
        return f"{self.name.replace('-', '_')}_peer"

    def takes(self, case: Case) -> bool:
        """Whether it has this case."""
        if self.name == "sentence-transformers":
            return isinstance(case, Texts) and case.model == "minilm" and case.as_arrays
        return any(form in MODELS[case.model].forms for form in self.forms)

    def can(self, case: Case) -> bool:
        """Whether what it needs for a case that it has could be made."""
        exists = any(MODELS[case.model].path(form).exists() for form in self.forms if form in MODELS[case.model].forms)
        return exists and (WORK / f"{self.environment}.stamp").exists()

    def variants(self, case: Case) -> tuple[str, ...]:
        """What to try."""
        return ("",) if isinstance(case, Forward | Generate) else self.batch_sizes


PEERS = {
    spec.name: spec
    for spec in (
        PeerSpec("transformers", "transformers 4.57.6 (PyTorch, eager)", "oracle", batch_sizes=("1", "8", "32")),
        PeerSpec("sentence-transformers", "sentence-transformers `encode`", "oracle", batch_sizes=("8", "16", "32")),
        PeerSpec("ctranslate2", "CTranslate2", "ctranslate2", ("ctranslate2",)),
        PeerSpec("onnxruntime", "ONNX Runtime, fused graph", "onnxruntime", ("fused-onnx",)),
        PeerSpec("openvino", "OpenVINO", "openvino", ("openvino", "openvino-generator")),
        PeerSpec("llamacpp", "llama.cpp", "llamacpp", ("gguf",)),
        PeerSpec("panpipe", "panpipe", "panpipe", batch_sizes=("",)),
    )
}


def peers_of(case: Case) -> list[PeerSpec]:
    """Those that have the case; transformers, which the others are compared with, comes first."""
    return [spec for spec in PEERS.values() if spec.takes(case)]


def child_environment(threads: int) -> dict[str, str]:
    """The variables of every process that is timed: equal threads, no network, no settings of the user's own."""
    strange = ("PYTHONPATH", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "PANPIPE_", "RAYON_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PANPIPE_NUM_THREADS", "RAYON_NUM_THREADS")
    return {**kept, **dict.fromkeys(counts, str(threads)), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}


class Worker:
    """A peer's process."""

    def __init__(self, spec: PeerSpec, threads: int) -> None:
        self.spec = spec
        self.log = WORK / "logs" / f"{spec.name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [str(python_of(spec.environment)), "-m", f"benchmarks.peers.{spec.module}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=child_environment(threads),
                text=True,
                encoding="utf-8",
            )

    def send(self, **request: Any) -> None:
        """Ask without waiting; `receive` gives the answer."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._failed() from None

    def receive(self) -> dict[str, Any]:
        """Raises PeerFailed where none came."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._failed()
        reply: dict[str, Any] = json.loads(line)
        return reply

    def failure(self) -> PeerFailed | None:
        """Receive an answer that says nothing, or what there was instead."""
        try:
            self.receive()
        except PeerFailed as error:
            return error
        return None

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send and receive."""
        self.send(**request)
        return self.receive()

    def cpu_seconds(self) -> float | None:
        """What the process has used so far; None where the system does not say."""
        return cpu_seconds(self.process.pid)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def _failed(self) -> PeerFailed:
        self.process.wait()
        tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
        return PeerFailed(f"{self.spec.label} ended with code {self.process.returncode}:\n{tail}")


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process (Linux)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(after_name[11]) + int(after_name[12])) / float(os.sysconf("SC_CLK_TCK"))


def settle(workers: Iterable[Worker], at_most: float = 1.0) -> None:
    """Wait until no worker uses the CPU: thread pools spin on for a while after their work, in the way of the next."""
    workers = list(workers)
    deadline = time.monotonic() + at_most
    before = _total(workers)
    while time.monotonic() < deadline:
        time.sleep(0.05)
        now = _total(workers)
        if None not in (before, now) and now == before:
            return
        before = now


def _total(workers: Sequence[Worker]) -> float | None:
    used = [worker.cpu_seconds() for worker in workers]
    return None if None in used else sum(value for value in used if value is not None)


def load_all(workers: Mapping[str, Worker], case: Case) -> dict[str, PeerFailed]:
    """All peers at once, since loading is not timed. Returns those that could not."""
    for worker in workers.values():
        worker.send(do="load", case=case.name)
    errors = {name: worker.failure() for name, worker in workers.items()}
    return {name: error for name, error in errors.items() if error is not None}
