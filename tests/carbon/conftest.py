"""No country from outside, no GPU, and a fast clock for the meter's thread."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .powercap import Powercap


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PANPIPE_COUNTRY", "LOCAL_WORLD_SIZE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr("panpipe.carbon.meter.is_installed", lambda: False)


@pytest.fixture
def powercap(tmp_path: Path) -> Powercap:
    return Powercap(tmp_path / "powercap")
