"""`panpipe TASK …`: the verb that each task is."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from ..errors import InputError, InvalidArgument, PanpipeError
from . import records
from .options import TaskOption, add_options, as_typed, given_options, spell_out, task_options
from .parser import Parser, parse
from .records import Parts, Record
from .terminal import is_terminal
from .writers import JsonLines, Table, Texts, Writer

__all__ = ["run_task"]

_PARTS = {"question-answering": ("question", "context"), "text-classification": ("text", "text_pair")}
_OPTIONAL = frozenset({"text_pair"})
_REQUIRED = {"zero-shot-classification": "candidate_labels"}


def run_task(task: str, arguments: Sequence[str]) -> int:
    """Answer the texts of the command line, of a file or of a pipe; the exit code.

    Raises PanpipeError's kinds; KeyboardInterrupt and BrokenPipeError, with the lines so far complete.
    """
    from ..pipelines.tasks import check_task

    name, row, _ = check_task(task)
    options = task_options(_class_of(row, arguments))
    parts = _PARTS.get(name, ("text",))
    given = parse(_parser(task, parts, options), spell_out(arguments, options))
    parameters = given_options(given, options)
    wanted = _parts(parts, given)
    if name in _REQUIRED and not parameters.get(_REQUIRED[name]):
        flag = next(option.flags[0] for option in options if option.name == _REQUIRED[name])
        raise InvalidArgument(f"{task} needs {flag}.")
    try:
        with ExitStack() as open_files:
            inputs = _inputs(given, wanted, open_files)
            pipe = _pipeline(task, given, {name: value for name, value in parameters.items() if name != "stream"})
            stream, is_file = _output(given, open_files)
            is_typed = given.input == "-" and is_terminal(sys.stdin)
            if _is_streamed(given, parameters, pipe, stream, is_file):
                return _stream(pipe, inputs, stream)
            writer = _writer(given, wanted, stream, is_file, is_typed, hasattr(pipe, "class_defaults"))
            bar = _progress(given, stream) if given.input else _NoProgress()
            open_files.callback(bar.close)
            return _answer(pipe, inputs, writer, given.on_error, 1 if is_typed else given.batch_size, bar)
    except PanpipeError as error:
        if error.args:
            error.args = (as_typed(str(error), options), *error.args[1:])
        raise


# -- the run ---------------------------------------------------------------------------------------------------------


def _answer(
    pipe: Any, inputs: Iterable[Record], writer: Writer, on_error: str, batch_size: int | None, bar: Any
) -> int:
    """Stream the inputs through the pipeline and the answers to the writer.

    Raises the first error, after the answers to the inputs before it, if on_error is "stop".
    """
    waiting: deque[Record] = deque()
    failed = total = 0

    def feed() -> Iterator[Any]:
        for record in inputs:
            waiting.append(record)
            if record.error is None:
                yield record.value
            elif on_error == "stop":
                return

    def answered() -> Iterator[tuple[Record, Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # transformers deprecates streams of questions; we do not
            answers = pipe(feed(), always_list=True, on_error="return", batch_size=batch_size)
        for answer in answers:
            while waiting[0].error is not None:
                yield waiting[0], waiting.popleft().error
            yield waiting.popleft(), answer
        while waiting:
            yield waiting[0], waiting.popleft().error

    try:
        for record, answer in answered():
            total += 1
            if isinstance(answer, Exception):
                failed += 1
                if on_error == "stop":
                    raise _placed(answer, record)
            if on_error != "skip" or not isinstance(answer, Exception):
                writer.write(record, answer)
            bar.update()
    finally:
        writer.finish()
    if failed:
        bar.close()
        done = "skipped" if on_error == "skip" else "answered with an error"
        print(f"panpipe: {failed} of {total} inputs were {done}.", file=sys.stderr)
    return 0


def _placed(error: Exception, record: Record) -> Exception:
    """The error with the line of the input before it."""
    if record.error is None and record.where:
        error.args = (f"{record.where}: {error}",)
    return error


# -- what was asked for ----------------------------------------------------------------------------------------------


def _class_of(row: Any, arguments: Sequence[str]) -> Any:
    """The pipeline's class; without a model, that of the embedded one."""
    from ..pipelines.defaults import embedded_class, embedded_for

    is_named = any(argument.partition("=")[0] in ("--model", "--revision") for argument in arguments)
    if is_named or row.name != "summarization":
        return row.pipeline_class
    return embedded_class(embedded_for(row.name)) or row.pipeline_class


