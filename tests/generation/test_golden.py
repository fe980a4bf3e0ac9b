"""`generate` on tiny models: the texts and scores of transformers 4.57.6 (made by tests/golden/make_generation)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.models import load_model
from tests.engines import ENGINES
from tests.generation.drawn import ENCODER_DECODERS, FAMILIES, texts

GOLDEN = Path(__file__).parents[1] / "golden" / "generation"
CASES = [json.loads(line) for line in (GOLDEN / "answers.jsonl").read_text().splitlines()]


@cache
def tiny(family: str, engine: str = "native") -> Any:
    return load_model(GOLDEN / family, "seq2seq-lm" if family in ENCODER_DECODERS else "causal-lm", engine=engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", FAMILIES)
def test_texts_and_scores_are_those_of_transformers(family: str, engine: str) -> None:
    model = tiny(family, engine)
    cases = [case for case in CASES if case["family"] == family]
    for case in cases if engine == "native" else cases[::5]:
        width = 1 if family in ENCODER_DECODERS else len(case["input_ids"][0])
        options = {**case["options"], "return_dict_in_generate": True, "output_scores": True}
        output = model.generate(np.array(case["input_ids"]), attention_mask=np.array(case["attention_mask"]), **options)
        made = texts(output.sequences, options, model.generation_config.eos_token_id, width)
        assert made == case["texts"], case
        if "scores" in case:
            assert output.sequences_scores == pytest.approx(case["scores"], rel=1e-4, abs=1e-4), case
