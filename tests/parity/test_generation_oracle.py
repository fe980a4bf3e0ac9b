"""Live: `generate` beside transformers, token for token, on tiny models and settings drawn at random.

Texts exactly; scores to 1e-4 (sums in another order). Sampling is compared by what it draws from.
"""

from __future__ import annotations

import random
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.generation import GenerationConfig, prepared
from tests.generation.drawn import ENCODER_DECODERS, FAMILIES, ids, setting, texts
from tests.generation.test_golden import GOLDEN, tiny

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

LOWEST = -1e30  # transformers' and our -inf, or the lowest number where it removes -inf


@cache
def theirs(family: str) -> Any:
    from tests.golden.make_generation import load

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    return load(family, Path(GOLDEN / family))


def both(family: str, case: dict[str, Any], **more: Any) -> tuple[Any, Any]:
    """(transformers' output, ours), for torch tensors."""
    asks = {**case["options"], "return_dict_in_generate": True, **more}
    given = torch.tensor(case["input_ids"]), torch.tensor(case["attention_mask"])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        answer = theirs(family).generate(given[0], attention_mask=given[1], **asks)
    return answer, tiny(family).generate(given[0], attention_mask=given[1], **asks)


def same(a: Any, b: Any, where: str) -> None:
    if isinstance(a, (tuple, list)):
        assert len(a) == len(b), where
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            same(x, y, f"{where}[{number}]")
        return
    x, y = (np.maximum(np.asarray(value), LOWEST) for value in (a, b))
    assert x.shape == y.shape, where
    assert np.allclose(x, y, rtol=1e-3, atol=3e-4), (where, float(np.abs(x - y).max()))


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_texts_and_scores(family: str, part: int) -> None:
    compared = 0
    for seed in range(1000 + 40 * part, 1040 + 40 * part):
        case = setting(family, seed)
        width = 1 if family in ENCODER_DECODERS else len(case["input_ids"][0])
        a, b = both(family, case, output_scores=True)
        eos = tiny(family).generation_config.eos_token_id
        if "sequences_scores" in a:
            scores = a.sequences_scores.reshape(len(case["input_ids"]), -1)
            if (scores[:, :-1] - scores[:, 1:]).lt(1e-3).any() or not (scores > -1e8).all():
                continue  # too near to be told apart, or texts that cannot be
            same(a.sequences_scores, b.sequences_scores, "sequences_scores")
        assert texts(a.sequences, case["options"], eos, width) == texts(b.sequences, case["options"], eos, width), case
        compared += 1
    assert compared > 30


@pytest.mark.parametrize("options", [{}, {"num_beams": 3, "num_return_sequences": 2}])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_of_every_step(family: str, options: dict[str, Any]) -> None:
    shown = ("scores", "logits", "attentions", "hidden_states")
    asks = {f"output_{name}": True for name in shown}
    draw = random.Random(family)
    for rows in (1, 2):
        prompts = [ids(draw, 4) for _ in range(rows)]
        case = {"input_ids": prompts, "attention_mask": [[1] * 4] * rows}
        a, b = both(
            family, {**case, "options": {"max_new_tokens": 6, "eos_token_id": 3, "num_beams": 1, **options}}, **asks
        )
        assert type(a).__name__ == type(b).__name__
        for name in a:
            if name != "past_key_values":
                same(a[name], b[name], name)


SAMPLERS: list[dict[str, Any]] = [
    {"temperature": 0.6},
    {"top_k": 5},
    {"top_k": 0, "top_p": 0.8},
    {"top_p": 0.5, "temperature": 1.7},
    {"top_k": 0, "min_p": 0.1},
    {"top_k": 0, "typical_p": 0.7},
    {"top_k": 0, "epsilon_cutoff": 0.02},
    {"top_k": 0, "eta_cutoff": 0.02},
    {"top_k": 20, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.9, "epsilon_cutoff": 0.001, "renormalize_logits": True},
    {"top_k": 3, "repetition_penalty": 1.3},
]


