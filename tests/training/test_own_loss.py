"""Losses of one's own: what they are given, and that the model's own would not be in their way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe.models import BertConfig, BertForMaskedLM, BertForSequenceClassification  # noqa: E402
from panpipe.training.arguments import TrainingArguments  # noqa: E402
from panpipe.training.batches import Padded  # noqa: E402
from panpipe.training.collators import DataCollatorForLanguageModeling, DataCollatorWithPadding  # noqa: E402
from panpipe.training.trainer import Trainer  # noqa: E402

from .test_collators import encoded, tokenizer  # noqa: E402

pytestmark = pytest.mark.train

CONFIG = BertConfig(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=400, num_labels=3,
    hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    given = {"max_steps": 2, "save_strategy": "no", "use_cpu": True, "disable_tqdm": True, "energy": False}
    return TrainingArguments(folder, **{**given, **changes})


def rows(**columns: Any) -> list[dict[str, Any]]:
    """Four texts, one of them Korean, with columns of the caller's."""
    return [row | {name: values[i] for name, values in columns.items()} for i, row in enumerate(encoded())]


class Stacking(DataCollatorWithPadding):
    """Knows a column that the head does not."""

    calls = 0

    def __call__(self, features: Any) -> Any:
        type(self).calls += 1
        padded = super().__call__([{**feature, "shares": 0} for feature in features])
        return {"labels": torch.tensor([feature["shares"] for feature in features])} | {
            n: v for n, v in padded.items() if n != "shares"
        }


def test_labels_that_the_head_would_refuse_are_one_s_own_affair(tmp_path: Path) -> None:
    """Shares of each class sum to 1: no class, no regression. The batch is collated once, as rectangles."""
    seen: list[float] = []

    def soft(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        seen.append(num_items_in_batch)
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / len(labels)

    shares = [[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0], [0.0, 0.1, 0.9]]
    Stacking.calls = 0
    model = BertForSequenceClassification.from_config(CONFIG)
    Trainer(model, arguments(tmp_path), Stacking(tokenizer()), rows(shares=shares), compute_loss_func=soft).train()
    assert seen == [12, 12]
    assert Stacking.calls == 2


def test_rows_without_labels_are_learned_from_too(tmp_path: Path) -> None:
    class Sharper(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            assert "labels" not in inputs
            found.append(more["num_items_in_batch"])
            return torch.distributions.Categorical(logits=model(**inputs).logits).entropy().mean()

    found: list[float] = []
    model = BertForSequenceClassification.from_config(CONFIG)
    args = arguments(tmp_path, max_steps=30, learning_rate=1e-2, logging_steps=1)
    trainer = Sharper(model, args, DataCollatorWithPadding(tokenizer()), rows())
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    assert found[0] == 4
    assert trainer.state.tokens_seen == 30 * sum(len(row["input_ids"]) for row in rows())


def test_masks_are_drawn_by_row_and_epoch_whatever_the_loss(tmp_path: Path) -> None:
    """So one's own loss sees what the model's own sees, though the collator draws otherwise when it is called."""

    def own(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        logits, wanted = outputs.logits.flatten(0, 1), labels.flatten()
        return torch.nn.functional.cross_entropy(logits, wanted, reduction="sum") / num_items_in_batch

    found = []
    for name, loss in (("plain", None), ("own", own)):
        collator = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5, random_replace_prob=0.0)
        model = BertForMaskedLM.from_config(CONFIG)
        args = arguments(tmp_path / name, per_device_train_batch_size=2, gradient_accumulation_steps=2)
        trainer = Trainer(model, args, collator, rows(), compute_loss_func=loss)
        trainer.train()
        found.append(trainer.state.loss_sum)
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "head", "terms", "tokens"),
    [
        (np.array([0, 2]), "sequence-classification", 2, 5),
        (np.array([0, -100]), "sequence-classification", 1, 5),
        (torch.tensor([[5, 6, 7], [8, 9, -100]]), "causal-lm", 3, 5),
        (torch.tensor([[5, 6, 7], [8, 9, -100]]), "seq2seq-lm", 5, 10),
        (["가", "나"], "sequence-classification", 2, 5),
        ([[1, 2, 3], [4]], "token-classification", 2, 5),
        ({"a": 1}, "sequence-classification", 2, 5),
        (None, "sequence-classification", 2, 5),
    ],
)
def test_what_can_be_counted_is_a_term(labels: Any, head: str, terms: int, tokens: int) -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    given = Padded.of({"input_ids": mask * 7, "attention_mask": mask, "labels": labels}, 2, head)
    assert (given.num_terms, given.num_tokens) == (terms, tokens)


