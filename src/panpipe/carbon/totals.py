"""The runs of many emissions.csv files, panpipe's or CodeCarbon's, added up."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .checks import check_choice

__all__ = ["KEYS", "Total", "read_totals"]

KEYS = {"project": "project_name", "day": "timestamp", "country": "country_name"}
_NEEDED = ("timestamp", "project_name", "duration", "emissions", "energy_consumed", "country_name")


@dataclass(frozen=True)
class Total:
    """Runs that have something in common.

    name: what that is.   seconds, kwh, kg_co2e: their sums.
    """

    name: str
    runs: int
    seconds: float
    kwh: float
    kg_co2e: float


def read_totals(paths: Iterable[str | os.PathLike[str]], by: str = "project") -> list[Total]:
    """The totals of the files, or of every emissions.csv under the folders, by "project", "day" or "country".

    By day in the order of time; else those that used most come first.
    Raises InputError for a file that is none or lacks a column, and where there is no file; InvalidArgument for `by`.
    """
    check_choice("by", by, tuple(KEYS))
    groups: dict[str, list[tuple[float, float, float]]] = {}
    for file in _files(paths):
        for row, figures in _rows(file):
            name = row[KEYS[by]][:10] if by == "day" else row[KEYS[by]]
            groups.setdefault(name or "unknown", []).append(figures)
    totals = [Total(name, len(runs), *map(math.fsum, zip(*runs, strict=True))) for name, runs in groups.items()]
    return sorted(totals, key=(lambda total: total.name) if by == "day" else (lambda total: -total.kwh))


def _files(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    found: dict[Path, Path] = {}  # a file is read once, however often it is named
    looked = [Path(path) for path in paths]
    for path in looked:
        for file in sorted(path.rglob("emissions.csv")) if path.is_dir() else [path]:
            found.setdefault(file.resolve(), file)
    if not found:
        raise InputError(f"there is no emissions.csv in {', '.join(map(str, looked))} or the folders in it.")
    return list(found.values())


def _rows(file: Path) -> Iterable[tuple[dict[str, str], tuple[float, float, float]]]:
    """The rows and of each (seconds, kWh, kg)."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{file} is not an emissions.csv: it lacks the column {missing[0]!r}.")
            for row in reader:
                yield row, _figures(file, reader.line_num, row)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _figures(file: Path, line: int, row: dict[str, str]) -> tuple[float, float, float]:
    try:
        seconds, kwh, kilograms = (float(row[name]) for name in ("duration", "energy_consumed", "emissions"))
        if not all(map(math.isfinite, (seconds, kwh, kilograms))):
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(f"{file}, line {line}: duration, energy_consumed and emissions must be numbers.") from None
    return seconds, kwh, kilograms
