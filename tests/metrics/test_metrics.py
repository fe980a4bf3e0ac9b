"""What no other library says: scripts, options, errors, and metrics by name."""

from __future__ import annotations

import json
import logging
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from panpipe import metrics
from panpipe.errors import InputError, InvalidArgument, MissingDependency, UnknownArgument
from panpipe.metrics.rouge import characters, common_length, common_places, words

RIGHT = {"text": ["서울특별시", "서울"], "answer_start": [0, 0]}


# -- by name ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", ["sst2", "mnli", "mnli_matched", "mnli_mismatched", "qnli", "rte", "wnli"])
def test_glue_by_accuracy(config: str) -> None:
    assert metrics.load("glue", config).compute(predictions=[0, 1, 2], references=[0, 1, 1]) == {"accuracy": 2 / 3}


def test_glue_by_more_than_accuracy() -> None:
    sides = {"predictions": np.array([1, 0, 1, 1]), "references": [1, 0, 0, 1]}
    for config in ("mrpc", "qqp"):
        assert metrics.load("glue", config).compute(**sides) == {"accuracy": 0.75, "f1": pytest.approx(0.8)}
    assert metrics.load("glue", "cola").compute(**sides) == {"matthews_correlation": pytest.approx(1 / math.sqrt(3))}


def test_batches_added_are_scored_together_and_then_forgotten() -> None:
    metric = metrics.load("accuracy")
    metric.add_batch(predictions=np.array([0, 1]), references=[0, 0])
    metric.add(prediction=1, reference=1)
    assert metric.compute() == {"accuracy": 2 / 3}
    with pytest.raises(InputError, match="needs predictions= and references="):
        metric.compute()
    assert metric.compute(predictions=[1], references=[1]) == {"accuracy": 1.0}


def test_combined_metrics_give_options_to_those_that_have_them_and_tell_equal_keys_apart() -> None:
    both = metrics.combine(["accuracy", "f1"])
    both.add_batch(predictions=["가", "나", "다"], references=["가", "나", "나"])
    assert both.compute(average="micro") == {"accuracy": 2 / 3, "f1": pytest.approx(2 / 3)}
    twice = metrics.combine([metrics.load("f1", average="micro"), metrics.load("f1", average="macro")])
    assert list(twice.compute(predictions=[0, 1], references=[0, 0])) == ["f1_0_f1", "f1_1_f1"]
    prefixed = metrics.combine({"a": "accuracy"}, force_prefix=True)
    assert prefixed.compute(predictions=[1], references=[0]) == {"a_accuracy": 0.0}


def test_misspelt_names_are_answered_with_the_near_ones() -> None:
    with pytest.raises(InvalidArgument, match="Did you mean 'accuracy'"):
        metrics.load("acuracy")
    with pytest.raises(InvalidArgument, match="Did you mean 'mrpc'"):
        metrics.load("glue", "mrcp")
    with pytest.raises(InvalidArgument, match="needs a configuration"):
        metrics.load("glue")
    with pytest.raises(UnknownArgument, match="Did you mean 'average'"):
        metrics.load("f1").compute(predictions=[0], references=[0], avrage="macro")
    with pytest.raises(UnknownArgument, match="the option 'average'"):
        metrics.combine(["accuracy"]).compute(predictions=[0], references=[0], average="macro")


def test_importing_metrics_imports_numpy_alone() -> None:
    program = "import sys, panpipe.metrics; print({'sacrebleu', 'tokenizers', 'torch', 'scipy'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "set()"


# -- labels and numbers ----------------------------------------------------------------------------------------------


def test_rows_of_labels_are_scored_by_column_or_by_row() -> None:
    guesses, truths = [[1, 0, 1], [0, 1, 0]], [[1, 0, 0], [0, 1, 1]]
    assert metrics.f1(guesses, truths, average="micro") == pytest.approx(2 / 3)
    assert metrics.f1(guesses, truths, average="samples") == pytest.approx(2 / 3)
    np.testing.assert_allclose(metrics.recall(guesses, truths, average=None), [1, 1, 0])
    assert metrics.accuracy(guesses, truths) == 0.0


