"""English names: persons, organisations, places and others.   An adapter of the shared encoder."""

from __future__ import annotations

from pathlib import Path

from panpipe import Dataset
from panpipe.metrics import entity_scores

from .about import About
from .common import MINILM, Row, lora, minilm, rows_of, tune
from .floors import tag_by_word
from .measure import Scores, by_source, of_task

LEFT_OUT = ("gmb",)  # machine-made labels, and a licence that its copy does not prove

ABOUT = About(
    folder="ner-en",
    task="token-classification",
    languages=["en"],
    title="English names, small",
    text="Persons (PER), organisations (ORG), places (LOC) and other names (MISC) in English text. It reads lower case "
    "only, so capitals tell it nothing. It knows encyclopedic and web text best, and tweets least.",
    data=["ner/en"],
    metric="F1",
    on="Wikipedia, web and tweets",
    goal="entity F1 0.80 on Wikipedia and web rows",
    larger="dbmdz/bert-large-cased-finetuned-conll03-english",
    anchor="0.92 on CoNLL-2003 (Devlin et al. 2019 for BERT-large), news that these rows do not hold",
    base=MINILM,
    license="cc-by-sa-4.0",
    left_out=LEFT_OUT,
    examples=["My name is Sylvain and I work at Hugging Face in Brooklyn."],
)


def row(given: Row) -> Row | None:
    """Words with their tags."""
    if given["source"] in LEFT_OUT:
        return None
    return {name: given[name] for name in ("tokens", "tags", "source")}


def make(data: Path, work: Path, share: float) -> Path:
    """Six passes over 17,000 sentences of Wikipedia, the web and tweets."""
    rows = {split: rows_of(data, "ner/en", split, row) for split in ("train", "validation")}
    rows["train"] = repeated(rows["train"])
    return tune(
        "token-classification", minilm(), rows, work, share, lora=lora(), num_train_epochs=4, learning_rate=1e-3,
        max_tokens_per_batch=2048, columns={"words": "tokens", "tags": "tags"},
    )  # fmt: skip


def repeated(rows: Dataset) -> Dataset:
    """The edited texts twice, since more than half of the rows are tweets."""
    edited = [row for row in rows if row["source"] not in ("btc", "wnut17")]
    return Dataset.from_list([*rows, *edited])


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
