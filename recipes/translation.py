"""French, Korean and English: one small model for four directions, from random weights.   Its files are mBART-50's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from panpipe import Dataset, MBartConfig, MBartForConditionalGeneration, Trainer, TrainingArguments, load_dataset
from panpipe.metrics import bleu
from panpipe.models import load_model
from panpipe.tokenization import AutoTokenizer
from panpipe.tokenization.languages import MBART50
from panpipe.tokenization.training import train_tokenizer
from panpipe.training.collators import DataCollatorForSeq2Seq
from panpipe.training.tasks.sequence_to_sequence import Translation

from .about import About
from .common import Row, rows_of, saved
from .measure import Scores, by_source, of_task

ABOUT = About(
    folder="translation-fr-ko-en",
    task="translation",
    languages=["fr-en", "en-fr", "ko-en", "en-ko"],
    title="French, Korean and English, tiny",
    text="Translates between French and English and between Korean and English; Korean and French meet in English. It "
    "learnt from everyday sentences and software manuals in French, and almost only from software manuals in Korean: "
    "news, letters and talk are beyond it, Korean ones most of all. Names and numbers may come out wrong.",
    data=["translation/fr-en", "translation/ko-en"],
    metric="BLEU",
    on="everyday sentences and software manuals, the mean of four directions",
    goal="BLEU fr-en 38 on Tatoeba and 30 on documentation, ko-en 20 on documentation",
    larger="facebook/nllb-200-distilled-600M",
    anchor="for French Helsinki-NLP/opus-mt-fr-en has 57.5, for Korean opus-mt-ko-en 41.3 on Tatoeba (their cards)",
    license="cc-by-4.0",
    examples=["This course is produced by Hugging Face.", "Ce cours est produit par Hugging Face."],
)

VOCABULARY, ENCODER, DECODER, WIDTH, HEADS = 12_000, 4, 2, 256, 4
CODES = {"fr": "fr_XX", "ko": "ko_KR", "en": "en_XX"}
LONGEST = 64
"""Tokens of a text that is learnt from; longer pairs are left out."""
REPEATS = {"fr": 1, "ko": 2}
"""How often a language's pairs are read in one pass: there are fewer Korean ones."""
SPECIAL = {
    "bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
    "unk_token": "<unk>", "mask_token": "<mask>",
}  # fmt: skip


def make(data: Path, work: Path, share: float, steps: int = 16_000) -> Path:
    """All pairs of both languages, in both directions, for so many steps."""
    pairs = {language: rows_of(data, f"translation/{language}-en", "train") for language in ("fr", "ko")}
    base = begun(pairs, work / "base")
    model, tokenizer = load_model(base, "seq2seq-lm"), AutoTokenizer.from_pretrained(base)
    rows = learnt(pairs, model, tokenizer, work / "features.jsonl")
    args = TrainingArguments(
        work / "model", max_steps=max(1, round(steps * share)), max_tokens_per_batch=2048, bf16=True,
        learning_rate=1.5e-3, lr_scheduler_type="warmup_stable_decay", warmup_steps=500,
        lr_scheduler_kwargs={"num_decay_steps": max(1, round(steps * share * 0.25)), "decay_type": "linear"},
        adam_beta2=0.98, weight_decay=0.01, label_smoothing_factor=0.1, logging_steps=100,
        save_strategy="steps", save_steps=250, save_total_limit=2, seed=7,
    )  # fmt: skip
    collator = DataCollatorForSeq2Seq(tokenizer, model)
    trainer = Trainer(model, args, collator, rows, processing_class=tokenizer)
    trainer.train(resume_from_checkpoint=True)
    trainer.save_model()
    settings = work / "model/generation_config.json"
    values = json.loads(settings.read_text("utf-8")) | {"num_beams": 4, "max_length": 200}
    settings.write_text(json.dumps(values, indent=2) + "\n", "utf-8")
    return work / "model"


