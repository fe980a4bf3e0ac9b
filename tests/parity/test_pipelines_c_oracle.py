"""text-generation, summarization and translation side by side with transformers 4.57.6, on random texts and settings.

Run in an environment that has both (make oracle). The models are the tiny ones of tests/golden/pipelines_c.
"""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="compares live with transformers")
transformers = pytest.importorskip("transformers", reason="compares live with transformers")

sys.path.append(str(Path(__file__).parents[1] / "pipelines"))
import written  # noqa: E402 (a helper beside the pipelines' own tests)

pytestmark = pytest.mark.oracle

WORDS = (
    *("The", "quick", "brown", "fox", "lives", "in", "London", ".", ",", "hello", "I'm", "café", "Straße", "42", "  "),
    *(
        "서울은",
        "수도이다",
        "저는",
        "학생입니다",
        "東京",
        "は",
        "北京",
        "。",
        "مرحبا",
        "😀",
        "❤️",
        "\n",
        "e\u0301",
        "ｶﾀｶﾅ",
    ),
)
MOST = 44  # tokens of a text, so that new ones have room


@cache
def oracle(task: str, family: str) -> Any:
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    name = written.TOKENIZER_OF.get(family, family)
    settings = {"model_max_length": written.MAX_LENGTHS[family]} if family in written.MAX_LENGTHS else {}
    return transformers.pipeline(
        task,
        str(written.FOLDER / family),
        tokenizer=(str(written.TOKENIZERS / name), settings),
        dtype=torch.float32,
        device="cpu",
        framework="pt",
    )


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def texts(seed: int, number: int, tokenizer: Any) -> list[str]:
    """Mixtures of scripts, punctuation and spaces, short enough."""
    draw = random.Random(seed)
    found: list[str] = []
    while len(found) < number:
        words = (word + draw.choice((" ", " ", "")) for word in draw.choices(WORDS, k=draw.randint(1, 9)))
        text = "".join(words)
        if len(tokenizer(text)["input_ids"]) <= MOST:
            found.append(text)
    return found


def settings(draw: random.Random, most: int = 12) -> dict[str, Any]:
    """How to generate, without chance."""
    # Under 4, forced first and last tokens leave fewer texts than beams, and transformers fills up with copies.
    chosen: dict[str, Any] = {"max_new_tokens": draw.randint(4, most), "do_sample": False}
    chosen["num_beams"] = draw.choice((1, 1, 2, 3, 4))
    if chosen["num_beams"] > 1:
        chosen["num_return_sequences"] = draw.randint(1, chosen["num_beams"])
        chosen["length_penalty"] = draw.choice((0.5, 1.0, 2.0))
    if draw.random() < 0.3:
        chosen["no_repeat_ngram_size"] = 2
    if draw.random() < 0.3:
        chosen["repetition_penalty"] = 1.3
    if draw.random() < 0.3:
        chosen["min_new_tokens"] = 3
    return chosen


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_text_generation(family: str) -> None:
    ours, theirs, draw = written.make("text-generation", family), oracle("text-generation", family), random.Random(3)
    for text in texts(1, 30, ours.tokenizer):
        options = settings(draw)
        shape: dict[str, Any] = draw.choice(
            (
                {},
                {"return_full_text": False},
                {"return_tensors": True},
                {"clean_up_tokenization_spaces": False},
                {"skip_special_tokens": False},
                {"prefix": "hello, "},
            )
        )
        asked = draw.choice((text, [text], [text, "hello"]))
        assert ours(asked, **options, **shape) == theirs(asked, **options, **shape), f"{asked!r}, {options}, {shape}"


def test_conversations() -> None:
    ours, theirs, draw = written.make("text-generation", "llama"), oracle("text-generation", "llama"), random.Random(4)
    for text in texts(2, 15, ours.tokenizer):
        chat = [{"role": "user", "content": text}]
        if draw.random() < 0.5:
            chat.append({"role": "assistant", "content": draw.choice(("저는", "I am"))})
        options: dict[str, Any] = {"max_new_tokens": 6, "do_sample": False, "return_full_text": draw.random() < 0.5}
        if len(ours.tokenizer.apply_chat_template(chat)) > 110:
            continue
        asked = draw.choice((chat, [chat, chat]))
        assert ours(asked, **options) == theirs(asked, **options), f"{asked!r}, {options}"


@pytest.mark.parametrize(
    ("task", "family"),
    [
        ("summarization", "bart"),
        ("summarization", "t5"),
        ("text2text-generation", "bart"),
        ("text2text-generation", "t5"),
        ("translation", "marian"),
        ("translation_en_to_fr", "t5"),
    ],
)
def test_texts_to_texts(task: str, family: str) -> None:
    ours, theirs, draw = written.make(task, family), oracle(task, family), random.Random(5)
    for text in texts(3, 25, ours.tokenizer):
        options = settings(draw)
        if draw.random() < 0.2:
            options["clean_up_tokenization_spaces"] = True
        asked = draw.choice((text, [text], [text, "hello"]))
        assert ours(asked, **options) == theirs(asked, **options), f"{asked!r}, {options}"


@pytest.mark.parametrize("family", ["mbart", "m2m_100", "nllb"])
def test_translation_between_many_languages(family: str) -> None:
    ours, theirs, draw = written.make("translation", family), oracle("translation", family), random.Random(6)
    codes = sorted(ours.languages.codes)
    for text in texts(4, 20, ours.tokenizer):
        options = settings(draw) | {"src_lang": draw.choice(codes), "tgt_lang": draw.choice(codes)}
        asked = draw.choice((text, [text, "hello"]))
        assert ours(asked, **options) == theirs(asked, **options), f"{asked!r}, {options}"


def test_the_lengths_that_count_by_themselves() -> None:
    for task, family in (("text2text-generation", "bart"), ("translation", "marian")):
        ours, theirs = written.make(task, family), oracle(task, family)
        for text in texts(7, 4, ours.tokenizer):
            assert ours(text) == theirs(text)
            assert ours(text, max_length=9) == theirs(text, max_length=9)
            assert ours(text, max_length=12, min_length=11) == theirs(text, max_length=12, min_length=11)
