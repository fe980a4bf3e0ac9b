"""The energy counters of Intel and AMD processors, as Linux shows them under /sys/class/powercap.

A zone is a folder: intel-rapl:0 with the files name ("package-0"), energy_uj (microjoules, growing) and
max_energy_range_uj (where it begins again at 0); its parts are intel-rapl:0:0 and so on ("core", "uncore", "dram").
Packages and memory are counted. Cores are in their package; psys is the whole board, package included; intel-rapl-mmio
is a second view of the same packages. A processor of several dies may show one counter several times: zones whose
counters are the same to a joule are one.

Not covered: what power supply, fans, disks and network use. Error of the counters: a few per cent (Khan et al. 2018,
"RAPL in Action", doi:10.1145/3177754).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .components import Component, joules_to_kwh

__all__ = ["POWERCAP", "Rapl"]

POWERCAP = Path("/sys/class/powercap")
_ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
_BAND = 0.1
_SAME_UJ = 1_000_000  # two readings one after the other of one counter: a few milliseconds at full load
_TELLING_UJ = 100_000_000  # below it, soon after the start of the machine, two counters may be the same by chance


@dataclass
class _Zone:
    folder: Path
    part: str  # "cpu" or "ram"
    range_uj: int
    last_uj: int | None
    total_uj: int = 0

    def sample(self) -> None:
        now = _number(self.folder / "energy_uj")
        if now is not None and self.last_uj is not None:
            step = now - self.last_uj
            if step < 0:  # the counter began again
                step += self.range_uj
            self.total_uj += max(0, step)
        self.last_uj = now


class Rapl:
    """The counters of this machine, at zero.

    found: whether there are any that may be read.   notes: why not, if they are there.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self.notes: list[str] = []
        self._zones = self._open(root)
        self.found = any(zone.part == "cpu" for zone in self._zones)

    def reset(self) -> None:
        """Begin at zero."""
        for zone in self._zones:
            zone.total_uj = 0

    def sample(self) -> None:
        """Read the counters; more often than they begin again, which takes minutes."""
        for zone in self._zones:
            zone.sample()

    def components(self, model: str, cpus: int) -> list[Component]:
        """The processor's energy and, where it is counted, the memory's."""
        found = []
        for part, name, count in (("cpu", model, cpus), ("ram", "", 0)):
            zones = [zone for zone in self._zones if zone.part == part]
            if zones:
                kwh = joules_to_kwh(1e-6 * sum(zone.total_uj for zone in zones))
                source = "RAPL: " + ", ".join(zone.folder.name for zone in zones)
                found.append(Component(part, kwh, "measured", _BAND, source, name, count))
        return found

    def _open(self, root: Path) -> list[_Zone]:
        folders = sorted(path for path in root.glob("intel-rapl:*") if _ZONE.fullmatch(path.name))
        zones: list[_Zone] = []
        for folder in folders:
            part = _part(folder)
            if part is None:
                continue
            reading = _number(folder / "energy_uj")
            if reading is None:
                if part == "cpu" and not self.notes:
                    self.notes.append(
                        "This processor counts its energy (RAPL), but this user may not read it: "
                        f"sudo chmod a+r {root}/intel-rapl:*/energy_uj"
                    )
            elif not any(_is_mirror(zone, part, reading) for zone in zones):
                zones.append(_Zone(folder, part, _number(folder / "max_energy_range_uj") or 0, reading))
        return zones


def _part(folder: Path) -> str | None:
    try:
        name = (folder / "name").read_text().strip()
    except OSError:
        return None
    return "cpu" if name.startswith("package") else "ram" if name == "dram" else None


def _is_mirror(zone: _Zone, part: str, reading: int) -> bool:
    before = zone.last_uj or 0
    return zone.part == part and reading >= _TELLING_UJ and abs(reading - before) <= _SAME_UJ


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
