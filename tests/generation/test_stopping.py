"""Stop strings, criteria and time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from panpipe.errors import InvalidArgument
from panpipe.generation import GenerationConfig, Prompt, generate_many
from panpipe.generation.stopping import StopTexts
from tests.generation.fake import FakeDecoder
from tests.tokenization.conftest import shared

STOPS = ["e", "a", "요", "\n"]


def first_end(stop: StopTexts, ids: list[int], start: int = 1) -> int | None:
    return next((n for n in range(start, len(ids) + 1) if stop.ends(np.array(ids[:n]))), None)


@pytest.mark.parametrize("name", ["gpt2", "t5", "llama", "marian", "qwen2"])
@pytest.mark.parametrize(
    "text", ["It stops here, now.", "오늘은 날씨가 좋다. 내일도 그렇다.", "a\n\nUser: b", "😀👍 fine"]
)
def test_a_text_ends_with_the_token_that_completes_the_string(name: str, text: str) -> None:
    tokenizer = shared(name)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    for begin in range(len(whole)):
        for size in (1, 2, 4):
            stop = whole[begin : begin + size]
            if len(stop) < size or "\ufffd" in stop:
                continue
            end = first_end(StopTexts([stop], tokenizer), ids)
            expected = next(
                n
                for n in range(1, len(ids) + 1)
                if stop in tokenizer.decode(ids[:n], clean_up_tokenization_spaces=False)
            )
            assert end == expected, (stop, whole)


def test_a_string_that_stood_there_before_the_last_token_does_not_end_a_text() -> None:
    tokenizer = shared("gpt2")
    ids = tokenizer("stop and go on")["input_ids"]
    stop = StopTexts(["stop"], tokenizer)
    ends = [n for n in range(1, len(ids) + 1) if stop.ends(np.array(ids[:n]))]
    assert len(ends) == 1


def test_stop_strings_need_the_tokenizer() -> None:
    prompt = Prompt([1], GenerationConfig(stop_strings="끝", max_new_tokens=3))
    (job,) = generate_many(None, [prompt], decoder=FakeDecoder())  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="need the tokenizer"):
        _ = job.results


@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True}])
def test_generation_stops_at_a_string_and_keeps_it(options: dict[str, Any]) -> None:
    tokenizer = shared("gpt2")
    decoder = FakeDecoder(len(tokenizer), sharp=2.0)
    config = GenerationConfig(max_new_tokens=200, stop_strings=STOPS, top_k=300, **options)
    (job,) = generate_many(None, [Prompt([5, 6], config, seed=1)], decoder=decoder, tokenizer=tokenizer)  # type: ignore[arg-type]
    tokens = job.results[0].tokens
    assert job.results[0].reason == "stop"
    assert any(s in tokenizer.decode(tokens) for s in STOPS)
    assert not any(s in tokenizer.decode(tokens[:-1]) for s in STOPS)
    assert decoder.is_clean()


def test_the_users_criteria_stop_a_text() -> None:
    seen = []

    def criterion(ids: Any, scores: Any) -> Any:
        seen.append(ids.shape)
        return np.array([ids.shape[1] >= 6])

    prompt = Prompt([1, 2], GenerationConfig(max_new_tokens=30), criteria=[criterion])
    (job,) = generate_many(None, [prompt], decoder=FakeDecoder())  # type: ignore[arg-type]
    assert (len(job.results[0].tokens), job.results[0].reason) == (4, "stop")
    assert seen == [(1, 3), (1, 4), (1, 5), (1, 6)]


def test_time_stops_a_text_after_the_step_in_which_it_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    prompt = Prompt([1, 2], GenerationConfig(max_new_tokens=30, max_time=4.5))
    (job,) = generate_many(None, [prompt], decoder=FakeDecoder())  # type: ignore[arg-type]
    assert (len(job.results[0].tokens), job.results[0].reason) == (5, "time")
