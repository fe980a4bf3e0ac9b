"""The curve of a run as an SVG picture, and as a line of blocks for a terminal.

The picture needs no script and no font of its own, follows the reader's light or dark scheme, and says in its title and
description what it shows. Lines are told apart by dashes and words too, not by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["loss_curve_svg", "metric_of", "sparkline"]

Floats = NDArray[np.float64]

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 780, 64, 152, 56, 54
_PANEL_HEIGHTS = (230, 110)  # of the loss and of the metric
_GAP = 34  # between the panels
_BUCKETS = 300  # at most twice so many points are drawn of a line
_SMOOTH_FROM = 60  # points: from there on a line is drawn faint, with its mean over it
_NOT_METRICS = ("runtime", "samples_per_second", "steps_per_second", "tokens_per_second", "loss")
_BLOCKS = "▁▂▃▄▅▆▇█"
_STYLE = """
  :root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --grid: #d8dee4;
          --train: #0b62c4; --eval: #b3400c; --metric: #1a7237; --bad: #b42318 }
  @media (prefers-color-scheme: dark) {
    :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --grid: #30363d;
            --train: #6cb0ff; --eval: #ff9e64; --metric: #5fd38a; --bad: #ff8a80 } }
  .paper { fill: var(--paper) } text { font: 12px system-ui, sans-serif; fill: var(--soft) }
  .title { font-size: 16px; font-weight: 600; fill: var(--ink) } .grid { stroke: var(--grid) }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round }
  .raw { opacity: .35; stroke-width: 1 }
  .train { stroke: var(--train) } .eval { stroke: var(--eval); stroke-dasharray: 7 4 } .metric { stroke: var(--metric) }
  .dot.train, text.train { fill: var(--train); stroke: none } .dot.eval, text.eval { fill: var(--eval); stroke: none }
  .dot.metric, text.metric { fill: var(--metric); stroke: none } .bad { stroke: var(--bad); stroke-width: 2 }
  text.bad { fill: var(--bad); stroke: none } text.name { font-weight: 600 }
