"""Where words begin: written scripts, particles, and windows over long texts."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.pipelines.scripts import is_hangul, is_particle, is_punctuation, is_unspaced
from panpipe.pipelines.windows import most_central, window_bounds
from panpipe.pipelines.words import guessed_starts, word_starts


def words(text: str, tokens: list[str], ids: list[int] | None = None, marked: bool = False) -> list[str]:
    """The words of a text that is cut into these tokens ('▁' stands for a space that belongs to the token)."""
    spans, place = [], 0
    for token in tokens:
        surface = token.replace("▁", " ").removeprefix("##")
        place = text.index(surface, place)
        spans.append((place, place + len(surface)))
        place += len(surface)
    continues = [marked and token.startswith("##") for token in tokens]
    starts = word_starts(text, spans, [0] * len(tokens) if ids is None else ids, continues)
    first = [span[0] for span, start in zip(spans, starts, strict=True) if start]
    return [text[a:b].strip() for a, b in zip(first, [*first[1:], len(text)], strict=True)]


@pytest.mark.parametrize(
    ("text", "tokens", "expected"),
    [
        ("in Paris.", ["in", "▁Par", "is", "."], ["in", "Paris", "."]),
        ("in (London)", ["in", "▁(", "Lon", "don", ")"], ["in", "(", "London", ")"]),
        ("Paris\nLondon", ["Paris", "\n", "London"], ["Paris", "London"]),
        ("Paris-London", ["Paris", "-", "London"], ["Paris", "-", "London"]),
        ("서울에 갔다", ["서울", "에", "▁갔", "다"], ["서울", "에", "갔다"]),
        ("삼성전자는 LG와", ["삼성", "전자", "는", "▁LG", "와"], ["삼성전자", "는", "LG", "와"]),
        ("東京に行った", ["東京", "に", "行", "った"], ["東京", "に", "行", "った"]),
        ("トヨタの車", ["トヨ", "タ", "の", "車"], ["トヨタ", "の", "車"]),
        ("Apple公司", ["App", "le", "公司"], ["Apple", "公司"]),
    ],
)
def test_words_of_one_whitespace_word(text: str, tokens: list[str], expected: list[str]) -> None:
    assert words(text, tokens) == expected


def test_marked_continuations_stay_in_their_word() -> None:
    assert words("東京タワー!", ["東", "京", "タ", "##ワ", "##ー", "!"], [0, 1, 2, 2, 2, 3], True) == [
        "東",
        "京",
        "タワー",
        "!",
    ]
    assert words("서울에서 김", ["서울", "##에서", "김"], [0, 0, 1], True) == ["서울", "에서", "김"]


def test_words_never_fuse_across_word_ids() -> None:
    assert words("김 서울", ["김", "서울"], [0, 1], True) == ["김", "서울"]


def test_tokens_of_one_character_stay_together() -> None:
    assert word_starts("a😀", [(0, 1), (1, 2), (1, 2), (1, 2)], [0, 1, 1, 1], [False] * 4) == [True, True, False, False]


def test_given_words_are_not_split() -> None:
    assert word_starts("U.S. x", [(0, 1), (1, 2), (2, 4), (5, 6)], [0, 0, 0, 1], [False] * 4, True) == [
        True,
        False,
        False,
        True,
    ]


@given(st.text(st.sampled_from("ab. \n한글日本-"), max_size=12), st.data())
def test_a_word_never_crosses_whitespace_or_word_ids(text: str, data: st.DataObject) -> None:
    spans = [(i, i + 1) for i, c in enumerate(text) if not c.isspace()]
    ids = sorted(data.draw(st.lists(st.integers(0, 3), min_size=len(spans), max_size=len(spans))))
    starts = word_starts(text, spans, ids, [False] * len(spans))
    for i in range(1, len(spans)):
        if not starts[i]:
            assert spans[i][0] == spans[i - 1][1]
            assert ids[i] == ids[i - 1]
            assert not is_punctuation(text[spans[i][0]])


def test_the_guess_of_transformers_sees_only_spaces() -> None:
    text = "in (Paris)"
    assert guessed_starts(text, [(0, 2), (3, 4), (4, 9), (9, 10)]) == [True, True, False, False]
    assert guessed_starts("a b", [(0, 1), (1, 3)]) == [True, True]


@pytest.mark.parametrize(
    ("stem", "particle"),
    [("서울", "에"), ("서울", "은"), ("제주", "는"), ("서울", "로"), ("부산", "으로"), ("학교", "로"), ("LG", "와")],
)
def test_particles_that_agree(stem: str, particle: str) -> None:
    assert is_particle(particle, stem)
    assert is_particle(unicodedata.normalize("NFD", particle), unicodedata.normalize("NFD", stem))


@pytest.mark.parametrize(
    ("stem", "particle"), [("서울", "는"), ("제주", "은"), ("부산", "로"), ("서울", "으로"), ("서울", "시"), ("", "은")]
)
def test_what_is_no_particle_there(stem: str, particle: str) -> None:
    assert not is_particle(particle, stem)


def test_scripts() -> None:
    assert all(map(is_unspaced, "漢かカｶไ々𠀀"))
    assert not any(map(is_unspaced, "aé한яع-"))
    assert all(map(is_hangul, "한ㄱ" + unicodedata.normalize("NFD", "글")))
    assert not any(map(is_hangul, "a漢カ"))
    assert all(map(is_punctuation, ".,-·。「€😀"))


@given(st.integers(0, 60), st.integers(1, 20), st.data())
def test_windows_cover_the_text_and_overlap_as_asked(length: int, room: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, room - 1))
    for side in ("right", "left"):
        bounds = window_bounds(length, room, overlap, side)
        assert set().union(*(range(a, b) for a, b in bounds)) == set(range(length))
        assert all(b - a <= room for a, b in bounds)
        ordered = bounds if side == "right" else bounds[::-1]
        for (_, end), (begin, _) in pairwise(ordered):
            assert end - begin == overlap
        chosen = most_central(bounds, length)
        assert all(bounds[w][0] <= i < bounds[w][1] for i, w in enumerate(chosen.tolist()))


def test_each_token_is_taken_from_the_window_that_sees_most_around_it() -> None:
    assert most_central([(0, 6), (4, 10)], 10).tolist() == [0] * 5 + [1] * 5
    assert np.array_equal(most_central([(4, 10), (0, 6)], 10), [1] * 5 + [0] * 5)
