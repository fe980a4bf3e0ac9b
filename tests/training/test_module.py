"""A model as PyTorch trains it: gradients do not depend on how a batch is cut, kept, split or moved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from panpipe import pipeline  # noqa: E402
from panpipe.batch import Batch  # noqa: E402
from panpipe.errors import ConfigError, InputError, InvalidArgument, ShapeError  # noqa: E402
from panpipe.models import AutoModelForSequenceClassification, BertConfig, Model  # noqa: E402
from panpipe.ops.torch import TorchOps  # noqa: E402
from panpipe.training.batches import TrainingBatch  # noqa: E402
from panpipe.training.module import Trainable  # noqa: E402
from panpipe.training.objectives import loss_sum  # noqa: E402
from tests.models.tiny import CONFIGS, made, rectangle  # noqa: E402

pytestmark = pytest.mark.train

FAMILIES = [("bert", "masked-lm"), ("albert-two-groups", "sequence-classification"), ("gpt2", "causal-lm")]
FAMILIES += [("mpnet", "token-classification"), ("llama-grouped-biased", "causal-lm"), ("t5", "seq2seq-lm")]
FAMILIES += [("distilbert", "question-answering"), ("marian", "seq2seq-lm")]


def taught(name: str, head: str, only: slice = slice(None), count: int = 6) -> TrainingBatch:
    """Sequences of different lengths with labels, some of them ignored."""
    generator = np.random.default_rng(5)
    lengths = [7, 1, 12, 4, 11, 3][:count]
    ids = [generator.integers(5, 60, n).astype(np.int32) for n in lengths]
    for each in ids:
        each[-1] = CONFIGS[name][1].get("eos_token_id", 2)
    labels = [generator.integers(0, 3, n) for n in lengths]
    classes = generator.integers(0, 3, count)
    ids, labels, classes = ids[only], labels[only], classes[only]
    batch = Batch.of(ids)
    if head == "sequence-classification":
        return TrainingBatch(batch, classes)
    if head == "question-answering":
        return TrainingBatch(batch, np.stack([np.zeros(len(ids), np.int64), batch.lengths - 1], 1))
    flat = np.concatenate(labels)
    rows = np.flatnonzero(flat != 1).astype(np.int32)
    target = batch if head == "seq2seq-lm" else None
    return TrainingBatch(batch, flat[rows], rows, target)


def trainable(name: str, head: str) -> Trainable:
    return Trainable(made(name, head)).eval()


def gradients(module: Trainable, *batches: TrainingBatch) -> dict[str, Any]:
    """Of the mean over all batches; None where there is none."""
    module.zero_grad()
    terms = sum(batch.num_terms for batch in batches)
    for batch in batches:
        (loss_sum(module.model.head, module(batch), batch.labels, batch.batch) / terms).backward()
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def assert_same(got: dict[str, Any], want: dict[str, Any], tolerance: float = 2e-5) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        torch.testing.assert_close(got[name], value, rtol=0, atol=tolerance * max(1, float(value.abs().max())))


@pytest.mark.parametrize(("name", "head"), FAMILIES)
def test_accumulated_unequal_batches_equal_the_whole(name: str, head: str) -> None:
    module = trainable(name, head)
    parts = [taught(name, head, only) for only in (slice(0, 1), slice(1, 4), slice(4, 6))]
    assert len({part.num_tokens for part in parts}) == 3
    assert_same(gradients(module, *parts), gradients(module, taught(name, head)))


@pytest.mark.parametrize(("name", "head"), FAMILIES)
def test_recomputed_layers_give_the_same_gradients_dropout_included(name: str, head: str) -> None:
    module, batch = trainable(name, head).train(), taught(name, head)
    module.ops.dropout = dict.fromkeys(("attention", "attended", "inner", "feed_forward"), 0.3)
    torch.manual_seed(3)
    kept = gradients(module, batch)
    module.gradient_checkpointing = True
    torch.manual_seed(3)
    again = gradients(module, batch)
    assert again.keys() == kept.keys()
    assert all(torch.equal(again[name], kept[name]) for name in kept)


def test_recomputed_layers_keep_less(monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = trainable("bert", "masked-lm"), taught("bert", "masked-lm")

    def kept() -> int:
        sizes: dict[int, int] = {}

        def pack(x: Any) -> Any:
            sizes[x.data_ptr()] = x.numel()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            module(batch)
        return sum(sizes.values())

    whole = kept()
    module.gradient_checkpointing = True
    assert kept() < 0.8 * whole


@pytest.mark.parametrize(("name", "head"), [each for each in FAMILIES if each[0] != "t5"])  # these weights saturate it
def test_products_in_bfloat16_stay_close_and_norms_wide(name: str, head: str) -> None:
    module, batch = trainable(name, head), taught(name, head)
    want = gradients(module, batch)
    module.autocast = torch.bfloat16
    got = gradients(module, batch)
    assert all(value.dtype == torch.float32 for value in got.values())
    apart = sum(float((got[key] - value).norm() ** 2) for key, value in want.items())
    assert 0 < apart < 0.05**2 * sum(float(value.norm() ** 2) for value in want.values())


# -- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_is_on_in_training_mode_alone() -> None:
    module, batch = trainable("bert", "masked-lm"), taught("bert", "masked-lm")
    still = module(batch)
    assert torch.equal(module(batch), still)
    module.train()
    assert not torch.equal(module(batch), module(batch))
    with module.inference():
        assert torch.equal(module(batch), still)
    assert module.training
    assert module.ops.dropout


def test_dropped_values_are_as_many_as_said_and_the_mean_stays() -> None:
    ops = TorchOps()
    ops.dropout = {"inner": 0.3}
    torch.manual_seed(0)
    x = torch.ones(400, 300, requires_grad=True)
    y = ops.drop(x, "inner")
    y.sum().backward()
    y = y.detach()
    assert torch.equal(x.grad, y)
    assert abs(float((y == 0).float().mean()) - 0.3) < 0.01
    assert abs(float(y.mean()) - 1) < 0.01
    assert ops.drop(x, "head") is x
    ops.dropout = {"inner": 1.0}
    assert not ops.drop(x, "inner").any()


def test_attentions_gradients_are_those_of_its_own_dropout() -> None:
    """What it keeps of the forward pass is enough: against differences, with the same draws."""
    ops = TorchOps()
    ops.dropout = {"attention": 0.4}
    generator = torch.Generator().manual_seed(1)
    offsets = np.array([0, 3, 8, 9], np.int32)
    q, k, v, bias = (torch.randn(*s, generator=generator) for s in ((9, 8), (9, 4), (9, 4), (4, 9)))
    options = {"num_heads": 4, "num_kv_heads": 2, "causal": True}

    def out(*given: Any) -> Any:
        torch.manual_seed(7)
        return (ops.attention(*given[:3], offsets, offsets, relative_bias=given[3], **options) * weights).sum()

    weights = torch.randn(9, 8, generator=generator)
    given = [x.requires_grad_() for x in (q, k, v, bias)]
    found = torch.autograd.grad(out(*given), given)
    for place, gradient in enumerate(found):
        direction = torch.randn(gradient.shape, generator=generator)
        step = [direction * 1e-2 if i == place else 0.0 for i in range(len(given))]
        moved = [[x + sign * by for x, by in zip(given, step, strict=True)] for sign in (1, -1)]
        difference = (out(*moved[0]) - out(*moved[1])) / 2e-2
        torch.testing.assert_close((gradient * direction).sum(), difference, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("head", ["sequence-classification", "token-classification", "question-answering"])
def test_rates_are_the_configs_and_survive_saving(head: str, tmp_path: Path) -> None:
    keys = {"dropout": 0.02, "attention_dropout": 0.03, "seq_classif_dropout": 0.04, "qa_dropout": 0.05}
    config = made("distilbert", head).config
    config = config.from_dict(config.to_dict() | keys)
    model = type(made("distilbert", head)).from_config(config)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    ends = {"sequence-classification": 0.04, "token-classification": 0.02, "question-answering": 0.05}
    rates = {"embeddings": 0.02, "feed_forward": 0.02, "attention": 0.03, "head": ends[head]}
    assert Trainable(again).ops.dropout == Trainable(model).ops.dropout == rates


def test_a_rate_beyond_all_is_refused() -> None:
    config = BertConfig.from_dict({**made("bert", "base").config.to_dict(), "hidden_dropout_prob": 1.5})
    with pytest.raises(ConfigError, match=r"drops 1\.5 of the embeddings"):
        made("bert", "base").family.dropouts(config, "base")


# -- weights ---------------------------------------------------------------------------------------------------------


def test_tied_weights_are_one_parameter_and_saved_once(tmp_path: Path) -> None:
    module = trainable("bert", "masked-lm")
    names = [name for name, _ in module.named_parameters()]
    assert "weights.embeddings.tokens" in names
    assert "weights.head.decoder.weight" not in names
    assert module.weights.head.decoder.weight is module.weights.embeddings.tokens
    with torch.no_grad():
        module.weights.embeddings.tokens.add_(1.0)
    model = module.model.with_weights(module.stored())
    was = made("bert", "masked-lm").stored.read("embeddings.tokens")["weight"]
    np.testing.assert_array_equal(model.stored.read("head.decoder")["weight"], was + 1)


def test_sinusoids_and_the_paddings_embedding_learn_nothing() -> None:
    module, batch = trainable("marian", "seq2seq-lm"), taught("marian", "seq2seq-lm")
    padding = module.model.config.pad_token_id
    assert isinstance(padding, int)
    batch.target.token_ids[batch.target.first_rows] = padding  # what Marian's decoder starts with, often
    assert not module.weights.encoder.embeddings.positions.requires_grad
    assert not module.weights.head.decoder.bias.requires_grad
    untied = Trainable(made("marian-two-vocabularies", "seq2seq-lm")).eval()
    found = gradients(untied, batch)["weights.decoder.embeddings.tokens"]
    assert found[padding].abs().sum() == 0
    assert found.abs().sum() > 0


def test_a_formula_is_no_parameter() -> None:
    module = trainable("m2m_100", "seq2seq-lm")
    assert not [name for name, _ in module.named_parameters() if "positions" in name]


# -- loops of one's own ----------------------------------------------------------------------------------------------


def sentences(count: int = 8) -> dict[str, Any]:
    given = {key: torch.tensor(values) for key, values in rectangle("bert", 1).items()}
    return {**given, "labels": torch.tensor([0, 1, 2, 1])}


def course_loop(model: Model, steps: int, prepare: Any = None) -> list[float]:
    """Chapter 3, section 4."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    if prepare is not None:
        model, optimizer = prepare(model, optimizer)
    model.train()
    losses = []
    for _ in range(steps):
        outputs = model(**sentences())
        loss = outputs.loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def test_the_courses_loop_trains_the_model_itself(tmp_path: Path) -> None:
    model = made("bert", "sequence-classification")
    assert not model.training
    losses = course_loop(model, 30)
    assert losses[-1] < 0.3 * losses[0]
    assert model.training
    model.eval()
    with torch.no_grad():
        outputs = model(**sentences())
    assert outputs.logits.argmax(-1).tolist() == [0, 1, 2, 1]
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    given = {key: value.numpy() for key, value in sentences().items() if key != "labels"}
    np.testing.assert_allclose(again(**given).logits, outputs.logits.numpy(), atol=1e-4)


