"""Where sentences end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.pipelines.sentences import joined, pieces_within, split_sentences

TEXTS = [
    ["Mr. Smith-Jones met U.S. officials on 12 March 2024.", "It was fine!", '"Really?" he asked.', "Yes... no."],
    ["See Fig. 3 and p. 5 by J. K. Rowling.", "No.", "Then nothing etc. happened."],
    ["나는 학교에 갔다.", "비가 왔다!", "그래?", "네.", '"좋다."라고 말했다.', "2024. 3. 5. 서울에서 열렸다."],
    ["Am 3. Oktober kam z.B. Dr. Müller.", "Er ging.", "Danach war es 3.5 Meter…", "Gut."],
    ["«Oui.»", "M. Dupont est là !", "Où ?", "Ici."],
    ["ما اسمك؟", "اسمي علي."],
    ["यह ठीक है।", "हाँ।"],
]
UNSPACED = [
    ["東京は日本の首都です。", "「はい。」と言った。", "トヨタ！", "「終わり。」", "次は３．５です。"],
    ["北京是中国的首都。", "马云在杭州工作！", "对吗？", "是。"],
]


@pytest.mark.parametrize("sentences", TEXTS)
def test_sentences_end_where_they_end(sentences: list[str]) -> None:
    assert [s.text for s in split_sentences(" ".join(sentences))] == sentences


@pytest.mark.parametrize("sentences", UNSPACED)
def test_sentences_without_spaces_end_too(sentences: list[str]) -> None:
    assert [s.text for s in split_sentences("".join(sentences))] == sentences


def test_line_breaks_and_paragraphs_are_kept_beside_the_sentences() -> None:
    found = split_sentences("  Title\r\n\r\n첫 문장이다. 둘째다.\n- one\n- two\n")
    assert [(s.text, s.after) for s in found] == [
        ("", "  "),
        ("Title", "\r\n\r\n"),
        ("첫 문장이다.", " "),
        ("둘째다.", "\n"),
        ("- one", "\n"),
        ("- two", "\n"),
    ]


@given(st.text(alphabet='aB.!?。！ \n\t"」と1다', max_size=60) | st.text(max_size=60))
def test_nothing_of_a_text_is_lost(text: str) -> None:
    found = split_sentences(text)
    assert "".join(s.text + s.after for s in found) == text
    assert all(s.text for s in found[1:])
    assert not any(s.text != s.text.strip() or s.after.strip() for s in found)


@pytest.mark.parametrize("part", [".", '." ', "A. B ", "a. b", " ", "。", "x", "1. "])
def test_the_time_grows_with_the_length_alone(part: str) -> None:
    split_sentences(part * 100_000)  # a rule that looks back would take minutes


@given(st.lists(st.sampled_from(["one", "둘", "three,", "four;", "五、", "six"]), min_size=1), st.integers(1, 9))
def test_a_long_sentence_is_cut_into_pieces_that_fit(words: list[str], room: int) -> None:
    text = " ".join(words)
    pieces = pieces_within(text, [found.end() for found in re.finditer(r"\S+", text)], room)
    assert "".join(piece.text + piece.after for piece in pieces) == text
    assert all(0 < len(piece.text.split()) <= room for piece in pieces)


def test_a_long_sentence_is_cut_after_a_clause() -> None:
    text = "one two three, four five; six seven, eight nine"
    ends = [found.end() for found in re.finditer(r"\S+", text)]
    assert [piece.text for piece in pieces_within(text, ends, 6)] == [
        "one two three, four five;",
        "six seven, eight nine",
    ]
    unbroken = "가나다라마바사"
    assert [piece.text for piece in pieces_within(unbroken, list(range(1, 8)), 3)] == ["가나다", "라마바", "사"]


def test_answers_are_joined_as_their_language_writes() -> None:
    parts = [("A.", ""), ("B.", "\n\n"), ("C.", " "), ("D.", "  ")]
    assert joined(parts, True) == "A. B.\n\nC. D.  "
    assert joined(parts, False) == "A.B.\n\nC.D.  "
    assert joined(parts, None) == "A.B.\n\nC. D.  "
