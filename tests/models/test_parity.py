"""Against transformers 4.57.6: the numbers in tests/golden/models.json (see make_models.py there)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.weights.checkpoint import open_checkpoint
from panpipe.weights.hub import resolve

from ..engines import ENGINES
from .tiny import EACH, made, rectangle

GOLDENS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "models.json").read_text(encoding="utf-8"))
TOLERANCE = 3e-5
"""float32 sums in another order through a few layers; the goldens have six decimals."""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", list(GOLDENS))
def test_outputs_equal_transformers(name: str, engine: str) -> None:
    config, head = name.split("/")
    given = rectangle(config, 5, head)
    outputs = made(config, head, engine)(**given)
    kept = given["attention_mask"].astype(bool)
    for key, expected in GOLDENS[name]["outputs"].items():
        values = outputs[key]
        values = values[kept] if values.shape[:2] == kept.shape else values
        got = [*values[-1].ravel()[:16], *values[0].ravel()[:16], np.abs(values).mean(dtype=np.float64)]
        np.testing.assert_allclose(got, expected, atol=TOLERANCE * max(1.0, np.abs(expected).max()))
    assert set(outputs.keys()) - {"encoder_last_hidden_state"} == set(GOLDENS[name]["outputs"])


@pytest.mark.parametrize("name", list(GOLDENS))
def test_the_tensors_we_write_are_those_that_transformers_writes(name: str, tmp_path: Path) -> None:
    made(*name.split("/"), "reference").save_pretrained(tmp_path)
    with open_checkpoint(resolve(tmp_path)) as checkpoint:
        assert sorted(checkpoint.names()) == GOLDENS[name]["names"]


def test_every_config_and_head_has_a_golden() -> None:
    assert set(GOLDENS) == {f"{name}/{head}" for name, head in EACH}
