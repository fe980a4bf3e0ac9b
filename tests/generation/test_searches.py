"""Greedy search, sampling and beam search on a decoder whose probabilities are known exactly."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from panpipe.errors import InputError, InvalidArgument, TooLong
from panpipe.generation import Generated, GenerationConfig, Job, Prompt, generate_many, prepared
from panpipe.generation.processors import log_probabilities
from tests.generation.fake import FakeDecoder
from tests.generation.test_sampling import chi_square


def run(decoder: FakeDecoder, *prompts: list[int], seed: int | None = 1, **options: Any) -> list[list[Generated]]:
    config = prepared(options, model=GenerationConfig())
    jobs = run_jobs(decoder, [Prompt(ids, config, seed=seed, tag=i) for i, ids in enumerate(prompts)])
    return [job.results for job in jobs]


def run_jobs(decoder: FakeDecoder, prompts: list[Prompt]) -> list[Job]:
    jobs = sorted(generate_many(None, prompts, decoder=decoder), key=lambda job: int(job.prompt.tag))  # type: ignore[arg-type]
    assert decoder.is_clean()
    return jobs


def log_p(decoder: FakeDecoder, ids: list[int], source: tuple[int, ...] = ()) -> Any:
    return log_probabilities(decoder.logits(ids, source))


# -- greedy ----------------------------------------------------------------------------------------------------------


def test_greedy_search_takes_the_best_token_each_time() -> None:
    decoder = FakeDecoder()
    ids = [3, 4]
    for _ in range(12):
        ids.append(int(decoder.logits(ids).argmax()))
    ((text,),) = run(decoder, [3, 4], max_new_tokens=12)
    assert text.tokens == ids[2:]
    assert text.reason == "length"


def test_an_end_token_ends_a_text_and_stays_in_it() -> None:
    decoder = FakeDecoder()
    ((whole,),) = run(decoder, [3, 4], max_new_tokens=12)
    end = whole.tokens[5]
    ((text,),) = run(decoder, [3, 4], max_new_tokens=12, eos_token_id=[end, 49])
    assert text.tokens == whole.tokens[: whole.tokens.index(end) + 1]
    assert text.reason == "eos"


def test_max_length_counts_the_prompt_and_max_new_tokens_does_not() -> None:
    decoder = FakeDecoder()
    assert len(run(decoder, [3, 4, 5], max_length=10)[0][0].tokens) == 7
    assert len(run(decoder, [3, 4, 5], max_new_tokens=10)[0][0].tokens) == 10
    with pytest.raises(InvalidArgument, match="the prompt has 3 tokens, and max_length=3 counts them"):
        run(decoder, [3, 4, 5], max_length=3)


def test_an_encoder_decoder_begins_with_its_start_token_and_reads_the_source() -> None:
    decoder = FakeDecoder(is_encoder_decoder=True)
    a, b = run(decoder, [3, 4], [5, 4], max_new_tokens=6, decoder_start_token_id=2)
    assert a[0].tokens[0] == decoder.logits([2], (3, 4)).argmax()
    assert b[0].tokens[0] == decoder.logits([2], (5, 4)).argmax()
    assert len(decoder.steps) == 6
    with pytest.raises(InvalidArgument, match="decoder_start_token_id"):
        run(decoder, [3, 4])


def test_an_empty_prompt_begins_with_the_bos_token() -> None:
    decoder = FakeDecoder()
    ((begun,),), ((given,),) = (run(decoder, ids, max_new_tokens=4, bos_token_id=7) for ids in ([], [7]))
    assert begun.tokens == given.tokens
    with pytest.raises(InputError, match="no bos_token_id"):
        run(decoder, [], max_new_tokens=4)


def test_a_models_positions_bound_a_text(caplog: pytest.LogCaptureFixture) -> None:
    decoder = FakeDecoder(max_length=10)
    ((text,),) = run(decoder, [3] * 6, max_new_tokens=20)
    assert len(text.tokens) == 5  # the last one is not read
    assert "the model's 10 positions" in caplog.text
    with pytest.raises(TooLong, match="the prompt has 11 tokens; the model takes at most 10"):
        run(decoder, [3] * 11, max_new_tokens=1)


def test_a_token_outside_the_vocabulary_is_an_error_before_the_work() -> None:
    decoder = FakeDecoder()
    with pytest.raises(InputError, match="token id of 50; the model has 50"):
        run(decoder, [3, 50])
    assert not decoder.steps


def test_greedy_search_has_one_answer() -> None:
    with pytest.raises(InvalidArgument, match="greedy search has one answer"):
        run(FakeDecoder(), [3], num_return_sequences=2)


def test_a_temperature_of_0_is_greedy() -> None:
    decoder = FakeDecoder()
    greedy = run(decoder, [3, 4])
    assert run(decoder, [3, 4], do_sample=True, temperature=0.0)[0][0].tokens == greedy[0][0].tokens


# -- sampling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0.6},
        {"top_k": 3},
        {"top_k": 0, "top_p": 0.8},
        {"repetition_penalty": 1.5},
        {"prompt_lookup_num_tokens": 3},
    ],
)
def test_texts_are_sampled_with_their_probabilities(options: dict[str, Any]) -> None:
    decoder = FakeDecoder(6, sharp=1.0, echoes=1.0, tokens=1_000_000)
    ((*texts,),) = run(decoder, [1, 2, 1], do_sample=True, max_new_tokens=3, num_return_sequences=2000, **options)
    counts = Counter(tuple(text.tokens) for text in texts)
    every = list(itertools.product(range(6), repeat=3))
    expected = np.array([2000 * probability(decoder, [1, 2, 1], text, options) for text in every])
    assert expected.sum() == pytest.approx(2000)
    assert sum(counts[text] for text, n in zip(every, expected, strict=True) if n == 0) == 0
    assert chi_square(np.array([counts[text] for text in every]), expected) < 4


def probability(decoder: FakeDecoder, ids: list[int], text: tuple[int, ...], options: dict[str, Any]) -> float:
    """The exact probability of a text."""
    total = 1.0
    for token in text:
        scores = decoder.logits(ids).astype(np.float64)
        penalty = options.get("repetition_penalty", 1.0)
        seen = sorted(set(ids))
        scores[seen] = np.where(scores[seen] < 0, scores[seen] * penalty, scores[seen] / penalty)
        p = np.exp(scores / options.get("temperature", 1.0))
        p /= p.sum()
        order = np.argsort(-p)
        keep = order[: options.get("top_k", 50) or 50]
        keep = keep[: int((np.cumsum(p[keep]) - p[keep] < options.get("top_p", 1.0)).sum())]
        total *= float(p[token] / p[keep].sum()) if token in keep else 0.0
        ids = [*ids, token]
    return total


def test_a_prompt_with_a_seed_gives_the_same_texts_alone_and_among_others() -> None:
    decoder = FakeDecoder(sharp=1.0)
    options: dict[str, Any] = {"do_sample": True, "max_new_tokens": 10, "num_return_sequences": 2}
    alone = [run(decoder, prompt, seed=5, **options)[0] for prompt in ([3, 4], [5], [6, 7, 8])]
    together = run(decoder, [3, 4], [5], [6, 7, 8], seed=5, **options)
    assert [[t.tokens for t in texts] for texts in together] == [[t.tokens for t in texts] for texts in alone]
    assert alone[0][0].tokens != alone[0][1].tokens


def test_the_seed_used_is_told_and_repeats_the_text() -> None:
    decoder = FakeDecoder(sharp=1.0)
    config = GenerationConfig(do_sample=True, max_new_tokens=10)
    first, second = run_jobs(decoder, [Prompt([3, 4], config, tag=0), Prompt([3, 4], config, tag=1)])
    assert first.results[0].tokens != second.results[0].tokens
    (again,) = run_jobs(decoder, [Prompt([3, 4], config, seed=first.seed, tag=0)])
    assert again.results[0].tokens == first.results[0].tokens


# -- beams -----------------------------------------------------------------------------------------------------------


def test_with_enough_beams_the_best_text_of_all_is_found() -> None:
    decoder = FakeDecoder(5, sharp=1.5)
    scores = {}
    for text in itertools.product(range(5), repeat=3):
        ids, score = [1], 0.0
        for token in text:
            score += float(log_p(decoder, ids)[token])
            ids.append(token)
        scores[text] = score / 3
    best = sorted(scores, key=lambda text: -scores[text])[:4]
    ((*texts,),) = run(decoder, [1], num_beams=25, num_return_sequences=4, max_new_tokens=3)
    assert [tuple(text.tokens) for text in texts] == best
    assert [text.score for text in texts] == pytest.approx([scores[text] for text in best], abs=1e-5)


def test_a_score_is_the_log_probability_over_a_power_of_the_length() -> None:
    decoder = FakeDecoder()
    for penalty in (0.0, 1.0, 2.0, -1.0):
        ((text,),) = run(decoder, [3, 4], num_beams=3, max_new_tokens=8, length_penalty=penalty, eos_token_id=[5, 6, 7])
        ids = [3, 4]
        total = 0.0
        for token in text.tokens:
            total += float(log_p(decoder, ids)[token])
            ids.append(token)
        assert text.score == pytest.approx(total / len(text.tokens) ** penalty, rel=1e-5)


def test_beams_share_what_they_have_in_common() -> None:
    decoder = FakeDecoder()
    run(decoder, list(range(20)), num_beams=4, max_new_tokens=8)
    assert len(decoder.steps[0]) == 1  # the prompt is read once
    assert all(len(step) <= 4 for step in decoder.steps)
    assert decoder.most_blocks <= 5 + 4 * 3


def test_early_stopping_decides_how_long_to_look() -> None:
    decoder = FakeDecoder(sharp=1.0)
    steps = {}
    for early in (True, False, "never"):
        decoder.steps.clear()
        run(
            decoder,
            [3],
            num_beams=3,
            max_new_tokens=60,
            eos_token_id=[*range(10)],
            early_stopping=early,
            length_penalty=2.0,
        )
        steps[early] = len(decoder.steps)
    assert steps[True] < steps[False] <= steps["never"] == 60


def test_beam_sampling_is_seeded_and_scores_its_texts() -> None:
    decoder = FakeDecoder(sharp=1.0)
    options: dict[str, Any] = {"do_sample": True, "num_beams": 3, "max_new_tokens": 6, "num_return_sequences": 3}
    (first,), (again,), (other,) = (run(decoder, [3, 4], seed=seed, **options) for seed in (1, 1, 2))
    assert [t.tokens for t in first] == [t.tokens for t in again] != [t.tokens for t in other]
    assert first[0].score is not None
    assert [t.score for t in first] == sorted((t.score for t in first), reverse=True)  # type: ignore[type-var]


def test_beams_that_can_go_nowhere_leave_what_there_is() -> None:
    decoder = FakeDecoder(10)
    config = GenerationConfig(num_beams=4, num_return_sequences=4, max_new_tokens=3, eos_token_id=2)
    allowed = {1: [3], 2: [2, 4], 3: [2], 4: [2]}
    prompt = Prompt([1], config, allowed=lambda ids: allowed[len(ids)], tag=0)
    (job,) = run_jobs(decoder, [prompt])
    assert sorted(tuple(text.tokens) for text in job.results) == [(3, 2), (3, 4, 2)]


# -- together --------------------------------------------------------------------------------------------------------

SETTINGS: list[dict[str, Any]] = [
    {},
    {"eos_token_id": [3, 4, 5]},
    {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2},
    {"do_sample": True, "top_p": 0.9, "num_return_sequences": 3},
    {"num_beams": 3, "num_return_sequences": 2, "eos_token_id": [3, 4, 5]},
    {"num_beams": 4, "do_sample": True, "eos_token_id": [6]},
]


@pytest.mark.parametrize("is_encoder_decoder", [False, True])
def test_prompts_together_give_what_each_gives_alone(is_encoder_decoder: bool) -> None:
    decoder = FakeDecoder(is_encoder_decoder=is_encoder_decoder, sharp=2.0, echoes=4.0)
    draw = np.random.default_rng(0)
    prompts = []
    for number in range(18):
        options = {"decoder_start_token_id": 1, "max_new_tokens": int(draw.integers(1, 20)), **SETTINGS[number % 6]}
        ids = draw.integers(0, 50, draw.integers(1, 30)).tolist()
        prompts.append(Prompt(ids, prepared(options, model=GenerationConfig()), seed=number, tag=number))
    alone = [run_jobs(decoder, [prompt])[0].results for prompt in prompts]
    together = [job.results for job in run_jobs(decoder, prompts)]
    for a, b in zip(alone, together, strict=True):
        assert [(t.tokens, t.reason, t.score) for t in a] == [(t.tokens, t.reason, t.score) for t in b]
