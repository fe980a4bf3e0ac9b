"""Our data sets beside those of Hugging Face's library (4.8), pandas, polars and PyTorch, live."""

from __future__ import annotations

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

datasets = pytest.importorskip("datasets", reason="the oracle's environment has it")
pandas = pytest.importorskip("pandas", reason="the oracle's environment has it")
polars = pytest.importorskip("polars", reason="the oracle's environment has it")
torch = pytest.importorskip("torch", reason="the oracle's environment has it")

import panpipe.data as ours  # noqa: E402

from ..data.conftest import cache as cache  # noqa: E402  # fixtures
from ..data.conftest import here as here  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.usefixtures("here"), pytest.mark.filterwarnings("ignore")]

ROWS = [
    {
        "text": random.Random(n).choice(["재미있다", 'say "hi",\nthere', "plain", " spaced "]),
        "n": n,
        "score": None if n == 5 else n / 4,
        "is": n % 2 == 0,
        "ids": list(range(n % 5)),
        "names": ["가", "나"][: n % 3],
        "info": {"a": n, "b": [str(n)]},
    }
    for n in range(43)
]
FLAT = ("text", "n", "is")


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "theirs")
    monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "theirs" / "downloads")
    datasets.disable_progress_bars()


@pytest.fixture
def pair() -> tuple[Any, Any]:
    return ours.Dataset.from_list(ROWS), datasets.Dataset.from_list(ROWS)


def same(mine: Any, theirs: Any) -> None:
    """Equal splits, columns, rows; and equal types of simple columns."""
    if isinstance(theirs, dict):
        assert list(mine) == list(theirs)
        for split in theirs:
            same(mine[split], theirs[split])
        return
    assert mine.column_names == theirs.column_names
    assert mine.shape == theirs.shape
    assert list(mine) == list(theirs)
    for name, feature in theirs.features.items():
        if isinstance(feature, datasets.Value):
            assert mine.features[name].dtype == feature.dtype.removeprefix("large_"), name
        if isinstance(feature, datasets.ClassLabel):
            assert mine.features[name].names == feature.names


def both(*arguments: Any, **options: Any) -> tuple[Any, Any]:
    theirs = datasets.load_dataset(*arguments, **options)
    return ours.load_dataset(*arguments, **options), theirs


# -- files -------------------------------------------------------------------------------------------------------------


def write_csv(path: str, delimiter: str = ",") -> None:
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*FLAT, "score"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows({name: row[name] for name in (*FLAT, "score")} for row in ROWS)


def write_json(path: str, rows: list[dict[str, Any]] = ROWS) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(gzip.compress(text.encode()) if path.endswith("gz") else text.encode())


def test_csv_and_tsv_files_have_the_same_rows_and_types() -> None:
    write_csv("a.csv")
    write_csv("b.tsv", "\t")
    same(*both("csv", data_files="a.csv"))
    same(*both("csv", data_files="b.tsv", delimiter="\t"))
    same(*both("csv", data_files={"train": "a.csv", "test": ["a.csv", "a.csv"]}))
    same(*both("csv", data_files="a.csv", split="train[10%:50%]"))


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,\n",
        "a,b\n1.5,\n2,True\n",
        "a\nTrue\nFalse\n",
        "a\n1\nx\n",
        "a\n1e3\n.5\n",
        ",a,a\n0,1,2\n1,2,3\n",
        'a,b\n"x,\n""y""",1\n',
        "\ufeffa,b\n1,2\n",
        "a,b\r\n1,2\r\n\r\n3,4\r\n",
        "글\n안녕\n",
        "a\n-1\n+2\n0\n",
    ],
)
def test_the_common_csv_types_are_the_same(text: str) -> None:
    Path("a.csv").write_bytes(text.encode())
    same(*both("csv", data_files="a.csv", split="train"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_json_lines_have_the_same_rows_and_types(name: str) -> None:
    write_json(name)
    same(*both("json", data_files=name))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (json.dumps(ROWS), {}),
        (json.dumps(ROWS, indent=1), {}),
        (json.dumps({"version": 1, "data": ROWS}), {"field": "data"}),
        (json.dumps({"a": [1, 2], "b": ["x", "y"]}, indent=1), {}),
        ('{"a": 1}\n{"a": 1.5}\n', {}),
        ('{"a": 1}\n{"b": "x"}\n', {}),
        ('["하나", "둘"]', {}),
    ],
)
def test_other_forms_of_json_have_the_same_rows(text: str, options: dict[str, Any]) -> None:
    Path("a.json").write_text(text, encoding="utf-8")
    same(*both("json", data_files="a.json", **options))


