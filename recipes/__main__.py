"""The embedded models: train one again, or write the page of all.

python -m recipes sentiment_en --data FOLDER     train (or go on), ship, measure, write the card
python -m recipes page                           write docs/models.md and the index from the results
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

from panpipe.carbon.estimates import processor_name

from .card import card, index_entry, page, sources_of, spent
from .common import rows_of
from .ship import ship

NAMES = (
    *("feature_extraction", "sentiment_en", "sentiment_ko", "ner_en", "question_answering_en", "zero_shot_en"),
    *("fill_mask_en", "text_generation_en", "translation", "summarization"),
)
HERE = Path(__file__).parent
MODELS = HERE.parent / "models/src/panpipe_models"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*NAMES, "page"])
    parser.add_argument("--data", type=Path, help="folder of the data sets, with SOURCES.md")
    parser.add_argument("--work", type=Path, default=Path("build/recipes"), help="folder for checkpoints")
    parser.add_argument("--to", type=Path, default=MODELS, help="folder of the shipped models")
    parser.add_argument("--share", type=float, default=1.0, help="of the training, for a smaller try")
    parser.add_argument(
        "--only", choices=["train", "measure"], help="train and ship no further; or measure what is there"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.name == "page":
        write_page(options.to)
        return
    if options.data is None:
        parser.error("--data is needed: the folder of the data sets")
    recipe = importlib.import_module(f"recipes.{options.name}")
    work, folder = options.work / options.name, options.to / recipe.ABOUT.folder
    if options.only != "measure":
        made = recipe.make(options.data, work, options.share)
        if options.only == "train":
            return
        if made is not None:
            ship(made, folder)
    measured(recipe, folder, options.data, work)
    write_page(options.to)


def measured(recipe: ModuleType, folder: Path, data: Path, work: Path) -> None:
    """Score the shipped folder on both splits; write its result and its card."""
    name = recipe.__name__.rpartition(".")[2]
    about = recipe.ABOUT
    file = HERE / "results" / f"{name}.json"
    result: dict[str, Any] = {"scores": {}, "floors": {}, **spent(work), "hardware": f"{processor_name()}, one core"}
    for split in ("validation", "test"):
        result["scores"][split], result["floors"][split] = recipe.measure(folder, data, split)
        print(split, json.dumps(result["scores"][split]["all"]))
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if not about.has_card:
        return
    keys = {
        row["source"]
        for name in about.data
        for row in rows_of(data, name, "train")
        if row["source"] not in about.left_out
    }
    sources = sources_of(data, sorted(keys))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(card(about, result, recipe.make.__doc__, sources, name), "utf-8")


def write_page(models: Path) -> None:
    """docs/models.md, of the models that have results, and their rows in models.json; others there stay."""
    found = []
    for name in NAMES:
        file = HERE / "results" / f"{name}.json"
        if file.exists():
            about = importlib.import_module(f"recipes.{name}").ABOUT
            size = sum(each.stat().st_size for each in (models / about.folder).rglob("*") if each.is_file())
            found.append((about, json.loads(file.read_text("utf-8")), size))
    (HERE.parent / "docs/models.md").write_text(page(found), "utf-8")
    index = models / "models.json"
    rows = {
        (row["task"], row["folder"]): row for row in (json.loads(index.read_text("utf-8")) if index.exists() else [])
    }
    rows |= {(about.task, about.folder): index_entry(about, result) for about, result, _ in found}
    kept = [row for row in rows.values() if (models / row["folder"]).is_dir()]
    index.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
