"""When a text ends: an end token, a stop string, the user's criteria, its time or its length."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import InvalidArgument
from .processors import Ids

__all__ = ["Reason", "Stop", "StopTexts"]

Reason = Literal["eos", "length", "stop", "time", "cancelled"]
"""Why a text ended: "stop" is a stop string or a criterion of the user's."""


class StopTexts:
    """Finds stop strings in the text of tokens, wherever the tokens' borders are.

    A text ends with the token that completes a stop string; what the token has after it stays, as in transformers.
    Raises InvalidArgument without a tokenizer.
    """

    def __init__(self, texts: Sequence[str], tokenizer: Any) -> None:
        if tokenizer is None:
            raise InvalidArgument(
                f"stop_strings={list(texts)!r} need the tokenizer, to know the text of tokens: give tokenizer=…."
            )
        self.texts = tuple(texts)
        self.tokenizer = tokenizer
        self.most_tokens = 8 + max(len(text.encode()) for text in texts)  # a token has a byte at least

    def ends(self, ids: Ids) -> bool:
        """Whether the last token completes a stop string."""
        tail = ids[-self.most_tokens :].tolist()
        text = self._text(tail)
        found = [text.rfind(stop) + len(stop) for stop in self.texts if stop in text]
        return bool(found) and max(found) > len(self._text(tail[:-1]).rstrip("\ufffd"))

    def _text(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


@dataclass
class Stop:
    """The rules by which the texts of one prompt end.

    most: of new tokens.   seconds: from `begin` on.
    criteria: the user's, called as transformers calls them: with ids [1, length] and the scores (None).
    """

    most: int
    eos: frozenset[int] = frozenset()
    texts: StopTexts | None = None
    criteria: Sequence[Callable[[Any, Any], Any]] = ()
    seconds: float | None = None
    deadline: float = field(default=float("inf"), init=False)

    def begin(self) -> None:
        """The clock starts."""
        if self.seconds is not None:
            self.deadline = time.monotonic() + self.seconds

    def reason(self, token: int, made: int, ids: Callable[[], Ids]) -> Reason | None:
        """Why a text ends with this token, or None.

        made: its new tokens, this one counted.   ids: gives all its tokens.
        """
        if token in self.eos:
            return "eos"
        if self.texts is not None and self.texts.ends(ids()):
            return "stop"
        if any(bool(np.all(np.asarray(criterion(ids()[None], None)))) for criterion in self.criteria):
            return "stop"
        if made >= self.most:
            return "length"
        return "time" if time.monotonic() > self.deadline else None
