"""`panpipe train TASK …`: a model taught from files, and what became of it."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InvalidArgument, MissingDependency
from .options import TaskOption, add_options, field_options, given_options, spell_out
from .parser import Parser, parse
from .report import print_report
from .terminal import is_terminal, write_line
from .writers import to_json

__all__ = ["columns_given", "described_columns", "print_result", "train"]

_HANDLED = ("output_dir", "freeze", "generation_config", "resume_from_checkpoint", "overwrite_output_dir")
"""Arguments that have options of their own here, or none."""


def train(given: list[str]) -> int:
    """Run the verb; the exit code.   Raises PanpipeError's kinds."""
    from ..training.arguments import TrainingArguments
    from ..training.tasks import task_named

    if given[:1] in ([], ["-h"], ["--help"]):
        print(_help())
        return 0
    kind = task_named(given[0])
    options = [*field_options(kind), *_of_training(TrainingArguments)]
    parser = _parser(given[0], kind, options)
    parsed = parse(parser, spell_out(given[1:], options))
    if find_spec("torch") is None:
        raise MissingDependency('training needs PyTorch and accelerate: pip install "panpipe[train]"')
    if parsed.processes > 1 and "RANK" not in os.environ:
        return _in_processes(parsed.processes, given)
    values = given_options(parsed, options)
    with _told():
        result = _searched(parsed, values) if parsed.search else _trained(parsed, values, parsed.output)
    if _is_first():
        print_result(result, parsed.json)
    return 0


# -- the run ---------------------------------------------------------------------------------------------------------


def _trained(parsed: argparse.Namespace, values: dict[str, Any], output: str) -> Any:
    from ..training.run import train as run

    return run(
        parsed.task,
        parsed.model,
        parsed.data,
        output,
        eval_data=parsed.eval_data,
        columns=columns_given(parsed.columns),
        data_name=parsed.data_name,
        limit=parsed.limit,
        eval_limit=parsed.eval_limit,
        tokenizer=parsed.tokenizer,
        from_scratch=parsed.from_scratch,
        lora=parsed.lora,
        freeze=parsed.freeze or (),
        estimate=parsed.estimate,
        resume=parsed.resume or None,
        overwrite_output_dir=parsed.overwrite,
        **values,
    )


def _searched(parsed: argparse.Namespace, values: dict[str, Any]) -> Any:
    """Trials in folders of their own; each is trained as this command would. Their energy the search counts."""
    from ..training.search import parse_space, search
    from ..training.tasks import task_named

    name, is_greater = task_named(parsed.task).best
    parsed.resume = not values.get("save_only_model")  # a trial that was killed goes on, or begins anew
    parsed.overwrite = not parsed.resume
    values = {**values, "energy": False, "push_to_hub": False}

    def run(parameters: dict[str, Any], folder: Path) -> dict[str, Any]:
        metrics: dict[str, Any] = _trained(parsed, {**values, **parameters}, str(folder)).metrics
        if not metrics:
            raise InvalidArgument("a search needs data to evaluate by: give --eval-data.")
        return metrics

    return search(
        parse_space(parsed.search),
        run,
        trials=parsed.trials,
        direction="maximize" if is_greater else "minimize",
        metric=parsed.search_metric or name,
        method=parsed.search_method,
        output_dir=parsed.output,
        country=values.get("country"),
    )


