"""A data set: reading rows and columns, choosing rows, changing columns, and functions over rows."""

from __future__ import annotations

import itertools
import json
import logging
import os
import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.data import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Sequence,
    Value,
    concatenate_datasets,
    interleave_datasets,
    load_dataset,
    load_from_disk,
)
from panpipe.data.processes import spans
from panpipe.errors import DataError, DataNotFound, InvalidArgument, MissingKey, NoSuchRow, ShapeError
from panpipe.pipelines.pt_utils import KeyDataset

ROWS = [
    {"text": "재미있는 영화", "label": "pos", "ids": [5, 6, 7], "score": 0.5},
    {"text": "boring", "label": "neg", "ids": [], "score": None},
    {"text": "so-so", "label": "neg", "ids": [8], "score": 2.0},
    {"text": "최고", "label": "pos", "ids": [9, 10], "score": 1.0},
]


@pytest.fixture
def ds() -> Dataset:
    return Dataset.from_list(ROWS)


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_rows_slices_and_columns_are_read_as_from_a_list(ds: Dataset) -> None:
    assert len(ds) == ds.num_rows == 4
    assert ds.shape == (4, 4)
    assert ds.column_names == ["text", "label", "ids", "score"]
    assert list(ds) == ROWS
    assert ds[0] == ROWS[0]
    assert ds[-1] == ROWS[-1]
    assert ds[1:3] == columns_of(ROWS[1:3])
    assert ds[::-2] == columns_of(ROWS[::-2])
    assert ds[[3, 0, 3]] == columns_of([ROWS[3], ROWS[0], ROWS[3]])
    assert ds[np.array([2])] == columns_of([ROWS[2]])
    assert ds["text"] == [row["text"] for row in ROWS]
    assert ds["text"][0] == "재미있는 영화"
    assert ds["ids"][1:] == [[], [8], [9, 10]]
    assert ds.__getitems__([1, 2]) == ROWS[1:3]
    assert list(ds.iter(3)) == [columns_of(ROWS[:3]), columns_of(ROWS[3:])]
    assert [KeyDataset(ds, "text")[index] for index in range(4)] == ds["text"]


@pytest.mark.parametrize("index", [4, -5, [0, 4], range(3, 6)])
def test_a_row_that_is_not_there_is_an_index_error(ds: Dataset, index: Any) -> None:
    with pytest.raises(NoSuchRow, match="the data set has 4"):
        ds[index]
    assert issubclass(NoSuchRow, IndexError)


def test_a_column_that_is_not_there_is_named_with_the_nearest(ds: Dataset) -> None:
    with pytest.raises(MissingKey, match=r"no column 'txt'. Did you mean 'text'\? Columns: 'text', 'label'"):
        ds["txt"]
    for action in (
        lambda: ds.remove_columns("txt"),
        lambda: ds.rename_column("txt", "a"),
        lambda: ds.sort("txt"),
        lambda: ds.map(len, input_columns="txt"),
        lambda: ds.map(lambda row: row, remove_columns=["txt"]),
        lambda: ds.with_format("numpy", columns=["txt"]),
    ):
        with pytest.raises(MissingKey, match="Did you mean 'text'"):
            action()


@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_choices_of_choices_are_those_of_lists(values: list[int], data: st.DataObject) -> None:
    ds, rows = Dataset.from_dict({"a": values, "b": [[v] * v for v in values]}), list(values)
    for _ in range(3):
        indices = data.draw(st.lists(st.sampled_from(range(len(rows))), max_size=9)) if rows else []
        ds, rows = ds.select(indices), [rows[index] for index in indices]
        assert ds["a"] == rows
        assert ds[:]["b"] == [[v] * v for v in rows]
    assert ds.take(3)["a"] == rows[:3]
    assert ds.skip(3)["a"] == rows[3:]
    assert ds.sort("a", reverse=True)["a"] == sorted(rows, reverse=True)
    assert ds.unique("a") == list(dict.fromkeys(rows))
    for number in (1, 2, 5):
        assert [a for part in range(number) for a in ds.shard(number, part)["a"]] == rows
        apart = [a for part in range(number) for a in ds.shard(number, part, contiguous=False)["a"]]
        assert sorted(apart) == sorted(rows)


