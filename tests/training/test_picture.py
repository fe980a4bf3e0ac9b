"""The curve of a run, as a picture and as a line of blocks."""

from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from panpipe.training.picture import loss_curve_svg, metric_of, sparkline

SVG = "{http://www.w3.org/2000/svg}"
HISTORY: list[dict[str, Any]] = [
    {"loss": 0.9, "grad_norm": 1.0, "learning_rate": 5e-5, "epoch": 0.5, "step": 10},
    {"loss": 0.6, "epoch": 1.0, "step": 20},
    {"eval_loss": 0.7, "eval_runtime": 1.2, "eval_f1": 0.5, "epoch": 1.0, "step": 20},
    {"loss": 0.4, "epoch": 2.0, "step": 40},
    {"eval_loss": 0.8, "eval_runtime": 1.2, "eval_f1": 0.75, "epoch": 2.0, "step": 40},
    {"train_runtime": 10.0, "train_loss": 0.6, "step": 40},
]


def parsed(history: list[dict[str, Any]], title: str = "Loss") -> ElementTree.Element:
    return ElementTree.fromstring(loss_curve_svg(history, title=title))


def text_of(root: ElementTree.Element, tag: str) -> str:
    return "|".join(element.text or "" for element in root.iter(SVG + tag))


def points(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    lines = [line.attrib["points"].split() for line in root.iter(SVG + "polyline")]
    return [[(float(x), float(y)) for x, y in (point.split(",") for point in line)] for line in lines]


def test_losses_and_the_metric_are_drawn_named_and_said() -> None:
    root = parsed(HISTORY, "감성 분석 <tiny> & co")
    assert text_of(root, "title") == "감성 분석 <tiny> & co"
    assert text_of(root, "desc") == (
        "Training loss: from 0.9 at step 10 to 0.4 at step 40, lowest 0.4 at step 40. "
        "Evaluation loss: from 0.7 at step 20 to 0.8 at step 40, lowest 0.7 at step 20. "
        "F1: from 0.5 at step 20 to 0.75 at step 40, highest 0.75 at step 40."
    )
    assert re.search(
        r"training loss\|0\.4\|evaluation loss\|0\.8|evaluation loss\|0\.8\|training loss\|0\.4", text_of(root, "text")
    )
    train, evaluation, metric = points(root)
    assert [len(line) for line in (train, evaluation, metric)] == [3, 2, 2]
    assert train[0][1] < train[1][1] < train[2][1]  # downwards
    assert evaluation[0][0] == train[1][0]  # the same step
    assert metric[0][1] > metric[1][1]


def test_readers_of_the_dark_and_without_colours_are_served() -> None:
    picture = loss_curve_svg(HISTORY)
    assert "prefers-color-scheme: dark" in picture
    assert "stroke-dasharray" in picture
    assert 'role="img"' in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")  # nothing is fetched


def test_no_point_and_one_point_are_pictures_too() -> None:
    assert "Nothing was logged." in text_of(parsed([]), "text")
    assert "Nothing was logged." in text_of(parsed([{"train_runtime": 1.0}]), "desc")
    one = parsed([{"loss": 0.5, "step": 3}])
    assert len(list(one.iter(SVG + "circle"))) == 1
    assert text_of(one, "desc") == "Training loss: 0.5 at step 3."


def test_what_is_not_finite_is_marked_and_breaks_the_line() -> None:
    history = [{"loss": value, "step": step} for step, value in enumerate([3.0, 2.0, math.nan, math.inf, 2.0, 1.0])]
    root = parsed(history)
    assert [len(line) for line in points(root)] == [2, 2]
    assert sum(line.get("class") == "bad" for line in root.iter(SVG + "line")) == 2
    assert "2 values were not finite." in text_of(root, "desc")
    assert "not finite" in text_of(root, "text")
    only = parsed([{"loss": math.nan, "step": 1}, {"loss": math.nan, "step": 2}])
    assert text_of(only, "desc") == "Training loss: 2 values were not finite."
    assert "nan" not in loss_curve_svg(history).lower()


def test_a_long_run_is_a_small_file_that_keeps_its_peaks() -> None:
    history = [{"loss": 1.0, "step": step} for step in range(100_000)]
    history[77_777]["loss"] = 50.0
    root = parsed(history)
    assert len(loss_curve_svg(history)) < 40_000
    assert "to 1 at step 99,999" in text_of(root, "desc")
    raw, mean = points(root)
    assert min(y for _, y in raw) < 80
    assert len(mean) == 40


def test_a_step_logged_twice_counts_as_the_last_time() -> None:
    history = [{"loss": 0.9, "step": 1}, {"loss": 0.8, "step": 2}, {"loss": 0.5, "step": 2}, {"loss": 0.4, "step": 3}]
    assert len(points(parsed(history))[0]) == 3
    assert "0.8" not in text_of(parsed(history), "desc")


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.301, 0.329, ["0.30", "0.31", "0.32", "0.33"]),
        (2.0, 9000.0, ["0", "2,000", "4,000", "6,000", "8,000", "10,000"]),
        (1e-7, 5e-7, ["1e-07", "2e-07", "3e-07", "4e-07", "5e-07"]),
        (5.0, 5.0, ["4.4", "4.6", "4.8", "5.0", "5.2", "5.4", "5.6"]),
    ],
)
def test_ticks_are_round_numbers_around_the_values(low: float, high: float, labels: list[str]) -> None:
    root = parsed([{"loss": high, "step": 1}, {"loss": low, "step": 2}])
    found = [e.text for e in root.iter(SVG + "text") if e.get("text-anchor") == "end"]
    assert found == labels


def test_the_metric_is_the_first_that_is_no_loss_and_no_rate() -> None:
    assert metric_of(HISTORY) == "eval_f1"
    assert metric_of([{"loss": 1.0}, {"eval_loss": 1.0, "eval_samples_per_second": 3.0}]) is None


def test_sparklines_show_the_shape() -> None:
    assert sparkline([3, 2, 1, 0]) == "█▆▃▁"
    assert sparkline([1, 1, math.nan, 1]) == "▄▄×▄"
    assert sparkline([]) == ""
    assert sparkline([math.inf]) == "×"
    assert len(sparkline(range(10_000))) == 40
    assert sparkline(range(10_000))[::39] == "▁█"
