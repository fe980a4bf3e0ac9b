"""fill-mask, token-classification and question-answering side by side with transformers 4.57.6, on random texts.

Run in an environment that has both (make oracle). The models are the tiny ones of tests/golden/pipelines_b.
"""

from __future__ import annotations

import itertools
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
import recorded  # noqa: E402 (a helper beside the pipelines' own tests)

pytestmark = pytest.mark.oracle

PARTS = (
    *(
        "Sarah",
        "lives",
        "in",
        "London",
        "New York",
        "U.S.",
        "Smith-Jones",
        "(Paris)",
        "I've",
        "the",
        "course",
        "42",
        "3.5%",
    ),
    *(
        "서울에",
        "김철수는",
        "삼성전자",
        "제주도로",
        "東京は",
        "トヨタの車",
        "北京",
        "，",
        "。",
        "😀👍🏽",
        "❤️",
        "école",
        "Montréal",
    ),
    *(
        "مرحبا",
        "\n",
        "\t",
        "  ",
        "«Berlin»",
        "ⵣ",
        "a" * 30,
        "...",
        "[SEP]",
        "</s>",
        "hello\u200bworld",
        "ﬁne",
        "Ⅳ",
        "e\u0301t",
    ),
)


def texts(seed: int, number: int, longest: int = 30) -> list[str]:
    """Mixtures of scripts, punctuation, spaces and special tokens."""
    draw = random.Random(seed)
    return [
        "".join(
            part + draw.choice((" ", " ", " ", "", ", ")) for part in draw.choices(PARTS, k=draw.randint(1, longest))
        )
        for _ in range(number)
    ]


@cache
def oracle(task: str, family: str) -> Any:
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    folder = recorded.FOLDER / family
    return transformers.pipeline(
        task, str(folder / task), tokenizer=str(folder), dtype=torch.float32, device="cpu", framework="pt"
    )


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.item() if hasattr(value, "item") else value


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers' own, and the heuristic's, which both give
        yield


@pytest.mark.parametrize("family", recorded.FAMILIES)
def test_fill_mask(family: str) -> None:
    ours, theirs = recorded.make("fill-mask", family), oracle("fill-mask", family)
    mask, draw = ours.tokenizer.mask_token, random.Random(7)
    for text in texts(1, 15, 8):
        words = text.split(" ")
        words[draw.randrange(len(words))] = mask
        options: dict[str, Any] = draw.choice(({}, {"top_k": 3}, {"targets": ["in", "서울", "the", "zzz"]}))
        asked = [" ".join(words), f"{mask}{text}{mask}"][: draw.randint(1, 2)]
        options = options if len(asked) == 1 or "targets" not in options else {}
        recorded.assert_same(ours(asked, **options), plain(theirs(asked, **options)), f"{asked}, {options}")


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
@pytest.mark.parametrize("family", recorded.FAMILIES)
def test_token_classification(family: str, strategy: str) -> None:
    ours, theirs = recorded.make("token-classification", family), oracle("token-classification", family)
    asked = [text for text in texts(2, 16) if _keeps_lengths(ours.tokenizer, text)]
    options: dict[str, Any]
    for options in ({}, {"ignore_labels": []}, {"stride": 8}, {"ignore_labels": ["PER", "B-PER"], "stride": 20}):
        if "stride" in options and strategy == "none":
            continue
        options = {**options, "aggregation_strategy": strategy}
        for text, mine, other in zip(asked, ours(asked, **options), theirs(asked, **options), strict=True):
            recorded.assert_same(mine, _without_twin(plain(other)), f"{text!r}, {options}")


def _without_twin(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """transformers gives the first entity twice if it has no characters and there are several windows."""
    return entities[1:] if len(entities) > 1 and entities[0] == entities[1] else entities


def _keeps_lengths(tokenizer: Any, text: str) -> bool:
    """Whether every piece is as long as what it stands for: elsewhere we mend how transformers tells words."""
    prefix = getattr(tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
    encoding = tokenizer.encode_batch([text])[0]
    return not prefix or all(
        special or token == tokenizer.unk_token or len(token.removeprefix(prefix)) == end - start
        for token, (start, end), special in zip(
            encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True
        )
    )


@pytest.mark.parametrize("family", ["bert", "electra", "xlm-roberta"])
def test_split_words(family: str) -> None:
    ours, theirs = recorded.make("token-classification", family), oracle("token-classification", family)
    asked = [text.split() for text in texts(3, 20) if text.split() and _keeps_lengths(ours.tokenizer, text)]
    for delimiter, strategy in itertools.product((" ", "", "--"), ("none", "simple", "max")):
        options = {"is_split_into_words": True, "delimiter": delimiter, "aggregation_strategy": strategy}
        recorded.assert_same(ours(asked, **options), plain(theirs(asked, **options)), str(options))


@pytest.mark.parametrize("family", recorded.FAMILIES)
def test_question_answering(family: str) -> None:
    ours, theirs = recorded.make("question-answering", family), oracle("question-answering", family)
    draw = random.Random(11)
    for context, question in zip(texts(4, 25), texts(5, 25, 3), strict=True):
        options = {
            "align_to_words": draw.random() < 0.5,
            "max_answer_len": draw.choice((1, 3, 15)),
            "handle_impossible_answer": draw.random() < 0.3,
            "max_seq_len": draw.choice((None, 56)),
            "doc_stride": draw.choice((None, 4)),
            "padding": draw.choice((None, "max_length")),
            "top_k": draw.choice((1, 1, 3)),
        }
        if len(ours.tokenizer.encode_batch([question])[0].ids) > 20:
            continue  # transformers reads such a question whole and then has no room for the context
        mine = ours(question=question, context=context, **options)
        other = plain(theirs(question=question, context=context, **options))
        if _has_real_answers(other):
            _assert_same_answers(mine, other, f"{question!r}, {context!r}, {options}")


def _has_real_answers(answers: Any) -> bool:
    """transformers fills up what it lacks with spans of score 0 that are none (an end before its start …)."""
    return isinstance(answers, dict) or all(answer["score"] > 0 for answer in answers)


def _assert_same_answers(mine: Any, other: Any, where: str) -> None:
    """Equal, but for the order of answers with the same score."""
    scores = [answer["score"] for answer in other] if isinstance(other, list) else []
    if any(abs(a - b) < 2e-4 for a, b in itertools.pairwise(scores)):
        assert [answer["score"] for answer in mine] == pytest.approx(scores, abs=1e-4), where
    else:
        recorded.assert_same(mine, other, where)
