"""python -m recipes NAME --data FOLDER: train an embedded model again."""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path


def main() -> None:
    """Train one."""
    parser = argparse.ArgumentParser(prog="python -m recipes", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, default=Path("build/recipes"), help="folder for checkpoints")
    parser.add_argument("--share", type=float, default=1.0, help="of the training, for a smaller try")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recipe = importlib.import_module(f"recipes.{options.name}")
    print(recipe.make(options.data, options.work / options.name, options.share))


if __name__ == "__main__":
    main()
