"""What the pipelines that write texts share: whose word counts, what is refused, what is kept."""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any

import numpy as np
import pytest
import written

from panpipe.errors import InvalidArgument, TooLong, UnknownArgument
from panpipe.generation import GenerationConfig, Runner
from panpipe.generation.streamers import BaseStreamer
from panpipe.pipelines import Interrupted

KOREAN = "서울은 대한민국의 수도이다."
GREEDY = {"do_sample": False, "max_new_tokens": 6}


def config(task: str, family: str, **parameters: Any) -> GenerationConfig:
    made = written.make(task, family, **parameters).generation_config
    assert isinstance(made, GenerationConfig)
    return made


def test_call_constructor_task_class_and_model_count_in_that_order() -> None:
    assert config("text-generation", "llama").temperature == 0.7  # the class before the model's 0.6, as in transformers
    assert config("text-generation", "llama").top_p == 0.95
    assert config("text-generation", "llama", temperature=0.3).temperature == 0.3
    assert config("summarization", "bart").num_beams == 4
    assert config("summarization", "bart").length_penalty == 2.0  # of the task
    assert config("text2text-generation", "bart").length_penalty == 1.0
    assert config("summarization", "bart", length_penalty=0.5).length_penalty == 0.5
    pipe = written.make("summarization", "bart", num_beams=3, min_length=5)
    parameters = pipe._parameters({"min_length": 7})
    assert (parameters.forward["config"].num_beams, parameters.forward["config"].min_length) == (3, 7)
    assert pipe.generation_config.min_length == 5


def test_the_length_that_was_asked_for_is_the_one_that_counts() -> None:
    def lengths(made: GenerationConfig) -> tuple[int | None, int | None]:
        return made.max_new_tokens, made.max_length

    assert lengths(config("text2text-generation", "bart")) == (None, 30)  # the model's
    assert lengths(config("text-generation", "llama"))[0] == 256  # the class's
    assert lengths(config("summarization", "t5")) == (None, 24)  # the task's
    assert lengths(config("text-generation", "llama", max_length=9)) == (None, 9)
    pipe = written.make("text-generation", "llama", max_new_tokens=9)
    assert lengths(pipe._parameters({"max_length": 12}).forward["config"]) == (None, 12)
    (text,) = written.make("text-generation", "llama")(KOREAN[:2], max_length=9, do_sample=False, return_tensors=True)
    assert len(text["generated_token_ids"]) == 9


def test_nothing_of_the_model_is_changed_by_a_pipeline() -> None:
    model = written.model("t5")
    before = copy.deepcopy((model.config, model.generation_config))
    for _ in range(2):  # the second one of the same object has the prefix too
        pipe = written.make("summarization", "t5", max_new_tokens=3)
        assert pipe.prefix == "summarize: "
        pipe("hello", num_beams=2)
    assert written.make("translation_en_to_de", "t5").prefix == "translate English to German: "
    assert written.make("text2text-generation", "bart").prefix == " "
    assert (model.config, model.generation_config) == before


@pytest.mark.parametrize(("task", "family"), [("text-generation", "gpt2"), ("summarization", "bart")])
def test_what_generation_does_not_have_is_refused_before_any_work(task: str, family: str) -> None:
    for give in (
        lambda **names: written.make(task, family, **names),
        lambda **names: written.make(task, family)("hello", **names),
    ):
        with pytest.raises(UnknownArgument, match="Did you mean 'max_new_tokens'"):
            give(max_new_token=3)
        with pytest.raises(InvalidArgument, match="temperature=-1"):
            give(temperature=-1)
        with pytest.raises(InvalidArgument, match="seed='a'"):
            give(seed="a")
        with pytest.raises(InvalidArgument, match="assistant_model: there is no second model"):
            give(assistant_model="x")
        with pytest.raises(InvalidArgument, match="give a panpipe"):
            give(generation_config={"num_beams": 2})


def test_parameters_of_transformers_that_say_how_it_computes_change_nothing() -> None:
    pipe = written.make("text-generation", "gpt2", **GREEDY, use_cache=True)
    assert pipe("hello", cache_implementation="static", low_memory=True) == pipe("hello")
    with pytest.raises(InvalidArgument, match="contrastive search"):
        pipe("hello", penalty_alpha=0.6)


