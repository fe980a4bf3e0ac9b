"""Settings of `generate`, drawn at random, for the goldens and for the live comparison with transformers.

Left out is what panpipe does better on purpose: transformers counts padding as text (repetitions, n-grams), applies
encoder_repetition_penalty to the first beam only, makes NaN of an end token that is forbidden and hurried at once,
takes token 0 where every token is forbidden, and pads beams with the end token where the padding token is 0 (so texts
are compared up to their end).
"""

from __future__ import annotations

import random
from typing import Any

VOCAB = 60
FAMILIES = ("gpt2", "llama", "bart", "marian", "t5")
ENCODER_DECODERS = ("bart", "marian", "t5")


def ids(draw: random.Random, count: int) -> list[int]:
    """Tokens that are not special in any of the tiny models."""
    return [draw.randrange(4, VOCAB - 2) for _ in range(count)]


def _search(draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.35:
        return {"num_beams": 1}
    beams = draw.randrange(2, 6)
    return {
        "num_beams": beams,
        "num_return_sequences": draw.randrange(1, beams + 1),
        "early_stopping": draw.choice([True, False, "never"]),
        "length_penalty": draw.choice([1.0, 0.0, -1.0, 2.0, 0.6]),
    }


def _edits(draw: random.Random) -> dict[str, Any]:
    choices: dict[str, Any] = {
        "repetition_penalty": lambda: draw.choice([1.3, 2.0, 0.7]),
        "encoder_repetition_penalty": lambda: draw.choice([1.3, 0.8]),
        "no_repeat_ngram_size": lambda: draw.choice([1, 2, 3]),
        "encoder_no_repeat_ngram_size": lambda: draw.choice([1, 2, 3]),
        "bad_words_ids": lambda: [ids(draw, n) for n in (1, 2, 1, 3)],
        "sequence_bias": lambda: [[ids(draw, 1), 2.0], [ids(draw, 2), 5.0]],
        "forced_bos_token_id": lambda: ids(draw, 1)[0],
        "forced_eos_token_id": lambda: ids(draw, 1)[0],
        "suppress_tokens": lambda: ids(draw, 4),
        "begin_suppress_tokens": lambda: ids(draw, 5),
        "min_length": lambda: draw.randrange(3, 10),
        "min_new_tokens": lambda: draw.randrange(1, 6),
        "exponential_decay_length_penalty": lambda: (draw.randrange(0, 4), 1.5),
        "renormalize_logits": lambda: True,
        "remove_invalid_values": lambda: True,
    }
    drawn = {name: make() for name, make in choices.items() if draw.random() < 0.15}
    for forced in ("forced_bos_token_id", "forced_eos_token_id"):
        if drawn.get(forced) in [*drawn.get("suppress_tokens", []), *drawn.get("begin_suppress_tokens", [])]:
            del drawn[forced]
    return drawn


_OF_TEXT = {
    "repetition_penalty",
    "encoder_repetition_penalty",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "bad_words_ids",
    "sequence_bias",
}


_FORBIDS = {
    "bad_words_ids",
    "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
    "min_length",
    "min_new_tokens",
}


def setting(family: str, seed: int) -> dict[str, Any]:
    """{"input_ids", "attention_mask", "options"}."""
    draw = random.Random(f"{family} {seed}")
    options = {"do_sample": False, **_search(draw), **_edits(draw)}
    if draw.random() < 0.9:
        options["max_new_tokens"] = draw.randrange(2, 14)
    if draw.random() < 0.8:
        options["eos_token_id"] = ids(draw, draw.randrange(1, 8))
    if options["num_beams"] > 1:
        options.pop("encoder_repetition_penalty", None)
    if _FORBIDS & set(options) or family in ("bart", "marian"):  # which force the end
        options.pop("exponential_decay_length_penalty", None)
    if "min_length" in options:
        options.pop("min_new_tokens", None)
    rows, width = draw.randrange(1, 4), draw.randrange(1, 8)
    prompts = [ids(draw, width) for _ in range(rows)]
    mask = [[1] * width for _ in range(rows)]
    if not _OF_TEXT & set(options):
        for row in mask:
            padding = draw.randrange(width)
            row[:] = [1] * (width - padding) + [0] * padding
            if family not in ENCODER_DECODERS:
                row.reverse()
    return {"input_ids": prompts, "attention_mask": mask, "options": options}


def texts(sequences: Any, options: dict[str, Any], default_eos: Any, width: int) -> list[list[int]]:
    """The new tokens of each row up to its end."""
    eos = options.get("eos_token_id", default_eos)
    ends = {eos} if isinstance(eos, int) else set(eos or ())
    made = [row[width:] for row in sequences.tolist()]
    return [row[: next((i + 1 for i, token in enumerate(row) if token in ends), len(row))] for row in made]
