"""`panpipe TASK`: the answers are the pipeline's, whatever way the texts come in and the answers go out."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from panpipe import pipeline
from panpipe.cli import records
from panpipe.cli.records import Parts, Record
from panpipe.cli.run_task import _answer, _NoProgress
from panpipe.pipelines.inputs import WINDOW_INPUTS

from ..distribution import install, row
from .conftest import Run

TEXTS = ["hello there", "서울에 가자", "a [MASK] b"]
EXTRA: dict[str, tuple[list[str], dict[str, Any]]] = {
    "feature-extraction": (["--pooling", "mean", "--normalize"], {"pooling": "mean", "normalize": True}),
    "fill-mask": (["--top-k", "2"], {"top_k": 2}),
    "ner": (["--aggregation-strategy", "simple"], {"aggregation_strategy": "simple"}),
    "sentiment-analysis": (["--top-k=all"], {"top_k": None}),
    "text-classification": ([], {}),
    "token-classification": (["--ignore-labels", "O,B-MISC"], {"ignore_labels": ["O", "B-MISC"]}),
    "summarization": (["--max-new-tokens", "5", "--num-beams=2"], {"max_new_tokens": 5, "num_beams": 2}),
    "text-generation": (
        ["--max-new-tokens", "6", "--no-do-sample", "--no-return-full-text", "--bad-words-ids", "[[5], [6, 7]]"],
        {"max_new_tokens": 6, "do_sample": False, "return_full_text": False, "bad_words_ids": [[5], [6, 7]]},
    ),
    "text2text-generation": (
        [
            "--max-length",
            "7",
            "--do-sample",
            "--seed",
            "3",
            "--temperature",
            "0.5",
            "--num-return-sequences",
            "2",
            "--num-beams",
            "1",
        ],
        {"max_length": 7, "do_sample": True, "seed": 3, "temperature": 0.5, "num_return_sequences": 2, "num_beams": 1},
    ),
    "translation": (
        ["--src-lang", "한국어", "--tgt-lang", "en_XX", "--max-new-tokens", "4", "--split-sentences"],
        {"src_lang": "ko", "tgt_lang": "en", "max_new_tokens": 4, "split_sentences": True},
    ),
    "zero-shot-classification": (
        ["--labels", "art, war", "--multi-label"],
        {"candidate_labels": ["art", "war"], "multi_label": True},
    ),
}


def rounded(answers: Any) -> Any:
    """NumPy sums the rows of another batch in another order."""
    return json.loads(json.dumps(answers), parse_float=lambda digits: round(float(digits), 4))


@pytest.mark.parametrize("task", EXTRA)
def test_a_task_answers_what_its_pipeline_answers(task: str, models: dict[str, str], run: Run) -> None:
    options, parameters = EXTRA[task]
    texts = [text for text in TEXTS if task != "fill-mask" or "[MASK]" in text]
    ran = run(task, *texts, "--model", models[task], *options)
    expected = list(pipeline(task, models[task], **parameters)(iter(texts), always_list=True))
    plain = [answer.tolist() if hasattr(answer, "tolist") else answer for answer in expected]
    assert ran.code == 0
    assert not [line for line in ran.err.splitlines() if not line.startswith("panpipe: Your ")]  # lengths, as they are
    assert [line["input"] for line in ran.lines] == texts
    assert [line["index"] for line in ran.lines] == list(range(len(texts)))
    assert rounded(ran.outputs) == rounded(plain)


def test_questions_and_contexts_come_from_options_files_and_rows(
    models: dict[str, str], run: Run, tmp_path: Path
) -> None:
    model = models["question-answering"]
    questions, context = ["who am i?", "누구?"], "i am hello, and you are not."
    answer = pipeline("question-answering", model, top_k=2, align_to_words=False, always_list=True)
    expected = answer(question=questions, context=context)
    text, rows = tmp_path / "문서.txt", tmp_path / "질문.jsonl"
    text.write_text(context, "utf-8")
    rows.write_text("".join(json.dumps({"q": q, "c": context}) + "\n" for q in questions), "utf-8")
    more = ["--model", model, "--top-k", "2", "--no-align-to-words"]
    ran = [
        run("question-answering", *questions, "--context-file", str(text), *more),
        run("question-answering", *questions, "--context", context, *more),
        run("question-answering", "--input", str(rows), "--column", "q,c", *more),
    ]
    assert rounded([one.outputs for one in ran]) == rounded([expected] * 3)
    assert [line["input"] for line in ran[0].lines] == questions
    assert ran[2].lines[1]["input"] == {"question": "누구?", "context": context}
    alone = run("question-answering", "--question", questions[0], "--context", context, *more)
    assert rounded(alone.outputs) == rounded(expected[:1])


def test_a_column_of_pairs_is_classified_as_pairs(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    model = models["text-classification"]
    classify = pipeline("text-classification", model)
    table = tmp_path / "pairs.csv"
    table.write_text("premise,hypothesis\nhello,there\nyou,\n", "utf-8")
    ran = run("text-classification", "--input", str(table), "--column", "premise,hypothesis", "--model", model)
    assert rounded(ran.outputs) == rounded([[classify({"text": "hello", "text_pair": "there"})], classify("you")])
    alone = run("text-classification", "hello", "--text-pair", "there", "--model", model)
    assert rounded(alone.outputs) == rounded(ran.outputs[:1])


FILES = {
    "리뷰.txt": "\ufeffhello, you\n\n나쁜 \u2028영화\r\nthird",
    "리뷰.csv": '\ufeffid,text\r\n7,"hello, you"\r\n\r\n8,나쁜 \u2028영화\r\n9,third',
    "리뷰.tsv": "sentence\tstars\nhello, you\t3\n나쁜 \u2028영화\t1\nthird\t2\n",
    "리뷰.jsonl": '{"text": "hello, you"}\n\n"나쁜 \u2028영화"\n{"id": 3, "text": "third"}\n',
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_texts(name: str, models: dict[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name].encode())
    ran = run("sentiment-analysis", "--model", models["sentiment-analysis"], "--input", str(tmp_path / name))
    texts = ["hello, you", "나쁜 \u2028영화", "third"]
    assert (ran.code, [line["input"] for line in ran.lines]) == (0, texts)
    typed = run("sentiment-analysis", *texts, "--model", models["sentiment-analysis"])
    assert rounded(ran.outputs) == rounded(typed.outputs)
    assert [line["index"] for line in ran.lines] == ([0, 2, 3] if name.endswith("txt") else [0, 1, 2])


def test_texts_are_piped_in(models: dict[str, str], run: Run, pipe_in: Callable[[bytes], None]) -> None:
    pipe_in("a\n나\n".encode())
    assert [line["input"] for line in run("ner", "--model", models["ner"]).lines] == ["a", "나"]
    pipe_in('{"text": "나"}\n'.encode())
    ran = run("ner", "--model", models["ner"], "--input", "-", "--format", "jsonl")
    assert [line["input"] for line in ran.lines] == ["나"]


def test_without_any_text_a_person_is_told_what_to_give(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    ran = run("sentiment-analysis")
    assert (ran.code, ran.out) == (2, "")
    assert "--input FILE" in ran.err


def test_the_model_that_came_with_panpipe_needs_neither_name_nor_network(
    models: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(models["sentiment-analysis"])
    install(monkeypatch, folder.parent, [row(folder.name, "text-classification", ["en"])])
    ran = run("sentiment-analysis", "I've been waiting for a HuggingFace course my whole life.")
    assert (ran.code, len(ran.outputs), ran.err.count("\n")) == (0, 1, 1)
    for words in (folder.name, "accuracy 0.5", f"owner/large-{folder.name}"):
        assert words in ran.err
    named = run("sentiment-analysis", "--model", str(folder), "Прекрасный фильм")
    assert (named.code, named.err) == (0, "")


def test_a_translation_without_languages_finds_them(
    models: dict[str, str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(models["translation"])
    install(monkeypatch, folder.parent, [row(folder.name, "translation", ["fr-en", "en-fr", "ko-en", "en-ko"])])
    ran = run("translation", "--max-new-tokens", "3", "Ce cours est produit par Hugging Face.", "서울에 산다.")
    assert (ran.code, len(ran.outputs)) == (0, 2)
    assert "The language of each text is found" in ran.err.splitlines()[0]


def test_the_embedded_summarizer_has_its_own_options(
    models: dict[str, str], run: Run, run_on_terminal: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(models["feature-extraction"])
    install(monkeypatch, folder.parent, [row(folder.name, "summarization", ["en"])])
    text = "Seoul is big. Pusan is by the sea. Jeju is an island."
    ran = run("summarization", "--num-sentences", "1", "--num-beams", "4", text)
    assert ran.code == 0
    assert ran.outputs[0][0]["summary_text"] in text
    assert "num_beams changes nothing" in ran.err
    assert "--ratio" in run("summarization", "--help").out
    assert "--ratio" not in run("summarization", "--model", models["summarization"], "--help").out
    assert run_on_terminal("summarization", "--ratio", "1", text).out == text + "\n"


# -- what goes wrong -------------------------------------------------------------------------------------------------

BAD = '{"text": "one"}\n{"text": 5}\n{"text"\n{"title": "x", "body": "y"}\n{"text": "last"}\n'


def bad_lines(tmp_path: Path) -> str:
    path = tmp_path / "줄.jsonl"
    path.write_text(BAD, "utf-8")
    return str(path)


def test_an_input_that_fails_stops_the_run_after_the_answers_before_it(
    models: dict[str, str], run: Run, tmp_path: Path
) -> None:
    path = bad_lines(tmp_path)
    ran = run("sentiment-analysis", "--model", models["sentiment-analysis"], "--input", path)
    assert ran.code == 1
    assert [line["input"] for line in ran.lines] == ["one"]
    assert ran.err.startswith(f"panpipe: error: {path}, line 2: ")
    assert ran.err.count("\n") == 1


def test_inputs_that_fail_are_skipped(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    ran = run("ner", "--model", models["ner"], "--input", bad_lines(tmp_path), "--on-error", "skip")
    assert (ran.code, [(line["index"], line["input"]) for line in ran.lines]) == (0, [(0, "one"), (4, "last")])
    assert ran.err == "panpipe: 3 of 5 inputs were skipped.\n"


def test_inputs_that_fail_are_answered_with_their_error(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    ran = run("ner", "--model", models["ner"], "--input", bad_lines(tmp_path), "--on-error", "return")
    assert [line["index"] for line in ran.lines] == [0, 1, 2, 3, 4]
    errors = [line["error"] for line in ran.lines if "error" in line]
    assert [error["type"] for error in errors] == ["InputError"] * 3
    assert "line 3: this is not JSON" in errors[1]["message"]
    assert "no column 'text', only 'title', 'body'" in errors[2]["message"]


@pytest.mark.parametrize("name, head", [("a.txt", b""), ("a.csv", b"text\n"), ("a.jsonl", b"")])
def test_bytes_that_are_not_utf8_fail_on_their_own_line(
    name: str, head: bytes, models: dict[str, str], run: Run, tmp_path: Path
) -> None:
    lines = [b"one", "영화".encode("cp949"), "셋".encode()]
    if name == "a.jsonl":
        lines = [b'"' + line + b'"' for line in lines]
    (tmp_path / name).write_bytes(head + b"\n".join(lines) + b"\n")
    asked = ["ner", "--model", models["ner"], "--input", str(tmp_path / name)]
    stopped = run(*asked)
    line = 3 if head else 2
    assert stopped.code == 1
    assert f"{name}, line {line}: the byte 0xbf is not UTF-8" in stopped.err
    assert [line["input"] for line in run(*asked, "--on-error", "skip").lines] == ["one", "셋"]


def test_columns_are_separated_as_the_header_shows(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id;text\n1;"one; two, three"\n2;four, five\n', "utf-8")
    ran = run("ner", "--model", models["ner"], "--input", str(tmp_path / "a.csv"))
    assert [line["input"] for line in ran.lines] == ["one; two, three", "four, five"]


def test_a_row_that_does_not_fit_the_header_is_not_guessed_at(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,one,,\n2,two, and more\n3\n4,four\n", "utf-8")
    ran = run("ner", "--model", models["ner"], "--input", str(tmp_path / "a.csv"), "--on-error", "return")
    assert [line["input"] for line in ran.lines] == ["one", None, None, "four"]
    assert "line 3: the row has 3 columns, the header 2" in ran.lines[1]["error"]["message"]


def test_the_header_must_name_the_column(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a text without a header\nanother\n", "utf-8")
    ran = run("ner", "--model", models["ner"], "--input", str(tmp_path / "a.csv"))
    assert (ran.code, ran.out) == (1, "")
    assert "there is no column 'text'" in ran.err
    ran = run(
        "ner", "--model", models["ner"], "--input", str(tmp_path / "a.csv"), "--column", "a text without a header"
    )
    assert [line["input"] for line in ran.lines] == ["another"]


def test_lists_of_words_come_as_json(models: dict[str, str], run: Run, pipe_in: Callable[[bytes], None]) -> None:
    words = ["hello", "서울"]
    pipe_in((json.dumps(words) + "\n" + json.dumps({"tokens": words}) + "\n").encode())
    asked = ["ner", "--model", models["ner"], "--is-split-into-words", "--input", "-", "--format", "jsonl"]
    ran = run(*asked, "--column", "tokens")
    assert rounded(ran.outputs[0]) == rounded(ran.outputs[1])
    assert ran.lines[0]["input"] == words


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_counting_for_the_bar_takes_nothing_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "file.txt").write_bytes(b"a\nb\n")
    assert records.count_lines(str(tmp_path / "pipe.txt")) is None
    assert records.count_lines("-") is None
    assert records.count_lines(str(tmp_path / "file.txt")) == 2


def test_a_quotation_mark_that_is_never_closed_is_found(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text\none\n"two\nthree\n', "utf-8")
    ran = run("ner", "--model", models["ner"], "--input", str(tmp_path / "a.csv"))
    assert [line["input"] for line in ran.lines] == ["one"]
    assert "a.csv, line 3: a quotation mark is opened here and never closed" in ran.err


USAGE = [
    (["sentimant-analysis", "x"], "Did you mean 'sentiment-analysis'?"),
    (["docter"], "Did you mean 'doctor'?"),
    (["--model", "x", "ner"], "comes after a task"),
    (["ner", "x", "--agregation-strategy", "simple"], "Did you mean '--aggregation-strategy'?"),
    (["ner", "x", "--stride", "few"], "--stride"),
    (["ner", "-x"], "comes after --"),
    (["ner", "x", "--input", "y.txt"], "give one"),
    (["zero-shot-classification", "x"], "needs --labels"),
    (["question-answering", "x"], "--question or --context"),
    (["question-answering", "x", "--question", "a", "--context", "b"], "nothing to be read"),
    (["ner", "--input", "data.xml"], "--format"),
    (["ner", "--input", "a.txt", "--column", "a,b"], "1 to choose"),
    (["fill-mask", "x", "--tokenizer-kwargs", "{truncation"], "is not JSON"),
]


@pytest.mark.parametrize("arguments, said", USAGE, ids=[" ".join(arguments) for arguments, _ in USAGE])
def test_a_command_that_cannot_be_meant_gives_one_line_and_code_2(arguments: list[str], said: str, run: Run) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("panpipe: error: ")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_wrong_value_is_told_in_the_words_of_the_command_line(models: dict[str, str], run: Run) -> None:
    ran = run("ner", "x", "--model", models["ner"], "--aggregation-strategy", "simpel")
    assert ran.code == 2
    assert "--aggregation-strategy 'simpel' is not a choice. Did you mean 'simple'?" in ran.err
    long = run("sentiment-analysis", "hello " * 100, "--model", models["sentiment-analysis"])
    assert long.code == 1
    assert "--truncation" in long.err
    assert "--long-text window" in long.err
    assert "=" not in long.err


def test_long_texts_are_cut_or_read_in_windows_on_request(models: dict[str, str], run: Run) -> None:
    asked = ["sentiment-analysis", "--model", models["sentiment-analysis"]]
    cut = run(*asked, "--truncation", "hello " * 100)
    assert (cut.code, cut.lines[0]["input"]) == (0, "hello " * 100)
    assert run(*asked, "--truncation", "longest_first", "hello " * 100).outputs == cut.outputs
    assert run(*asked, "hello " * 100, "--long-text", "window").code == 0


def test_debug_shows_where_an_error_came_from(models: dict[str, str], run: Run) -> None:
    with pytest.raises(ValueError, match="No mask_token"):
        run("fill-mask", "no mask", "--model", models["fill-mask"], "--debug")


def test_a_model_that_is_not_there_is_one_line(run: Run) -> None:
    for model in ("./nowhere", "owner/nowhere"):
        ran = run("ner", "x", "--model", model)
        assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
        assert "nowhere" in ran.err


# -- where answers go ------------------------------------------------------------------------------------------------


def test_output_holds_what_a_pipe_would_get(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    asked = ["ner", "서울 hello", "--model", models["ner"]]
    path = tmp_path / "결과.jsonl"
    assert run(*asked, "--output", str(path)).out == ""
    content = path.read_bytes()
    assert content.decode() == run(*asked).out
    assert "서울".encode() in content
    assert content.endswith(b"}\n")


def test_a_mistake_leaves_the_old_output_whole(models: dict[str, str], run: Run, tmp_path: Path) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text("kept", "utf-8")
    assert run("ner", "x", "--model", "./nowhere", "--output", str(path)).code == 1
    assert run("ner", "--input", "./nowhere.txt", "--model", models["ner"], "--output", str(path)).code == 1
    assert run("ner", "--input", str(path), "--model", models["ner"], "--output", str(path)).code == 2
    assert path.read_text("utf-8") == "kept"


def test_a_terminal_gets_a_table_and_json_only_when_asked(models: dict[str, str], run_on_terminal: Run) -> None:
    asked = ["sentiment-analysis", "hello", "--model", models["sentiment-analysis"]]
    header, row = run_on_terminal(*asked).out.splitlines()
    assert header.split() == ["\x1b[1mlabel", "score\x1b[0m"]
    assert row.split()[0] == "contradiction"
    assert run_on_terminal(*asked, "--json").lines[0]["input"] == "hello"


def test_a_bar_is_shown_only_where_a_person_sees_it_alone(
    models: dict[str, str], run: Run, run_on_terminal: Run, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n", "utf-8")
    asked = ["ner", "--model", models["ner"], "--input", str(tmp_path / "a.txt")]
    assert run(*asked).err == ""
    assert run_on_terminal(*asked).err == ""
    assert "2/2" in run_on_terminal(*asked, "--output", str(tmp_path / "out.jsonl")).err


def test_a_stream_is_read_no_further_than_a_window_ahead(models: dict[str, str]) -> None:
    read = itertools.count()
    lines = (b"text %d\n" % next(read) for _ in iter(int, 1))
    wanted = 300

    class Writer:
        written = 0

        def write(self, record: Record, answer: Any) -> None:
            assert record.index == self.written
            self.written += 1
            if self.written == wanted:
                raise KeyboardInterrupt

        def finish(self) -> None:
            pass

    pipe = pipeline("sentiment-analysis", models["sentiment-analysis"])
    inputs: Iterator[Record] = records.from_lines(lines, "txt", Parts(), "-")
    with pytest.raises(KeyboardInterrupt):
        _answer(pipe, inputs, Writer(), "stop", None, _NoProgress())
    assert next(read) <= wanted + 2 * WINDOW_INPUTS
