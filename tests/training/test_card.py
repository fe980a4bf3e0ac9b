"""The model card: what the Hub reads of it, and what people do."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.carbon import Component, EnergyResult, find_place
from panpipe.training.card import DataUsed, RunReport, _yaml, markdown_table, model_card

ENERGY = EnergyResult(
    project_name="감성",
    run_id="run-1",
    timestamp="2026-11-22T16:00:00",
    seconds=1800.0,
    kg_co2e=0.0123,
    components=(
        Component("cpu", 0.025, "measured", 0.1, "RAPL: intel-rapl:0", "AMD EPYC 7763", 128),
        Component("ram", 0.005, "assumed", 0.5, "0.375 W a gigabyte in use"),
    ),
    place=find_place("KOR"),
    tracking_mode="machine",
    backend="builtin",
)
RUN = RunReport(
    model_name="누리/nsmc-tiny",
    base_model="sentence-transformers/all-MiniLM-L6-v2",
    task="text-classification",
    language=("ko", "no"),
    license="apache-2.0",
    datasets=(
        DataUsed("e9t/nsmc", "training", 150_000, "default", "train", is_on_hub=True),
        DataUsed("/home/누리/데이터/리뷰.csv", "evaluation", 5000, split="test"),
    ),
    arguments={"learning_rate": 5e-05, "num_train_epochs": 3, "output_dir": "/home/누리/out"},
    log_history=(
        {"loss": 0.7, "epoch": 1.0, "step": 100},
        {"eval_loss": 0.5, "eval_accuracy": 0.8, "eval_runtime": 3.0, "epoch": 1.0, "step": 100},
        {"loss": 0.4, "epoch": 2.0, "step": 200},
        {"eval_loss": 0.45, "eval_accuracy": 0.85, "eval_runtime": 3.0, "epoch": 2.0, "step": 200},
    ),
    metrics={"eval_loss": 0.45, "eval_accuracy": 0.85, "eval_f1": 1e-05, "eval_runtime": 3.0, "epoch": 2.0},
    energy=ENERGY,
    hardware="AMD EPYC 7763, 128 cores",
    versions={"panpipe": "0.1.0", "torch": "2.13.0"},
    seconds=1800.0,
    steps=200,
    tokens_per_second=12345.6,
    num_parameters=22_713_216,
    examples=('이 영화는 "최고"였다: 정말', "no"),
    tags=("panpipe", "sentiment"),
    picture="loss.svg",
)


def card(run: RunReport) -> tuple[Any, str]:
    """The front matter and the text, as the Hub's library reads them."""
    read = ModelCard(model_card(run))
    return read.data, read.text


def test_the_hubs_library_reads_everything() -> None:
    data, _ = card(RUN)
    assert data.language == ["ko", "no"]
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "panpipe", "text-classification")
    assert (data.base_model, data.datasets) == ("sentence-transformers/all-MiniLM-L6-v2", ["e9t/nsmc"])
    assert (data.tags, data.metrics) == (["panpipe", "sentiment"], ["accuracy", "f1"])
    assert data.widget == [{"text": '이 영화는 "최고"였다: 정말'}, {"text": "no"}]
    results = {result.metric_type: result for result in data.eval_results}
    assert {name: result.metric_value for name, result in results.items()} == {"accuracy": 0.85, "f1": 1e-05}
    accuracy = results["accuracy"]
    assert (accuracy.task_type, accuracy.dataset_name, accuracy.dataset_type) == (
        "text-classification",
        "리뷰.csv",
        "custom",
    )
    assert (accuracy.dataset_split, accuracy.dataset_config) == ("test", None)


def test_emissions_are_in_grams_with_their_source() -> None:
    data, _ = card(RUN)
    assert data.co2_eq_emissions == {
        "emissions": pytest.approx(12.3),
        "source": "panpipe, measured ±17%: RAPL: intel-rapl:0, 0.375 W a gigabyte in use",
        "training_type": "fine-tuning",
        "geographical_location": "South Korea",
        "hardware_used": "AMD EPYC 7763, 128 cores",
    }
    unknown = replace(RUN, energy=replace(ENERGY, place=find_place("atlantis")))
    assert card(unknown)[0].co2_eq_emissions["geographical_location"] == "unknown (the world's average)"


