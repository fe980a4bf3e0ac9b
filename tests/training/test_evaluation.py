from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe.errors import InputError  # noqa: E402
from panpipe.models import (  # noqa: E402
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)
from panpipe.models.model import Model  # noqa: E402
from panpipe.training.arguments import TrainingArguments  # noqa: E402
from panpipe.training.collators import (  # noqa: E402
    DataCollatorForLanguageModeling,
    DataCollatorForSpanCorruption,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
)
from panpipe.training.evaluation import EvalPrediction  # noqa: E402
from panpipe.training.trainer import Trainer  # noqa: E402

from .test_collators import encoded, tokenizer  # noqa: E402

pytestmark = pytest.mark.train

BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 400}


def trainer(folder: Path, model: Model, collator: Any, **more: Any) -> Trainer:
    args = TrainingArguments(folder, use_cpu=True, disable_tqdm=True, per_device_eval_batch_size=3)
    return Trainer(model, args, collator, compute_metrics=more.pop("compute_metrics", loss_of), **more)


def loss_of(given: EvalPrediction, shift: int = 0) -> dict[str, float]:
    """The mean loss of what metrics are given: the evaluation's own, if labels and predictions belong together."""
    logits = torch.from_numpy(given.predictions[:, : given.predictions.shape[1] - shift])
    labels = torch.from_numpy(given.label_ids[:, shift:])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), labels.flatten())
    return {"mean": float(loss), "rows": len(given.predictions)}


def shifted(given: EvalPrediction) -> dict[str, float]:
    return loss_of(given, shift=1)


def blocks() -> list[dict[str, Any]]:
    """Rows of several documents."""
    rows = [row["input_ids"] for row in encoded()]
    joined = [[*rows[0], *rows[1]], rows[2], [*rows[3], *rows[2], *rows[1]], rows[1], [*rows[2], *rows[0]]]
    lengths = [(0, 1), (2,), (3, 2, 1), (1,), (2, 0)]
    parts = [[len(rows[i]) for i in places] for places in lengths]
    return [{"input_ids": ids, "document_lengths": part} for ids, part in zip(joined, parts, strict=True)]


@pytest.mark.parametrize("of_documents", [False, True])
def test_metrics_of_a_causal_model_get_the_labels_that_the_collator_made(tmp_path: Path, of_documents: bool) -> None:
    config = GPT2Config(vocab_size=400, n_embd=16, n_layer=1, n_head=2, n_positions=128)
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm=False)
    made = trainer(tmp_path, GPT2LMHeadModel.from_config(config), collator, compute_metrics=shifted)
    found = made.evaluate(blocks() if of_documents else encoded())
    assert found["eval_mean"] == pytest.approx(found["eval_loss"], rel=1e-5)
    assert found["eval_rows"] == (5 if of_documents else 4)


def test_metrics_of_a_masked_model_get_the_hidden_tokens(tmp_path: Path) -> None:
    model = BertForMaskedLM.from_config(BertConfig(**BERT))
    made = trainer(tmp_path, model, DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5))
    rows = [row | {"labels": [7] * len(row["input_ids"])} for row in encoded()]  # of no account
    found = made.evaluate(rows)
    assert found["eval_mean"] == pytest.approx(found["eval_loss"], rel=1e-5)
    labels = made.predict(rows).label_ids
    for row, of_row in zip(rows, labels, strict=True):
        ids = np.array(row["input_ids"])
        hidden = of_row[: len(ids)] != -100
        assert (of_row[: len(ids)][hidden] == ids[hidden]).all()
    assert (labels != -100).any()


def test_metrics_of_a_repairing_model_get_what_was_taken_out(tmp_path: Path) -> None:
    tok = tokenizer("t5")
    config = T5Config(vocab_size=len(tok), d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    model = T5ForConditionalGeneration.from_config(config)
    found = trainer(tmp_path, model, DataCollatorForSpanCorruption(tok)).evaluate(encoded("t5"))
    assert found["eval_mean"] == pytest.approx(found["eval_loss"], rel=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_labels_lie_beside_their_predictions_whatever_padding_the_rows_bring(tmp_path: Path, side: str) -> None:
    tok = tokenizer()
    rows = [row | {"labels": [i % 3 for i in row["input_ids"]]} for row in encoded()]
    for row in rows:
        room = 100 - len(row["input_ids"])
        for name, fill in (("input_ids", 0), ("attention_mask", 0), ("token_type_ids", 0), ("labels", -100)):
            row[name] = [fill] * room + row[name] if side == "left" else row[name] + [fill] * room
    model = BertForTokenClassification.from_config(BertConfig(**BERT, num_labels=3))
    found = trainer(tmp_path, model, DataCollatorForTokenClassification(tok)).evaluate(rows)
    assert found["eval_mean"] == pytest.approx(found["eval_loss"], rel=1e-5)


def test_metrics_get_the_numbers_of_labels_that_are_names(tmp_path: Path) -> None:
    config = BertConfig(**BERT, id2label={0: "나쁨", 1: "좋음"}, label2id={"나쁨": 0, "좋음": 1})
    names = ["좋음", "나쁨", "나쁨", "좋음"]
    rows = [row | {"label": name} for row, name in zip(encoded(), names, strict=True)]
    made = trainer(tmp_path, BertForSequenceClassification.from_config(config), DataCollatorWithPadding(tokenizer()))
    made.compute_metrics = lambda given: {"sum": int(given.label_ids.sum())}
    assert made.evaluate(rows)["eval_sum"] == 2


def test_labels_that_a_collator_of_ones_own_adds_are_measured(tmp_path: Path) -> None:
    def collator(rows: list[Any]) -> dict[str, Any]:
        made = tokenizer()([row["text"] for row in rows], padding=True, return_tensors="np")
        return {**made, "labels": np.array([row["stars"] > 2 for row in rows], np.int64)}

    rows = [{"text": text, "stars": stars} for stars, text in enumerate(["아주 나빠요", "bad", "so so", "좋아요"])]
    made = trainer(tmp_path, BertForSequenceClassification.from_config(BertConfig(**BERT)), collator)
    made.compute_metrics = lambda given: {"sum": int(given.label_ids.sum())}
    found = made.evaluate(rows)
    assert found["eval_sum"] == 1
    assert found["eval_loss"] > 0


def test_rows_of_which_some_have_labels_are_refused(tmp_path: Path) -> None:
    rows = [row | ({"label": 1} if place != 1 else {}) for place, row in enumerate(encoded())]
    made = trainer(tmp_path, BertForSequenceClassification.from_config(BertConfig(**BERT)), None)
    with pytest.raises(InputError, match="of the 4 rows have labels"):
        made.predict(rows)
