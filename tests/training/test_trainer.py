from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe.data import Dataset, IterableDataset  # noqa: E402
from panpipe.errors import InputError, InvalidArgument, TrainingError, UnknownArgument  # noqa: E402
from panpipe.models import (  # noqa: E402
    AutoModelForCausalLM,
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    MarianConfig,
    MarianMTModel,
)
from panpipe.models.model import Model  # noqa: E402
from panpipe.training import checkpoints  # noqa: E402
from panpipe.training.arguments import TrainingArguments  # noqa: E402
from panpipe.training.evaluation import EvalPrediction  # noqa: E402
from panpipe.training.lora import LoraConfig  # noqa: E402
from panpipe.training.search import loguniform  # noqa: E402
from panpipe.training.state import EarlyStoppingCallback, TrainerCallback  # noqa: E402
from panpipe.training.trainer import Trainer  # noqa: E402

from .killed import digest  # noqa: E402

pytestmark = pytest.mark.train

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 80}
STILL = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def classifier(**changes: Any) -> Model:
    return BertForSequenceClassification.from_config(BertConfig(**{**SIZES, **changes}))


def tagger() -> Model:
    return BertForTokenClassification.from_config(BertConfig(**SIZES, **STILL, num_labels=3))


def rows(count: int = 40, seed: int = 3) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    drawn = [random.integers(1, 80, random.integers(2, 14)).tolist() for _ in range(count)]
    return [{"input_ids": ids, "labels": int(ids[1] > 40)} for ids in drawn]


def tagged(count: int = 16) -> list[dict[str, Any]]:
    random = np.random.default_rng(4)
    return [{**row, "labels": [int(random.choice([-100, 0, 1, 2])) for _ in row["input_ids"]]} for row in rows(count)]


def arguments(folder: Path, **changes: Any) -> TrainingArguments:
    given = {"num_train_epochs": 2, "learning_rate": 2e-3, "logging_steps": 2, "save_strategy": "no", "use_cpu": True}
    return TrainingArguments(folder, **{**given, "disable_tqdm": True, **changes})


def accuracy(given: EvalPrediction) -> dict[str, float]:
    logits, labels = given
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


def weights(model: Model) -> np.ndarray[Any, Any]:
    tensors = [model.stored.read(slot)[part] for slot, kind in model.stored.slots.items() for part in kind.shapes()]
    return np.concatenate([tensor.ravel() for tensor in tensors])


# -- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"bf16": True}, {"gradient_checkpointing": True}, {"optim": "adafactor"}])
def test_it_learns_and_the_model_given_holds_what_was_learned(tmp_path: Path, kind: dict[str, Any]) -> None:
    model = classifier()
    before = weights(model)
    data = rows(60)
    args = arguments(tmp_path, num_train_epochs=20, **kind)
    trainer = Trainer(model, args, train_dataset=data, eval_dataset=data, compute_metrics=accuracy)
    first = trainer.evaluate()
    output = trainer.train()
    assert output.global_step == 160
    assert trainer.evaluate()["eval_loss"] < 0.6 * first["eval_loss"]
    assert trainer.evaluate()["eval_accuracy"] > 0.9
    assert not np.array_equal(before, weights(model))
    answer = model([data[0]["input_ids"]]).logits.argmax(-1)[0]
    assert answer == data[0]["labels"]
    assert model.ops.name != "torch"


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    def trained(seed: int) -> str:
        model = classifier()
        Trainer(model, arguments(tmp_path / str(seed), seed=seed), train_dataset=rows()).train()
        return digest(model)

    assert trained(1) == trained(1)
    assert trained(1) != trained(2)


def test_accumulated_batches_weigh_as_one(tmp_path: Path) -> None:
    """Rows have unequal numbers of labels: means of means would differ."""
    found = []
    for size, times in ((8, 1), (2, 4)):
        model = tagger()
        args = arguments(
            tmp_path / str(size),
            optim="sgd",
            learning_rate=0.5,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=times,
            data_seed=1,
        )
        Trainer(model, args, train_dataset=tagged()).train()
        found.append(weights(model))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_recomputed_layers_give_the_same_weights(tmp_path: Path) -> None:
    def trained(name: str, **changes: Any) -> np.ndarray[Any, Any]:
        model = classifier()
        Trainer(model, arguments(tmp_path / name, **changes), train_dataset=rows()).train()
        return weights(model)

    np.testing.assert_allclose(trained("a"), trained("b", gradient_checkpointing=True), atol=1e-6)


