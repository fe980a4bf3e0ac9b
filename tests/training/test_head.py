"""fit_head: a head of an ordinary kind, fitted on frozen vectors, without PyTorch; and the regression beneath."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import pipeline
from panpipe.batch import Batch
from panpipe.errors import InputError, InvalidArgument, MissingHead
from panpipe.models import AutoModel, AutoModelForSequenceClassification, Model
from panpipe.training.head import fit_head
from panpipe.training.logistic import fit_logistic, folds_of
from tests.models.tiny import CONFIGS, heads_of, made

GOOD = ["정말 좋아요", "좋아요 좋아요", "배송 좋아요", "정말 배송 좋아요", "또 좋아요", "또 정말 좋아요"]
BAD = ["정말 싫어요", "싫어요 싫어요", "배송 싫어요", "정말 배송 싫어요", "또 싫어요", "또 정말 싫어요"]
TEXTS, LABELS = GOOD + BAD, ["긍정"] * 6 + ["부정"] * 6


def drawn(name: str) -> Model:
    """A tiny model without a head, of random weights."""
    return AutoModel.from_config(made(name, "base").config, seed=1)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny BERT without a head, and its tokenizer."""
    folder = tmp_path / "base"
    drawn("bert").save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({w for text in TEXTS for w in text.split()})]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = '{"tokenizer_class": "BertTokenizer", "model_max_length": 36, "do_lower_case": false}'
    (folder / "tokenizer_config.json").write_text(settings)
    return folder


class Words:
    """A tokenizer that numbers words as they come, and ends with eos."""

    model_max_length = 30

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def encode_ids(self, texts: list[str], pairs: Any = None, **_: Any) -> tuple[list[list[int]], None]:
        return [[*(self.ids.setdefault(w, 5 + len(self.ids)) for w in text.split()), 2] for text in texts], None


def test_a_few_korean_examples_make_a_classifier(checkpoint: Path, tmp_path: Path) -> None:
    result = fit_head(checkpoint, TEXTS, LABELS)
    assert (
        result.accuracy is not None
        and result.accuracy > 0.9
        and result.measured_on == "cross-validation"
        and result.pooling == "mean"
    )
    assert result.model.config.id2label == {0: "긍정", 1: "부정"}
    result.save_pretrained(tmp_path / "saved")
    classify = pipeline("text-classification", str(tmp_path / "saved"))
    assert [answer["label"] for answer in classify(["또 배송 좋아요", "또 배송 싫어요"])] == ["긍정", "부정"]


def test_what_is_saved_is_an_ordinary_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    result = fit_head(checkpoint, TEXTS, LABELS)
    result.save_pretrained(tmp_path / "saved")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert type(again).__name__ == "BertForSequenceClassification"
    batch = Batch.of([[2, 5, 6, 3], [2, 7, 3]])
    np.testing.assert_array_equal(again.forward(batch), result.model.forward(batch))


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "distilbert", "electra"])
def test_the_added_layer_makes_the_mean_of_all_tokens(name: str) -> None:
    from panpipe.training.head import _passing, _with_head

    body = made(name, "base")
    batch = Batch.of([[5, 6, 7, 8, 9], [10, 11], [12]])
    hidden = body.forward(batch)
    mean = body.pool(batch, "mean")
    wanted = hidden[batch.first_rows] + 64 * mean
    wanted = (wanted - wanted.mean(1, keepdims=True)) / wanted.std(1, keepdims=True)
    dense = _passing(body.family.activation(body.config, "sequence-classification"), 24, np.sqrt(24))
    got = _with_head(body, "mean").forward(batch)
    got = (got - dense["bias"]) / np.diag(dense["weight"])
    np.testing.assert_allclose(got, wanted, atol=0.05)  # tanh is nearly straight, not quite


CLASSIFIERS = [name for name in CONFIGS if "sequence-classification" in heads_of(name) and "long" not in name]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_family_with_a_classifier_gets_one(name: str) -> None:
    words = Words()
    result = fit_head(drawn(name), TEXTS, LABELS, tokenizer=words, l2=0.001)
    logits = result.model.forward(Batch.of(words.encode_ids(TEXTS)[0]))
    assert [result.model.config.id2label[i] for i in logits.argmax(1)] == LABELS


