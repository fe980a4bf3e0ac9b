"""Encoding where pieces and ids come from different files (see pieces.py).

The Rust tokenizer cuts most texts as sentencepiece does. Those that it would not are changed before: texts in which a
character is of several code points are mapped here, and a token at the start (Marian's >>fra<<) is kept whole.
Afterwards tokens that the Rust tokenizer has no id for get theirs, and offsets point into the text as it was given.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

from tokenizers import AddedToken, Encoding
from tokenizers import Tokenizer as RustTokenizer

from .pieces import Cutter
from .views import MAX_VIEWS, Truncation, Views, shell

__all__ = ["PieceViews"]

Origins = list[tuple[int, int]]  # for each character of a mapped text, where in the text it came from


class _Odd(NamedTuple):
    """A text (pair, or words) that the Rust tokenizer would not cut as sentencepiece does.

    item: what to give it instead.   is_mapped: whether the character map is applied to it already.   origins: for each
    text (of a pair) and word, where its characters came from.   starts: tokens that texts start with.
    """

    item: Any
    is_mapped: bool
    origins: list[list[Origins | None]]
    starts: frozenset[str]


class PieceViews(Views):
    """The views of a Cutter: its Rust tokenizer with the special tokens of `rust`."""

    def __init__(self, rust: RustTokenizer, cutter: Cutter) -> None:
        self._words, self._cutter = rust, cutter
        super().__init__(rust)
        self.forget()

    def forget(self) -> None:
        """After the tokenizer has been changed."""
        super().forget()
        added = self._words.get_added_tokens_decoder()
        self._added = {str(token): index for index, token in added.items()}
        self._special = re.compile("|".join(map(re.escape, sorted(self._added, key=len, reverse=True))) or r"(?!)")
        self._rust = self._dressed(self._cutter.mapped, ())
        self._odd: dict[tuple[bool, frozenset[str]], Views] = {}

    def _dressed(self, bare: RustTokenizer, starts: Iterable[str]) -> RustTokenizer:
        rust = shell(bare)
        added = self._words.get_added_tokens_decoder()
        rust.add_tokens([added[index] for index in sorted(added)])
        rust.add_tokens([AddedToken(token, normalized=False) for token in sorted(starts)])
        if self._words.post_processor is not None:
            rust.post_processor = self._words.post_processor
        rust.encode_special_tokens = self._words.encode_special_tokens
        return rust

    def encode(
        self,
        inputs: list[Any],
        truncation: Truncation | None,
        *,
        words: bool = False,
        fast: bool = False,
        **options: Any,
    ) -> list[Encoding]:
        """As in Views; always with offsets, since a fast encoding lacks the tokens' text."""
        odd = {index: self._odd_one(item, words) for index, item in enumerate(inputs)}
        usual = [item for index, item in enumerate(inputs) if odd[index] is None]
        encoded = iter(super().encode(usual, truncation, words=words, **options))
        encodings = []
        for one in odd.values():
            if one is None:
                encodings.append(self._named(next(encoded), None, words))
                continue
            (encoding,) = self._views_of(one).encode([one.item], truncation, words=words, **options)
            encodings.append(self._named(encoding, one, words))
        return encodings

    def _views_of(self, one: _Odd) -> Views:
        views = self._odd.get((one.is_mapped, one.starts))
        if views is None:
            bare = self._cutter.plain if one.is_mapped else self._cutter.mapped
            views = Views(self._dressed(bare, one.starts))
            if len(self._odd) >= MAX_VIEWS:
                self._odd = {}
            self._odd[one.is_mapped, one.starts] = views
        return views

    # -- texts that sentencepiece maps otherwise, or that start with a token -----------------------------------------

    def _odd_one(self, item: Any, words: bool) -> _Odd | None:
        """None for what the Rust tokenizer cuts as sentencepiece does, or refuses."""
        pair = [item] if isinstance(item, str) or (words and all(isinstance(word, str) for word in item)) else item
        texts = [[part] if isinstance(part, str) else part for part in pair]
        flat = [text for some in texts for text in some]
        if not all(isinstance(text, str) for text in flat):
            return None
        starts = frozenset(start for text in flat if (start := self._start(text)))
        composed = self._cutter.charsmap is not None and any(_composes(text) for text in flat)
        if not starts and not composed:
            return None
        unmapped: list[list[Origins | None]] = [[None] * len(some) for some in texts]
        if not composed:
            return _Odd(item, False, unmapped, starts)
        mapped = [[self._mapped(text) for text in some] for some in texts]
        if any(one is None for some in mapped for one in some):
            return _Odd(item, False, unmapped, starts)
        shaped = [[text for text, _ in some] if words else some[0][0] for some in mapped]  # type: ignore[index, misc]
        origins: list[list[Origins | None]] = [[origin for _, origin in some] for some in mapped]  # type: ignore[misc]
        return _Odd(shaped[0] if len(pair) == 1 and pair != item else tuple(shaped), True, origins, starts)

    def _start(self, text: str) -> str:
        pattern = self._cutter.starts
        found = pattern.match(text) if pattern is not None else None
        return found.group() if found else ""

    def _mapped(self, text: str) -> tuple[str, Origins] | None:
        """The text after the character map, which leaves tokens alone; None if a token came of it."""
        assert self._cutter.charsmap is not None, "asked only where there is one"
        start = self._start(text)
        tokens = [(0, len(start)), *(found.span() for found in self._special.finditer(text, len(start)))]
        parts, origins, at = [], Origins(), 0
        for begin, end in (*tokens, (len(text), len(text))):
            part, came = self._cutter.charsmap.apply(text[at:begin])
            if self._special.search(part):
                return None
            parts += [part, text[begin:end]]
            origins += [(first + at, last + at) for first, last in came]
            origins += [(place, place + 1) for place in range(begin, end)]
            at = end
        return "".join(parts), origins

    # -- ids and offsets ---------------------------------------------------------------------------------------------

    def _named(self, encoding: Encoding, odd: _Odd | None, words: bool) -> Encoding:
        """With the ids of tokens that Rust has none for, and offsets in the text as it was given."""
        cutter = self._cutter
        windows = [encoding, *encoding.overflowing]
        moved = odd is not None and odd.is_mapped
        if not moved and not any(
            cutter.unknown in window.ids or max(window.ids, default=0) >= cutter.size for window in windows
        ):
            return encoding
        state = json.loads(encoding.__getstate__())
        for window, fields in zip(windows, (state, *state["overflowing"]), strict=True):
            fields["ids"] = list(map(self._id, fields["ids"], fields["tokens"]))
            if moved and odd is not None:
                places = zip(window.sequence_ids, window.word_ids, window.offsets, strict=True)
                fields["offsets"] = [_moved(odd, words, *place) for place in places]
        named = Encoding()
        named.__setstate__(json.dumps(state).encode())
        return named

    def _id(self, index: int, token: str) -> int:
        cutter = self._cutter
        if index != cutter.unknown and index < cutter.size:
            return index
        found = self._added.get(token)
        return cutter.ids.get(token, cutter.unknown) if found is None else found


def _moved(odd: _Odd, words: bool, sequence: int | None, word: int | None, offsets: tuple[int, int]) -> tuple[int, int]:
    """Offsets in the text as given, of those in the mapped one."""
    start, end = offsets
    origins = None if sequence is None else odd.origins[sequence][word or 0 if words else 0]
    if origins is None or start >= end:
        return offsets
    return origins[start][0], origins[end - 1][1]


_KNOWN: dict[str, bool] = {}  # character → whether it may be part of the one before it


def _composes(text: str) -> bool:
    """Whether a user-perceived character of the text may be of several code points."""
    for character in set(text) - _KNOWN.keys():
        _KNOWN[character] = unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or any(
            character in some for some in _OTHERS
        )
    return any(map(_KNOWN.__getitem__, set(text)))


_OTHERS = (
    "\r\u0e33\u0eb3\uff9e\uff9f",
    [chr(code) for some in ((0x1100, 0x1200), (0xA960, 0xA980), (0xD7B0, 0xD800)) for code in range(*some)],  # jamo
    [chr(code) for some in ((0x1F1E6, 0x1F200), (0x1F3FB, 0x1F400)) for code in range(*some)],  # flags, skin tones
)
