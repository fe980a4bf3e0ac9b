"""Runs a case: every peer's answers are compared with transformers', then all are timed in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cases import WORK, Case, Forward
from benchmarks.figures import median
from benchmarks.workers import Worker, load_all, settle

__all__ = ["TOLERANCE", "CaseResult", "PeerResult", "difference", "run_case"]

TOLERANCE = 1e-3
"""The most that a peer's hidden states or scores may differ from transformers': float32 sums in another order."""

EVERY = 4
"""Answers are compared on every fourth sentence, and so is the batch size chosen of a peer that does not sort."""

Arrays = list[npt.NDArray[Any]]


@dataclass
class PeerResult:
    """seconds: one for each round.   tried: seconds of each variant."""

    difference: float
    variant: str = ""
    seconds: list[float] = field(default_factory=list)
    tried: dict[str, float] = field(default_factory=dict)


@dataclass
class CaseResult:
    """peers: by name, those that were right.   wrong: by name, how far the others were off.

    rates: of each round, the machine's limits in operations and bytes a second.
    """

    peers: dict[str, PeerResult] = field(default_factory=dict)
    wrong: dict[str, float] = field(default_factory=dict)
    rates: list[dict[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_case(case: Case, workers: Mapping[str, Worker], texts: Sequence[str], repeats: int) -> CaseResult:
    """Load, compare, choose the variants, time in turn, forget.   texts: the sentences (unused by a forward pass)."""
    load_all(workers, case)
    sample = [] if isinstance(case, Forward) else list(texts)[::EVERY]
    result = CaseResult()
    _compare(workers, case, sample, result)
    for name, found in result.peers.items():
        spec = workers[name].spec
        found.tried = {} if isinstance(case, Forward) else _try_variants(workers, name, texts if spec.sorts else sample)
        found.variant = min(found.tried, key=found.tried.__getitem__, default=spec.variants(case)[0])
    names = list(result.peers)
    for turn in range(repeats):
        if "panpipe" in workers:
            settle(workers.values())
            result.rates.append(workers["panpipe"].ask(do="rates", seconds=0.25))
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found = result.peers[name]
            found.seconds.append(_time(workers, name, case, found.variant, texts))
    for worker in workers.values():
        worker.ask(do="forget")
    return result


def difference(got: Arrays, expected: Arrays) -> float:
    """The largest between two lists of answers; a pooled vector is compared with the tokens' mean at length 1."""
    if len(got) != len(expected):
        return float("inf")
    return max((_apart(a, b) for a, b in zip(got, expected, strict=True)), default=0.0)


def _apart(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    if a.ndim == 1 and b.ndim == 2:
        b = b.mean(0)
        b = b / np.linalg.norm(b)
    if a.shape != b.shape:
        return float("inf")
    return float(np.abs(a - b).max(initial=0.0))


def _compare(workers: Mapping[str, Worker], case: Case, sample: list[str], result: CaseResult) -> None:
    folder = WORK / "answers"
    folder.mkdir(exist_ok=True)
    expected: Arrays | None = None
    for name, worker in workers.items():
        path = folder / f"{name}.npz"
        variants = worker.spec.variants(case)
        # transformers one by one, since its batches answer with the padding's rows as well
        variant = variants[0] if expected is None else variants[len(variants) // 2]
        worker.ask(do="answer", variant=variant, texts=sample, path=str(path))
        answers = _read(path)
        expected = answers if expected is None else expected
        apart = difference(answers, expected)
        if apart <= TOLERANCE:
            result.peers[name] = PeerResult(apart)
        else:
            result.wrong[name] = apart


def _read(path: Path) -> Arrays:
    with np.load(path) as file:
        arrays = [file[name] for name in file.files]
    path.unlink()
    return arrays


def _try_variants(workers: Mapping[str, Worker], name: str, texts: Sequence[str]) -> dict[str, float]:
    """Each variant's seconds for the texts, those of a second pass where passes are short."""
    tried = {}
    variants = workers[name].spec.batch_sizes
    for variant in variants if len(variants) > 1 else ():
        settle(workers.values())
        work = {"variant": variant, "texts": list(texts), "warm_up": 0, "seconds": 0}
        [seconds] = workers[name].ask(do="time", **work)["seconds"]
        if seconds < 2:
            [seconds] = workers[name].ask(do="time", **work)["seconds"]
        tried[variant] = seconds
    return tried


def _time(workers: Mapping[str, Worker], name: str, case: Case, variant: str, texts: Sequence[str]) -> float:
    settle(workers.values())
    if isinstance(case, Forward):
        work: dict[str, Any] = {"variant": variant, "texts": [], "warm_up": 0.1, "seconds": 0.4}
    else:
        work = {"variant": variant, "texts": list(texts), "warm_up": 0, "seconds": 0}
    return median(workers[name].ask(do="time", **work)["seconds"])