@pytest.mark.parametrize(
    "options", [{}, {"sample_by": "document"}, {"sample_by": "paragraph"}, {"keep_linebreaks": True}]
)
def test_text_files_have_the_same_rows(options: dict[str, Any]) -> None:
    Path("a.txt").write_text("첫째 줄\n둘째\n\n셋째 단락\n끝", encoding="utf-8")
    same(*both("text", data_files="a.txt", **options))


def test_parquet_files_have_the_same_rows_types_and_classes(pair: tuple[Any, Any]) -> None:
    _, theirs = pair
    theirs = theirs.cast_column("n", datasets.ClassLabel(num_classes=43)).cast_column(
        "score", datasets.Value("float32")
    )
    theirs.to_parquet("a.parquet")
    same(*both("parquet", data_files="a.parquet"))
    mine = ours.load_dataset("parquet", data_files="a.parquet", split="train")
    mine.to_parquet("b.parquet")
    same(*both("parquet", data_files="b.parquet"))


LAYOUTS = [
    ["train.jsonl", "test.jsonl", "dev.jsonl"],
    ["data/train.jsonl", "data/test.jsonl"],
    ["train/a.jsonl", "train/b.jsonl", "validation/a.jsonl"],
    ["my-train-file.jsonl", "my_val_file.jsonl", "my.eval.jsonl"],
    ["train-00-of-02.jsonl.gz", "train-01-of-02.jsonl.gz", "test.jsonl.gz"],
    ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl", "data/hard-00000-of-00001.jsonl"],
    ["anything.jsonl", "else.jsonl"],
    ["contest.jsonl"],
    ["a/train.jsonl", "b/train.jsonl", "b/testing.jsonl"],
    ["train1.jsonl", "train 2.jsonl", "training_3.jsonl"],
]


@pytest.mark.parametrize("names", LAYOUTS, ids=lambda names: names[0])
def test_folders_have_the_same_splits(names: list[str]) -> None:
    for place, name in enumerate(names):
        write_json(f"folder/{name}", [{"from": name, "place": place}])
    mine, theirs = both("folder")
    same(mine, theirs)
    same(*both("json", data_dir="folder"))
    same(*both("folder", split="train"))


def test_the_card_of_a_folder_says_the_same() -> None:
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        write_json(f"folder/{name}", [{"from": name}])
    Path("folder/README.md").write_text(
        "---\nconfigs:\n- config_name: one\n  data_files:\n  - split: train\n    path: a.jsonl\n"
        "  - split: test\n    path: [b.jsonl, c.jsonl]\n"
        "- config_name: two\n  data_files: '[bc].jsonl'\n  default: true\n---\n"
    )
    for arguments in (["folder"], ["folder", "one"], ["folder", "two"]):
        same(*both(*arguments))


SPLITS = [
    "train",
    "train[:10%]",
    "train[33%:66%]",
    "train[-10%:]",
    "train[5:7]",
    "train[:3]+test[-2:]",
    "train+test",
    "train[98%:]",
]


@pytest.mark.parametrize("split", SPLITS)
def test_parts_of_splits_are_the_same(split: str) -> None:
    write_json("a.jsonl")
    write_json("b.jsonl", ROWS[:7])
    files = {"train": "a.jsonl", "test": "b.jsonl"}
    same(*both("json", data_files=files, split=split))


# -- what is done with them --------------------------------------------------------------------------------------------