def test_people_read_what_was_done() -> None:
    _, text = card(RUN)
    for line in (
        "# nsmc-tiny",
        "A text-classification model of 22,713,216 parameters, fine-tuned from "
        "[sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2) "
        "on e9t/nsmc with panpipe.",
        'pipe = pipeline("text-classification", model="누리/nsmc-tiny")',
        'pipe("이 영화는 \\"최고\\"였다: 정말")',
        "| accuracy | 0.85 |",
        "| training | e9t/nsmc | default | train | 150,000 |",
        "It took 200 steps in 30 min 0 s at 12,346 tokens per second on AMD EPYC 7763, 128 cores.",
        "![Loss](loss.svg)",
        "| learning\\_rate | 5e-05 |",
        "| 200 | 2 | 0.4 | 0.45 | 0.85 |",
        "| CPU | AMD EPYC 7763, 128 logical cores | 25.0 Wh | 50 W | measured ±10%: RAPL: intel-rapl:0 |",
        "30.0 Wh (±17%) in 30 min 0 s: 12.3 g CO2e (South Korea, 414 g/kWh, 2024).",
        "- torch 2.13.0",
    ):
        assert line in text, text


def test_folders_of_this_computer_are_not_told(tmp_path: Path) -> None:
    told = model_card(replace(RUN, base_model=str(tmp_path / "secret" / "base")))
    assert "/home" not in told
    assert str(tmp_path) not in told
    assert "fine-tuned from base on" in told


def test_a_folder_here_is_no_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "base").mkdir(parents=True)
    data, text = card(replace(RUN, base_model="results/base"))
    assert data.base_model is None
    assert "huggingface.co/results" not in text


def test_what_is_not_known_is_left_out() -> None:
    told = model_card(RunReport("모델"))
    assert told.startswith("---\nlibrary_name: panpipe\ntags:\n- panpipe\n---\n\n# 모델\n")
    assert "null" not in told
    assert [line for line in told.splitlines() if line.startswith("## ")] == ["## Limits"]


def test_results_that_are_no_numbers_stay_out_of_the_front_matter() -> None:
    data, text = card(replace(RUN, metrics={"eval_loss": math.nan, "eval_accuracy": math.inf}))
    assert data.eval_results is None
    assert "| loss | nan |" in text
    only_loss, _ = card(replace(RUN, metrics={"eval_loss": 0.5}))
    assert [(result.metric_type, result.metric_value) for result in only_loss.eval_results] == [("loss", 0.5)]


def test_questions_are_called_by_their_parts() -> None:
    example = {"question": "수도는?", "context": "서울은 수도이다."}
    data, text = card(replace(RUN, task="question-answering", examples=(example,)))
    assert data.widget == [example]
    assert 'pipe(question="수도는?", context="서울은 수도이다.")' in text


def test_a_long_history_is_thinned_to_its_ends_and_some_between() -> None:
    history = [{"eval_loss": 1 / step, "step": step} for step in range(1, 1001)]
    table = [line for line in model_card(replace(RUN, log_history=history)).splitlines() if line.startswith("| 1")]
    assert len(table) <= 20
    assert table[0].startswith("| 1 |")
    assert table[-1].startswith("| 1,000 |")


def test_text_cannot_break_out_of_a_table_or_a_title() -> None:
    told = model_card(replace(RUN, model_name="a|b\n# c", arguments={"note": "x | y\n<script>"}))
    assert "# a\\|b \\# c\n" in told
    assert "| note | x \\| y \\<script\\> |" in told


def test_tables_leave_out_what_is_empty() -> None:
    assert markdown_table([]) == ""
    assert markdown_table([{"a": 1, "b": None}, {"a": 2.5, "c": "말"}]).splitlines() == [
        "| a | c |",
        "|---:|---|",
        "| 1 |  |",
        "| 2.5 | 말 |",
    ]


VALUES = st.recursive(
    st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(st.text() | st.integers(), min_size=1) | st.dictionaries(st.text(min_size=1), inner, min_size=1)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1))
def test_the_front_matter_holds_any_text(values: dict[str, Any]) -> None:
    assert yaml.safe_load(_yaml(values)) == values


@pytest.mark.parametrize(
    "text", ["no", "Yes", "1e5", "0x1", "2026-11-22", "~", "- a", "a: b", "a #b", "한국어", " a", "", "=", "<<"]
)
def test_words_that_yaml_would_turn_into_something_else_stay_words(text: str) -> None:
    assert yaml.safe_load(_yaml({"key": text, text or "k": [text]})) == {"key": text, text or "k": [text]}
