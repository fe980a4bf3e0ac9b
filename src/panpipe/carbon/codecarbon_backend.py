"""CodeCarbon (the extra [carbon]) as the backend: it measures, panpipe's table says what a kilowatt-hour costs.

Its offline tracker is used, which asks no network where the machine stands.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from typing import Any

from ..errors import MissingDependency
from .components import Component
from .places import Place

__all__ = ["CodeCarbon", "is_installed"]

_LOAD = (
    "cpu_utilization_percent",
    "gpu_utilization_percent",
    "ram_utilization_percent",
    "ram_used_gb",
    "ram_total_size",
)
_SAMPLE_SECONDS = 15


def is_installed() -> bool:
    """Whether CodeCarbon can be imported."""
    return importlib.util.find_spec("codecarbon") is not None


class CodeCarbon:
    """An OfflineEmissionsTracker that writes no file.   Raises MissingDependency where CodeCarbon is not installed.

    is_measured: whether RAPL may be read, which is where CodeCarbon measures the processor.
    """

    def __init__(self, project_name: str, place: Place, tracking_mode: str | None, is_measured: bool) -> None:
        try:
            library = importlib.import_module("codecarbon")
        except ImportError as error:
            raise MissingDependency('backend="codecarbon" needs CodeCarbon: pip install "panpipe[carbon]"') from error
        self.tracking_mode = tracking_mode or "machine"
        self.notes: list[str] = []
        self._cpu_method = ("measured", 0.1) if is_measured else ("estimated", 0.5)
        self._source = f"CodeCarbon {getattr(library, '__version__', '')}".strip()
        self._last: Any = None
        logging.getLogger("codecarbon").setLevel(logging.ERROR)  # it speaks before it reads its own log_level
        self._tracker = library.OfflineEmissionsTracker(
            project_name=project_name,
            country_iso_code=place.code or "USA",  # it must have one; its CO2e is not used
            force_carbon_intensity_g_co2e_kwh=place.grams_per_kwh,
            tracking_mode=self.tracking_mode,
            measure_power_secs=_SAMPLE_SECONDS,
            output_methods=[],
            output_handlers=[self],
            allow_multiple_runs=True,
            log_level="error",
        )

    def start(self) -> None:
        """Begin at zero."""
        self._tracker.start()

    def sample(self) -> None:
        """CodeCarbon samples in a thread of its own."""

    def components(self) -> list[Component]:
        """CPU, GPU if there is one, RAM."""
        self._tracker.flush()
        data = self._last
        if data is None:
            return []
        found = [
            Component("cpu", data.cpu_energy, *self._cpu_method, self._source, data.cpu_model, int(data.cpu_count or 0))
        ]
        if data.gpu_count:
            found.append(
                Component("gpu", data.gpu_energy, "measured", 0.1, self._source, data.gpu_model, int(data.gpu_count))
            )
        return [*found, Component("ram", data.ram_energy, "assumed", 0.5, self._source)]

    def stop(self) -> None:
        """End its threads."""
        self._tracker.stop()

    @property
    def load(self) -> dict[str, float]:
        """What it found of the machine's use."""
        return {name: float(getattr(self._last, name, 0.0) or 0.0) for name in _LOAD}

    # -- what CodeCarbon asks of an output handler --------------------------------------------------------------------

    def out(self, total: Any, delta: Any) -> None:
        """Keep the newest figures."""
        self._last = total

    live_out = out

    def task_out(self, data: Any, experiment_name: str) -> None:
        """There are no tasks."""

    def exit(self) -> None:
        """There is nothing to close."""
