"""Answers to questions, as SQuAD scores them: exactly right, and by the words (or characters) shared."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError, InvalidArgument
from .inputs import check_lengths, items

__all__ = ["exact_match", "squad", "squad_v2"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_KOREAN_MARKS = re.compile("['\"《》<>〈〉()‘’]")


def squad(predictions: Any, references: Any, *, level: str = "words") -> dict[str, float]:
    """{'exact_match', 'f1'} in per cent, of SQuAD 1.1.

    predictions: [{'id', 'prediction_text'}].   references: [{'id', 'answers': {'text': [several right answers]}}].
    level: 'words'; 'characters', as KorQuAD does it: Korean particles are written onto words, so that words seldom
    agree as a whole.
    Raises InputError, InvalidArgument.   Sources: Rajpurkar et al. 2016, arXiv:1606.05250; Lim et al. 2019,
    arXiv:1909.07005.
    """
    normalize, tokens = _level(level)
    exact, overlap = [], []
    for guess, texts in _matched(predictions, references):
        truths = texts or [""]
        exact.append(max(normalize(guess["prediction_text"]) == normalize(truth) for truth in truths))
        overlap.append(max(_overlap(tokens(guess["prediction_text"]), tokens(truth)) for truth in truths))
    return {"exact_match": 100.0 * float(np.mean(exact)), "f1": 100.0 * float(np.mean(overlap))}


def squad_v2(
    predictions: Any, references: Any, *, no_answer_threshold: float = 1.0, level: str = "words"
) -> dict[str, float]:
    """The scores of SQuAD 2.0 in per cent, where a question may have no answer (answers: {'text': []}).

    predictions: [{'id', 'prediction_text', 'no_answer_probability'}]; the text of no answer is ''.
    no_answer_threshold: above this probability the prediction counts as no answer.
    Returns exact, f1, total; HasAns_… and NoAns_… of the questions of either kind; best_exact, best_f1 and the
    thresholds by which they are reached. As in the official script, predictions of one probability are taken one after
    the other in looking for the best threshold: where all are 0, it says nothing.
    Raises InputError, InvalidArgument.   Source: Rajpurkar et al. 2018, arXiv:1806.03822.
    """
    normalize, tokens = _level(level)
    rows = _matched(predictions, references, "no_answer_probability")
    texts = [guess["prediction_text"] for guess, _ in rows]
    chances = np.asarray([_probability(guess) for guess, _ in rows])
    answerable = np.asarray([bool(truths) for _, truths in rows])
    right = [[truth for truth in truths if normalize(truth)] or [""] for _, truths in rows]
    raw = {
        "exact": _best(texts, right, lambda guess, truth: float(normalize(guess) == normalize(truth))),
        "f1": _best(texts, right, lambda guess, truth: _overlap(tokens(guess), tokens(truth), both_empty=True)),
    }
    scores = {name: np.where(chances > no_answer_threshold, ~answerable, part) for name, part in raw.items()}
    result: dict[str, float] = {}
    for prefix, chosen in (("", answerable | True), ("HasAns_", answerable), ("NoAns_", ~answerable)):
        if chosen.any():
            result |= {prefix + name: 100.0 * float(part[chosen].mean()) for name, part in scores.items()}
            result[prefix + "total"] = int(chosen.sum())
    for name, part in raw.items():
        result |= _best_threshold(name, part, texts, chances, answerable)
    return result


def exact_match(
    predictions: Any,
    references: Any,
    *,
    regexes_to_ignore: Sequence[str] | None = None,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> float:
    """The share of predictions that equal their reference, character by character, after what is to be ignored.

    Raises InputError.
    """
    guesses, truths = items(predictions, "predictions"), items(references, "references")
    check_lengths(guesses, truths)
    dropped = (string.punctuation if ignore_punctuation else "") + (string.digits if ignore_numbers else "")
    table = str.maketrans("", "", dropped)

    def plain(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for regex in regexes_to_ignore or ():
            value = re.sub(regex, "", value)
        return (value.lower() if ignore_case else value).translate(table)

    return float(np.mean([plain(guess) == plain(truth) for guess, truth in zip(guesses, truths, strict=True)]))


# -- what is given ---------------------------------------------------------------------------------------------------


def _matched(predictions: Any, references: Any, *more: str) -> list[tuple[dict[str, Any], list[str]]]:
    """Each reference's prediction, found by its id, and its right answers.   Raises InputError."""
    guesses, truths = items(predictions, "predictions"), items(references, "references")
    check_lengths(guesses, truths)
    _check_keys(guesses, "predictions", ("id", "prediction_text", *more))
    _check_keys(truths, "references", ("id", "answers"))
    by_id = {guess["id"]: guess for guess in guesses}
    if len(by_id) < len(guesses):
        twice = next(name for name, times in Counter(guess["id"] for guess in guesses).items() if times > 1)
        raise InputError(f"the id {twice!r:.60} has several predictions; expected one for each question.")
    rows = []
    for truth in truths:
        if truth["id"] not in by_id:
            raise InputError(f"the question {truth['id']!r:.60} has no prediction; the ids of both must be the same.")
        rows.append((by_id[truth["id"]], _answers(truth)))
    return rows


