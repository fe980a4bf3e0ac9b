"""Tables for people, and what may stand in them."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from panpipe.cli.records import Record
from panpipe.cli.terminal import elided, padded, undisturbed, width
from panpipe.cli.writers import JsonLines, Table, to_json

from .conftest import Terminal


def table(rows: list[tuple[str, object]], with_input: bool = True) -> list[str]:
    stream = io.StringIO()
    writer = Table(stream, with_input)
    for index, (text, answer) in enumerate(rows):
        writer.write(Record(index, "", text, text), answer)
    writer.finish()
    return stream.getvalue().splitlines()


def test_columns_are_aligned_in_any_script() -> None:
    lines = table(
        [
            (
                "첫째 줄",
                [{"entity": "LOC", "score": 0.5, "word": "서울"}, {"entity": "PER", "score": 1.0, "word": "Kim"}],
            ),
            ("second", []),
            ("third", [{"entity": "MISC", "score": 0.25, "word": "e\u0301"}]),
        ]
    )
    assert lines == [
        "entity   score  word  input",
        "LOC     0.5000  서울  첫째 줄",
        "PER     1.0000  Kim",
        "                      second",
        "MISC    0.2500  e\u0301     third",
    ]


def test_labels_and_scores_stand_side_by_side() -> None:
    answer = {"sequence": "x", "labels": ["a", "b"], "scores": [0.75, 0.25]}
    assert table([("x", answer)], with_input=False) == ["label   score", "a      0.7500", "b      0.2500"]


def test_masks_are_numbered_and_one_is_not() -> None:
    one = [{"score": 0.5, "token_str": "a"}]
    assert table([("x", [one, one])], with_input=False)[0].split() == ["mask", "score", "token_str"]
    assert table([("x", [one])], with_input=False)[0].split() == ["score", "token_str"]


def test_vectors_are_summed_up() -> None:
    lines = table([("x", np.array([3.0, 4.0], np.float32))], with_input=False)
    assert lines[1].split()[:2] == ["2", "5.0000"]
    assert "1 × 1 × 2" in table([("x", [[[3.0, 4.0]]])], with_input=False)[1]


def test_an_error_stands_in_its_row() -> None:
    assert table([("x", ValueError("too long"))])[1].split("  ") == ["too long", "x"]


def test_a_text_cannot_steer_the_terminal() -> None:
    lines = table([("a\x1b[2Jb\r\nc\u202ed\x9bm", [{"label": "\x1b]0;x\x07", "score": 1.0}])])
    assert not any(character in line for line in lines for character in "\x1b\r\u202e\x9b\x07")
    assert len(lines) == 2


def test_rows_wait_for_no_more_inputs_than_they_were_told_to() -> None:
    stream = Terminal()
    writer = Table(stream, False, held=1)
    writer.write(Record(0, ""), [{"label": "x"}])
    assert stream.getvalue().splitlines()[1] == "x"


@pytest.mark.parametrize(
    "text, columns", [("abc", 3), ("서울", 4), ("漢字kana", 8), ("e\u0301", 1), ("한", 2), ("👍", 2)]
)
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(padded(text, 12)) == 12


def test_a_cut_text_fits() -> None:
    assert elided("서울에 가자", 6) == "서울…"
    assert elided("hello", 5) == "hello"
    assert width(elided("서울에 가자", 5)) <= 5


def test_json_keeps_the_characters_and_takes_arrays() -> None:
    assert (
        to_json({"a": np.float32(0.5), "b": np.arange(2), "c": "서울 👍"}) == '{"a": 0.5, "b": [0, 1], "c": "서울 👍"}'
    )


def test_json_is_one_line_for_every_reader() -> None:
    text = "".join(map(chr, [*range(0xA1), 0x2028, 0x2029]))
    assert len(to_json(text).splitlines()) == 1
    assert json.loads(to_json(text)) == text


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell's background job inherits SIGINT ignored; a test must not depend on where it runs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_line_is_written_whole_before_an_interrupt() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117 (the inner one raises at its end)
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            JsonLines(stream).write(Record(0, "", "a", "a"), [])
    assert stream.getvalue() == '{"index": 0, "input": "a", "output": []}\n'
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("_interruptible")
def test_a_second_interrupt_does_not_wait() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert not reached
