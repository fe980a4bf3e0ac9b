"""What is measured on processes of their own: imports, the first answer from a cold start, memory, size on disk."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.environments import python_of, site_packages
from benchmarks.figures import median
from benchmarks.models import MODELS, ROOT, WORK
from benchmarks.workers import child_environment

__all__ = ["run_processes", "sentiment_model"]

SENTENCE = "I've been waiting for a HuggingFace course my whole life."

IMPORTS = {
    "numpy": ("panpipe", "import numpy"),
    "panpipe": ("panpipe", "import panpipe"),
    "panpipe.pipeline": ("panpipe", "from panpipe import pipeline"),
    "transformers.pipeline": ("oracle", "from transformers import pipeline"),
}
"""name -> (environment, statement)."""

PEAK = """
def peak_bytes():
    import re
    try:
        with open("/proc/self/status") as status:
            return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read()).group(1))
    except OSError:
        return None
"""

IMPORT = """
import time
begin = time.perf_counter()
{statement}
seconds = time.perf_counter() - begin
import json
print(json.dumps({{"seconds": seconds, "peak_bytes": peak_bytes()}}))
"""

ANSWER = """
import json
from {package} import pipeline
answer = pipeline({task!r}, model={model!r})({text!r})
first = answer[0] if {task!r} == "sentiment-analysis" else [len(answer[0]), len(answer[0][0])]
print(json.dumps({{"answer": first, "peak_bytes": peak_bytes()}}))
"""


def run_processes(threads: int, repeats: int) -> dict[str, Any]:
    """Everything in this module.   repeats: of the cold starts; imports are repeated three times as often."""
    environment = child_environment(threads)
    model, is_embedded = sentiment_model()
    return {
        "imports": _imports(environment, 3 * repeats),
        "first_answer": {**_first_answers(environment, model, repeats), "embedded": is_embedded, "model": model.name},
        "memory": _memory(environment),
        "installed_bytes": installed_bytes(site_packages("panpipe")),
    }


def sentiment_model() -> tuple[Path, bool]:
    """The folder of the embedded model, and True; or a random DistilBERT's, and False, where this checkout has none."""
    code = "import panpipe_models; print(getattr(panpipe_models.find('text-classification'), 'folder', ''))"
    environment = {"PYTHONPATH": str(ROOT / "models" / "src")}
    command = [str(python_of("panpipe")), "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    folder = Path(found.stdout.strip() or "nowhere")
    return (folder, True) if (folder / "config.json").exists() else (MODELS["distilbert"].checkpoint, False)


def installed_bytes(folder: Path) -> int:
    """The sum of the sizes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _imports(environment: Mapping[str, str], repeats: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in IMPORTS}
    for turn in range(repeats + 1):
        for name, (where, statement) in IMPORTS.items():
            if name == "transformers.pipeline" and turn > max(3, repeats // 5):  # seconds each
                continue
            runs[name].append(_run(where, PEAK + IMPORT.format(statement=statement), environment)[1])
    return {
        name: {
            "seconds": [run["seconds"] for run in measured[1:]],  # the first fills the file cache
            "peak_bytes": _highest(run["peak_bytes"] for run in measured),
        }
        for name, measured in runs.items()
    }


def _first_answers(environment: Mapping[str, str], model: Path, repeats: int) -> dict[str, Any]:
    """From the start of the interpreter to its end, with one answer between."""
    seconds: dict[str, list[float]] = {"panpipe": [], "transformers": []}
    answers: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for package, where in (("panpipe", "panpipe"), ("transformers", "oracle")):
            code = PEAK + ANSWER.format(package=package, task="sentiment-analysis", model=str(model), text=SENTENCE)
            taken, reply = _run(where, code, environment)
            answers[package] = reply["answer"]
            if turn:
                seconds[package].append(taken)
    return {"seconds": seconds, "answers": answers}


def _memory(environment: Mapping[str, str]) -> dict[str, Any]:
    model = MODELS["bert-base"].checkpoint
    weights = (model / "model.safetensors").stat().st_size
    peaks = {}
    for package, where in (("panpipe", "panpipe"), ("transformers", "oracle")):
        code = PEAK + ANSWER.format(package=package, task="feature-extraction", model=str(model), text=SENTENCE)
        peaks[package] = median([_run(where, code, environment)[1]["peak_bytes"] or 0 for _ in range(3)])
    return {"weights_bytes": weights, "peak_bytes": peaks}


def _run(where: str, code: str, environment: Mapping[str, str]) -> tuple[float, dict[str, Any]]:
    """(seconds from start to end, what the last line printed said)."""
    begin = time.perf_counter()
    done = subprocess.run(
        [str(python_of(where)), "-I", "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=dict(environment),
        cwd=WORK,
    )
    taken = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(f"a process of the environment {where} failed:\n{done.stderr[-2000:]}")
    reply: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return taken, reply


def _highest(values: Any) -> int | None:
    known = [value for value in values if value is not None]
    return max(known, default=None)
