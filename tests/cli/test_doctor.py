"""`panpipe doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from panpipe.cli import doctor
from panpipe.errors import EngineError

from ..distribution import install, row
from ..weights.hub_server import serve
from .conftest import Run


@pytest.fixture(autouse=True)
def short_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_matrix_rate", lambda ops: 50.0)


def test_the_report_has_every_part(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = run("doctor", "--offline", "--json")
    told = json.loads(ran.out)
    assert ran.code == 0
    assert list(told) == ["versions", "machine", "engine", "threads", "speed", "caches", "network", "problems"]
    assert told["network"]["reachable"] == "not asked (--offline)"
    assert told["engine"]["why"] == "PANPIPE_ENGINE=reference"
    assert told["speed"] == {"matrix_product_gflops": 50}
    assert any("pip install" in problem for problem in told["problems"])
    assert "problems" in run("doctor", "--offline").out


def test_the_native_engine_is_measured_or_its_absence_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PANPIPE_ENGINE")
    try:
        from panpipe.ops import native
    except EngineError as error:
        assert str(error) in doctor.examine(offline=True)["problems"]
        return
    monkeypatch.setattr(native, "fma_peak", lambda threads, seconds: 400.0)
    monkeypatch.setattr(native, "memory_rate", lambda threads, seconds: 40.0)
    told = doctor.examine(offline=True)
    assert told["engine"]["instruction_set"] == told["engine"]["available"][0]
    assert told["speed"]["share_of_the_peak"] == 0.12
    assert any("12% of the processor's peak" in problem for problem in told["problems"])


def test_a_rate_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    from panpipe.ops import get_ops

    assert doctor._matrix_rate(get_ops("reference"), seconds=0.01) > 0


def test_without_kernels_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from panpipe import ops

    reference = ops.get_ops("reference")

    def get_ops(name: str | None = None) -> Any:
        if name == "native":
            raise EngineError("the native kernels are not built here. Reinstall.")
        return reference

    monkeypatch.delenv("PANPIPE_ENGINE")
    monkeypatch.setattr(ops, "get_ops", get_ops)
    told = doctor.examine(offline=True)
    assert told["engine"]["in_use"] == "reference (NumPy)"
    assert "the native kernels are not built here. Reinstall." in told["problems"]


@pytest.mark.parametrize("value, said", [("many", "whole number"), ("4000", "get in each other's way")])
def test_a_bad_number_of_threads_is_a_problem(value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANPIPE_NUM_THREADS", value)
    told = doctor.examine(offline=True)
    assert told["threads"]["why"] == f"PANPIPE_NUM_THREADS={value}"
    assert any(said in problem for problem in told["problems"])


def test_the_hub_is_asked_and_offline_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert doctor.examine()["network"] == {
            "hub": hub.url,
            "offline": True,
            "reachable": "not asked (HF_HUB_OFFLINE)",
        }
        assert hub.requests == []
        monkeypatch.delenv("HF_HUB_OFFLINE")
        assert doctor.examine()["network"]["reachable"].startswith("yes, in ")
        assert hub.requests == ["HEAD /"]
    told = doctor.examine()
    assert told["network"]["reachable"].startswith("no: ")
    assert any("HTTPS_PROXY" in problem for problem in told["problems"])


def test_an_address_that_is_no_web_address_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc/passwd")
    assert "https://" in doctor.examine()["network"]["reachable"]


def test_the_cache_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = tmp_path / "models--owner--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "x").write_bytes(b"12345")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "tiny").mkdir()
    install(monkeypatch, tmp_path, [row("tiny", "text-classification", ["ko"])])
    caches = doctor.examine(offline=True)["caches"]
    assert (caches["models"], caches["size_bytes"], caches["hub_cache"]) == (1, 5, str(tmp_path))
    assert caches["embedded"] == ["text-classification ko: tiny (accuracy 0.5 of tiny)"]


def test_a_broken_distribution_of_models_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert any('pip install "panpipe[models]"' in problem for problem in doctor.examine(offline=True)["problems"])
    for rows, words in (("{", "models.json cannot be read"), ([row("gone", "fill-mask", ["en"])], "there is no")):
        install(monkeypatch, tmp_path, rows)
        (problem,) = [p for p in doctor.examine(offline=True)["problems"] if "panpipe-models" in p]
        assert words in problem
        assert "--force-reinstall" in problem
