"""Configs that lie: each key of each family with values that cannot be. They are refused, or harmless; nothing is
allocated for what the file of weights does not hold.
"""

from __future__ import annotations

import dataclasses
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import panpipe.models as models
from panpipe.errors import PanpipeError
from tests.models.tiny import heads_of, made

VALUES: list[Any] = [
    None, -1, 0, 1, 2**31, 2**63, 1e308, float("nan"), True, [], {}, "", "x", "x" * 1_000_000, [2**40], {"0": 2**40},
    {"a": "b"},
]  # fmt: skip
LARGE: list[Any] = [2**31, 2**63, "x" * 1_000_000, [2**40], {"0": 2**40}]
"""What could ask for memory, which is watched then: watching makes everything slow."""
ENCODERS = ("bert", "distilbert", "roberta", "electra", "albert", "mpnet")
GENERATORS = ("gpt2", "llama-tied-llama3", "smollm3", "bart", "m2m_100", "t5")
SCALINGS: list[Any] = [
    {"type": kind, **dict.fromkeys(("factor", "low_freq_factor", "original_max_position_embeddings"), value)}
    for kind in ("linear", "llama3", "yarn", "dynamic", "no such", 7, [])
    for value in (None, 0, -1, 1e308, "x", [], 2.0)
]
FLOOR = 4000
_tried: list[int] = []


@pytest.mark.parametrize("name", (*ENCODERS, *GENERATORS))
def test_every_key_with_every_value_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    head = "sequence-classification" if "sequence-classification" in heads_of(name) else "seq2seq-lm"
    given = {"decoder_input_ids": [[5]]} if head == "seq2seq-lm" else {}
    made(name, head, "reference").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    good = json.loads(path.read_text(encoding="utf-8"))
    family = models.CONFIGS[models.AutoConfig.from_pretrained(tmp_path).__class__.__name__]
    keys = [f.name for f in dataclasses.fields(family)] + ["model_type", "auto_map", "_attn_implementation_internal"]
    for key in keys:
        for value in SCALINGS if key == "rope_scaling" else VALUES:
            path.write_text(json.dumps(good | {key: value}), encoding="utf-8")
            _tried.append(1)
            began = time.process_time()
            is_large = value in LARGE
            if is_large:
                tracemalloc.start()
            try:
                models.load_model(tmp_path, engine="reference")([[5, 6, 2]], **given)
            except PanpipeError as error:
                assert str(error), (key, value)
            if is_large:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < 50_000_000, (key, value, peak)
            assert time.process_time() - began < 2, (key, value)


def test_a_vocabulary_of_two_hundred_million_is_not_allocated(tmp_path: Path) -> None:
    made("bert", "base", "reference").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps(config | {"vocab_size": 200_000_000}), encoding="utf-8")
    tracemalloc.start()
    with pytest.raises(PanpipeError, match=r"200000000"):
        models.load_model(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"model_type": ["bert"]}', "\x00", '"bert"'])
def test_configs_that_are_no_config_are_refused(text: str, tmp_path: Path) -> None:
    made("bert", "base", "reference").save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(PanpipeError):
        models.load_model(tmp_path)


def test_enough_was_tried() -> None:
    assert len(_tried) >= FLOOR, f"{len(_tried)} hostile configs were tried; {FLOOR} is the floor"
    print(f"{len(_tried)} hostile configs")
