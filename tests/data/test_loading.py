"""Files as data sets: formats, encodings, schemas, and what is said of a file that cannot be read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pytest

from panpipe.data import ClassLabel, Dataset, DatasetDict, load_dataset
from panpipe.errors import DataError, DataNotFound, InvalidArgument, MissingKey, UnknownArgument

ROWS = [{"글": f"문장 {i}", "n": i, "list": [i] * (i % 3)} for i in range(20)]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def loaded(format: str, text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    Path("file").write_bytes(data)
    whole = load_dataset(format, data_files="file", split="train", **options)
    stream = load_dataset(format, data_files="file", split="train", streaming=True, **options)
    assert list(stream) == whole.to_list()
    return whole.to_list()


pytestmark = pytest.mark.usefixtures("here")


# -- csv ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,x\n2,y\n", [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("\ufeffa,b\r\n1,x\r\n", [{"a": 1, "b": "x"}]),  # as Excel writes it
        ('a,b\n"안녕, ""너""\n둘째 줄",1.5\n', [{"a": '안녕, "너"\n둘째 줄', "b": 1.5}]),
        ("a,b\n1,\n,2.5", [{"a": 1, "b": None}, {"a": None, "b": 2.5}]),
        ("a\nTrue\nfalse\n\n", [{"a": True}, {"a": False}]),
        ("a\n1\n2.5\n", [{"a": 1.0}, {"a": 2.5}]),
        ("a\n1\nx\n", [{"a": "1"}, {"a": "x"}]),
        ("a\n1\nNA\n", [{"a": 1}, {"a": None}]),
        ("a,b\nNA,x\nNone,y\n", [{"a": None, "b": "x"}, {"a": None, "b": "y"}]),
        ("a\nNone\nyes\n", [{"a": "None"}, {"a": "yes"}]),  # a text that says None is a text
        ("a\n010\n02\n", [{"a": "010"}, {"a": "02"}]),  # a number would lose the zero
        ("a\n9223372036854775807\n", [{"a": 2**63 - 1}]),
        ("a\n9223372036854775808\n", [{"a": "9223372036854775808"}]),
        ("a\n1e3\n-.5\ninf\n", [{"a": 1000.0}, {"a": -0.5}, {"a": float("inf")}]),
        (",a,a\n0,1,2\n", [{"Unnamed: 0": 0, "a": 1, "a.1": 2}]),
        ("a,b\n", []),
    ],
)
def test_csv_columns_have_the_narrowest_type(text: str, rows: list[dict[str, Any]]) -> None:
    assert loaded("csv", text) == rows


def test_csv_is_read_as_its_options_say() -> None:
    assert loaded("csv", "a;b\n1;2\n", delimiter=";") == [{"a": 1, "b": 2}]
    assert loaded("csv", "a;b\n1;2\n", sep=";") == [{"a": 1, "b": 2}]
    assert loaded("tsv", 'a\tb\n"1\t2\n', quoting=3) == [{"a": '"1', "b": 2}]
    assert loaded("csv", "1,2\n3,4\n", column_names=["x", "y"], header=None) == [{"x": 1, "y": 2}, {"x": 3, "y": 4}]
    assert loaded("csv", "a,b\n3,4\n", column_names=["x", "y"], header=0) == [{"x": 3, "y": 4}]
    assert loaded("csv", "# by hand\na,b\n3,4\n", skiprows=1) == [{"a": 3, "b": 4}]
    assert loaded("csv", "a,b\n1,2\n3\n4,5\n", on_bad_lines="skip") == [{"a": 1, "b": 2}, {"a": 4, "b": 5}]
    assert loaded("csv", "a,b\n1,2\n", usecols=["b"]) == [{"b": 2}]
    assert loaded("csv", "a\n1\n-\n", na_values=["-"]) == [{"a": 1}, {"a": None}]
    assert loaded("csv", "글\n안녕\n".encode("cp949"), encoding="cp949") == [{"글": "안녕"}]
    assert loaded("csv", "글\n안녕\n".encode("utf-16"), encoding="utf-16") == [{"글": "안녕"}]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a,b\n1,2\n1,2,3\n", {}, r"file, line 3: 3 fields; the header has 2 \(a, b\).*on_bad_lines"),
        ('a,b\n"1\n2",3\n4\n', {}, "file, line 4: 1 fields; the header has 2"),
        ('a,b\n1,2\n3,"4\n5,6\n', {}, "file, line 3: a quotation mark is opened in this row and never closed"),
        ("", {}, "file is empty; expected a header"),
        ("글\n안녕\n".encode("cp949"), {}, r"file, line 1: byte 0 \(0xb1\) is not UTF-8. It may be encoding='cp949'"),
        (b"a\nok\nx\xff\xfey\n", {}, r"file, line 3: byte 6 \(0xff\) is not UTF-8. Give its encoding"),
        ("a\n1\n".encode("utf-16"), {}, "It may be encoding='utf-16'"),
        ("a\n1\nx\n", {"strict": True}, r"file, line 3: the column 'a' holds int, and 'x' \(str\) is none"),
        ("a,b\n1,2\n", {"usecols": ["c"]}, "there is no column 'c'"),
    ],
)
def test_csv_that_cannot_be_read_is_named_by_line(text: str | bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded("csv", text, **options)


def test_csv_files_of_one_split_have_the_same_columns() -> None:
    Path("a.csv").write_text("x,y\n1,2\n")
    Path("b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(
        DataError, match=r"b.csv, line 1: the columns are not those .* lacks \['y'\] and it also has \['z'"
    ):
        load_dataset("csv", data_files=["a.csv", "b.csv"])


def test_features_say_what_columns_are_to_be() -> None:
    features = {"label": ClassLabel(names=["부정", "긍정"]), "n": "float32"}
    assert loaded("csv", "label,n\n긍정,1\n1,2\n", features=features) == [
        {"label": 1, "n": 1.0},
        {"label": 1, "n": 2.0},
    ]
    with pytest.raises(MissingKey, match="no column 'label'"):
        loaded_whole("csv", "lable\n1\n", features=features)


def test_types_are_those_of_the_whole_file() -> None:
    rows = loaded_whole("csv", "n\n" + "1\n" * 10_000 + "x\n")
    assert rows[0] == {"n": "1"}
    rows = loaded_whole("json", '{"n": null, "d": 1}\n' * 10_000 + '{"n": "2020-01-01", "d": {"a": 1}}\n')
    assert rows[0] == {"n": None, "d": 1}
    assert rows[-1] == {"n": "2020-01-01", "d": {"a": 1}}


def loaded_whole(format: str, text: str, **options: Any) -> list[dict[str, Any]]:
    Path("file").write_text(text)
    return load_dataset(format, data_files="file", split="train", **options).to_list()


# -- JSON --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (JSONL, ROWS),
        (json.dumps(ROWS), ROWS),
        (json.dumps(ROWS, indent=2), ROWS),
        ("\n\n" + JSONL.replace("\n", "\r\n\r\n"), ROWS),
        ("\ufeff" + json.dumps(ROWS), ROWS),
        ("".join(json.dumps(row, indent=1) for row in ROWS), ROWS),  # one after the other
        ('{"a": [1], "b": [2]}', [{"a": [1], "b": [2]}]),
        ('{\n"a": 1}', [{"a": 1}]),
        ('["하나", "둘"]', [{"text": "하나"}, {"text": "둘"}]),
        ('{"a": 1}\n{"b": 2}\n', [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ("[]", []),
        ("", []),
    ],
)
def test_json_is_read_in_each_of_its_forms(text: str, rows: list[dict[str, Any]]) -> None:
    assert loaded("json", text) == rows


def test_json_values_keep_what_they_are() -> None:
    rows = [
        {"a": {"b": [1, None, {"c": "\ud800"}]}, "big": 2**70, "t": True, "lists": [[1.5], []]},
        {"a": [1], "big": 1},
    ]
    assert loaded("json", "".join(map(json.dumps, rows))) == [rows[0], {**rows[1], "t": None, "lists": None}]


def test_values_of_several_types_become_text() -> None:
    assert loaded_whole("json", '{"a": 1}\n{"a": "x"}\n{"a": true}\n') == [{"a": "1"}, {"a": "x"}, {"a": "true"}]


def test_rows_are_found_under_a_field() -> None:
    text = json.dumps({"version": "1", "data": ROWS})
    assert loaded("json", text, field="data") == ROWS
    assert loaded("json", '{"columns": {"a": [1, 2], "b": ["x", "y"]}}', field="columns")[1] == {"a": 2, "b": "y"}
    with pytest.raises(DataError, match=r"file has no field 'date'. Did you mean 'data'"):
        loaded("json", text, field="date")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"a": }\n', r"file, line 2: this is not JSON \(Expecting value at column 7\)"),
        ('{"a": 1}\n[1]\n', r"file, line 2: expected an object \{…\}, not \[1\]"),
        ('{"a": 1\n{"a": 2}\n' + '{"a": 3}\n' * 20, "file, line 2: this is not JSON"),
        ('[{"a": 1},\n {"a": 2},\n {"a" 3},' + '{"a": 1},' * 9 + "]", "file, line 3: this is not JSON"),
        ('[{"a": 1},\n {"a": 2}', "file, from line 2 on: the array is not closed"),
        ('[{"a": "' + "x" * 200_000, "Is the file whole"),
        ('{"a": 1}\n{"a": "글', "file, line 2: this is not JSON .Unterminated"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"a": 1}\n' + "[" * 100_000, "line 2 cannot be read as JSON"),
        ('{"a": 1}\n{"a": ' + "9" * 5000 + "}", "line 2 cannot be read as JSON"),
        ("5", "expected an object"),
        ("PK", "line 1 on: this is not JSON"),
    ],
)
def test_json_that_cannot_be_read_is_named_by_line(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded("json", text)


def test_strict_loading_names_the_first_line_that_does_not_fit() -> None:
    text = '{"a": null, "b": 1}\n{"a": 1, "b": 1.5}\n{"a": "x", "b": 2}\n'
    with pytest.raises(DataError, match=r"file, line 3: the column 'a' holds int, and 'x' \(str\) is none.*string"):
        loaded("json", text, strict=True)
    assert len(loaded("json", "\n".join(text.splitlines()[:2]), strict=True)) == 2


# -- text --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        ({}, ["첫째", "둘째 ", "", "셋째\u2028"]),
        ({"keep_linebreaks": True}, ["첫째\r\n", "둘째 \n", "\n", "셋째\u2028"]),
        ({"sample_by": "paragraph"}, ["첫째\r\n둘째 ", "셋째\u2028"]),
        ({"sample_by": "document"}, ["첫째\r\n둘째 \n\n셋째\u2028"]),
    ],
)
def test_texts_are_lines_paragraphs_or_documents(options: dict[str, Any], texts: list[str]) -> None:
    assert loaded("text", "\ufeff첫째\r\n둘째 \n\n셋째\u2028", **options) == [{"text": text} for text in texts]


# -- compression -------------------------------------------------------------------------------------------------------


def zipped(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: zipped({"a.jsonl": data})])
def test_compressed_files_are_read_as_they_are(pack: Any) -> None:
    assert loaded("json", pack(JSONL.encode())) == ROWS
    with pytest.raises(DataError, match="file"):
        loaded("json", pack(JSONL.encode())[:-30])


def test_zst_is_read() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    assert loaded("json", pyarrow.compress(JSONL.encode(), "zstd", asbytes=True)) == ROWS


def test_all_members_of_a_zip_archive_are_read_in_order() -> None:
    lines = JSONL.encode().splitlines(True)
    archive = zipped({"b/2.jsonl": b"".join(lines[5:]), "a/1.jsonl": b"".join(lines[:5]), "__MACOSX/x": b"junk"})
    assert loaded("json", archive) == ROWS
    with pytest.raises(DataError, match=r"file/2.jsonl, from line 1 on: this is not JSON"):
        loaded("json", zipped({"1.jsonl": b"{}", "2.jsonl": b"{"}))


# -- Arrow -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def arrow_files() -> list[dict[str, Any]]:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import feather, parquet

    rows = [{**row, "bytes": b"\0", "nested": {"x": [row["n"]]}, "none": None, "f": row["n"] / 2} for row in ROWS]
    rows[3] = {**rows[3], "글": None, "list": None, "f": None}
    table = pyarrow.Table.from_pylist(rows).append_column("d", pyarrow.array(["가", "나"] * 10).dictionary_encode())
    parquet.write_table(table, "a.parquet", row_group_size=7)
    feather.write_feather(table.slice(0, 20), "a.feather")
    with pyarrow.ipc.new_stream("a.arrow", table.schema) as stream:
        stream.write_table(table.slice(3, 17), max_chunksize=4)
    return table.to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("format", "name", "first"), [("parquet", "a.parquet", 0), ("arrow", "a.feather", 0), ("arrow", "a.arrow", 3)]
)
def test_files_of_arrow_are_read(format: str, name: str, first: int, arrow_files: list[dict[str, Any]]) -> None:
    whole = load_dataset(format, data_files=[name, name], split="train")
    assert whole.to_list() == arrow_files[first:] * 2
    stream = load_dataset(format, data_files=[name, name], split="train", streaming=True)
    for k in (0, 1, 6, 7, 8, 19, 20, 21, 39, 40):
        assert list(stream.skip(k)) == (arrow_files[first:] * 2)[k:]
    assert load_dataset(format, data_files=name, split="train", columns=["n"])[:2] == {"n": [first, first + 1]}
    with pytest.raises(DataError, match="no column 'm'"):
        load_dataset(format, data_files=name, columns=["m"])


def test_names_of_classes_are_read_from_parquet() -> None:
    pytest.importorskip("pyarrow")
    ds = Dataset.from_dict({"y": ["b", "a"], "x": [1.5, None]}).class_encode_column("y")
    ds.to_parquet("y.parquet")
    again = Dataset.from_parquet("y.parquet")
    assert again.features["y"] == ClassLabel(names=["a", "b"])
    assert again.to_list() == ds.to_list()


def test_a_broken_parquet_file_is_named() -> None:
    pytest.importorskip("pyarrow")
    for content in (b"PAR1 and no more", b"", b"PAR1" * 100):
        Path("x.parquet").write_bytes(content)
        with pytest.raises(DataError, match=r"x.parquet cannot be read"):
            load_dataset("parquet", data_files="x.parquet")


# -- files and splits --------------------------------------------------------------------------------------------------


def write(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        data = f'{{"from": "{name}"}}\n'.encode()
        Path(name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


def origins(splits: DatasetDict) -> dict[str, list[str]]:
    return {split: list(each["from"]) for split, each in splits.items()}


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["data.json"], {"train": ["data.json"]}),
        (["train.json", "test.json"], {"train": ["train.json"], "test": ["test.json"]}),
        (["my-dev_1.jsonl", "my.training.jsonl"], {"train": ["my.training.jsonl"], "validation": ["my-dev_1.jsonl"]}),
        (["train/a.json", "valid/b.json"], {"train": ["train/a.json"], "validation": ["valid/b.json"]}),
        (["x/test-set/a.json", "x/train2/b.json"], {"train": ["x/train2/b.json"], "test": ["x/test-set/a.json"]}),
        (["contest.json", "latest.json"], {"train": ["contest.json", "latest.json"]}),
        (
            ["train-00-of-02.jsonl.gz", "train-01-of-02.jsonl.gz", "test-00-of-01.jsonl.gz", "README.txt"],
            {"train": ["train-00-of-02.jsonl.gz", "train-01-of-02.jsonl.gz"], "test": ["test-00-of-01.jsonl.gz"]},
        ),
        (
            ["data/train-00000-of-00001.json", "data/hard-00000-of-00001.json"],
            {"train": ["data/train-00000-of-00001.json"], "hard": ["data/hard-00000-of-00001.json"]},
        ),
        (["a.json", ".hidden/b.json", "__pycache__/c.json", "dataset_infos.json"], {"train": ["a.json"]}),
    ],
)
def test_splits_are_known_by_the_names_of_files(names: list[str], splits: dict[str, list[str]]) -> None:
    write(*(f"folder/{name}" for name in names))
    expected = {split: [f"folder/{name}" for name in files] for split, files in splits.items()}
    assert list(origins(load_dataset("folder")).items()) == list(expected.items())
    assert origins(load_dataset("json", data_dir="folder")) == expected


def test_files_are_named_alone_in_lists_by_splits_and_by_patterns() -> None:
    write("a.json", "b.json", "in/c.json", "in/deep/d.json")
    for given, splits in [
        ("a.json", {"train": ["a.json"]}),
        (Path("a.json").absolute(), {"train": ["a.json"]}),
        (["b.json", "a.json"], {"train": ["b.json", "a.json"]}),
        ({"train": "a.json", "내것": ["b.json"]}, {"train": ["a.json"], "내것": ["b.json"]}),
        ("*.json", {"train": ["a.json", "b.json"]}),
        ("[!a].json", {"train": ["b.json"]}),
        ("in/**", {"train": ["in/c.json", "in/deep/d.json"]}),
        ("**/?.json", {"train": ["a.json", "b.json", "in/c.json", "in/deep/d.json"]}),
    ]:
        assert origins(load_dataset("json", data_files=given)) == splits
    assert origins(load_dataset("json", data_dir="in", data_files="*.json")) == {"train": ["in/c.json"]}
    assert origins(load_dataset("in", data_files={"x": "deep/*.json"})) == {"x": ["in/deep/d.json"]}
    assert origins(load_dataset("in/c.json")) == {"train": ["in/c.json"]}


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (["json"], {"data_files": "aa.json"}, DataNotFound, "there is no file 'aa.json' .* Did you mean 'a.json'"),
        (["json"], {"data_files": "*.csv"}, DataNotFound, r"no file '\*.csv' in the folder"),
        (["json"], {}, InvalidArgument, "needs data_files="),
        (["json"], {"data_files": []}, InvalidArgument, "expected names of files"),
        (["json"], {"data_files": "a.json", "feild": "x"}, UnknownArgument, "Did you mean 'field'"),
        (["json"], {"data_files": "a.json", "split": "tran"}, DataNotFound, "no split 'tran'. Did you mean 'train'"),
        (["json"], {"data_files": "a.json", "split": "train[1"}, InvalidArgument, "is not understood"),
        (["json"], {"data_files": "a.json", "split": "train[:200%]"}, InvalidArgument, "asks for 200 %"),
        (["json"], {"data_files": "a.json", "download_mode": "x"}, InvalidArgument, "download_mode"),
        (["./nowhere"], {}, DataNotFound, "no such file or folder"),
        (["empty"], {}, DataNotFound, "has no files of rows"),
        (["empty/a.doc"], {}, DataError, "says no format"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], options: dict[str, Any], error: type, message: str) -> None:
    write("a.json", "empty/a.doc")
    with pytest.raises(error, match=message):
        load_dataset(*arguments, **options)


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train", range(20)),
        ("train[5:]", range(5, 20)),
        ("train[:10%]", range(2)),
        ("train[10%:35%]", range(2, 7)),
        ("train[-3:]", range(17, 20)),
        ("train[-10%:]", range(18, 20)),
        ("train[:2]+test[18:]", [0, 1, 18, 19]),
        ("train[30:]", []),
        ("train + test", [*range(20), *range(20)]),
        ("all", [*range(20), *range(20)]),
    ],
)
def test_parts_of_splits_are_chosen(split: str, rows: Any) -> None:
    Path("a.jsonl").write_text(JSONL, "utf-8")
    files = {"train": "a.jsonl", "test": "a.jsonl"}
    assert load_dataset("json", data_files=files, split=split)["n"] == list(rows)
    listed = load_dataset("json", data_files=files, split=[split, "test[:1]"])
    assert [list(part["n"]) for part in listed] == [list(rows), [0]]


CARD = """---
license: mit
configs:
- config_name: no
  data_files:
  - split: train
    path: a.json
  - split: test
    path:
    - b.json
    - '한*.json'
