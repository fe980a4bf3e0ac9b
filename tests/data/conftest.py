"""A cache of its own for each test, and no network but loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..weights.test_hub import own_environment as own_environment  # a fixture: no token or switch of this machine


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("PANPIPE_DATA_CACHE", str(folder))
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