def test_padding_in_the_rows_changes_nothing(tmp_path: Path) -> None:
    def padded(row: dict[str, Any]) -> dict[str, Any]:
        room = 16 - len(row["input_ids"])
        mask = [1] * len(row["input_ids"]) + [0] * room
        return {**row, "input_ids": row["input_ids"] + [0] * room, "attention_mask": mask}

    found = []
    for name, data in (("bare", rows()), ("padded", [padded(row) for row in rows()])):
        model = classifier(**STILL)
        Trainer(model, arguments(tmp_path / name), train_dataset=data).train()
        found.append(digest(model))
    assert found[0] == found[1]


@pytest.mark.parametrize("changes", [{"group_by_length": True}, {"max_tokens_per_batch": 40}])
def test_batches_of_like_length_learn_too(tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer = Trainer(classifier(), arguments(tmp_path, num_train_epochs=15, **changes), train_dataset=rows(60))
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    ("config", "label"),
    [
        ({"num_labels": 1}, lambda ids: float(ids[0]) / 80),
        ({"num_labels": 2, "problem_type": "regression"}, lambda ids: [ids[0] / 80, ids[1] / 80]),
        (
            {"num_labels": 3, "problem_type": "multi_label_classification"},
            lambda ids: [float(i > 40) for i in ids[:2]] + [0.0],
        ),
    ],
)
def test_numbers_and_several_labels_are_learned(tmp_path: Path, config: dict[str, Any], label: Any) -> None:
    data = [{"input_ids": row["input_ids"], "labels": label(row["input_ids"])} for row in rows(40)]
    trainer = Trainer(
        classifier(**STILL, **config), arguments(tmp_path, num_train_epochs=20), train_dataset=data, eval_dataset=data
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert after < 0.7 * before
    if config.get("problem_type") == "regression" or config["num_labels"] == 1:
        wanted = np.array([np.atleast_1d(row["labels"]) for row in data])
        squares = (trainer.predict(data).predictions - wanted) ** 2
        assert after == pytest.approx(float(squares.mean()), rel=1e-4)


def test_frozen_weights_stay(tmp_path: Path) -> None:
    model = classifier()
    before = {slot: model.stored.read(slot)["weight"].copy() for slot in ("embeddings.tokens", "head.output")}
    Trainer(model, arguments(tmp_path, freeze=["embeddings"]), train_dataset=rows()).train()
    assert np.array_equal(before["embeddings.tokens"], model.stored.read("embeddings.tokens")["weight"])
    assert not np.array_equal(before["head.output"], model.stored.read("head.output")["weight"])


# -- evaluating ------------------------------------------------------------------------------------------------------


def test_predictions_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    model, data = classifier(), rows(21)
    trainer = Trainer(model, arguments(tmp_path, per_device_eval_batch_size=4))
    output = trainer.predict(data)
    for row, logits, label in zip(data, output.predictions, output.label_ids, strict=True):
        np.testing.assert_allclose(logits, model([row["input_ids"]]).logits[0], atol=1e-5)
        assert label == row["labels"]
    assert set(output.metrics) == {
        "test_loss",
        "test_runtime",
        "test_samples_per_second",
        "test_steps_per_second",
    }


def test_rows_without_labels_are_predicted(tmp_path: Path) -> None:
    output = Trainer(classifier(), arguments(tmp_path)).predict([{"input_ids": [1, 2]}, {"input_ids": [3, 4, 5]}])
    assert output.predictions.shape == (2, 2)
    assert output.label_ids is None
    assert "test_loss" not in output.metrics


def test_predictions_of_tokens_are_filled_up(tmp_path: Path) -> None:
    data = tagged(9)
    output = Trainer(tagger(), arguments(tmp_path)).predict(data)
    longest = max(len(row["input_ids"]) for row in data)
    assert output.predictions.shape == (9, longest, 3)
    for row, logits, labels in zip(data, output.predictions, output.label_ids, strict=True):
        count = len(row["input_ids"])
        assert labels[:count].tolist() == row["labels"]
        assert (labels[count:] == -100).all()
        assert (logits[count:] == -100).all()
        assert (logits[:count] != -100).all()


def test_logits_may_be_made_smaller_before_they_are_kept(tmp_path: Path) -> None:
    trainer = Trainer(
        tagger(), arguments(tmp_path), preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1)
    )
    assert trainer.predict(tagged(5)).predictions.ndim == 2