ACTIONS: dict[str, Any] = {
    "map": lambda d: d.map(lambda row: {"length": len(row["text"]), "n": row["n"] * 2}),
    "map in place": lambda d: d.map(_in_place),
    "map batches": lambda d: d.map(
        lambda b: {"x": [n for n in b["n"] for _ in range(2)]}, batched=True, remove_columns=d.column_names
    ),
    "map by columns": lambda d: d.map(lambda n, t: {"x": f"{n}{t}"}, input_columns=["n", "text"]),
    "map with numbers": lambda d: d.map(lambda row, i: {"x": i}, with_indices=True, remove_columns=["info", "text"]),
    "map nothing": lambda d: d.map(lambda row: None),
    "filter": lambda d: d.filter(lambda row: row["score"] is not None and row["n"] % 3 == 0),
    "filter batches": lambda d: d.filter(lambda b: [n > 5 for n in b["n"]], batched=True, batch_size=7),
    "shuffle": lambda d: d.shuffle(seed=7),
    "shuffle, then more": lambda d: (
        d.shuffle(seed=7).select(range(9)).filter(lambda r: r["is"]).rename_column("n", "m")
    ),
    "split": lambda d: d.train_test_split(test_size=0.3, seed=5),
    "split by numbers": lambda d: d.train_test_split(test_size=7, train_size=11, seed=5),
    "split in order": lambda d: d.train_test_split(train_size=0.61, shuffle=False),
    "sort": lambda d: d.sort("text").sort("n", reverse=True),
    "sort by two": lambda d: d.sort(["is", "n"], reverse=[True, False]),
    "remove": lambda d: d.remove_columns(["text", "ids"]),
    "select columns": lambda d: d.select_columns(["ids", "text"]),
    "rename": lambda d: d.rename_columns({"text": "sentence", "n": "number"}),
    "add": lambda d: d.add_column("more", list(range(43))),
    "cast": lambda d: d.cast_column("n", "string" if isinstance(d, ours.Dataset) else datasets.Value("string")),
    "encode classes": lambda d: d.class_encode_column("text"),
    "flatten": lambda d: d.flatten(),
    "batch": lambda d: d.select_columns(["n", "text"]).batch(5),
    "take and skip": lambda d: d.take(30).skip(11),
    "shard": lambda d: d.shard(4, 1),
    "shard apart": lambda d: d.shard(4, 1, contiguous=False),
}


def _in_place(row: dict[str, Any]) -> dict[str, Any]:
    row["text"] = row["text"].upper()
    row["new"] = [row["n"]]
    return row


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_give_the_same_rows(name: str, pair: tuple[Any, Any]) -> None:
    mine, theirs = pair
    same(ACTIONS[name](mine), ACTIONS[name](theirs))


def test_rows_slices_and_columns_are_the_same(pair: tuple[Any, Any]) -> None:
    mine, theirs = pair
    for index in (0, -1, slice(3, 9), slice(None, None, -7), [4, 2, 2], range(2, 6)):
        assert mine[index] == theirs[index]
    assert list(mine["text"]) == list(theirs["text"])
    assert mine.unique("text") == theirs.unique("text")
    assert mine["ids"][:4] == theirs["ids"][:4]


@pytest.mark.parametrize("form", ["numpy", "torch"])
def test_arrays_are_the_same(form: str, pair: tuple[Any, Any]) -> None:
    names = ["n", "ids", "text", "is", *(["score"] if form == "torch" else [])]  # their NumPy arrays are of float32
    mine, theirs = (d.select_columns(names).with_format(form) for d in pair)
    for index in (4, slice(2, 5), [4, 9]):
        for name, value in theirs[index].items():
            assert shape_of(mine[index][name]) == shape_of(value), (index, name)


def shape_of(value: Any) -> Any:
    """What an array is: its type, shape and values; of a list (or an array of objects), of each."""
    if isinstance(value, (str, list)) or getattr(getattr(value, "dtype", None), "kind", "") == "O":
        return value if isinstance(value, str) else [shape_of(item) for item in value]
    return value.dtype, value.tolist()


@pytest.mark.parametrize("strategy", ["first_exhausted", "all_exhausted"])
@pytest.mark.parametrize("probabilities", [None, [0.2, 0.5, 0.3]])
def test_interleaved_rows_are_the_same(strategy: str, probabilities: Any, pair: tuple[Any, Any]) -> None:
    made = [
        library.interleave_datasets(
            [d.select(range(9)), d.select(range(20, 25)), d.select(range(30, 43))],
            probabilities=probabilities,
            seed=3,
            stopping_strategy=strategy,
        )
        for library, d in zip((ours, datasets), pair, strict=True)
    ]
    same(*made)


