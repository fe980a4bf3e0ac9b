"""The Runner: joining and leaving, the cache's budget, long prompts, failures and interruptions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from panpipe.errors import CacheFull, EngineError, InputError
from panpipe.generation import GenerationConfig, Job, Prompt, Runner, generate_many
from panpipe.generation import runner as module
from tests.generation.fake import FakeDecoder


def prompt(ids: list[int], most: int = 10, **options: Any) -> Prompt:
    names = ("seed", "tag", "on_tokens", "processors", "criteria")
    own = {name: options.pop(name) for name in names if name in options}
    return Prompt(ids, GenerationConfig(max_new_tokens=most, **options), **own)


def finish(runner: Runner) -> list[Job]:
    done = []
    while not runner.is_idle:
        done += runner.step()
    return done


def test_prompts_join_while_others_are_under_way_and_leave_at_once() -> None:
    decoder = FakeDecoder()
    runner = Runner(decoder=decoder)  # type: ignore[arg-type]
    first = runner.add(prompt([1, 2], 8))
    for _ in range(3):
        assert runner.step() == []
    second = runner.add(prompt([3], 2))
    assert runner.step() == []
    assert runner.step() == [second]
    assert (second.is_done, first.is_done) == (True, False)
    assert finish(runner) == [first]
    assert [len(step) for step in decoder.steps] == [1, 1, 1, 2, 2, 1, 1, 1]
    alone = Runner(decoder=FakeDecoder())  # type: ignore[arg-type]
    alone.add(prompt([1, 2], 8))
    assert finish(alone)[0].results[0].tokens == first.results[0].tokens
    assert decoder.is_clean()


def test_a_prompt_waits_until_its_worst_case_fits() -> None:
    decoder = FakeDecoder(tokens=64)
    runner = Runner(decoder=decoder)  # type: ignore[arg-type]
    jobs = [runner.add(prompt([1, 2, 3], 12, num_beams=2, tag=i)) for i in range(5)]
    assert not runner.takes_more
    finish(runner)
    assert all(len(job.results[0].tokens) == 12 for job in jobs)
    assert decoder.is_clean()


def test_a_prompt_that_never_fits_is_told_what_does() -> None:
    decoder = FakeDecoder(tokens=64)
    runner = Runner(decoder=decoder)  # type: ignore[arg-type]
    with pytest.raises(CacheFull, match="need room for 112 tokens, and the cache has room for 64"):
        runner.add(prompt([1] * 10, 96))
    assert runner.is_idle


def test_the_budget_is_never_passed_whatever_is_searched() -> None:
    draw = np.random.default_rng(3)
    decoder = FakeDecoder(tokens=400, is_encoder_decoder=True, sharp=1.0, echoes=5.0)
    settings: list[dict[str, Any]] = [
        {},
        {"num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "num_return_sequences": 4},
        {"num_beams": 2, "do_sample": True},
    ]
    prompts = [
        prompt(
            draw.integers(0, 50, draw.integers(1, 20)).tolist(),
            int(draw.integers(1, 30)),
            decoder_start_token_id=1,
            eos_token_id=7,
            **s,
        )
        for s in settings * 6
    ]
    jobs = list(generate_many(None, prompts, decoder=decoder))  # type: ignore[arg-type]
    assert len(jobs) == 24
    assert all(job.results for job in jobs)
    assert decoder.is_clean()


def test_a_long_prompt_is_read_in_parts_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOKENS_PER_STEP", 8)
    decoder = FakeDecoder()
    runner = Runner(decoder=decoder)  # type: ignore[arg-type]
    first = runner.add(prompt([1, 2], 8, prompt_lookup_num_tokens=0))
    runner.step()
    second = runner.add(prompt(list(range(20)), 3))
    finish(runner)
    assert max(sum(map(len, step)) for step in decoder.steps) <= 8
    assert [len(step[-1]) for step in decoder.steps[1:4]] == [7, 7, 6]
    assert len(first.results[0].tokens) == 8
    whole = FakeDecoder().logits(list(range(20))).argmax()
    assert second.results[0].tokens[0] == whole


def test_sources_are_read_together() -> None:
    class Counting(FakeDecoder):
        def read(self, sources: list[list[int]]) -> list[Any]:
            reads.append(len(sources))
            return super().read(sources)

    reads: list[int] = []
    prompts = [prompt([i] * 600, 2, decoder_start_token_id=1) for i in range(5)]
    list(generate_many(None, prompts, decoder=Counting(is_encoder_decoder=True)))  # type: ignore[arg-type]
    assert reads == [2, 2, 1]


def test_a_source_that_cannot_be_read_fails_alone() -> None:
    class Picky(FakeDecoder):
        def read(self, sources: list[list[int]]) -> list[Any]:
            if any(9 in ids for ids in sources):
                raise InputError("nine")
            return super().read(sources)

    decoder = Picky(is_encoder_decoder=True)
    prompts = [prompt(ids, 2, decoder_start_token_id=1, tag=i) for i, ids in enumerate([[1], [9], [2]])]
    jobs = sorted(generate_many(None, prompts, decoder=decoder), key=lambda job: int(job.prompt.tag))  # type: ignore[arg-type]
    assert [job.error is None for job in jobs] == [True, False, True]
    with pytest.raises(InputError, match="nine"):
        _ = jobs[1].results
    assert decoder.is_clean()


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_a_users_function_that_fails_fails_its_own_job_only(options: dict[str, Any]) -> None:
    def fails(ids: Any, scores: Any) -> Any:
        if ids.shape[1] > 5:
            raise RuntimeError("mine")
        return scores

    decoder = FakeDecoder()
    bad, good = prompt([1, 2], processors=[fails], tag=0, **options), prompt([3], tag=1, **options)
    jobs = sorted(generate_many(None, [bad, good], decoder=decoder), key=lambda job: int(job.prompt.tag))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="mine"):
        _ = jobs[0].results
    assert len(jobs[1].results[0].tokens) == 10
    assert decoder.is_clean()


def test_a_prompt_that_is_wrong_comes_out_as_a_job_with_its_error() -> None:
    decoder = FakeDecoder()
    jobs = list(generate_many(None, [prompt([99]), prompt([1])], decoder=decoder))  # type: ignore[arg-type]
    assert [isinstance(job.error, InputError) for job in jobs] == [True, False]


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "num_return_sequences": 2}])
def test_a_cancelled_job_keeps_what_it_has(options: dict[str, Any]) -> None:
    decoder = FakeDecoder()
    runner = Runner(decoder=decoder)  # type: ignore[arg-type]
    job, waiting = runner.add(prompt([1, 2], **options)), runner.add(prompt([1, 2], **options))
    for _ in range(4):
        runner.step()
    runner.cancel(job)
    assert [text.reason for text in job.results] == ["cancelled"] * options.get("num_return_sequences", 1)
    assert len(job.results[0].tokens) == 4
    runner.cancel_all()
    assert waiting.is_done
    assert runner.is_idle
    assert decoder.is_clean()


def test_a_job_that_has_not_started_can_be_cancelled() -> None:
    runner = Runner(decoder=FakeDecoder())  # type: ignore[arg-type]
    job = runner.add(prompt([1, 2]))
    runner.cancel(job)
    assert (job.is_done, job.results, runner.is_idle) == (True, [], True)


def test_an_interruption_keeps_what_was_made(caplog: pytest.LogCaptureFixture) -> None:
    decoder = FakeDecoder()

    def interrupts(ids: Any, scores: Any) -> bool:
        if ids.shape[1] == 6:
            raise KeyboardInterrupt
        return False

    prompts = [prompt([1, 2], 9, criteria=[interrupts], tag=0), prompt([3], 9, tag=1), prompt([4], 2, tag=2)]
    jobs = {int(job.prompt.tag): job for job in generate_many(None, prompts, decoder=decoder)}  # type: ignore[arg-type]
    assert {tag: job.results[0].reason for tag, job in jobs.items()} == {0: "cancelled", 1: "cancelled", 2: "length"}
    assert len(jobs[0].results[0].tokens) >= 3
    assert "interrupted: 2 text(s)" in caplog.text
    assert decoder.is_clean()


def test_an_interruption_loses_no_job_that_finished_in_the_same_step() -> None:
    def interrupts(ids: Any, scores: Any) -> bool:
        raise KeyboardInterrupt

    prompts = [prompt([1], 1, tag=0), prompt([2], 9, criteria=[interrupts], tag=1)]
    jobs = list(generate_many(None, prompts, decoder=FakeDecoder()))  # type: ignore[arg-type]
    assert [(job.prompt.tag, job.results[0].reason) for job in jobs] == [(0, "length"), (1, "cancelled")]


def test_an_interruption_while_sources_are_read_loses_no_job() -> None:
    class Interrupted(FakeDecoder):
        def read(self, sources: list[list[int]]) -> list[Any]:
            raise KeyboardInterrupt

    prompts = [prompt([i], 3, decoder_start_token_id=1, tag=i) for i in range(3)]
    jobs = list(generate_many(None, prompts, decoder=Interrupted(is_encoder_decoder=True)))  # type: ignore[arg-type]
    assert [job.prompt.tag for job in jobs] == [0, 1, 2]
    assert all(job.is_done and job.results == [] for job in jobs)


@pytest.mark.parametrize("options", [{}, {"do_sample": True}, {"num_beams": 3}, {"num_beams": 3, "do_sample": True}])
def test_logits_that_are_no_numbers_are_an_error_of_their_job(options: dict[str, Any]) -> None:
    class Broken(FakeDecoder):
        def logits(self, tokens: list[int], source: tuple[int, ...] = ()) -> Any:
            row = super().logits(tokens, source)
            row[7] = np.nan if tokens[0] == 1 and len(tokens) == 4 else row[7]
            return row

    decoder = Broken()
    prompts = [prompt([1], tag=0, **options), prompt([2], tag=1, **options)]
    jobs = sorted(generate_many(None, prompts, decoder=decoder), key=lambda job: int(job.prompt.tag))  # type: ignore[arg-type]
    assert [type(job.error) for job in jobs] == [EngineError, type(None)]
    assert decoder.is_clean()


def test_a_consumer_that_stops_early_leaves_nothing_behind() -> None:
    decoder = FakeDecoder()
    jobs = generate_many(None, [prompt([1], 2), prompt([2], 50)], decoder=decoder)  # type: ignore[arg-type]
    next(jobs)
    jobs.close()
    assert decoder.is_clean()


def test_prompts_are_taken_as_there_is_room() -> None:
    taken = []

    def many() -> Any:
        for i in range(30):
            taken.append(i)
            yield prompt([i], 10)

    decoder = FakeDecoder(tokens=100)
    jobs = generate_many(None, many(), decoder=decoder)  # type: ignore[arg-type]
    next(jobs)
    assert len(taken) < 12
    assert len(list(jobs)) == 29


def test_progress_counts_tokens_and_ends_full(capsys: pytest.CaptureFixture[str]) -> None:
    prompts = [prompt([1], 20, eos_token_id=list(range(25))), prompt([2], 6, num_beams=2)]
    list(generate_many(None, prompts, decoder=FakeDecoder(), progress=True))  # type: ignore[arg-type]
    assert "100%" in capsys.readouterr().err


def test_on_tokens_is_given_each_text_as_it_is_decided() -> None:
    pieces: list[list[int]] = []
    (job,) = generate_many(None, [prompt([1], 5, on_tokens=pieces.append)], decoder=FakeDecoder())  # type: ignore[arg-type]
    assert [token for piece in pieces for token in piece] == job.results[0].tokens
    assert len(pieces) == 5
    pieces.clear()
    (job,) = generate_many(None, [prompt([1], 5, on_tokens=pieces.append, num_beams=2)], decoder=FakeDecoder())  # type: ignore[arg-type]
    assert pieces == [job.results[0].tokens]


def test_guidance_leads_away_from_the_other_prompt() -> None:
    decoder = FakeDecoder()
    ids, away = [1, 2, 3], [3]
    expected = []
    for _ in range(6):
        with_it, without = (_log_p(decoder.logits(x)) for x in ([*ids, *expected], [*away, *expected]))
        expected.append(int((without + 2.5 * (with_it - without)).argmax()))
    (job,) = generate_many(None, [prompt(ids, 6, guidance_scale=2.5)], decoder=decoder)  # type: ignore[arg-type]
    assert job.results[0].tokens == expected
    for options in ({"num_beams": 3}, {"do_sample": True, "num_return_sequences": 3}):
        list(generate_many(None, [prompt(ids, 6, guidance_scale=2.5, **options)] * 2, decoder=decoder))  # type: ignore[arg-type]
        assert decoder.is_clean()


def _log_p(row: Any) -> Any:
    return row - np.log(np.exp(row.astype(np.float64)).sum())
