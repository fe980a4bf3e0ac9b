"""Columns: what goes in comes out, in memory and from files, however it is cut, chosen, chained and widened."""

from __future__ import annotations

import datetime
import enum
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.data.building import build, widened
from panpipe.data.columns import (
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    ChainedColumn,
    ChosenColumn,
    Column,
    Kind,
    join,
    list_of,
)
from panpipe.data.rows import columns_of_rows
from panpipe.data.storing import TableWriter, open_table, whole_folder
from panpipe.errors import DataError

TEXTS = st.text(st.characters(), max_size=8)  # surrogates too: JSON files hold them
WHOLE = st.integers(-(2**63), 2**63 - 1)
LEAVES = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | TEXTS
ANY = st.recursive(LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(TEXTS, x, max_size=3), max_leaves=6)
OF_ONE_KIND = st.one_of(
    st.lists(st.none() | values, max_size=12)
    for values in (
        st.booleans(),
        WHOLE,
        st.floats(allow_nan=False),
        TEXTS,
        st.binary(max_size=5),
        st.lists(WHOLE, max_size=4),
        st.lists(st.none() | TEXTS, max_size=3),
        st.lists(st.lists(st.floats(allow_nan=False), max_size=2), max_size=3),
        st.dictionaries(TEXTS, ANY, max_size=3),
    )
)


@given(OF_ONE_KIND)
def test_values_of_one_kind_come_back_as_they_were(values: list[Any]) -> None:
    column = build(values)
    assert column.rows() == values
    assert [column.row(index) for index in range(len(values))] == values
    assert [type(value) for value in column.rows()] == [type(value) for value in values]


@given(OF_ONE_KIND, st.data())
def test_parts_choices_and_chains_have_the_rows_of_the_whole(values: list[Any], data: st.DataObject) -> None:
    column = build(values)
    begin = data.draw(st.integers(0, len(values)))
    end = data.draw(st.integers(begin, len(values)))
    assert column.slice(begin, end).rows() == values[begin:end]
    chain = ChainedColumn([column.slice(0, begin), column.slice(begin, end), column.slice(end, len(values))])
    assert chain.rows() == values
    assert chain.slice(begin, end).rows() == values[begin:end]
    indices = data.draw(st.lists(st.sampled_from(range(len(values))), max_size=9)) if values else []
    chosen = ChosenColumn(column, np.asarray(indices, np.int64))
    assert chosen.rows() == [values[index] for index in indices]
    assert pickle.loads(pickle.dumps(chain)).rows() == values


@settings(max_examples=40)
@given(st.lists(st.fixed_dictionaries({}, optional={"a": ANY, "b": WHOLE, "c": TEXTS}), max_size=12), st.integers(1, 5))
def test_a_table_in_files_equals_one_in_memory_and_one_built_at_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("table")
    written = [TableWriter(folder), TableWriter(None), TableWriter(None)]
    for begin in range(0, len(rows), size):
        for writer in written[:2]:
            writer.extend(columns_of_rows(rows[begin : begin + size], begin), len(rows[begin : begin + size]))
    written[2].extend(columns_of_rows(rows, 0), len(rows))
    memory, at_once = written[1].finish(), written[2].finish()
    written[0].finish()
    files, length, *_ = open_table(folder)
    assert length == len(rows)
    assert set(files) == set(memory) == set(at_once)
    for name, column in files.items():
        assert column.kind == memory[name].kind == at_once[name].kind
        assert column.rows() == memory[name].rows()
        if "json" not in str(column.kind):  # there what was a text before stays one
            assert column.rows() == at_once[name].rows()


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, 2.5, None], FLOAT, [1.0, 2.5, None]),
        ([1, "둘", None], STRING, ["1", "둘", None]),
        ([True, 1.5], STRING, ["true", "1.5"]),
        ([2**70, 1], JSON, [2**70, 1]),
        ([[1], [2.5], []], list_of(FLOAT), [[1.0], [2.5], []]),
        ([[], [], None], list_of(NULL), [[], [], None]),
        ([[1, "a"]], list_of(STRING), [["1", "a"]]),
        ([{"a": 1}, [1]], JSON, [{"a": 1}, [1]]),
        ([None, None], NULL, [None, None]),
    ],
)
def test_a_column_is_as_narrow_as_its_values_allow(values: list[Any], kind: Kind, kept: list[Any]) -> None:
    column = build(values)
    assert column.kind == kind
    assert column.rows() == kept


KINDS: list[Column] = [build(values) for values in ([None], [1], [1.5], [True], ["x"], [[1]], [["a"]], [{"a": 1}])]


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_the_join_of_two_kinds_holds_the_values_of_both(first: Column, second: Column) -> None:
    kind = join(first.kind, second.kind)
    assert kind == join(second.kind, first.kind)
    for column in (first, second):
        assert widened(column, kind).kind == kind
        assert len(widened(column, kind)) == 1
        assert widened(column.slice(0, 0), kind).rows() == []


def test_values_of_other_libraries_become_plain() -> None:
    class Colour(enum.IntEnum):
        RED = 3

    day = datetime.date(2020, 2, 29)
    assert build([np.int32(3), Colour.RED, None]).rows() == [3, 3, None]
    assert build([np.array([1, 2]), (3,), range(2)]).rows() == [[1, 2], [3], [0, 1]]
    assert build([np.float32(0.5), np.bool_(True)]).rows() == ["0.5", "true"]
    assert build([day, datetime.datetime(2020, 1, 1, 12)]).rows() == ["2020-02-29", "2020-01-01T12:00:00"]
    assert build([np.datetime64("2020-02-29"), Path("a/b")]).rows() == ["2020-02-29", "a/b"]
    assert build([{"a": np.int64(1), "b": day}]).rows() == [{"a": 1, "b": "2020-02-29"}]


@pytest.mark.parametrize("value", [object(), 1j, {"a": b"bytes"}, {("a", "b"): 1}, {"a": object()}])
def test_what_no_column_can_hold_is_said(value: Any) -> None:
    with pytest.raises(DataError, match="cannot be kept in a column"):
        build([value])


def test_ids_of_tokens_take_no_more_bytes_than_they_need(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path)
    for top in (1, 100, 30_000, 100_000):
        writer.extend({"ids": build([[top, -1, 0]] * 3), "mask": build([[1, 0]] * 3)}, 3)
    columns = writer.finish()
    dtypes = {name: column.items.values.dtype for name, column in columns.items()}  # type: ignore[attr-defined]
    assert dtypes == {"ids": np.int32, "mask": np.int8}
    assert columns["ids"].rows()[0] == [1, -1, 0]
    assert columns["ids"].rows()[-1] == [100_000, -1, 0]
    assert columns["ids"].kind == list_of(INT)


def test_the_arrays_on_the_disk_are_ordinary_npy_files(tmp_path: Path) -> None:
    writer = TableWriter(tmp_path)
    writer.extend({"수": build([1, 2, None])}, 3)
    writer.finish()
    found = {path.name: np.load(path, allow_pickle=False).tolist() for path in tmp_path.glob("*.npy")}
    assert found == {"0-1.values.npy": [1, 2, 0], "0-1.valid.npy": [True, True, False]}


def test_a_folder_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "x") as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
