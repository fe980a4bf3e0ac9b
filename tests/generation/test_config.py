"""GenerationConfig: keys, files, validation; and whose word counts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from panpipe.errors import ConfigError, InvalidArgument, UnknownArgument
from panpipe.generation import GenerationConfig, load_generation_config, prepared
from panpipe.weights.source import Folder


def model(**values: Any) -> GenerationConfig:
    return GenerationConfig(**values)


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", 2.5),
        ("max_new_tokens", True),
        ("num_beams", 0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 1.5),
        ("typical_p", 0.0),
        ("top_k", -1),
        ("repetition_penalty", 0),
        ("early_stopping", "sometimes"),
        ("do_sample", "yes"),
        ("eos_token_id", [3, -1]),
        ("bad_words_ids", [3, 4]),
        ("bad_words_ids", [[]]),
        ("sequence_bias", {(): 1.0}),
        ("stop_strings", ["끝", ""]),
        ("exponential_decay_length_penalty", (1.5,)),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_it_must_be(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}=.*it must be"):
        GenerationConfig(**{name: value})


def test_a_typo_is_an_error_that_guesses_the_name() -> None:
    with pytest.raises(UnknownArgument, match=r"'max_new_token'.*Did you mean 'max_new_tokens'"):
        GenerationConfig().update(max_new_token=5)


def test_more_texts_than_beams_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="num_return_sequences=3 with num_beams=2"):
        GenerationConfig(num_beams=2, num_return_sequences=3)


@pytest.mark.parametrize("name", ["penalty_alpha", "num_beam_groups", "force_words_ids", "watermarking_config"])
def test_searches_that_panpipe_lacks_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{name}=5: panpipe has no"):
        GenerationConfig().update(**{name: 5})


def test_arguments_that_say_how_to_compute_change_nothing() -> None:
    assert GenerationConfig().update(use_cache=False, cache_implementation="static", num_beam_groups=1) == (
        GenerationConfig()
    )


def test_a_config_is_not_changed_but_says_how_to_make_another() -> None:
    config = GenerationConfig()
    with pytest.raises(InvalidArgument, match=r"config.update\(top_k=3\)"):
        config.top_k = 3  # type: ignore[misc]
    assert config.update(top_k=3).top_k == 3
    assert config.top_k == 50


# -- files -----------------------------------------------------------------------------------------------------------


def test_saved_and_loaded_it_is_the_same_and_only_what_is_not_the_default_is_written(tmp_path: Path) -> None:
    config = GenerationConfig(num_beams=4, eos_token_id=[1, 2], early_stopping="never", stop_strings=["끝."])
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    assert written == {"num_beams": 4, "eos_token_id": [1, 2], "early_stopping": "never", "stop_strings": ["끝."]}
    assert GenerationConfig.from_pretrained(tmp_path) == config
    assert GenerationConfig.from_pretrained(tmp_path, num_beams=2).num_beams == 2


def test_a_bias_by_sequence_is_written_as_lists() -> None:
    assert GenerationConfig(sequence_bias={(3, 4): 1.5}).to_diff_dict() == {"sequence_bias": [[[3, 4], 1.5]]}


def test_keys_of_a_file_that_are_not_ours_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text(
        '{"alignment_heads": [[1, 2]], "top_k": 7, "_from_model_config": true}'
    )
    assert GenerationConfig.from_pretrained(tmp_path).to_diff_dict() == {"top_k": 7}


def test_a_wrong_value_in_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"top_p": 7}')
    with pytest.raises(ConfigError, match=r"generation_config.json: top_p=7"):
        GenerationConfig.from_pretrained(tmp_path)


def test_without_a_file_of_its_own_config_json_speaks(tmp_path: Path) -> None:
    values = {
        "max_length": 142,
        "num_beams": 4,
        "pad_token_id": -1,
        "output_attentions": True,
        "transformers_version": "4.1",
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    loaded = load_generation_config(Folder(tmp_path), GenerationConfig(forced_eos_token_id=2))
    assert loaded.to_diff_dict() == {"max_length": 142, "num_beams": 4, "forced_eos_token_id": 2}


def test_with_a_file_of_its_own_config_json_does_not(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_length": 142}')
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 2}')
    loaded = load_generation_config(Folder(tmp_path), GenerationConfig(forced_eos_token_id=2))
    assert loaded.to_diff_dict() == {"eos_token_id": 2}


# -- whose word counts -----------------------------------------------------------------------------------------------


def test_each_level_counts_more_than_the_one_below() -> None:
    levels: list[dict[str, Any]] = [
        {"model": model(top_k=1)},
        {"defaults": {"top_k": 2}},
        {"task": {"top_k": 3, "prefix": "summarize: "}},
        {"constructor": {"top_k": 4}},
        {"call": {"top_k": 5}},
    ]
    said: dict[str, Any] = {"model": model(), "call": {"do_sample": True}}
    for number, level in enumerate(levels, 1):
        said = {**said, **level}
        call = {**said["call"], "do_sample": True}
        others = {key: value for key, value in said.items() if key != "call"}
        assert prepared(call, **others).top_k == number


def test_none_in_a_call_is_a_value_where_it_says_something() -> None:
    assert prepared({"eos_token_id": None}, model=model(eos_token_id=3)).eos_token_id is None
    assert prepared({"num_beams": None, "max_length": None}, model=model(num_beams=3, max_length=9)).max_length == 9


def test_a_calls_max_length_beats_the_classs_max_new_tokens() -> None:
    config = prepared({"max_length": 30}, model=model(), defaults={"max_new_tokens": 256})
    assert (config.max_length, config.max_new_tokens) == (30, None)
    strict = prepared({"max_length": 30}, model=model(), defaults={"max_new_tokens": 256}, strict=True)
    assert strict.max_new_tokens == 256


def test_the_models_max_length_beats_the_classs_max_new_tokens() -> None:
    for strict in (False, True):
        config = prepared({}, model=model(max_length=142), defaults={"max_new_tokens": 256}, strict=strict)
        assert (config.max_length, config.max_new_tokens) == (142, None)


def test_of_the_rest_the_classs_defaults_beat_the_model_as_in_transformers() -> None:
    config = prepared({}, model=model(num_beams=2, temperature=0.6, top_k=7), defaults={"num_beams": 4})
    assert (config.num_beams, config.temperature, config.top_k) == (4, 0.6, 7)
    given = GenerationConfig(max_new_tokens=3)
    assert prepared({}, model=model(), config=given, defaults={"num_beams": 4}).num_beams == 1


def test_a_tasks_max_length_beats_the_classs_max_new_tokens() -> None:
    config = prepared({}, model=model(), task={"max_length": 200}, defaults={"max_new_tokens": 256})
    assert (config.max_length, config.max_new_tokens) == (200, None)
    strict = prepared({}, model=model(), task={"max_length": 200}, defaults={"max_new_tokens": 256}, strict=True)
    assert (strict.max_length, strict.max_new_tokens) == (200, 256)


def test_a_max_length_that_nobody_gave_means_20_new_tokens() -> None:
    assert prepared({}, model=model()).max_new_tokens == 20
    assert prepared({"max_length": 20}, model=model()).max_new_tokens is None
    assert prepared({}, model=model(max_length=50)).max_new_tokens is None


def test_both_lengths_in_one_call_say_which_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "panpipe"):
        config = prepared({"max_length": 30, "max_new_tokens": 5}, model=model())
    assert config.max_new_tokens == 5
    assert "max_new_tokens=5 counts, and max_length=30 does not" in caplog.text


def test_a_calls_config_is_filled_by_new_models_and_given_special_tokens_by_old_ones() -> None:
    own = GenerationConfig(max_new_tokens=5)
    new, old = ({"num_beams": 4, "eos_token_id": 2, "transformers_version": v} for v in ("4.50.0", "4.27.0.dev0"))
    assert (prepared({}, model=model(**new), config=own).num_beams, own.num_beams) == (4, 1)
    filled = prepared({}, model=model(**old), config=own)
    assert (filled.num_beams, filled.eos_token_id) == (1, 2)


def test_the_tokenizers_padding_token_comes_last() -> None:
    assert prepared({}, model=model(), pad_token_id=9).pad_token_id == 9
    assert prepared({}, model=model(pad_token_id=0), pad_token_id=9).pad_token_id == 0


@pytest.mark.parametrize(
    "call", [{"temperature": 0.7}, {"length_penalty": 2.0}, {"output_scores": True}, {"early_stopping": True}]
)
def test_what_cannot_have_an_effect_is_said_in_one_line(call: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "panpipe"):
        prepared(call, model=model(top_p=0.9))
    assert caplog.text.count("without effect") == 1
    assert next(iter(call)) in caplog.text
    assert "top_p" not in caplog.text
