"""Streamers, called as transformers calls them: `put` with the prompt and then with each token, `end` after the last.

Text comes as soon as it is decided, and never half a character; `tokenization.stream` knows which text that is.
"""

from __future__ import annotations

import queue
from typing import Any

import numpy as np

from ..errors import InvalidArgument

__all__ = ["BaseStreamer", "TextIteratorStreamer", "TextStreamer"]


class BaseStreamer:
    """What `generate(streamer=…)` takes: anything with these two methods."""

    def put(self, value: Any) -> None:
        """Token ids: the prompt's [1, tokens], then the new ones [1], one by one."""
        raise NotImplementedError(f"{type(self).__name__} has no put(value).")

    def end(self) -> None:
        """No more will come."""
        raise NotImplementedError(f"{type(self).__name__} has no end().")


class TextStreamer(BaseStreamer):
    """Prints the text while it is made.

    skip_prompt: leave the prompt out.   decode_kwargs: as of `tokenizer.decode` (skip_special_tokens=True …).
    Override `on_finalized_text` to do something else with the pieces.
    """

    def __init__(self, tokenizer: Any, skip_prompt: bool = False, **decode_kwargs: Any) -> None:
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.decode_kwargs = decode_kwargs
        self._stream = self._new_stream()
        self._is_prompt = True

    def put(self, value: Any) -> None:
        """Raises InvalidArgument for several rows: a stream is of one text."""
        ids = np.asarray(value)
        if ids.ndim > 1 and len(ids) > 1:
            raise InvalidArgument(f"a streamer is for one text, and {len(ids)} are made. Give one prompt at a time.")
        is_prompt, self._is_prompt = self._is_prompt, False
        if not (is_prompt and self.skip_prompt):
            self.on_finalized_text(self._stream.put([int(token) for token in ids.ravel()]))

    def end(self) -> None:
        """The rest of the text, and a line's end."""
        rest = self._stream.end()
        self._stream, self._is_prompt = self._new_stream(), True
        self.on_finalized_text(rest, stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """A piece of text that nothing will change any more."""
        print(text, flush=True, end="\n" if stream_end else "")

    def _new_stream(self) -> Any:
        from ..tokenization.stream import TextStream

        return TextStream(self.tokenizer, **self.decode_kwargs)


class TextIteratorStreamer(TextStreamer):
    """An iterator of the pieces of text, for another thread than the one that generates.

    timeout: seconds to wait for a piece, then queue.Empty; None: for ever.
    """

    def __init__(
        self, tokenizer: Any, skip_prompt: bool = False, timeout: float | None = None, **decode_kwargs: Any
    ) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.timeout = timeout
        self._pieces: queue.Queue[str | None] = queue.Queue()

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._pieces.put(text)
        if stream_end:
            self._pieces.put(None)

    def __iter__(self) -> TextIteratorStreamer:
        return self

    def __next__(self) -> str:
        piece = self._pieces.get(timeout=self.timeout)
        if piece is None:
            raise StopIteration
        return piece