def test_shuffling_depends_on_the_seed_alone(ds: Dataset) -> None:
    many = Dataset.from_dict({"a": range(100)})
    assert many.shuffle(seed=1)["a"] == many.shuffle(seed=1)["a"]
    assert many.shuffle(seed=1)["a"] != many.shuffle(seed=2)["a"]
    assert sorted(many.shuffle()["a"]) == list(range(100))
    assert many["a"] == list(range(100))


def test_sorting_by_several_columns_puts_none_last(ds: Dataset) -> None:
    assert ds.sort(["label", "text"], reverse=[False, True])["text"] == ["so-so", "boring", "최고", "재미있는 영화"]
    assert ds.sort("score")["score"] == [0.5, 1.0, 2.0, None]
    assert ds.sort("score", reverse=True)["score"] == [2.0, 1.0, 0.5, None]


@pytest.mark.parametrize(
    ("test_size", "train_size", "sizes"),
    [(None, None, (75, 25)),
     (0.1, None, (90, 10)), (7, None, (93, 7)), (None, 0.3, (30, 70)), (10, 20, (20, 10)),
     (0.333, None, (66, 34))],
)  # fmt: skip
def test_a_train_test_split_has_the_sizes_asked_for(test_size: Any, train_size: Any, sizes: tuple[int, int]) -> None:
    ds = Dataset.from_dict({"a": range(100)})
    for shuffle in (True, False):
        parts = ds.train_test_split(test_size=test_size, train_size=train_size, seed=3, shuffle=shuffle)
        assert tuple(parts.num_rows.values()) == sizes
        assert len({*parts["train"]["a"], *parts["test"]["a"]}) == sum(sizes)
    assert parts["train"]["a"] == list(range(sizes[0]))


def test_a_stratified_split_keeps_the_shares_of_the_classes() -> None:
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    ds = Dataset.from_dict({"label": labels, "n": range(100)})
    parts = ds.train_test_split(test_size=0.2, stratify_by_column="label", seed=0)
    assert [parts["test"]["label"].tolist().count(name) for name in "abc"] == [12, 6, 2]
    assert [parts["train"]["label"].tolist().count(name) for name in "abc"] == [48, 24, 8]
    assert sorted(parts["train"]["n"].tolist() + parts["test"]["n"].tolist()) == list(range(100))


@pytest.mark.parametrize(
    "options",
    [{"test_size": 0.0}, {"test_size": 1.5}, {"test_size": 100}, {"test_size": 60, "train_size": 60},
     {"test_size": "a"},
     {"test_size": True}, {"stratify_by_column": "a"},
     {"test_size": 0.2, "stratify_by_column": "b", "shuffle": False}],
)  # fmt: skip
def test_a_split_that_cannot_be_is_refused(options: dict[str, Any]) -> None:
    ds = Dataset.from_dict({"a": range(100), "b": [0, 1] * 50})
    with pytest.raises(InvalidArgument):
        ds.train_test_split(**options)


def test_columns_are_renamed_removed_selected_and_added(ds: Dataset) -> None:
    assert ds.rename_column("text", "sentence").column_names == ["sentence", "label", "ids", "score"]
    assert ds.rename_columns({"text": "label", "label": "text"})["text"] == ds["label"]
    assert ds.remove_columns(["text", "ids"]).column_names == ["label", "score"]
    assert ds.select_columns(["ids", "text"])[0] == {"ids": [5, 6, 7], "text": "재미있는 영화"}
    assert ds.add_column("n", np.arange(4)).shuffle(seed=0).sort("n")["n"] == [0, 1, 2, 3]
    assert ds.column_names == ["text", "label", "ids", "score"]
    with pytest.raises(InvalidArgument, match="two columns would have one name"):
        ds.rename_column("text", "label")
    with pytest.raises(InvalidArgument, match="has 3 values for 4 rows"):
        ds.add_column("n", [1, 2, 3])
    with pytest.raises(InvalidArgument, match="there is a column 'text' already"):
        ds.add_column("text", [1, 2, 3, 4])


