"""Folders, the cache and the Hub: what is found, what is fetched, and what is said when it cannot be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from panpipe.errors import CheckpointNotFound, CorruptCheckpoint, HubUnavailable, InvalidArgument, UnsafeCheckpoint
from panpipe.weights.checkpoint import open_checkpoint
from panpipe.weights.hub import cache_folder, resolve
from panpipe.weights.save import save_safetensors
from panpipe.weights.source import Folder

from .hub_server import COMMIT, Answer, Hub, Repo, serve

CONFIG = json.dumps({"model_type": "bert"}).encode()
TOKENIZER_FILES = {
    "tokenizer_config.json": b"{}",
    "special_tokens_map.json": b'{"cls_token": "[CLS]"}',
    "tokenizer.json": b'{"version": "1.0"}',
}


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, token or switch of the machine that runs the tests."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    path = tmp_path / "made.safetensors"
    save_safetensors({"weight": np.arange(6, dtype=np.float32)}, path)
    return path.read_bytes()


@pytest.fixture
def hub(weights: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    repo = Repo({"config.json": CONFIG, "model.safetensors": weights, **TOKENIZER_FILES})
    with serve({"owner/model": repo}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        # read by huggingface_hub when it was imported, which another test may have caused
        monkeypatch.setattr(constants, "ENDPOINT", running.url)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between retries
        yield running


def load(name: str = "owner/model", **options: object) -> None:
    """What a pipeline does: config, tokenizer files, weights."""
    source = resolve(name, **options)  # type: ignore[arg-type]
    assert source.json("config.json") == {"model_type": "bert"}
    assert source.first("tokenizer.json", "vocab.txt") is not None
    assert source.file("tokenizer_config.json") is not None
    assert source.file("added_tokens.json") is None
    assert source.file("generation_config.json") is None
    with open_checkpoint(source) as checkpoint:
        assert checkpoint.read("weight").tolist() == [0, 1, 2, 3, 4, 5]


# -- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_is_read_without_huggingface_hub(tmp_path: Path, weights: bytes) -> None:
    folder = tmp_path / "모델"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_bytes(CONFIG)
    program = (
        "import sys\n"
        "from panpipe.weights.hub import resolve\n"
        "from panpipe.weights.checkpoint import open_checkpoint\n"
        "source = resolve(sys.argv[1])\n"
        "print(source.json('config.json'), source.file('vocab.txt'), open_checkpoint(source).read('weight').sum())\n"
        "heavy = {'huggingface_hub', 'safetensors', 'httpx', 'requests', 'pickle', 'zipfile'} & set(sys.modules)\n"
        "print(heavy - {'pickle', 'zipfile'})\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, encoding="utf-8", env=environment, check=True
    )
    assert run.stdout.splitlines() == ["{'model_type': 'bert'} None 15.0", "set()"]


def test_a_folder_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").touch()
    with pytest.raises(CheckpointNotFound, match=r"no config\.json in the folder .* holds: vocab\.txt"):
        resolve(tmp_path).require("config.json")
    with pytest.raises(CheckpointNotFound, match=r"has no weights.*model\.safetensors"):
        open_checkpoint(tmp_path)
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(CheckpointNotFound, match=r"only tf_model\.h5"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("./missing", "there is no folder './missing'"),
        ("/no/such/folder", "there is no folder '/no/such/folder'"),
        ("a/b/c", "there is no folder 'a/b/c'"),
        (r"C:\models\bert", "there is no folder"),
        (Path("missing"), "there is no folder 'missing'"),
        ("two words", "neither a folder here nor a model id"),
        ("owner/na--me", "neither a folder here nor a model id"),
        ("owner/..", "neither a folder here nor a model id"),
        ("", "neither a folder here nor a model id"),
        ("x" * 97, "neither a folder here nor a model id"),
    ],
)
def test_what_is_neither_folder_nor_id_is_said_to_be_so(typed: str | Path, message: str) -> None:
    with pytest.raises(CheckpointNotFound, match=message.replace("\\", ".")):
        resolve(typed)


def test_a_folder_that_hides_a_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    with pytest.raises(CheckpointNotFound, match=r"hides the model 'gpt2' of the Hub"):
        resolve("gpt2").require("config.json")


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(CheckpointNotFound, match="is a file; give the folder"):
        resolve(file)


def test_a_subfolder_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "onnx" / "small").mkdir(parents=True)
    (tmp_path / "onnx" / "small" / "config.json").write_bytes(CONFIG)
    assert resolve(tmp_path, subfolder="onnx/small").json("config.json") == {"model_type": "bert"}
    with pytest.raises(UnsafeCheckpoint):
        resolve(tmp_path / "onnx", subfolder="../..")


# -- the Hub and its cache -------------------------------------------------------------------------------------------


def test_an_id_is_fetched_once_and_then_served_without_a_network(hub: Hub) -> None:
    load()
    fetched = {request.rsplit("/", 1)[1] for request in hub.of("GET", "owner/model")}
    assert fetched == {"config.json", "model.safetensors", *TOKENIZER_FILES}
    hub.requests.clear()
    load()
    assert hub.requests == []
    hub.stop()
    load()
    load(local_files_only=True)
    load(revision=COMMIT)


def test_the_cache_is_huggingface_hubs(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache

    load()
    cache = tmp_path / "home" / "hub"
    assert cache_folder() == cache
    found = try_to_load_from_cache("owner/model", "config.json", cache_dir=cache)
    assert isinstance(found, str)
    assert Path(found).read_bytes() == CONFIG
    assert try_to_load_from_cache("owner/model", "added_tokens.json", cache_dir=cache) is _CACHED_NO_EXIST
    hub.requests.clear()
    offline = hf_hub_download("owner/model", "model.safetensors", cache_dir=cache, local_files_only=True)
    assert Path(offline).is_file()
    assert hub.requests == []
    hf_hub_download("owner/model", "model.safetensors", cache_dir=cache, endpoint=hub.url)
    assert hub.of("GET", "owner/model") == []


def test_what_huggingface_hub_cached_is_read_without_a_question(hub: Hub, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download

    for name in ("config.json", "model.safetensors", *TOKENIZER_FILES):
        hf_hub_download("owner/model", name, cache_dir=tmp_path / "theirs", endpoint=hub.url)
    hub.requests.clear()
    load(cache_dir=tmp_path / "theirs")
    assert hub.requests == []


def test_a_cached_id_is_read_without_huggingface_hub(tmp_path: Path, weights: bytes) -> None:
    """From a cache laid out by hand, in a process that could reach nobody."""
    repo = tmp_path / "home" / "hub" / "models--owner--model"
    snapshot = repo / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc123")
    (snapshot / "config.json").write_bytes(CONFIG)
    (snapshot / "model.safetensors").write_bytes(weights)
    (snapshot / "vocab.txt").write_bytes(b"[PAD]\n")
    program = (
        "import socket, sys\n"
        "def refuse(*_, **__): raise AssertionError('the network was asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from panpipe.weights.hub import resolve\n"
        "from panpipe.weights.checkpoint import open_checkpoint\n"
        "source = resolve('owner/model')\n"
        "print(source.json('config.json'), source.first('tokenizer.json', 'vocab.txt').name)\n"
        "print([source.file(name) for name in ('generation_config.json', 'tokenizer_config.json', 'README.md')])\n"
        "print(open_checkpoint(source).read('weight').sum(), 'huggingface_hub' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert run.stdout.splitlines() == ["{'model_type': 'bert'} vocab.txt", "[None, None, None]", "15.0 False"]


def test_only_the_missing_part_of_a_cache_is_fetched(hub: Hub) -> None:
    """A model that another library cached without its tokenizer."""
    source = resolve("owner/model")
    source.require("config.json")
    open_checkpoint(source).close()
    hub.requests.clear()
    load()
    assert {request.rsplit("/", 1)[1] for request in hub.of("GET", "owner/model")} == set(TOKENIZER_FILES)


def test_a_tokenizer_of_several_files_is_fetched_whole(hub: Hub) -> None:
    hub.repos["gpt"] = Repo({"config.json": CONFIG, "vocab.json": b"{}", "merges.txt": b"#version: 0.2"})
    for _ in range(2):
        source = resolve("gpt")
        assert source.file("tokenizer.json") is None
        assert source.file("vocab.json") is not None
        assert source.file("merges.txt") is not None
        assert source.files() == ["merges.txt", "vocab.json"]
    hub.requests.clear()
    source = resolve("gpt")
    assert [source.file(name) is None for name in ("tokenizer.json", "vocab.json", "merges.txt")] == [
        True,
        False,
        False,
    ]
    assert hub.requests == []


def test_an_interrupted_fetch_goes_on_where_it_stopped(hub: Hub) -> None:
    """tokenizer.json comes after the small files beside it, so that its presence means theirs."""
    hub.override = lambda method, path, answer: Answer(503) if path.endswith("special_tokens_map.json") else answer
    with pytest.raises(HubUnavailable, match="503"):
        resolve("owner/model").file("tokenizer.json")
    hub.override = None
    source = resolve("owner/model")
    assert source.file("special_tokens_map.json") is not None
    assert source.file("tokenizer.json") is not None


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "local_files_only"])
def test_offline_is_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch, switch: str) -> None:
    local_files_only = switch == "local_files_only"
    if not local_files_only:
        monkeypatch.setenv(switch, "1")
    with pytest.raises(HubUnavailable, match=rf"config\.json of the model 'owner/model' is not in .*{switch}"):
        resolve("owner/model", local_files_only=local_files_only).require("config.json")
    with pytest.raises(HubUnavailable):
        resolve("owner/model", local_files_only=local_files_only).file("vocab.txt")
    assert hub.requests == []


def test_branches_tags_and_commits(hub: Hub) -> None:
    commit = "b" * 40
    hub.repos["owner/model"].branches = ("main", "v1.0", "refs/pr/3")
    for revision in ("v1.0", "refs/pr/3", COMMIT):
        assert resolve("owner/model", revision=revision).json("config.json") == {"model_type": "bert"}
    hub.repos["owner/model"] = Repo({"config.json": b"[]"}, commit)
    assert resolve("owner/model", revision="v1.0").json("config.json") == {"model_type": "bert"}
    assert resolve("owner/model").json("config.json") == []
    with pytest.raises(CheckpointNotFound, match="no branch, tag or commit 'v9'"):
        resolve("owner/model", revision="v9").require("config.json")
    with pytest.raises(InvalidArgument, match="revision"):
        resolve("owner/model", revision="../../outside")


def test_files_of_one_load_are_of_one_commit(hub: Hub, weights: bytes) -> None:
    source = resolve("owner/model")
    source.require("config.json")
    hub.repos["owner/model"] = Repo({"config.json": b"[]"}, "b" * 40)
    with pytest.raises(CheckpointNotFound):  # this server forgets its old commit; it is not mixed with the new one
        source.require("tokenizer.json")


def test_missing_private_and_gated(hub: Hub) -> None:
    hub.repos["owner/private"] = Repo({"config.json": CONFIG}, token="secret")
    hub.repos["owner/gated"] = Repo({"config.json": CONFIG}, token="secret", gated=True)
    with pytest.raises(CheckpointNotFound, match="'owner/nothing' is neither a folder here nor a model on"):
        resolve("owner/nothing").require("config.json")
    with pytest.raises(CheckpointNotFound, match="give a token"):
        resolve("owner/private").require("config.json")
    with pytest.raises(CheckpointNotFound, match="is gated: ask for access at"):
        resolve("owner/gated").require("config.json")
    for name in ("owner/private", "owner/gated"):
        assert resolve(name, token="secret").json("config.json") == {"model_type": "bert"}
    with pytest.raises(CheckpointNotFound, match=r"the model 'owner/model' has no file nothing\.json\."):
        resolve("owner/model").require("nothing.json")


def test_the_token_of_the_environment(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["owner/private"] = Repo({"config.json": CONFIG}, token="secret")
    monkeypatch.setenv("HF_TOKEN", "secret")
    resolve("owner/private").require("config.json")
    hub.tokens.clear()
    resolve("owner/model", token=False).require("config.json")
    assert set(hub.tokens) == {None}


def test_a_server_that_is_not_there(hub: Hub) -> None:
    hub.stop()
    with pytest.raises(
        HubUnavailable, match=r"http://127\.0\.0\.1:\d+ could not be reached for the model 'owner/model'"
    ):
        resolve("owner/model").require("config.json")


def test_a_server_that_is_no_hub(hub: Hub) -> None:
    hub.override = lambda method, path, answer: Answer(200, {}, b"<html>log in to the hotel's network</html>")
    with pytest.raises(HubUnavailable, match="is not a Hub"):
        resolve("owner/model").require("config.json")
    hub.override = lambda method, path, answer: Answer(500)
    with pytest.raises(HubUnavailable, match="answered 500"):
        resolve("owner/model").require("config.json")


def test_only_the_weights_that_are_needed_are_fetched(hub: Hub, weights: bytes) -> None:
    hub.repos["owner/model"].files["pytorch_model.bin"] = b"x" * 1000
    open_checkpoint(resolve("owner/model")).close()
    assert [request.rsplit("/", 1)[1] for request in hub.of("GET", "owner/model")] == ["model.safetensors"]


def test_shards_are_fetched_and_read_through_the_cache(hub: Hub, weights: bytes, tmp_path: Path) -> None:
    save_safetensors({"bias": np.ones(2, np.float32)}, tmp_path / "second")
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"metadata": {}, "weight_map": {"weight": names[0], "bias": names[1]}}
    hub.repos["sharded"] = Repo(
        {
            "model.safetensors.index.json": json.dumps(index).encode(),
            names[0]: weights,
            names[1]: (tmp_path / "second").read_bytes(),
        }
    )
    for _ in range(2):
        with open_checkpoint(resolve("sharded")) as checkpoint:
            assert sorted(checkpoint.names()) == ["bias", "weight"]
            assert checkpoint.read("bias").tolist() == [1, 1]
        if not hub.requests:
            break
        hub.requests.clear()
    assert hub.requests == []


def test_without_links_the_cache_holds_copies(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows, without the right to make symbolic links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    load()
    hub.stop()
    load()


def test_broken_json_is_said_to_be_so(tmp_path: Path) -> None:
    for content in (b"{", b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "config.json").write_bytes(content)
        with pytest.raises(CorruptCheckpoint, match="is not JSON"):
            Folder(tmp_path).json("config.json")


def test_cache_folder_follows_the_environment() -> None:
    assert cache_folder({"HF_HUB_CACHE": "/a/b", "HF_HOME": "/c"}) == Path("/a/b")
    assert cache_folder({"HUGGINGFACE_HUB_CACHE": "/a/b", "HF_HOME": "/c"}) == Path("/a/b")
    assert cache_folder({"HF_HOME": "/c"}) == Path("/c/hub")
    assert cache_folder({"XDG_CACHE_HOME": "/d"}) == Path("/d/huggingface/hub")
    assert cache_folder({}) == Path("~/.cache/huggingface/hub").expanduser()
