"""The page about data sets does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run_one_after_the_other_and_print_what_they_say(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    for code in PYTHON:
        exec(compile(code, "docs/data.md", "exec"), names)
    printed = " ".join(capsys.readouterr().out.split())
    for said in (match.strip() for code in PYTHON for match in re.findall(r"print\(.*\) +# (.*)", code)):
        expected = re.sub(r"(: it goes on| …).*", "", said)
        if not expected.startswith("Dataset("):
            assert expected in printed, said
