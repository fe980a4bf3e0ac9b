"""The command line run in this process, on the tiny checkpoints of tests/golden."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from panpipe.cli import main

from ..distribution import uninstall

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = {
    "feature-extraction": GOLDEN / "pipelines_a" / "bert" / "base",
    "text-classification": GOLDEN / "pipelines_a" / "bert" / "classifier",
    "fill-mask": GOLDEN / "pipelines_b" / "bert" / "fill-mask",
    "question-answering": GOLDEN / "pipelines_b" / "bert" / "question-answering",
    "token-classification": GOLDEN / "pipelines_b" / "bert" / "token-classification",
}
WRITERS = {  # (the model's folder, the tokenizer's)
    "summarization": ("bart", "bart"),
    "text-generation": ("llama", "smollm"),
    "text2text-generation": ("t5", "t5"),
    "translation": ("m2m_100", "m2m100"),
}
SAME = {
    "ner": "token-classification",
    "sentiment-analysis": "text-classification",
    "zero-shot-classification": "text-classification",
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON of each line of stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def outputs(self) -> list[Any]:
        """The answers."""
        return [line["output"] for line in self.lines]


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder for each task, whose name is Korean and has a space."""
    root = tmp_path_factory.mktemp("모델 폴더")
    folders = {}
    for task, source in MODELS.items():
        folder = root / task
        shutil.copytree(source, folder)
        for file in (GOLDEN / "pipelines_b" / "bert").iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        folders[task] = str(folder)
    for task, (model, tokenizer) in WRITERS.items():
        folder = root / task
        shutil.copytree(GOLDEN / "pipelines_c" / model, folder)
        shutil.copytree(GOLDEN / "tokenizers" / tokenizer, folder, dirs_exist_ok=True, ignore=_config_of(folder))
        folders[task] = str(folder)
    return folders | {task: folders[other] for task, other in SAME.items()}


def _config_of(folder: Path) -> Callable[[str, list[str]], list[str]]:
    """What is not to be copied over the model's own files."""
    return lambda _, names: [name for name in names if (folder / name).exists() or name == "golden.json"]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The NumPy engine, which every machine has; no network; a cache of its own."""
    monkeypatch.setenv("PANPIPE_ENGINE", "reference")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    for name in ("NO_COLOR", "HF_ENDPOINT", "HF_HUB_CACHE", "PANPIPE_NUM_THREADS", "PANPIPE_ISA"):
        monkeypatch.delenv(name, raising=False)
    uninstall(monkeypatch)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """run("ner", "text", …): the command's exit code and output."""

    def command(*arguments: str) -> Ran:
        code = main(list(arguments))
        return Ran(code, *capsys.readouterr())

    return command


@pytest.fixture
def run_on_terminal(monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same, for a person at a terminal of 100 columns."""

    def command(*arguments: str) -> Ran:
        out, err = Terminal(), Terminal()
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return Ran(main(list(arguments)), out.getvalue(), err.getvalue())

    return command


@pytest.fixture
def pipe_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """What the next command reads from standard input."""
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))