def begun(pairs: dict[str, Dataset], folder: Path) -> Path:
    """The model with random weights, and a tokenizer learnt from both sides of the pairs."""

    def write(folder: Path) -> None:
        texts = [
            row[side] for language, rows in pairs.items() for row in _some(language, rows) for side in ("src", "tgt")
        ]
        tokenizer = train_tokenizer(
            texts, "unigram", VOCABULARY, special_tokens=SPECIAL, additional_special_tokens=MBART50.codes["mbart50"],
            limit_alphabet=2500, model_max_length=256,
        )  # fmt: skip
        tokenizer.save_pretrained(folder)
        _as_mbart50(folder / "tokenizer_config.json")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.save_pretrained(folder)
        config = MBartConfig(
            vocab_size=len(tokenizer), d_model=WIDTH, encoder_layers=ENCODER, decoder_layers=DECODER,
            encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
            decoder_ffn_dim=4 * WIDTH, max_position_embeddings=256, dropout=0.0, attention_dropout=0.0,
            tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id, decoder_start_token_id=tokenizer.eos_token_id,
            forced_eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        MBartForConditionalGeneration.from_config(config, seed=7).save_pretrained(folder)

    return saved(folder, write)


def _some(language: str, rows: Dataset) -> Iterator[Row]:
    """About as much of each language."""
    return iter(rows.select(range(0, len(rows), {"fr": 3, "ko": 1}[language])))


def _as_mbart50(path: Path) -> None:
    settings: dict[str, Any] = json.loads(path.read_text("utf-8"))
    settings |= {"tokenizer_class": "MBart50Tokenizer", "src_lang": "en_XX", "tgt_lang": "fr_XX"}
    path.write_text(json.dumps(settings, ensure_ascii=False, indent=2), "utf-8")


def learnt(pairs: dict[str, Dataset], model: Any, tokenizer: Any, file: Path) -> Dataset:
    """The features of all directions, kept in a file."""
    if not file.exists():
        half = file.with_suffix(".half")
        with half.open("w", encoding="utf-8") as lines:
            for language, rows in pairs.items():
                for source, target in ((language, "en"), ("en", language)):
                    for feature in features(rows, source, target, model, tokenizer):
                        line = json.dumps(feature)
                        lines.writelines(f"{line}\n" for _ in range(REPEATS[language]))
        half.rename(file)
    return load_dataset("json", data_files=str(file), split="train")


def features(rows: Dataset, source: str, target: str, model: Any, tokenizer: Any) -> Iterator[Row]:
    """The features of one direction, the longest left out."""
    job = Translation(
        src_lang=CODES[source], tgt_lang=CODES[target], max_source_length=LONGEST + 1, max_target_length=LONGEST + 1
    )
    ends = ("tgt", "src") if source == "en" else ("src", "tgt")
    job.read(rows, dict(zip(("source", "target"), ends, strict=True)))
    job.take(model, tokenizer)
    for block in job.blocks(rows):
        for (feature,) in job.encode(block):
            if max(len(feature["input_ids"]), len(feature["labels"])) <= LONGEST:
                yield feature


def measure(folder: Path, data: Path, split: str) -> tuple[Scores, Scores]:
    """BLEU of each direction and source, by the search that is the default; and of the text as it stands."""
    scores: Scores = {}
    floors: Scores = {}
    for language in ("fr", "ko"):
        rows = rows_of(data, f"translation/{language}-en", split)
        for source, target, ends in ((language, "en", ("src", "tgt")), ("en", language, ("tgt", "src"))):
            columns = dict(zip(("source", "target"), ends, strict=True))
            found = of_task(
                "translation", folder, rows, {"bleu": "BLEU", "chrf": "chrF"}, columns=columns,
                src_lang=CODES[source], tgt_lang=CODES[target],
            )  # fmt: skip
            floor = by_source(list(rows), partial(_copied, list(rows[ends[0]]), list(rows[ends[1]])))
            for scored, given in ((scores, found), (floors, floor)):
                scored.update(
                    {f"{source}-{target}" + (f", {name}" if name != "all" else ""): v for name, v in given.items()}
                )
    for scored in (scores, floors):
        mine = [scored[pair] for pair in ABOUT.languages]
        names = [name for name in mine[0] if name != "rows"]
        scored["all"] = {"rows": sum(each["rows"] for each in mine)}
        scored["all"] |= {name: sum(each[name] for each in mine) / len(mine) for name in names}
    return scores, floors


def _copied(texts: list[str], truths: list[str], chosen: list[int]) -> dict[str, float]:
    return {"BLEU": bleu([texts[i] for i in chosen], [[truths[i]] for i in chosen])["score"]}