def _parser(task: str, parts: Sequence[str], options: Sequence[TaskOption]) -> Parser:
    parser = Parser(prog=f"panpipe {task}", description=f"{task}, for texts given here, in a file or through a pipe.")
    parser.add_argument("text", nargs="*", metavar="TEXT", help=f"the {parts[0]}s; without any, those piped in")
    given = parser.add_argument_group("input")
    for part in parts:
        if part != "text":
            flag = "--" + part.replace("_", "-")
            given.add_argument(
                flag, dest=part, metavar="TEXT", help=f"the {part.replace('_', ' ')}, one for all inputs"
            )
            given.add_argument(f"{flag}-file", dest=f"{part}_file", metavar="FILE", help="the same, from a file")
    given.add_argument("--input", metavar="FILE", help="a .txt, .jsonl, .csv or .tsv file, or - for standard input")
    given.add_argument("--format", choices=records.FORMATS, help="of the input, where its name does not tell")
    given.add_argument(
        "--column", "--field", metavar="NAME", help=f"the column or field to read (default: {', '.join(parts)})"
    )
    given.add_argument(
        "--on-error", choices=("stop", "skip", "return"), default="stop", help="at an input that cannot be answered"
    )
    how = parser.add_argument_group("model and output")
    how.add_argument("--model", metavar="MODEL", help="a folder, or a model id of the Hub; default: the task's")
    if task.startswith("translation"):
        about = "a second model, which goes on from the language that the first one translates to"
        how.add_argument("--then-model", metavar="MODEL", help=about)
    how.add_argument("--revision", metavar="REV", help="a branch, tag or commit of the Hub")
    how.add_argument("--offline", action="store_true", help="never ask the network")
    how.add_argument("--engine", metavar="NAME", help="native, reference or torch")
    how.add_argument("--threads", type=int, metavar="N", help="of the engine")
    how.add_argument("--batch-size", type=int, metavar="N", help="the most inputs to run at once")
    how.add_argument("--output", metavar="FILE", help="write JSON lines there")
    how.add_argument("--json", action="store_true", help="write JSON lines, also on a terminal")
    add_options(parser, options)
    return parser


def _parts(parts: Sequence[str], given: argparse.Namespace) -> Parts:
    fixed: dict[str, str] = {}
    for part in parts:
        text, file = getattr(given, part, None) if part != "text" else None, getattr(given, f"{part}_file", None)
        if text is not None and file is not None:
            raise InvalidArgument(f"--{part} and --{part}-file are both given: give one.")
        if file is not None:
            text = _read_text(file)
        if text is not None:
            fixed[part] = text
    wanted = tuple(part for part in parts if part not in fixed)
    columns = tuple(name.strip() for name in (given.column or "").split(",") if name.strip())
    if len(columns) > len(wanted):
        raise InvalidArgument(f"--column {given.column}: there is {len(wanted)} to choose ({', '.join(wanted)}).")
    if given.text and given.input:
        raise InvalidArgument("texts and --input are both given: give one.")
    return Parts(wanted, _OPTIONAL, fixed, columns)


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8.") from None