@pytest.mark.parametrize(
    ("predictions", "references", "says"),
    [
        ([0, 1], [0], "2 predictions and 1 references"),
        ([], [], "no predictions"),
        ([0.2, 0.7], [0, 1], "argmax"),
        ([[0.5, 0.2]], [1], "argmax"),
        ([[1, 0]], [1], "the shape"),
        ([0], ["0"], "str labels and the other numbers"),
        (["a", 1], ["a", "b"], "mixes str"),
        ([None], [1], "expected labels"),
        ("abc", "abc", "expected a list"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_what_to_do(predictions: Any, references: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        metrics.accuracy(predictions, references)


def test_a_binary_average_of_more_labels_is_refused() -> None:
    with pytest.raises(InputError, match="there are 3 labels"):
        metrics.f1([0, 1, 2], [0, 1, 2])
    with pytest.raises(InvalidArgument, match="name one of them"):
        metrics.f1(["yes", "no"], ["yes", "yes"])
    assert metrics.f1(["예", "아니오"], ["예", "예"], pos_label="예") == pytest.approx(2 / 3)


def test_an_undefined_score_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "panpipe"):
        assert metrics.precision([0, 0], [0, 1]) == 0.0
        assert math.isnan(metrics.pearson([1, 1, 1], [1, 2, 3]))
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "1 of 1 labels are never predicted",
        "all predictions are equal",
    ]
    assert metrics.precision([0, 0], [0, 1], zero_division=1) == 1.0


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"predictions\[1\] is nan"):
        metrics.mse([0.0, math.nan], [0.0, 1.0])
    with pytest.raises(InputError, match="at least two"):
        metrics.pearson([1.0], [1.0])
    assert metrics.spearman(np.array([[1.0], [3.0], [2.0]]), [1, 3, 2]) == pytest.approx(1.0)
    np.testing.assert_allclose(metrics.mae([[1, 2], [3, 4]], [[1, 0], [3, 0]], multioutput="raw_values"), [0, 3])


# -- entities --------------------------------------------------------------------------------------------------------


def test_an_entity_that_begins_with_inside_counts_for_conll_and_not_strictly() -> None:
    tags = ["I-인물", "I-인물", "O", "B-LOC"]
    assert metrics.entities(tags) == [("인물", 0, 1), ("LOC", 3, 3)]
    assert metrics.entities(tags, scheme="IOB2") == [("LOC", 3, 3)]
    loose = metrics.entity_scores([tags], [["B-인물", "I-인물", "O", "B-LOC"]])
    strict = metrics.entity_scores([tags], [["B-인물", "I-인물", "O", "B-LOC"]], mode="strict")
    assert (loose["overall_mode"], loose["overall_f1"]) == ("conll", 1.0)
    assert (strict["overall_mode"], strict["overall_recall"]) == ("strict IOB2", 0.5)


def test_bilou_is_iobes_in_other_letters() -> None:
    tags = ["B-A", "I-A", "L-A", "U-B", "B-B", "O"]
    assert metrics.entities(tags, scheme="BILOU") == [("A", 0, 2), ("B", 3, 3)]
    scores = metrics.entity_scores([tags], [tags], mode="strict")
    assert scores["overall_mode"] == "strict BILOU"


def test_korean_entities_are_scored_by_characters_too() -> None:
    truths = [["B-PS", "I-PS", "I-PS", "O", "B-LC"]]
    guesses = [["B-PS", "I-PS", "O", "O", "B-LC"]]
    scores = metrics.entity_scores(guesses, truths, mode="strict", character_f1=True)
    assert scores["overall_macro_f1"] == 0.5
    assert scores["overall_character_f1"] == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_tags_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="'PER' is no tag"):
        metrics.entity_scores([["PER"]], [["O"]])
    with pytest.raises(InputError, match=r"predictions\[0\] has 2 tags and references\[0\] 1"):
        metrics.entity_scores([["O", "O"]], [["O"]])
    with pytest.raises(InputError, match="'E-X' is no tag"):
        metrics.entity_scores([["E-X"]], [["O"]], mode="strict", scheme="IOB2")
    with pytest.raises(InvalidArgument, match="mode='strict' only"):
        metrics.entity_scores([["O"]], [["O"]], scheme="IOB2")


# -- answers ---------------------------------------------------------------------------------------------------------


def test_answers_are_compared_without_articles_punctuation_and_case() -> None:
    predictions = [{"id": "1", "prediction_text": "The  Cat, sat"}, {"id": "0", "prediction_text": "dog"}]
    references = [
        {"id": "0", "answers": {"text": ["a big dog"], "answer_start": [3]}},
        {"id": "1", "answers": {"text": ["x", "cat sat"], "answer_start": [0, 0]}},
    ]
    scores = metrics.load("squad").compute(predictions=predictions, references=references)
    assert scores == {"exact_match": 50.0, "f1": pytest.approx(100 * (1 + 2 / 3) / 2)}


