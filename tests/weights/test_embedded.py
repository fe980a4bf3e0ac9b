"""The weights that come with panpipe: in whose place they stand, and when."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from panpipe.errors import CheckpointError
from panpipe.weights.embedded import embedded_base, embedded_models, is_installed
from panpipe.weights.hub import HubRepo, resolve
from panpipe.weights.source import Folder

from ..distribution import install, row, uninstall
from .test_hub import own_environment as own_environment  # a fixture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "base").mkdir()
    install(monkeypatch, tmp_path, [row("base", "feature-extraction", ["en"], hub_id="owner/base")])
    return tmp_path / "base"


def test_the_index_is_read_and_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("a", "ner", ["en"]), row("b", "ner", ["ko", "ja"]), row("c", "translation", ["fr-en"], hub_id="o/c")]
    module = install(monkeypatch, tmp_path, rows)
    assert [str(model) for model in module.models()] == ["a", "b", "c"]
    assert module.find("ner").folder == tmp_path / "a"
    assert module.find("ner", "ja").languages == ("ko", "ja")
    assert module.find("ner", "fr") is module.find("fill-mask") is None
    assert module.base("o/c") == tmp_path / "c"
    assert module.base("") is module.base("o/d") is None
    assert [model.folder.name for model in embedded_models()] == ["a", "b", "c"]


def test_without_the_distribution_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch)
    assert not is_installed()
    assert embedded_models() == []
    assert embedded_base("owner/base") is None


def test_a_distribution_of_an_older_version_says_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("panpipe_models.models")
    monkeypatch.delattr("panpipe_models.base")
    with pytest.raises(CheckpointError, match="--upgrade"):
        embedded_models()
    assert embedded_base("owner/base") is None


def test_the_hubs_model_is_asked_for_before_its_copy(folder: Path) -> None:
    assert isinstance(resolve("owner/base"), HubRepo)
    assert resolve("owner/base", prefer_embedded=True).file("x") is None
    assert isinstance(resolve("owner/base", prefer_embedded=True), Folder)


def test_offline_the_copy_serves_and_that_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = resolve("owner/base", local_files_only=True)
    assert isinstance(found, Folder)
    assert (found.path, found.name) == (folder, "owner/base")
    resolve("owner/base", local_files_only=True)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "owner/base is not in the cache" in caplog.text


@pytest.mark.parametrize("options", [{"revision": "v1"}, {"subfolder": "onnx"}])
def test_the_copy_is_of_the_main_branch(folder: Path, options: dict[str, str]) -> None:
    assert isinstance(resolve("owner/base", local_files_only=True, prefer_embedded=True, **options), HubRepo)


def test_what_is_in_the_cache_is_the_users(folder: Path, tmp_path: Path) -> None:
    repo = tmp_path / "cache" / "models--owner--base"
    snapshot = repo / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("c0ffee")
    options = {"cache_dir": tmp_path / "cache", "local_files_only": True, "prefer_embedded": True}
    (snapshot / "config.json").touch()
    assert isinstance(resolve("owner/base", **options), Folder)
    (snapshot / "model.safetensors").touch()
    assert isinstance(resolve("owner/base", **options), HubRepo)


def test_a_broken_distribution_does_not_matter_to_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, tmp_path, "{")
    assert isinstance(resolve("owner/base", local_files_only=True), HubRepo)
    assert "models.json cannot be read" in caplog.text
    install(monkeypatch, tmp_path, [row("gone", "feature-extraction", ["en"], hub_id="owner/gone")])
    assert isinstance(resolve("owner/gone", local_files_only=True), HubRepo)
