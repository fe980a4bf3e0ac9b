"""The backend that needs no other package: counters in the hardware where they may be read, estimates elsewhere."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .components import Component
from .estimates import CpuEstimate, RamEstimate, busy_seconds, processor_name
from .nvml import Nvml
from .rapl import POWERCAP, Rapl

__all__ = ["Builtin"]

_ORDER = ("cpu", "gpu", "ram")


class Builtin:
    """RAPL, NVML and estimates.

    tracking_mode: "machine" or "process"; None: RAPL counts the machine; an estimate is of this process, or of the
    machine where a launcher (torchrun) started several.
    watts_per_core: of a busy logical core, to estimate by it.   powercap: the folder of RAPL's counters.
    """

    def __init__(
        self, tracking_mode: str | None = None, watts_per_core: float | None = None, powercap: Path = POWERCAP
    ) -> None:
        self._rapl, self._nvml = Rapl(powercap), Nvml()
        self._is_measured = self._rapl.found and tracking_mode != "process" and watts_per_core is None
        is_shared = self._is_measured or int(os.environ.get("LOCAL_WORLD_SIZE") or 1) > 1
        self.tracking_mode = tracking_mode or ("machine" if is_shared else "process")
        self.notes = [*self._rapl.notes, *self._nvml.notes]
        self._watts = watts_per_core

    def start(self) -> None:
        """Begin at zero."""
        self._cpu = CpuEstimate(self.tracking_mode, self._watts)
        self._ram = RamEstimate(self.tracking_mode)
        self._begin = time.monotonic(), busy_seconds()
        self._gpu_uses: list[float] = []
        self.sample()
        self._rapl.reset()
        self._nvml.reset()

    def sample(self) -> None:
        """Read the counters, which begin again after minutes, and what is in use now."""
        self._rapl.sample()
        self._nvml.sample()
        self._ram.sample()
        self._gpu_uses.append(self._nvml.use)

    def components(self) -> list[Component]:
        """CPU, GPU if there is one, RAM."""
        self.sample()
        measured = self._rapl.components(processor_name(), os.cpu_count() or 1) if self._is_measured else []
        measured += self._nvml.components()
        known = {part.name for part in measured}
        guessed = [part for part in (self._cpu.component(), self._ram.component()) if part.name not in known]
        return sorted(measured + guessed, key=lambda part: _ORDER.index(part.name))

    def stop(self) -> None:
        """Let go of the driver."""
        self._nvml.close()

    @property
    def load(self) -> dict[str, float]:
        """The means of the machine's use since the start, in per cent; memory in gigabytes, as it was last."""
        seconds = time.monotonic() - self._begin[0]
        cpu = (busy_seconds() - self._begin[1]) / (seconds * (os.cpu_count() or 1)) if seconds else 0.0
        ram = self._ram
        return {
            "cpu_utilization_percent": min(100.0, 100 * cpu),
            "gpu_utilization_percent": sum(self._gpu_uses) / max(1, len(self._gpu_uses)),
            "ram_utilization_percent": 100 * ram.used_gb / ram.total_gb if ram.total_gb else 0.0,
            "ram_used_gb": ram.used_gb,
            "ram_total_size": ram.total_gb,
        }
