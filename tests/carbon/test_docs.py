"""What docs/energy.md shows runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from panpipe.carbon.records import COLUMNS
from panpipe.cli.energy import energy

PAGE = (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")


def test_the_page_runs_from_its_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "energy.md", "exec"), {})
        assert capsys.readouterr().out
    for line in re.findall(r"^panpipe energy (.*)$", PAGE, re.MULTILINE):
        assert energy(shlex.split(line)) == 0
    assert f"CodeCarbon's {len(COLUMNS)} columns" in PAGE
