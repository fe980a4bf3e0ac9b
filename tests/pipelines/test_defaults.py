"""Pipelines for which no model was named: the embedded models, each for the texts of its language."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panpipe import KeyDataset, pipeline
from panpipe.errors import CheckpointError, CheckpointNotFound, HubUnavailable, InputError, InvalidArgument, TooLong
from panpipe.pipelines import Interrupted, check_task
from panpipe.pipelines.extractive import ExtractiveSummarizationPipeline
from panpipe.pipelines.generating import GeneratingPipeline
from panpipe.pipelines.pivot import PivotTranslationPipeline
from panpipe.pipelines.text_classification import TextClassificationPipeline
from panpipe.pipelines.translation import TranslationPipeline
from tests.distribution import adapter_of, install, row

GOLDEN = Path(__file__).parents[1] / "golden"
ENGLISH, KOREAN, FRENCH, RUSSIAN = "I like this film", "이 영화가 좋다", "J'aime ce film", "Мне нравится"
SENTIMENT = [row("feelings-ko", "text-classification", ["ko"]), row("feelings-en", "text-classification", ["en"])]
DIRECTIONS = ["fr-en", "en-fr", "ko-en", "en-ko"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))


def checkpoint(folder: Path, model: str, tokenizer: str, **config: Any) -> Path:
    """A whole checkpoint from the parts in tests/golden."""
    shutil.copytree(GOLDEN / model, folder)
    for file in (GOLDEN / tokenizer).iterdir():
        if file.is_file() and not (folder / file.name).exists():
            shutil.copy(file, folder)
    values = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**values, **config}), "utf-8")
    return folder


@pytest.fixture
def feelings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classifiers, which answer in the language that they are for."""
    for language, labels in (("en", ["good", "fine", "bad"]), ("ko", ["좋다", "괜찮다", "나쁘다"])):
        names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
        checkpoint(tmp_path / f"feelings-{language}", "pipelines_a/bert/classifier", "pipelines_b/bert", **names)
    install(monkeypatch, tmp_path, SENTIMENT)
    return tmp_path


def languages(answers: Any) -> str:
    """In which language each answer is."""
    labels = [answer["label"] for answer in answers]
    return " ".join("en" if label.isascii() else "ko" for label in labels)


# -- one model for each language -------------------------------------------------------------------------------------


def test_texts_of_one_call_are_answered_by_the_model_of_their_language_in_order(feelings: Path) -> None:
    pipe = pipeline("sentiment-analysis")
    texts = [KOREAN, ENGLISH, "12:30 😀", KOREAN * 2, ENGLISH]
    assert languages(pipe(texts)) == "ko en en ko en"
    named = {name: pipeline("sentiment-analysis", model=feelings / f"feelings-{name}") for name in ("en", "ko")}
    for text, answer in zip(texts, pipe(texts), strict=True):
        (alone,) = named["en" if answer["label"].isascii() else "ko"](text)
        assert answer == {"label": alone["label"], "score": pytest.approx(alone["score"], abs=1e-6)}
    assert languages(pipe(KOREAN)) == "ko"
    assert pipe([]) == []
    pair = {"text": KOREAN, "text_pair": "정말로"}
    assert languages(pipe([pair, {"text": ENGLISH, "text_pair": "really"}])) == "ko en"
    assert languages(pipe(KeyDataset([{"a": KOREAN}, {"a": ENGLISH}], "a"))) == "ko en"
    assert languages(pipe(text for text in texts)) == "ko en en ko en"
    assert [len(answer) for answer in pipe([ENGLISH, KOREAN], top_k=2)] == [2, 2]
    assert [len(answer) for answer in pipe([ENGLISH, KOREAN], always_list=True)] == [1, 1]