def test_texts_are_written_for_metrics(tmp_path: Path) -> None:
    config = MarianConfig(
        vocab_size=50, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32, pad_token_id=49,
        eos_token_id=0, decoder_start_token_id=49,
    )  # fmt: skip
    data = [{"input_ids": [5, 6, 7, 0], "labels": [8, 9, 0]}, {"input_ids": [5, 0], "labels": [7, 0]}]
    args = arguments(tmp_path, predict_with_generate=True, generation_max_length=6, generation_num_beams=2)
    model = MarianMTModel.from_config(config)
    output = Trainer(model, args, train_dataset=data).predict(data)
    assert output.predictions.dtype.kind == "i"
    assert output.predictions.shape[0] == 2
    assert output.label_ids.tolist() == [[8, 9, 0], [7, 0, -100]]
    assert "test_loss" in output.metrics


def test_several_evaluation_sets_are_told_apart(tmp_path: Path) -> None:
    trainer = Trainer(classifier(), arguments(tmp_path), eval_dataset={"한국어": rows(5), "en": rows(6)})
    assert {"eval_한국어_loss", "eval_en_loss"} <= set(trainer.evaluate())


def test_the_best_weights_are_kept_whatever_is_saved_or_rotated(tmp_path: Path) -> None:
    seen: list[float] = []

    class Notes(TrainerCallback):
        def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            seen.append(more["metrics"]["eval_loss"])

    model = classifier()
    args = arguments(
        tmp_path, num_train_epochs=8, learning_rate=0.02, eval_strategy="epoch", load_best_model_at_end=True,
        save_strategy="steps", save_steps=3, save_total_limit=1,
    )  # fmt: skip
    trainer = Trainer(model, args, train_dataset=rows(), eval_dataset=rows(20, seed=9), callbacks=[Notes])
    trainer.train()
    best = min(seen)
    assert best < seen[-1], "the last is not the best, or this shows nothing"
    assert trainer.evaluate()["eval_loss"] == pytest.approx(best, rel=1e-6)
    assert len(checkpoints.checkpoints_in(tmp_path)) == 1
    assert Path(trainer.state.best_model_checkpoint or "").is_dir()


def test_early_stopping_counts_what_did_not_improve(tmp_path: Path) -> None:
    args = arguments(tmp_path, num_train_epochs=30, learning_rate=0.05, eval_strategy="epoch")
    stop = EarlyStoppingCallback(early_stopping_patience=3)
    trainer = Trainer(classifier(), args, train_dataset=rows(), eval_dataset=rows(20, seed=9), callbacks=[stop])
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert trainer.state.global_step < trainer.state.max_steps
    assert min(losses) == losses[-4]


# -- what one may change ---------------------------------------------------------------------------------------------


def test_callbacks_are_told_in_order(tmp_path: Path) -> None:
    told: list[str] = []

    class Listens(TrainerCallback):
        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_"):
                told.append(name)
            return super().__getattribute__(name)

    args = arguments(tmp_path, max_steps=2, logging_steps=1, save_strategy="steps", save_steps=2, eval_strategy="epoch")
    Trainer(classifier(), args, train_dataset=rows(16), eval_dataset=rows(4), callbacks=[Listens()]).train()
    step = ["on_step_begin", "on_step_end"]
    end = ["on_epoch_end", "on_log", "on_log", "on_evaluate", "on_save"]
    begin = ["on_init_end", "on_train_begin", "on_epoch_begin"]
    assert told == [*begin, *step, "on_log", *step, *end, "on_log", "on_train_end"]


