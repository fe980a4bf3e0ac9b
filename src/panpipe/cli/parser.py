"""argparse with our errors: one line, and the near miss."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from ..errors import UnknownArgument, did_you_mean

__all__ = ["Parser", "parse"]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are UnknownArgument."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self.add_argument("--debug", action="store_true", help="show where an error came from")

    def error(self, message: str) -> NoReturn:
        raise UnknownArgument(f"{message}. See: {self.prog} --help")


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments, options and texts in any order.   Raises UnknownArgument."""
    parsed, rest = parser.parse_known_intermixed_args(arguments)
    if rest:
        unknown = next((argument for argument in rest if argument.startswith("-")), rest[0])
        flag = unknown.partition("=")[0]
        near = did_you_mean(flag, [name for action in parser._actions for name in action.option_strings])
        text = "" if flag.startswith("--") or near else " A text that begins so comes after --."
        raise UnknownArgument(f"there is no option {flag}.{near}{text} See: {parser.prog} --help")
    return parsed
