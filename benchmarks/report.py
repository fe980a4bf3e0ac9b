"""The results as markdown: pure functions of what `run.py` keeps in results.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.figures import markdown_table, median, milliseconds, ratio, share, spread
from benchmarks.goals import GOALS, Results, fma_share, memory_share, seconds_of, speed_up
from benchmarks.workers import PEERS

__all__ = ["BEGIN", "END", "render", "write_between"]

BEGIN, END = "<!-- benchmark: begin (written by benchmarks/run.py) -->", "<!-- benchmark: end -->"


def render(results: Results) -> str:
    """All tables that the results allow."""
    parts = [_machine(results)]
    rows = [row for goal in GOALS if (row := goal.row(results)) is not None]
    if rows:
        parts.append("### Goals\n\n" + markdown_table(["goal", "target", "measured", ""], rows))
    if forwards := _of_kind(results, "Forward"):
        parts.append("### Forward passes\n\n" + "\n".join(_forward(results, name) for name in forwards))
    if generations := _of_kind(results, "Generate"):
        parts.append("### Generation\n\n" + "\n".join(_generation(results, name) for name in generations))
    if texts := _of_kind(results, "Texts"):
        parts.append("### Sentences\n\n" + _corpus(results) + "\n".join(_texts(results, name) for name in texts))
    if calls := _of_kind(results, "ZeroShot", "LongAnswer"):
        parts.append("### One call, many passes\n\n" + "\n".join(_call(results, name) for name in calls))
    if texts or calls:
        parts.append(_tried(results, [*texts, *calls]))
    if "processes" in results:
        parts.append("### Processes\n\n" + _processes(results["processes"]))
    return "\n".join(parts)


def write_between(page: Path, text: str) -> None:
    """Put the text between the markers of a page.   Raises ValueError if it has not one of each."""
    content = page.read_text(encoding="utf-8")
    if content.count(BEGIN) != 1 or content.count(END) != 1:
        raise ValueError(f"{page} must hold one line {BEGIN!r} and one {END!r}, between which the tables go.")
    before, rest = content.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


def _machine(results: Results) -> str:
    machine, versions = results["machine"], results["versions"]
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    rates = [rates for case in results["cases"].values() for rates in case["rates"]]
    limits = ""
    if rates:
        fma, memory = (median([each[kind] for each in rates]) / 1e9 for kind in ("fma", "memory"))
        limits = f" Measured in the rounds: FMA peak {fma:.0f} GFLOP/s, memory {memory:.1f} GB/s."
    if results.get("others") is not None:
        limits += f" Processes other than the benchmark's took {results['others']:.1%} of the machine's time."
    missing = "".join(f"\nMissing: {name}, since {reason}.\n" for name, reason in results["missing"].items())
    return (
        f"{results['date']} · {machine['processor']}, {machine['cpus']} CPUs, {machine['memory']}, "
        f"{machine['system']}, Python {machine['python']} · f32, {results['threads']} threads, "
        f"{results['repeats']} rounds.{limits}\n" + (f"\n{listed}.\n" if listed else "") + missing
    )


def _of_kind(results: Results, *kinds: str) -> list[str]:
    return [name for name, case in results["cases"].items() if case["kind"] in kinds]


def _peer_rows(results: Results, name: str) -> list[tuple[str, dict[str, Any]]]:
    peers = results["cases"][name]["peers"]
    return [(peer, peers[peer]) for peer in PEERS if peer in peers]


def _timing(results: Results, name: str, peer: str) -> list[str]:
    found = results["cases"][name]["peers"][peer]
    cells = [milliseconds(seconds_of(results, name, peer)), f"± {spread(found['seconds']):.1%}".replace("%", " %")]
    reference = "transformers" in results["cases"][name]["peers"]
    return [*cells, ratio(speed_up(results, name, peer=peer)) if reference else ""]


def _rates(results: Results, name: str, peer: str) -> list[str]:
    case = results["cases"][name]
    rate = f"{case['flops'] / seconds_of(results, name, peer) / 1e9:.0f}"
    return [rate, share(fma_share(results, name, peer)) if case["rates"] else ""]


def _forward(results: Results, name: str) -> str:
    case = results["cases"][name]
    rows = []
    for peer, found in _peer_rows(results, name):
        cells = [PEERS[peer].label, *_timing(results, name, peer), *_rates(results, name, peer)]
        cells.append(share(memory_share(results, name, peer)) if case["rates"] else "")
        rows.append([*cells, f"{found['difference']:.0e}"])
    header = ["", "ms", "spread", "× transformers", "GFLOP/s", "of FMA peak", "weights, of memory rate", "difference"]
    return _table(case, header, rows)


def _generation(results: Results, name: str) -> str:
    case = results["cases"][name]
    rows = []
    for peer, found in _peer_rows(results, name):
        cells = [PEERS[peer].label, f"{case['tokens'] / seconds_of(results, name, peer):.0f}"]
        cells += _timing(results, name, peer)
        cells.append(share(memory_share(results, name, peer)) if case["rates"] else "")
        rows.append([*cells, "drawn" if case["samples"] else share(1 - found["difference"])])
    header = ["", "tokens/s", "ms", "spread", "× transformers", "weights, of memory rate", "same tokens"]
    return _table(case, header, rows)


def _call(results: Results, name: str) -> str:
    rows = [
        [PEERS[peer].label, found["variant"] or "its own", *_timing(results, name, peer), f"{found['difference']:.0e}"]
        for peer, found in _peer_rows(results, name)
    ]
    return _table(results["cases"][name], ["", "batch", "ms", "spread", "× transformers", "difference"], rows)


def _texts(results: Results, name: str) -> str:
    case = results["cases"][name]
    rows = []
    for peer, found in _peer_rows(results, name):
        cells = [PEERS[peer].label, found["variant"] or "its own", *_timing(results, name, peer)]
        cells.append(f"{results['sentences']['count'] / seconds_of(results, name, peer):.0f}")
        rows.append([*cells, *_rates(results, name, peer), f"{found['difference']:.0e}"])
    header = ["", "batch", "ms", "spread", "× transformers", "texts/s", "GFLOP/s", "of FMA peak", "difference"]
    return _table(case, header, rows)


def _table(case: dict[str, Any], header: list[str], rows: list[list[str]]) -> str:
    """With its title, and who is not in it."""
    wrong = [f"{PEERS[peer].label}, whose answers differ by {apart:.1e}" for peer, apart in case["wrong"].items()]
    failed = [f"{PEERS[peer].label}, which ended: {reason}" for peer, reason in case["failed"].items()]
    left_out = "".join(f"\nNot timed: {reason}.\n" for reason in [*wrong, *failed])
    return f"**{case['title']}**\n\n{markdown_table(header, rows)}{left_out}"


def _corpus(results: Results) -> str:
    s = results["sentences"]
    return (
        f"{s['count']} sentences of {s['mean']:.0f} tokens in the mean, {s['median']:.0f} in the median and "
        f"{s['most']} at most, from texts to answers.\n\n"
    )


def _tried(results: Results, texts: list[str]) -> str:
    sizes = sorted({v for t in texts for p in results["cases"][t]["peers"].values() for v in p["tried"] if v}, key=int)
    rows = []
    for name in texts:
        for peer, found in _peer_rows(results, name):
            if found["tried"]:
                best = min(found["tried"].values())
                cells = [f"{found['tried'][s] / best:.2f}" if s in found["tried"] else "" for s in sizes]
                rows.append([f"{name}: {PEERS[peer].label}", *cells])
    if not rows:
        return ""
    title = "Batch sizes tried, the time of each over that of the best, which is the one in the tables:"
    return f"{title}\n\n{markdown_table(['', *sizes], rows)}"


def _processes(processes: dict[str, Any]) -> str:
    imports, first, memory = processes["imports"], processes["first_answer"], processes["memory"]
    names = {
        "numpy": "`import numpy`",
        "panpipe": "`import panpipe` (which waits for the first use)",
        "panpipe.pipeline": "`from panpipe import pipeline`",
        "transformers.pipeline": "`from transformers import pipeline`",
    }
    rows = [
        [names[name], f"{milliseconds(median(found['seconds']))} ms", _megabytes(found["peak_bytes"])]
        for name, found in imports.items()
    ]
    what = "the embedded sentiment model" if first["embedded"] else f"a random classifier ({first['model']})"
    for package, seconds in first["seconds"].items():
        text = f"a process that prints one answer of {what}, {package}"
        rows.append([text, f"{milliseconds(median(seconds))} ms", ""])
    for package, peak in memory["peak_bytes"].items():
        weights = _megabytes(memory["weights_bytes"])
        rows.append([f"BERT-base (weights {weights}) loaded, one answer, {package}", "", _megabytes(peak)])
    rows.append(["the core installed with its dependencies", "", f"{_megabytes(processes['installed_bytes'])} on disk"])
    return markdown_table(["", "time", "peak memory"], rows)


def _megabytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f} MB"