def test_a_callback_s_error_ends_the_run(tmp_path: Path) -> None:
    class Fails(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        Trainer(classifier(), arguments(tmp_path), train_dataset=rows(), callbacks=[Fails]).train()


def test_one_s_own_loss_trains_as_the_model_s_own(tmp_path: Path) -> None:
    class Weighted(Trainer):
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **more: Any) -> Any:
            labels = inputs.pop("labels")
            outputs = model(**inputs)
            loss = torch.nn.functional.cross_entropy(outputs.logits, labels)
            return (loss, outputs) if return_outputs else loss

    def by_function(outputs: Any, labels: Any, num_items_in_batch: float) -> Any:
        return torch.nn.functional.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    found = []
    for name, kind, more in (
        ("plain", Trainer, {}),
        ("class", Weighted, {}),
        ("function", Trainer, {"compute_loss_func": by_function}),
    ):
        model = classifier(**STILL)
        args = arguments(tmp_path / name, optim="sgd", learning_rate=0.1)
        padded = [{**row, "input_ids": (row["input_ids"] * 14)[:14], "attention_mask": [1] * 14} for row in rows()]
        kind(model, args, train_dataset=padded, **more).train()
        found.append(weights(model))
    np.testing.assert_allclose(found[1], found[0], atol=2e-6)
    np.testing.assert_allclose(found[2], found[0], atol=2e-6)


def test_an_optimizer_and_schedule_of_one_s_own(tmp_path: Path) -> None:
    """Made for the parameters of the model, as in the course."""
    model = classifier(**STILL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    halves = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    trainer = Trainer(
        model, arguments(tmp_path, logging_steps=1, max_steps=3), train_dataset=rows(), optimizers=(optimizer, halves)
    )
    before = weights(model)
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert rates == pytest.approx([0.05, 0.025, 0.0125])
    assert not np.allclose(before, weights(model))


def test_lora_trains_an_adapter_and_resumes_to_the_bit(tmp_path: Path) -> None:
    def run(folder: str, **changes: Any) -> Model:
        model = classifier()
        model.save_pretrained(tmp_path / "base")
        model.name_or_path = str(tmp_path / "base")
        args = arguments(tmp_path / folder, save_strategy="steps", save_steps=3, **changes)
        config = LoraConfig(r=4, task_type="SEQ_CLS")
        Trainer(model, args, train_dataset=rows(), peft_config=config).train(resume_from_checkpoint=True)
        return model

    whole = run("whole")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {
        path.name for path in (tmp_path / "whole" / "checkpoint-10").iterdir()
    }
    run("parts")
    for later in checkpoints.checkpoints_in(tmp_path / "parts")[:-1]:
        checkpoints.remove(later)
    assert digest(run("parts")) == digest(whole)
    read = BertForSequenceClassification.from_pretrained(tmp_path / "whole" / "checkpoint-10")
    np.testing.assert_allclose(weights(read), weights(whole), atol=1e-6)


def test_a_search_finds_the_better_rate_and_adds_up_the_cost(tmp_path: Path) -> None:
    trainer = Trainer(
        None,
        arguments(tmp_path, num_train_epochs=3),
        train_dataset=rows(),
        eval_dataset=rows(),
        model_init=classifier,
    )
    best = trainer.hyperparameter_search({"learning_rate": [1e-6, 3e-3]}, n_trials=2, backend="grid")
    assert best.hyperparameters == {"learning_rate": 3e-3}
    assert len(best.run_summary.trials) == 2
    assert best.run_summary.kwh > 0
    drawn = trainer.again(arguments(tmp_path / "drawn", num_train_epochs=1))
    found = drawn.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("lr", 1e-4, 1e-2)}, n_trials=2
    )
    assert 1e-4 <= found.hyperparameters["learning_rate"] <= 1e-2
    with pytest.raises(InvalidArgument, match="model_init"):
        Trainer(classifier(), arguments(tmp_path)).hyperparameter_search({"learning_rate": loguniform(1e-5, 1e-3)})


# -- data ------------------------------------------------------------------------------------------------------------


def test_all_kinds_of_rows_train_to_the_same_bits(tmp_path: Path) -> None:
    data = rows(20)
    columns = {name: [row[name] for row in data] for name in data[0]}
    kinds = {"list": data, "columns": columns, "ours": Dataset.from_list(data)}
    try:
        import datasets
        import pandas

        kinds |= {"hf": datasets.Dataset.from_list(data), "pandas": pandas.DataFrame(data)}
    except ImportError:
        pass
    found = set()
    for name, given in kinds.items():
        model = classifier()
        Trainer(model, arguments(tmp_path / name), train_dataset=given).train()
        found.add(digest(model))
    assert len(found) == 1


