"""Make tests/golden/metrics.json: what scikit-learn, SciPy, seqeval and rouge-score say of inputs drawn once.

Run in the oracle's environment, from the repository's root:  python tests/golden/make_metrics.py
"""

from __future__ import annotations

import json
import random
import warnings
from pathlib import Path
from typing import Any

import seqeval.metrics
import seqeval.scheme
import sklearn.metrics
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from scipy import stats

TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
TEXT = """the cats sat happily on a relational mat . generalizations , flying skies
 news troubled conflated hopping oats 1990s agreed's well-being controlling geology
 formally electrical adjustment"""
WORDS = TEXT.split(" ")


def labels(chance: random.Random) -> list[dict[str, Any]]:
    """Of several kinds of labels, by every average."""
    cases = []
    for names in ([0, 1], [0, 1, 2, 7], ["긍정", "부정", "neutral"]):
        guesses, truths = (chance.choices(names, k=25) for _ in range(2))
        case: dict[str, Any] = {"predictions": guesses, "references": truths}
        case["accuracy"] = sklearn.metrics.accuracy_score(truths, guesses)
        case["matthews_correlation"] = sklearn.metrics.matthews_corrcoef(truths, guesses)
        for average in ("binary", "micro", "macro", "weighted", None):
            if average != "binary" or names == [0, 1]:
                scores = sklearn.metrics.precision_recall_fscore_support(truths, guesses, average=average)[:3]
                case[str(average)] = [s.tolist() if hasattr(s, "tolist") else s for s in scores]
        cases.append(case)
    return cases


def numbers(chance: random.Random) -> list[dict[str, Any]]:
    """With and without ties."""
    cases = []
    for draw in (lambda: chance.gauss(0, 2), lambda: float(chance.randint(0, 5))):
        guesses, truths = ([draw() for _ in range(20)] for _ in range(2))
        cases.append(
            {
                "predictions": guesses,
                "references": truths,
                "pearsonr": float(stats.pearsonr(guesses, truths).statistic),
                "spearmanr": float(stats.spearmanr(guesses, truths).statistic),
                "mse": float(sklearn.metrics.mean_squared_error(truths, guesses)),
                "mae": float(sklearn.metrics.mean_absolute_error(truths, guesses)),
            }
        )
    return cases


def entities(chance: random.Random) -> list[dict[str, Any]]:
    """By each scheme, strictly and as conlleval does."""
    cases = []
    for scheme, letters in ((None, "BIES"), ("IOB2", "BI"), ("IOBES", "BIES")):
        tags = ["O", "O", *(f"{letter}-{kind}" for letter in letters for kind in ("PER", "기관"))]
        truths = [chance.choices(tags, k=chance.randint(4, 9)) for _ in range(12)]
        guesses = [[tag if chance.random() < 0.8 else chance.choice(tags) for tag in row] for row in truths]
        options = {"mode": "strict", "scheme": getattr(seqeval.scheme, scheme)} if scheme else {}
        report = seqeval.metrics.classification_report(truths, guesses, output_dict=True, **options)
        cases.append(
            {
                "predictions": guesses,
                "references": truths,
                "scheme": scheme,
                "accuracy": seqeval.metrics.accuracy_score(truths, guesses),
                "report": {
                    name: [float(row[key]) for key in ("precision", "recall", "f1-score", "support")]
                    for name, row in report.items()
                },
            }
        )
    return cases


def texts(chance: random.Random) -> list[dict[str, Any]]:
    """Single and several references, words and stems."""
    cases = []
    for use_stemmer in (False, True):
        guesses = [" ".join(chance.choices(WORDS, k=chance.randint(0, 30))) for _ in range(12)]
        truths = [[" ".join(chance.choices(WORDS, k=20)) for _ in range(chance.randint(1, 2))] for _ in range(12)]
        scorer = rouge_scorer.RougeScorer(TYPES, use_stemmer=use_stemmer)
        rows = [scorer.score_multi(truth, guess) for guess, truth in zip(guesses, truths, strict=True)]
        scores = {name: [row[name].fmeasure for row in rows] for name in TYPES}
        cases.append({"predictions": guesses, "references": truths, "use_stemmer": use_stemmer, "scores": scores})
    return cases


def stems() -> dict[str, str]:
    """Every suffix behind a few beginnings."""
    ends = "s es ies ied ed eed ing y ational tional enci izer bli alli entli ousli ization ation ator alism iveness "
    ends += (
        "fulness ousness aliti biliti fulli logi icate ative alize ical ful ness ance er able ement ment ent sion ll"
    )
    stemmer = PorterStemmer()
    words = [start + end for start in ("b", "sk", "d", "fall", "siz", "conflat", "geo") for end in ends.split()]
    return {word: stemmer.stem(word) for word in [*words, "dying", "skies", "news", "cannings", "succeed"]}


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    chance = random.Random(11)
    made = {"labels": labels(chance), "numbers": numbers(chance), "entities": entities(chance), "texts": texts(chance)}
    path = Path(__file__).with_name("metrics.json")
    path.write_text(json.dumps({**made, "stems": stems()}, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
