"""English names: persons, organisations, places and others.   An adapter of the shared encoder."""

from __future__ import annotations

import random
from pathlib import Path

from panpipe import Dataset
from panpipe.metrics import entity_scores

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import tag_by_word
from .measure import Scores, by_source, of_task

MIXTURE = {"gmb": 0.45, "btc": 0.5, "wnut17": 1, "uner_ewt": 3, "wikigold": 3, "crossner": 3}
"""How often a source is read in one pass: news labelled by machine and tweets are many, edited texts few."""

ABOUT = About(
    folder="ner-en",
    task="token-classification",
    languages=["en"],
    title="English names, small",
    text="Persons (PER), organisations (ORG), places (LOC) and other names (MISC) in English text. It reads lower case "
    "only, so capitals tell it nothing. It knows encyclopedic and web text best, and tweets least. A part of its "
    "training texts, the Groningen Meaning Bank, is in the public domain, but its labels are from a copy without a "
    "licence file.",
    data=["ner/en"],
    metric="F1",
    on="Wikipedia, the web, news and tweets",
    goal="entity F1 0.80 on Wikipedia and web rows",
    larger="dbmdz/bert-large-cased-finetuned-conll03-english",
    anchor="0.928 on CoNLL-2003 (Devlin et al. 2019 for BERT-large), news that these rows do not hold",
    base=MINILM,
    license="cc-by-sa-4.0",
    examples=["My name is Sylvain and I work at Hugging Face in Brooklyn."],
)


def row(given: Row) -> Row:
    """Words with their tags."""
    return {name: given[name] for name in ("tokens", "tags", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """Three passes over 44,000 sentences of the web, encyclopedias, news and tweets, the edited ones three times."""
    rows = {split: rows_of(data, "ner/en", split, row) for split in ("train", "validation")}
    rows["train"] = mixed(rows["train"])
    return tune(
        "token-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=3, learning_rate=7e-4,
        max_tokens_per_batch=2048, label_all_tokens=True, columns={"words": "tokens", "tags": "tags"},
    )  # fmt: skip


def mixed(rows: Dataset, seed: int = 7) -> Dataset:
    """Each source as often as MIXTURE says, parts of it drawn."""
    draw = random.Random(seed)
    chosen = []
    for each in rows:
        often = MIXTURE[each["source"].partition("_")[0] if "crossner" in each["source"] else each["source"]]
        chosen += [each] * (int(often) + (draw.random() < often % 1))
    return Dataset.from_list(chosen)


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """F1 of whole names, and that of each word's commonest tag."""
    rows = rows_of(data, "ner/en", split, row)
    names = {"f1": "F1", "precision": "precision", "recall": "recall"}
    tags = list(map(tag_by_word(rows_of(data, "ner/en", "train", row)), rows))
    every = list(rows)

    def floor(chosen: list[int]) -> dict[str, float]:
        found = entity_scores([tags[i] for i in chosen], [every[i]["tags"] for i in chosen], zero_division=0)
        return {"F1": found["overall_f1"]}

    columns = {"words": "tokens", "tags": "tags"}
    return of_task("token-classification", folder, rows, names, columns=columns), by_source(every, floor)
