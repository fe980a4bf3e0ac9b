from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from panpipe import pipeline
from panpipe.data import ClassLabel, Dataset, Sequence
from panpipe.errors import DataNotFound, InputError, InvalidArgument, MissingKey, UnknownArgument, UnknownTask
from panpipe.models import load_model
from panpipe.tokenization import AutoTokenizer, Tokenizer
from panpipe.training.scoring import evaluate
from panpipe.training.tasks import TASKS, TrainingTask, task_named
from tests.models.tiny import made

GOLDEN = Path(__file__).parents[1] / "golden"


class Prediction(NamedTuple):
    predictions: Any
    label_ids: Any = None


def tokenizer(name: str = "bert") -> Tokenizer:
    return AutoTokenizer.from_pretrained(GOLDEN / "tokenizers" / name)


def model(head: str) -> Any:
    folder = {
        "sequence-classification": "pipelines_a/bert/classifier",
        "token-classification": "pipelines_b/bert/token-classification",
        "question-answering": "pipelines_b/bert/question-answering",
        "masked-lm": "pipelines_b/bert/fill-mask",
    }[head]
    return load_model(GOLDEN / folder, head)


def golden_tokenizer() -> Tokenizer:
    return AutoTokenizer.from_pretrained(GOLDEN / "pipelines_b" / "bert")


def task(name: str, rows: Any, columns: dict[str, str] | None = None, **options: Any) -> Any:
    job = task_named(name)(**options)
    job.read(Dataset.from_list(rows) if isinstance(rows, list) else rows, columns)
    return job


# -- columns ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("text-classification", {"text": "a", "label": "b", "source": "c"}, {"text": "text", "label": "label"}),
        ("text-classification", {"sentence": "a", "label": 1, "idx": 3}, {"text": "sentence", "label": "label"}),
        (
            "text-classification",
            {"premise": "a", "hypothesis": "b", "label": "c", "source": "d"},
            {"text": "premise", "pair": "hypothesis", "label": "label"},
        ),
        (
            "text-classification",
            {"question": "a", "sentence": "b", "label": 0},
            {"text": "question", "pair": "sentence", "label": "label"},
        ),
        ("text-classification", {"Review": "a", "stars": 4}, {"text": "Review", "label": "stars"}),
        ("text-classification", {"id": 7, "리뷰": "좋다", "label": 4}, {"text": "리뷰", "label": "label"}),
        (
            "ner",
            {"tokens": ["a"], "tags": ["O"], "orig_tags": ["O"], "source": "s"},
            {"words": "tokens", "tags": "tags"},
        ),
        ("ner", {"tokens": ["a"], "pos_tags": [1], "ner_tags": [0]}, {"words": "tokens", "tags": "ner_tags"}),
        (
            "ner",
            {"text": "a b", "entities": [{"start": 0, "end": 1, "label": "X"}]},
            {"text": "text", "entities": "entities"},
        ),
        (
            "question-answering",
            {"id": "1", "question": "q", "context": "c", "answers": {"text": ["c"], "answer_start": [0]}, "title": "t"},
            {"question": "question", "context": "context", "answers": "answers"},
        ),
        ("summarization", {"text": "a", "summary": "b", "source": "s"}, {"source": "text", "target": "summary"}),
        ("summarization", {"article": "a", "highlights": "b"}, {"source": "article", "target": "highlights"}),
        ("translation", {"src": "a", "tgt": "b", "source": "php"}, {"source": "src", "target": "tgt"}),
        ("translation", {"id": 1, "translation": {"en": "a", "fr": "b"}}, {"translation": "translation"}),
        ("text-generation", {"text": "a", "source": "s", "doc": "d"}, {"text": "text"}),
        ("text-generation", {"prompt": "a", "completion": "b"}, {"prompt": "prompt", "completion": "completion"}),
        ("fill-mask", {"line": "a", "n": 3}, {"text": "line"}),
    ],
)
def test_columns_are_found_by_names_and_values(name: str, row: dict[str, Any], expected: dict[str, str]) -> None:
    other = {key: ("z" if key == "label" and isinstance(value, str) else value) for key, value in row.items()}
    other |= {
        key: 1 - int(value == 1) for key, value in row.items() if key in ("label", "stars") and value in (0, 1, 4)
    }
    assert task(name, [row, other]).columns == expected


