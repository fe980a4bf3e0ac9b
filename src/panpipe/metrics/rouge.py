"""ROUGE: how much of a reference text a prediction repeats, in runs of words and in order.

Equal to rouge-score on English. Texts in other scripts have words too: that library keeps the letters a to z and
digits alone, so that a Korean text scores 0 whatever it says.
Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, InvalidArgument
from .inputs import check_lengths, check_texts, items
from .stemmer import stem

__all__ = ["TYPES", "RougeScore", "Score", "characters", "rouge", "words"]

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_WORD = re.compile("[a-z0-9]+")
Tokenize = Callable[[str], list[str]]


class Score(NamedTuple):
    """Of one prediction."""

    precision: float
    recall: float
    fmeasure: float


class RougeScore(float):
    """The F-measure over all predictions; `low`, `mid`, `high`: Scores, the ends and middle of 95 % of the samples."""

    low: Score
    mid: Score
    high: Score


def rouge(
    predictions: Any,
    references: Any,
    *,
    rouge_types: Sequence[str] | None = None,
    use_aggregator: bool = True,
    use_stemmer: bool = False,
    tokenizer: Any = "words",
    seed: int = 0,
) -> dict[str, Any]:
    """ROUGE-1, -2, -L and -Lsum as F-measures, 0 … 1.

    references: a text for each prediction, or a list of texts, of which the best counts.
    rouge_types: 'rouge1' … 'rouge9', 'rougeL' (the whole as one sentence), 'rougeLsum' (a sentence a line).
    use_aggregator: one RougeScore for each type: the median of 1000 means over samples drawn with `seed`, as in
    rouge-score; otherwise a list, a value for each prediction.   use_stemmer: English words by their stems.
    tokenizer: 'words' (where a script has no spaces, as Han, Kana and Thai, its characters); 'characters', which for
    Korean counts syllables; or a function from a text to a list of str, or an object whose `tokenize` is that.
    Raises InputError, InvalidArgument.
    """
    types = list(TYPES if rouge_types is None else rouge_types)
    if wrong := [name for name in types if not re.fullmatch("rouge([1-9]|L|Lsum)", str(name))]:
        raise InvalidArgument(f"{wrong[0]!r:.40} is no ROUGE type: expected rouge1 … rouge9, rougeL or rougeLsum.")
    guesses, truths = items(predictions, "predictions"), items(references, "references")
    check_lengths(guesses, truths)
    check_texts(guesses, "predictions")
    tokenize = _tokenize(tokenizer, use_stemmer)
    rows = [
        _best([_scores(guess, text, types, tokenize) for text in _texts(truth, index)], types)
        for index, (guess, truth) in enumerate(zip(guesses, truths, strict=True))
    ]
    if not use_aggregator:
        return {name: [row[name].fmeasure for row in rows] for name in types}
    return dict(zip(types, _aggregated([[row[name] for name in types] for row in rows], seed), strict=True))


def _texts(reference: Any, index: int) -> list[str]:
    texts = [reference] if isinstance(reference, str) else items(reference, f"references[{index}]")
    check_texts(texts, f"references[{index}]")
    if not texts:
        raise InputError(f"references[{index}] is an empty list; expected a text or several.")
    return texts


def _best(scores: Sequence[dict[str, Score]], types: Iterable[str]) -> dict[str, Score]:
    return {name: max((score[name] for score in scores), key=lambda score: score.fmeasure) for name in types}


# -- tokens ----------------------------------------------------------------------------------------------------------


def words(text: str) -> list[str]:
    """The words in lower case: runs of letters, marks and digits; each character where a script has no spaces."""
    if text.isascii():
        return _WORD.findall(text.lower())
    found: list[str] = []
    before = ""
    for character in unicodedata.normalize("NFC", text).lower():
        kind = _kind(character)
        if kind and (kind == "mark" or kind == before == "spaced"):
            if before:
                found[-1] += character
            continue
        if kind:
            found.append(character)
        before = kind
    return found


@lru_cache(maxsize=4096)
def _kind(character: str) -> str:
    """'spaced', 'unspaced' (of a script without spaces), 'mark' (on the character before) or '' (of no word)."""
    from ..pipelines.scripts import is_unspaced  # here: few texts need it

    if unicodedata.category(character)[0] == "M":
        return "mark"
    if not character.isalnum():
        return ""
    return "unspaced" if is_unspaced(character) else "spaced"


def characters(text: str) -> list[str]:
    """The letters, marks and digits in lower case, one by one; in Korean, the syllables."""
    return [character for character in unicodedata.normalize("NFC", text).lower() if _kind(character)]


def _tokenize(tokenizer: Any, use_stemmer: bool) -> Tokenize:
    named: dict[Any, Tokenize] = {"words": words, "characters": characters, None: words}
    if tokenizer is None or isinstance(tokenizer, str):
        if tokenizer not in named:
            raise InvalidArgument(f"tokenizer={tokenizer!r:.40}: expected 'words', 'characters' or a function.")
        tokenize = named[tokenizer]
    else:
        tokenize = getattr(tokenizer, "tokenize", tokenizer)
        if not callable(tokenize):
            raise InvalidArgument(f"tokenizer={tokenizer!r:.40}: expected 'words', 'characters' or a function.")
    if not use_stemmer or tokenize is not words:
        return tokenize
    return lambda text: [stem(word) if len(word) > 3 and word.isascii() else word for word in words(text)]


# -- scores ----------------------------------------------------------------------------------------------------------


def _scores(guess: str, truth: str, types: Iterable[str], tokenize: Tokenize) -> dict[str, Score]:
    """Of one prediction and one reference."""
    ours, theirs = tokenize(guess), tokenize(truth)
    scores = {}
    for name in types:
        if name == "rougeLsum":
            sides = ([tokenize(line) for line in text.split("\n") if line] for text in (guess, truth))
            scores[name] = _by_sentences(*sides)
        elif name == "rougeL":
            scores[name] = _score(common_length(theirs, ours), len(ours), len(theirs))
        else:
            scores[name] = _by_runs(ours, theirs, int(name[-1]))
    return scores


def _score(common: int, guessed: int, true: int) -> Score:
    precision, recall = common / max(guessed, 1), common / max(true, 1)
    return Score(precision, recall, 2 * precision * recall / (precision + recall) if common else 0.0)


def _by_runs(ours: list[str], theirs: list[str], size: int) -> Score:
    guessed, true = (Counter(_runs(tokens, size)) for tokens in (ours, theirs))
    return _score((guessed & true).total(), guessed.total(), true.total())


def _runs(tokens: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(size)), strict=False)


def _by_sentences(ours: list[list[str]], theirs: list[list[str]]) -> Score:
    """Each reference sentence's tokens that are in its longest common subsequence with any predicted sentence."""
    left_ours, left_theirs = Counter(chain(*ours)), Counter(chain(*theirs))
    num_ours, num_theirs = left_ours.total(), left_theirs.total()
    common = 0
    for sentence in theirs:
        places = set[int]().union(*(common_places(sentence, guessed) for guessed in ours))
        for token in (sentence[place] for place in sorted(places)):
            if left_ours[token] > 0 and left_theirs[token] > 0:  # none counts twice
                common += 1
                left_ours[token] -= 1
                left_theirs[token] -= 1
    return _score(common, num_ours, num_theirs)


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    rows = _rows(first, second)
    return len(first) - rows[-1].bit_count() if rows else 0