def _in_processes(number: int, given: Sequence[str]) -> int:
    """The same command in so many processes: this one becomes torchrun, and Ctrl-C and SIGTERM reach them all."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(number)]
    command += ["-m", "panpipe", "train", *given]
    if os.name == "posix":
        os.execv(sys.executable, command)
    return subprocess.call(command)


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _told() -> Iterator[None]:
    """What the library notes, of the first process: the columns it took, losses where there is no bar."""
    log = logging.getLogger("panpipe")
    before = log.level
    log.setLevel(logging.INFO if _is_first() else logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


# -- what was asked for ----------------------------------------------------------------------------------------------


def _parser(name: str, kind: Any, options: Sequence[TaskOption]) -> Parser:
    parser = Parser(f"panpipe train {name}", f"Train a model for {name}.\n\n{described_columns(kind)}")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = f"panpipe train {name} --model MODEL --data DATA --output FOLDER [options]"
    parser.set_defaults(task=name)
    what = parser.add_argument_group("model and data")
    what.add_argument("--model", metavar="MODEL", help="what to begin with: a folder, or a model id of the Hub")
    what.add_argument("--data", required=True, metavar="DATA", help="a file, a folder, or a data set id of the Hub")
    what.add_argument("--output", required=True, metavar="FOLDER", help="where the model goes")
    what.add_argument("--eval-data", metavar="DATA", help="other data, a split of the data, or the share to keep (0.1)")
    what.add_argument("--data-name", metavar="NAME", help="the configuration of a data set that has several")
    what.add_argument("--columns", metavar="ROLE=COLUMN,…", help="which column is what, where it is not to be guessed")
    what.add_argument("--limit", type=int, metavar="N", help="rows to train on, drawn by the seed")
    what.add_argument("--eval-limit", type=int, metavar="N", help="rows to evaluate by")
    what.add_argument("--tokenizer", metavar="MODEL", help="a folder or model id with another tokenizer")
    what.add_argument("--from-scratch", metavar="SIZE", help="random weights: tiny, gpt2:tiny, or a config.json")
    what.add_argument("--lora", metavar="r=8,…", help="train a LoRA adapter; settings by PEFT's names")
    what.add_argument("--freeze", action="append", metavar="PATTERN", help="weights that stay as they are; repeatable")
    how = parser.add_argument_group("the run")
    how.add_argument("--estimate", action="store_true", help="say what the run would take, and do not run it")
    how.add_argument("--resume", nargs="?", const=True, metavar="CHECKPOINT", help="go on where a run was stopped")
    how.add_argument("--overwrite", "--overwrite-output-dir", action="store_true", help="replace an earlier run")
    how.add_argument("--processes", type=int, default=1, metavar="N", help="train in N processes (torchrun)")
    how.add_argument("--search", nargs="+", metavar="SPACE", help="try settings: learning_rate=1e-5..1e-3:log seed=1,2")
    how.add_argument("--trials", type=int, metavar="N", help="of the search")
    how.add_argument("--search-method", default="random", metavar="NAME", help="random, grid or optuna")
    how.add_argument("--search-metric", metavar="NAME", help="what the search looks for; default the task's best")
    how.add_argument("--json", action="store_true", help="the report as JSON, also on a terminal")
    epochs, size = "num_train_epochs", "per_device_train_batch_size"
    how.add_argument(
        "--epochs", dest=epochs, type=float, metavar="X", default=argparse.SUPPRESS, help="passes over the data"
    )
    how.add_argument(
        "--batch-size", dest=size, type=int, metavar="N", default=argparse.SUPPRESS, help="examples in a batch"
    )
    of_task = {option.name for option in field_options(kind)}
    add_options(parser, [option for option in options if option.name in of_task])
    add_options(parser, [option for option in options if option.name not in of_task], "arguments of training")
    return parser


def _of_training(arguments: Any) -> list[TaskOption]:
    return [option for option in field_options(arguments) if option.name not in _HANDLED]


def columns_given(text: str | None) -> dict[str, str] | None:
    """text=review,label=stars as a dictionary.   Raises InvalidArgument."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for role, found, column in pairs:
        if not found or not column.strip():
            raise InvalidArgument(f"--columns {text}: expected ROLE=COLUMN, and {role!r} names no column.")
    return {role.strip(): column.strip() for role, _, column in pairs}


def described_columns(kind: Any) -> str:
    """A task's columns, for its help."""
    lines = [
        f"  {role.name:12} {role.about}{'' if role.is_needed else ' (optional)'}; such as {', '.join(role.usual[:4])}"
        for role in kind.roles
    ]
    return "\n".join(["columns of the data:", *lines])


def _help() -> str:
    from ..training.tasks import TASKS

    names = "\n".join(f"  {name:22} {(kind.__doc__ or '').partition(chr(10))[0]}" for name, kind in TASKS.items())
    return f"""Train a model from files or a data set of the Hub.

usage: panpipe train TASK --model MODEL --data DATA --output FOLDER [options]

  panpipe train text-classification --model bert-base-uncased --data reviews.csv --eval-data 0.1 --output out
  panpipe train text-generation --from-scratch gpt2:tiny --tokenizer my-tokenizer --data texts/ --output out

tasks (each has a --help of its own, with the columns of its data):
{names}"""


# -- the report ------------------------------------------------------------------------------------------------------


def print_result(result: Any, as_json: bool) -> None:
    """A result (or plan, or search) for a person, or as a line of JSON."""
    if as_json or not is_terminal(sys.stdout):
        write_line(sys.stdout, to_json(result if isinstance(result, dict) else result.to_dict()))
    elif hasattr(result, "metrics"):
        plain = {name: value for name, value in result.to_dict().items() if value not in ([], {})}
        print_report(rounded(plain), as_json=False)
    else:
        write_line(sys.stdout, str(result))


def rounded(value: Any) -> Any:
    """Numbers to four figures, through all of a report."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return {name: rounded(part) for name, part in value.items()} if isinstance(value, dict) else value
