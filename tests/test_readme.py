"""The README's lines do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from panpipe.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SHELL = [line for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("code", [code for code in PYTHON if "model=" not in code and "question-" not in code])
def test_snippets_that_need_no_hub_run(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("line", [line for line in SHELL if line.startswith("panpipe ") and "--" not in line])
def test_commands_that_need_no_files_run(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(line)[1:]) in (0, None)
    assert capsys.readouterr().out


def test_it_opens_with_one_sentence_and_two_commands() -> None:
    title, sentence, commands = README.split("\n\n")[:3]
    assert title == "# panpipe"
    assert sentence.count(". ") == 0
    assert [line.split("#")[0].strip() for line in commands.strip("`").splitlines()[1:] if line] == [
        "make demo",
        "make test",
    ]