def _inputs(given: argparse.Namespace, parts: Parts, open_files: ExitStack) -> Iterable[Record]:
    if given.text or not parts.needed:
        if not parts.wanted and (given.text or given.input):
            raise InvalidArgument("question and context are given, so there is nothing to be read: leave out the rest.")
        return list(records.from_arguments(given.text, parts))
    if given.input is None:
        if sys.stdin is None or is_terminal(sys.stdin):
            raise InvalidArgument(
                f"there is no {' and no '.join(parts.needed)}: give a text, --input FILE, or pipe texts in."
            )
        given.input = "-"
    format = records.format_of(given.input, given.format)
    file = records.open_input(given.input)
    if given.input != "-":
        open_files.enter_context(file)
        if given.output is not None and Path(given.output).exists() and Path(given.output).samefile(given.input):
            raise InvalidArgument(f"--output {given.output} is the input itself: give another file.")
    if format == "txt":
        parts.from_text("")  # may it be read so?
    return records.from_lines(file, format, parts, given.input)


def _pipeline(task: str, given: argparse.Namespace, parameters: dict[str, Any]) -> Any:
    from ..pipelines import pipeline

    if given.threads is not None:
        from ..threads import set_num_threads

        set_num_threads(given.threads)
    model_kwargs: dict[str, Any] = {"local_files_only": True} if given.offline else {}
    if given.engine is not None:
        model_kwargs["engine"] = given.engine
    model: Any = given.model
    if getattr(given, "then_model", None) is not None:
        if model is None:
            raise InvalidArgument(f"--then-model {given.then_model} comes after a first one: give --model too.")
        model = (model, given.then_model)
    return pipeline(task, model, revision=given.revision, model_kwargs=model_kwargs, **parameters)


def _output(given: argparse.Namespace, open_files: ExitStack) -> tuple[TextIO, bool]:
    """(the stream, whether it is a file). A file is opened last, so that a mistake before leaves the old one whole."""
    if given.output in (None, "-"):
        return sys.stdout, False
    path = Path(given.output)
    return open_files.enter_context(path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")), True


def _is_streamed(
    given: argparse.Namespace, parameters: dict[str, Any], pipe: Any, stream: TextIO, is_file: bool
) -> bool:
    """Whether the text is to be seen while it is made: as was asked, else where a person waits for a single one."""
    if not hasattr(pipe, "pieces"):
        return False
    config = pipe.generation_config
    is_one = config.num_return_sequences == config.num_beams == 1 and not given.input
    is_seen = is_terminal(stream) and not (given.json or is_file)
    return bool(parameters.get("stream", is_one and is_seen and len(given.text) == 1))


def _stream(pipe: Any, inputs: Iterable[Record], stream: TextIO) -> int:
    """Print each text while it is made."""
    writer = Texts(stream)
    for record in inputs:
        if record.error is not None:
            raise record.error
        with pipe(record.value, stream=True) as pieces:
            writer.write_pieces(record.value if pipe.shows_prompts else "", pieces)
    return 0


def _writer(
    given: argparse.Namespace, parts: Parts, stream: TextIO, is_file: bool, is_typed: bool, writes: bool
) -> Writer:
    """JSON lines, or for a person texts, or a table: there one text needs no repeating, and a typed one no waiting."""
    if given.json or is_file or not is_terminal(stream):
        return JsonLines(stream)
    if writes:
        return Texts(stream)
    with_input = bool(parts.wanted) and (given.input is not None or len(given.text) > 1)
    return Table(stream, with_input, **({"held": 1} if is_typed else {}))


class _NoProgress:
    """Where no bar is wanted."""

    def update(self) -> None:
        """One more."""

    def close(self) -> None:
        """No more."""


def _progress(given: argparse.Namespace, stream: TextIO) -> Any:
    """A bar where a person sees it and does not see the answers themselves."""
    if not is_terminal(sys.stderr) or is_terminal(stream):
        return _NoProgress()
    from tqdm import tqdm

    return tqdm(total=records.count_lines(given.input), unit="", desc="panpipe", file=sys.stderr)