def test_the_pipeline_is_the_english_one_and_the_other_is_loaded_when_a_text_asks_for_it(
    feelings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = pipeline("sentiment-analysis")
    assert type(pipe) is TextClassificationPipeline
    assert pipe.model.name_or_path == str(feelings / "feelings-en")
    (line,) = caplog.messages
    for words in ("sentiment-analysis", "feelings-en", "accuracy 0.5 of feelings-en", "owner/large-feelings-en"):
        assert words in line
    pipe([ENGLISH])
    assert len(caplog.messages) == 1
    pipe([KOREAN, KOREAN])
    pipe(KOREAN)
    (line,) = caplog.messages[1:]
    for words in ("Korean", "feelings-ko", "accuracy 0.5 of feelings-ko", "owner/large-feelings-ko"):
        assert words in line


def test_parameters_of_constructor_and_call_count_for_every_language(feelings: Path) -> None:
    pipe = pipeline("sentiment-analysis", top_k=None, function_to_apply="none")
    assert [len(answer) for answer in pipe([KOREAN, ENGLISH])] == [3, 3]
    sums = [sum(one["score"] for one in answer) for answer in pipe([KOREAN, ENGLISH], function_to_apply="softmax")]
    assert sums == pytest.approx([1, 1])


def test_a_language_that_nobody_reads_is_answered_by_the_default_and_said_once(
    feelings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pipe = pipeline("sentiment-analysis")
    caplog.clear()
    assert languages(pipe([RUSSIAN, FRENCH, RUSSIAN, "Das Wetter ist schön"])) == "en en en en"
    pipe(RUSSIAN)
    assert [message.partition("texts in ")[2].partition(";")[0] for message in caplog.messages] == [
        "Cyrillic",
        "French",
    ]


def test_one_model_of_two_languages_is_loaded_once(
    feelings: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, feelings, [row("feelings-en", "text-classification", ["en", "ko"])])
    pipe = pipeline("sentiment-analysis")
    assert languages(pipe([KOREAN, ENGLISH])) == "en en"
    assert len(caplog.messages) == 1


def test_it_can_be_pickled(feelings: Path) -> None:
    pipe = pipeline("sentiment-analysis")
    texts = [KOREAN, ENGLISH]
    assert pickle.loads(pickle.dumps(pipe))(texts) == pipe(texts) == copy.deepcopy(pipe)(texts)


def test_a_model_that_was_named_answers_every_language(feelings: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = pipeline("sentiment-analysis", model=feelings / "feelings-en")
    assert languages(pipe([KOREAN, ENGLISH, RUSSIAN])) == "en en en"
    assert caplog.messages == []


def test_a_stream_that_raises_gives_the_answers_before_it(feelings: Path) -> None:
    def texts() -> Iterator[str]:
        yield from (KOREAN, ENGLISH, ENGLISH, KOREAN)
        raise RuntimeError("the file ends here")

    answers = iter(pipeline("sentiment-analysis")(texts()))
    assert languages([next(answers) for _ in range(4)]) == "ko en en ko"
    with pytest.raises(RuntimeError, match="the file ends here"):
        next(answers)


def test_an_input_that_cannot_be_answered_is_an_error_in_its_place(feelings: Path) -> None:
    pipe = pipeline("sentiment-analysis")
    bad = [KOREAN, 5, ENGLISH, "길다 " * 600, "", ENGLISH]
    with pytest.raises(InputError, match="not 5"):
        pipe(bad)
    answers = pipe(bad, on_error="return")
    assert [type(answers[place]) for place in (1, 3)] == [InputError, TooLong]
    assert languages([answers[place] for place in (0, 2, 4, 5)]) == "ko en en en"
    stream = iter(pipe(text for text in bad))
    assert languages([next(stream)]) == "ko"
    with pytest.raises(InputError):
        next(stream)


def test_every_window_of_a_long_stream_is_in_order(feelings: Path) -> None:
    texts = [KOREAN, ENGLISH, ENGLISH] * 70
    assert languages(pipeline("sentiment-analysis")(iter(texts))) == "ko en en " * 69 + "ko en en"


# -- adapters --------------------------------------------------------------------------------------------------------


def test_an_embedded_adapter_stands_on_the_embedded_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    checkpoint(tmp_path / "base", "pipelines_a/bert/base", "pipelines_b/bert")
    adapter_of("owner/base", GOLDEN / "pipelines_a/bert/classifier", tmp_path / "feelings")
    rows = [
        row("feelings", "text-classification", ["en"]),
        row("base", "feature-extraction", ["en"], hub_id="owner/base"),
    ]
    install(monkeypatch, tmp_path, rows)
    (answer,) = pipeline("sentiment-analysis")(ENGLISH)
    (tmp_path / "feelings" / "adapter_config.json").write_text(
        (tmp_path / "feelings" / "adapter_config.json").read_text().replace("owner/base", str(tmp_path / "base"))
    )
    assert pipeline("sentiment-analysis", model=tmp_path / "feelings")(ENGLISH) == [answer]


# -- translation -----------------------------------------------------------------------------------------------------


@pytest.fixture
def translator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    checkpoint(tmp_path / "there", "pipelines_c/mbart", "tokenizers/mbart50")
    install(monkeypatch, tmp_path, [row("there", "translation", DIRECTIONS)])
    return tmp_path / "there"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What was translated: (text, source, target)."""
    seen: list[tuple[str, str, str]] = []
    encode = TranslationPipeline.encode

    def spy(self: Any, inputs: list[Any], *, direction: Any, **parameters: Any) -> Any:
        seen.extend((text, direction.source_key, direction.target_key) for text in inputs)
        return encode(self, inputs, direction=direction, **parameters)

    monkeypatch.setattr(TranslationPipeline, "encode", spy)
    return seen


FEW = {"max_new_tokens": 3, "num_beams": 1}


@pytest.mark.parametrize(
    ("task", "languages", "ends"),
    [
        ("translation_fr_to_en", {}, ("fr", "en")),
        ("translation_en_to_ko", {}, ("en", "ko")),
        ("translation", {"src_lang": "Korean", "tgt_lang": "eng"}, ("ko", "en")),
        ("translation", {"src_lang": "한국어"}, ("ko", "en")),
        ("translation", {"src_lang": "en_XX"}, ("en", "fr")),
    ],
)
def test_a_pair_of_languages_runs_on_the_embedded_model(
    translator: Path, asked: list[Any], task: str, languages: dict[str, str], ends: tuple[str, str]
) -> None:
    pipe = pipeline(task, **languages, **FEW)
    assert type(pipe) is TranslationPipeline
    assert pipe.model.name_or_path == str(translator)
    assert pipe([RUSSIAN])[0].keys() == {"translation_text"}
    assert asked == [(RUSSIAN, *ends)]  # whatever the text looks like


def test_between_korean_and_french_it_goes_through_english_and_says_so(
    translator: Path, asked: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    for task, ends in (("translation_ko_to_fr", ("ko", "fr")), ("translation_fr_to_ko", ("fr", "ko"))):
        pipe = pipeline(task, **FEW)
        assert type(pipe) is PivotTranslationPipeline
        assert len(pipe(KOREAN)) == 1
        assert [one[1:] for one in asked] == [(ends[0], "en"), ("en", ends[1])]
        asked.clear()
    assert "Korean to French by way of English" in caplog.text


def test_without_languages_each_text_says_its_own(
    translator: Path, asked: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    pipe = pipeline("translation", **FEW)
    (line,) = caplog.messages
    assert "The language of each text is found. It goes to English, English to French." in line
    texts = [FRENCH, ENGLISH, KOREAN, "Paris", FRENCH]
    answers = pipe(texts)
    assert [len(answer) for answer in answers] == [1] * 5
    ends = {FRENCH: ("fr", "en"), ENGLISH: ("en", "fr"), KOREAN: ("ko", "en"), "Paris": ("en", "fr")}
    assert {text: tuple(own) for text, *own in asked} == ends
    for text, answer in zip(texts, answers, strict=True):
        source, target = ends[text]
        assert [answer] == pipeline(f"translation_{source}_to_{target}", **FEW)(text)


def test_the_source_is_found_where_only_the_target_is_told(translator: Path, asked: list[Any]) -> None:
    pipeline("translation", tgt_lang="French", **FEW)([KOREAN, ENGLISH])
    assert [one[1:] for one in asked] == [("ko", "en"), ("en", "fr"), ("en", "fr")]
    asked.clear()
    pipe = pipeline("translation", **FEW)
    pipe([KOREAN, FRENCH], tgt_lang="en")
    pipe(ENGLISH, tgt_lang="ko")
    pipe(RUSSIAN, src_lang="fr", tgt_lang="en")
    pipe(KOREAN, tgt_lang="fr")
    assert [one[1:] for one in asked] == [
        *[("ko", "en"), ("fr", "en"), ("en", "ko"), ("fr", "en")],
        *[("ko", "en"), ("en", "fr")],
    ]
    with pytest.raises(InvalidArgument, match="'xx' is not one of the languages here"):
        pipe(ENGLISH, tgt_lang="xx")


def test_arguments_of_a_call_reach_every_direction(translator: Path) -> None:
    pipe = pipeline("translation", **FEW)
    answers = pipe([FRENCH, KOREAN, ENGLISH], num_beams=2, num_return_sequences=2, return_tensors=True)
    assert [[len(one["translation_token_ids"]) <= 5 for one in answer] for answer in answers] == [[True, True]] * 3


def test_other_pairs_keep_the_defaults_of_the_hub(translator: Path) -> None:
    with pytest.raises(HubUnavailable, match="google-t5/t5-base"):
        pipeline("translation_en_to_de")
    with pytest.raises(InvalidArgument, match="any default models"):
        pipeline("translation_de_to_ko")
    with pytest.raises(InvalidArgument, match="can't be correctly selected"):
        pipeline("translation", tgt_lang="de")


def test_ctrl_c_leaves_the_answers_before_it(translator: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = pipeline("translation", **FEW)
    run, runs = GeneratingPipeline.run, []

    def second_stops(self: Any, items: Any, *arguments: Any, **parameters: Any) -> None:
        runs.append(self)
        if len(runs) == 2:
            raise Interrupted
        run(self, items, *arguments, **parameters)

    monkeypatch.setattr(GeneratingPipeline, "run", second_stops)
    with pytest.raises(Interrupted) as stop:
        pipe([FRENCH, FRENCH, KOREAN, FRENCH])
    assert len(stop.value.answers) == 2


# -- the rest --------------------------------------------------------------------------------------------------------


TASKS: dict[str, tuple[str, str, tuple[Any, ...], dict[str, Any]]] = {
    "feature-extraction": ("pipelines_a/bert/base", "pipelines_b/bert", (ENGLISH,), {"pooling": "mean"}),
    "fill-mask": ("pipelines_b/bert/fill-mask", "pipelines_b/bert", ("I [MASK] it",), {"top_k": 2}),
    "ner": ("pipelines_b/bert/token-classification", "pipelines_b/bert", ([ENGLISH, KOREAN],), {}),
    "question-answering": (
        "pipelines_b/bert/question-answering", "pipelines_b/bert", (), {"question": KOREAN, "context": ENGLISH}
    ),
    "text-generation": ("pipelines_c/gpt2", "tokenizers/gpt2", ([ENGLISH, ENGLISH],), {"max_new_tokens": 3}),
    "zero-shot-classification": (
        "pipelines_a/bert/classifier", "pipelines_b/bert", (ENGLISH,), {"candidate_labels": ["a", "b"]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_without_a_model_as_with_that_model_named(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, tokenizer, inputs, parameters = TASKS[task]
    folder = checkpoint(tmp_path / "only", model, tokenizer)
    install(monkeypatch, tmp_path, [row("only", check_task(task)[0], ["en"])])
    pipe = pipeline(task)
    assert "owner/large-only" in caplog.text
    answers, same = pipe(*inputs, **parameters), pipeline(task, model=folder)(*inputs, **parameters)
    assert str(answers) == str(same)
    assert ("texts in Korean" in caplog.text) is (task in ("ner", "question-answering"))


def test_text_is_streamed_by_the_embedded_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(tmp_path / "only", "pipelines_c/gpt2", "tokenizers/gpt2")
    install(monkeypatch, tmp_path, [row("only", "text-generation", ["en"])])
    with pipeline("text-generation", max_new_tokens=3)(ENGLISH, stream=True) as pieces:
        assert "".join(pieces)


def test_summaries_are_picked_where_no_embedded_model_writes_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint(tmp_path / "base", "pipelines_a/bert/base", "pipelines_b/bert")
    install(monkeypatch, tmp_path, [row("base", "summarization", ["en"])])
    assert type(pipeline("summarization", num_sentences=1)) is ExtractiveSummarizationPipeline
    assert "it picks sentences, it writes none" in caplog.text


def test_a_revision_is_of_the_hub(feelings: Path) -> None:
    with pytest.raises(HubUnavailable, match="distilbert-base-uncased-finetuned-sst-2-english"):
        pipeline("sentiment-analysis", revision="main")


@pytest.mark.parametrize(
    "rows", ["{", "{}", "[5]", '[{"folder": "x"}]', [{**row("x", "ner", []), "languages": "en"}], [row("x", "ner", [])]]
)
def test_a_broken_index_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Any) -> None:
    install(monkeypatch, tmp_path, rows)
    with pytest.raises(CheckpointError, match=r"models\.json cannot be read.*--force-reinstall"):
        pipeline("sentiment-analysis")


def test_a_missing_index_says_what_to_do(feelings: Path) -> None:
    (feelings / "models.json").unlink()
    with pytest.raises(CheckpointError, match=r"models\.json cannot be read.*FileNotFound.*--force-reinstall"):
        pipeline("sentiment-analysis")


def test_a_missing_folder_says_what_to_do(feelings: Path) -> None:
    shutil.rmtree(feelings / "feelings-ko")
    with pytest.raises(CheckpointNotFound, match=r"there is no .*feelings-ko\. .*--force-reinstall"):
        pipeline("sentiment-analysis")
    assert languages(pipeline("sentiment-analysis", model=feelings / "feelings-en")(ENGLISH)) == "en"