def test_names_of_classes_become_numbers_and_back(ds: Dataset) -> None:
    encoded = ds.class_encode_column("label")
    feature = encoded.features["label"]
    assert encoded["label"] == [1, 0, 0, 1]
    assert feature.names == ["neg", "pos"]
    assert feature.num_classes == 2
    assert feature.int2str(1) == "pos"
    assert feature.int2str([0, 1]) == ["neg", "pos"]
    assert feature.str2int("neg") == 0
    assert ds.cast_column("label", ClassLabel(names=["pos", "neg"]))["label"] == [0, 1, 1, 0]
    with pytest.raises(DataError, match=r"'neg' \(str\) in the column 'label' cannot be ClassLabel.*no class 'neg'"):
        ds.cast_column("label", ClassLabel(names=["pos"]))
    with pytest.raises(DataError, match="no class 2"):
        feature.int2str(2)
    tags = Dataset.from_dict({"tags": [["O", "B-PER"], ["O"]]}).cast_column(
        "tags", Sequence(ClassLabel(names=["O", "B-PER"]))
    )
    assert tags["tags"] == [[0, 1], [0]]
    assert tags.features["tags"].feature.names == ["O", "B-PER"]
    assert encoded.map(lambda row: {"label": 1 - row["label"]}).features["label"] == feature
    assert encoded.filter(lambda row: row["label"]).features["label"] == feature


def test_labels_are_aligned_with_a_models_numbers() -> None:
    ds = Dataset.from_dict({"y": ["no", "yes", "no"]}).class_encode_column("y")
    aligned = ds.align_labels_with_mapping({"YES": 0, "NO": 1}, "y")
    assert aligned["y"] == [1, 0, 1]
    assert aligned.features["y"].names == ["YES", "NO"]
    with pytest.raises(InvalidArgument, match="label2id lacks no"):
        ds.align_labels_with_mapping({"yes": 0}, "y")


def test_columns_are_cast() -> None:
    ds = Dataset.from_dict({"a": ["1", "2", None], "b": [1.0, 2.0, 3.0]})
    assert ds.cast_column("a", Value("int64"))["a"] == [1, 2, None]
    assert ds.cast({"a": "float32", "b": "string"})[:] == {"a": [1.0, 2.0, None], "b": ["1.0", "2.0", "3.0"]}
    with pytest.raises(DataError, match=r"2.5 \(float\) in the column 'b' cannot be Value\('int64'\)"):
        Dataset.from_dict({"b": [1.0, 2.5]}).cast_column("b", Value("int64"))


def test_dictionaries_are_flattened() -> None:
    ds = Dataset.from_list([{"id": 1, "answers": {"text": ["a"], "at": {"start": [0]}}}, {"id": 2, "answers": None}])
    flat = ds.flatten()
    assert flat.column_names == ["id", "answers.text", "answers.at.start"]
    assert flat[:] == {"id": [1, 2], "answers.text": [["a"], None], "answers.at.start": [[0], None]}


# -- map and filter ----------------------------------------------------------------------------------------------------


def test_map_adds_and_replaces_columns(ds: Dataset) -> None:
    mapped = ds.map(lambda row: {"length": len(row["text"]), "label": row["label"].upper()})
    assert mapped.column_names == ["text", "label", "ids", "score", "length"]
    assert mapped["label"] == ["POS", "NEG", "NEG", "POS"]
    assert mapped["length"] == [7, 6, 5, 2]
    assert ds["label"] == ["pos", "neg", "neg", "pos"]