def test_the_standardisation_is_in_the_weights() -> None:
    words = Words()
    result = fit_head(drawn("bert"), TEXTS, LABELS, tokenizer=words, pooling="first", l2=0.01)
    ids = words.encode_ids(TEXTS)[0]
    batch = Batch.of(ids)
    first = drawn("bert").forward(batch)[batch.first_rows].astype(np.float64)
    features = (first - first.mean(0)) / first.std(0)
    fitted = fit_logistic(features, np.array([0] * 6 + [1] * 6), 2, 0.01)
    np.testing.assert_allclose(result.model.forward(batch), fitted.logits(features), atol=0.05)


def test_numbers_are_labels_too_and_pairs_are_texts() -> None:
    def fitted(labels: Any, **options: Any) -> Model:
        return fit_head(drawn("bert"), TEXTS, labels, tokenizer=Words(), l2=1.0, **options).model

    assert fitted([0] * 6 + [1] * 6).config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    assert fitted(np.array([3] * 6 + [5] * 6)).config.label2id == {"3": 0, "5": 1}
    assert fitted([True] * 6 + [False] * 6).config.id2label == {0: "False", 1: "True"}


def test_a_pair_of_texts_is_one_input(checkpoint: Path) -> None:
    pairs = [(a, b) for a, b in itertools.product(GOOD[:4], BAD[:4])] + [
        (b, a) for a, b in itertools.product(GOOD[:4], BAD[:4])
    ]
    assert fit_head(checkpoint, pairs, ["앞"] * 16 + ["뒤"] * 16, pooling="first").accuracy is not None


def test_vectors_are_kept_for_the_next_time(checkpoint: Path, tmp_path: Path, monkeypatch: Any) -> None:
    first = fit_head(checkpoint, TEXTS, LABELS, features_dir=tmp_path / "kept")

    def forward(*_: Any) -> Any:
        raise AssertionError("the vectors were kept")

    monkeypatch.setattr(Model, "forward", forward)
    again = fit_head(checkpoint, TEXTS, LABELS, features_dir=tmp_path / "kept")
    assert dataclasses.astuple(again)[2:5] == dataclasses.astuple(first)[2:5]
    with pytest.raises(AssertionError, match="were kept"):
        fit_head(checkpoint, [*TEXTS[:-1], "또"], LABELS, features_dir=tmp_path / "kept")


def test_one_example_a_class_is_fitted_but_not_judged() -> None:
    result = fit_head(drawn("bert"), ["좋아요", "싫어요"], ["긍정", "부정"], tokenizer=Words())
    assert result.accuracy is None and result.l2 == 1.0


def test_validation_is_what_accuracy_is_measured_on() -> None:
    swapped = (TEXTS, ["부정"] * 6 + ["긍정"] * 6)
    result = fit_head(drawn("bert"), TEXTS, LABELS, tokenizer=Words(), validation=swapped)
    assert result.accuracy == 0.0 and result.measured_on == "validation"


def test_rare_classes_count_more_when_balanced() -> None:
    def share(class_weight: Any) -> float:
        result = fit_head(drawn("bert"), TEXTS[:7], LABELS[:7], tokenizer=Words(), class_weight=class_weight, l2=30.0)
        logits = result.model.forward(Batch.of([[5, 6, 2]]))[0]
        return float(logits[1] - logits[0])

    assert share("balanced") > share(None)
    assert share({"긍정": 7 / 12, "부정": 7 / 2}) == pytest.approx(share("balanced"), abs=1e-6)


