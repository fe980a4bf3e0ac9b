"""The meter around a run, a generation or any block.

    with panpipe.energy("my-run", country="KOR") as meter:
        …
    print(meter.result)

A thread reads the counters now and then; what it costs is a thousandth of a second each time.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ..errors import InvalidArgument
from .builtin import Builtin
from .checks import check_choice, check_number
from .codecarbon_backend import CodeCarbon, is_installed
from .components import Backend, Component, added
from .places import Place, find_place
from .rapl import POWERCAP, Rapl
from .records import RunFiles
from .result import EnergyResult

__all__ = ["EnergyMeter", "energy"]

_SAMPLE_SECONDS = 10.0  # a counter of RAPL begins again after three minutes at the soonest
_FLUSH_SECONDS = 60.0
_log = logging.getLogger("panpipe.carbon")


class EnergyMeter:
    """Counts the energy between `start` and `stop`, and writes it into emissions.csv and emissions.json.

    project_name: what the row is called.   output_dir: where the files go; None: nowhere.
    run_id: a run that has a row there goes on: what is measured is added to it. None: a new run; or, if is_resumed, the
    project's last.
    country, region: whose electricity, as in `find_place`; default PANPIPE_COUNTRY, then the world's average.
    grams_per_kwh: the CO2e of your own contract, in place of the table's.
    backend: "builtin"; "codecarbon"; "auto": CodeCarbon where it is installed and RAPL may be read.
    tracking_mode: "machine", "process"; None: as the backend can.   watts_per_core: of a busy logical core, in place of
    RAPL and of the table of processors.   powercap: the folder of RAPL's counters.

    The files are rewritten at `flush`, `stop`, and once a minute, so that a run that is killed leaves what it used. A
    process forked off it counts nothing. Meters may be nested: the outer one counts what the inner one counts too.
    Raises InvalidArgument, before anything is measured, for a value that cannot be used or a folder that cannot be
    written to; MissingDependency for CodeCarbon where it is not installed.
    """

    def __init__(
        self,
        project_name: str = "panpipe",
        output_dir: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        country: str | None = None,
        region: str | None = None,
        backend: Literal["auto", "builtin", "codecarbon"] = "auto",
        is_resumed: bool = False,
        *,
        grams_per_kwh: float | None = None,
        tracking_mode: Literal["machine", "process"] | None = None,
        watts_per_core: float | None = None,
        powercap: str | os.PathLike[str] = POWERCAP,
    ) -> None:
        check_choice("backend", backend, ("auto", "builtin", "codecarbon"))
        if tracking_mode is not None:
            check_choice("tracking_mode", tracking_mode, ("machine", "process"))
        check_number("grams_per_kwh", grams_per_kwh)
        check_number("watts_per_core", watts_per_core)
        if is_resumed and output_dir is None:
            raise InvalidArgument("is_resumed=True needs the output_dir in which the run's row is.")
        self._project_name = project_name
        self._place = _place(country, region, grams_per_kwh)
        self._files = None if output_dir is None else RunFiles(output_dir)
        if run_id is None and is_resumed and self._files is not None:
            run_id = self._files.last_run(project_name)
        self._run_id = run_id or str(uuid.uuid4())
        self._before = _before(self._files, self._run_id)
        self._backend_name = _chosen(backend, watts_per_core, Path(powercap))
        self._backend: Backend = (
            CodeCarbon(project_name, self._place, tracking_mode, Rapl(Path(powercap)).found)
            if self._backend_name == "codecarbon"
            else Builtin(tracking_mode, watts_per_core, Path(powercap))
        )
        self._tokens = 0
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._begin: float | None = None
        self._result: EnergyResult | None = None

    @property
    def run_id(self) -> str:
        """What the row is found by."""
        return self._run_id

    @property
    def result(self) -> EnergyResult:
        """What was used: so far while the meter runs, in all when it has stopped.

        Raises InvalidArgument before it was started.
        """
        if self._result is not None:
            return self._result
        if self._begin is None:
            raise InvalidArgument("This meter was not started: use it in a with statement, or call start().")
        with self._alone():
            return self._measured()

    def count(self, tokens: int) -> None:
        """So many tokens more were read or written: the result then says the joules of a thousand."""
        self._tokens += tokens

    def start(self) -> EnergyMeter:
        """Begin to count.   Raises InvalidArgument if it was started before."""
        if self._begin is not None:
            raise InvalidArgument("This meter was started before: make another one.")
        self._backend.start()
        self._begin = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name="panpipe-energy", daemon=True)
        self._thread.start()
        return self

    def flush(self) -> None:
        """Write what was used so far. If that fails it is logged, and the run goes on."""
        if self._files is None or self._is_forked():
            return
        with self._alone():
            try:
                self._files.write(self.result)
            except OSError as error:
                _log.warning("%s was not written: %s. The run goes on.", self._files.csv, error)

    def stop(self) -> EnergyResult:
        """End the count, write it, and return it; again and again the same."""
        if self._result is not None or self._thread is None or self._is_forked():
            return self.result
        self._ended.set()
        self._thread.join()
        self._result = self._measured()
        self._backend.stop()
        self.flush()
        return self._result

    def __enter__(self) -> EnergyMeter:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _measured(self) -> EnergyResult:
        components = self._backend.components()
        kwh = sum(part.kwh for part in components)
        before = self._before
        notes = [note for note in (self._place.note, *self._backend.notes) if note]
        return EnergyResult(
            project_name=self._project_name,
            run_id=self._run_id,
            timestamp=time.strftime("%Y-%m-%dT%H:%M:%S"),
            seconds=before["seconds"] + time.monotonic() - (self._begin or 0.0),
            kg_co2e=before["kg_co2e"] + 1e-3 * kwh * self._place.grams_per_kwh,
            components=tuple(added(before["components"], components)),
            place=self._place,
            tracking_mode=self._backend.tracking_mode,
            backend=self._backend_name,
            tokens=before["tokens"] + self._tokens,
            notes=tuple(notes),
            load=self._backend.load,
        )

    def _watch(self) -> None:
        """Sample, and write now and then, until the end."""
        flushed = time.monotonic()
        while not self._ended.wait(_SAMPLE_SECONDS):
            with self._alone():
                self._backend.sample()
            if time.monotonic() - flushed >= _FLUSH_SECONDS:
                self.flush()
                flushed = time.monotonic()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._is_forked():  # the thread is not here, but the lock may have been taken by it
            yield
            return
        with self._lock:
            yield

    def _is_forked(self) -> bool:
        return os.getpid() != self._pid


def energy(
    project_name: str = "panpipe", output_dir: str | os.PathLike[str] | None = ".", **options: Any
) -> EnergyMeter:
    """A meter for a with statement; it writes emissions.csv into the current folder unless told otherwise.

    options: those of `EnergyMeter`.
    """
    return EnergyMeter(project_name, output_dir, **options)


def _place(country: str | None, region: str | None, grams_per_kwh: float | None) -> Place:
    place = find_place(country, region)
    if grams_per_kwh is None:
        return place
    return replace(place, grams_per_kwh=float(grams_per_kwh), year="as given", note="")


def _chosen(backend: str, watts_per_core: float | None, powercap: Path) -> str:
    if backend != "auto":
        return backend
    is_better = watts_per_core is None and Rapl(powercap).found and is_installed()
    return "codecarbon" if is_better else "builtin"


def _before(files: RunFiles | None, run_id: str) -> dict[str, Any]:
    """What the run's row says: its energies, with the methods that emissions.json gives; zeros where there is none."""
    row = files.row(run_id) if files is not None else None
    if files is None or row is None:
        return {"seconds": 0.0, "kg_co2e": 0.0, "tokens": 0, "components": []}
    record = files.record(run_id)
    known = _components(record)
    components = []
    for name in ("cpu", "gpu", "ram"):
        part = known.get(name, Component(name, 0.0, "assumed", 0.5, "the run's row, which does not say how"))
        kwh = _float(row[f"{name}_energy"])
        if kwh:
            components.append(replace(part, kwh=kwh))
    return {
        "seconds": _float(row["duration"]),
        "kg_co2e": _float(row["emissions"]),
        "tokens": int(record.get("tokens", 0)),
        "components": components,
    }


def _components(record: dict[str, Any]) -> dict[str, Component]:
    """The components of a record by name; none of one that somebody else wrote."""
    try:
        return {part["name"]: Component.from_dict(part) for part in record["components"]}
    except (KeyError, TypeError):
        return {}


def _float(text: str) -> float:
    """A number of the file; 0 where it holds none."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and number >= 0 else 0.0
