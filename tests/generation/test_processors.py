"""Edits and filters against plain definitions of what they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from panpipe.errors import InvalidArgument
from panpipe.generation import GenerationConfig
from panpipe.generation.processors import Candidates, Lengths, edits_of, filters_of, log_probabilities
from panpipe.ops import get_ops
from tests.engines import ENGINES

VOCAB = 30


def edited(
    ids: list[int], row: Any, *, start: int = 1, width: int | None = None, most: int = 10, **options: Any
) -> Any:
    names = ("allowed", "processors", "source_ids")
    given = {"source_ids": [7, 8, 9, 7, 8], **{k: options.pop(k) for k in names if k in options}}
    lengths = Lengths(start, start if width is None else width, most)
    scores = np.array(row, np.float32)
    for edit in edits_of(GenerationConfig(**options), lengths, **given):
        edit(np.array(ids, np.int64), scores)
    return scores


def row_of(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, 2, VOCAB).astype(np.float32)


def forbidden(scores: Any) -> set[int]:
    return set(np.flatnonzero(scores == -np.inf).tolist())


def test_a_repetition_penalty_divides_positive_scores_and_multiplies_others_once_per_token() -> None:
    row = np.zeros(VOCAB, np.float32)
    row[3], row[4], row[5] = 2.0, -2.0, 1.0
    scores = edited([3, 4, 3, 3], row, repetition_penalty=2.0)
    assert (scores[3], scores[4], scores[5]) == (1.0, -4.0, 1.0)


def test_the_encoders_repetition_penalty_rewards_what_it_read() -> None:
    scores = edited([3], np.full(VOCAB, 1.0), encoder_repetition_penalty=2.0, source_ids=[7, 7, 8])
    assert scores[7] == scores[8] == 2.0
    assert scores[3] == 1.0


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_no_n_gram_comes_twice(size: int) -> None:
    draw = np.random.default_rng(size)
    for length in range(1, 12):
        ids = draw.integers(0, 4, length).tolist()
        grams = {tuple(ids[i : i + size]) for i in range(length - size + 1)}
        twice = {t for t in range(VOCAB) if (*ids[length - size + 1 :], t) in grams and length >= size - 1}
        assert forbidden(edited(ids, row_of(), no_repeat_ngram_size=size)) == twice


def test_no_n_gram_of_the_source_comes() -> None:
    assert forbidden(edited([1, 7, 8], row_of(), encoder_no_repeat_ngram_size=3)) == {9}
    assert forbidden(edited([8], row_of(), encoder_no_repeat_ngram_size=3)) == set()


def test_bad_words_are_forbidden_where_they_would_be_completed_and_the_end_never_is() -> None:
    scores = edited([1, 5, 6], row_of(), bad_words_ids=[[3], [6, 9], [4, 9], [5, 6, 10], [2]], eos_token_id=2)
    assert forbidden(scores) == {3, 9, 10}


def test_a_bias_is_added_to_the_token_that_completes_its_sequence() -> None:
    row = row_of()
    scores = edited([1, 5], row, sequence_bias={(4,): 2.0, (5, 6): -3.0, (7, 8): 1.0, (1, 5, 9): 1.0})
    changed = {i: float(scores[i] - row[i]) for i in np.flatnonzero(scores != row)}
    assert changed == pytest.approx({4: 2.0, 6: -3.0}, abs=1e-6)  # a sequence longer than the text does not count yet
    assert edited([1, 5], row, sequence_bias=[[[4], 2.0]])[4] == scores[4]


def test_no_end_comes_before_the_least_length() -> None:
    for made in range(5):
        ids = [1, *range(10, 10 + made)]
        assert (2 in forbidden(edited(ids, row_of(), min_new_tokens=3, eos_token_id=[2, 3]))) == (made < 3)
        assert (2 in forbidden(edited(ids, row_of(), min_length=4, eos_token_id=2))) == (1 + made < 4)
        assert (2 in forbidden(edited(ids, row_of(), min_length=4, eos_token_id=2, width=3))) == (3 + made < 4)


def test_the_first_and_the_last_token_can_be_forced() -> None:
    first = edited([1], row_of(), forced_bos_token_id=5, most=4)
    assert first[5] == 0
    assert len(forbidden(first)) == VOCAB - 1
    assert not forbidden(edited([1, 5], row_of(), forced_bos_token_id=5, most=4))
    last = edited([1, 5, 6, 7], row_of(), forced_eos_token_id=[2, 3], most=4)
    assert forbidden(last) == set(range(VOCAB)) - {2, 3}


def test_suppressed_tokens_never_come_and_some_not_at_first() -> None:
    assert forbidden(edited([1, 4], row_of(), suppress_tokens=[3, 4])) == {3, 4}
    assert forbidden(edited([1], row_of(), begin_suppress_tokens=[6])) == {6}
    assert not forbidden(edited([1, 4], row_of(), begin_suppress_tokens=[6]))
    forced = {"begin_suppress_tokens": [6], "forced_bos_token_id": 5}
    assert forbidden(edited([1, 5], row_of(), **forced)) == {6}  # the forced token does not count as the beginning


def test_the_end_becomes_likelier_after_so_many_tokens_but_not_where_it_is_forbidden() -> None:
    row = row_of()
    for made in range(6):
        scores = edited([1, *range(10, 10 + made)], row, exponential_decay_length_penalty=(3, 1.5), eos_token_id=2)
        assert scores[2] == pytest.approx(row[2] + abs(row[2]) * (1.5 ** max(made - 3, 0) - 1), rel=1e-5)
    held = {"exponential_decay_length_penalty": (0, 1.5), "eos_token_id": 2, "min_new_tokens": 9}
    assert edited([1, 10, 11], row, **held)[2] == -np.inf


def test_only_allowed_tokens_come() -> None:
    assert forbidden(edited([1, 4], row_of(), allowed=lambda ids: [int(ids[-1]), 9])) == set(range(VOCAB)) - {4, 9}
    with pytest.raises(InvalidArgument, match="allowed no token"):
        edited([1], row_of(), allowed=lambda ids: [])


def test_values_that_are_no_numbers_can_be_removed() -> None:
    row = row_of()
    row[:3] = [np.nan, np.inf, -np.inf]
    scores = edited([1], row, remove_invalid_values=True)
    assert np.isfinite(scores).all()
    assert scores[0] == 0
    assert scores.argmax() == 1


def test_the_users_processors_come_last_and_see_rectangles() -> None:
    seen = []

    def processor(ids: Any, scores: Any) -> Any:
        seen.append((ids.shape, scores.shape))
        return scores + 1

    row = row_of()
    scores = edited([1, 4], row, suppress_tokens=[3], processors=[processor])
    assert seen == [((1, 2), (1, VOCAB))]
    assert np.allclose(np.delete(scores, 3), np.delete(row, 3) + 1)
    assert scores[3] == -np.inf


# -- filters ---------------------------------------------------------------------------------------------------------


def kept(row: Any, engine: str = "reference", **options: Any) -> dict[int, float]:
    """{token: probability} of what is left."""
    config = GenerationConfig(do_sample=True, **{"top_k": 0, **options})
    candidates = Candidates(row)
    for narrow in filters_of(config, get_ops(engine)):
        candidates = narrow(candidates)
    scores = candidates.row(len(row))
    return {int(i): float(np.exp(log_probabilities(scores)[i])) for i in np.flatnonzero(scores > -np.inf)}


def probabilities(row: Any) -> Any:
    return np.exp(log_probabilities(row.astype(np.float64)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(4))
def test_top_k_keeps_the_k_best_and_their_proportions(engine: str, seed: int) -> None:
    row = row_of(seed)
    best = np.argsort(-row)[:5]
    left = kept(row, engine, top_k=5, temperature=0.5)
    assert set(left) == set(best.tolist())
    sharper = probabilities(row[best] / 0.5)
    assert [left[int(b)] for b in best] == pytest.approx(sharper.tolist(), rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [10, 255, 256, 257, 3000])
@pytest.mark.parametrize("top_p", [0.0, 0.3, 0.9, 0.999])
def test_top_p_keeps_the_fewest_best_that_reach_it(engine: str, size: int, top_p: float) -> None:
    for sharpness in (0.1, 3.0):
        row = np.random.default_rng(size).normal(0, sharpness, size).astype(np.float32)
        p = probabilities(row)
        order = np.argsort(-p)
        count = max(int((np.cumsum(p[order]) - p[order] < top_p).sum()), 1)
        assert abs(len(kept(row, engine, top_p=top_p)) - count) <= (count > 100)  # rounding of a long sum
        assert set(kept(row, engine, top_p=top_p)) <= set(order[: count + 1].tolist())


def test_min_p_epsilon_and_eta_keep_what_is_likely_enough_and_always_the_best() -> None:
    row = row_of(3)
    p = probabilities(row)
    assert set(kept(row, min_p=0.2)) == set(np.flatnonzero(p >= 0.2 * p.max()).tolist())
    assert set(kept(row, epsilon_cutoff=0.05)) == set(np.flatnonzero(p >= 0.05).tolist())
    flat = np.linspace(0, 0.01, VOCAB).astype(np.float32)
    assert set(kept(flat, epsilon_cutoff=0.9)) == {VOCAB - 1}
    entropy = -(p * np.log(p)).sum()
    assert set(kept(row, eta_cutoff=0.1)) == set(
        np.flatnonzero(p >= min(0.1, np.sqrt(0.1) * np.exp(-entropy))).tolist()
    )


def test_typical_p_keeps_what_surprises_as_much_as_expected() -> None:
    row = row_of(5)
    p = probabilities(row)
    entropy = -(p * np.log(p)).sum()
    order = np.argsort(np.abs(-np.log(p) - entropy))
    count = int((np.cumsum(p[order]) < 0.6).sum()) + 1
    assert set(kept(row, typical_p=0.6)) == set(order[:count].tolist())


def test_with_beams_more_candidates_stay_than_there_are_ends() -> None:
    for options in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"epsilon_cutoff": 0.99}):
        assert len(kept(row_of(), num_beams=2, eos_token_id=[1, 2, 3], **options)) == 4
        assert len(kept(row_of(), **options)) == 1


def test_forbidden_tokens_stay_forbidden_after_every_filter() -> None:
    row = row_of()
    row[::2] = -np.inf
    for options in (
        {"top_k": 25},
        {"top_p": 0.99},
        {"min_p": 0.001},
        {"typical_p": 0.99},
        {"epsilon_cutoff": 1e-6},
        {"eta_cutoff": 1e-6},
    ):
        left = kept(row, **options)
        assert left
        assert all(token % 2 for token in left)
