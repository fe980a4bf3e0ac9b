"""Energy where nothing measures it: the CPU's from its load, the memory's from how much is used.

    CPU   seconds of CPU time × watts of one busy logical core (the maker's design power over its logical cores)
    RAM   gigabytes in use × 0.375 W (a module of 8 GB at 3 W)

What a core or module uses while idle is not counted, and real processors go above and below their design power: the
bands are wide on purpose.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from pathlib import Path

from .components import Component, joules_to_kwh

__all__ = ["CpuEstimate", "RamEstimate", "busy_seconds", "memory_gb", "processor_name", "watts_per_core"]

RAM_WATTS_PER_GB = 0.375
_RAM_BAND = 0.5
_KNOWN_BAND, _FAMILY_BAND, _UNKNOWN_BAND = 0.4, 0.5, 0.7

# (part of the name, design power in watts, logical cores): the makers' data sheets (ark.intel.com, amd.com)
_KNOWN = (
    ("EPYC 7402", 180, 48),
    ("EPYC 7551", 180, 64),
    ("EPYC 7571", 200, 64),
    ("EPYC 7742", 225, 128),
    ("EPYC 7763", 280, 128),
    ("EPYC 9354", 280, 64),
    ("EPYC 9654", 360, 192),
    ("Platinum 8168", 205, 48),
    ("Platinum 8259CL", 210, 48),
    ("Platinum 8280", 205, 56),
    ("Platinum 8358", 250, 64),
    ("Platinum 8375C", 300, 64),
    ("Platinum 8480", 350, 112),
    ("Platinum 8488C", 385, 96),
    ("Gold 6148", 150, 40),
    ("Gold 6226R", 150, 32),
    ("Gold 6248", 150, 40),
    ("Gold 6338", 205, 64),
    ("E5-2680 v4", 120, 28),
    ("E5-2686 v4", 145, 36),
    ("E5-2690 v4", 135, 28),
    ("i5-1135G7", 28, 8),
    ("i7-1165G7", 28, 8),
    ("i7-8700", 65, 12),
    ("i9-9900K", 95, 16),
    ("i7-12700K", 125, 20),
    ("i9-13900K", 125, 32),
    ("Ryzen 5 5600X", 65, 12),
    ("Ryzen 7 5800X", 105, 16),
    ("Ryzen 9 5950X", 105, 32),
    ("Ryzen 9 7950X", 170, 32),
)
_FAMILIES = (  # (a pattern of the name, watts of a busy logical core): the middle of the family's data sheets
    (r"EPYC", 2.2),
    (r"Xeon", 3.7),
    (r"Ryzen|Threadripper", 4.5),
    (r"Core.*\b[im]\d-\d{4,5}[UYG]|Core.*Ultra", 3.0),
    (r"Core", 6.0),
    (r"Apple|Neoverse|Graviton|Ampere|ARM|aarch64", 2.5),
)
_UNKNOWN_WATTS = 4.0


def processor_name() -> str:
    """The processor's own name."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def watts_per_core(name: str) -> tuple[float, float, str]:
    """(watts of one busy logical core, error as a share, where that is from) of a processor's name."""
    plain = re.sub(r"\((?:R|TM)\)|CPU", "", name, flags=re.IGNORECASE)
    plain = re.sub(r"\s+", " ", plain)
    for model, watts, cores in _KNOWN:
        if model.lower() in plain.lower():
            return watts / cores, _KNOWN_BAND, f"design power of {model}: {watts} W, {cores} logical cores"
    for pattern, watts_each in _FAMILIES:
        found = re.search(pattern, plain, re.IGNORECASE)
        if found:
            return watts_each, _FAMILY_BAND, f"{watts_each:g} W a logical core, usual of {found[0]}"
    return _UNKNOWN_WATTS, _UNKNOWN_BAND, f"{_UNKNOWN_WATTS:g} W a logical core, as of an unknown processor"


class CpuEstimate:
    """CPU time × watts, since it was made.

    tracking_mode: "process": this process and its children that have ended; "machine": everything that runs.
    watts: of one busy logical core; None: by the processor's name.
    """

    def __init__(self, tracking_mode: str, watts: float | None) -> None:
        self._seconds = _process_seconds if tracking_mode == "process" else busy_seconds
        self._begin = self._seconds()
        self._model = processor_name()
        if watts is None:
            self._watts, self._band, self._source = watts_per_core(self._model)
        else:
            self._watts, self._band, self._source = watts, _KNOWN_BAND, f"{watts:g} W a logical core, as given"

    def component(self) -> Component:
        """The processor's energy."""
        kwh = joules_to_kwh(self._watts * (self._seconds() - self._begin))
        return Component("cpu", kwh, "estimated", self._band, self._source, self._model, os.cpu_count() or 1)


class RamEstimate:
    """Memory in use × watts per gigabyte, since it was made."""

    def __init__(self, tracking_mode: str) -> None:
        self._is_process = tracking_mode == "process"
        self._time = time.monotonic()
        self._joules = 0.0
        self.used_gb = self.total_gb = 0.0
        self._read()

    def sample(self) -> None:
        """Count on, at what is in use now."""
        now = time.monotonic()
        self._read()
        self._joules += RAM_WATTS_PER_GB * self.used_gb * (now - self._time)
        self._time = now

    def component(self) -> Component:
        """The memory's energy."""
        source = f"{RAM_WATTS_PER_GB:g} W a gigabyte in use"
        return Component("ram", joules_to_kwh(self._joules), "assumed", _RAM_BAND, source)

    def _read(self) -> None:
        machine_gb, self.total_gb = memory_gb()
        self.used_gb = _resident_gb() if self._is_process else machine_gb


def _process_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    times = os.times()  # of the process itself in steps of 10 ms only
    return time.process_time() + times.children_user + times.children_system


def busy_seconds() -> float:
    """CPU seconds of everything that runs; of this process where the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    except (OSError, ValueError):
        return _process_seconds()
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def memory_gb() -> tuple[float, float]:
    """(gigabytes in use, gigabytes there are) of the machine; 0 where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kb = {line.partition(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
        return (kb["MemTotal"] - kb["MemAvailable"]) / 2**20, kb["MemTotal"] / 2**20
    except (OSError, ValueError, KeyError):
        pass
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):  # Windows
        total = 0.0
    return _resident_gb(), total


def _resident_gb() -> float:
    """Gigabytes of memory that this process holds."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**30 if sys.platform == "darwin" else 2**20)
