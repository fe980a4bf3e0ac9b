"""Live: feature-extraction, text and zero-shot classification beside transformers, on random texts and parameters.

Labels and structure exactly; numbers to 1e-4: sums in another order, and padding on transformers' side.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from panpipe import pipeline
from tests.alike import alike

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

GOLDEN = Path(__file__).parents[1] / "golden"
FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra", "albert", "mpnet")
PIECES = """
I hate this movie so much, don't I? Paris London. 서울에서 삼성전자가 한국어로 東京は 日本の 首都です。 北京
Je l'été Montre\u0301al à Noël مرحبا بالعالم I ❤️ 😀👍🏽 ⵣ ⴰⵎⴰⵣⵉⵖ 04-00-04 (New York) don't \t U.S. www.x.org #1
<s> [SEP] ﬁ ①
"""
WORDS = PIECES.split(" ")


@cache
def both(task: str, family: str, model: str) -> tuple[Any, Any]:
    """(transformers' pipeline, ours) on the same tiny checkpoint."""
    transformers.logging.set_verbosity_error()
    folder = str(GOLDEN / "pipelines_a" / family / model)
    tokenizer = str(GOLDEN / "pipelines_b" / {"camembert": "xlm-roberta"}.get(family, family))
    theirs = transformers.pipeline(task, model=folder, tokenizer=tokenizer, dtype=torch.float32, device="cpu")
    return theirs, pipeline(task, model=folder, tokenizer=tokenizer)


def text(draw: random.Random) -> str:
    return " ".join(draw.choices(WORDS, k=draw.randrange(1, 40)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", FAMILIES)
def test_text_classification(family: str, seed: int) -> None:
    draw = random.Random(seed)
    theirs, ours = both("text-classification", family, "classifier")
    inputs: Any = draw.choice(
        [
            text(draw),
            [text(draw) for _ in range(draw.randrange(1, 6))],
            {"text": text(draw), "text_pair": text(draw)},
            [{"text": text(draw)}, {"text": text(draw), "text_pair": text(draw)}],
        ]
    )
    options: dict[str, Any] = {"truncation": True, "max_length": draw.choice([8, 20, 64])}
    options |= draw.choice([{}, {"top_k": draw.choice([None, 0, 1, 2, 9])}, {"return_all_scores": draw.random() < 0.5}])
    if draw.random() < 0.4:
        options["function_to_apply"] = draw.choice(["sigmoid", "softmax", "none"])
    assert alike(ours(inputs, **options), theirs(inputs, **options)), (inputs, options)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_zero_shot_classification(family: str, seed: int) -> None:
    draw = random.Random(seed)
    theirs, ours = both("zero-shot-classification", family, "classifier")
    inputs: Any = draw.choice([text(draw), [text(draw) for _ in range(draw.randrange(1, 4))]])
    options = {
        "candidate_labels": draw.sample(
            sorted({"politics", "서울", "work", "New York", "東京", "a b c"}), draw.randrange(1, 6)
        ),
        "multi_label": draw.random() < 0.5,
        "hypothesis_template": draw.choice(["This example is {}.", "{}", "이 글은 {}에 관한 것이다."]),
    }
    assert alike(ours(inputs, **options), theirs(inputs, **options)), (inputs, options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", FAMILIES)
def test_feature_extraction(family: str, seed: int) -> None:
    draw = random.Random(seed)
    theirs, ours = both("feature-extraction", family, "base")
    inputs: Any = draw.choice([text(draw), [text(draw) for _ in range(draw.randrange(1, 6))]])
    options = {"truncation": True, "tokenize_kwargs": {"max_length": draw.choice([8, 20, 64])}}
    expected = theirs(inputs, truncation=True, tokenize_kwargs=dict(options["tokenize_kwargs"]))  # which they change
    assert alike(ours(inputs, **options), expected), (inputs, options)


@pytest.mark.parametrize("task", ["text-classification", "zero-shot-classification", "feature-extraction"])
def test_streams(task: str) -> None:
    draw = random.Random(0)
    theirs, ours = both(task, "bert", "base" if task == "feature-extraction" else "classifier")
    texts = [text(draw)[:30] for _ in range(9)]
    options = {"candidate_labels": ["a", "b"]} if task.startswith("zero") else {}
    assert alike(list(ours(iter(texts), **options)), list(theirs((t for t in texts), **options)))


def test_the_same_is_refused() -> None:
    """Where transformers raises, so do we, with an error of the same built-in class."""
    theirs, ours = both("text-classification", "bert", "classifier")
    for inputs, options in (
        ([["a", "b"]], {}),
        (None, {}),
        (5, {}),
        ("a", {"no_such_argument": 1}),
        ("a", {"return_tensors": "pt"}),
    ):
        with pytest.raises((ValueError, TypeError)) as expected:
            theirs(inputs, **options)
        with pytest.raises((ValueError, TypeError)):
            ours(inputs, **options)
        assert expected.value is not None
