"""Data of other libraries and of none, taken as a data set."""

from __future__ import annotations

from typing import Any

import pytest

from panpipe.data import Dataset, DatasetDict, IterableDataset, as_dataset
from panpipe.errors import DataError, InvalidArgument, NoSuchRow

ROWS = [{"text": "안녕", "n": 1}, {"text": "b", "n": 2}]


class MapStyle:
    """As PyTorch's data sets are."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        return ROWS[index]


class Stream:
    epoch = 0

    def __iter__(self) -> Any:
        return iter([{**row, "epoch": self.epoch} for row in ROWS])

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch


@pytest.mark.parametrize(
    "data", [ROWS, tuple(ROWS), {"text": ["안녕", "b"], "n": [1, 2]}, Dataset.from_list(ROWS), MapStyle()]
)
def test_what_has_rows_by_number_is_a_data_set(data: Any) -> None:
    ds = as_dataset(data)
    assert len(ds) == 2
    assert [ds[index] for index in range(2)] == list(ds) == ROWS
    assert ds[-1] == ROWS[-1]
    assert ds.column_names == ["text", "n"]
    assert as_dataset(ds) is ds
    with pytest.raises(NoSuchRow):
        ds[2]


def test_what_is_read_in_order_is_a_stream() -> None:
    for data in (lambda: iter(ROWS), IterableDataset.from_generator(lambda: ROWS)):
        stream = as_dataset(data)
        assert list(stream) == list(stream) == ROWS
        assert list(stream.skip(1)) == ROWS[1:]
    foreign = as_dataset(Stream())
    foreign.set_epoch(2)
    assert [row["epoch"] for row in foreign] == [2, 2]
    assert foreign.column_names == ["text", "n", "epoch"]
    foreign.load_state_dict({"rows": 1, "epoch": 3})
    assert list(foreign) == [{**ROWS[1], "epoch": 3}]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (5, DataError, "5 .int. is no data set"),
        ("text", DataError, "is no data set"),
        (iter(ROWS), DataError, "A generator can be read once; give the function"),
        (DatasetDict(train=Dataset.from_list(ROWS)), InvalidArgument, "these are splits; give one of them: 'train'"),
        ({"a": [1, 2], "b": [1]}, DataError, r"different lengths: \{'a': 2, 'b': 1\}"),
        ({"a": "text"}, DataError, "a column is a list of values, not 'text'"),
    ],
)
def test_what_is_no_data_set_is_said(data: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        as_dataset(data)


def test_rows_that_are_no_dictionaries_are_named() -> None:
    with pytest.raises(DataError, match="row 1 of the list is 5"):
        as_dataset([{"a": 1}, 5])[1]
    with pytest.raises(DataError, match="row 1 is 5"):
        Dataset.from_list([{"a": 1}, 5])  # type: ignore[list-item]
