"""The scores of a shipped folder, by source, beside the floor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from panpipe import Dataset
from panpipe.training import evaluate

from .floors import Row, naive_bayes

__all__ = ["Scores", "by_source", "classified", "of_sentiment", "of_task", "table"]

Scores = dict[str, dict[str, float]]
"""source, or "all" → metric → value; "rows" among them."""


def of_task(task: str, folder: Path, rows: Dataset, names: dict[str, str], **options: Any) -> Scores:
    """By `panpipe evaluate`.   names: its metric → ours."""
    found = evaluate(task, folder, {"test": rows}, by="source", **options)
    groups = {**found["by"], "all": {"rows": found["rows"], **found["metrics"]}}
    return {
        source: {
            "rows": values["rows"],
            **{ours: float(values[name]) for name, ours in names.items() if name in values},
        }
        for source, values in groups.items()
    }


def of_sentiment(folder: Path, rows: Dataset, train: Dataset, cut: Callable[[str], list[str]]) -> tuple[Scores, Scores]:
    """Accuracy, and that of naive Bayes over the pieces that `cut` makes of the training texts."""
    columns = {"text": "text", "label": "label"}
    scores = of_task("text-classification", folder, rows, {"accuracy": "accuracy"}, columns=columns)
    return scores, classified(list(rows), list(map(naive_bayes(list(train), cut), rows)))


def by_source(rows: Sequence[Row], score: Callable[[list[int]], dict[str, float]]) -> Scores:
    """What `score` says of the rows of each source, and of all.   It is given their places."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row["source"], []).append(place)
    groups = {**dict(sorted(places.items())), "all": list(range(len(rows)))}
    return {source: {"rows": len(chosen), **score(chosen)} for source, chosen in groups.items()}


def classified(rows: Sequence[Row], answers: Sequence[Any], name: str = "accuracy") -> Scores:
    """The share of labels that are right."""
    right = [row["label"] == answer for row, answer in zip(rows, answers, strict=True)]
    return by_source(rows, lambda chosen: {name: sum(right[i] for i in chosen) / len(chosen)})


def table(scores: Scores, floor: Scores | None, names: Sequence[str]) -> str:
    """A row for each source: rows, the metrics, the floor of the first."""
    head = ["data", "rows", *names, *(["floor"] if floor else [])]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for source, values in scores.items():
        cells = [source, f"{int(values['rows']):,}", *(_shown(values.get(name)) for name in names)]
        if floor:
            cells.append(_shown(floor.get(source, {}).get(names[0])))
        lines.append([f"**{cell}**" for cell in cells] if source == "all" else cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 2 else f"{value:.1f}"