def test_columns_that_are_said_win() -> None:
    rows = [{"text": "a", "title": "b", "label": 0, "stars": 1}, {"text": "a", "title": "b", "label": 0, "stars": 2}]
    job = task("text-classification", rows, {"text": "title", "label": "stars"})
    assert job.columns == {"text": "title", "label": "stars"}
    assert job.names == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "rows", "columns", "error", "message"),
    [
        ("text-classification", [{"a": 1.5, "b": [2]}], None, MissingKey, r"columns a, b; .* needs text \(a text\)"),
        ("ner", [{"tokens": ["a"]}], None, MissingKey, r"needs tags .*Or a text, and entities"),
        ("translation", [{"en": "a", "fr": "b"}], None, MissingKey, r"or src_lang and tgt_lang"),
        ("text-classification", [{"a": "b"}], {"txet": "a"}, InvalidArgument, r"no 'txet'; the task has text,"),
        ("text-classification", [{"review": "b"}], {"text": "reviews"}, MissingKey, r"no column 'reviews'.* 'review'"),
        ("text-classification", [], None, InputError, "the data are empty"),
        ("text-classification", [{"text": "a", "label": "x"}] * 3, None, InputError, "all rows have one label, x"),
    ],
)  # fmt: skip
def test_what_is_wanting_is_said(name: str, rows: Any, columns: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        task(name, rows, columns)


def test_translations_by_their_languages() -> None:
    rows = [{"en": "one", "fr": "un", "source": "x"}]
    assert task("translation", rows, src_lang="fr", tgt_lang="en").columns == {"source": "fr", "target": "en"}
    rows = [{"translation": {"en": "one", "ko": "하나"}}]
    assert task("translation", rows).pair(rows[0]) == ("one", "하나")
    assert task("translation", rows, src_lang="Korean").pair(rows[0]) == ("하나", "one")
    with pytest.raises(InvalidArgument, match="have en, ko, not 'fr'"):
        task("translation", rows, tgt_lang="fr")


def test_the_guess_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "panpipe"):
        task("text-classification", [{"review": "a", "label": 0}, {"review": "b", "label": 1}])
    assert "text = review" in caplog.text


def test_another_task_is_refused_by_name() -> None:
    with pytest.raises(UnknownTask, match=r"'text-clasification' is not a task to train for\. Did you mean"):
        task_named("text-clasification")
    assert task_named("ner") is TASKS["token-classification"]


# -- classes of texts ------------------------------------------------------------------------------------------------


def labelled(*labels: Any) -> list[dict[str, Any]]:
    return [{"text": f"text {number}", "label": label} for number, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "names", "kind"),
    [
        (["pos", "neg", "중립", "neg"], ["neg", "pos", "중립"], "single_label_classification"),
        ([2, 0, 1], ["LABEL_0", "LABEL_1", "LABEL_2"], "single_label_classification"),
        ([5, 1, 10], ["1", "5", "10"], "single_label_classification"),
        ([True, False], ["LABEL_0", "LABEL_1"], "single_label_classification"),
        ([["b", "a"], [], ["c"]], ["a", "b", "c"], "multi_label_classification"),
        ([[0, 1, 1], [1, 0, 0]], ["LABEL_0", "LABEL_1", "LABEL_2"], "multi_label_classification"),
        ([0.5, 3.0], ["LABEL_0"], "regression"),
    ],
)
def test_the_kind_of_problem_is_that_of_the_labels(labels: Any, names: list[str], kind: str) -> None:
    job = task("text-classification", labelled(*labels))
    assert (job.names, job.problem_type) == (names, kind)


