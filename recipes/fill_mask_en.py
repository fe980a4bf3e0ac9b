"""English words that are hidden.   An adapter of the shared encoder, with a head for its vocabulary."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from panpipe import pipeline

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .measure import Scores, by_source

ABOUT = About(
    folder="fill-mask-en",
    task="fill-mask",
    languages=["en"],
    title="English hidden words, small",
    text="Guesses the word behind [MASK] in English text. It learnt that from old novels, abstracts of papers, manuals "
    "and textbooks: the words fit, but it knows little of the world.",
    data=["lm/en"],
    metric="top-5",
    on="English text of many kinds",
    goal="top-5 three times that of the commonest words",
    larger="distilbert/distilroberta-base",
    anchor="no figure for these texts; that model read some thousand times as much",
    base=MINILM,
    license="cc-by-sa-4.0",
    left_out=("gmb",),
    examples=["This course will teach you all about [MASK] models.", "She drank a cup of hot [MASK]."],
)


def row(given: Row) -> Row | None:
    """A text; news whose licence is not proven are left out."""
    return None if given["source"] in ABOUT.left_out else {"text": given["text"], "source": given["source"]}


def make(data: Path, work: Path, share: float) -> Path:
    """Four million tokens of novels, abstracts, manuals, reviews and textbooks."""
    rows = {split: rows_of(data, "lm/en", split, row) for split in ("train", "validation")}
    adapter = lora(bias="all", modules_to_save=("transform.dense", "transform.LayerNorm"))
    return tune(
        "fill-mask", minilm(), rows, work, share, lora=adapter,
        max_steps=1000, learning_rate=1e-3, block_size=128, limit=6000, eval_limit=100,
    )  # fmt: skip


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """How often the hidden token is among the five best, and among the five commonest of the training texts."""
    pipe = pipeline("fill-mask", model=str(folder), top_k=5)
    tokenizer = pipe.tokenizer
    draw = random.Random(7)
    rows = []
    for given in rows_of(data, "lm/en", split, row):
        ids = tokenizer(given["text"], add_special_tokens=False)["input_ids"][:64]
        if len(ids) > 8:
            place = draw.randrange(len(ids))
            text = tokenizer.decode([*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]])
            rows.append({"text": text, "label": ids[place], "source": given["source"]})
    found = pipe([each["text"] for each in rows])
    answers = [[each["token"] for each in five] for five in found]
    texts = rows_of(data, "lm/en", "train", row).select(range(3000))
    counts = Counter(i for text in texts["text"] for i in tokenizer(text, add_special_tokens=False)["input_ids"])
    common = [token for token, _ in counts.most_common(5)]

    def top(guesses: list[list[int]]) -> Scores:
        def share(chosen: list[int]) -> dict[str, float]:
            hits = [rows[i]["label"] in guesses[i] for i in chosen]
            first = [rows[i]["label"] == guesses[i][0] for i in chosen]
            return {"top-5": sum(hits) / len(hits), "top-1": sum(first) / len(first)}

        return by_source(rows, share)

    return top(answers), top([common] * len(rows))