def test_parameters_of_generation_may_come_in_a_dictionary() -> None:
    pipe = written.make("text-generation", "gpt2", **GREEDY)
    assert pipe("hello", generate_kwargs={"max_new_tokens": 3, "num_beams": 2}) == pipe(
        "hello", max_new_tokens=3, num_beams=2
    )
    assert pipe("hello", generate_kwargs={"max_new_tokens": 3}, max_new_tokens=4) == pipe("hello", max_new_tokens=4)
    with pytest.raises(UnknownArgument, match="Did you mean 'num_beams'"):
        pipe("hello", generate_kwargs={"num_beam": 2})
    with pytest.raises(UnknownArgument, match="no parameter of generation"):
        pipe("hello", generate_kwargs={"return_full_text": False})


def test_a_call_may_take_back_what_the_constructor_said() -> None:
    for task, family in (("text-generation", "gpt2"), ("summarization", "bart")):
        pipe = written.make(task, family, **GREEDY, return_tensors=True)
        assert pipe("hello", return_tensors=False) == written.make(task, family, **GREEDY)("hello")
        assert pipe("hello", return_type="TEXT" if task == "summarization" else "FULL_TEXT") == pipe(
            "hello", return_tensors=False
        )
        with pytest.raises(InvalidArgument, match="return_type='words' is not a choice"):
            pipe("hello", return_type="words")


def test_the_input_may_be_given_by_name() -> None:
    for task, family, name in (
        ("summarization", "bart", "inputs"),
        ("summarization", "bart", "text"),
        ("text-generation", "gpt2", "text_inputs"),
    ):
        pipe = written.make(task, family, **GREEDY)
        assert pipe(**{name: "hello"}) == pipe("hello")
        with pytest.raises(UnknownArgument, match="one input argument"):
            pipe("hello", **{name: "hello"})
        with pytest.raises(UnknownArgument, match="one input argument"):
            pipe()


def test_a_seed_repeats_an_answer_whatever_is_beside_it() -> None:
    pipe = written.make("text-generation", "llama", max_new_tokens=6, return_full_text=False)
    (alone,) = pipe(KOREAN, seed=5, return_seed=True)
    assert alone["seed"] == 5
    assert pipe([KOREAN, "hello", KOREAN], seed=5)[2][0]["generated_text"] == alone["generated_text"]
    drawn = pipe([KOREAN] * 6, return_seed=True)
    assert len({answer["generated_text"] for (answer,) in drawn}) > 1
    for (answer,) in drawn[:2]:
        assert pipe(KOREAN, seed=answer["seed"])[0]["generated_text"] == answer["generated_text"]


def test_the_seed_that_was_drawn_is_told(caplog: pytest.LogCaptureFixture) -> None:
    pipe = written.make("text-generation", "llama", max_new_tokens=3)
    with caplog.at_level(logging.INFO, "panpipe"):
        (answer,) = pipe("hello", return_seed=True)
    assert f"sampled with seed={answer['seed']}" in caplog.text


def test_equal_texts_are_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts: list[Any] = []
    add = Runner.add
    monkeypatch.setattr(Runner, "add", lambda self, prompt: prompts.append(prompt) or add(self, prompt))
    pipe = written.make("summarization", "bart", max_new_tokens=4)
    first, second, third = pipe(["hello", KOREAN, "hello"])
    assert first == third != second
    assert len(prompts) == 2


def test_a_users_functions_are_called() -> None:
    seen: list[Any] = []

    def only_seven(ids: Any, scores: Any) -> Any:
        seen.append(ids.shape)
        scores[:, np.arange(scores.shape[1]) != 7] = -np.inf
        return scores

    pipe = written.make("text-generation", "gpt2", **GREEDY, return_tensors=True)
    assert pipe("hello", logits_processor=[only_seven])[0]["generated_token_ids"][-6:] == [7] * 6
    allowed = pipe("hello", prefix_allowed_tokens_fn=lambda batch, ids: [9])
    assert allowed[0]["generated_token_ids"][-6:] == [9] * 6
    stopped = pipe("hello", stopping_criteria=lambda ids, scores: True)
    assert len(stopped[0]["generated_token_ids"]) == len(pipe("hello")[0]["generated_token_ids"]) - 5
    assert seen