"""


@dataclass(frozen=True)
class _Series:
    """A line: its name, its class in the style, steps and values in the order of steps; values may be NaN."""

    name: str
    kind: str
    steps: Floats
    values: Floats

    @property
    def finite(self) -> _Series:
        keep = np.isfinite(self.values)
        return _Series(self.name, self.kind, self.steps[keep], self.values[keep])


def loss_curve_svg(log_history: Sequence[Mapping[str, Any]], title: str = "Loss", metric: str | None = None) -> str:
    """The training loss, the evaluation loss and a metric over the steps, as the text of an SVG file.

    log_history: as the Trainer keeps it.   metric: its key there; default the first "eval_…" but for loss and times.
    Values that are not finite are marked where they were; of many points no more are drawn than can be seen.
    """
    metric = metric or metric_of(log_history)
    losses = [
        _series(log_history, "loss", "training loss", "train"),
        _series(log_history, "eval_loss", "evaluation loss", "eval"),
    ]
    losses = [series for series in losses if len(series.steps)]
    panels = [losses]
    if metric is not None:
        panels.append([_series(log_history, metric, metric.removeprefix("eval_").replace("_", " "), "metric")])
    return _document(title, [panel for panel in panels if panel])


def metric_of(log_history: Iterable[Mapping[str, Any]]) -> str | None:
    """The key of the first metric in the log that is neither a loss nor a rate."""
    for entry in log_history:
        for name in entry:
            if name.startswith("eval_") and not name.endswith(_NOT_METRICS):
                return name
    return None


def sparkline(values: Iterable[float], width: int = 40) -> str:
    """Values as blocks of eight heights, at most `width` of them, the smallest lowest; × for what is not finite."""
    numbers = np.array([float(value) for value in values])
    if len(numbers) > width:
        numbers = np.array(
            [
                part[np.isfinite(part)].mean() if np.isfinite(part).any() else np.nan
                for part in np.array_split(numbers, width)
            ]
        )
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return "×" * len(numbers)
    low, span = finite.min(), finite.max() - finite.min()
    heights = np.full(len(numbers), 3.0) if span == 0 else (numbers - low) / span * 7
    return "".join(
        _BLOCKS[round(height)] if np.isfinite(number) else "×" for height, number in zip(heights, numbers, strict=True)
    )


def _series(log_history: Iterable[Mapping[str, Any]], key: str, name: str, kind: str) -> _Series:
    """The values under a key, by step; of a step that was logged twice, as after a resume, the last."""
    found = {
        float(entry.get("step", index)): float(entry[key])
        for index, entry in enumerate(log_history)
        if isinstance(entry.get(key), (int, float))
    }
    steps = sorted(found)
    return _Series(name, kind, np.array(steps), np.array([found[step] for step in steps]))


# -- the document -----------------------------------------------------------------------------------------------------


def _document(title: str, panels: list[list[_Series]]) -> str:
    heights = list(_PANEL_HEIGHTS[: len(panels)]) or [80]
    height = _TOP + sum(heights) + _GAP * (len(heights) - 1) + _BOTTOM
    body = [f'<text class="title" x="{_LEFT}" y="28">{escape(title)}</text>']
    steps = [step for panel in panels for series in panel for step in series.steps]
    top = _TOP
    for panel, panel_height in zip(panels, heights, strict=False):
        body += _Panel(panel, top, panel_height, min(steps), max(steps)).draw(is_last=panel is panels[-1])
        top += panel_height + _GAP
    if not panels:
        body.append(f'<text x="{_LEFT}" y="{_TOP + 40}">Nothing was logged.</text>')
    said = escape(" ".join(_said(series) for panel in panels for series in panel) or "Nothing was logged.")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}" role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{said}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{height}" rx="6"/>',
            *body,
            "</svg>\n",
        ]
    )


def _said(series: _Series) -> str:
    """A line in words."""
    finite = series.finite
    bad = len(series.steps) - len(finite.steps)
    lost = f" {bad} values were not finite." if bad else ""
    name = series.name[:1].upper() + series.name[1:]
    if not len(finite.steps):
        return f"{name}:{lost}"
    if len(finite.steps) == 1:
        return f"{name}: {finite.values[0]:.4g} at step {finite.steps[0]:,.0f}.{lost}"
    low, high = finite.values.argmin(), finite.values.argmax()
    best = high if series.kind == "metric" else low
    word = "highest" if series.kind == "metric" else "lowest"
    return (
        f"{name}: from {finite.values[0]:.4g} at step {finite.steps[0]:,.0f} to {finite.values[-1]:.4g} at step "
        f"{finite.steps[-1]:,.0f}, {word} {finite.values[best]:.4g} at step {finite.steps[best]:,.0f}.{lost}"
    )


class _Panel:
    """Lines over one pair of axes."""

    def __init__(self, lines: list[_Series], top: float, height: float, first: float, last: float) -> None:
        self._lines = lines
        self._top, self._height = top, height
        self._x_ticks = _ticks(first, last, 7, whole=True)
        self._first, self._last = (first, last) if last > first else (first - 1, last + 1)
        values = np.concatenate([series.finite.values for series in lines])
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        if low == high:
            low, high = low - (abs(low) * 0.1 or 1.0), high + (abs(high) * 0.1 or 1.0)
        self._y_ticks = _ticks(low, high, max(3, round(height / 50)))
        self._low, self._high = min(low, self._y_ticks[0]), max(high, self._y_ticks[-1])

    def draw(self, is_last: bool) -> list[str]:
        drawn = [*self._axes(is_last)]
        for series in self._lines:
            drawn += self._line(series)
        return [*drawn, *self._names()]

    def _x(self, step: float) -> float:
        return _LEFT + (step - self._first) / (self._last - self._first) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return self._top + self._height * (1 - (value - self._low) / (self._high - self._low))

    def _axes(self, is_last: bool) -> Iterable[str]:
        right, bottom = _WIDTH - _RIGHT, self._top + self._height
        for tick in self._y_ticks:
            y = self._y(tick)
            yield f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_label(tick, self._y_ticks)}</text>'
        for tick in self._x_ticks:
            x = self._x(tick)
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            if is_last:
                yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{_label(tick, self._x_ticks)}</text>'
        if is_last:
            yield f'<text x="{(_LEFT + right) / 2}" y="{bottom + 38}" text-anchor="middle">step</text>'

    def _line(self, series: _Series) -> Iterable[str]:
        finite = series.finite
        is_sparse, is_long = len(finite.steps) <= 20, len(finite.steps) > _SMOOTH_FROM
        for piece in _pieces(series):
            if len(piece.steps) > 1:
                yield self._path(_thinned(piece), series.kind + (" raw" if is_long else ""))
            elif not is_sparse:
                yield self._dot(piece.steps[0], piece.values[0], series.kind)
        if is_sparse:
            yield from (self._dot(x, y, series.kind) for x, y in zip(finite.steps, finite.values, strict=True))
        elif is_long:
            yield self._path(_means(finite), series.kind)
        bad = series.steps[~np.isfinite(series.values)]
        bottom = self._top + self._height
        for step in bad[:: max(1, len(bad) // 50)]:
            x = self._x(step)
            yield f'<line class="bad" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom - 8}" y2="{bottom}"/>'
        if len(bad):
            yield f'<text class="bad" x="{self._x(bad[0]) + 5:.1f}" y="{bottom - 10}">not finite</text>'

    def _path(self, series: _Series, kind: str) -> str:
        points = " ".join(
            f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(series.steps, series.values, strict=True)
        )
        return f'<polyline class="line {kind}" points="{points}"/>'

    def _dot(self, step: float, value: float, kind: str) -> str:
        return f'<circle class="dot {kind}" cx="{self._x(step):.1f}" cy="{self._y(value):.1f}" r="3"/>'

    def _names(self) -> Iterable[str]:
        """Each line's name and last value at its end, moved apart where they would meet."""
        ends = [(self._y(_last(series)), series) for series in self._lines if len(series.finite.steps)]
        below = -math.inf
        for y, series in sorted(ends, key=lambda end: end[0]):
            y = max(y, below + 32)
            below = y
            x = _WIDTH - _RIGHT + 8
            yield f'<text class="name {series.kind}" x="{x}" y="{y - 1:.1f}">{escape(_short(series.name))}</text>'
            yield f'<text class="{series.kind}" x="{x}" y="{y + 13:.1f}">{_last(series):.4g}</text>'


