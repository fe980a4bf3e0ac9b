"""The results in a folder as tables for docs/training_proof.md."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import markdown_table, milliseconds, ratio

__all__ = ["standard_error", "tables"]

SIDES = ("panpipe", "transformers")
CASES = {"real": "real text, random batches", "by-length": "real text, grouped by length", "equal": "all equally long"}


def standard_error(parts: Sequence[float]) -> float:
    """Of the whole, by the scores of its parts."""
    return statistics.stdev(parts) / math.sqrt(len(parts))


def tables(folder: Path) -> str:
    """Quality and speed, of whatever is there."""
    return f"{_quality(folder)}\n{_speed(folder)}"


def _quality(folder: Path) -> str:
    rows = []
    for path in sorted(folder.glob(f"*-{SIDES[0]}-*.json")):
        other = path.with_name(path.name.replace(SIDES[0], SIDES[1]))
        if other.exists():
            task, _, seed = path.stem.split("-")
            rows += _compared(f"{task}, seed {seed}", *(_read(each) for each in (path, other)))
    return markdown_table(("task", "metric", *SIDES, "difference"), rows)


def _compared(task: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for metric, value in ours["metrics"].items():
        parts = [[block[metric] for block in side["blocks"]] for side in (ours, theirs)]
        apart = [a - b for a, b in zip(*parts, strict=True)]
        values = [
            _plus_minus(value, parts[0]),
            _plus_minus(theirs["metrics"][metric], parts[1]),
            _plus_minus(value - theirs["metrics"][metric], apart),
        ]
        rows.append([task, metric, *values])
    return rows


def _plus_minus(value: float, parts: Sequence[float]) -> str:
    return f"{value:.1f} ± {standard_error(parts):.1f}"


def _speed(folder: Path) -> str:
    rows = []
    for path in sorted(folder.glob("*-speed-*.json")):
        task, _, case = path.stem.split("-", 2)
        found = _read(path)
        times = [milliseconds(found["cpu_seconds"][side]) for side in SIDES]
        speeds = [ratio(found[f"ratio_of_{clock}"]) for clock in ("cpu_seconds", "seconds")]
        memory = [f"{found['memory'][side]:.0f}" for side in SIDES]
        rows.append([f"{task}: {CASES[case]}", *times, *speeds, *memory])
    clocks = [f"{side}, ms" for side in SIDES]
    return markdown_table(("", *clocks, "by CPU time", "by the clock", *(f"{side}, MiB" for side in SIDES)), rows)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
