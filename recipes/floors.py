"""What anybody reaches without a model: the floor under each score."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

__all__ = ["Row", "characters", "most_frequent", "naive_bayes", "tag_by_word", "words"]

Row = dict[str, Any]


def words(text: str) -> list[str]:
    """Words and marks, in lower case."""
    return re.findall(r"\w+|[^\w\s]", text.lower())


def characters(text: str) -> list[str]:
    """Runs of one to three characters: what stands for words in Korean."""
    text = " ".join(text.split())
    return [text[i : i + n] for n in (1, 2, 3) for i in range(len(text) - n + 1)]


def most_frequent(train: Iterable[Row], label: str = "label") -> Callable[[Row], Any]:
    """The commonest label, for everything."""
    answer = Counter(row[label] for row in train).most_common(1)[0][0]
    return lambda row: answer


def naive_bayes(train: Sequence[Row], cut: Callable[[str], list[str]], text: str = "text") -> Callable[[Row], Any]:
    """Multinomial naive Bayes over the pieces of a text, counts from one."""
    totals: Counter[Any] = Counter()
    counts: dict[Any, Counter[str]] = defaultdict(Counter)
    for row in train:
        totals[row["label"]] += 1
        counts[row["label"]].update(cut(row[text]))
    size = len({piece for each in counts.values() for piece in each})
    sums = {label: sum(each.values()) + size for label, each in counts.items()}

    def answer(row: Row) -> Any:
        pieces = cut(row[text])

        def score(label: Any) -> float:
            return math.log(totals[label]) + sum(math.log((counts[label][p] + 1) / sums[label]) for p in pieces)

        return max(totals, key=score)

    return answer


def tag_by_word(train: Iterable[Row]) -> Callable[[Row], list[str]]:
    """Each word's commonest tag in the training rows; O for others."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for word, tag in zip(row["tokens"], row["tags"], strict=True):
            seen[word][tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    return lambda row: [best.get(word, "O") for word in row["tokens"]]