def test_half_the_precision_is_for_products_alone(tmp_path: Path) -> None:
    """One's own loss gets float32; an evaluation is that of the model that will be saved."""
    seen: list[Any] = []

    def own(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        seen.append(outputs.logits)
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    args = arguments(tmp_path, bf16=True, eval_strategy="steps", eval_steps=2)
    data = rows(labels=[0, 1, 2, 0])
    model = BertForSequenceClassification.from_config(CONFIG)
    trainer = Trainer(model, args, DataCollatorWithPadding(tokenizer()), data, data, compute_loss_func=own)
    trainer.train()
    assert {logits.dtype for logits in seen} == {torch.float32}
    assert (seen[0] == seen[0].bfloat16()).all(), "the last product was one of bfloat16, or this shows nothing"
    during = next(entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(during, rel=1e-6)


@pytest.mark.parametrize("is_class", [False, True])
def test_an_evaluation_is_by_one_s_own_loss(tmp_path: Path, is_class: bool) -> None:
    """And metrics are of its outputs; the model stays on its engine."""

    class Doubled(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            outputs = model(**inputs)
            return (outputs.loss * 2, outputs) if return_outputs else outputs.loss * 2

    def doubled(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        return 2 * torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    def accuracy(given: Any) -> dict[str, float]:
        return {"accuracy": float((given.predictions.argmax(-1) == given.label_ids).mean())}

    data = rows(labels=[0, 1, 2, 0])
    model = BertForSequenceClassification.from_config(CONFIG)
    engine = model.ops.name
    args = arguments(tmp_path, per_device_eval_batch_size=3)
    more: dict[str, Any] = {"eval_dataset": data, "compute_metrics": accuracy}
    collator = DataCollatorWithPadding(tokenizer())
    plain = Trainer(model, args, collator, **more)
    own = Doubled(model, args, collator, **more) if is_class else None
    own = own or Trainer(model, args, collator, **more, compute_loss_func=doubled)
    expected, found = plain.evaluate(), own.evaluate()
    assert found["eval_loss"] == pytest.approx(2 * expected["eval_loss"], rel=1e-5)
    assert found["eval_accuracy"] == expected["eval_accuracy"]
    np.testing.assert_allclose(own.predict(data).predictions, plain.predict(data).predictions, atol=1e-5)
    assert own.predict(rows()).label_ids is None
    assert model.ops.name == engine != "torch"


def test_labels_of_any_kind_are_evaluated(tmp_path: Path) -> None:
    def soft(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        return torch.nn.functional.cross_entropy(outputs.logits, labels)

    shares = [[0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0], [0.0, 0.1, 0.9]]
    model = BertForSequenceClassification.from_config(CONFIG)
    trainer = Trainer(model, arguments(tmp_path), Stacking(tokenizer()), compute_loss_func=soft)
    found = trainer.predict(rows(shares=shares))
    assert found.metrics["test_loss"] > 0
    np.testing.assert_allclose(found.label_ids, shares, atol=1e-7)


@pytest.mark.parametrize("removes", [True, False])
def test_columns_that_models_do_not_take_are_kept_if_asked(tmp_path: Path, removes: bool) -> None:
    seen: list[set[str]] = []

    class Weighted(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            seen.append({"idx", "weight"} & set(inputs))
            return model(**{name: v for name, v in inputs.items() if name not in ("idx", "weight")}).loss

    data = rows(labels=[0, 1, 2, 0], idx=[4, 5, 6, 7], weight=[0.5, 1.0, 2.0, 1.0])
    model = BertForSequenceClassification.from_config(CONFIG)
    args = arguments(tmp_path, max_steps=1, remove_unused_columns=removes)
    trainer = Weighted(model, args, DataCollatorWithPadding(tokenizer()), data, data)
    trainer.train()
    trainer.evaluate()
    assert seen == [set() if removes else {"idx", "weight"}] * 2