@pytest.mark.parametrize("batched", [False, True])
def test_what_a_function_is_given(ds: Dataset, batched: bool) -> None:
    seen: list[Any] = []

    def function(*arguments: Any, plus: int) -> None:
        seen.append((*arguments, plus))

    same = ds.map(
        function, batched=batched, batch_size=3, with_indices=True, input_columns=["text", "ids"], fn_kwargs={"plus": 1}
    )
    assert same[:] == ds[:]
    if batched:
        assert seen[1] == (["최고"], [[9, 10]], [3], 1)
    else:
        assert seen[1] == ("boring", [], 1, 1)


def test_a_batch_may_come_back_with_more_rows(ds: Dataset) -> None:
    def split(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"id": [number for ids in rows["ids"] for number in ids]}

    assert ds.map(split, batched=True, batch_size=2, remove_columns=ds.column_names)["id"] == [5, 6, 7, 8, 9, 10]
    with pytest.raises(DataError, match=r"gave 6 rows for 4, but the columns 'text', .* keep 4. Leave those out"):
        ds.map(split, batched=True)
    with pytest.raises(DataError, match=r"columns of different lengths from row 0 on: \{'a': 1, 'b': 2\}"):
        ds.map(lambda rows: {"a": [1], "b": [1, 2]}, batched=True)


