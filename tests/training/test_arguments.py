from __future__ import annotations

from pathlib import Path

import pytest

from panpipe.errors import InvalidArgument, UnknownArgument
from panpipe.training.arguments import Seq2SeqTrainingArguments, TrainingArguments


def test_the_arguments_of_the_course_are_taken_in_all_spellings() -> None:
    args = Seq2SeqTrainingArguments(
        "marian-finetuned-kde4-en-to-fr",
        evaluation_strategy="no",
        save_strategy="epoch",
        learning_rate=2e-5,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=64,
        weight_decay=0.01,
        save_total_limit=3,
        num_train_epochs=3,
        predict_with_generate=True,
        fp16=True,
        push_to_hub=False,
        overwrite_output_dir=True,
        warmup_ratio=0.1,
        logging_dir="logs",
        remove_unused_columns=False,
        report_to="none",
    )
    assert args.eval_strategy == "no"
    assert args.get_warmup_steps(100) == 10
    assert args.report_to == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"learning_rat": 1}, "Did you mean 'learning_rate'"),
        ({"disable_tqdm_bars": True}, "Did you mean 'disable_tqdm'"),
        ({"eval_strategy": "epochs"}, "Did you mean 'epoch'"),
        ({"lr_scheduler_type": "linaer"}, "Did you mean 'linear'"),
        ({"per_device_train_batch_size": 0}, "1 or more"),
        ({"learning_rate": -1.0}, "0 or more"),
        ({"learning_rate": "1e-5"}, "must be a number"),
        ({"bf16": True, "fp16": True}, "choose one"),
        ({"load_best_model_at_end": True}, "eval_strategy"),
        ({"num_train_epochs": 0}, "nothing to do"),
        ({"save_steps": 0}, "above 0"),
        ({"fsdp": "zero3"}, "full_shard"),
        ({"optim": "adamw"}, "must be one of"),
    ],
)
def test_what_cannot_be_is_named_before_the_work(given: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        TrainingArguments("out", **given)


def test_an_unknown_argument_is_an_unknown_argument() -> None:
    with pytest.raises(UnknownArgument):
        TrainingArguments("out", nonsense=1)


def test_steps_may_be_shares() -> None:
    args = TrainingArguments("out", eval_steps=0.1, save_steps=20, logging_steps=0.5, warmup_steps=0.25)
    assert [args.every(name, 200) for name in ("eval_steps", "save_steps", "logging_steps")] == [20, 20, 100]
    assert args.get_warmup_steps(200) == 50


def test_what_was_changed_is_told_and_a_token_never(tmp_path: Path) -> None:
    args = TrainingArguments(tmp_path, learning_rate=1e-4, hub_token="secret")
    assert args.changed() == {"output_dir": str(tmp_path), "learning_rate": 1e-4}
    assert "secret" not in repr(args)
    assert "secret" not in str(args.to_dict())


def test_more_is_better_unless_it_is_a_loss() -> None:
    assert TrainingArguments("o").best_metric == ("eval_loss", False)
    assert TrainingArguments("o", metric_for_best_model="f1").best_metric == ("eval_f1", True)
    assert TrainingArguments("o", metric_for_best_model="eval_wer", greater_is_better=False).best_metric[1] is False
