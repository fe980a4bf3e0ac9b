"""Chapters 3 and 7 of the course, their code with another import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainingArguments,
    get_scheduler,
    load_dataset,
    metrics,
    pipeline,
    train_tokenizer,
)

pytestmark = pytest.mark.train

SENTENCES = [
    "the film was good", "the food was bad", "a good day in Seoul", "a bad day in Busan", "좋은 하루였다",
    "나쁜 영화였다",
    "Sylvain works in Brooklyn", "the course is produced by Hugging Face", "he said the food was good", "she said no",
]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("bert-tiny")
    tokenizer = train_tokenizer(SENTENCES * 4, kind="wordpiece", vocab_size=200)
    tokenizer.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    BertModel.from_config(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """The columns of MRPC."""
    random = np.random.default_rng(0)
    for split, count in (("train", 48), ("validation", 12)):
        with (tmp_path / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for index in range(count):
                first, second = random.choice(SENTENCES, 2)
                label = int(random.random() < 0.5)
                row = {"sentence1": first, "sentence2": first if label else second, "label": int(label), "idx": index}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return tmp_path


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def tokenized(pairs: Path, tokenizer: Any) -> Any:
    raw_datasets = load_dataset("json", data_files={s: str(pairs / f"{s}.jsonl") for s in ("train", "validation")})

    def tokenize_function(example: Any) -> Any:
        return tokenizer(example["sentence1"], example["sentence2"], truncation=True)

    return raw_datasets.map(tokenize_function, batched=True)


def test_chapter_3_section_3_the_trainer(pairs: Path, checkpoint: str, working_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenized_datasets = tokenized(pairs, tokenizer)
    data_collator = DataCollatorWithPadding(tokenizer=tokenizer)

    def compute_metrics(eval_preds: Any) -> dict[str, float]:
        metric = metrics.load("glue", "mrpc")
        logits, labels = eval_preds
        predictions = np.argmax(logits, axis=-1)
        found: dict[str, float] = metric.compute(predictions=predictions, references=labels)
        return found

    training_args = TrainingArguments("test-trainer", evaluation_strategy="epoch")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
    trainer = Trainer(
        model,
        training_args,
        train_dataset=tokenized_datasets["train"],
        eval_dataset=tokenized_datasets["validation"],
        data_collator=data_collator,
        tokenizer=tokenizer,
        compute_metrics=compute_metrics,
    )
    trainer.train()
    evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    assert [entry["epoch"] for entry in evaluations] == [1.0, 2.0, 3.0]
    assert {"eval_accuracy", "eval_f1"} <= set(evaluations[0])
    predictions = trainer.predict(tokenized_datasets["validation"])
    assert predictions.predictions.shape == (12, 2)
    assert predictions.label_ids.shape == (12,)
    trainer.save_model("saved")
    assert pipeline("text-classification", model="saved")("좋은 하루였다")[0]["score"] > 0


def test_chapter_3_section_4_a_loop_by_hand(pairs: Path, checkpoint: str, working_folder: Path) -> None:
    from torch.utils.data import DataLoader

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenized_datasets = tokenized(pairs, tokenizer)
    tokenized_datasets = tokenized_datasets.remove_columns(["sentence1", "sentence2", "idx"])
    tokenized_datasets = tokenized_datasets.rename_column("label", "labels")
    tokenized_datasets.set_format("torch")
    assert set(tokenized_datasets["train"].column_names) == {"attention_mask", "input_ids", "labels", "token_type_ids"}

    data_collator = DataCollatorWithPadding(tokenizer=tokenizer)
    train_dataloader = DataLoader(tokenized_datasets["train"], shuffle=True, batch_size=8, collate_fn=data_collator)
    eval_dataloader = DataLoader(tokenized_datasets["validation"], batch_size=8, collate_fn=data_collator)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
    batch = next(iter(train_dataloader))
    outputs = model(**batch)
    assert outputs.loss.ndim == 0
    assert outputs.logits.shape == (8, 2)

    before = model.stored.read("head.output")["weight"].copy()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    num_epochs = 3
    num_training_steps = num_epochs * len(train_dataloader)
    lr_scheduler = get_scheduler(
        "linear", optimizer=optimizer, num_warmup_steps=0, num_training_steps=num_training_steps
    )
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    model.to(device)
    losses = []
    model.train()
    for _ in range(num_epochs):
        for batch in train_dataloader:
            batch = {k: v.to(device) for k, v in batch.items()}
            outputs = model(**batch)
            loss = outputs.loss
            loss.backward()
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
            losses.append(loss.item())
    metric = metrics.load("glue", "mrpc")
    model.eval()
    for batch in eval_dataloader:
        batch = {k: v.to(device) for k, v in batch.items()}
        with torch.no_grad():
            outputs = model(**batch)
        predictions = torch.argmax(outputs.logits, dim=-1)
        metric.add_batch(predictions=predictions, references=batch["labels"])
    assert set(metric.compute()) == {"accuracy", "f1"}
    assert np.isfinite(losses).all()
    model.train()
    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    assert not model.training
    assert classify("a good day") == classify("a good day")
    assert not np.allclose(model.stored.read("head.output")["weight"], before)
    model.save_pretrained("by-hand")
    tokenizer.save_pretrained("by-hand")
    assert pipeline("text-classification", model="by-hand")("a good day")


def test_chapter_3_section_4_with_accelerate(pairs: Path, checkpoint: str, working_folder: Path) -> None:
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    data = tokenized(pairs, tokenizer).remove_columns(["sentence1", "sentence2", "idx"])
    data = data.rename_column("label", "labels")
    data.set_format("torch")
    collator = DataCollatorWithPadding(tokenizer=tokenizer)
    train_dataloader = DataLoader(data["train"], shuffle=True, batch_size=8, collate_fn=collator)
    accelerator = Accelerator(cpu=True)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-5)
    train_dl, model, optimizer = accelerator.prepare(train_dataloader, model, optimizer)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    for batch in train_dl:
        outputs = model(**batch)
        accelerator.backward(outputs.loss)
        optimizer.step()
        optimizer.zero_grad()
    unwrapped_model = accelerator.unwrap_model(model)
    unwrapped_model.save_pretrained("accelerated", save_function=accelerator.save)
    assert any(not torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_chapter_7_section_2_token_classification(checkpoint: str, working_folder: Path) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    rows = [
        {"tokens": ["Sylvain", "works", "in", "Brooklyn"], "ner_tags": [1, 0, 0, 3]},
        {"tokens": ["a", "good", "day", "in", "Seoul"], "ner_tags": [0, 0, 0, 0, 3]},
    ] * 8
    Path("train.json").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    raw = load_dataset("json", data_files="train.json", split="train")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)

    def align_labels_with_tokens(labels: list[int], word_ids: list[int | None]) -> list[int]:
        new_labels = []
        current_word = None
        for word_id in word_ids:
            if word_id != current_word:
                current_word = word_id
                new_labels.append(-100 if word_id is None else labels[word_id])
            elif word_id is None:
                new_labels.append(-100)
            else:
                label = labels[word_id]
                new_labels.append(label + 1 if label % 2 == 1 else label)
        return new_labels

    def tokenize_and_align_labels(examples: Any) -> Any:
        tokenized_inputs = tokenizer(examples["tokens"], truncation=True, is_split_into_words=True)
        all_labels = examples["ner_tags"]
        tokenized_inputs["labels"] = [
            align_labels_with_tokens(labels, tokenized_inputs.word_ids(i)) for i, labels in enumerate(all_labels)
        ]
        return tokenized_inputs

    tokenized_datasets = raw.map(tokenize_and_align_labels, batched=True, remove_columns=raw.column_names)
    metric = metrics.load("seqeval")

    def compute_metrics(eval_preds: Any) -> dict[str, float]:
        logits, labels = eval_preds
        predictions = np.argmax(logits, axis=-1)
        true_labels = [[names[x] for x in label if x != -100] for label in labels]
        true_predictions = [
            [names[p] for (p, x) in zip(prediction, label, strict=True) if x != -100]
            for prediction, label in zip(predictions, labels, strict=True)
        ]
        all_metrics = metric.compute(predictions=true_predictions, references=true_labels)
        return {"f1": all_metrics["overall_f1"], "accuracy": all_metrics["overall_accuracy"]}

    id2label = dict(enumerate(names))
    model = AutoModelForTokenClassification.from_pretrained(
        checkpoint, id2label=id2label, label2id={v: k for k, v in id2label.items()}
    )
    args = TrainingArguments(
        "bert-finetuned-ner", evaluation_strategy="epoch", save_strategy="epoch", learning_rate=5e-3,
        num_train_epochs=12, weight_decay=0.01, push_to_hub=False,
    )  # fmt: skip
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=tokenized_datasets,
        eval_dataset=tokenized_datasets,
        data_collator=DataCollatorForTokenClassification(tokenizer=tokenizer),
        compute_metrics=compute_metrics,
        tokenizer=tokenizer,
    )
    trainer.train()
    assert trainer.evaluate()["eval_f1"] > 0.9
    trainer.save_model()
    token_classifier = pipeline("token-classification", model="bert-finetuned-ner", aggregation_strategy="simple")
    assert {e["entity_group"] for e in token_classifier("Sylvain works in Brooklyn")} == {"PER", "LOC"}


@pytest.mark.parametrize("mlm", [True, False])
def test_chapter_7_sections_3_and_6_language_models(checkpoint: str, working_folder: Path, mlm: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    Path("corpus.txt").write_text("\n".join(SENTENCES * 6), encoding="utf-8")
    raw = load_dataset("text", data_files="corpus.txt", split="train")
    data = raw.map(lambda x: tokenizer(x["text"]), batched=True, remove_columns=["text"])
    data = data.train_test_split(train_size=50, test_size=10, seed=42)
    if mlm:
        model = AutoModelForMaskedLM.from_pretrained(checkpoint)
        collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm_probability=0.15)
    else:
        config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=64)
        model = GPT2LMHeadModel.from_config(config)
        collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
    args = TrainingArguments(
        "lm", overwrite_output_dir=True, evaluation_strategy="epoch", learning_rate=5e-3, num_train_epochs=6,
        weight_decay=0.01, warmup_ratio=0.1, logging_steps=10, logging_dir="logs",
    )  # fmt: skip
    trainer = Trainer(
        model=model, args=args, train_dataset=data["train"], eval_dataset=data["test"], data_collator=collator
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before - 0.5
    trainer.save_model("language-model")
    kind = AutoModelForMaskedLM if mlm else AutoModelForCausalLM
    assert kind.from_pretrained("language-model").num_parameters() == model.num_parameters()