def test_data_sets_end_to_end_and_side_by_side_are_the_same(pair: tuple[Any, Any]) -> None:
    made = []
    for library, d in zip((ours, datasets), pair, strict=True):
        more = library.Dataset.from_dict({"text": ["x"], "new": [1.5]})
        end_to_end = library.concatenate_datasets([d.shuffle(seed=1), more])
        beside = library.concatenate_datasets([d.select_columns("n"), d.remove_columns("n")], axis=1)
        made.append((end_to_end, beside))
    for mine, theirs in zip(*made, strict=True):
        same(mine, theirs)


def test_a_stratified_split_has_the_same_counts(pair: tuple[Any, Any]) -> None:
    counts = []
    for d in pair:
        parts = d.class_encode_column("text").train_test_split(test_size=0.4, stratify_by_column="text", seed=0)
        counts.append([np.bincount(parts[split]["text"]).tolist() for split in ("train", "test")])
    assert np.abs(np.subtract(*counts)).max() <= 1
    assert np.sum(counts[0], axis=1).tolist() == np.sum(counts[1], axis=1).tolist()


# -- other libraries' data ---------------------------------------------------------------------------------------------


def test_their_data_sets_are_taken_and_given(pair: tuple[Any, Any]) -> None:
    mine, theirs = pair
    theirs = theirs.cast_column("n", datasets.ClassLabel(num_classes=43)).shuffle(seed=0)
    taken = ours.Dataset.from_hf(theirs)
    same(taken, theirs)
    same(taken, taken.to_hf())
    same(ours.Dataset.from_hf(datasets.DatasetDict(train=theirs))["train"], theirs)
    wrapped = ours.as_dataset(theirs)
    assert list(wrapped) == list(theirs)
    assert wrapped.column_names == theirs.column_names
    assert wrapped.features["n"].names == theirs.features["n"].names
    stream = ours.as_dataset(theirs.to_iterable_dataset().shuffle(seed=1, buffer_size=10))
    assert len(list(stream)) == 43
    assert list(stream.skip(40)) == list(stream)[40:]
    assert list(ours.as_dataset(mine.to_hf())) == ROWS


def test_frames_are_taken_and_given(pair: tuple[Any, Any]) -> None:
    mine, theirs = pair
    frame = pandas.DataFrame(ROWS)
    assert ours.as_dataset(frame).to_list() == ROWS
    pandas.testing.assert_frame_equal(mine.to_pandas(), theirs.to_pandas(), check_dtype=False)
    assert mine.with_format("pandas")[:3]["n"].tolist() == [0, 1, 2]
    same(
        *(
            library.Dataset.from_pandas(pandas.DataFrame({"a": [1.5, None], "c": [True, False]}))
            for library in (ours, datasets)
        )
    )
    assert ours.as_dataset(polars.DataFrame(ROWS)).to_list() == ROWS
    assert mine.remove_columns("info").to_polars().shape == (43, 6)
    dates = ours.Dataset.from_pandas(pandas.DataFrame({"d": pandas.to_datetime(["2020-02-29", None])}))
    assert dates["d"] == ["2020-02-29T00:00:00", None]


def test_pytorch_reads_ours_and_ours_reads_pytorchs(pair: tuple[Any, Any]) -> None:
    mine, _ = pair
    loader = torch.utils.data.DataLoader(mine.with_format("torch", columns=["n", "is"]), batch_size=10)
    batches = list(loader)
    assert [len(batch["n"]) for batch in batches] == [10, 10, 10, 10, 3]
    assert batches[0]["n"].tolist() == list(range(10))

    class MapStyle(torch.utils.data.Dataset):  # type: ignore[misc, type-arg]
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"x": torch.tensor([index])}

    assert [row["x"].tolist() for row in ours.as_dataset(MapStyle())] == [[0], [1], [2]]
    assert mine.map(lambda row: {"v": torch.tensor(row["ids"]), "w": np.float32(0.5)})[3]["v"] == [0, 1, 2]
