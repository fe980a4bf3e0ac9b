"""`panpipe energy`: what runs have used, and what one will use."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..carbon import plan
from ..carbon.result import co2_words, energy_words, time_words
from ..carbon.totals import KEYS, Total, read_totals
from ..errors import InvalidArgument, did_you_mean
from .parser import Parser, parse
from .terminal import is_terminal, write_line
from .writers import columns_of, to_json

__all__ = ["energy"]

_BAR = 24  # columns of the longest bar
_EIGHTHS = " ▏▎▍▌▋▊▉"
_USAGE = """What runs have used, and what one will use.

usage: panpipe energy report [FILE|FOLDER …] [--by project|day|country]
       panpipe energy estimate --seconds S [--watts W] [--country KOR] [--price P]

Each has a --help of its own."""


def energy(given: list[str]) -> int:
    """Run `report` or `estimate`; the exit code.   Raises InvalidArgument."""
    if given[:1] in ([], ["-h"], ["--help"]):
        print(_USAGE)
        return 0
    verbs = {"report": _report, "estimate": _estimate}
    if given[0] not in verbs:
        near = did_you_mean(given[0], verbs)
        raise InvalidArgument(f"panpipe energy {given[0]}: it is report or estimate.{near} See: panpipe energy --help")
    return verbs[given[0]](given[1:])


def _report(arguments: Sequence[str]) -> int:
    parser = Parser("panpipe energy report", "Add up emissions.csv files, panpipe's and CodeCarbon's.")
    parser.add_argument("paths", nargs="*", metavar="FILE|FOLDER", help="files, or folders to look in; default: here")
    parser.add_argument("--by", default="project", help=f"{', '.join(KEYS)} (default: project)")
    parser.add_argument("--json", action="store_true", help="as JSON, also on a terminal")
    given = parse(parser, arguments)
    totals = read_totals(given.paths or ["."], given.by)
    whole = _sum(totals)
    if given.json or not is_terminal(sys.stdout):
        groups = [{given.by: total.name, **_figures(total)} for total in totals]
        write_line(sys.stdout, to_json({"by": given.by, "groups": groups, "total": _figures(whole)}))
        return 0
    most = max((total.kwh for total in totals), default=0.0)
    columns_of([_row(total, given.by, most) for total in totals], sys.stdout)
    write_line(
        sys.stdout,
        f"\n{whole.runs:,} runs: {energy_words(whole.kwh)}, {co2_words(whole.kg_co2e)} CO2e "
        f"in {time_words(whole.seconds)}",
    )
    return 0


def _estimate(arguments: Sequence[str]) -> int:
    parser = Parser("panpipe energy estimate", "What a run will use, before it runs.")
    parser.add_argument("--seconds", type=float, help="how long it runs")
    parser.add_argument("--flops", type=float, help="or: its floating-point operations")
    parser.add_argument("--watts", type=float, help="the power of the machine; default: by its processor")
    parser.add_argument(
        "--country", help="whose electricity: a code or name (KOR, 대한민국); default: the world's average"
    )
    parser.add_argument("--region", help="a state or province of it")
    parser.add_argument("--price", type=float, help="of a kilowatt-hour, in any currency")
    parser.add_argument("--json", action="store_true", help="as JSON, also on a terminal")
    given = parse(parser, arguments)
    planned = plan(
        seconds=given.seconds,
        flops=given.flops,
        power_watts=given.watts,
        country=given.country,
        region=given.region,
        price_per_kwh=given.price,
    )
    as_json = given.json or not is_terminal(sys.stdout)
    write_line(sys.stdout, to_json(planned.to_dict()) if as_json else str(planned))
    return 0


def _sum(totals: Sequence[Total]) -> Total:
    return Total(
        "total",
        sum(total.runs for total in totals),
        sum(total.seconds for total in totals),
        sum(total.kwh for total in totals),
        sum(total.kg_co2e for total in totals),
    )


def _figures(total: Total) -> dict[str, Any]:
    return {name: value for name, value in asdict(total).items() if name != "name"}


def _row(total: Total, by: str, most: float) -> dict[str, Any]:
    return {
        by: total.name,
        "runs": total.runs,
        "time": time_words(total.seconds),
        "energy": energy_words(total.kwh),
        "CO2e": co2_words(total.kg_co2e),
        "share of the largest": _bar(total.kwh / most if most else 0.0),
    }


def _bar(share: float) -> str:
    whole, rest = divmod(round(share * _BAR * 8), 8)
    return "█" * whole + _EIGHTHS[rest].strip()
