"""Our metrics beside scikit-learn, seqeval, rouge-score and SciPy, on inputs drawn at random."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the oracle's environment has it")
pytest.importorskip("seqeval", reason="the oracle's environment has it")
pytest.importorskip("rouge_score", reason="the oracle's environment has it")

import seqeval.metrics
import seqeval.scheme
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from scipy import stats

from panpipe import metrics
from panpipe.metrics.stemmer import stem

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

EXAMPLES = settings(max_examples=300, deadline=None)
CHANCES = st.integers(0, 2**32 - 1).map(random.Random)
LABELS = {"numbers": [-1, 0, 1, 2, 5], "words": ["긍정", "negative", "중립"]}
TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in ("PER", "지역"))]
ENGLISH = ["the", "cat", "sat", "on", "a", ",", "running-relational", "3.5", "'90s", "\n", "flies", "\n\n", "Dying!"]


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[Any], list[Any], list[float] | None]:
    labels = draw(st.sampled_from([LABELS["numbers"], LABELS["numbers"][:3], [0, 1], LABELS["words"]]))
    size = draw(st.integers(1, 30))
    guesses, truths = (draw(st.lists(st.sampled_from(labels), min_size=size, max_size=size)) for _ in range(2))
    weights = draw(st.one_of(st.none(), st.lists(st.floats(0.1, 5), min_size=size, max_size=size)))
    return guesses, truths, weights


@EXAMPLES
@given(labelled(), st.sampled_from(["micro", "macro", "weighted", None]), st.sampled_from([0, 1, np.nan, "warn"]))
def test_precision_recall_and_f1_are_scikit_learns(case: Any, average: Any, zero: Any) -> None:
    guesses, truths, weights = case
    expected = sklearn.metrics.precision_recall_fscore_support(
        truths, guesses, average=average, zero_division=zero, sample_weight=weights
    )
    ours = metrics.precision_recall_f1(guesses, truths, average, sample_weight=weights, zero_division=zero)
    for one, other in zip(ours, expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


@EXAMPLES
@given(labelled(), st.permutations([*LABELS["numbers"], 9]), st.sampled_from(["micro", "macro", "weighted", None]))
def test_chosen_labels_are_scored_as_by_scikit_learn(case: Any, labels: Any, average: Any) -> None:
    guesses, truths, weights = case
    labels = LABELS["words"][:2] if isinstance(truths[0], str) else labels[:3]
    if not set(labels) & set(truths):  # there scikit-learn raises
        return
    ours = metrics.f1(guesses, truths, average=average, labels=labels, sample_weight=weights)
    expected = sklearn.metrics.f1_score(truths, guesses, average=average, labels=labels, sample_weight=weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


@EXAMPLES
@given(labelled())
def test_accuracy_matthews_and_the_binary_average_are_scikit_learns(case: Any) -> None:
    guesses, truths, weights = case
    accuracy = sklearn.metrics.accuracy_score(truths, guesses, sample_weight=weights)
    assert metrics.accuracy(guesses, truths, sample_weight=weights) == pytest.approx(accuracy, rel=1e-12)
    matthews = sklearn.metrics.matthews_corrcoef(truths, guesses, sample_weight=weights)
    assert metrics.matthews_correlation(guesses, truths, sample_weight=weights) == pytest.approx(matthews, abs=1e-9)
    for positive in sorted({*guesses, *truths}) if len({*guesses, *truths}) <= 2 else ():
        expected = sklearn.metrics.f1_score(truths, guesses, pos_label=positive, sample_weight=weights)
        ours = metrics.f1(guesses, truths, pos_label=positive, sample_weight=weights)
        assert ours == pytest.approx(expected, rel=1e-12)


@EXAMPLES
@given(
    st.integers(1, 12),
    st.integers(2, 5),
    CHANCES,
    st.sampled_from(["micro", "macro", "weighted", "samples", None]),
)
def test_rows_of_labels_are_scored_as_by_scikit_learn(
    size: int, width: int, chance: random.Random, average: Any
) -> None:
    guesses, truths = (np.array([[chance.randint(0, 1) for _ in range(width)] for _ in range(size)]) for _ in range(2))
    expected = sklearn.metrics.precision_recall_fscore_support(truths, guesses, average=average, zero_division=0)
    ours = metrics.precision_recall_f1(guesses, truths, average, zero_division=0)
    for one, other in zip(ours, expected, strict=False):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    assert metrics.accuracy(guesses, truths) == pytest.approx(sklearn.metrics.accuracy_score(truths, guesses))


@EXAMPLES
@given(st.integers(2, 30), CHANCES, st.booleans())
def test_correlations_and_errors_are_scipys_and_scikit_learns(size: int, chance: random.Random, ties: bool) -> None:
    draw = (lambda: float(chance.randint(0, 4))) if ties else (lambda: chance.gauss(0, 3))
    guesses, truths = [draw() for _ in range(size)], [draw() for _ in range(size)]
    for ours, theirs in ((metrics.pearson, stats.pearsonr), (metrics.spearman, stats.spearmanr)):
        expected = theirs(guesses, truths).statistic
        assert ours(guesses, truths) == pytest.approx(expected, abs=1e-10, nan_ok=True)
    assert metrics.mse(guesses, truths) == pytest.approx(sklearn.metrics.mean_squared_error(truths, guesses))
    assert metrics.mae(guesses, truths) == pytest.approx(sklearn.metrics.mean_absolute_error(truths, guesses))
    root = sklearn.metrics.root_mean_squared_error(truths, guesses)
    assert metrics.mse(guesses, truths, squared=False) == pytest.approx(root)


# -- entities --------------------------------------------------------------------------------------------------------


def tagged(chance: random.Random, tags: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    sizes = [chance.randint(1, 9) for _ in range(chance.randint(1, 5))]
    truths = [chance.choices(tags, k=size) for size in sizes]
    guesses = [[tag if chance.random() < 0.7 else chance.choice(tags) for tag in row] for row in truths]
    return guesses, truths


def expected_report(guesses: Any, truths: Any, zero: Any, **options: Any) -> dict[str, Any]:
    report = seqeval.metrics.classification_report(truths, guesses, output_dict=True, zero_division=zero, **options)
    overall = report.pop("micro avg")
    macro = report.pop("macro avg")["f1-score"]
    report.pop("weighted avg")
    keys = {"precision": "precision", "recall": "recall", "f1-score": "f1", "support": "number"}
    result: dict[str, Any] = {kind: {keys[name]: value for name, value in row.items()} for kind, row in report.items()}
    result |= {f"overall_{keys[name]}": overall[name] for name in ("precision", "recall", "f1-score")}
    result["overall_accuracy"] = seqeval.metrics.accuracy_score(truths, guesses)
    return result | {"overall_macro_f1": macro}


def same_scores(ours: dict[str, Any], expected: dict[str, Any]) -> None:
    assert ours.keys() - {"overall_mode", "overall_character_f1"} == expected.keys()
    for key, value in expected.items():
        assert ours[key] == pytest.approx(value, rel=1e-12), key


@EXAMPLES
@given(CHANCES, st.sampled_from([0, 1, "warn"]), st.booleans())
def test_entities_are_seqevals(chance: random.Random, zero: Any, is_suffix: bool) -> None:
    tags = [*TAGS, "E-PER", "S-지역", "E-지역"]
    if is_suffix:
        tags = ["-".join(reversed(tag.split("-"))) for tag in tags]
    guesses, truths = tagged(chance, tags)
    if not any(tag != "O" for row in (*guesses, *truths) for tag in row):
        return
    ours = metrics.entity_scores(guesses, truths, zero_division=zero, suffix=is_suffix, character_f1=True)
    same_scores(ours, expected_report(guesses, truths, zero, suffix=is_suffix))
    assert ours["overall_mode"] == "conll"


@EXAMPLES
@given(CHANCES, st.sampled_from(["IOB2", "IOBES", "BILOU"]), st.sampled_from([0, 1]))
def test_strict_entities_are_seqevals(chance: random.Random, scheme: str, zero: Any) -> None:
    letters = {"IOB2": "BI", "IOBES": "BIES", "BILOU": "BILU"}[scheme]
    tags = ["O", *(f"{prefix}-{kind}" for prefix in letters for kind in ("PER", "지역-명"))]
    guesses, truths = tagged(chance, tags)
    if not any(metrics.entities(row, scheme=scheme) for row in (*guesses, *truths)):
        return
    ours = metrics.entity_scores(guesses, truths, mode="strict", scheme=scheme, zero_division=zero, character_f1=True)
    same_scores(ours, expected_report(guesses, truths, zero, mode="strict", scheme=getattr(seqeval.scheme, scheme)))


def test_character_f1_is_that_of_klue() -> None:
    guesses, truths = tagged(random.Random(4), TAGS)
    flat = [[tag for row in rows for tag in row] for rows in (truths, guesses)]
    labels = sorted({*flat[0], *flat[1]} - {"O"})
    expected = sklearn.metrics.f1_score(*flat, labels=labels, average="macro", zero_division=1)
    ours = metrics.entity_scores(guesses, truths, character_f1=True)["overall_character_f1"]
    assert ours == pytest.approx(expected, rel=1e-12)


# -- ROUGE -----------------------------------------------------------------------------------------------------------


@settings(max_examples=2000, deadline=None)
@given(st.text(alphabet="abdefgilmnorstuvyz019", min_size=1, max_size=12))
def test_stems_are_nltks(word: str) -> None:
    assert stem(word) == PorterStemmer().stem(word)


def test_stems_of_words_with_every_suffix_are_nltks() -> None:
    ends = (
        "s es ies ied ed eed ing y ly ational tional enci anci izer bli alli entli eli ousli ization ation ator alism "
    )
    ends += "iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence "
    ends += "er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize e le ll"
    starts = "b sk tr d l fl cr ag feed rel hop fall fil siz conflat troubl contr enjo happ syzyg geo archaeo oat"
    stemmer = PorterStemmer()
    for word in ["dying", "skies", "news", "innings", "canning", "howe", "proceed", "died", "dies", "yyyyy"]:
        assert stem(word) == stemmer.stem(word), word
    for start in starts.split():
        for one in ["", *ends.split()]:
            for two in ends.split():
                assert stem(start + one + two) == stemmer.stem(start + one + two), start + one + two


def english(chance: random.Random) -> str:
    return " ".join(chance.choices(ENGLISH, k=chance.randint(0, 25)))


@EXAMPLES
@given(CHANCES, st.booleans())
def test_rouge_is_rouge_scores_on_english(chance: random.Random, use_stemmer: bool) -> None:
    guesses = [english(chance) for _ in range(3)]
    truths = [[english(chance) for _ in range(chance.randint(1, 2))] for _ in range(3)]
    types = ["rouge1", "rouge2", "rouge3", "rougeL", "rougeLsum"]
    scorer = rouge_scorer.RougeScorer(types, use_stemmer=use_stemmer)
    expected = [scorer.score_multi(truth, guess) for guess, truth in zip(guesses, truths, strict=True)]
    ours = metrics.rouge(guesses, truths, rouge_types=types, use_stemmer=use_stemmer, use_aggregator=False)
    assert ours == {name: [pytest.approx(row[name].fmeasure, rel=1e-12) for row in expected] for name in types}


def test_rouge_means_lie_where_rouge_scores_samples_do() -> None:
    from rouge_score import scoring

    chance = random.Random(3)
    guesses, truths = ([english(chance) for _ in range(60)] for _ in range(2))
    scorer = rouge_scorer.RougeScorer(["rouge1", "rougeLsum"])
    aggregator = scoring.BootstrapAggregator()
    for guess, truth in zip(guesses, truths, strict=True):
        aggregator.add_scores(scorer.score(truth, guess))
    np.random.seed(0)
    expected = aggregator.aggregate()
    ours = metrics.rouge(guesses, truths, rouge_types=["rouge1", "rougeLsum"])
    for name, score in ours.items():
        assert score == score.mid.fmeasure
        for end in ("low", "mid", "high"):
            assert getattr(score, end) == pytest.approx(getattr(expected[name], end), abs=0.01)


# -- answers ---------------------------------------------------------------------------------------------------------


@EXAMPLES
@given(CHANCES, st.sampled_from([0.3, 1.0]))
def test_answers_are_scored_as_by_the_script_of_squad(chance: random.Random, threshold: float) -> None:
    script = pytest.importorskip("transformers.data.metrics.squad_metrics")
    texts = ["", "the cat", "Cat.", "a big cat sat", "고양이가", "the", "cat cat"]
    size = chance.randint(1, 8)
    truths = [chance.sample(texts[1:], chance.randint(0, 2)) for _ in range(size)]
    said = {str(index): chance.choice(texts) for index in range(size)}
    doubts = {name: chance.choice([0.0, 0.2, 0.5, chance.random()]) for name in said}
    rows = [SimpleNamespace(qas_id=str(i), answers=[{"text": t} for t in truth]) for i, truth in enumerate(truths)]
    expected = script.squad_evaluate(rows, said, doubts, threshold)
    predictions = [
        {"id": name, "prediction_text": text, "no_answer_probability": doubts[name]} for name, text in said.items()
    ]
    references = [{"id": str(i), "answers": {"text": truth}} for i, truth in enumerate(truths)]
    ours = metrics.squad_v2(predictions, references, no_answer_threshold=threshold)
    assert ours == {name: pytest.approx(value, rel=1e-12) for name, value in expected.items()}