def stream(count: int) -> IterableDataset:
    return Dataset.from_list(rows(count)).to_iterable_dataset().shuffle(seed=1, buffer_size=8)


@pytest.mark.parametrize("stop", [1, 4, 7, 9])
def test_a_stream_resumes_at_any_step(tmp_path: Path, stop: int) -> None:
    def run(folder: str, **changes: Any) -> str:
        model = classifier()
        given = {"max_steps": 11, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1}
        Trainer(model, arguments(tmp_path / folder, **{**given, **changes}), train_dataset=stream(22)).train(True)
        return digest(model)

    whole = run("whole")
    run("parts")
    for folder in checkpoints.checkpoints_in(tmp_path / "parts"):
        if int(folder.name.split("-")[1]) > stop:
            checkpoints.remove(folder)
    assert run("parts") == whole


def test_a_stream_of_unknown_length_needs_max_steps(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="max_steps"):
        Trainer(classifier(), arguments(tmp_path), train_dataset=stream(9)).train()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "empty"),
        ([{"input_ids": [1, 2]}], "labels"),
        ([{"text": "좋다", "labels": 1}], "input_ids"),
        ([{"input_ids": [1, 2], "labels": 5}], "label"),
        ([{"input_ids": [1, 200], "labels": 1}], "token id"),
        ([{"input_ids": list(range(1, 79)) * 9, "labels": 1}], "at most 512"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, data: list[Any], message: str) -> None:
    with pytest.raises((InputError, InvalidArgument), match=message):
        Trainer(classifier(), arguments(tmp_path), train_dataset=data).train()


def test_mistakes_are_named_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="needs a panpipe model"):
        Trainer("bert-base-cased", arguments(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="train_dataset"):
        Trainer(classifier(), arguments(tmp_path)).train()
    with pytest.raises(InvalidArgument, match="eval_dataset"):
        Trainer(classifier(), arguments(tmp_path)).evaluate()
    with pytest.raises(UnknownArgument, match="resume"):
        Trainer(classifier(), arguments(tmp_path), train_dataset=rows()).train(resume=True)
    with pytest.raises(TrainingError, match="no checkpoint"):
        Trainer(classifier(), arguments(tmp_path), train_dataset=rows()).train(tmp_path / "checkpoint-9")
    with pytest.raises(InvalidArgument, match="eval_f1"):
        args = arguments(tmp_path, eval_strategy="epoch", metric_for_best_model="f1")
        Trainer(classifier(), args, train_dataset=rows(), eval_dataset=rows()).train()


# -- what is left behind ---------------------------------------------------------------------------------------------


def test_a_run_leaves_a_card_a_picture_a_log_and_its_energy(tmp_path: Path) -> None:
    folder = tmp_path / "리뷰 감성"
    trainer = Trainer(
        classifier(),
        arguments(folder, country="KOR", eval_strategy="epoch"),
        train_dataset=rows(),
        eval_dataset=rows(9),
    )
    trainer.train()
    trainer.save_model()
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "co2_eq_emissions" in card
    assert "Republic of Korea" in card or "South Korea" in card
    assert (folder / "loss.svg").read_text(encoding="utf-8").startswith("<svg")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0]["loss"] > 0
    assert any("eval_loss" in line for line in lines)
    assert "energy_consumed" in (folder / "emissions.csv").read_text(encoding="utf-8").splitlines()[0]
    assert digest(BertForSequenceClassification.from_pretrained(folder)) == digest(trainer.model)


def test_no_connection_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    Trainer(classifier(), arguments(tmp_path, save_strategy="steps", save_steps=2), train_dataset=rows()).train()


def test_batches_can_be_looked_at(tmp_path: Path) -> None:
    trainer = Trainer(tagger(), arguments(tmp_path), padded_collator, train_dataset=tagged(10), eval_dataset=tagged(9))
    shapes = [len(batch["input_ids"]) for batch in trainer.get_train_dataloader()]
    assert shapes == [8, 2]
    first = next(iter(trainer.get_eval_dataloader()))
    assert first["input_ids"][0, :2].tolist() == tagged(1)[0]["input_ids"][:2]