def common_places(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The places in `first` of a longest common subsequence: the one that rouge-score reads off its table."""
    rows = _rows(first, second)
    i, j = len(first), len(second)
    places = []
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif rows[j - 1] >> (i - 1) & 1:
            i -= 1
        else:  # the table grows at i in this row, so the value came down from the row before
            j -= 1
    return places[::-1]


def _rows(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """The table of lengths in bits, a row for each token of `second`: bit i is 0 where the length grows at first[i].

    Source: Hyyrö 2004, "Bit-parallel LCS-length computation revisited".
    """
    where: dict[str, int] = {}
    for index, token in enumerate(first):
        where[token] = where.get(token, 0) | 1 << index
    full = (1 << len(first)) - 1
    row, rows = full, []
    for token in second:
        matches = row & where.get(token, 0)
        row = (row + matches | row - matches) & full
        rows.append(row)
    return rows


# -- all predictions -------------------------------------------------------------------------------------------------


def _aggregated(rows: list[list[Score]], seed: int, num_samples: int = 1000) -> list[RougeScore]:
    """A score for each type, from the means of samples drawn with replacement."""
    table = np.asarray(rows, dtype=np.float64)  # [predictions, types, precision / recall / F-measure]
    number = len(table)
    chance = np.random.default_rng(seed)
    means = np.empty((num_samples, table[0].size))
    for index in range(num_samples):
        times = np.bincount(chance.integers(0, number, number), minlength=number)
        means[index] = times @ table.reshape(number, -1) / number
    ends = np.percentile(means, (2.5, 50, 97.5), axis=0).reshape(3, *table.shape[1:])
    return [_aggregate(*(Score(*map(float, end[place])) for end in ends)) for place in range(table.shape[1])]


def _aggregate(low: Score, mid: Score, high: Score) -> RougeScore:
    score = RougeScore(mid.fmeasure)
    score.low, score.mid, score.high = low, mid, high
    return score
