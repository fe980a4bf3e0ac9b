"""From seconds to figures: medians, spreads, rates, ratios, and how they are written."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

__all__ = ["markdown_table", "median", "milliseconds", "ratio", "share", "spread"]


def median(values: Sequence[float]) -> float:
    """The middle value.   Raises StatisticsError if there is none."""
    return float(statistics.median(values))


def spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles as a share of the median: how far a repeat lies from it, typically."""
    if len(values) < 2:
        return 0.0
    ordered = sorted(values)
    return (_quantile(ordered, 0.75) - _quantile(ordered, 0.25)) / 2 / median(ordered)


def _quantile(ordered: Sequence[float], share_below: float) -> float:
    place = share_below * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def milliseconds(seconds: float) -> str:
    """Three digits or more: 1.23, 12.3, 123, 1234 (ms)."""
    value = seconds * 1000
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def ratio(value: float) -> str:
    """2.34 ×."""
    return f"{value:.2f} ×"


def share(value: float) -> str:
    """93 %."""
    return f"{value:.0%}".replace("%", " %")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns after the first are set to the right.   Raises ValueError if a row has not as many cells."""
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"the row {list(row)} has {len(row)} cells; the header has {len(header)}.")
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows)) + "\n"