@pytest.mark.parametrize(
    ("function", "batched", "message"),
    [
        (lambda row: 5, False, "gave 5 .* for row 0; expected a dictionary"),
        (lambda row: {} if row["score"] else None, False, "expected a dictionary, or None for every row"),
        (lambda rows: {"a": 3}, True, "column 'a' of a batch: .*One value per row"),
        (lambda rows: [1], True, "for the batch from row 0; expected a dictionary of lists"),
        (lambda row: {"a": object()}, False, "the column 'a': <object"),
    ],
)
def test_what_a_function_may_not_give_is_said(ds: Dataset, function: Any, batched: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ds.map(function, batched=batched)


def test_filter_keeps_the_rows_that_the_function_names(ds: Dataset) -> None:
    assert ds.filter(lambda row: row["label"] == "neg")["text"] == ["boring", "so-so"]
    assert ds.filter(lambda ids: ids, input_columns="ids")["text"] == ["재미있는 영화", "so-so", "최고"]
    assert ds.filter(lambda rows: [s is None for s in rows["score"]], batched=True)["text"] == ["boring"]
    assert ds.filter(lambda row, index: index % 2, with_indices=True)["text"] == ["boring", "최고"]
    nothing = ds.filter(lambda row: False)
    assert len(nothing) == 0
    assert nothing.column_names == ds.column_names
    assert nothing.map(lambda row: {"x": 1}).to_list() == []
    with pytest.raises(DataError, match="for 4 rows; expected a boolean for each"):
        ds.filter(lambda rows: [True], batched=True)


def test_batches_become_rows(ds: Dataset) -> None:
    assert ds.batch(3)["text"] == [["재미있는 영화", "boring", "so-so"], ["최고"]]
    assert len(ds.batch(3, drop_last_batch=True)) == 1
    dropped = ds.map(lambda rows: {"n": [1] * len(rows["text"])}, batched=True, batch_size=3, drop_last_batch=True)
    assert dropped["text"] == ["재미있는 영화", "boring", "so-so"]


@pytest.mark.parametrize("batched", [False, True])
def test_several_processes_give_the_same_rows_in_order(batched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panpipe.data.processes._LEAST_ROWS", 10)
    assert len(spans(105, 10, 3)) in (1, 3)  # 1 where there is no fork
    ds = Dataset.from_dict({"a": range(105)})

    def one(row: dict[str, Any]) -> dict[str, Any]:
        return {"b": str(row["a"]) if row["a"] > 50 else row["a"]}

    def several(rows: dict[str, Any]) -> dict[str, Any]:
        return {"b": [one({"a": a})["b"] for a in rows["a"]]}

    function, options = (several if batched else one), {"batched": batched, "batch_size": 10}
    assert ds.map(function, num_proc=3, **options)[:] == ds.map(function, **options)[:]
    monkeypatch.setattr("panpipe.data.mapping._ROWS", 10)
    assert ds.filter(lambda row: row["a"] % 7 == 0, num_proc=3)["a"] == list(range(0, 105, 7))
    with pytest.raises(ZeroDivisionError):
        ds.map(lambda row: {"b": 1 / (row["a"] - 70)}, num_proc=3)


@pytest.mark.skipif(sys.platform != "linux", reason="one process elsewhere")
def test_a_bar_that_another_thread_draws_stops_no_process() -> None:
    """tqdm's lock is held when the processes are forked: they must not wait for it for ever."""
    program = """
import threading
from tqdm import tqdm
import panpipe.data.processes
from panpipe.data import Dataset
panpipe.data.processes._LEAST_ROWS = 10
held, done = threading.Event(), threading.Event()
def draws():
    with tqdm.get_lock():
        held.set()
        done.wait()
thread = threading.Thread(target=draws)
thread.start()
held.wait()
rows = Dataset.from_dict({"a": range(40)})
print(sum(rows.map(lambda _: {"b": [1] * 10}, batched=True, batch_size=10, num_proc=2)["b"]))
done.set()
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout == "40\n", found.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="one process elsewhere")
def test_processes_that_end_badly_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panpipe.data.processes._LEAST_ROWS", 10)
    monkeypatch.setattr("panpipe.data.mapping._ROWS", 10)
    ds = Dataset.from_dict({"a": range(40)})

    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("odd")

    def odd(row: dict[str, Any]) -> dict[str, Any]:
        raise Odd(1, 2)

    def killed(row: dict[str, Any]) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL if row["a"] == 25 else 0)
        return {"b": row["a"]}

    with pytest.raises(DataError, match=r"odd|ended with an error"):
        ds.map(odd, num_proc=2)
    with pytest.raises(DataError, match="was killed"):
        ds.map(killed, num_proc=2)
    assert ds.map(lambda row: {"b": row["a"]}, num_proc=2)["b"] == list(range(40))


def test_a_tokenizers_answer_becomes_columns() -> None:
    from collections import UserDict

    ds = Dataset.from_dict({"text": ["ab", "c"]})
    tokenized = ds.map(lambda rows: UserDict(input_ids=[[1] * len(t) for t in rows["text"]]), batched=True)
    assert tokenized["input_ids"] == [[1, 1], [1]]


# -- forms and files ---------------------------------------------------------------------------------------------------


def test_rows_come_as_arrays(ds: Dataset) -> None:
    ds.set_format("numpy", columns=["ids", "score"])
    assert list(ds[0]) == ["ids", "score"]
    assert ds[0]["ids"].dtype == np.int64
    assert ds[0]["ids"].tolist() == [5, 6, 7]
    assert [ids.tolist() for ids in ds[:]["ids"]] == [row["ids"] for row in ROWS]
    assert ds.with_format("numpy", columns=["ids"], output_all_columns=True)[1]["text"] == "boring"
    assert ds[[0, 2, 3]]["score"].tolist() == [0.5, 2.0, 1.0]
    ds.reset_format()
    assert ds[0] == ROWS[0]
    same = Dataset.from_dict({"x": [[1, 2], [3, 4]]}).with_format("numpy")
    assert same[:]["x"].shape == same["x"][:].shape == (2, 2)
    with pytest.raises(InvalidArgument, match="format 'jax' is not known"):
        ds.set_format("jax")


def test_what_is_saved_is_loaded(ds: Dataset, tmp_path: Path) -> None:
    encoded = ds.class_encode_column("label").shuffle(seed=0)
    encoded.save_to_disk(tmp_path / "one")
    again = load_from_disk(tmp_path / "one")
    assert list(again) == list(encoded)
    assert again.features == encoded.features
    again.select([0]).save_to_disk(tmp_path / "one")  # in its own place
    assert len(load_from_disk(tmp_path / "one")) == 1
    splits = DatasetDict(train=ds, 검증=encoded)
    splits.save_to_disk(tmp_path / "two")
    both = load_from_disk(tmp_path / "two")
    assert {name: list(each) for name, each in both.items()} == {name: list(each) for name, each in splits.items()}
    with pytest.raises(InvalidArgument, match="read it with load_from_disk"):
        load_dataset(str(tmp_path / "two"))
    with pytest.raises(DataNotFound, match="no data set of save_to_disk"):
        load_from_disk(tmp_path)
    with pytest.raises(InvalidArgument, match="holds something else than a data set"):
        ds.save_to_disk(tmp_path)


def test_what_is_written_is_read_again(ds: Dataset, tmp_path: Path) -> None:
    assert ds.to_json(tmp_path / "a.jsonl") == (tmp_path / "a.jsonl").stat().st_size
    assert load_dataset("json", data_files=str(tmp_path / "a.jsonl"), split="train").to_list() == ROWS
    ds.to_json(tmp_path / "a.json", lines=False)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == ROWS
    flat = ds.remove_columns("ids")
    flat.to_csv(tmp_path / "a.csv")
    assert Dataset.from_csv(str(tmp_path / "a.csv")).to_list() == flat.to_list()
    assert Dataset.from_dict(ds.to_dict()).to_list() == ds.to_list() == ROWS
    assert pickle.loads(pickle.dumps(ds.shuffle(seed=1))).to_list() == ds.shuffle(seed=1).to_list()


def test_a_generator_is_read_into_files(cache: Path) -> None:
    ds = Dataset.from_generator(lambda n: ({"i": i} for i in range(n)), gen_kwargs={"n": 5000})
    assert ds["i"] == list(range(5000))
    assert not any(path.is_file() for path in cache.rglob("*"))  # they vanish with the data set
    assert ds.map(lambda row: {"j": -row["i"]})["j"][-1] == -4999
    with pytest.raises(InvalidArgument, match="needs the function that makes the generator"):
        Dataset.from_generator(iter([]))  # type: ignore[arg-type]


# -- splits ------------------------------------------------------------------------------------------------------------


def test_methods_of_splits_are_done_to_each(ds: Dataset) -> None:
    splits = DatasetDict(train=ds, test=ds.take(1))
    assert splits.map(lambda row: {"n": 1}).column_names["test"][-1] == "n"
    assert splits.filter(lambda row: row["score"]).num_rows == {"train": 3, "test": 1}
    assert splits.shuffle(seed=1)["train"]["text"] == ds.shuffle(seed=1)["text"]
    assert splits.shape == {"train": (4, 4), "test": (1, 4)}
    splits.set_format("numpy", columns=["ids"])
    assert list(splits["test"][0]) == ["ids"]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda splits: splits[0], r"did you mean ds\['train'\]\[0\]\?"),
        (lambda splits: splits["text"], r"did you mean ds\['train'\]\['text'\]\?"),
        (lambda splits: splits["tran"], "no split 'tran'. Did you mean 'train'"),
        (lambda splits: splits.to_pandas(), r"did you mean ds\['train'\].to_pandas\?"),
        (lambda splits: splits.train, "splits are chosen as"),
    ],
)
def test_splits_say_what_was_meant(ds: Dataset, action: Any, message: str) -> None:
    with pytest.raises((MissingKey, AttributeError), match=message):
        action(DatasetDict(train=ds))


# -- several data sets -------------------------------------------------------------------------------------------------


def test_data_sets_end_to_end_have_all_rows_and_columns(ds: Dataset) -> None:
    other = Dataset.from_dict({"text": ["x"], "score": ["many"], "new": [1]})
    both = concatenate_datasets([ds.shuffle(seed=0), other])
    assert both.column_names == ["text", "label", "ids", "score", "new"]
    assert both[4] == {"text": "x", "label": None, "ids": None, "score": "many", "new": 1}
    assert both.sort("text")["score"].tolist().count("0.5") == 1  # a number among texts
    assert both.shuffle(seed=1).map(lambda row: {"l": len(row["text"])})["l"][0] > 0
    with pytest.raises(InvalidArgument, match="other classes"):
        concatenate_datasets(
            [
                Dataset.from_dict({"y": ["a"]}).class_encode_column("y"),
                Dataset.from_dict({"y": ["b"]}).class_encode_column("y"),
            ]
        )
    with pytest.raises(InvalidArgument, match=r"Choose a split, as ds\['train'\]"):
        concatenate_datasets([DatasetDict(train=ds)])


def test_data_sets_side_by_side_have_all_columns(ds: Dataset) -> None:
    both = concatenate_datasets([ds, Dataset.from_dict({"n": range(4)}).shuffle(seed=0)], axis=1)
    assert both.shape == (4, 5)
    with pytest.raises(InvalidArgument, match="the same number of rows"):
        concatenate_datasets([ds, ds.take(1)], axis=1)


def test_rows_of_several_are_interleaved() -> None:
    first, second = Dataset.from_dict({"a": [0, 1, 2]}), Dataset.from_dict({"a": [10, 11]})
    assert interleave_datasets([first, second])["a"] == [0, 10, 1, 11]
    assert interleave_datasets([first, second], stopping_strategy="all_exhausted")["a"] == [0, 10, 1, 11, 2, 10]
    many = [Dataset.from_dict({"a": [number] * 3000}) for number in range(2)]
    drawn = interleave_datasets(many, probabilities=[0.9, 0.1], seed=1)["a"].tolist()
    assert drawn == interleave_datasets(many, probabilities=[0.9, 0.1], seed=1)["a"]
    assert 0.05 < sum(drawn) / len(drawn) < 0.15
    for wrong in ({"probabilities": [1.0]}, {"probabilities": [0.9, 0.9]}, {"stopping_strategy": "x"}):
        with pytest.raises(InvalidArgument):
            interleave_datasets(many, **wrong)


def test_the_nearest_rows_are_found() -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(50, 8)).astype(np.float32)
    ds = Dataset.from_dict({"v": vectors, "n": range(50)}).add_faiss_index(column="v")
    scores, rows = ds.get_nearest_examples("v", vectors[7] + 0.01, k=5)
    assert rows["n"][0] == 7
    exact = np.square(vectors - vectors[7] - 0.01).sum(axis=1)
    assert rows["n"] == np.argsort(exact)[:5].tolist()
    assert np.allclose(scores, np.sort(exact)[:5])
    with pytest.raises(MissingKey, match="make it with add_faiss_index"):
        ds.get_nearest_examples("w", vectors[0])
    with pytest.raises(ShapeError, match="the query has 3 numbers"):
        ds.get_nearest_examples("v", [1, 2, 3])


def test_a_row_of_ids_is_read_in_microseconds() -> None:
    import time

    generator = random.Random(0)
    ds = Dataset.from_dict({"input_ids": [[generator.randrange(30_000) for _ in range(32)] for _ in range(2000)]})
    begin = time.process_time()
    for index in itertools.chain(range(2000), range(2000)):
        ds[index]
    assert (time.process_time() - begin) / 4000 < 100e-6  # 5 or so on an idle machine


def test_a_function_that_cannot_be_known_is_not_kept(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    (here / "a.txt").write_text("a\nb\n")
    ds = load_dataset("text", data_files="a.txt", split="train")
    generator = (number for number in range(10))
    with caplog.at_level(logging.WARNING, "panpipe.data"):
        assert ds.map(lambda row: {"n": next(generator)})["n"] == [0, 1]
        assert ds.map(lambda row: {"n": next(generator)})["n"] == [2, 3]
    assert "Map is not kept in the cache: of the function, a generator has no content" in caplog.text
