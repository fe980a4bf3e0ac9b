"""Data sets of the Hub, and files of the web: what is fetched, what is asked, and what is said when it cannot be."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panpipe.data import load_dataset
from panpipe.errors import DataError, DataNotFound, HubUnavailable, PanpipeError, UnsafeCheckpoint

from ..weights.hub_server import Answer, Hub, Repo
from .data_hub import COMMIT_OF_CONVERTED, serve_data

CARD = """---
configs:
- config_name: mrpc
  data_files:
  - split: train
    path: mrpc/train-*
  - split: test
    path: mrpc/test.jsonl.gz
- config_name: 한국어
  data_files: ko.csv
---
"""


def lines(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    return file.getvalue()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, here: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    repos = {
        "imdb": Repo({"train.jsonl": lines("좋다", "bad"), "test.jsonl": lines("so-so"), "README.md": b"# no header"}),
        "owner/glue": Repo(
            {
                "README.md": CARD.encode(),
                "mrpc/train-00.jsonl": lines("a"),
                "mrpc/train-01.jsonl": lines("b"),
                "mrpc/test.jsonl.gz": gzip.compress(lines("c")),
                "ko.csv": "글\n안녕\n".encode(),
            },
            branches=("main", "v1.0"),
        ),
        "owner/secret": Repo({"a.jsonl": lines("hidden")}, token="hf_right"),
        "owner/script": Repo({"script.py": b"raise SystemExit", "README.md": b""}),
        "owner/lost": Repo({"lost.py": b"raise SystemExit"}),
        "owner/empty": Repo({"README.md": b"", ".gitattributes": b""}),
    }
    converted = {"owner/script": {"plain/train/0000.parquet": b"", "plain/test/0000.parquet": b""}}
    with serve_data(repos, converted) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        running.converted = converted["owner/script"]  # type: ignore[attr-defined]
        yield running


def test_an_id_is_loaded_and_found_again_without_the_network(hub: Hub) -> None:
    ds = load_dataset("imdb")
    assert {split: list(each["text"]) for split, each in ds.items()} == {"train": ["좋다", "bad"], "test": ["so-so"]}
    asked = len(hub.requests)
    assert load_dataset("imdb", split="train")["text"] == ["좋다", "bad"]
    assert len(hub.requests) == asked
    hub.stop()
    assert load_dataset("imdb", split="test")["text"] == ["so-so"]


def test_only_the_files_of_the_split_are_fetched(hub: Hub) -> None:
    load_dataset("imdb", split="test")
    assert not hub.of("GET", "train.jsonl")
    assert hub.of("GET", "test.jsonl")


def test_a_configuration_of_the_card_is_loaded(hub: Hub) -> None:
    ds = load_dataset("owner/glue", "mrpc")
    assert {split: list(each["text"]) for split, each in ds.items()} == {"train": ["a", "b"], "test": ["c"]}
    assert load_dataset("owner/glue", "한국어", split="train").to_list() == [{"글": "안녕"}]
    with pytest.raises(
        DataNotFound, match=r"give one: load_dataset\('owner/glue', 'mrpc'\). Its: \['mrpc', '한국어'\]"
    ):
        load_dataset("owner/glue")


def test_files_of_a_repository_can_be_named(hub: Hub) -> None:
    assert load_dataset("owner/glue", data_files="mrpc/*.jsonl", split="train")["text"] == ["a", "b"]
    assert load_dataset("owner/glue", data_dir="mrpc", split="test")["text"] == ["c"]
    assert load_dataset("owner/glue", data_files={"x": "ko.csv"}, revision="v1.0", split="x")[0] == {"글": "안녕"}
    with pytest.raises(DataNotFound, match=r"no file 'ko.tsv' in the data set 'owner/glue'. Did you mean 'ko.csv'\?"):
        load_dataset("owner/glue", data_files="ko.tsv")


def test_a_private_data_set_needs_its_token(hub: Hub) -> None:
    with pytest.raises(DataNotFound, match=r"a data set on http.* that you may read. If it is private, give a token"):
        load_dataset("owner/secret")
    with pytest.raises(DataNotFound):
        load_dataset("owner/secret", token="hf_wrong")
    assert load_dataset("owner/secret", token="hf_right", split="train")["text"] == ["hidden"]


def test_a_script_is_never_run_but_the_hubs_parquet_files_are_read(hub: Hub) -> None:
    rows = [{"tokens": ["안녕", "하세요"], "tags": [0, 1]}]
    hub.converted["plain/train/0000.parquet"] = parquet_of(rows)  # type: ignore[attr-defined]
    hub.converted["plain/test/0000.parquet"] = parquet_of(rows * 2)  # type: ignore[attr-defined]
    ds = load_dataset("owner/script", trust_remote_code=True)
    assert ds["train"].to_list() == rows
    assert ds.num_rows == {"train": 1, "test": 2}
    assert not hub.of("GET", "script.py")
    assert any(COMMIT_OF_CONVERTED in request for request in hub.requests)
    with pytest.raises(DataNotFound, match="no configuration 'fancy'"):
        load_dataset("owner/script", "fancy")
    with pytest.raises(DataNotFound, match=r"made by a script, which panpipe never runs.*Look for a copy"):
        load_dataset("owner/lost")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (["owner/nothing"], {}, DataNotFound, "neither a folder here nor a data set on"),
        (["owner/glue", "mrpc"], {"revision": "v2"}, DataNotFound, "has no branch, tag or commit 'v2'"),
        (["owner/empty"], {}, DataNotFound, "has no files of rows"),
        (["imdb", "plain"], {}, DataNotFound, "has no configurations"),
    ],
)
def test_what_the_hub_does_not_have_is_said(
    arguments: list[str], options: Any, error: type, message: str, hub: Hub
) -> None:
    with pytest.raises(error, match=message):
        load_dataset(*arguments, **options)


def test_offline_only_what_was_loaded_is_found(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dataset("imdb", split="train")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(hub.requests)
    assert len(load_dataset("imdb", split="train")) == 2
    for arguments in (["owner/glue", "mrpc"], ["imdb"]):
        with pytest.raises(HubUnavailable, match="HF_HUB_OFFLINE is set"):
            load_dataset(*arguments)
    assert len(hub.requests) == asked


def test_a_changed_data_set_is_fetched_when_that_is_asked_for(hub: Hub) -> None:
    load_dataset("imdb")
    hub.repos["datasets/imdb"] = Repo({"train.jsonl": lines("new")}, commit="a" * 40)
    assert load_dataset("imdb", split="train")["text"] == ["좋다", "bad"]
    assert load_dataset("imdb", split="train", download_mode="force_redownload")["text"] == ["new"]
    assert load_dataset("imdb", split="train")["text"] == ["new"]


def test_a_stream_begins_before_the_file_is_whole(hub: Hub) -> None:
    usual = hub.override
    assert usual is not None

    def slow(method: str, path: str, answer: Answer) -> Answer:
        answer = usual(method, path, answer)
        if method == "GET" and "train.jsonl" in path:
            return Answer(200, {}, (lines(f"row {number}" * 50) for number in range(10**9)))
        return answer

    hub.override = slow
    stream = load_dataset("imdb", split="train", streaming=True)
    assert next(iter(stream))["text"].startswith("row 0")
    assert [row["text"][:7] for row in stream.skip(5000).take(1)] == ["row 500"]


def test_a_file_of_the_web_is_fetched_once_or_streamed(hub: Hub) -> None:
    url = f"{hub.url}/datasets/imdb/resolve/main/train.jsonl"
    assert [row["text"] for row in load_dataset("json", data_files=url, split="train", streaming=True)] == [
        "좋다",
        "bad",
    ]
    assert load_dataset("json", data_files=url, split="train")["text"] == ["좋다", "bad"]
    assert load_dataset(url, split="train")["text"] == ["좋다", "bad"]
    assert len(hub.of("GET", "train.jsonl")) == 2
    assert hub.tokens == [None] * len(hub.tokens)
    with pytest.raises(DataNotFound, match="the server answered 404"):
        load_dataset("json", data_files=url.replace("train", "nothing"))
    hub.stop()
    assert len(load_dataset("json", data_files=url, split="train")) == 2
    with pytest.raises(HubUnavailable, match="could not be reached"):
        load_dataset("json", data_files=url.replace("train", "test"))


def test_a_file_that_breaks_off_is_not_kept(hub: Hub) -> None:
    url = f"{hub.url}/datasets/imdb/resolve/main/train.jsonl"
    usual = hub.override
    hub.override = lambda method, path, answer: Answer(200, {"Content-Length": "1000"}, iter([lines("half")]))
    with pytest.raises((HubUnavailable, DataError)):
        load_dataset("json", data_files=url)
    hub.override = usual
    assert len(load_dataset("json", data_files=url, split="train")) == 2


def test_a_token_is_not_sent_to_another_host(hub: Hub) -> None:
    with serve_data({}) as elsewhere:
        elsewhere.override = lambda method, path, answer: Answer(200, {}, lines("moved"))
        usual = hub.override
        assert usual is not None

        def moved(method: str, path: str, answer: Answer) -> Answer:
            if method == "GET" and "train.jsonl" in path:
                return Answer(302, {"Location": elsewhere.url + "/file"})
            return usual(method, path, answer)

        hub.override = moved
        stream = load_dataset("imdb", split="train", streaming=True, token="hf_right")
        assert [row["text"] for row in stream] == ["moved"]
        assert "Bearer hf_right" in hub.tokens
        assert elsewhere.tokens == [None]


@pytest.mark.parametrize("commit", ["../../../x", "main", "", "a" * 39, "A" * 40])
def test_a_commit_that_is_none_is_refused(commit: str, hub: Hub) -> None:
    hub.repos["datasets/imdb"] = Repo({"train.jsonl": lines("x")}, commit=commit)
    with pytest.raises(UnsafeCheckpoint, match="names the commit"):
        load_dataset("imdb")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"sha": 5, "siblings": 7}', b"[" * 50_000, b"\xff"])
def test_a_listing_that_is_none_is_refused(body: bytes, hub: Hub) -> None:
    hub.override = lambda method, path, answer: Answer(200, {}, body)
    with pytest.raises(PanpipeError):
        load_dataset("imdb")
