"""Runs a case: every peer's answers are compared with transformers', then all are timed in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.cases import Case, Forward, Generate, Texts
from benchmarks.figures import median
from benchmarks.models import WORK
from benchmarks.workers import PeerFailed, Worker, load_all, settle

__all__ = ["CaseResult", "PeerResult", "difference", "run_case", "tokens_apart", "tolerance"]

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

    failed: by name, the last that was heard of those whose process ended.
    rates: of each round, the machine's limits in operations and bytes a second.
    """

    peers: dict[str, PeerResult] = field(default_factory=dict)
    wrong: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    rates: list[dict[str, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def run_case(case: Case, workers: Mapping[str, Worker], texts: Sequence[str], repeats: int) -> CaseResult:
    """Load, compare, choose the variants, time in turn, forget.   texts: the sentences, for a case of `Texts`.

    A peer whose process ends before it is timed is left out.   Raises PeerFailed where that is transformers.
    """
    sample = list(texts)[::EVERY] if isinstance(case, Texts) else []
    texts = texts if isinstance(case, Texts) else []
    result = CaseResult()
    for name, error in load_all(workers, case).items():
        _leave_out(name, error, result)
    workers = {name: worker for name, worker in workers.items() if name not in result.failed}
    _compare(workers, case, sample, result)
    workers = {name: worker for name, worker in workers.items() if name not in result.failed}
    for name, found in result.peers.items():
        spec = workers[name].spec
        found.tried = _try_variants(workers, name, case, texts if spec.sorts else sample)
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


# -- answers ---------------------------------------------------------------------------------------------------------


def tolerance(case: Case) -> float:
    """The most that `difference` or `tokens_apart` may be of an answer that counts as right.

    Float32 sums in another order move hidden states and scores a little. Now and then they make another token the
    likeliest, and what follows it is another text; who computes anything else has hardly a token right.
    """
    return 0.5 if isinstance(case, Generate) else 1e-3


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


def tokens_apart(got: Arrays, expected: Arrays, sampled: bool) -> float:
    """The share of tokens that differ between two lists of sequences; infinite where they are not as many.

    sampled: drawn at random, so that it is right of them to differ, and wrong to be all one.
    """
    if [tokens.shape for tokens in got] != [tokens.shape for tokens in expected]:
        return float("inf")
    if sampled:
        return 0.0 if len({tokens.tobytes() for tokens in got}) == len(got) else float("inf")
    return float(np.mean(np.stack(got) != np.stack(expected)))


def _compare(workers: Mapping[str, Worker], case: Case, sample: list[str], result: CaseResult) -> None:
    folder = WORK / "answers"
    folder.mkdir(exist_ok=True)
    expected: Arrays | None = None
    for name, worker in workers.items():
        path = folder / f"{name}.npz"
        variants = worker.spec.variants(case)
        # transformers one by one, since its batches answer with the padding's rows as well
        variant = variants[0] if expected is None else variants[len(variants) // 2]
        try:
            worker.ask(do="answer", variant=variant, texts=sample, path=str(path))
        except PeerFailed as error:
            _leave_out(name, error, result)
            continue
        answers = _read(path)
        expected = answers if expected is None else expected
        sampled = isinstance(case, Generate) and bool(case.samples)
        is_tokens = isinstance(case, Generate)
        apart = tokens_apart(answers, expected, sampled) if is_tokens else difference(answers, expected)
        if apart <= tolerance(case):
            result.peers[name] = PeerResult(apart)
        else:
            result.wrong[name] = apart


def _leave_out(name: str, error: PeerFailed, result: CaseResult) -> None:
    if name == "transformers":
        raise error
    result.failed[name] = [line.strip() for line in str(error).splitlines() if line.strip()][-1]


def _read(path: Path) -> Arrays:
    with np.load(path) as file:
        arrays = [file[name] for name in file.files]
    path.unlink()
    return arrays


# -- times -----------------------------------------------------------------------------------------------------------


def _try_variants(workers: Mapping[str, Worker], name: str, case: Case, texts: Sequence[str]) -> dict[str, float]:
    """Each variant's seconds for the texts, those of a second pass where passes are short."""
    tried = {}
    variants = workers[name].spec.variants(case)
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
    warm_up, seconds = 0.0, 0.0  # one pass, which is long
    if isinstance(case, Forward):
        warm_up, seconds = 0.1, 0.4
    if isinstance(case, Generate):
        seconds = 1.0
    work = {"variant": variant, "texts": list(texts), "warm_up": warm_up, "seconds": seconds}
    return median(workers[name].ask(do="time", **work)["seconds"])
