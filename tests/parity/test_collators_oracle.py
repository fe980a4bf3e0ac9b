"""Our collators, called as in the course, beside those of transformers 4.57.6, on drawn features.

Rectangles are equal to the last value and type. What is drawn at random is compared by its rates.
"""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")
torch = pytest.importorskip("torch", reason="the oracle's environment has it")

from panpipe.tokenization import AutoTokenizer, Tokenizer  # noqa: E402
from panpipe.training import collators as ours_of  # noqa: E402
from tests.models.tiny import CONFIGS, made  # noqa: E402

from ..tokenization.texts import TEXTS  # noqa: E402

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]

GOLDEN = Path(__file__).parents[1] / "golden" / "tokenizers"
SEEDS = range(12)
PIECES = [
    "I",
    "love",
    "서울에서",
    "it,",
    "don't!",
    "東京",
    "(New",
    "York)",
    "unforgettable",
    "é",
    "삼성전자가",
    "…",
    "12",
]


@cache
def both(name: str) -> tuple[Tokenizer, Any]:
    transformers.logging.set_verbosity_error()
    folder = GOLDEN / name
    return AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def rows(draw: random.Random, name: str, **options: Any) -> list[dict[str, Any]]:
    texts = [
        draw.choice([draw.choice(TEXTS) or "a", " ".join(draw.choices(PIECES, k=draw.randrange(1, 12)))])
        for _ in range(draw.randrange(1, 6))
    ]
    encoded = both(name)[1](texts, **{"truncation": True, "max_length": 80, **options})
    return [{key: encoded[key][row] for key in encoded} for row in range(len(texts))]


def drawn_options(draw: random.Random) -> dict[str, Any]:
    return draw.choice(
        [
            {},
            {"padding": "longest"},
            {"pad_to_multiple_of": 8},
            {"padding": "max_length", "max_length": 120},
            {"padding": "max_length", "max_length": 90, "pad_to_multiple_of": 16},
        ]
    ) | {"return_tensors": draw.choice(["pt", "np"])}


def equal(ours: Any, theirs: Any) -> None:
    assert set(ours) == set(theirs)
    for name in theirs:
        assert type(ours[name]) is type(theirs[name]), name
        values = theirs[name]
        if str(values.dtype) == "float64":  # as NumPy has it; ours is what models compute in
            values = values.astype("float32")
        assert ours[name].dtype == values.dtype, name
        assert ours[name].tolist() == values.tolist(), name


def sides(draw: random.Random, name: str) -> tuple[Tokenizer, Any]:
    ours, theirs = both(name)
    ours.padding_side = theirs.padding_side = draw.choice(["right", "left"])
    return ours, theirs


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["bert", "roberta", "t5", "albert"])
def test_with_padding(name: str, seed: int) -> None:
    draw = random.Random(seed)
    ours, theirs = sides(draw, name)
    label = draw.choice(["label", "labels", "label_ids", None])
    value: Any = draw.choice([lambda: draw.randrange(3), lambda: draw.random(), lambda: [draw.randrange(2), 1]])
    features = [row | ({} if label is None else {label: value()}) for row in rows(draw, name)]
    options = drawn_options(draw)
    equal(
        ours_of.DataCollatorWithPadding(ours, **options)(features),
        transformers.DataCollatorWithPadding(theirs, **options)(features),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_default(seed: int) -> None:
    draw = random.Random(seed)
    features = rows(draw, "bert", padding="max_length", max_length=100, truncation=True)
    key, value = draw.choice(
        [("label", 1), ("label", 0.5), ("label_ids", [1, 2]), ("labels", 3), ("start_positions", 4)]
    )
    features = [row | {key: value, "text": "left out", "nothing": None} for row in features]
    kind = draw.choice(["pt", "np"])
    equal(
        ours_of.default_data_collator(features, kind), transformers.default_data_collator(features, return_tensors=kind)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_token_classification(name: str, seed: int) -> None:
    draw = random.Random(seed)
    ours, theirs = sides(draw, name)
    label = draw.choice(["label", "labels"])
    features = [row | {label: [draw.randrange(-1, 9) for _ in row["input_ids"]]} for row in rows(draw, name)]
    options = drawn_options(draw) | draw.choice([{}, {"label_pad_token_id": -7}])
    if options["return_tensors"] == "np":
        features = [{("labels" if key == "label" else key): v for key, v in row.items()} for row in features]
    expected = dict(transformers.DataCollatorForTokenClassification(theirs, **options)(features))
    if label in expected and label != "labels":  # transformers leaves the name there; its models want `labels`
        expected["labels"] = expected.pop(label)
    equal(ours_of.DataCollatorForTokenClassification(ours, **options)(features), expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "config"), [("bart", "bart"), ("t5", "t5"), ("mbart", "mbart"), ("pegasus", "pegasus")]
)
def test_seq2seq(name: str, config: str, seed: int) -> None:
    draw = random.Random(seed)
    ours, theirs = sides(draw, name)
    ours.padding_side = theirs.padding_side = "right"
    features = [
        row | {"labels": [draw.randrange(5, 60) for _ in range(draw.randrange(1, 9))] + [2]} for row in rows(draw, name)
    ]
    options = drawn_options(draw)
    model = their_model = None
    if draw.random() < 0.7:
        model = made(config, "seq2seq-lm")
        model_type, keys = CONFIGS[config]
        their_model = transformers.AutoModelForSeq2SeqLM.from_config(
            transformers.AutoConfig.for_model(model_type, **keys)
        )
    equal(
        ours_of.DataCollatorForSeq2Seq(ours, model, **options)(features),
        transformers.DataCollatorForSeq2Seq(theirs, their_model, **options)(features),
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_causal_language_modeling(name: str, seed: int) -> None:
    draw = random.Random(seed)
    ours, theirs = sides(draw, name)
    if name == "gpt2":
        ours.pad_token = theirs.pad_token = theirs.eos_token
    options = {key: v for key, v in drawn_options(draw).items() if key not in ("padding", "max_length")} | {
        "mlm": False
    }
    features = rows(draw, name)
    equal(
        ours_of.DataCollatorForLanguageModeling(ours, **options)(features),
        transformers.DataCollatorForLanguageModeling(theirs, **options)(features),
    )


def rates(batch: Any, ids: Any, mask_id: int) -> list[float]:
    chosen = batch["labels"] != -100
    inside = batch["attention_mask"] == 1
    return [
        float(chosen[inside].float().mean()),
        float((batch["input_ids"][chosen] == mask_id).float().mean()),
        float((batch["input_ids"][chosen] == ids[chosen]).float().mean()),
    ]


def test_masks_have_the_same_rates() -> None:
    ours, theirs = both("bert")
    ours.padding_side = theirs.padding_side = "right"
    features = [row for seed in range(60) for row in rows(random.Random(seed), "bert")]
    plain = ours_of.DataCollatorWithPadding(ours)(features)["input_ids"]
    torch.manual_seed(0)
    found = [
        torch.tensor([rates(collator(features), plain, ours.mask_token_id) for _ in range(12)]).mean(0)
        for collator in (
            ours_of.DataCollatorForLanguageModeling(ours, seed=0),
            transformers.DataCollatorForLanguageModeling(theirs),
        )
    ]
    assert (found[0] - found[1]).abs().max() < 0.02, found
    assert abs(float(found[0][1]) - 0.8) < 0.02