def padded_collator(features: list[dict[str, Any]]) -> dict[str, Any]:
    longest = max(len(feature["input_ids"]) for feature in features)
    filled = [[*f["input_ids"], *[0] * (longest - len(f["input_ids"]))] for f in features]
    return {"input_ids": torch.tensor(filled)}


def test_tensorboard_gets_the_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    Trainer(classifier(), arguments(tmp_path, report_to="tensorboard"), train_dataset=rows()).train()
    assert list((tmp_path / "runs").rglob("events.*"))


def test_a_logger_of_one_s_own_gets_the_numbers(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, float], int]] = []

    class Mine:
        def log(self, values: dict[str, float], step: int) -> None:
            seen.append((values, step))

        def close(self) -> None:
            seen.append(({}, -1))

    Trainer(classifier(), arguments(tmp_path, report_to=[Mine()]), train_dataset=rows()).train()
    assert seen[0][0]["loss"] > 0
    assert seen[-1][1] == -1


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes there")
def test_a_full_disk_ends_cleanly_and_what_was_written_stays(tmp_path: Path) -> None:
    """The limit of file sizes stands for the disk: the system refuses to write on, in the middle of a file."""
    program = """
import resource, signal, sys
from pathlib import Path
from tests.training.killed import arguments, model, rows
from panpipe.errors import TrainingError
from panpipe.training.state import TrainerCallback
from panpipe.training.trainer import Trainer

class Full(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.global_step == 3:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

try:
    args = arguments(sys.argv[1], energy=False)
    Trainer(model(), args, train_dataset=rows(), eval_dataset=rows(9), callbacks=[Full]).train()
except TrainingError as error:
    print(error)
    sys.exit(7)
"""
    folder = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 7, done.stderr
    assert "could not be written" in done.stdout
    assert [c.name for c in checkpoints.checkpoints_in(folder)] == ["checkpoint-2", "checkpoint-1"]
    assert not list(folder.glob(".incomplete*"))
    assert checkpoints.newest_whole(folder) == folder / "checkpoint-2"


def test_other_threads_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    args = {"save_strategy": "steps", "save_steps": 3}
    Trainer(classifier(), arguments(tmp_path, **args), train_dataset=rows()).train()
    for later in checkpoints.checkpoints_in(tmp_path)[:-1]:
        checkpoints.remove(later)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        Trainer(classifier(), arguments(tmp_path, **args, learning_rate=1e-3), train_dataset=rows(39)).train(True)
    finally:
        torch.set_num_threads(threads)
    for what in (f"threads was {threads}", "learning_rate was 0.002, is 0.001", "had 40 rows, have 39"):
        assert what in caplog.text


def test_what_another_run_left_is_removed_if_asked(tmp_path: Path) -> None:
    args = {"save_strategy": "steps", "save_steps": 1, "max_steps": 3}
    Trainer(classifier(), arguments(tmp_path, **args), train_dataset=rows()).train()
    short = {**args, "max_steps": 1, "overwrite_output_dir": True}
    Trainer(classifier(), arguments(tmp_path, **short), train_dataset=rows()).train()
    assert [c.name for c in checkpoints.checkpoints_in(tmp_path)] == ["checkpoint-1"]


def test_a_language_model_learns_from_nothing(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=20, n_embd=32, n_layer=2, n_head=2, n_positions=16)
    data = [
        {"input_ids": [i % 20 for i in range(s, s + 12)], "labels": [i % 20 for i in range(s, s + 12)]}
        for s in range(20)
    ]
    model = GPT2LMHeadModel.from_config(config)
    trainer = Trainer(model, arguments(tmp_path, num_train_epochs=60, learning_rate=3e-3), train_dataset=data)
    trainer.train()
    assert np.exp(trainer.evaluate(data)["eval_loss"]) < 1.3
    trainer.save_model(tmp_path / "model")
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert read.generate([[3, 4, 5]], max_new_tokens=4)[0].tolist() == [3, 4, 5, 6, 7, 8, 9]
