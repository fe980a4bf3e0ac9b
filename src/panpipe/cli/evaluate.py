"""`panpipe evaluate TASK …`: how good a model is on data. No PyTorch."""

from __future__ import annotations

import sys

from .options import add_options, field_options, given_options, spell_out
from .parser import Parser, parse
from .report import print_report
from .terminal import is_terminal, write_line
from .train import columns_given, described_columns, rounded
from .writers import columns_of, to_json

__all__ = ["evaluate"]


def evaluate(given: list[str]) -> int:
    """Run the verb; the exit code.   Raises PanpipeError's kinds."""
    from ..training.scoring import evaluate as run
    from ..training.tasks import task_named

    if given[:1] in ([], ["-h"], ["--help"]):
        print(_help())
        return 0
    kind = task_named(given[0])
    options = field_options(kind)
    parser = _parser(given[0], kind)
    add_options(parser, options)
    parsed = parse(parser, spell_out(given[1:], options))
    if parsed.threads is not None:
        from ..threads import set_num_threads

        set_num_threads(parsed.threads)
    result = run(
        given[0],
        parsed.model,
        parsed.data,
        split=parsed.split,
        columns=columns_given(parsed.columns),
        data_name=parsed.data_name,
        limit=parsed.limit,
        by=parsed.by,
        batch_size=parsed.batch_size,
        tokenizer=parsed.tokenizer,
        **given_options(parsed, options),
    )
    if parsed.json or not is_terminal(sys.stdout):
        write_line(sys.stdout, to_json(result))
        return 0
    groups = result.pop("by", {})
    print_report(rounded(result), as_json=False)
    if groups:
        write_line(sys.stdout, "")
        columns_of([{parsed.by: value, **rounded(scores)} for value, scores in groups.items()], sys.stdout)
    return 0


def _parser(name: str, kind: object) -> Parser:
    import argparse

    parser = Parser(f"panpipe evaluate {name}", f"How good a model for {name} is.\n\n{described_columns(kind)}")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", required=True, metavar="MODEL", help="a folder, or a model id of the Hub")
    parser.add_argument("--data", required=True, metavar="DATA", help="a file, a folder, or a data set id of the Hub")
    parser.add_argument("--split", metavar="NAME", help="of the data; default test, else validation")
    parser.add_argument("--by", metavar="COLUMN", help="also the scores for each value of this column")
    parser.add_argument(
        "--columns", metavar="ROLE=COLUMN,…", help="which column is what, where it is not to be guessed"
    )
    parser.add_argument("--data-name", metavar="NAME", help="the configuration of a data set that has several")
    parser.add_argument("--limit", type=int, metavar="N", help="rows to take, the same each time")
    parser.add_argument("--tokenizer", metavar="MODEL", help="a folder or model id with another tokenizer")
    parser.add_argument("--batch-size", type=int, default=32, metavar="N", help="the most rows to run at once")
    parser.add_argument("--threads", type=int, metavar="N", help="of the engine")
    parser.add_argument("--json", action="store_true", help="as JSON, also on a terminal")
    return parser


def _help() -> str:
    from ..training.tasks import TASKS

    names = "\n".join(f"  {name:22} {kind.best[0]}" for name, kind in TASKS.items())
    return f"""How good a model is on data with answers.

usage: panpipe evaluate TASK --model MODEL --data DATA [--split test] [--by COLUMN] [options]

tasks, and what is measured above all (each has a --help of its own):
{names}"""
