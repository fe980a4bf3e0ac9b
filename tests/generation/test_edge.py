"""`model.generate` on real, tiny models: rectangles in and out, options of the call, streams, what is refused."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from panpipe.errors import (
    CacheFull,
    ConfigError,
    InputError,
    InvalidArgument,
    PanpipeError,
    ShapeError,
    UnknownArgument,
)
from panpipe.generation import GenerationConfig, Prompt, Runner
from panpipe.generation.decoder import Decoder
from panpipe.models import CLASSES, CONFIGS, load_model
from tests.generation.test_golden import GOLDEN, tiny

PROMPTS = [[5, 6, 7, 8], [9, 10], [11, 12, 13]]


def rectangle(prompts: list[list[int]], side: str) -> tuple[Any, Any]:
    width = max(map(len, prompts))
    ids = np.full((len(prompts), width), 2)
    mask = np.zeros((len(prompts), width), int)
    for row, keep, prompt in zip(ids, mask, prompts, strict=True):
        place = slice(0, len(prompt)) if side == "right" else slice(width - len(prompt), width)
        row[place], keep[place] = prompt, 1
    return ids, mask


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"do_sample": True, "seed": 3}])
def test_padding_on_either_side_changes_no_text(side: str, options: dict[str, Any]) -> None:
    model = tiny("gpt2")
    ids, mask = rectangle(PROMPTS, side)
    together = model.generate(ids, attention_mask=mask, max_new_tokens=6, eos_token_id=None, **options)
    assert together.dtype == np.int64
    assert (together[:, : ids.shape[1]] == ids).all()
    for row, prompt in zip(together, PROMPTS, strict=True):
        alone = model.generate(np.array([prompt]), max_new_tokens=6, eos_token_id=None, **options)
        assert row[ids.shape[1] :].tolist() == alone[0, len(prompt) :].tolist()


def test_without_a_mask_padding_tells_what_is_not_there() -> None:
    model = tiny("gpt2")
    ids, mask = rectangle(PROMPTS, "left")
    assert (model.generate(ids, max_new_tokens=4) == model.generate(ids, attention_mask=mask, max_new_tokens=4)).all()
    whole = model.generate(ids, max_new_tokens=4, pad_token_id=2, eos_token_id=2)  # padding that is an end is text
    assert (whole == model.generate(ids, attention_mask=np.ones_like(ids), max_new_tokens=4, eos_token_id=2)).all()


def test_an_encoder_decoders_texts_begin_with_its_start_token() -> None:
    model = tiny("t5")
    out = model.generate(input_ids=[[5, 6, 7, 8]], max_new_tokens=4, eos_token_id=None)
    assert out.shape == (1, 5)
    assert out[0, 0] == model.generation_config.decoder_start_token_id
    longer = model.generate([[5, 6, 7, 8]], decoder_input_ids=out[:, :3], max_new_tokens=2, eos_token_id=None)
    assert (longer == out).all()


def test_texts_that_end_early_are_filled_with_padding() -> None:
    model = tiny("gpt2")
    ids, mask = rectangle(PROMPTS, "left")
    whole = model.generate(ids, attention_mask=mask, max_new_tokens=8, eos_token_id=None)
    end = next(token for token in whole[0, 4:].tolist() if token not in whole[1, 4:])
    out = model.generate(ids, attention_mask=mask, max_new_tokens=8, eos_token_id=end, pad_token_id=59)
    for row in out:
        made = row[4:].tolist()
        if end in made:
            assert set(made[made.index(end) + 1 :]) <= {59}
    assert 59 in out[0]


def test_max_length_counts_the_rectangle_as_transformers_does() -> None:
    ids, mask = rectangle(PROMPTS, "left")
    assert tiny("gpt2").generate(ids, attention_mask=mask, max_length=10, eos_token_id=None).shape == (3, 10)


def test_without_a_prompt_a_text_begins_with_the_bos_token() -> None:
    model = tiny("gpt2")
    assert (model.generate(max_new_tokens=4) == model.generate([[0]], max_new_tokens=4)).all()


def test_several_texts_per_prompt_stand_together() -> None:
    model = tiny("gpt2")
    ids, mask = rectangle(PROMPTS, "left")
    out = model.generate(ids, attention_mask=mask, do_sample=True, num_return_sequences=3, max_new_tokens=8, seed=1)
    assert out.shape[0] == 9
    assert (out[:, :4] == np.repeat(ids, 3, 0)).all()
    assert len({tuple(row) for row in out[:3].tolist()}) == 3


def test_one_seed_for_all_or_one_for_each() -> None:
    model = tiny("gpt2")
    ids = np.array([[5, 6], [5, 6]])
    same = model.generate(ids, do_sample=True, seed=3, max_new_tokens=8)
    assert (same[0] == same[1]).all()
    out = model.generate(ids, do_sample=True, seed=[3, 4], max_new_tokens=8, return_dict_in_generate=True)
    assert (out.sequences[0] == same[0]).all()
    assert (out.sequences[1] != same[1]).any()
    assert out.seeds == (3, 4)
    with pytest.raises(InvalidArgument, match="3 seeds for 2 prompts"):
        model.generate(ids, do_sample=True, seed=[1, 2, 3])


def test_the_seeds_drawn_are_told(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny("gpt2")
    with caplog.at_level(logging.INFO, "panpipe"):
        out = model.generate([[5, 6]], do_sample=True, max_new_tokens=8, return_dict_in_generate=True)
    assert f"sampled with seed=[{out.seeds[0]}]" in caplog.text
    assert (model.generate([[5, 6]], do_sample=True, max_new_tokens=8, seed=out.seeds[0]) == out.sequences).all()


def test_outputs_are_named_and_have_their_parts_by_key_and_place() -> None:
    model = tiny("bart")
    options = {"max_new_tokens": 4, "return_dict_in_generate": True, "eos_token_id": None, "num_beams": 1}
    out = model.generate(
        [[5, 6, 7]],
        output_scores=True,
        output_logits=True,
        output_attentions=True,
        output_hidden_states=True,
        **options,
    )
    assert type(out).__name__ == "GenerateEncoderDecoderOutput"
    assert out["sequences"] is out[0] is out.sequences
    assert [scores.shape for scores in out.scores] == [(1, 60)] * 4
    layers = model.config.decoder_layers
    assert [[a.shape for a in step] for step in out.decoder_attentions] == [
        [(1, 2, 1, t + 1)] * layers for t in range(4)
    ]
    assert [a.shape for a in out.encoder_attentions] == [(1, 2, 3, 3)]
    assert [a.shape for a in out.cross_attentions[2]] == [(1, 2, 1, 3)] * layers
    assert [len(step) for step in out.decoder_hidden_states] == [layers + 1] * 4


def test_functions_of_the_users_are_called_with_rows() -> None:
    model = tiny("gpt2")

    def only_even(ids: Any, scores: Any) -> Any:
        assert ids.shape[0] == scores.shape[0] == 1
        scores[:, 1::2] = -np.inf
        return scores

    def at_six(ids: Any, scores: Any) -> bool:
        return bool(ids.shape[1] >= 6)

    out = model.generate([[5, 6], [7, 8]], logits_processor=[only_even], stopping_criteria=[at_six], max_new_tokens=20)
    assert out.shape == (2, 6)
    assert not (out[:, 2:] % 2).any()
    seen = []

    def allowed(batch: int, ids: Any) -> list[int]:
        seen.append(batch)
        return [20 + batch]

    out = model.generate([[5, 6], [7, 8]], prefix_allowed_tokens_fn=allowed, max_new_tokens=3)
    assert out[:, 2:].tolist() == [[20] * 3, [21] * 3]
    assert set(seen) == {0, 1}


def test_a_streamer_is_given_the_prompt_and_each_token() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.values: list[Any] = []

        def put(self, value: Any) -> None:
            self.values.append(value.tolist())

        def end(self) -> None:
            self.values.append("end")

    model = tiny("gpt2")
    recorder = Recorder()
    out = model.generate([[5, 6]], streamer=recorder, max_new_tokens=3, eos_token_id=None)
    assert recorder.values == [[[5, 6]], *[[token] for token in out[0, 2:].tolist()], "end"]
    with pytest.raises(InvalidArgument, match="one text"):
        model.generate([[5, 6], [5, 6]], streamer=recorder, max_new_tokens=3)
    recorder.values.clear()
    with pytest.raises(InputError):
        model.generate([[5, 99]], streamer=recorder)
    assert recorder.values[-1] == "end"  # whoever waits for more is told


def test_the_models_config_and_the_calls_config_count() -> None:
    model = load_model(GOLDEN / "bart", "seq2seq-lm")
    assert model.generation_config.num_beams == 2
    assert model.generation_config.no_repeat_ngram_size == 3
    assert model.generate([[5, 6, 7]]).shape[1] <= 15
    own = GenerationConfig(max_new_tokens=3, eos_token_id=None, num_beams=1)
    assert model.generate([[5, 6, 7]], generation_config=own).shape == (1, 4)
    model.generation_config = model.generation_config.update(max_length=8)
    assert model.generate([[5, 6, 7]], eos_token_id=None).shape[1] == 8


def test_an_interruption_returns_what_was_made_with_empty_rows_for_the_rest() -> None:
    def interrupts(ids: Any, scores: Any) -> bool:
        if ids.shape[1] == 5:
            raise KeyboardInterrupt
        return False

    model = tiny("gpt2")
    options = {"max_new_tokens": 20, "eos_token_id": None, "return_dict_in_generate": True, "output_scores": True}
    out = model.generate([[5, 6], [7, 8]], stopping_criteria=[interrupts], pad_token_id=59, **options)
    assert out.sequences.shape[0] == 2
    assert 4 <= out.sequences.shape[1] <= 5
    assert out.sequences[:, :2].tolist() == [[5, 6], [7, 8]]
    whole = model.generate([[5, 6]], max_new_tokens=2, eos_token_id=None)
    assert out.sequences[0, :4].tolist() == whole[0].tolist()


def test_guessing_ahead_changes_no_text_of_a_real_model() -> None:
    for family in ("gpt2", "llama", "t5", "bart"):
        model = tiny(family)
        ids = np.array([[5, 6, 7, 8, 9, 5, 6, 7, 8, 9, 5, 6]])
        for options in ({}, {"do_sample": True, "seed": 1, "temperature": 0.4}, {"repetition_penalty": 0.5}):
            asks = {"max_new_tokens": 40, "num_beams": 1, "eos_token_id": None, "forced_eos_token_id": None, **options}
            without = model.generate(ids, prompt_lookup_num_tokens=0, **asks)
            for most in (None, 6):
                assert (model.generate(ids, prompt_lookup_num_tokens=most, **asks) == without).all(), (family, options)


def test_every_block_of_the_cache_comes_back() -> None:
    for family in ("llama", "marian"):
        decoder = Decoder(tiny(family), tokens=2000)
        room = decoder.room()
        runner = Runner(decoder=decoder)
        draw = np.random.default_rng(1)

        def fails(ids: Any, scores: Any) -> Any:
            raise RuntimeError("mine")

        base = GenerationConfig(max_new_tokens=15, eos_token_id=[3, 4, 5, 6], decoder_start_token_id=59)
        settings = [
            {},
            {"num_beams": 3},
            {"do_sample": True, "num_return_sequences": 3},
            {"num_beams": 2, "do_sample": True},
        ]
        jobs = []
        for number in range(24):
            ids = draw.integers(7, 50, draw.integers(1, 30)).tolist()
            processors = [fails] if number % 7 == 3 else []
            jobs.append(runner.add(Prompt(ids, base.update(**settings[number % 4]), processors=processors)))
            runner.step()
            if number % 5 == 4:
                runner.cancel(jobs[-2])
        while not runner.is_idle:
            runner.step()
        assert all(job.is_done for job in jobs)
        assert decoder.room() == room


def test_a_source_of_another_vocabulary_is_nothing_to_repeat() -> None:
    config = CONFIGS["MarianConfig"].from_dict(
        {
            **{"vocab_size": 61, "decoder_vocab_size": 40, "share_encoder_decoder_embeddings": False},
            **{"tie_word_embeddings": False, "d_model": 24, "encoder_layers": 1, "decoder_layers": 1},
            **{"encoder_attention_heads": 3, "decoder_attention_heads": 3, "decoder_start_token_id": 3},
        }
    )
    model = CLASSES["MarianMTModel"].from_config(config)
    options = {"encoder_repetition_penalty": 1.5, "encoder_no_repeat_ngram_size": 1, "prompt_lookup_num_tokens": 4}
    out = model.generate(
        [[60, 50, 45, 60, 50]], max_new_tokens=12, eos_token_id=None, forced_eos_token_id=None, **options
    )
    assert out.shape == (1, 13)
    assert out.max() < 40


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_new_token": 3}, UnknownArgument, "Did you mean 'max_new_tokens'"),
        ({"assistant_model": "x"}, InvalidArgument, "assistant_model is not possible"),
        ({"attention_mask": [[1, 1, 1]]}, ShapeError, r"attention_mask has shape \(1, 3\)"),
        ({"attention_mask": [[0, 0]]}, InputError, "row 0 of input_ids has no token"),
        ({"decoder_input_ids": [[1]]}, InvalidArgument, "for encoder-decoders"),
        ({"cache_tokens": 32, "max_new_tokens": 50}, CacheFull, "the cache has room for 32"),
        ({"seed": -1}, InvalidArgument, "seed=-1"),
        ({"stop_strings": "x"}, InvalidArgument, "need the tokenizer"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], error: type[PanpipeError], words: str) -> None:
    with pytest.raises(error, match=words):
        tiny("gpt2").generate([[5, 6]], **options)


def test_rows_of_different_lengths_are_not_a_rectangle() -> None:
    with pytest.raises(ShapeError, match="not a rectangle"):
        tiny("gpt2").generate([[5, 6], [7]])


def test_a_model_that_makes_no_text_says_so() -> None:
    with pytest.raises(ConfigError, match="makes no text"):
        load_model(GOLDEN / "gpt2", "base").generate([[5, 6]])