def test_classes_of_a_data_set_keep_their_order() -> None:
    rows = Dataset.from_list(labelled(1, 0, 1)).cast_column("label", ClassLabel(names=["z", "a"]))
    assert task("text-classification", rows).names == ["z", "a"]


def with_head(job: TrainingTask, config: str = "bert", tok: str = "bert", **options: Any) -> Any:
    """The task with a tiny model of its labels, whose vocabulary is the tokenizer's."""
    pieces = tokenizer(tok)
    base = made(config, job.head).config
    changes = {**job.config(base), "vocab_size": len(pieces), "max_position_embeddings": 64, **options}
    changes = {name: value for name, value in changes.items() if hasattr(base, name)}
    job.take(type(made(config, job.head)).from_config(base.from_dict(base.to_dict(), **changes)), pieces)
    return job


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["pos", "neg", "pos"], [1, 0, 1]),
        ([5, 1, 10], [1, 0, 2]),
        ([["b", "a"], [], ["c"]], [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
        ([[0, 1, 1], [1, 0, 0]], [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]),
        ([0.5, 3.0], [0.5, 3.0]),
    ],
)
def test_labels_become_the_models(labels: Any, expected: Any) -> None:
    job = with_head(task("text-classification", labelled(*labels)))
    features = job.features(Dataset.from_list(labelled(*labels)))
    assert list(features["labels"]) == expected
    batch = job.collator.ragged([features[i] for i in range(len(features))], job.model, [])
    assert batch.labels.tolist() == expected


def test_pairs_are_told_apart_and_cut_to_the_length() -> None:
    rows = [{"text1": "in " * 50, "text2": "서울", "label": n} for n in (0, 1)]
    job = with_head(task("text-classification", rows, max_length=12))
    feature = job.features(Dataset.from_list(rows))[0]
    assert len(feature["input_ids"]) == 12
    assert set(feature["token_type_ids"]) == {0, 1}


def test_a_model_that_knows_the_classes_keeps_their_order() -> None:
    own = model("sequence-classification").config
    names = list(own.id2label.values())
    job = task("text-classification", labelled(*sorted(names)[:2]))
    assert list(job.config(own)["id2label"].values()) == names


def test_a_label_that_training_did_not_have_is_named() -> None:
    job = with_head(task("text-classification", labelled("a", "b")))
    with pytest.raises(InputError, match="the label 'c' is not one of the training rows': a, b"):
        job.features(Dataset.from_list(labelled("c")))


def test_a_row_without_a_text_is_named() -> None:
    job = with_head(task("text-classification", labelled("a", "b")))
    with pytest.raises(InputError, match="row 1: text is None; expected a text"):
        job.features(Dataset.from_list([*labelled("a"), {"text": None, "label": "b"}]))


