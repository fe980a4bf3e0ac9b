"""The tasks that write texts, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from panpipe import pipeline
from panpipe.cli.terminal import lines
from panpipe.pipelines import Pieces

from .conftest import Run, Terminal

KOREAN = "서울은 어디에"
FEW = ["--max-new-tokens", "8", "--seed", "4"]


def answer(model: str, **parameters: Any) -> str:
    made = pipeline("text-generation", model)(KOREAN, max_new_tokens=8, seed=4, **parameters)
    return str(made[0]["generated_text"])


def test_a_text_is_seen_while_it_is_made_and_no_character_is_broken(
    models: dict[str, str], run_on_terminal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models["text-generation"]
    parts: list[str] = []
    write = Terminal.write
    monkeypatch.setattr(Terminal, "write", lambda self, text: parts.append(text) or write(self, text))
    monkeypatch.setenv("NO_COLOR", "1")
    ran = run_on_terminal("text-generation", KOREAN, "--model", model, *FEW)
    assert (ran.code, ran.out) == (0, lines(answer(model)) + "\n")
    assert len([part for part in parts if part.strip()]) > 3
    assert all(part.encode() for part in parts)
    alone = run_on_terminal("text-generation", KOREAN, "--model", model, *FEW, "--no-return-full-text")
    assert alone.out == lines(answer(model, return_full_text=False)) + "\n"


@pytest.mark.parametrize("more", [["--no-stream"], [KOREAN], ["--num-beams", "2"]])
def test_without_a_stream_a_person_sees_the_texts_at_the_end(
    more: list[str], models: dict[str, str], run_on_terminal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("panpipe.pipelines.text_generation.TextGenerationPipeline.pieces", None)
    ran = run_on_terminal("text-generation", KOREAN, "--model", models["text-generation"], *FEW, *more)
    assert ran.code == 0
    assert ran.out.count(KOREAN) == (2 if more == [KOREAN] else 1)
    assert not ran.out.startswith("{")


def test_in_a_pipe_there_are_lines_of_json_and_a_stream_if_it_is_asked_for(models: dict[str, str], run: Run) -> None:
    model = models["text-generation"]
    ran = run("text-generation", KOREAN, "--model", model, *FEW)
    assert ran.outputs == [[{"generated_text": answer(model)}]]
    assert run("text-generation", KOREAN, "--model", model, *FEW, "--stream").out == lines(answer(model)) + "\n"


def test_a_stream_that_is_interrupted_ends_its_line(
    models: dict[str, str], run_on_terminal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Pieces.__next__
    given: list[str] = []

    def next_or_stop(self: Pieces) -> str:
        if len(given) == 2:
            raise KeyboardInterrupt
        given.append(real(self))
        return given[-1]

    monkeypatch.setattr(Pieces, "__next__", next_or_stop)
    monkeypatch.setenv("NO_COLOR", "1")
    ran = run_on_terminal("text-generation", KOREAN, "--model", models["text-generation"], *FEW)
    assert ran.code == 130
    assert ran.out == KOREAN + "".join(map(lines, given)) + "\n"


def test_a_text_cannot_steer_the_terminal() -> None:
    assert lines("가\x1b[31m나\n\tb\x07\u202e") == "가[31m나\n\tb"


def test_two_models_translate_one_after_the_other(models: dict[str, str], run: Run) -> None:
    model = models["translation"]
    asked = ["translation", KOREAN, "--src-lang", "ko", "--tgt-lang", "fr", "--max-new-tokens", "4"]
    ran = run(*asked, "--model", model, "--then-model", model)
    assert ran.code == 0
    assert "translates alone" in ran.err
    refused = run(*asked, "--then-model", model)
    assert (refused.code, "give --model too" in refused.err) == (2, True)


def test_errors_name_the_options_as_they_are_typed(models: dict[str, str], run: Run) -> None:
    ran = run("translation", KOREAN, "--model", models["translation"], "--src-lang", "ko", "--tgt-lang", "klingon")
    assert ran.code == 2
    assert "--tgt-lang 'klingon' is not one of the languages" in ran.err
    ran = run("text-generation", KOREAN, "--model", models["text-generation"], "--max-length", "2")
    assert ran.code == 2 or ran.code == 1
    assert "--max-length 2 counts the prompt" in ran.err


def test_a_files_lines_are_translated_in_order(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    file = tmp_path / "문장.txt"
    file.write_text("서울에 가자.\nhello\n서울에 가자.\n", "utf-8")
    more = ["--src-lang", "ko", "--tgt-lang", "en", "--max-new-tokens", "4", "--model", models["translation"]]
    ran = run("translation", "--input", str(file), *more)
    first, second, third = ran.outputs
    assert first == third != second
    assert [line["index"] for line in ran.lines] == [0, 1, 2]


def test_the_tasks_name_their_default_models(run: Run) -> None:
    rows: Iterator[dict[str, Any]] = iter(run("tasks", "--json").lines)
    models = {row["task"]: row["model"] for row in rows}
    assert models["translation"] == "google-t5/t5-base at a9723ea (en to de, en to fr, en to ro)"
    assert models["text-generation"] == "openai-community/gpt2 at 607a30d"
