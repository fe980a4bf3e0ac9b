"""The span search against trying every span."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.pipelines.spans import (
    Answer,
    Window,
    align_to_words,
    best_spans,
    global_spans,
    merge_by_place,
    merge_by_text,
    window_probabilities,
)


def every_span(tokens: int, max_length: int) -> list[tuple[int, int]]:
    return [(s, e) for s in range(tokens) for e in range(s, min(tokens, s + max_length))]


@given(st.integers(0, 12), st.integers(1, 15), st.integers(1, 30), st.integers(0, 9999))
def test_best_spans_are_the_best_of_all(tokens: int, max_length: int, number: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, end = rng.integers(0, 4, (2, tokens)).astype(np.float32)  # few values: many ties
    spans = best_spans(start, end, max_length, number)
    expected = sorted(every_span(tokens, max_length), key=lambda span: -(start[span[0]] * end[span[1]]))[:number]
    assert list(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)) == expected
    assert spans.scores.tolist() == [start[s] * end[e] for s, e in expected]


def test_the_null_answer_takes_part_in_the_softmax_and_is_taken_out() -> None:
    window = Window(np.array([1.0, 2.0], np.float32), np.array([0.0, 0.0], np.float32), (1.0, 0.0), 0)
    start, end, null = window_probabilities(window)
    total = 2 * np.e + np.e**2
    np.testing.assert_allclose(start, [np.e / total, np.e**2 / total], rtol=1e-6)
    np.testing.assert_allclose(end, [1 / 3, 1 / 3], rtol=1e-6)
    assert null == pytest.approx(np.e / total / 3)


@given(st.integers(1, 14), st.integers(1, 6), st.integers(0, 9999), st.booleans())
def test_global_scores_are_one_softmax_over_all_distinct_spans(
    tokens: int, max_length: int, seed: int, with_null: bool
) -> None:
    rng = np.random.default_rng(seed)
    bounds = [(0, min(8, tokens)), (max(0, tokens - 8), tokens)]
    windows = [
        Window(rng.normal(size=b - a), rng.normal(size=b - a), (rng.normal(), rng.normal()), a) for a, b in bounds
    ]
    logits: dict[tuple[int, int], float] = {}
    for window in windows:
        for s, e in every_span(len(window.start), max_length):
            key = (s + window.first, e + window.first)
            logits[key] = max(logits.get(key, -np.inf), window.start[s] + window.end[e])
    null_logit = min(sum(w.null) for w in windows if w.null) if with_null else -np.inf
    total = sum(np.exp(list(logits.values()))) + np.exp(null_logit)
    spans, null = global_spans(windows, tokens, max_length, 5, with_null)
    best = sorted(logits, key=lambda span: -logits[span])[:5]
    np.testing.assert_allclose(spans.scores, [np.exp(logits[span]) / total for span in best], rtol=1e-9)
    assert list(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)) == best
    assert null == pytest.approx(np.exp(null_logit) / total)


def test_no_context_has_no_spans() -> None:
    nothing = np.zeros(0, np.float32)
    assert len(best_spans(nothing, nothing, 15, 3).starts) == 0
    spans, null = global_spans([Window(nothing, nothing, (1.0, 1.0), 0)], 0, 15, 3, True)
    assert (len(spans.starts), null) == (0, 1.0)
    assert len(global_spans([Window(nothing, nothing, None, 0)], 0, 15, 3, True)[0].starts) == 0


def test_answers_merge_by_text_or_by_place() -> None:
    text = "Seoul, seoul"
    answers = [Answer(0.5, 7, 12), Answer(0.25, 0, 5), Answer(0.125, 0, 5)]
    assert merge_by_text(text, answers) == [Answer(0.875, 7, 12)]
    assert merge_by_place(answers) == [Answer(0.5, 7, 12), Answer(0.375, 0, 5)]


def aligned(
    text: str, tokens: list[tuple[int, int]], ids: list[int | None], start: int, end: int, by_script: bool
) -> str:
    a, b = align_to_words(start, end, text, tokens, ids, 0, len(tokens), by_script)
    return text[a:b]


@pytest.mark.parametrize(
    ("text", "tokens", "ids", "span", "always", "by_script"),
    [
        ("서울에 산다", [(0, 2), (2, 3), (4, 6)], [0, 0, 1], (0, 0), "서울에", "서울"),
        ("남서울에", [(0, 1), (1, 3), (3, 4)], [0, 0, 0], (1, 1), "남서울에", "남서울"),
        ("東京に行く", [(0, 2), (2, 3), (3, 5)], [0, 0, 0], (0, 0), "東京に行く", "東京"),
        ("Wolfgang.", [(0, 4), (4, 8), (8, 9)], [0, 0, 0], (0, 0), "Wolfgang.", "Wolfgang"),
        ("Google은", [(0, 3), (3, 6), (6, 7)], [0, 0, 0], (0, 0), "Google은", "Google"),
        ("in (Paris)", [(0, 2), (3, 6), (6, 9), (9, 10)], [0, 1, 1, 1], (2, 2), "(Paris)", "Paris"),
        ("ab cd", [(0, 2), (3, 5)], [None, None], (0, 1), "ab cd", "ab cd"),
    ],
)
def test_alignment_to_words(
    text: str, tokens: list[tuple[int, int]], ids: list[int | None], span: tuple[int, int], always: str, by_script: str
) -> None:
    assert aligned(text, tokens, ids, *span, False) == always
    assert aligned(text, tokens, ids, *span, True) == by_script


def test_alignment_stays_in_its_window() -> None:
    assert align_to_words(1, 1, "abcdef", [(0, 2), (2, 4), (4, 6)], [0, 0, 0], 1, 2) == (2, 4)


def test_a_long_context_is_searched_quickly() -> None:
    rng = np.random.default_rng(0)
    start, end = rng.random((2, 20_000)).astype(np.float32)
    begin = time.process_time()
    best_spans(start, end, 15, 50)
    assert time.process_time() - begin < 2  # trying every span in Python takes far longer
