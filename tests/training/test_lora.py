"""LoRA on the modules of a Trainable, and freezing. (tests/parity compares with PEFT.)"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from panpipe.batch import Batch
from panpipe.errors import ConfigError, InvalidArgument, WeightsMismatch
from panpipe.models import load_model
from panpipe.models.model import Model
from panpipe.weights.adapters import LoraConfig
from tests.models.tiny import made

torch = pytest.importorskip("torch", reason="make train-test has it")

from panpipe.training import lora  # noqa: E402
from panpipe.training.batches import TrainingBatch  # noqa: E402
from panpipe.training.module import Trainable  # noqa: E402
from panpipe.training.objectives import loss_sum  # noqa: E402

pytestmark = pytest.mark.train

BATCH = Batch.of([[5, 6, 7, 8], [9, 10], [11, 12, 13]])
LABELS = np.array([0, 2, 1])
HEAD = "sequence-classification"


def adapted(name: str = "bert", **config: Any) -> Trainable:
    torch.manual_seed(0)
    return lora.apply_lora(Trainable(made(name, HEAD)).eval(), LoraConfig(**{"r": 2, **config}))


def loss(trainable: Trainable) -> Any:
    return loss_sum(HEAD, trainable(TrainingBatch(BATCH, LABELS)), LABELS, BATCH) / 3


def step(trainable: Trainable, lr: float = 0.1) -> None:
    loss(trainable).backward()
    parameters = [p for p in trainable.parameters() if p.requires_grad]
    torch.optim.SGD(parameters, lr=lr).step()
    trainable.zero_grad()


def drawn(trainable: Trainable) -> Trainable:
    with torch.no_grad():
        for parameter in trainable.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)
    return trainable


def merged(trainable: Trainable) -> Model:
    return trainable.model.with_weights(trainable.stored(), made("bert", HEAD).ops)


def test_an_adapter_begins_as_its_base() -> None:
    np.testing.assert_array_equal(adapted().model.forward(BATCH), Trainable(made("bert", HEAD)).model.forward(BATCH))


def test_nothing_but_the_adapter_and_the_head_learns() -> None:
    trainable = adapted()
    before = {name: p.detach().clone() for name, p in trainable.named_parameters()}
    for _ in range(2):  # B is 0 at first, so A learns from the second on
        step(trainable)
    changed = {name for name, p in trainable.named_parameters() if not torch.equal(p, before[name])}
    assert {name.rpartition(".")[2] for name in changed if "pieces" in name} == {"A", "B"}
    assert changed == {name for name in before if "pieces" in name or "head.output" in name}
    assert len(changed) == 2 * 2 * 2 + 2


@pytest.mark.parametrize("name", ["bert", "gpt2", "bart", "llama-grouped-biased"])
def test_the_merged_weights_answer_alike_on_every_engine(name: str) -> None:
    torch.manual_seed(0)
    trainable = Trainable(made(name, HEAD)).eval()
    drawn(lora.apply_lora(trainable, {"r": 3, "target_modules": "all-linear", "bias": "lora_only"}))
    native = trainable.model.with_weights(trainable.stored(), made("bert", HEAD).ops)
    batch = Batch.of([[5, 6, 7, 2], [9, 2]])
    expected = trainable.model.forward(batch)
    assert np.abs(expected - made(name, HEAD).forward(batch)).max() > 1e-2
    np.testing.assert_allclose(native.forward(batch), expected, atol=1e-4 * np.abs(expected).max())


def test_recomputing_layers_gives_the_same_gradients() -> None:
    plain, sparing = drawn(adapted()), drawn(adapted())
    sparing.load_state_dict(plain.state_dict())
    sparing.gradient_checkpointing = True
    loss(plain).backward()
    loss(sparing).backward()
    for a, b in zip(plain.parameters(), sparing.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None) == (not a.requires_grad)
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad)


def test_products_in_bfloat16_are_near() -> None:
    trainable = drawn(adapted(target_modules="all-linear"))
    expected = loss(trainable).item()
    trainable.autocast = torch.bfloat16
    found = loss(trainable)
    found.backward()
    assert found.item() == pytest.approx(expected, abs=0.1)
    assert all(p.grad.dtype == torch.float32 for p in trainable.parameters() if p.requires_grad)


def test_dropout_is_for_training_alone() -> None:
    trainable = drawn(adapted(lora_dropout=0.5))
    assert loss(trainable).item() == loss(trainable).item()
    trainable.train()
    trainable.ops.dropout = {}  # the model's own
    assert loss(trainable).item() != loss(trainable).item()


def test_a_piece_of_a_joined_map_is_adapted_alone() -> None:
    trainable = drawn(adapted(target_modules=("key",), modules_to_save=None))
    weight = (
        trainable.tensors("layers.1.attention.qkv")["weight"]
        - made("bert", HEAD).stored.read("layers.1.attention.qkv")["weight"]
    )
    assert (weight[:24] == 0).all() and (weight[48:] == 0).all() and (weight[24:48] != 0).any()


def test_what_is_saved_opens_as_the_model_that_was_trained(tmp_path: Path) -> None:
    made("bert", "base").save_pretrained(tmp_path / "base")
    model = load_model(
        tmp_path / "base", HEAD, new_head=True, id2label={0: "기쁨", 1: "슬픔", 2: "분노"}, engine="reference"
    )
    trainable = drawn(lora.apply_lora(Trainable(model).eval(), {"r": 2}))
    lora.save_adapter(trainable, tmp_path / "adapter")
    opened = load_model(tmp_path / "adapter", engine="reference")
    assert type(opened) is type(model) and opened.config.id2label[2] == "분노"
    np.testing.assert_allclose(opened.forward(BATCH), trainable.model.forward(BATCH), atol=1e-5)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size < 20_000


def test_what_the_checkpoint_lacked_is_saved_too(tmp_path: Path) -> None:
    body = made("distilbert", "base")
    body.save_pretrained(tmp_path / "base")
    model = load_model(tmp_path / "base", HEAD, new_head=True)
    trainable = drawn(lora.apply_lora(Trainable(model).eval(), {"r": 2}))
    assert {"head.dense", "head.output"} <= model.stored.drawn
    lora.save_adapter(trainable, tmp_path / "adapter")
    np.testing.assert_allclose(
        load_model(tmp_path / "adapter").forward(BATCH), trainable.model.forward(BATCH), atol=1e-5
    )


def test_a_head_for_hidden_words_is_made_beside_tied_embeddings(tmp_path: Path) -> None:
    made("bert", "base").save_pretrained(tmp_path / "base")
    model = load_model(tmp_path / "base", "masked-lm", new_head=True)
    saved = ("transform.dense", "transform.LayerNorm")
    config = {"r": 2, "target_modules": "all-linear", "bias": "all", "modules_to_save": saved}
    trainable = drawn(lora.apply_lora(Trainable(model).eval(), config))
    lora.save_adapter(trainable, tmp_path / "adapter")
    opened = load_model(tmp_path / "adapter")
    np.testing.assert_allclose(opened.forward(BATCH), trainable.model.forward(BATCH), atol=1e-5)
    kept = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert not any(name.endswith(("decoder.weight", "word_embeddings.weight")) for name in kept)


def test_a_saved_adapter_is_read_back_exactly(tmp_path: Path) -> None:
    first = drawn(adapted(bias="all", target_modules=("query", "dense")))
    lora.save_adapter(first, tmp_path)
    second = adapted(bias="all", target_modules=("query", "dense"))
    lora.load_adapter(second, tmp_path)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(WeightsMismatch, match="not of this run's adapter"):
        lora.load_adapter(adapted(target_modules=("value",)), tmp_path)


def test_it_is_said_how_few_are_trained(capsys: pytest.CaptureFixture[str]) -> None:
    model = lora.get_peft_model(made("bert", HEAD), LoraConfig(r=2))
    model.print_trainable_parameters()  # type: ignore[attr-defined]
    few, everything = 2 * 2 * 2 * 24 * 2 + 24 * 3 + 3, model.num_parameters()
    every = everything + 2 * 2 * 2 * 24 * 2
    assert capsys.readouterr().out == (
        f"trainable params: {few:,} || all params: {every:,} || trainable%: {100 * few / every:.4f}\n"
    )


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"target_modules": ("qurey",)}, "Did you mean 'query'"),
        ({"target_modules": r"no\.such"}, "names no linear map"),
        ({"modules_to_save": ("poolr",)}, "Did you mean 'pooler'|no module's name ends in 'poolr'"),
        ({"modules_to_save": ("attention.self.key",)}, "a part of layers.0.attention.qkv"),
    ],
)
def test_names_that_mean_nothing_are_refused(config: Any, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        adapted(**config)


def test_tied_weights_are_not_adapted_in_one_place() -> None:
    with pytest.raises(InvalidArgument, match="more than one place"):
        lora.apply_lora(Trainable(made("gpt2", "causal-lm")), {"target_modules": ["c_attn", "lm_head"]})
    with pytest.raises(InvalidArgument, match="more than one place"):
        lora.apply_lora(Trainable(made("gpt2", "causal-lm")), {"modules_to_save": ["wte"]})


def test_options_that_are_not_had_are_refused() -> None:
    for config in ({"use_dora": True}, {"r": 0}, {"init_lora_weights": "pissa"}):
        with pytest.raises(ConfigError, match=next(iter(config))):
            lora.apply_lora(Trainable(made("bert", HEAD)), config)


# -- freezing --------------------------------------------------------------------------------------------------------


def learning(trainable: Trainable) -> set[str]:
    return {name.removeprefix("weights.") for name, p in trainable.named_parameters() if p.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "frozen"),
    [
        (["embeddings"], ["embeddings."]),
        (["bert.embeddings.*"], ["embeddings."]),
        (["layers.0-1"], ["layers."]),
        (["layers.1"], ["layers.1."]),
        (["bert.encoder.layer.1"], ["layers.1."]),
        (["bert.encoder.layer.*.intermediate"], ["layers.0.feed_forward.up", "layers.1.feed_forward.up"]),
        (["layers.*.attention", "head.dense"], ["layers.0.attention", "layers.1.attention", "head.dense"]),
        (["bert"], ["embeddings.", "layers.", "head.dense"]),
        (["*.bias"], []),
    ],
)
def test_freezing_by_either_name(patterns: list[str], frozen: list[str]) -> None:
    trainable = Trainable(made("bert", HEAD))
    everything = learning(trainable)
    lora.freeze(trainable, *patterns)
    ends = [p[1:] for p in patterns if p.startswith("*.")]
    expected = {n for n in everything if n.startswith(tuple(frozen)) or n.endswith(tuple(ends))}
    assert everything - learning(trainable) == expected and expected


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("embedings", "Did you mean 'embeddings'"),
        ("layers.0-5", "'layers.2' names no weights"),
        ("*.attention.self.query", "a part of layers.0.attention.qkv"),
        ("", "names no weights"),
    ],
)
def test_a_pattern_that_freezes_nothing_is_an_error(pattern: str, match: str) -> None:
    trainable = Trainable(made("bert", HEAD))
    before = learning(trainable)
    with pytest.raises(InvalidArgument, match=match):
        lora.freeze(trainable, pattern)
    assert learning(trainable) == before


def test_frozen_weights_stay() -> None:
    trainable = Trainable(made("bert", HEAD)).eval()
    lora.freeze(trainable, "embeddings", "layers.0")
    before = copy.deepcopy(dict(trainable.named_parameters()))
    step(trainable)
    for name, parameter in trainable.named_parameters():
        assert torch.equal(parameter, before[name]) == name.startswith(("weights.embeddings", "weights.layers.0"))


def test_an_adapters_config_is_filled_in() -> None:
    config = adapted("gpt2").lora
    assert config.target_modules == ("c_attn",) and config.fan_in_fan_out and config.task_type == "SEQ_CLS"
    assert dataclasses.replace(config, target_modules=None).modules_to_save == ("classifier", "score")


def test_the_trainer_trains_the_adapter_that_the_model_asks_for(tmp_path: Path) -> None:
    from panpipe.training import Trainer, TrainingArguments

    made("bert", "base").save_pretrained(tmp_path / "base")
    model = lora.get_peft_model(load_model(tmp_path / "base", HEAD, new_head=True), LoraConfig(r=2))
    rows = [{"input_ids": [5 + i, 6, 7 + i], "labels": i % 2} for i in range(8)]
    arguments = TrainingArguments(str(tmp_path / "out"), num_train_epochs=2, report_to=[], disable_tqdm=True)
    trainer = Trainer(model, arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "adapter"))
    assert not (tmp_path / "adapter" / "model.safetensors").exists()
    opened = load_model(tmp_path / "adapter")
    np.testing.assert_allclose(opened.forward(BATCH), model.forward(BATCH), atol=1e-6)
    assert np.abs(opened.forward(BATCH) - load_model(tmp_path / "base", HEAD, new_head=True).forward(BATCH)).max() > 0