@pytest.mark.parametrize("options", SAMPLERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_sampled_from(family: str, options: dict[str, Any]) -> None:
    draw = random.Random(family)
    for beams in (1, 3):
        case = {"input_ids": [ids(draw, 5)], "attention_mask": [[1] * 5]}
        asks = {
            "do_sample": True,
            "max_new_tokens": 1,
            "num_beams": beams,
            "bad_words_ids": None,
            "eos_token_id": [4, 5],
            **options,
        }
        if "forced_eos_token_id" in tiny(family).generation_config.to_diff_dict():
            asks["max_new_tokens"] = 2
        a, b = both(family, {**case, "options": asks}, output_scores=True)
        first, ours = np.asarray(a.scores[0])[:1], np.asarray(b.scores[0])[:1]
        assert ((first > LOWEST) == (ours > LOWEST)).all()
        same(first, ours, "scores")


def test_guidance() -> None:
    draw = random.Random(5)
    for family in ("gpt2", "llama"):
        for negative in (None, torch.tensor([ids(draw, 3)])):
            options = {"max_new_tokens": 12, "guidance_scale": 1.7, "negative_prompt_ids": negative, "do_sample": False}
            a, b = both(family, {"input_ids": [ids(draw, 4)], "attention_mask": [[1] * 4], "options": options})
            assert a.sequences.tolist() == b.sequences.tolist()


def test_decoder_input_ids_go_on_from_what_is_given() -> None:
    draw = random.Random(6)
    for family in ENCODER_DECODERS:
        start = tiny(family).generation_config.decoder_start_token_id
        for given in ([ids(draw, 3)], [[start, *ids(draw, 2)]]):
            options = {"max_new_tokens": 5, "num_beams": 1, "decoder_input_ids": torch.tensor(given)}
            a, b = both(family, {"input_ids": [ids(draw, 4)], "attention_mask": [[1] * 4], "options": options})
            assert a.sequences.tolist() == b.sequences.tolist()


def test_stop_strings_stop_where_transformers_stops() -> None:
    from tests.tokenization.conftest import FOLDERS, shared

    ours = shared("gpt2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDERS / "gpt2")
    criterion = transformers.generation.stopping_criteria.StopStringCriteria
    from panpipe.generation.stopping import StopTexts

    draw = random.Random(7)
    for _ in range(150):
        tokens = [draw.randrange(len(tokenizer)) for _ in range(12)]
        text = tokenizer.decode(tokens, clean_up_tokenization_spaces=False)
        begin = draw.randrange(len(text))
        stop = text[begin : begin + draw.randrange(1, 4)]
        if not stop.isascii() or not stop.strip():
            continue  # transformers knows tokens by their own text, which for parts of characters is none
        check = criterion(tokenizer, [stop])
        mine = StopTexts([stop], ours)
        for length in range(1, len(tokens) + 1):
            a = bool(check(torch.tensor([tokens[:length]]), None)[0])
            assert a == mine.ends(np.array(tokens[:length])), (stop, tokens[:length])


def test_the_keys_defaults_and_priorities_of_configs() -> None:
    default = transformers.GenerationConfig()
    ours = GenerationConfig()
    for name, value in ours.to_dict().items():
        if name != "transformers_version":
            assert getattr(default, name) == value, name
    draw = random.Random(8)
    levels: list[Any] = [{}, {"num_beams": 2}, {"num_beams": 3, "max_length": 40}, {"max_new_tokens": 7}, {"top_k": 5}]
    for _ in range(200):
        model, own, call = (draw.choice(levels) for _ in range(3))
        version = draw.choice(["4.20.0", "4.55.0"])
        given = draw.choice([None, own])
        hf = theirs("gpt2")
        hf.generation_config = transformers.GenerationConfig(**model, transformers_version=version, eos_token_id=3)
        a, _ = hf._prepare_generation_config(None if given is None else transformers.GenerationConfig(**given), **call)
        b = prepared(
            call,
            model=GenerationConfig(**model, transformers_version=version, eos_token_id=3),
            config=None if given is None else GenerationConfig(**given),
            strict=True,
        )
        names = ("num_beams", "max_length", "top_k", "eos_token_id")
        assert [getattr(a, name) for name in names] == [getattr(b, name) for name in names], (model, given, call)
    theirs.cache_clear()


def test_checkpoints_say_how_to_generate() -> None:
    for family in FAMILIES:
        a, b = theirs(family).generation_config, tiny(family).generation_config
        for name, value in b.to_dict().items():
            if name != "transformers_version":
                assert getattr(a, name) == (list(value) if isinstance(value, tuple) else value), (family, name)
