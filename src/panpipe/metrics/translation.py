"""BLEU, chrF and TER by sacrebleu, whose signature says exactly what was computed: quote it beside the score."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from ..errors import InputError, InvalidArgument, MissingDependency
from .inputs import check_lengths, check_texts, items

__all__ = ["bleu", "bleu_of_evaluate", "chrf", "ter"]


def bleu(
    predictions: Any,
    references: Any,
    *,
    tokenize: str | None = None,
    smooth_method: str = "exp",
    smooth_value: float | None = None,
    lowercase: bool = False,
    force: bool = False,
    use_effective_order: bool = False,
) -> dict[str, Any]:
    """BLEU of a whole corpus, 0 … 100: {score, counts, totals, precisions, bp, sys_len, ref_len, signature}.

    references: a text for each prediction, or a list of texts, as many for each.
    tokenize: sacrebleu's '13a' (default), 'intl', 'char', 'zh', 'ja-mecab', 'ko-mecab', 'flores200' …; words of Chinese
    and Japanese cannot be told by spaces, and Korean ones carry particles, so give theirs (or look at chrF).
    Raises InputError, InvalidArgument, MissingDependency.   Sources: Papineni et al. 2002; Post 2018, arXiv:1804.08771.
    """
    metric = _metric(
        "BLEU",
        tokenize=tokenize,
        smooth_method=smooth_method,
        smooth_value=smooth_value,
        lowercase=lowercase,
        force=force,
        effective_order=use_effective_order,
    )
    score = metric.corpus_score(*_corpus(predictions, references))
    names = ("score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len")
    return {**{name: getattr(score, name) for name in names}, "signature": str(metric.get_signature())}


def chrf(
    predictions: Any,
    references: Any,
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: int = 2,
    lowercase: bool = False,
    whitespace: bool = False,
    eps_smoothing: bool = False,
) -> dict[str, Any]:
    """chrF, 0 … 100, by runs of characters (word_order=2: chrF++): {score, char_order, word_order, beta, signature}.

    It needs no words, and so treats all scripts alike.   References and errors: see `bleu`.   Source: Popović 2015.
    """
    orders = {"char_order": char_order, "word_order": word_order, "beta": beta}
    metric = _metric("CHRF", **orders, lowercase=lowercase, whitespace=whitespace, eps_smoothing=eps_smoothing)
    score = metric.corpus_score(*_corpus(predictions, references))
    return {"score": score.score, **orders, "signature": str(metric.get_signature())}


def ter(
    predictions: Any,
    references: Any,
    *,
    normalized: bool = False,
    ignore_punct: bool = False,
    support_zh_ja_chars: bool = False,
    case_sensitive: bool = False,
) -> dict[str, Any]:
    """The translation edit rate in per cent, less is better: {score, num_edits, ref_length, signature}.

    References and errors: see `bleu`.   Source: Snover et al. 2006.
    """
    metric = _metric(
        "TER",
        normalized=normalized,
        no_punct=ignore_punct,
        asian_support=support_zh_ja_chars,
        case_sensitive=case_sensitive,
    )
    score = metric.corpus_score(*_corpus(predictions, references))
    names = ("score", "num_edits", "ref_length")
    return {**{name: getattr(score, name) for name in names}, "signature": str(metric.get_signature())}


def bleu_of_evaluate(
    predictions: Any, references: Any, *, max_order: int = 4, smooth: bool = False, tokenize: str | None = None
) -> dict[str, Any]:
    """BLEU under the names of evaluate's 'bleu', 0 … 1, where the shortest reference gives the length.

    smooth: add one to all counts (Lin & Och 2004).   References, tokenize and errors: see `bleu`.
    """
    metric = _metric("BLEU", tokenize=tokenize, smooth_method="none", max_ngram_order=max_order)
    texts, columns = _corpus(predictions, references)
    score = metric.corpus_score(texts, columns)
    more = int(smooth)
    precisions = [
        (right + more) / max(total + more, 1) for right, total in zip(score.counts, score.totals, strict=True)
    ]
    lengths = [[len(metric.tokenizer(text).split()) for text in column] for column in columns]
    length = int(np.min(lengths, axis=0).sum())
    ratio = score.sys_len / length if length else 0.0
    penalty = 1.0 if ratio > 1 else math.exp(1 - 1 / ratio) if ratio else 0.0
    mean = math.exp(sum(map(math.log, precisions)) / max_order) if min(precisions) > 0 else 0.0
    return {
        "bleu": mean * penalty,
        "precisions": precisions,
        "brevity_penalty": penalty,
        "length_ratio": ratio,
        "translation_length": score.sys_len,
        "reference_length": length,
        "signature": str(metric.get_signature()),
    }


def _metric(name: str, **options: Any) -> Any:
    """sacrebleu's class, made.   Raises MissingDependency (also for a tokenizer's own package), InvalidArgument."""
    try:
        metrics = importlib.import_module("sacrebleu.metrics")
    except ImportError:
        raise MissingDependency(
            'BLEU, chrF and TER need sacrebleu: pip install "panpipe[metrics]".  (ROUGE and the others do not.)'
        ) from None
    try:
        return getattr(metrics, name)(**options)
    except (ImportError, RuntimeError, ModuleNotFoundError) as error:
        raise MissingDependency(
            f"tokenize={options.get('tokenize')!r} needs a package more: {' '.join(str(error).split()):.300}"
        ) from None
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise InvalidArgument(f"sacrebleu does not take {options}: {error}.") from None


def _corpus(predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    """The predictions, and a list of references as long for each reference that a prediction has.

    Raises InputError.
    """
    guesses, truths = items(predictions, "predictions"), items(references, "references")
    check_lengths(guesses, truths)
    check_texts(guesses, "predictions")
    rows: list[list[str]] = []
    for index, truth in enumerate(truths):
        row = [truth] if isinstance(truth, str) else items(truth, f"references[{index}]")
        check_texts(row, f"references[{index}]")
        if not row or len(row) != len(rows[0] if rows else row):
            raise InputError(
                f"references[{index}] has {len(row)} texts and references[0] {len(rows[0]) if rows else 0}; expected "
                "as many for each prediction, and at least one."
            )
        rows.append(row)
    return guesses, [list(column) for column in zip(*rows, strict=True)]