class Kept(BaseStreamer):
    def __init__(self) -> None:
        self.values: list[list[int]] = []
        self.ended = 0

    def put(self, value: Any) -> None:
        self.values.append(np.asarray(value).ravel().tolist())

    def end(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(("task", "family"), [("text-generation", "gpt2"), ("summarization", "bart")])
def test_a_streamer_gets_the_beginning_and_then_each_token(task: str, family: str) -> None:
    pipe, streamer = written.make(task, family, max_new_tokens=6, num_beams=1, do_sample=False), Kept()
    (answer,) = pipe("hello", streamer=streamer, return_tensors=True)
    (ids,) = answer.values()
    begin, *tokens = streamer.values
    assert begin + [token for (token,) in tokens] == list(ids)
    assert streamer.ended == 1
    with pytest.raises(InvalidArgument, match="a streamer is for one text"):
        pipe(["hello", "you"], streamer=streamer)


def test_scores_come_with_the_text_where_they_are_asked_for() -> None:
    pipe = written.make("text-generation", "gpt2", **GREEDY, return_dict_in_generate=True)
    assert list(pipe("hello")[0]) == ["generated_text"]
    (answer,) = pipe("hello", output_scores=True, output_logits=True)
    assert np.shape(answer["scores"]) == np.shape(answer["logits"]) == (6, len(pipe.tokenizer))
    best, second = pipe("hello", num_beams=2, num_return_sequences=2)
    assert best["sequences_scores"] > second["sequences_scores"]


def test_a_text_ends_at_the_models_positions_with_a_word_about_it(caplog: pytest.LogCaptureFixture) -> None:
    pipe = written.make("text-generation", "gpt2", do_sample=False, return_tensors=True)
    (answer,) = pipe("hello", max_new_tokens=1000, eos_token_id=500)
    assert len(answer["generated_token_ids"]) in (64, 65)
    assert "1000 new tokens were asked for" in caplog.text
    assert caplog.text.count("\n") == 1


def test_ctrl_c_keeps_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = written.make("text-generation", "llama", **GREEDY, batch_size=1)
    whole = pipe(["hello", KOREAN, "you"])
    step, steps = Runner.step, 0

    def interrupted(self: Runner) -> Any:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Runner, "step", interrupted)
    with pytest.raises(Interrupted) as caught:
        pipe(["hello", KOREAN, "you"])
    first, second = caught.value.answers
    assert first == whole[0]
    assert whole[1][0]["generated_text"].startswith(second[0]["generated_text"])
    assert second != whole[1]
    steps = 0
    streamed = iter(pipe(iter(["hello", KOREAN, "you"])))
    assert next(streamed) == whole[0]
    assert next(streamed) == second
    with pytest.raises(KeyboardInterrupt):
        next(streamed)


def test_calls_with_other_parameters_in_other_threads_do_not_mix() -> None:
    pipe = written.make("translation", "m2m_100", max_new_tokens=5)
    languages = ["ko", "en", "fr", "ja"]
    expected = {code: pipe(KOREAN, src_lang="ko", tgt_lang=code) for code in languages}
    answers: dict[str, list[Any]] = {code: [] for code in languages}

    def work(code: str) -> None:
        for _ in range(5):
            answers[code].append(pipe(KOREAN, src_lang="ko", tgt_lang=code))

    threads = [threading.Thread(target=work, args=(code,)) for code in languages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers[code] == [expected[code]] * 5 for code in languages)


def test_a_config_may_be_given_whole() -> None:
    pipe = written.make("text-generation", "gpt2", return_tensors=True)
    given = GenerationConfig(max_new_tokens=3, num_beams=2)
    assert pipe("hello", generation_config=given) == pipe("hello", max_new_tokens=3, num_beams=2, do_sample=False)


def test_long_inputs_of_text2text_are_refused_or_run_in_parts() -> None:
    pipe = written.make("text2text-generation", "bart", max_new_tokens=3)
    with pytest.raises(TooLong, match="at most 64"):
        pipe(KOREAN * 9)
    assert len(pipe(KOREAN * 9, long_text="window")) == 1
    whole = written.make("text2text-generation", "t5", max_new_tokens=3)
    assert len(whole(KOREAN * 40)) == 1  # no positions that could be used up
