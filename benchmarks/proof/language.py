"""A tiny GPT from random weights, beside counting on as many tokens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from panpipe import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, load_dataset, metrics, pipeline
from panpipe.tokenization.training import train_tokenizer
from panpipe.training.tasks import TextGeneration

from .counting import counted

__all__ = ["language_model"]

LAYERS, WIDTH, HEADS, VOCABULARY, BLOCK, BATCH = 4, 256, 4, 8000, 128, 4


def language_model(data: Path, steps: int, work: Path, seed: int = 0) -> dict[str, Any]:
    """Trains it: sizes, seconds, perplexities, bits per byte, and what it writes."""
    files = sorted(map(str, (data / "lm/en").glob("train-*.jsonl.gz")))
    train = load_dataset("json", data_files=files, split="train").shuffle(seed=seed)
    train = train.select(range(min(len(train), 3 * steps)))  # more than is read
    test = load_dataset("json", data_files=str(data / "lm/en/validation.jsonl.gz"), split="train")
    began = time.perf_counter()
    tokenizer = train_tokenizer(train, "byte-bpe", VOCABULARY, model_max_length=BLOCK)
    tokenizer_seconds = time.perf_counter() - began
    config = GPT2Config(
        vocab_size=len(tokenizer), n_layer=LAYERS, n_embd=WIDTH, n_head=HEADS, n_positions=BLOCK,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=tokenizer.eos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel.from_config(config, seed=seed)
    task = TextGeneration(block_size=BLOCK)
    task.read(train)
    task.take(model, tokenizer)
    features, held_out = task.features(train), task.features(test)
    args = TrainingArguments(
        work / "gpt", max_steps=steps, per_device_train_batch_size=BATCH, per_device_eval_batch_size=BATCH,
        learning_rate=2e-3, lr_scheduler_type="cosine", warmup_steps=0.05, weight_decay=0.1, adam_beta2=0.99,
        logging_steps=50, save_strategy="no", seed=seed, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(model, args, task.collator, features, held_out, tokenizer)
    done = trainer.train()
    loss = trainer.evaluate()["eval_loss"]
    read, asked = (np.concatenate([row["input_ids"] for row in rows]) for rows in (features, held_out))
    read = read[: steps * BATCH * BLOCK]
    size = sum(len(text.encode()) for text in test["text"])
    by_counting = counted(read, asked, len(tokenizer))
    losses = {"GPT": loss, **by_counting, "even chances": float(np.log(len(tokenizer)))}
    write = pipeline("text-generation", model, tokenizer=tokenizer)
    return {
        "parameters": sum(int(p.numel()) for p in trainer.trainable.parameters()),
        "steps": done.global_step,
        "seconds": done.metrics["train_runtime"],
        "energy": {name: value for name, value in done.metrics.items() if "energy" in name or "co2" in name.lower()},
        "tokenizer_seconds": tokenizer_seconds,
        "tokens": steps * BATCH * BLOCK,
        "epochs": trainer.state.epoch,
        "log": [{k: v for k, v in row.items() if "loss" in k or k == "step"} for row in trainer.state.log_history],
        "perplexity": {name: metrics.perplexity(value) for name, value in losses.items()},
        "bits_per_byte": {name: metrics.bits_per_byte([value * len(asked)], [size]) for name, value in losses.items()},
        "written": [
            write(prompt, max_new_tokens=60, do_sample=True, temperature=0.8, top_k=50)[0]["generated_text"]
            for prompt in ("The old man looked at", "This function returns", "In this paper, we")
        ],
    }
