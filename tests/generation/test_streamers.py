"""Streamers: pieces joined are the text, none is half a character."""

from __future__ import annotations

import queue
import threading
from typing import Any

import numpy as np
import pytest

from panpipe.errors import InvalidArgument
from panpipe.generation import TextIteratorStreamer, TextStreamer
from tests.tokenization.conftest import shared

TEXT = "오늘은 날씨가 좋다. 👍🏽 It's fine , isn't it ?\n끝"


class Collecting(TextStreamer):
    pieces: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.pieces, self.ended = [], 0

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        self.pieces.append(text)
        self.ended += stream_end


def feed(streamer: TextStreamer, prompt: list[int], ids: list[int]) -> None:
    streamer.put(np.array([prompt]))
    for token in ids:
        streamer.put(np.array([token]))
    streamer.end()


@pytest.mark.parametrize("name", ["gpt2", "t5", "llama", "marian", "qwen2", "mbart"])
@pytest.mark.parametrize("skip_prompt", [False, True])
def test_the_pieces_joined_are_the_text_and_none_is_half_a_character(name: str, skip_prompt: bool) -> None:
    tokenizer = shared(name)
    ids = tokenizer(TEXT)["input_ids"]
    streamer = Collecting(tokenizer, skip_prompt=skip_prompt, skip_special_tokens=True)
    for _ in range(2):  # a streamer can be used again
        streamer.pieces.clear()
        feed(streamer, ids[:3], ids[3:])
        shown = ids[3:] if skip_prompt else ids
        assert "".join(streamer.pieces) == tokenizer.decode(shown, skip_special_tokens=True)
        if "\ufffd" not in "".join(streamer.pieces):
            assert not any("\ufffd" in piece for piece in streamer.pieces)
    assert streamer.ended == 2


def test_a_text_streamer_prints_and_ends_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = shared("gpt2")
    feed(TextStreamer(tokenizer), *(tokenizer(text)["input_ids"] for text in ("안녕", " 하세요")))
    assert capsys.readouterr().out == "안녕 하세요\n"


def test_an_iterator_streamer_gives_the_pieces_to_another_thread() -> None:
    tokenizer = shared("gpt2")
    ids = tokenizer(TEXT)["input_ids"]
    streamer = TextIteratorStreamer(tokenizer, timeout=10)
    thread = threading.Thread(target=feed, args=(streamer, ids[:1], ids[1:]))
    thread.start()
    assert "".join(streamer) == tokenizer.decode(ids)
    thread.join()


def test_an_iterator_streamer_waits_no_longer_than_it_is_told() -> None:
    with pytest.raises(queue.Empty):
        next(TextIteratorStreamer(shared("gpt2"), timeout=0.01))


def test_a_streamer_is_for_one_text() -> None:
    with pytest.raises(InvalidArgument, match="for one text, and 2 are made"):
        TextStreamer(shared("gpt2")).put(np.array([[1, 2], [3, 4]]))
