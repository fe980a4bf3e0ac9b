"""The forms of inputs, windows of a stream, and grouping under a token budget."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe import KeyPairDataset
from panpipe.errors import InputError
from panpipe.pipelines.inputs import SLOW_SECONDS, WINDOW_CHARACTERS, is_in_memory, read_windows, source_of
from panpipe.pipelines.items import Item, groups, to_batch
from panpipe.pipelines.pt_utils import KeyDataset


@given(st.integers(0, 300), st.integers(1, 9), st.integers(1, 64))
def test_windows_hold_every_input_in_order_and_grow(count: int, first: int, most: int) -> None:
    windows = [window for window, error in read_windows(map(str, range(count)), first, most) if error is None]
    assert [value for window in windows for value in window] == list(map(str, range(count)))
    assert all(len(window) <= most for window in windows)
    assert not windows or len(windows[0]) <= first


def test_a_window_of_long_texts_is_short() -> None:
    texts = ["x" * WINDOW_CHARACTERS] * 5
    assert [len(window) for window, _ in read_windows(texts, 128, 128)] == [1] * 5
    pairs = [{"text": "x" * WINDOW_CHARACTERS, "text_pair": ["y"]}] * 2
    assert [len(window) for window, _ in read_windows(pairs, 128, 128)] == [1] * 2


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 60), st.none() | st.integers(1, 5))
def test_groups_hold_every_item_once_within_the_budget(lengths: list[int], tokens: int, batch_size: int | None) -> None:
    items = [Item([0] * length) for length in lengths]
    found = list(groups([*items, *items[:3]], batch_size, tokens))  # some twice
    assert {id(item) for group in found for item in group} == set(map(id, items))
    assert sum(map(len, found)) == len(items)
    for group in found:
        assert len(group) == 1 or sum(len(item.token_ids) for item in group) <= tokens
        assert batch_size is None or len(group) <= batch_size
        assert to_batch(group).lengths.tolist() == [len(item.token_ids) for item in group]


def test_columns_of_a_dataset() -> None:
    rows = [{"a": "one", "b": "two", "c": 3}]
    assert list(KeyPairDataset(rows, "a", "b")) == [{"text": "one", "text_pair": "two"}]
    assert len(KeyDataset(rows, "a")) == 1
    with pytest.raises(KeyError):
        KeyDataset(rows, "z")[0]


def test_a_table_is_refused_and_its_column_taken() -> None:
    class Frame:
        ndim = 2

        def __iter__(self) -> Iterator[str]:
            return iter(["the name of a column"])

    with pytest.raises(InputError, match="one column"):
        source_of(Frame(), "a string")
    with pytest.raises(InputError, match="one column"):
        source_of(np.array([["a", "b"]]), "a string")
    assert source_of(column := np.array(["a", "b"]), "a string") is column
    assert is_in_memory(column)


def test_a_source_that_keeps_us_waiting_is_read_one_by_one() -> None:
    def arriving() -> Iterator[str]:
        for index in range(9):
            if index > 2:
                time.sleep(SLOW_SECONDS * 2)
            yield str(index)

    windows = [len(window) for window, _ in read_windows(arriving(), 1, 8)]
    assert windows == [1, 2, 1, 1, 1, 1, 1, 1]
