"""Prompt lookup: results stay as they are, steps become fewer where text repeats, and guessing stops where not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from panpipe.generation import GenerationConfig, Job, Prompt, generate_many
from panpipe.generation.speculation import Lookup
from tests.generation.fake import FakeDecoder

REPEATS = [5, 6, 7, 8, 9, 10, 5, 6]


def run(decoder: FakeDecoder, ids: list[int] = REPEATS, **options: Any) -> Job:
    decoder.steps.clear()
    config = GenerationConfig(**{"max_new_tokens": 60, "decoder_start_token_id": 1, **options})
    (job,) = generate_many(None, [Prompt(ids, config, seed=3)], decoder=decoder)  # type: ignore[arg-type]
    assert decoder.is_clean()
    return job


def drafted(decoder: FakeDecoder) -> int:
    """The tokens that were read ahead."""
    return sum(len(tokens) - 1 for step in decoder.steps[1:] for tokens in step)


@pytest.mark.parametrize("is_encoder_decoder", [False, True])
@pytest.mark.parametrize("echoes", [0.0, 3.0, 8.0, 30.0])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt_lookup_num_tokens": 5, "max_matching_ngram_size": 2},
        {"eos_token_id": [11, 12, 13]},
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 4, "min_new_tokens": 20, "eos_token_id": 9},
        {"do_sample": True, "temperature": 0.8, "num_return_sequences": 2},
        {"do_sample": True, "top_k": 5, "prompt_lookup_num_tokens": 4},
    ],
)
def test_guessing_changes_no_result(options: dict[str, Any], echoes: float, is_encoder_decoder: bool) -> None:
    decoder = FakeDecoder(echoes=echoes, is_encoder_decoder=is_encoder_decoder)
    without = run(decoder, **{**options, "prompt_lookup_num_tokens": 0})
    steps = len(decoder.steps)
    assert not drafted(decoder)
    guessed = run(decoder, **options)
    assert [t.tokens for t in guessed.results] == [t.tokens for t in without.results]
    assert [t.reason for t in guessed.results] == [t.reason for t in without.results]
    assert len(decoder.steps) <= steps


@pytest.mark.parametrize("is_encoder_decoder", [False, True])
def test_text_that_repeats_takes_few_steps(is_encoder_decoder: bool) -> None:
    decoder = FakeDecoder(echoes=30.0, is_encoder_decoder=is_encoder_decoder)
    run(decoder)
    assert len(decoder.steps) < 45


def test_text_that_does_not_repeat_is_hardly_guessed_at() -> None:
    decoder = FakeDecoder(8, sharp=3.0)  # so few tokens that pairs come again by chance
    run(decoder, [1, 2], max_new_tokens=300)
    assert drafted(decoder) < 0.1 * 300


def test_guessing_comes_back_when_text_begins_to_repeat() -> None:
    lookup = Lookup((), [])
    draw = random.Random(0)
    for token in draw.choices(range(11), k=150):  # pairs come again, with other tokens after them
        lookup.push(token)
        lookup.draft(8)
    wrong = len(lookup.draft(8))
    for token in [20, 21, 22, 23, 24] * 6:
        lookup.push(token)
        guess = lookup.draft(8)
    assert wrong <= 1
    assert guess[:5] == [20, 21, 22, 23, 24]


def test_a_guess_goes_on_repeating_where_the_text_ends() -> None:
    assert Lookup((), [1, 2, 3, 1, 2, 3, 1, 2], most=8).draft(20) == [3, 1, 2, 3, 1, 2, 3, 1]


def test_a_guess_prefers_the_longest_match_then_the_latest() -> None:
    assert Lookup((), [1, 2, 3, 9, 2, 3, 8, 1, 2, 3], most=1).draft(5) == [9]
    assert Lookup((), [2, 3, 9, 2, 3, 8, 4, 2, 3], most=1).draft(5) == [8]


def test_a_guess_does_not_run_from_the_source_into_the_text() -> None:
    lookup = Lookup([4, 5, 6, 7], [1, 4, 5], most=8)
    assert lookup.draft(8) == [6, 7]
    assert Lookup([4, 5], [6, 4, 5], most=8).draft(8) == []


def test_no_more_is_guessed_than_may_come() -> None:
    assert len(Lookup((), [1, 2, 3, 1, 2, 3, 1, 2], most=8).draft(2)) == 2
    assert Lookup((), [1, 2, 3, 1, 2, 3, 1, 2], most=8).draft(-1) == []
    decoder = FakeDecoder(echoes=30.0, max_length=20)
    assert len(run(decoder, max_new_tokens=50).results[0].tokens) == 20 - len(REPEATS) + 1


def test_with_many_texts_in_a_step_nothing_is_guessed() -> None:
    decoder = FakeDecoder(echoes=30.0, tokens=100_000)
    run(decoder, do_sample=True, num_return_sequences=20)
    assert not drafted(decoder)