def test_korean_answers_are_compared_by_characters() -> None:
    predictions, references = (
        [{"id": "1", "prediction_text": "서울 특별시에"}],
        [{"id": "1", "answers": {"text": ["서울특별시"]}}],
    )
    assert metrics.squad(predictions, references)["f1"] == 0.0
    by_characters = metrics.squad(predictions, references, level="characters")
    assert by_characters == {"exact_match": 0.0, "f1": pytest.approx(100 * 10 / 11)}


def test_questions_without_an_answer() -> None:
    predictions = [
        {"id": "a", "prediction_text": "서울", "no_answer_probability": 0.1},
        {"id": "b", "prediction_text": "", "no_answer_probability": 0.9},
        {"id": "c", "prediction_text": "guess", "no_answer_probability": 0.6},
        {"id": "d", "prediction_text": "서울", "no_answer_probability": 0.7},
    ]
    references = [
        {"id": "a", "answers": RIGHT},
        {"id": "b", "answers": {"text": []}},
        {"id": "c", "answers": {"text": []}},
        {"id": "d", "answers": RIGHT},
    ]
    scores = metrics.load("squad_v2").compute(predictions=predictions, references=references)
    assert scores == {
        **{"exact": 75.0, "f1": 75.0, "total": 4},
        **{"HasAns_exact": 100.0, "HasAns_f1": 100.0, "HasAns_total": 2},
        **{"NoAns_exact": 50.0, "NoAns_f1": 50.0, "NoAns_total": 2},
        **{"best_exact": 75.0, "best_exact_thresh": 0.1, "best_f1": 75.0, "best_f1_thresh": 0.1},
    }
    with_threshold = metrics.squad_v2(predictions, references, no_answer_threshold=0.5)
    assert (with_threshold["HasAns_exact"], with_threshold["NoAns_exact"]) == (50.0, 100.0)


def test_answers_that_do_not_fit_their_questions_are_refused() -> None:
    with pytest.raises(InputError, match="'2' has no prediction"):
        metrics.squad([{"id": "1", "prediction_text": ""}], [{"id": "2", "answers": RIGHT}])
    with pytest.raises(InputError, match="lacks 'no_answer_probability'"):
        metrics.squad_v2([{"id": "1", "prediction_text": ""}], [{"id": "1", "answers": RIGHT}])


def test_exact_match_ignores_what_it_is_told_to() -> None:
    sides: dict[str, Any] = {"predictions": ["The Cat!", "한국 1"], "references": ["the cat", "한국 2"]}
    metric = metrics.load("exact_match")
    assert metric.compute(**sides) == {"exact_match": 0.0}
    assert metric.compute(**sides, ignore_case=True, ignore_punctuation=True) == {"exact_match": 0.5}
    assert metric.compute(**sides, ignore_numbers=True, regexes_to_ignore=["The", "the", "C|c", "!"]) == {
        "exact_match": 1.0
    }


# -- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["한국어 문장은 이렇다", "私は東京に行った", "我们去北京", "मैं घर गया", "ผมไปบ้าน", "я иду домой", "naïve café"],
)
def test_no_script_scores_nothing(text: str) -> None:
    assert metrics.rouge([text], [text]) == dict.fromkeys(("rouge1", "rouge2", "rougeL", "rougeLsum"), 1.0)


def test_words_of_each_script() -> None:
    assert words("Don't: naïve 2nd_try") == ["don", "t", "naïve", "2nd", "try"]
    assert words("서울에서 iPhone15를!") == ["서울에서", "iphone15를"]
    assert words("東京へgo行く") == ["東", "京", "へ", "go", "行", "く"]
    assert words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]
    assert words("한국") == ["한국"]  # decomposed, as file systems write it
    assert characters("서울 A.") == ["서", "울", "a"]


def test_korean_by_syllables_sees_what_particles_hide() -> None:
    sides: dict[str, Any] = {"predictions": ["학교를 갔다"], "references": ["학교에 갔다"], "rouge_types": ["rouge1"]}
    assert metrics.rouge(**sides)["rouge1"] == 0.5
    assert metrics.rouge(**sides, tokenizer="characters")["rouge1"] == pytest.approx(0.8)
    assert metrics.rouge(**sides, tokenizer=lambda text: text.split())["rouge1"] == 0.5


