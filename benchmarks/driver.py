"""The whole benchmark: environments, models, rounds, processes, report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, SENTENCES, Case, Forward, Generate, Texts, forward_flops, read_sentences
from benchmarks.environments import make_environments, make_models, python_of
from benchmarks.figures import median
from benchmarks.models import MODELS, ROOT, WORK, model_shape
from benchmarks.processes import run_processes
from benchmarks.report import render, write_between
from benchmarks.rounds import run_case
from benchmarks.workers import PEERS, Worker, peers_of

__all__ = ["main"]

PAGE = ROOT / "docs" / "benchmarks.md"
PROCESSES = "processes"

ROUNDS, QUICK_ROUNDS = 5, 2
FEWER = {"distilbert-sentences": 3, "minilm-sentences-arrays": 3, "bart-zero-shot": 3, "distilbert-long-answer": 3}
"""Rounds of cases whose rounds take long."""


def main() -> None:
    """The command line."""
    options = _options()
    started = time.monotonic()
    WORK.mkdir(exist_ok=True)
    missing = make_environments()
    missing |= make_models(without=missing)
    for name, reason in missing.items():
        _say(f"missing: {name}, since {reason}")
    if options.prepare:
        return
    cases = [CASES[name] for name in CASES if _is_chosen(name, options.only)]
    texts = read_sentences(options.sentences)
    if options.quick:
        texts = texts[::4]
    results = {**_results(options, texts), "missing": missing}
    before = _cpu_seconds()
    _run_cases(cases, texts, options, results)
    if _is_chosen(PROCESSES, options.only):
        _say("processes")
        results["processes"] = run_processes(options.threads, 1 if options.quick else 5)
    results["others"] = _share_of_others(before, _cpu_seconds())
    text = render(results)
    print(text)
    (WORK / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    if not options.only and not options.quick:
        write_between(PAGE, text)
        _say(f"written to {PAGE.relative_to(ROOT)}")
    _say(f"{time.monotonic() - started:.0f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="panpipe against its peers, in the same run."
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"of {', '.join(CASES)}, {PROCESSES}; parts of names will do",
    )
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS), help="leave the others out")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="fewer rounds, a fourth of the sentences; docs/benchmarks.md stays as it is",
    )
    parser.add_argument("--threads", type=int, default=2, help="of each peer (default 2)")
    parser.add_argument("--rounds", type=int, help=f"of each case (default {ROUNDS}, with --quick {QUICK_ROUNDS})")
    parser.add_argument("--sentences", type=Path, default=SENTENCES, help="other texts, one a line")
    parser.add_argument("--prepare", action="store_true", help="make the environments and models, and stop")
    options = parser.parse_args()
    names = (*CASES, PROCESSES)
    for given in options.only:
        if not any(given in name for name in names):
            parser.error(f"--only {given!r} is no part of a name. Names: {', '.join(names)}.")
    if "transformers" not in options.peers:
        parser.error("--peers must have transformers: the others' answers are compared with it.")
    return options


def _is_chosen(name: str, only: list[str]) -> bool:
    return not only or any(part in name for part in only)


def _rounds(case: Case, options: argparse.Namespace) -> int:
    if options.rounds:
        return int(options.rounds)
    return QUICK_ROUNDS if options.quick else FEWER.get(case.name, ROUNDS)


def _run_cases(cases: list[Case], texts: list[str], options: argparse.Namespace, results: dict[str, Any]) -> None:
    workers: dict[str, Worker] = {}
    try:
        for case in cases:
            _say(case.name)
            specs = [spec for spec in peers_of(case) if spec.name in options.peers and spec.can(case)]
            for spec in specs:
                if spec.name not in workers:
                    workers[spec.name] = Worker(spec, options.threads)
                    results["versions"] |= workers[spec.name].ask(do="versions")
            taking_part = {spec.name: workers[spec.name] for spec in specs}
            result = run_case(case, taking_part, texts, _rounds(case, options))
            for name, reason in result.failed.items():
                _say(f"{name} failed: {reason}")
                workers.pop(name).close()
            results["cases"][case.name] = {**_work(case, results["sentences"]["lengths"]), **result.as_dict()}
    finally:
        for worker in workers.values():
            worker.close()


def _work(case: Case, lengths: list[int]) -> dict[str, Any]:
    """What the report has to know of a case."""
    about = {"kind": type(case).__name__, "title": case.title}
    match case:
        case Forward():
            return {**about, **case.work()}
        case Generate():
            return {**about, **case.work(), "samples": case.samples}
        case Texts():
            return {**about, "flops": forward_flops(model_shape(case.model), lengths)}
    return about


def _results(options: argparse.Namespace, texts: list[str]) -> dict[str, Any]:
    lengths = _token_counts(texts)
    return {
        "date": date.today().isoformat(),
        "machine": _machine(),
        "threads": options.threads,
        "repeats": options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS),
        "sentences": {
            "count": len(texts),
            "mean": sum(lengths) / len(lengths),
            "median": median(lengths),
            "most": max(lengths),
            "lengths": lengths,
        },
        "versions": {},
        "cases": {},
    }


def _token_counts(texts: list[str]) -> list[int]:
    """With [CLS] and [SEP], by the tokenizer that all three models share."""
    code = (
        "import json, sys; from tokenizers import Tokenizer; tokenizer = Tokenizer.from_file(sys.argv[1]); "
        "tokenizer.no_padding(); tokenizer.no_truncation(); "
        "print([len(e.ids) for e in tokenizer.encode_batch(json.load(sys.stdin))])"
    )
    tokenizer = MODELS["minilm"].checkpoint / "tokenizer.json"
    command = [str(python_of("panpipe")), "-c", code, str(tokenizer)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    lengths: list[int] = json.loads(done.stdout)
    return lengths


def _cpu_seconds() -> tuple[float, float, float] | None:
    """(since when, used by all processes or kept by the host, used by us and our ended processes), on Linux."""
    try:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None
    busy = sum(fields) - fields[3] - fields[4]  # all but idle and waiting for disks
    return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def _share_of_others(before: tuple[float, ...] | None, after: tuple[float, ...] | None) -> float | None:
    """The share of the machine's time that went to processes which are none of ours."""
    if before is None or after is None:
        return None
    elapsed, busy, ours = (late - early for early, late in zip(before, after, strict=True))
    return max(0.0, busy - ours) / (elapsed * (os.cpu_count() or 1))


def _machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    memory = "unknown memory"
    if sys.platform == "linux":
        fields = dict(line.split(":", 1) for line in Path("/proc/cpuinfo").read_text().splitlines() if ":" in line)
        processor = {key.strip(): value.strip() for key, value in fields.items()}.get("model name", processor)
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    system = f"{platform.system()} {platform.release()}"
    return {
        "processor": processor,
        "cpus": os.cpu_count(),
        "memory": memory,
        "system": system,
        "python": platform.python_version(),
    }


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