def test_accelerators_take_the_model() -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    losses = course_loop(made("bert", "sequence-classification"), 10, accelerator.prepare)
    assert losses[-1] < losses[0]


def test_a_pipeline_drops_nothing_though_the_model_is_being_trained(tmp_path: Path) -> None:
    from panpipe.tokenization import AutoTokenizer

    (tmp_path / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "좋은", "영화", "fine"])
    )
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    model = made("bert", "sequence-classification")
    classify = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(tmp_path))
    before = classify("좋은 영화")
    model.train()
    assert classify("좋은 영화")[0]["score"] == pytest.approx(before[0]["score"], abs=1e-5)
    assert model.training


def test_labels_as_numpy_give_a_number_and_leave_the_engine() -> None:
    model = made("bert", "sequence-classification", "reference")
    given = {key: value.numpy() for key, value in sentences().items()}
    loss = model(**given).loss
    assert isinstance(loss, np.generic | np.ndarray)
    assert model.ops.name == "reference"
    torch_loss = made("bert", "sequence-classification")(**sentences()).loss
    np.testing.assert_allclose(loss, torch_loss.detach().numpy(), atol=1e-5)


def test_state_is_given_and_taken() -> None:
    model, other = made("bert", "sequence-classification"), made("bert", "sequence-classification")
    course_loop(model, 2)
    assert dict(model.named_parameters()).keys() <= model.state_dict().keys()
    other.load_state_dict(model.state_dict())
    given = {key: value for key, value in sentences().items() if key != "labels"}
    assert torch.equal(other.eval()(**given).logits, model.eval()(**given).logits)
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("head", "labels", "error", "words"),
    [
        ("sequence-classification", {"labels": [0, 1]}, ShapeError, r"\[4\]"),
        ("sequence-classification", {"labels": [0, 1, 3, 0]}, InputError, "has the value 3; it must be from 0 to 2"),
        ("token-classification", {"labels": [0, 1, 2, 0]}, ShapeError, r"that of the ids, \[4, 30\]"),
        ("question-answering", {"start_positions": [0] * 4}, InputError, "or neither"),
        ("question-answering", {"start_positions": [0], "end_positions": [0]}, ShapeError, "each of the 4 rows"),
    ],
)
def test_labels_that_do_not_fit_are_refused(head: str, labels: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        made("bert", head)(**rectangle("bert", 1), **labels)


def test_a_device_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("it is there")
    with pytest.raises(InvalidArgument, match="cuda"):
        made("bert", "base").to("cuda")


# -- split over processes --------------------------------------------------------------------------------------------

SPLIT = """
import sys, torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from tests.training.test_module import gradients, taught, trainable
from panpipe.training.objectives import loss_sum

torch.distributed.init_process_group("gloo")
rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
mesh = init_device_mesh("cpu", (size,))
for name, head in {families}:
    whole, module = trainable(name, head), trainable(name, head)
    want = gradients(whole, taught(name, head))
    for stack in (module.weights, module.weights.get("encoder"), module.weights.get("decoder")):
        for layer in getattr(stack, "layers", ()):
            fully_shard(layer, mesh=mesh)
    fully_shard(module, mesh=mesh)
    module.gradient_checkpointing = {recomputes}
    mine = taught(name, head, slice(rank, None, size))
    terms = taught(name, head).num_terms
    loss = loss_sum(head, module(mine), mine.labels, mine.batch) / terms
    (loss * size).backward()  # what sharding divides by
    for key, parameter in module.named_parameters():
        if parameter.grad is None:
            assert key not in want, key
            continue
        if size > 1:
            assert parameter.to_local().numel() < parameter.numel()
        got = parameter.grad.full_tensor()
        torch.testing.assert_close(got, want[key], rtol=0, atol=5e-5 * max(1, float(want[key].abs().max())), msg=key)
    total = loss.detach().clone()
    torch.distributed.all_reduce(total)
    expected = loss_sum(head, whole(taught(name, head)), taught(name, head).labels, taught(name, head).batch) / terms
    torch.testing.assert_close(total, expected.detach(), rtol=1e-5, atol=1e-5)
torch.distributed.destroy_process_group()
print("same", rank)
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("recomputes", [False, True])
def test_split_weights_give_the_same_gradients(size: int, recomputes: bool, tmp_path: Path) -> None:
    script = tmp_path / "split.py"
    script.write_text(SPLIT.format(families=FAMILIES, recomputes=recomputes))
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}", str(script)],
        env={
            **os.environ,
            "PYTHONPATH": f"{root / 'src'}:{root}",
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("same") == size