# -- numbers ----------------------------------------------------------------------------------------------------------


def _short(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"


def _last(series: _Series) -> float:
    """Where the line that is drawn ends."""
    finite = series.finite
    return float((_means(finite) if len(finite.steps) > _SMOOTH_FROM else finite).values[-1])


def _pieces(series: _Series) -> list[_Series]:
    """The line in pieces without a value that is not finite."""
    is_finite = np.isfinite(series.values)
    cuts = np.flatnonzero(np.diff(is_finite.astype(int))) + 1
    parts = zip(np.split(series.steps, cuts), np.split(series.values, cuts), strict=True)
    return [_Series(series.name, series.kind, x, y) for x, y in parts if len(y) and np.isfinite(y[0])]


def _thinned(series: _Series) -> _Series:
    """Of each stretch of a long line the lowest and the highest point, so that no peak is lost."""
    if len(series.steps) <= 2 * _BUCKETS:
        return series
    keep: list[int] = [0, len(series.steps) - 1]
    for part in np.array_split(np.arange(len(series.steps)), _BUCKETS):
        keep += [part[series.values[part].argmin()], part[series.values[part].argmax()]]
    chosen = np.unique(keep)
    return _Series(series.name, series.kind, series.steps[chosen], series.values[chosen])


def _means(series: _Series) -> _Series:
    """The means of forty stretches, from the first step to the last."""
    steps = [part.mean() for part in np.array_split(series.steps, 40)]
    steps[0], steps[-1] = series.steps[0], series.steps[-1]
    values = [part.mean() for part in np.array_split(series.values, 40)]
    return _Series(series.name, series.kind, np.array(steps), np.array(values))


def _ticks(low: float, high: float, most: int, whole: bool = False) -> list[float]:
    """Round numbers from about low to about high, about so many: steps of 1, 2 or 5 times a power of ten."""
    if low == high:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, step)
        return [step * n for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [step * n for n in range(math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9) + 1)]


def _label(tick: float, ticks: Sequence[float]) -> str:
    """A tick with as many decimals as tell it from its neighbours."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(tick) or 1.0
    if abs(tick) >= 1e5 or (step < 1e-5 and tick != 0):
        return f"{tick:.3g}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{tick:,.{decimals}f}"
