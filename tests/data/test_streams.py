"""Streams: the rows of tables, read as they are asked for, and gone on with from any place."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.data import ClassLabel, Dataset, IterableDataset, concatenate_datasets, interleave_datasets, load_dataset
from panpipe.errors import DataError, InvalidArgument, MissingKey

Steps = Callable[[Any], Any]

STEPS: dict[str, Steps] = {
    "as it is": lambda s: s,
    "mapped": lambda s: s.map(lambda row, index: {"b": row["a"] + index}, with_indices=True),
    "mapped by batches": lambda s: s.map(
        lambda rows: {"a": [a for a in rows["a"] for _ in range(2)]}, batched=True, batch_size=3, remove_columns=["a"]
    ),
    "filtered": lambda s: s.filter(lambda row: row["a"] % 3),
    "filtered by batches": lambda s: s.filter(lambda rows: [a % 3 == 0 for a in rows["a"]], batched=True, batch_size=4),
    "shuffled": lambda s: s.shuffle(seed=1, buffer_size=5),
    "taken": lambda s: s.take(7),
    "skipped": lambda s: s.skip(3),
    "sharded": lambda s: s.shard(3, 1),
    "by batches": lambda s: s.batch(4),
    "by whole batches": lambda s: s.batch(4, drop_last_batch=True),
    "renamed": lambda s: s.rename_column("a", "b"),
    "chained": lambda s: concatenate_datasets([s, s.take(2)]),
    "in turn": lambda s: interleave_datasets([s, s.skip(4)]),
    "drawn": lambda s: interleave_datasets([s, s], [0.7, 0.3], seed=2, stopping_strategy="all_exhausted"),
    "all of it": lambda s: (
        s.filter(lambda row: row["a"] % 5)
        .shuffle(seed=3, buffer_size=4)
        .map(lambda row: {"b": -row["a"]})
        .skip(2)
        .batch(2)
    ),
}


def stream(length: int = 17) -> IterableDataset:
    return Dataset.from_dict({"a": range(length)}).to_iterable_dataset()


@pytest.mark.parametrize("name", STEPS)
def test_a_stream_goes_on_from_every_place(name: str) -> None:
    whole = list(STEPS[name](stream()))
    assert list(STEPS[name](stream())) == whole
    for k in range(len(whole) + 1):
        first, second = STEPS[name](stream()), STEPS[name](stream())
        first.set_epoch(0)
        reader = iter(first)
        assert [next(reader) for _ in range(k)] == whole[:k]
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert list(second) == whole[k:]
        assert list(second) == whole  # and the next time from the beginning
        assert list(STEPS[name](stream()).skip(k)) == whole[k:]


IN_ANOTHER_ORDER = ("shuffled", "drawn", "sharded", "all of it")


@pytest.mark.parametrize("name", [name for name in STEPS if name not in IN_ANOTHER_ORDER])
def test_a_stream_has_the_rows_of_the_table(name: str) -> None:
    assert list(STEPS[name](stream())) == list(STEPS[name](Dataset.from_dict({"a": range(17)})))


@given(st.integers(0, 40), st.integers(1, 9), st.integers(0, 3), st.integers(0, 3))
def test_a_blocks_order_depends_on_seed_epoch_and_block_only(length: int, size: int, seed: int, epoch: int) -> None:
    shuffled = stream(length).shuffle(seed=seed, buffer_size=size)
    shuffled.set_epoch(epoch)
    rows = [row["a"] for row in shuffled]
    for begin in range(0, length, size):
        block = list(range(begin, min(begin + size, length)))
        order = np.random.default_rng([seed, epoch, begin // size]).permutation(len(block))
        assert rows[begin : begin + size] == [block[index] for index in order]


def test_epochs_have_orders_of_their_own() -> None:
    shuffled = stream(50).shuffle(seed=0, buffer_size=25)
    orders = []
    for epoch in (0, 1, 0):
        shuffled.set_epoch(epoch)
        orders.append([row["a"] for row in shuffled])
    assert orders[0] == orders[2] != orders[1]
    state = shuffled.map(lambda row: row).state_dict()
    assert state == {"rows": 0, "epoch": 0}


def test_columns_of_a_stream_are_changed() -> None:
    rows = IterableDataset.from_generator(lambda: iter([{"a": "x", "b": [1]}, {"a": "y", "b": []}]))
    assert rows.column_names == ["a", "b"]
    assert list(rows.remove_columns("b")) == [{"a": "x"}, {"a": "y"}]
    assert next(iter(rows.select_columns(["b", "a"]))) == {"b": [1], "a": "x"}
    assert list(rows.cast_column("a", ClassLabel(names=["y", "x"])).select_columns("a")) == [{"a": 1}, {"a": 0}]
    assert next(iter(rows.with_format("numpy", columns=["b"])))["b"].tolist() == [1]
    assert list(rows.map(lambda row: {"n": len(row["b"])}, remove_columns=["a", "b"])) == [{"n": 1}, {"n": 0}]
    with pytest.raises(MissingKey, match="no column 'c'"):
        list(rows.rename_column("c", "d"))
    with pytest.raises(DataError, match="the function gave 5"):
        list(rows.map(lambda row: 5))
    with pytest.raises(DataError, match=r"different lengths: \{'a': 2, 'b': 2, 'c': 1\}. Give remove_columns"):
        list(rows.map(lambda batch: {"c": [1]}, batched=True))


@pytest.mark.parametrize(
    "action",
    [
        lambda s: s.load_state_dict({"rows": -1}),
        lambda s: s.load_state_dict({}),
        lambda s: s.shuffle(buffer_size=0),
        lambda s: s.shard(2, 2),
        lambda s: concatenate_datasets([s, Dataset.from_dict({"a": [1]})]),
    ],
)
def test_what_a_stream_cannot_do_is_said(action: Steps) -> None:
    with pytest.raises(InvalidArgument):
        action(stream())


def test_splits_of_a_stream_are_whole(here: Path) -> None:
    Path("a.txt").write_text("a\nb\n")
    assert len(list(load_dataset("text", data_files="a.txt", streaming=True)["train"])) == 2
    with pytest.raises(InvalidArgument, match=r"use .take\(n\)"):
        load_dataset("text", data_files="a.txt", split="train[:1]", streaming=True)


@pytest.mark.parametrize("ending", ["jsonl.gz", "csv", "txt.gz"])
def test_a_file_much_larger_than_the_memory_used_is_streamed_and_loaded(
    ending: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 MB of rows of 1 kB; at a time a block of them is held, here of half a megabyte."""
    monkeypatch.setattr("panpipe.data.reading.MOST_ROWS", 500)
    text, number = "글" * 330, 8_000  # a thousand bytes, eight million
    row = json.dumps({"t": text}, ensure_ascii=False) if "json" in ending else text
    data = (("t\n" if ending == "csv" else "") + f"{row}\n" * number).encode()
    path = here / f"a.{ending}"
    path.write_bytes(gzip.compress(data, 1) if ending.endswith("gz") else data)
    del data
    tracemalloc.start()
    try:
        assert sum(1 for _ in load_dataset(str(path), split="train", streaming=True)) == number
        streamed = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        ds = load_dataset(str(path), split="train")
        loaded = tracemalloc.get_traced_memory()[1]
        assert len(ds) == number
        assert ds[number - 1] == ({"text": text} if "txt" in ending else {"t": text})
    finally:
        tracemalloc.stop()
    assert streamed < 3e6
    assert loaded < 3e6
