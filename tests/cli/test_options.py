"""The options of a task are the parameters of its pipeline."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from panpipe.cli.options import add_options, given_options, spell_out, task_options
from panpipe.cli.parser import Parser, parse
from panpipe.pipelines.tasks import TASKS

from .conftest import Run

VALUES: dict[str, tuple[list[str], Any]] = {
    "flag": ([], True),
    "flag or word": (["auto"], "auto"),
    "whole number": (["7"], 7),
    "number": (["0.5"], 0.5),
    "list": (["a, b"], ["a", "b"]),
    "JSON": (['{"a": [1]}'], {"a": [1]}),
    "text": (["안녕"], "안녕"),
}


def parsed(task: str, *arguments: str) -> dict[str, Any]:
    options = task_options(TASKS[task].pipeline_class)
    parser = Parser("panpipe", "")
    parser.add_argument("text", nargs="*")
    add_options(parser, options)
    given = parse(parser, spell_out(arguments, options))
    return given_options(given, options) | {"text": given.text}


@pytest.mark.parametrize("task", TASKS)
def test_every_parameter_of_a_pipeline_is_an_option(task: str) -> None:
    signature = inspect.signature(TASKS[task].pipeline_class._sanitize_parameters).parameters
    names = {name for name, p in signature.items() if p.kind is not p.VAR_KEYWORD and name != "self"}
    options = task_options(TASKS[task].pipeline_class)
    assert names - {"return_tensors", "return_text", "return_type", "offset_mapping"} <= {
        option.name for option in options
    }
    for option in options:
        values, expected = VALUES[option.kind]
        given = parsed(task, "before", option.flags[-1], *values, "--", "after")
        assert given == {option.name: expected, "text": ["before", "after"]}


@pytest.mark.parametrize("task", [*TASKS, "ner", "sentiment-analysis"])
def test_help_explains_the_options(task: str, run: Run) -> None:
    ran = run(task, "--help")
    assert (ran.code, ran.err) == (0, "")
    options = task_options(TASKS.get(task, TASKS["token-classification"]).pipeline_class) if task in TASKS else []
    for option in options:
        assert (option.flags[0] in ran.out) == (option.help is not None)


@pytest.mark.parametrize("task", ["summarization", "text-generation", "text2text-generation", "translation"])
def test_the_parameters_of_generation_are_options(task: str) -> None:
    options = {option.name: option for option in task_options(TASKS[task].pipeline_class)}
    kinds = {name: options[name].kind for name in ("max_new_tokens", "temperature", "do_sample", "early_stopping")}
    assert kinds == {
        "max_new_tokens": "whole number",
        "temperature": "number",
        "do_sample": "flag",
        "early_stopping": "flag or word",
    }
    assert options["max_length"].help == "the same, with those of the prompt counted"
    assert "output_scores" not in options
    assert parsed(task, "--stop-strings", '[", ", "끝"]', "--eos-token-id", "[1, 2]", "--early-stopping=never") == {
        "stop_strings": [", ", "끝"],
        "eos_token_id": [1, 2],
        "early_stopping": "never",
        "text": [],
    }


def test_what_the_docstring_says_is_the_help() -> None:
    options = {option.name: option for option in task_options(TASKS["fill-mask"].pipeline_class)}
    assert options["top_k"].help == "how many per mask (5)"
    assert options["targets"].help is not None
    deprecated = {option.name: option for option in task_options(TASKS["token-classification"].pipeline_class)}
    assert deprecated["grouped_entities"].help is None


@pytest.mark.parametrize(
    "arguments, truncation, texts",
    [
        (["--truncation", "A whole sentence."], True, ["A whole sentence."]),
        (["--truncation", "only_first", "a b"], "only_first", ["a b"]),
        (["--truncation=false"], False, []),
        (["--no-truncation", "a b"], False, ["a b"]),
        (["--truncation", "--max-length", "5", "a b"], True, ["a b"]),
        (["a b", "--truncation"], True, ["a b"]),
    ],
)
def test_a_flag_may_have_a_word_and_does_not_swallow_a_text(
    arguments: list[str], truncation: bool | str, texts: list[str]
) -> None:
    given = parsed("text-classification", *arguments)
    assert (given["truncation"], given["text"]) == (truncation, texts)


def test_a_list_may_be_json_where_its_parts_have_commas() -> None:
    given = parsed("zero-shot-classification", "--labels", '["art, music", "war"]')
    assert given["candidate_labels"] == ["art, music", "war"]


def test_all_is_a_number_of_labels() -> None:
    assert parsed("text-classification", "--top-k", "all")["top_k"] is None
