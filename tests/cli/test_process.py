"""The command as a process of its own: pipes, signals, consoles that are not UTF-8, the time to start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import panpipe

SOURCE = str(Path(panpipe.__file__).parents[1])


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "panpipe", *arguments]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE, **more}


def test_a_console_of_another_code_page_gets_utf8_and_does_not_crash(models: dict[str, str]) -> None:
    asked = command("ner", "--model", models["ner"])
    ran = subprocess.run(
        asked, input="서울 👍\n".encode(), capture_output=True, env=environment(PYTHONIOENCODING="cp949"), timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert json.loads(ran.stdout.decode("utf-8"))["input"] == "서울 👍"
    asked = command("ner", "--model", models["ner"], "--input", "👍없다.txt")
    ran = subprocess.run(asked, capture_output=True, env=environment(PYTHONIOENCODING="cp949"), timeout=60)
    assert ran.returncode == 1
    assert b"there is no such file" in ran.stderr
    assert b"Traceback" not in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process of a console")
def test_ctrl_c_leaves_complete_lines(models: dict[str, str], tmp_path: Path) -> None:
    # A shell's background job inherits SIGINT ignored; the test must not depend on where it runs.
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    start += "; from panpipe.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", start, "ner", "--model", models["ner"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("hello 서울\n".encode() * 6)
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
        assert process.wait(60) == 130
    lines: list[Any] = [json.loads(line) for line in (first + rest).splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert rest == b"" or rest.endswith(b"\n")
    assert b"interrupted" in errors
    assert b"Traceback" not in errors


def test_a_closed_pipe_ends_the_run_quietly(models: dict[str, str], tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("hello there\n" * 2000, "utf-8")
    with subprocess.Popen(
        command("ner", "--model", models["ner"], "--input", str(texts)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["index"] == 0
        process.stdout.close()
        errors = process.stderr.read()
        assert (process.wait(60), errors) == (0, b"")


def test_help_and_version_load_nothing_heavy() -> None:
    check = (
        "import sys; from panpipe.cli import main; codes = [main([a]) for a in ('--help', '--version')]; "
        "heavy = {'numpy', 'tokenizers', 'huggingface_hub', 'tqdm', 'torch'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy or any(codes) else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, env=environment(), timeout=60)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert f"panpipe {panpipe.__version__}" in ran.stdout.decode("utf-8")
    assert "panpipe zero-shot-classification" in ran.stdout.decode("utf-8")
