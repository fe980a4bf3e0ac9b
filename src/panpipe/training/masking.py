"""What a model is to guess: masks, spans and shuffled sentences, each drawn for one text from a generator of its own.

Nothing here knows batches: whoever gives the generator decides that the same text has the same mask. What is hidden of
a text is counted in its own tokens; special tokens stay.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgument
from ..pipelines.scripts import is_unspaced
from ..tokenization import Tokenizer
from .batches import IGNORED

__all__ = [
    "Masking",
    "Sentences",
    "Words",
    "fill_in",
    "group_texts",
    "mask_tokens",
    "noise_spans",
    "sentinels_of",
    "special_ids",
]

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SENTENCE_ENDS = ".!?。！？…"


# -- single tokens and words -----------------------------------------------------------------------------------------


class Masking(NamedTuple):
    """How tokens are hidden.   probability: of a token (or word).

    replace, random: the shares of the chosen that become the mask, and any token; the rest stay, and are asked for too.
    """

    mask_id: int
    vocab_size: int
    probability: float = 0.15
    replace: float = 0.8
    random: float = 0.1


def mask_tokens(
    ids: Ints, hideable: Flags, how: Masking, random: np.random.Generator, words: Ints | None = None
) -> tuple[Ints, Ints]:
    """The ids with some hidden, and the labels: what was there, -100 elsewhere.

    hideable: bool [tokens].   words: the number of each token's word, where whole words are to be chosen.
    Sources: Devlin et al. 2019, arXiv:1810.04805, section 3.1; whole words: their repository, May 2019.
    """
    numbers = np.arange(len(ids)) if words is None else words
    draws = random.random(len(ids))  # one for each word there can be
    chosen = hideable & (draws[numbers] < how.probability)
    fate = random.random(len(ids))
    others = random.integers(how.vocab_size, size=len(ids))
    hidden = np.where(chosen & (fate < how.replace), how.mask_id, ids)
    is_other = chosen & (fate >= how.replace) & (fate < how.replace + how.random)
    return np.where(is_other, others, hidden), np.where(chosen, ids, IGNORED)


def special_ids(tokenizer: Tokenizer) -> Ints:
    """The ids of the special tokens."""
    return np.asarray([token_id for token_id in tokenizer.all_special_ids if token_id is not None], np.int64)


class Words:
    """Which tokens begin words, by the tokens' own marks: ## (WordPiece), Ġ (byte-level BPE), ▁ (SentencePiece).

    Korean words are what stands between spaces, as the tokenizers see them; in scripts without spaces (Han, Kana, Thai)
    each token is a word. Punctuation is no part of a word.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(special_ids(tokenizer).tolist())
        self._mark, self._joins = _convention(tokenizer)
        self._known: dict[int, tuple[bool, bool, bool]] = {}

    def numbers(self, ids: Sequence[int] | Ints) -> Ints:
        """int64 [tokens]: the word of each token, counted from 0."""
        begins = np.ones(len(ids), bool)
        was_open = False
        for place, token_id in enumerate(np.asarray(ids).tolist()):
            continues, takes, leaves_open = self._edges(token_id)
            begins[place] = not (continues and takes and was_open)
            was_open = leaves_open
        return np.cumsum(begins) - (1 if len(ids) else 0)

    def _edges(self, token_id: int) -> tuple[bool, bool, bool]:
        """Whether it is marked as going on, begins with a letter, and ends with one."""
        if token_id not in self._known:
            self._known[token_id] = self._seen(token_id)
        return self._known[token_id]

    def _seen(self, token_id: int) -> tuple[bool, bool, bool]:
        if token_id in self._special:
            return False, False, False
        token = str(self._tokenizer.convert_ids_to_tokens(token_id))
        is_marked = token.startswith(self._mark)
        if self._joins:
            return is_marked, True, True
        text = token.removeprefix(self._mark)
        if self._mark == "Ġ":
            text = _of_bytes(text)
        if not text:  # a space alone: what follows is its word
            return False, True, True
        return not is_marked, _is_of_word(text[0]), _is_of_word(text[-1])


def _convention(tokenizer: Tokenizer) -> tuple[str, bool]:
    """The mark, and whether it says that a token goes on (rather than that it begins a word)."""
    kind = type(tokenizer.backend_tokenizer.model).__name__
    if kind == "WordPiece":
        return str(getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None) or "##"), True
    vocab = tokenizer.get_vocab()
    if "Ġ" in vocab or any(token.startswith("Ġ") for token in vocab):
        return "Ġ", False
    return "▁", False


def _is_of_word(character: str) -> bool:
    return character == _PART or (not is_unspaced(character) and unicodedata.category(character)[0] in "LMN")


_PART = "\ufffd"  # of a character, the rest of which is in another token


_OTHERS: tuple[int, ...] = (*range(33), *range(127, 161), 173)


def _of_bytes(token: str) -> str:
    """The text of a byte-level token, in which each byte is a printable character."""
    return bytes(map(_byte, token)).decode("utf-8", "replace")


def _byte(character: str) -> int:
    """Printable bytes are themselves; the others are numbered from 256 on."""
    code = ord(character)
    if code < 256:
        return code
    return _OTHERS[min(code - 256, len(_OTHERS) - 1)]


# -- spans (T5) ------------------------------------------------------------------------------------------------------


