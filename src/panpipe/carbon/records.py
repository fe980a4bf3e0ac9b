"""emissions.csv in CodeCarbon's columns, a row for each run, and emissions.json beside it with how each figure was got.

Both are written whole or not at all; of two programs that write at once, each finds what the other wrote.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument
from ..weights.whole_file import whole_file
from .result import EnergyResult

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["COLUMNS", "RunFiles", "read_rows"]

COLUMNS = (
    "timestamp",
    "project_name",
    "run_id",
    "experiment_id",
    "duration",  # s
    "emissions",  # kg
    "emissions_rate",  # kg/s
    "cpu_power",  # W
    "gpu_power",
    "ram_power",
    "cpu_energy",  # kWh
    "gpu_energy",
    "ram_energy",
    "energy_consumed",
    "water_consumed",  # litres
    "country_name",
    "country_iso_code",
    "region",
    "cloud_provider",
    "cloud_region",
    "os",
    "python_version",
    "codecarbon_version",
    "cpu_count",
    "cpu_model",
    "gpu_count",
    "gpu_model",
    "longitude",
    "latitude",
    "ram_total_size",  # GB
    "tracking_mode",
    "cpu_utilization_percent",
    "gpu_utilization_percent",
    "ram_utilization_percent",
    "ram_used_gb",
    "on_cloud",
    "pue",
    "wue",
)


class RunFiles:
    """The two files of a folder, which is made if need be.

    Raises InvalidArgument if nothing can be written there.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.csv = self.folder / "emissions.csv"
        self.json = self.folder / "emissions.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise InvalidArgument(
                f"output_dir {str(folder)!r}: emissions.csv cannot be written there ({error.strerror or error}). "
                "Give another folder, or None to write nothing."
            ) from None

    def row(self, run_id: str) -> dict[str, str] | None:
        """The row of a run, if it has one."""
        return next((row for row in read_rows(self.csv) if row["run_id"] == run_id), None)

    def last_run(self, project_name: str) -> str | None:
        """The run_id of a project's last row."""
        return next(
            (row["run_id"] for row in reversed(read_rows(self.csv)) if row["project_name"] == project_name), None
        )

    def record(self, run_id: str) -> dict[str, Any]:
        """What emissions.json says of a run; nothing where it says nothing."""
        return next((run for run in self._records() if run.get("run_id") == run_id), {})

    def write(self, result: EnergyResult) -> None:
        """The run's row and record, in place of those it had.   Raises OSError."""
        with self._alone():
            _set_aside(self.csv, is_ours=_header(self.csv) in (None, list(COLUMNS)))
            rows = [row for row in read_rows(self.csv) if row["run_id"] != result.run_id]
            with whole_file(self.csv) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS)
                writer.writeheader()
                writer.writerows([*rows, _row(result)])
            records = [run for run in self._records() if run.get("run_id") != result.run_id]
            text = json.dumps({"runs": [*records, result.to_dict()]}, ensure_ascii=False, indent=1)
            with whole_file(self.json) as temporary:
                temporary.write_text(text + "\n", "utf-8")

    def _records(self) -> list[dict[str, Any]]:
        try:
            runs = json.loads(self.json.read_text("utf-8"))["runs"]
            return [run for run in runs if isinstance(run, dict)]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError):  # somebody else's, or broken
            _set_aside(self.json, is_ours=False)
            return []

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other program of ours writes here meanwhile, where the system has locks."""
        if fcntl is None:
            yield
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # some network file systems have none
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file with CodeCarbon's columns; none where there is no such file."""
    if _header(path) != list(COLUMNS):
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file, restval="") if None not in row]


def _header(path: Path) -> list[str] | None:
    """The first line's names; None for no file or an empty one."""
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            return next(csv.reader(file), None)
    except FileNotFoundError:
        return None


def _set_aside(path: Path, is_ours: bool) -> None:
    """Give a file of another kind another name: emissions.csv.bak, emissions.csv.bak1 …"""
    if is_ours:
        return
    number = 0
    while (free := path.with_name(f"{path.name}.bak{number or ''}")).exists():
        number += 1
    path.rename(free)


def _row(result: EnergyResult) -> dict[str, Any]:
    from .. import __version__

    parts = {part.name: part for part in result.components}

    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    for name in ("cpu", "gpu", "ram"):
        kwh = parts[name].kwh if name in parts else 0.0
        row[f"{name}_energy"], row[f"{name}_power"] = kwh, result.watts_of(kwh)
    for name in ("cpu", "gpu"):
        if name in parts:
            row[f"{name}_model"], row[f"{name}_count"] = parts[name].model, parts[name].count
    return row | {
        "timestamp": result.timestamp,
        "project_name": result.project_name,
        "run_id": result.run_id,
        "duration": result.seconds,
        "emissions": result.kg_co2e,
        "emissions_rate": result.kg_co2e / result.seconds if result.seconds else 0.0,
        "energy_consumed": result.kwh,
        "water_consumed": 0.0,
        "country_name": result.place.name,
        "country_iso_code": result.place.code,
        "region": result.place.region,
        "os": platform.platform(),
        "python_version": platform.python_version(),
        "codecarbon_version": f"panpipe {__version__}",  # whose row it is, in CodeCarbon's column for that
        "tracking_mode": result.tracking_mode,
        "on_cloud": "N",
        "pue": 1.0,
        "wue": 0.0,
        **result.load,
    }
