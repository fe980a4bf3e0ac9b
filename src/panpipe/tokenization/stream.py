"""Text while its tokens are being made.

`TextStream` gives the text that no later token can change, and the rest at the end; its pieces joined are what
`decode` gives for all the ids. Three things are held back: the bytes of a character that is not complete, the bytes
that a sentencepiece model writes one by one (as one run they are text or all of them are not), and a space that
`clean_up_tokenization_spaces` may take out again.

Only the last few tokens are decoded at each step: what is before them was given, and does not change them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import decoding

if TYPE_CHECKING:
    from .tokenizer import Tokenizer

__all__ = ["TextStream"]

_WINDOW, _CONTEXT = 48, 8  # tokens decoded at each step, at most and after they were cut
_BY_TOKEN = {"Replace", "ByteFallback", "Metaspace", "WordPiece", "BPEDecoder", "ByteLevel", "Strip", "Fuse"}
_UNFINISHED = {"n", "'"}  # words that what follows may join to one of those that cleaning up looks for


class TextStream:
    """An incremental `decode` of one sequence.

    put(ids) gives the text decided by them; end() the rest, after which the stream is as new.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._decode, self._is_silent = tokenizer.decoder_of(skip_special_tokens)
        self._cleans = tokenizer.cleans_up(clean_up_tokenization_spaces)
        self._is_steady = _is_steady(tokenizer)
        vocabulary = tokenizer.backend_tokenizer_of_ids
        self._bytes = {vocabulary.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
        self._restart()

    def _restart(self) -> None:
        self._ids: list[int] = []  # the last ones, from one before which nothing matters any more
        self._ends: list[bool] = []  # whether each is a byte of a run
        self._given = 0  # characters of their text that are decided
        self._raw = ""  # decided, but for spaces that may be taken out

    def put(self, ids: Iterable[int]) -> str:
        """The text that these ids decide.   Raises InputError for what is no id."""
        new = decoding.id_list(list(ids))
        decoding.check(new)
        new = [index for index in new if not self._is_silent(index)]
        if not new:
            return ""
        self._ids += new
        self._ends += [index in self._bytes for index in new]
        if not self._is_steady or all(self._ends[-len(new) :]):
            return ""
        size = len(self._ids)
        while self._ends[size - 1]:
            size -= 1
        text = self._decode(self._ids[:size])
        end = len(text) - 1 if text.endswith("\ufffd") else len(text)
        piece = text[self._given : end]
        self._given = max(self._given, end)
        if size > _WINDOW:
            self._forget(text, size)
        return self._clean(piece)

    def end(self) -> str:
        """The text that was held back."""
        text = self._raw + self._decode(self._ids)[self._given :] if self._ids else self._raw
        self._restart()
        return decoding.clean_up(text) if self._cleans else text

    def _forget(self, text: str, size: int) -> None:
        """Drop the first ids, if the text of the others ends as it did and has some of what was given before."""
        held = len(text) - self._given
        for start in range(size - _CONTEXT, 0, -1):
            if self._ends[start] or self._ends[start - 1]:
                continue
            rest = self._decode(self._ids[start:size])
            first = self._decode(self._ids[start : start + 1])
            seen = len(rest) - held - max(len(first), 1)
            tail = rest[len(rest) - held - max(seen, 0) :]
            if seen > 0 and tail.strip() and text.endswith(tail):
                self._given = len(rest) - held
                del self._ids[:start], self._ends[:start]
                return
            if start < size - 2 * _CONTEXT:
                return

    # -- cleaning up -------------------------------------------------------------------------------------------------

    def _clean(self, piece: str) -> str:
        """What is decided of the text so far, cleaned up."""
        if not self._cleans:
            return piece
        self._raw += piece
        size = _decided(self._raw)
        text, self._raw = decoding.clean_up(self._raw[:size]), self._raw[size:]
        return text


def _decided(raw: str) -> int:
    """How much of a text is cleaned up by itself, whatever follows.

    What is cleaned up begins with a space, and but for " ' " holds no other. So a text may be cut at a space after a
    word, and after a last word that is no beginning of a pattern; not after a word that can still become part of one.
    """
    space = raw.rfind(" ")
    while space > 0 and not _is_word(raw[:space]):
        space = raw.rfind(" ", 0, space)
    last = raw[max(space, 0) :]
    if last.count(" ") <= 1 and (space > 0 or raw.rfind(" ") <= 0) and not _may_become(last):
        return len(raw)
    return max(space, 0)


def _is_word(text: str) -> bool:
    word = text[text.rfind(" ") + 1 :]
    return bool(word) and word not in _UNFINISHED


def _may_become(word: str) -> bool:
    return word.strip() in {"", *_UNFINISHED} or any(
        pattern != word and pattern.startswith(word) for pattern in decoding.CLEANED_UP
    )


def _is_steady(tokenizer: Tokenizer) -> bool:
    """Whether the text of the first tokens is the beginning of the text of all: so with the decoders known here."""
    if tokenizer.has_pieces:
        return True
    state = _state(tokenizer.backend_tokenizer_of_ids.decoder)
    steps = state.get("decoders", [state]) if state is not None else []
    kinds = [step.get("type") for step in steps]
    after = kinds[kinds.index("Fuse") + 1 :] if "Fuse" in kinds else []
    return set(kinds) <= _BY_TOKEN and set(after) <= {"Strip"}


def _state(decoder: Any) -> dict[str, Any] | None:
    return None if decoder is None else dict(json.loads(decoder.__getstate__()))
