"""text-generation on its own terms; tests/pipelines/test_written.py has it beside transformers."""

from __future__ import annotations

from typing import Any

import pytest
import written

from panpipe.errors import InvalidArgument, TooLong
from panpipe.generation import Runner
from panpipe.pipelines import Pieces

KOREAN = "서울은 어디에"
CHAT = [{"role": "user", "content": "어디에 사세요?"}]


def make(family: str = "llama", **parameters: Any) -> Any:
    return written.make("text-generation", family, **{"max_new_tokens": 12, **parameters})


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("prompt", [KOREAN, "hello ", "", "He said '", "a  "])
@pytest.mark.parametrize("more", [{}, {"clean_up_tokenization_spaces": False, "skip_special_tokens": False}])
def test_the_pieces_of_a_stream_are_the_new_text(family: str, prompt: str, more: dict[str, Any]) -> None:
    pipe = make(family, max_new_tokens=25, **more)
    for seed in range(4):
        stream = pipe(prompt, stream=True, seed=seed)
        assert isinstance(stream, Pieces)
        pieces = list(stream)
        assert "".join(pieces) == pipe(prompt, seed=seed, return_full_text=False)[0]["generated_text"]
        assert stream.answer == pipe(prompt, seed=seed)
        assert stream.seed == seed
        assert all(pieces)


def test_a_stream_gives_pieces_before_the_end_and_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = Runner.step
    monkeypatch.setattr(Runner, "step", lambda self: steps.append(1) or step(self))
    pipe = make(do_sample=False, max_new_tokens=60)
    with pipe("hello", stream=True) as stream:
        first = next(stream)
    assert len(steps) < 10
    assert list(stream) == []
    (answer,) = stream.answer
    assert answer["generated_text"].startswith("hello" + first)
    never_begun = pipe("hello", stream=True)
    never_begun.close()
    assert list(never_begun) == []


def test_a_stream_of_a_conversation_is_the_text_of_the_answer() -> None:
    pipe = make(do_sample=False)
    (whole,) = pipe(CHAT)
    stream = pipe(CHAT, stream=True)
    assert "".join(stream) == whole["generated_text"][-1]["content"]
    assert stream.answer == [whole]


def test_a_stream_is_of_one_text() -> None:
    pipe = make(stream=True)
    for inputs in (["a", "b"], iter(["a"]), [CHAT]):
        with pytest.raises(InvalidArgument, match="text of one prompt"):
            pipe(inputs)
    with pytest.raises(InvalidArgument, match="num_return_sequences"):
        pipe("a", num_return_sequences=2)
    assert isinstance(pipe("a", stream=False), list)


def test_a_string_ends_the_text_and_stays_in_it_wherever_its_tokens_end() -> None:
    pipe = make("gpt2", do_sample=False, max_new_tokens=30, return_full_text=False)
    for prompt in (KOREAN, "hello", "The quick"):
        (whole,) = pipe(prompt)
        text = whole["generated_text"]
        stop = text[4:7]
        (stopped,) = pipe(prompt, stop_sequence=stop)
        assert stop in stopped["generated_text"]
        assert text.startswith(stopped["generated_text"])
        assert len(stopped["generated_text"]) < len(text)
        assert pipe(prompt, stop_sequence=["never there", stop]) == [stopped]
        assert "".join(pipe(prompt, stop_sequence=stop, stream=True)) == stopped["generated_text"]


def test_a_prefix_is_read_and_not_shown_and_counts_nowhere() -> None:
    pipe = make("gpt2", do_sample=False)
    (answer,) = pipe("hello", prefix="In Seoul, ", max_length=12)
    assert answer["generated_text"].startswith("hello")
    read = make("gpt2", do_sample=False)("In Seoul, hello", return_full_text=False, max_length=12 + 9)
    assert answer["generated_text"].removeprefix("hello").startswith(read[0]["generated_text"][:3])


def test_conversations_and_texts_may_come_in_one_stream() -> None:
    pipe = make(do_sample=False)
    mixed = list(pipe(iter([CHAT, KOREAN, CHAT])))
    assert mixed == [pipe(CHAT), pipe(KOREAN), pipe(CHAT)]
    assert pipe([CHAT]) == [pipe(CHAT)]
    assert pipe(tuple(CHAT)) == pipe(CHAT)
    given = [dict(message) for message in CHAT]
    pipe(given)[0]["generated_text"][0]["content"] = "changed"
    assert given == CHAT


def test_a_message_without_role_or_content_is_an_error() -> None:
    pipe = make(do_sample=False)
    for chat in ([{"role": "user"}], [*CHAT, {"content": "x"}], [*CHAT, "x"]):
        with pytest.raises(ValueError, match="must have a 'role' and 'content' key; message"):
            pipe(chat)
    with pytest.raises(ValueError, match=r"chat.template"):
        make("gpt2")(CHAT)


def test_a_template_may_be_told_more() -> None:
    pipe = make(do_sample=False, return_full_text=False)
    template = "{{ extra }}{% for m in messages %}{{ m.content }}{% endfor %}"
    (answer,) = pipe(CHAT, tokenizer_encode_kwargs={"chat_template": template, "extra": "hello"})
    (text,) = pipe("hello어디에 사세요?", add_special_tokens=False)
    assert answer == text


def test_a_prompt_that_is_too_long_is_refused_or_loses_its_beginning() -> None:
    pipe = make("gpt2", do_sample=False, max_new_tokens=10, return_tensors=True)
    long = "The quick brown fox. " * 12
    with pytest.raises(TooLong, match=r'has \d+ tokens .* at most 64.*long_text="truncate"'):
        pipe(long)
    ids = pipe.tokenizer(long)["input_ids"]
    for how in ({"handle_long_generation": "hole"}, {"long_text": "truncate"}):
        (answer,) = pipe(long, **how)
        assert answer["generated_token_ids"][:54] == ids[-54:]
    (answer,) = pipe(long, long_text="truncate", max_new_tokens=100)
    assert answer["generated_token_ids"][:32] == ids[-32:]
    with pytest.raises(InvalidArgument, match="leave nothing"):
        pipe(long, handle_long_generation="hole", max_new_tokens=64)
    (cut,) = pipe(long, truncation=True, max_length=20, max_new_tokens=3)
    assert cut["generated_token_ids"][:20] == ids[:20]
    (cut,) = pipe(long, truncation=True, handle_long_generation="hole")
    assert cut["generated_token_ids"][:54] == ids[10:64]
    (text,) = pipe(long, handle_long_generation="hole", return_tensors=None, return_full_text=True)
    assert text["generated_text"].startswith(long)


def test_a_length_that_the_prompt_has_already_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="max_length=3 counts the prompt"):
        make()(KOREAN, max_length=3)


def test_one_bad_prompt_does_not_stop_the_others() -> None:
    pipe = make("gpt2", do_sample=False)
    good, bad, again = pipe(["hello", "The quick brown fox. " * 12, "hello"], on_error="return")
    assert isinstance(bad, TooLong)
    assert good == again == pipe("hello")


@pytest.mark.parametrize("name", ["FULL_TEXT", "NEW_TEXT", "TENSORS"])
def test_return_types_have_transformers_names(name: str) -> None:
    pipe = make("gpt2", do_sample=False)
    wanted = {"FULL_TEXT": {}, "NEW_TEXT": {"return_full_text": False}, "TENSORS": {"return_tensors": True}}[name]
    assert pipe("hello", return_type=name) == pipe("hello", **wanted)
    with pytest.raises(InvalidArgument, match="not a choice"):
        pipe("hello", return_type="words")