def sentinels_of(tokenizer: Tokenizer) -> Ints:
    """The ids of <extra_id_0>, <extra_id_1> …   Raises InvalidArgument for a tokenizer without them."""
    vocab = tokenizer.get_vocab()
    found: list[int] = []
    while (token := f"<extra_id_{len(found)}>") in vocab:
        found.append(vocab[token])
    if not found:
        raise InvalidArgument("span corruption needs the tokens <extra_id_0>, <extra_id_1> … of a T5; this has none.")
    return np.asarray(found, np.int64)


def noise_spans(
    ids: Ints, sentinels: Ints, random: np.random.Generator, density: float = 0.15, mean_length: float = 3.0
) -> tuple[Ints, Ints]:
    """A text with spans of it taken out, and these spans; a sentinel stands for each part left out on either side.

    density: the share of tokens taken out.   mean_length: of a span.   Raises InvalidArgument for too few sentinels.
    Source: Raffel et al. 2020, arXiv:1910.10683, section 3.1.4; the lengths are drawn as in their random_spans.
    """
    if len(ids) < 2:
        return np.append(ids, sentinels[:1]), sentinels[:1]
    hidden = min(max(round(len(ids) * density), 1), len(ids) - 1)
    spans = min(max(round(hidden / mean_length), 1), len(ids) - hidden)
    if spans >= len(sentinels):
        raise InvalidArgument(
            f"a text of {len(ids)} tokens needs {spans + 1} sentinels, and the tokenizer has {len(sentinels)}: "
            "use shorter texts (block_size), a smaller noise_density or longer spans."
        )
    lengths = np.stack([_parts(len(ids) - hidden, spans, random), _parts(hidden, spans, random)], axis=1).ravel()
    pieces = np.split(ids, np.cumsum(lengths)[:-1])
    kept: list[Ints] = []
    taken: list[Ints] = []
    for number, (before, span) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
        kept += [before, sentinels[number : number + 1]]
        taken += [sentinels[number : number + 1], span]
    return np.concatenate(kept), np.concatenate([*taken, sentinels[spans : spans + 1]])


def _parts(total: int, number: int, random: np.random.Generator) -> Ints:
    """A total as a sum of so many parts of at least 1, each way equally likely."""
    cuts = np.sort(random.choice(total - 1, number - 1, replace=False)) + 1
    return np.diff(np.concatenate([[0], cuts, [total]]))


# -- infilling and sentences (BART) ----------------------------------------------------------------------------------


def fill_in(ids: Ints, mask_id: int, random: np.random.Generator, ratio: float = 0.3, mean_length: float = 3.0) -> Ints:
    """A text in which spans are each one mask; a span of no tokens puts a mask between two.

    ratio: of tokens hidden.   mean_length: of the Poisson distribution that the lengths are drawn from.
    Source: Lewis et al. 2020, arXiv:1910.13461, section 2.2 (text infilling).
    """
    lengths: list[int] = []
    budget = round(len(ids) * ratio)
    while sum(lengths) < budget:
        lengths.append(min(int(random.poisson(mean_length)), budget - sum(lengths)))
    random.shuffle(lengths)  # the one that was cut short is not always last
    spans = [length for length in lengths if length][: len(ids) - budget + 1]
    gaps = np.sort(random.choice(len(ids) - budget + 1, len(spans), replace=False))  # apart: two that touch were one
    hidden, begins = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
    before = 0
    for gap, length in zip(gaps.tolist(), spans, strict=True):
        begins[gap + before] = True
        hidden[gap + before : gap + before + length] = True
        before += length
    out = np.where(hidden, mask_id, ids)[~hidden | begins]
    return np.insert(out, random.integers(len(out) + 1, size=lengths.count(0)), mask_id)


class Sentences:
    """Where sentences end, by the tokens: with a full stop, a question or an exclamation mark."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[int, bool] = {}

    def shuffled(self, ids: Ints, random: np.random.Generator) -> Ints:
        """The text with its sentences in another order (Lewis et al. 2020, section 2.2: sentence permutation)."""
        ends = np.flatnonzero([self._is_end(token_id) for token_id in ids.tolist()]) + 1
        pieces = [piece for piece in np.split(ids, ends) if len(piece)]
        if len(pieces) < 2:
            return ids
        return np.concatenate([pieces[place] for place in random.permutation(len(pieces))])

    def _is_end(self, token_id: int) -> bool:
        if token_id not in self._known:
            text = self._tokenizer.decode([token_id]).rstrip()
            self._known[token_id] = text.endswith(tuple(SENTENCE_ENDS))
        return self._known[token_id]


# -- blocks ----------------------------------------------------------------------------------------------------------


def group_texts(
    texts: Iterable[Sequence[int]], block_size: int, *, drop_remainder: bool = False
) -> Iterator[Mapping[str, Any]]:
    """Texts in blocks of at most block_size tokens, each {"input_ids", "document_lengths"}.

    Short texts share a block, and none sees another: a block is several sequences of a ragged batch. Long ones go on in
    the next block. drop_remainder: only blocks of exactly block_size, as the course has them.
    """
    if block_size < 1:
        raise InvalidArgument(f"block_size is {block_size}; it must be 1 or more.")
    ids: list[int] = []
    lengths: list[int] = []
    for text in texts:
        place = 0
        while place < len(text):
            part = text[place : place + block_size - len(ids)]
            ids += part
            lengths.append(len(part))
            place += len(part)
            if len(ids) == block_size:
                yield {"input_ids": ids, "document_lengths": lengths}
                ids, lengths = [], []
    if ids and not drop_remainder:
        yield {"input_ids": ids, "document_lengths": lengths}
