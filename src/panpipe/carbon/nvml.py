"""NVIDIA's own count of the energy of its GPUs, through the optional package nvidia-ml-py.

The whole device is counted, whoever uses it. A device that has no counter (before Volta) is measured by its power at
every sample. Error: within a tenth for runs of more than a second (Yang, Adamek and Armour 2024, "Part-time Power
Measurements", doi:10.1109/SC41406.2024.00028).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from pathlib import Path
from typing import Any

from .components import Component, joules_to_kwh

__all__ = ["Nvml"]

_BAND = 0.1
_DRIVER = Path("/proc/driver/nvidia/version")


class _Device:
    """A GPU and its joules since it was opened."""

    def __init__(self, library: Any, handle: Any) -> None:
        self._library = library
        self._handle = handle
        self._counter = self._count()
        self._time = time.monotonic()
        self.joules = 0.0
        name = library.nvmlDeviceGetName(handle)
        self.name = name.decode() if isinstance(name, bytes) else str(name)

    def sample(self) -> float:
        """Count on; the share of the time it was busy, in per cent."""
        now, seconds = self._count(), time.monotonic() - self._time
        self._time += seconds
        if now is not None and self._counter is not None:
            self.joules += max(0.0, now - self._counter)  # it begins again when the driver is loaded anew
        else:
            with contextlib.suppress(self._library.NVMLError):
                self.joules += 1e-3 * self._library.nvmlDeviceGetPowerUsage(self._handle) * seconds
        self._counter = now
        try:
            return float(self._library.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        except self._library.NVMLError:
            return 0.0

    def _count(self) -> float | None:
        """Joules since the driver was loaded."""
        try:
            return 1e-3 * float(self._library.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except self._library.NVMLError:
            return None


class Nvml:
    """The GPUs that this process may see, at zero; none where there is no driver or no package."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.use = 0.0  # per cent, at the last sample
        self._library = self._open()
        self._devices: list[_Device] = []
        if self._library is not None:
            self._devices = [_Device(self._library, handle) for handle in _visible(self._library)]

    def reset(self) -> None:
        """Begin at zero."""
        for device in self._devices:
            device.joules = 0.0

    def sample(self) -> None:
        """Read the counters."""
        uses = [device.sample() for device in self._devices]
        self.use = sum(uses) / len(uses) if uses else 0.0

    def components(self) -> list[Component]:
        """The energy of all GPUs as one component, or nothing."""
        if not self._devices:
            return []
        names = sorted({device.name for device in self._devices})
        kwh = joules_to_kwh(sum(device.joules for device in self._devices))
        return [Component("gpu", kwh, "measured", _BAND, "NVML", ", ".join(names), len(self._devices))]

    def close(self) -> None:
        """Let go of the library."""
        if self._library is not None:
            with contextlib.suppress(self._library.NVMLError):
                self._library.nvmlShutdown()

    def _open(self) -> Any:
        try:
            library = importlib.import_module("pynvml")
        except ImportError:
            if _DRIVER.exists():
                self.notes.append("The GPU is not counted: pip install nvidia-ml-py")
            return None
        try:
            library.nvmlInit()
        except library.NVMLError:  # no driver
            return None
        return library


def _visible(library: Any) -> list[Any]:
    """The handles of the devices in CUDA_VISIBLE_DEVICES (numbers or UUIDs), or of all."""
    handles = [library.nvmlDeviceGetHandleByIndex(index) for index in range(library.nvmlDeviceGetCount())]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return handles
    wanted = [name.strip() for name in chosen.split(",")]

    def is_wanted(index: int, handle: Any) -> bool:
        uuid = library.nvmlDeviceGetUUID(handle)
        uuid = uuid.decode() if isinstance(uuid, bytes) else str(uuid)
        return str(index) in wanted or any(name.startswith("GPU-") and uuid.startswith(name) for name in wanted)

    return [handle for index, handle in enumerate(handles) if is_wanted(index, handle)]
