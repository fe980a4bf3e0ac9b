"""What the proof of training computes beside training: rows of equal length, floors, errors, tables."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.proof.counting import counted
from benchmarks.proof.tables import standard_error, tables
from benchmarks.proof.tasks import PROOFS, Prepared, cut, scores


def test_rows_are_cut_to_one_length_with_what_belongs_to_each_token() -> None:
    features = [
        {"input_ids": [1, 2, 3, 4], "labels": [0, 0, 1, 1], "start_positions": 3},
        {"input_ids": [1, 2], "labels": [0, 0], "start_positions": 1},
        {"input_ids": [1, 2, 3], "labels": 7, "start_positions": 0},
    ]
    assert cut(features, 3) == [
        {"input_ids": [1, 2, 3], "labels": [0, 0, 1], "start_positions": 2},
        {"input_ids": [1, 2, 3], "labels": 7, "start_positions": 0},
    ]


def test_counting_expects_what_it_has_read() -> None:
    read = np.array([0, 1] * 500)
    losses = counted(read, np.array([0, 1] * 50), vocabulary=2)
    assert losses["single tokens"] == pytest.approx(math.log(2), abs=1e-3)
    assert losses["pairs of tokens"] == pytest.approx(-math.log(0.7 + 0.3 / 2), abs=1e-2)


def test_counting_gives_every_token_a_chance() -> None:
    assert math.isfinite(counted(np.array([0, 0, 0]), np.array([2, 1, 2]), vocabulary=3)["pairs of tokens"])


def test_the_error_of_a_whole_shrinks_with_the_root_of_its_parts() -> None:
    assert standard_error([1.0, 3.0] * 8) == pytest.approx(standard_error([1.0, 3.0] * 2) / 2, rel=0.15)


def test_tables_show_both_sides_and_their_paired_difference(tmp_path: Path) -> None:
    for side, values in (("panpipe", [90.0, 80.0]), ("transformers", [89.0, 79.0])):
        result = {"metrics": {"f1": sum(values) / 2}, "blocks": [{"f1": value} for value in values]}
        (tmp_path / f"ner-{side}-0.json").write_text(json.dumps(result))
    clocks = {clock: {"panpipe": 0.1, "transformers": 0.3} for clock in ("seconds", "cpu_seconds")}
    speed = {
        **clocks,
        "ratio_of_seconds": 3.0,
        "ratio_of_cpu_seconds": 2.9,
        "memory": {"panpipe": 900, "transformers": 1900},
    }
    (tmp_path / "ner-speed-by-length.json").write_text(json.dumps(speed))
    shown = tables(tmp_path)
    assert "| ner, seed 0 | f1 | 85.0 ± 5.0 | 84.0 ± 5.0 | 1.0 ± 0.0 |" in shown
    assert "| ner: real text, grouped by length | 100 | 300 | 2.90 × | 3.00 × | 900 | 1900 |" in shown


class Right:
    """A task whose score is the share of rows that were predicted right, by the window that says most."""

    def output(self, predictions: list[int], place: int, feature: dict[str, int]) -> int:
        return predictions[place]

    def score(self, rows: list[Any], features: list[Any], outputs: list[Any]) -> dict[str, float]:
        return {"accuracy": sum(row["label"] in said for row, said in zip(rows, outputs, strict=True)) / len(rows)}


def test_predictions_of_windows_find_their_rows_and_sources() -> None:
    rows: list[dict[str, Any]] = [
        {"label": number, "source": "영화" if number < 30 else "news"} for number in range(40)
    ]
    windows: list[list[dict[str, Any]]] = [[{}] * (1 + number % 2) for number in range(40)]
    said = [
        row["label"] if row["label"] < 30 else -1 for row, of_row in zip(rows, windows, strict=True) for _ in of_row
    ]
    found = scores(PROOFS["sentiment"], Prepared(Right(), Path(), rows, [], windows), said)  # type: ignore[arg-type]
    assert found["metrics"] == {"accuracy": 75.0}
    assert found["by"] == {"news": {"rows": 10, "accuracy": 0.0}, "영화": {"rows": 30, "accuracy": 100.0}}
    assert [block["accuracy"] for block in found["blocks"]] == [100.0] * 15 + [0.0] * 5