@pytest.mark.parametrize(
    ("texts", "labels", "options", "error", "match"),
    [
        (TEXTS, LABELS[:-1], {}, InputError, "12 texts and 11 labels"),
        (TEXTS, ["긍정"] * 12, {}, InputError, "all 12 examples"),
        ([*TEXTS[:-1], " "], LABELS, {}, InputError, "text 11 is ' '"),
        ([*TEXTS[:-1], None], LABELS, {}, InputError, "text 11 is None"),
        ("좋아요", LABELS, {}, InputError, "a string was given"),
        (TEXTS, [0.5] * 12, {}, InputError, "label 0 is 0.5"),
        (TEXTS, [*LABELS[:-1], 1], {}, InputError, "of one kind"),
        (TEXTS, LABELS, {"l2": -1}, InvalidArgument, "l2=-1"),
        (TEXTS, LABELS, {"folds": 1}, InvalidArgument, "folds=1"),
        (TEXTS, LABELS, {"pooling": "last"}, InvalidArgument, "can read 'mean' or 'first'"),
        (TEXTS, LABELS, {"class_weight": {"중립": 2.0}}, InvalidArgument, "중립"),
        (TEXTS, LABELS, {"class_weight": "even"}, InvalidArgument, "balanced"),
        (TEXTS, LABELS, {"validation": (["또"], ["중립"])}, InputError, "중립"),
    ],
)
def test_what_cannot_be_fitted_is_said_at_once(
    texts: Any, labels: Any, options: Any, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        fit_head(drawn("bert"), texts, labels, tokenizer=Words(), **options)


def test_families_without_the_head_say_so(tmp_path: Path) -> None:
    with pytest.raises(MissingHead, match="no head for sequence-classification"):
        fit_head(drawn("marian"), TEXTS, LABELS, tokenizer=Words())
    with pytest.raises(InvalidArgument, match="can read 'first'"):
        fit_head(drawn("albert"), TEXTS, LABELS, tokenizer=Words(), pooling="mean")


def test_a_head_that_is_there_gives_way(tmp_path: Path, checkpoint: Path) -> None:
    fit_head(checkpoint, TEXTS, LABELS).save_pretrained(tmp_path / "first")
    texts = [*GOOD[:3], *BAD[:3], "정말", "배송", "또"]
    again = fit_head(tmp_path / "first", texts, ["가"] * 3 + ["나"] * 3 + ["다"] * 3, pooling="first")
    assert len(again.model.config.id2label) == 3
    assert again.model.config.num_hidden_layers == AutoModel.from_pretrained(checkpoint).config.num_hidden_layers + 1


# -- the regression --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 4])
def test_no_weights_have_less_loss(num_classes: int) -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((60, 5)), np.arange(60) % num_classes
    weights = generator.random(60)
    fitted = fit_logistic(x, y, num_classes, 0.1, weights)

    def loss(w: Any, b: Any) -> float:
        logits = dataclasses.replace(fitted, weights=w, intercepts=b).logits(x)
        nats = np.log(np.exp(logits).sum(1)) - logits[np.arange(60), y]
        return float(nats @ weights / 60 + 0.05 * (w**2).sum())

    least = loss(fitted.weights, fitted.intercepts)
    for _ in range(50):
        w = fitted.weights + generator.standard_normal(fitted.weights.shape) * 1e-3
        b = fitted.intercepts + generator.standard_normal(fitted.intercepts.shape) * 1e-3
        assert loss(w, b) >= least


def test_huge_numbers_do_not_overflow() -> None:
    x = np.array([[1e4], [-1e4], [9e3], [-9e3]])
    fitted = fit_logistic(x, np.array([0, 1, 0, 1]), 2, 1e-6)
    assert np.isfinite(fitted.logits(x)).all() and (fitted.logits(x).argmax(1) == [0, 1, 0, 1]).all()


def test_folds_spread_every_class_evenly() -> None:
    classes = np.array([0] * 50 + [1] * 10 + [2] * 5)
    fold = folds_of(classes, 5, seed=0)
    for each, count in ((0, 10), (1, 2), (2, 1)):
        assert (np.bincount(fold[classes == each]) == count).all()
    assert (fold == folds_of(classes, 5, seed=0)).all() and (fold != folds_of(classes, 5, seed=1)).any()


# -- the documentation -----------------------------------------------------------------------------------------------


def test_the_documented_lines_run(checkpoint: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "transfer.md").read_text(encoding="utf-8")
    checkpoint.rename(checkpoint.parent / "my-model")
    monkeypatch.chdir(checkpoint.parent)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(code, "transfer.md", "exec"), {})
    assert "긍정, 부정" in capsys.readouterr().out


def test_rows_of_a_data_set_are_examples(checkpoint: Path) -> None:
    rows = [{"문장": text, "극성": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    result = fit_head(checkpoint, rows, text_column="문장", label_column="극성", l2=0.1)
    assert list(result.model.config.id2label.values()) == ["긍정", "부정"]
    with pytest.raises(InputError, match="no column 'text'; it has"):
        fit_head(checkpoint, rows)
