"""The card of an embedded model, and the page of all of them: docs/models.md."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from panpipe.carbon.result import co2_words, energy_words, time_words

from .about import About
from .measure import table

__all__ = ["card", "index_entry", "page", "sources_of", "spent"]

Result = Mapping[str, Any]
"""What results/NAME.json holds: "scores" and "floors" by split, "seconds", "kwh", "kg_co2e", "hardware"."""


def card(about: About, result: Result, doc: str, sources: Sequence[tuple[str, str, str]], recipe: str) -> str:
    """README.md of the folder.   sources: (name, repository, licence) of the data."""
    front = [
        f"license: {about.license}",
        "language:",
        *(f"- {code}" for code in dict.fromkeys("-".join(about.languages).split("-"))),
        "library_name: panpipe",
        f"pipeline_tag: {about.task}",
        *([f"base_model: {about.base}"] if about.base else []),
        *(["widget:"] if about.examples else []),
        *(line for example in about.examples for line in _widget(example)),
    ]
    names = _metrics(result)
    trained = (
        f"\n## Training\n\n{doc} {_cost(result)} Made by `recipes/{recipe}.py`.\n" if result.get("seconds") else ""
    )
    made_of = "\n".join(f"| {name} | {repository} | {licence} |" for name, repository, licence in sources)
    return "\n".join(
        [
            *("---", *front, "---", "", f"# {about.title}", "", about.text, "", "## Scores", ""),
            "On rows that were kept out of training; those of the test split were read once, at the end.",
            *("", "Test:", "", table(result["scores"]["test"], result["floors"]["test"], names)),
            *("", "Validation:", "", table(result["scores"]["validation"], result["floors"]["validation"], names)),
            *(
                "",
                f"The floor is what {FLOORS[about.task]} reaches. The usual Hub model, {about.larger}: {about.anchor}.",
            ),
            trained,
            "## Data\n\n| source | from | licence |\n| --- | --- | --- |",
            made_of + "\n",
        ]
    )


FLOORS = {
    "text-classification": "naive Bayes",
    "token-classification": "each word's commonest tag",
    "question-answering": "the sentence with most words of the question",
    "zero-shot-classification": "the commonest label",
    "fill-mask": "a list of the five commonest tokens",
    "text-generation": "counting pairs of tokens",
    "translation": "copying",
    "summarization": "the first sentence",
    "feature-extraction": "the share of words in common",
}


def _widget(example: str | dict[str, str]) -> Iterator[str]:
    values = {"text": example} if isinstance(example, str) else example
    for place, (name, value) in enumerate(values.items()):
        yield f"{'  ' if place else '- '}{name}: {json.dumps(value, ensure_ascii=False)}"


def _metrics(result: Result) -> list[str]:
    return [name for name in result["scores"]["test"]["all"] if name != "rows"]


def _cost(result: Result) -> str:
    return (
        f"It took {time_words(result['seconds'])} on {result['hardware']}, {energy_words(result['kwh'])} and "
        f"{co2_words(result['kg_co2e'])} CO2e (an estimate: the processor's usual power by its load, the world's "
        "electricity)."
    )


def index_entry(about: About, result: Result) -> dict[str, Any]:
    """What models.json says of the model."""
    value = result["scores"]["test"]["all"][about.metric]
    shown = f"{value:.2f}" if value < 2 else f"{value:.0f}"
    entry = {
        "folder": about.folder,
        "task": about.task,
        "languages": list(about.languages),
        "score": f"{about.metric} {shown} on {about.on}",
        "larger": about.larger,
    }
    return entry | ({"hub_id": about.hub_id} if about.hub_id else {})


def page(models: Sequence[tuple[About, Result, int]]) -> str:
    """docs/models.md.   models: each with the bytes of its folder."""
    total = sum({about.folder: size for about, _, size in models}.values())
    lines = [
        "# The models that come with panpipe",
        "",
        "Where no model is named these answer, without a network. They are small, and made by the recipes in",
        "`recipes/`; for more accuracy name the larger model of the last column. Scores are of the test splits, which",
        "nothing was chosen by. This page is written by `python -m recipes page`.",
        "",
        f"All of them together: {total / 1e6:.1f} MB.",
        "",
        "| task | language | folder | MB | score | floor | aim | usual Hub model, and its published figure |",
        "| --- | --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for about, result, size in models:
        scores, floors = (result[kind]["test"]["all"].get(about.metric) for kind in ("scores", "floors"))
        cells = [about.task, ", ".join(about.languages), about.folder, f"{size / 1e6:.1f}"]
        cells += [f"{about.metric} {scores:.3g}", f"{floors:.3g}" if floors is not None else "–", about.goal]
        lines.append("| " + " | ".join([*cells, f"{about.larger}: {about.anchor}"]) + " |")
    for about, result, _ in models:
        lines += ["", f"## {about.title}", "", about.text, ""]
        lines += [table(result["scores"]["test"], result["floors"]["test"], _metrics(result)), ""]
        lines += [f"The floor: {FLOORS[about.task]}."]
        lines += [_cost(result)] if result.get("seconds") else []
        lines += list(result.get("remarks", []))
    return "\n".join(lines) + "\n"


def spent(work: Path) -> dict[str, Any]:
    """Seconds, energy and CO2e of all runs below a folder, attempts that were killed included."""
    runs = [run for file in sorted(work.rglob("emissions.json")) for run in json.loads(file.read_text("utf-8"))["runs"]]
    return {name: sum(run[name] for run in runs) for name in ("seconds", "kwh", "kg_co2e")}


def sources_of(data: Path, keys: Sequence[str]) -> list[tuple[str, str, str]]:
    """(key, repository, licence) of sources, by the first table of the data's SOURCES.md."""
    rows = []
    for line in (data / "SOURCES.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7 and cells[0].startswith("`"):
            patterns = [re.sub(r" \(.*", "", each.strip()) for each in cells[0].strip("`").split(",")]
            rows.append((patterns, cells[1], cells[4]))
    found = []
    for key in keys:
        row = next((row for row in rows if any(fnmatch.fnmatchcase(key, pattern) for pattern in row[0])), None)
        found.append((key, row[1], row[2]) if row else (key, "", "see SOURCES.md of the data"))
    return found