def _check_keys(rows: list[Any], name: str, keys: tuple[str, ...]) -> None:
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or (missing := [key for key in keys if key not in row]):
            lack = f"lacks {', '.join(map(repr, missing))}" if isinstance(row, dict) else f"is {row!r:.60}"
            raise InputError(f"{name}[{index}] {lack}; expected a dict with {', '.join(map(repr, keys))}.")
        if "prediction_text" in row and not isinstance(row["prediction_text"], str):
            raise InputError(f"{name}[{index}]['prediction_text'] is {row['prediction_text']!r:.60}; expected a str.")


def _answers(truth: dict[str, Any]) -> list[str]:
    """Of {'text': [...]}, as in a data set's column, or of a list of {'text': ...}."""
    answers = truth["answers"]
    texts = answers.get("text") if isinstance(answers, dict) else [row.get("text") for row in answers]
    if not isinstance(texts, (list, tuple, np.ndarray)) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"the answers of {truth['id']!r:.60} are {answers!r:.60}; expected {{'text': [str, …]}}.")
    return list(texts)


def _probability(guess: dict[str, Any]) -> float:
    value = float(guess["no_answer_probability"])
    if value != value:
        raise InputError(f"no_answer_probability of {guess['id']!r:.60} is NaN; expected a number.")
    return value


# -- scores ----------------------------------------------------------------------------------------------------------


def _level(level: str) -> tuple[Callable[[str], str], Callable[[str], list[str]]]:
    """How answers are normalized, and what of them is compared."""
    if level == "words":
        return _english, lambda text: _english(text).split()
    if level == "characters":
        return _korean, lambda text: list(_korean(text).replace(" ", ""))
    raise InvalidArgument(f"level={level!r:.40}: expected 'words' or 'characters'.")


def _english(text: str) -> str:
    """Lower case, without punctuation, articles and more than single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _korean(text: str) -> str:
    """Lower case, without quotation marks, brackets, punctuation and more than single spaces."""
    return " ".join(_KOREAN_MARKS.sub(" ", text).lower().translate(_PUNCTUATION).split())


def _overlap(guess: list[str], truth: list[str], both_empty: bool = False) -> float:
    """F1 of two bags of tokens.   both_empty: two empty ones agree."""
    if both_empty and not (guess and truth):
        return float(guess == truth)
    common = (Counter(guess) & Counter(truth)).total()
    if not common:
        return 0.0
    precision, recall = common / len(guess), common / len(truth)
    return 2 * precision * recall / (precision + recall)


def _best(texts: list[str], right: list[list[str]], score: Callable[[str, str], float]) -> np.ndarray[Any, Any]:
    return np.asarray([max(score(g, truth) for truth in truths) for g, truths in zip(texts, right, strict=True)])


def _best_threshold(name: str, scores: Any, texts: list[str], chances: Any, answerable: Any) -> dict[str, float]:
    """From 'no answer' for all, answers are let in, the least doubtful first."""
    order = np.argsort(chances, kind="stable")
    said = np.asarray([bool(text) for text in texts])
    gains = np.where(answerable, scores, -1.0 * said)[order]
    sums = np.concatenate([[0.0], np.cumsum(gains)]) + (~answerable).sum()
    best = int(np.argmax(sums))
    threshold = 0.0 if best == 0 else float(chances[order[best - 1]])
    return {f"best_{name}": 100.0 * float(sums[best]) / len(texts), f"best_{name}_thresh": threshold}