- config_name: table
  sep: ;
  data_files: t.tsv
dataset_info:
- config_name: table
  features:
  - name: y
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
tags:
- a
---
# Title
"""


def test_the_readme_says_which_files_make_a_configuration() -> None:
    write("f/a.json", "f/b.json", "f/한글.json")
    Path("f/t.tsv").write_text("y;x\n1;no\n0;yes\n")
    Path("f/README.md").write_text(CARD, "utf-8")
    assert origins(load_dataset("f", "no")) == {"train": ["f/a.json"], "test": ["f/b.json", "f/한글.json"]}
    table = load_dataset("f", "table", split="train")
    assert table.to_list() == [{"y": 1, "x": "no"}, {"y": 0, "x": "yes"}]
    assert table.features["y"].names == ["neg", "pos"]
    with pytest.raises(DataNotFound, match=r"several configurations; give one: .* 'no'\)"):
        load_dataset("f")
    with pytest.raises(DataNotFound, match=r"no configuration 'tabel'. Did you mean 'table'"):
        load_dataset("f", "tabel")


def test_the_github_issues_of_the_course_load() -> None:
    """Chapter 5: a column that is null for long, then a date, then an object."""
    user = {"login": "a"}
    lines = [{"closed_at": None, "user": user, "pull_request": None, "labels": []} for _ in range(5000)]
    lines += [{"closed_at": "2021-08-12", "user": user, "pull_request": {"url": "u"}, "labels": [{"name": "bug"}]}]
    Path("issues.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ds = load_dataset("json", data_files="issues.jsonl", split="train")
    assert ds[0] == lines[0]
    assert ds[5000] == lines[-1]
    assert ds.filter(lambda row: row["pull_request"] is not None)["closed_at"] == ["2021-08-12"]
    assert ds.flatten().column_names[1:3] == ["user.login", "pull_request.url"]


def test_a_file_that_is_not_there_is_no_id_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("리뷰.csv").write_text("text,label\n좋다,1\n", encoding="utf-8")
    with pytest.raises(DataNotFound, match=r"Did you mean '리뷰\.csv'"):
        load_dataset("리뷰들.csv")
    assert load_dataset("*.csv", split="train")["text"][0] == "좋다"