def test_scores_of_texts() -> None:
    rows = labelled("a", "b", "b", "b")
    job = with_head(task("text-classification", rows))
    data = Dataset.from_list(rows)
    logits = np.array([[2.0, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    found = job.compute_metrics(data)(Prediction(logits))
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx((2 / 3 + 0.8) / 2)


# -- labels of words -------------------------------------------------------------------------------------------------

WORDS = [
    {"tokens": ["unforgettable", "Seoul", "!"], "tags": ["O", "B-LOC", "O"]},
    {"tokens": ["서울", "에", "간다"], "tags": ["B-LOC", "O", "O"]},
    {"tokens": ["New", "York", "city"], "tags": ["B-LOC", "I-LOC", "I-LOC"]},
]


def test_tags_are_those_of_all_rows_in_the_usual_order() -> None:
    assert task("ner", [*WORDS, {"tokens": ["a"], "tags": ["B-AA"]}]).names == ["O", "B-AA", "B-LOC", "I-LOC"]
    rows = Dataset.from_list([{"tokens": ["a"], "ner_tags": [1]}])
    rows = rows.cast_column("ner_tags", Sequence(ClassLabel(names=["O", "B-PER"])))
    assert task("ner", rows).names == ["O", "B-PER"]


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm_roberta"])
@pytest.mark.parametrize("label_all", [False, True])
def test_the_first_token_of_a_word_has_its_label(name: str, label_all: bool) -> None:
    job = task("ner", WORDS, label_all_tokens=label_all)
    job = with_head(job, {"bert": "bert", "roberta": "roberta", "xlm_roberta": "xlm-roberta"}[name], name)
    for row, feature in zip(WORDS, job.features(Dataset.from_list(WORDS)), strict=True):
        text = " ".join(row["tokens"])
        encoding = job.tokenizer.encode_batch([text])[0]
        assert feature["input_ids"] == encoding.ids
        starts = np.cumsum([0, *(len(word) + 1 for word in row["tokens"][:-1])]).tolist()
        labels = dict.fromkeys(range(3), 0)
        for (begin, end), label in zip(encoding.offsets, feature["labels"], strict=True):
            begin += len(text[begin:end]) - len(text[begin:end].lstrip())
            if label == -100:
                assert begin >= end or not label_all
                continue
            word = int(np.searchsorted(starts, begin, "right")) - 1
            expected = row["tags"][word]
            if labels[word]:
                assert label_all
                expected = expected.replace("B-", "I-")
            assert job.names[label] == expected
            labels[word] += 1
        assert all(labels.values())


def test_korean_tagged_by_characters_is_joined_as_it_stands() -> None:
    tags = ["B-LOC", "I-LOC", "O", "O", "O", "O", "O"]
    rows = [{"tokens": list("서울 간다 !"), "tags": tags}, {"tokens": ["a", " "], "tags": ["O", "O"]}]
    job = with_head(task("ner", rows), tok="xlm_roberta", config="xlm-roberta")
    feature = job.features(Dataset.from_list(rows))[0]
    encoding = job.tokenizer.encode_batch(["서울 간다 !"])[0]
    assert feature["input_ids"] == encoding.ids
    assert next(job.names[label] for label in feature["labels"] if label != -100) == "B-LOC"


def test_entities_of_a_text_become_labels_of_its_tokens() -> None:
    rows = [{"text": "I saw Seoul today", "entities": [{"start": 6, "end": 11, "label": "LOC"}]}]
    job = with_head(task("ner", rows))
    feature = job.features(Dataset.from_list(rows))[0]
    offsets = job.tokenizer.encode_batch([rows[0]["text"]])[0].offsets
    for (begin, end), label in zip(offsets, feature["labels"], strict=True):
        if label == -100:
            assert begin == end
        else:
            expected = "B-LOC" if begin == 6 else "I-LOC" if 6 < begin < 11 else "O"
            assert job.names[label] == expected
    with pytest.raises(InputError, match="the entity 6 to 99"):
        job.encode([{"text": "I saw Seoul", "entities": [{"start": 6, "end": 99, "label": "LOC"}]}])


def test_words_and_tags_must_be_as_many() -> None:
    job = with_head(task("ner", WORDS))
    with pytest.raises(InputError, match="2 words and 1 tags"):
        job.encode([{"tokens": ["a", "b"], "tags": ["O"]}])


def test_texts_that_are_cut_are_said_to_be(caplog: pytest.LogCaptureFixture) -> None:
    job = with_head(task("ner", WORDS, max_length=4))
    assert max(len(feature["input_ids"]) for feature in job.features(Dataset.from_list(WORDS))) == 4
    assert "longer than 4 tokens, and were cut" in caplog.text


def test_entities_are_scored_also_from_padded_predictions() -> None:
    job = with_head(task("ner", WORDS))
    features = job.features(Dataset.from_list(WORDS))
    longest = max(len(row["input_ids"]) for row in features)
    logits = np.full((3, longest, len(job.names)), -100.0)
    for place, row in enumerate(features):
        for token, label in enumerate(row["labels"]):
            logits[place, token] = np.arange(len(job.names)) == max(label, 0)
    found = job.compute_metrics(Dataset.from_list(WORDS))(Prediction(logits))
    assert (found["f1"], found["LOC_f1"], found["accuracy"]) == (1.0, 1.0, 1.0)
    logits[2] = np.arange(len(job.names)) == 0
    assert job.compute_metrics(Dataset.from_list(WORDS))(Prediction(logits))["recall"] == pytest.approx(2 / 3)


# -- answers ---------------------------------------------------------------------------------------------------------

CONTEXT = "The river is long. " * 6 + "서울 is the capital of Korea, and Busan is a port. " + "It rains there. " * 5


def answers(*texts: str) -> dict[str, Any]:
    return {"text": list(texts), "answer_start": [CONTEXT.index(text) for text in texts]}


ASKED: list[dict[str, Any]] = [
    {"question": "the capital?", "context": CONTEXT, "answers": answers("서울")},
    {"question": "a port?", "context": CONTEXT, "answers": answers("Busan")},
    {"question": "no?", "context": "short", "answers": answers()},
]


def answering(name: str = "bert") -> Any:
    return with_head(
        task("question-answering", ASKED, max_length=48, doc_stride=16),
        {"bert": "bert", "roberta": "roberta"}[name],
        name,
    )


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_an_answer_is_in_a_window_that_has_it_and_cls_elsewhere(name: str) -> None:
    job = answering(name)
    for row, windows in zip(ASKED, job.encode(ASKED), strict=True):
        found = 0
        for window in windows:
            start, end, begin = window["start_positions"], window["end_positions"], window["begin"]
            if start == window["null"]:
                assert end == window["null"]
                continue
            said = row["context"][window["offsets"][start - begin][0] : window["offsets"][end - begin][1]]
            assert row["answers"]["text"][0] in said
            found += 1
        assert (found > 0) == bool(row["answers"]["text"])
        assert (len(windows) > 1) == (row["context"] is CONTEXT)
        seen = {window["first"] + place for window in windows for place in range(len(window["offsets"]))}
        assert seen == set(range(len(seen)))  # the windows cover the context


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_the_right_places_score_full_marks(name: str) -> None:
    job = answering(name)
    windows = [window for of_row in job.encode(ASKED) for window in of_row]
    longest = max(len(window["input_ids"]) for window in windows)
    starts, ends = np.full((2, len(windows), longest), -9.0)
    for place, window in enumerate(windows):
        starts[place, window["start_positions"]] = ends[place, window["end_positions"]] = 5.0
        if window["start_positions"] != window["null"]:
            starts[place, window["start_positions"]] = 9.0
    found = job.compute_metrics(Dataset.from_list(ASKED))(Prediction((starts, ends)))
    assert found["f1"] > 99 or name == "roberta"
    assert found["NoAns_exact"] == 100
    assert found["HasAns_f1"] > 60


def test_lists_of_answers_are_read_too() -> None:
    rows = [{"question": "a?", "context": "b c", "answers": [{"text": "c", "start": 2}]}]
    job = with_head(task("question-answering", rows))
    (window,) = job.encode(rows)[0]
    assert window["offsets"][window["start_positions"] - window["begin"]] == (2, 3)
    with pytest.raises(InputError, match="the answer 'c' at 9 is outside"):
        job.encode([{**rows[0], "answers": [{"text": "c", "start": 9}]}])


# -- texts for texts, and language -----------------------------------------------------------------------------------


def test_sources_and_targets_are_tokenized_each_as_it_should_be() -> None:
    rows = [{"text": "A long text.", "summary": "요약 text"}]
    job = with_head(task("summarization", rows, prefix="summarize: ", max_target_length=5), "t5", "t5")
    feature = job.features(Dataset.from_list(rows))[0]
    assert feature["input_ids"] == job.tokenizer("summarize: A long text.")["input_ids"]
    assert len(feature["labels"]) == 5
    assert feature["labels"][-1] == job.tokenizer.eos_token_id
    assert job.arguments()["predict_with_generate"]


def test_a_translation_between_languages_has_their_codes() -> None:
    pytest.importorskip("sacrebleu", reason="an optional extra: panpipe[metrics]")
    rows = [{"translation": {"ko": "서울", "en": "Seoul"}}]
    job = with_head(task("translation", rows), "m2m_100", "nllb")
    feature = job.features(Dataset.from_list(rows))[0]
    codes = job.tokenizer.language_codes
    assert codes["kor_Hang"] in feature["input_ids"]
    assert codes["eng_Latn"] in feature["labels"]
    assert job.arguments()["generation_config"] == {"forced_bos_token_id": codes["eng_Latn"]}


def test_texts_that_were_written_are_scored() -> None:
    rows = [{"text": "a", "summary": "in or on it"}, {"text": "b", "summary": "no one is here"}]
    job = with_head(task("summarization", rows), "t5", "t5")
    written = [job.tokenizer(row["summary"])["input_ids"] for row in rows]
    longest = max(map(len, written))
    ids = np.array([[*each, *[-100] * (longest - len(each))] for each in written])
    found = job.compute_metrics(Dataset.from_list(rows))(Prediction(ids))
    assert found["rougeL"] == 100


def test_texts_share_blocks_and_end_with_their_token() -> None:
    rows = [{"text": "one two"}, {"text": "three"}, {"text": ""}, {"text": "four five six " * 20}]
    job = with_head(task("text-generation", rows, block_size=32), "gpt2", "gpt2", n_positions=64)
    blocks = list(job.features(Dataset.from_list(rows)))
    assert all(len(block["input_ids"]) == 32 for block in blocks[:-1])
    assert len(blocks[0]["document_lengths"]) > 2
    eos = job.tokenizer.eos_token_id
    assert sum(block["input_ids"].count(eos) for block in blocks) == 4
    batch = job.collator.ragged(blocks, job.model, [0] * len(blocks))
    assert len(batch.batch) == sum(len(block["document_lengths"]) for block in blocks)


def test_only_what_answers_a_prompt_is_learned() -> None:
    rows = [{"prompt": "say:", "completion": " 서울"}]
    job = with_head(task("text-generation", rows), "gpt2", "gpt2", n_positions=64)
    (feature,) = job.encode(rows)[0]
    learned = [label for label in feature["labels"] if label != -100]
    assert job.tokenizer.decode(learned) == " 서울" + job.tokenizer.eos_token
    assert job.tokenizer.decode(feature["input_ids"]).startswith("say: 서울")


@pytest.mark.parametrize(
    ("name", "tok", "config"), [("fill-mask", "bert", "bert"), ("text2text-denoising", "t5", "t5")]
)
def test_long_texts_are_cut_in_pieces_with_their_special_tokens(name: str, tok: str, config: str) -> None:
    rows = [{"text": "in the city of Seoul " * 10}]
    job = with_head(task(name, rows, block_size=16), config, tok)
    pieces = list(job.features(Dataset.from_list(rows)))
    assert len(pieces) > 3
    first, last = (None if tok == "t5" else job.tokenizer.cls_token_id), job.tokenizer.sep_token_id
    for piece in pieces:
        assert len(piece["input_ids"]) <= 16
        assert first is None or piece["input_ids"][0] == first
        assert piece["input_ids"][-1] == (last if first is not None else job.tokenizer.eos_token_id)
    with pytest.raises(InvalidArgument, match="leaves no room"):
        with_head(task(name, rows, block_size=1), config, tok).encode(rows)


# -- evaluate --------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))


TEXTS = ["I love it!", "서울은 수도이다.", "in", "a longer one, so that lengths differ much", "네!"]


def test_labels_that_the_pipeline_gives_are_all_right() -> None:
    own, pieces = model("sequence-classification"), golden_tokenizer()
    pipe: Any = pipeline("text-classification", own, tokenizer=pieces)
    rows = [{"text": text, "label": pipe(text)[0]["label"], "lang": str(n % 2)} for n, text in enumerate(TEXTS)]
    if len({row["label"] for row in rows}) == 1:  # a random model may say one thing of all
        other = next(name for name in own.config.label2id if name != rows[0]["label"])
        rows.append({"text": TEXTS[0], "label": other, "lang": "2"})
    found = evaluate("sentiment-analysis", own, rows, tokenizer=pieces, by="lang", batch_size=2)
    wrong = sum(row["lang"] == "2" for row in rows)
    assert found["metrics"]["accuracy"] == pytest.approx(1 - wrong / len(rows))
    assert found["by"]["0"]["accuracy"] == found["by"]["1"]["accuracy"] == 1.0
    assert (found["rows"], found["by"]["0"]["rows"]) == (len(rows), 3)


def test_labels_in_another_case_are_the_models() -> None:
    own, pieces = model("sequence-classification"), golden_tokenizer()
    names = list(own.config.id2label.values())
    rows = [{"text": text, "label": names[n % 2].swapcase()} for n, text in enumerate(TEXTS)]
    by_name = evaluate("text-classification", own, rows, tokenizer=pieces)["metrics"]
    by_number = [{**row, "label": n % 2} for n, row in enumerate(rows)]
    assert evaluate("text-classification", own, by_number, tokenizer=pieces)["metrics"] == by_name
    with pytest.raises(InvalidArgument, match="they must be the same"):
        evaluate("text-classification", own, labelled("x", "y"), tokenizer=pieces)


def test_tags_that_the_pipeline_gives_are_all_right() -> None:
    own, pieces = model("token-classification"), golden_tokenizer()
    pipe: Any = pipeline("token-classification", own, tokenizer=pieces, ignore_labels=[])
    rows = []
    for text in ("서울 부산 like the London life", "New York", "you live in 제주"):  # each word is one token
        said = pipe(text)
        assert [each["word"] for each in said] == text.split()
        rows.append({"tokens": text.split(), "tags": [each["entity"] for each in said]})
    found = evaluate("ner", own, rows, tokenizer=pieces)
    assert found["metrics"]["accuracy"] == 1.0
    rows[0]["tags"] = ["I-LOC" if tag == "O" else "O" for tag in rows[0]["tags"]]
    assert evaluate("ner", own, rows, tokenizer=pieces)["metrics"]["accuracy"] == pytest.approx(6 / 12)


def test_the_loss_of_a_masked_model_is_the_same_in_any_batch() -> None:
    own, pieces = model("masked-lm"), golden_tokenizer()
    rows = [{"text": text * 4} for text in TEXTS]
    one, many = (evaluate("fill-mask", own, rows, tokenizer=pieces, batch_size=n)["metrics"] for n in (1, 4))
    assert one["loss"] == pytest.approx(many["loss"], rel=1e-5)
    assert one["perplexity"] == pytest.approx(np.exp(one["loss"]))


def test_what_cannot_be_evaluated_is_said_first() -> None:
    own, pieces = model("sequence-classification"), golden_tokenizer()
    rows = {"train": Dataset.from_list(labelled(0, 1))}
    with pytest.raises(DataNotFound, match=r"no split 'tset'; the data have train\."):
        evaluate("text-classification", own, rows, split="tset", tokenizer=pieces)
    with pytest.raises(MissingKey, match="no column 'langs' to tell rows apart by"):
        evaluate("text-classification", own, rows, by="langs", tokenizer=pieces)
    with pytest.raises(InvalidArgument, match="needs a model for token-classification"):
        evaluate("ner", own, WORDS, tokenizer=pieces)
    with pytest.raises(UnknownArgument, match="has no 'learning_rate'"):
        evaluate("text-classification", own, rows, tokenizer=pieces, learning_rate=1)