def test_the_aggregate_is_a_number_with_ends_and_the_same_twice() -> None:
    guesses, truths = ["a b c", "a x", "q"], ["a b d", "a b", "q"]
    first, again = (metrics.rouge(guesses, truths)["rouge1"] for _ in range(2))
    assert first == again == first.mid.fmeasure
    assert first.low.fmeasure < first < first.high.fmeasure
    assert pickle.loads(pickle.dumps(first)).high == first.high
    assert json.loads(json.dumps({"rouge1": first})) == {"rouge1": first}


def test_the_longest_common_subsequence_is_found() -> None:
    chance = np.random.default_rng(1)
    for _ in range(50):
        first, second = (list(chance.choice(list("abc"), chance.integers(0, 12))) for _ in range(2))
        table = np.zeros((len(first) + 1, len(second) + 1), int)
        for i, one in enumerate(first):
            for j, other in enumerate(second):
                table[i + 1, j + 1] = table[i, j] + 1 if one == other else max(table[i, j + 1], table[i + 1, j])
        places = common_places(first, second)
        assert common_length(first, second) == len(places) == table[-1, -1]
        rest = iter(second)
        assert all(first[place] in rest for place in places)


def test_rouge_of_what_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"predictions\[0\] is 3"):
        metrics.rouge([3], ["a"])
    with pytest.raises(InvalidArgument, match="'rougeX'"):
        metrics.rouge(["a"], ["a"], rouge_types=["rougeX"])
    with pytest.raises(InvalidArgument, match="'words', 'characters' or a function"):
        metrics.rouge(["a"], ["a"], tokenizer="morphemes")


def test_perplexity_and_bits_per_byte() -> None:
    assert metrics.perplexity(1.0) == pytest.approx(math.e)
    assert metrics.perplexity([1.0, 3.0], num_tokens=[3, 1]) == pytest.approx(math.exp(1.5))
    assert metrics.perplexity([1e4]) == math.inf
    assert metrics.load("perplexity").compute(losses=[0.0]) == {"perplexity": 1.0}
    assert metrics.bits_per_byte([6 * math.log(2)], ["한국"]) == pytest.approx(1.0)
    assert metrics.bits_per_byte([1.0, 1.0], [4, 4]) == pytest.approx(0.25 / math.log(2))
    with pytest.raises(InputError, match="no bytes"):
        metrics.bits_per_byte([1.0], [""])


# -- translation -----------------------------------------------------------------------------------------------------


def test_bleu_chrf_and_ter_say_how_they_were_computed() -> None:
    pytest.importorskip("sacrebleu")
    sides = {"predictions": ["the cat sat on the mat"], "references": [["the cat sat on a mat", "a cat sat there"]]}
    bleu = metrics.load("sacrebleu").compute(**sides)
    assert list(bleu) == ["score", "counts", "totals", "precisions", "bp", "sys_len", "ref_len", "signature"]
    assert bleu["counts"] == [5, 3, 2, 1]
    assert bleu["signature"].startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp")
    assert metrics.chrf(["한국어 문장"], ["한국어 문장"])["score"] == 100.0
    assert metrics.ter(["한국어 문장"], ["한국어 문장은"])["num_edits"] == 1
    ours = metrics.load("bleu").compute(**sides)
    assert ours["bleu"] == pytest.approx(bleu["score"] / 100)
    assert (ours["translation_length"], ours["reference_length"]) == (6, 4)
    assert metrics.load("bleu").compute(predictions=["a b"], references=[["c d"]])["bleu"] == 0.0


def test_translations_that_do_not_fit_are_refused() -> None:
    pytest.importorskip("sacrebleu")
    with pytest.raises(InputError, match=r"references\[1\] has 1 texts and references\[0\] 2"):
        metrics.bleu(["a", "b"], [["a", "b"], ["a"]])
    with pytest.raises(InvalidArgument, match="nonsense"):
        metrics.bleu(["a"], ["a"], tokenize="nonsense")


def test_a_missing_sacrebleu_is_answered_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sacrebleu"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(MissingDependency, match=r'pip install "panpipe\[metrics\]"'):
        metrics.bleu(["a"], ["a"])


def test_one_label_only_has_no_correlation_whatever_the_weights() -> None:
    weights = [1.0, 1.0, 1.0, 1.6060874106474765, 1.1780471160709873]
    assert metrics.matthews_correlation([0] * 5, [0, 0, 0, 1, 0], sample_weight=weights) == 0.0


def test_very_small_numbers_are_correlated_too() -> None:
    assert metrics.pearson([1e-200, 2e-200, 3e-200], [1.0, 2.0, 3.0]) == pytest.approx(1.0)
