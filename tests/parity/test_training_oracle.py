"""Live: one step of plain gradient descent changes our weights, on ragged batches, as transformers' on padded ones.

The tolerance is float32's, of sums in another order; a step of 1 makes what changes the gradient itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.tiny import CONFIGS, EACH, HEADS, rectangle
from tests.parity.test_models_oracle import oracle_model

torch = pytest.importorskip("torch", reason="the oracle's environment has it")
transformers = pytest.importorskip("transformers", reason="the oracle's environment has it")

import panpipe.models as ours  # noqa: E402
from panpipe.batch import Batch  # noqa: E402
from panpipe.training.batches import IGNORED, TrainingBatch  # noqa: E402
from panpipe.training.module import Trainable  # noqa: E402
from panpipe.training.objectives import loss_sum  # noqa: E402

pytestmark = pytest.mark.oracle

TOLERANCE = 2e-5
TEACHABLE = [
    pair for pair in EACH if pair[1] != "base" and pair != ("bert-one-label-tanh-gelu", "token-classification")
]
"""Of one label there is nothing to learn."""
Arrays = dict[str, np.ndarray[Any, Any]]


def without_dropout(model: Any) -> Any:
    """In training mode, as its gradients are meant, with every dropout 0."""
    for module in model.train().modules():
        for name in ("dropout", "attn_dropout", "dropout_prob", "attention_dropout", "activation_dropout", "layerdrop"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for key in list(vars(model.config)):
        if isinstance(getattr(model.config, key), float) and ("dropout" in key or "pdrop" in key):
            setattr(model.config, key, 0.0)
    return model


def labelled(name: str, head: str, model: Any, seed: int = 3) -> Arrays:
    """What transformers is given: rectangles with their labels."""
    generator = np.random.default_rng(seed)
    given = rectangle(name, seed, head)
    kept = given["attention_mask"].astype(bool)
    if head == "question-answering":  # transformers' softmax is over the padding too: here is none
        given = {key: np.concatenate([v[:1], v[:1, ::-1] if key == "input_ids" else v[:1]]) for key, v in given.items()}
        if ours.FAMILIES[CONFIGS[name][0]].is_encoder_decoder:
            given["input_ids"] = np.repeat(given["input_ids"][:1], 2, 0)
        return given | {"start_positions": np.array([3, 0]), "end_positions": np.array([4, 500])}
    if head == "sequence-classification":
        count = model.config.num_labels
        values = generator.standard_normal(4).astype(np.float32) if count == 1 else generator.integers(0, count, 4)
        return given | {"labels": values}
    if head == "seq2seq-lm":
        decoded = given["decoder_input_ids"]
        labels = generator.integers(5, 60, decoded.shape)
        labels[1, 4:] = labels[2, 7:] = labels[0, 2] = IGNORED
        return given | {"labels": labels}
    count = model.config.num_labels if head == "token-classification" else 60
    labels = np.where(kept & (generator.random(kept.shape) < 0.6), generator.integers(0, count, kept.shape), IGNORED)
    return given | {"labels": labels}


def ragged(head: str, given: Arrays) -> TrainingBatch:
    """The same without padding: only the rows that have labels."""
    kept = given["attention_mask"].astype(bool)
    lengths = kept.sum(1).astype(np.int32)
    types = given.get("token_type_ids")
    batch = Batch(
        *(given["input_ids"][kept].astype(np.int32), lengths), None if types is None else types[kept].astype(np.int32)
    )
    if head == "question-answering":
        spans = np.stack([given["start_positions"], given["end_positions"]], 1)
        return TrainingBatch(batch, np.where(spans < lengths[:, None], spans, IGNORED))
    labels = given["labels"]
    if head == "sequence-classification":
        return TrainingBatch(batch, labels)
    if head == "seq2seq-lm":
        lengths = np.array([9, 4, 7, 9], np.int32)
        kept = np.arange(9) < lengths[:, None]
        target = Batch(given["decoder_input_ids"][kept].astype(np.int32), lengths)
        rows = np.flatnonzero(labels[kept] != IGNORED).astype(np.int32)
        return TrainingBatch(batch, labels[kept][rows], rows, target)
    if head == "causal-lm":
        labels = np.concatenate([labels[:, 1:], np.full((4, 1), IGNORED)], 1)
    rows = np.flatnonzero(labels[kept] != IGNORED).astype(np.int32)
    return TrainingBatch(batch, labels[kept][rows], rows)


def step(trainable: Trainable, given: TrainingBatch, **options: Any) -> float:
    """One step of size 1; the loss before it."""
    loss = loss_sum(trainable.model.head, trainable(given), given.labels, given.batch, **options) / given.num_terms
    loss.backward()
    descend(trainable)
    return float(loss.detach())


def descend(module: Any) -> None:
    torch.optim.SGD([p for p in module.parameters() if p.grad is not None], lr=1.0).step()


def pair(name: str, head: str, folder: Path) -> tuple[Any, Trainable]:
    theirs = without_dropout(oracle_model(name, head, seed=1))
    theirs.save_pretrained(folder / "before")
    return theirs, Trainable(getattr(ours, HEADS[head]).from_pretrained(folder / "before")).eval()


def check_step(name: str, head: str, folder: Path, theirs: Any, loss: Any, mine: Trainable, my_loss: float) -> None:
    loss.backward()
    descend(theirs)
    assert abs(my_loss - loss.item()) <= TOLERANCE * max(1, abs(loss.item()))
    theirs.save_pretrained(folder / "after")
    model = getattr(ours, HEADS[head])
    before, after = (model.from_pretrained(folder / when).stored for when in ("before", "after"))
    moved = 0.0
    for slot in after.slots:
        for part, wanted in after.read(slot).items():
            was, got = before.read(slot)[part], mine.tensors(slot)[part]
            scale = max(1.0, float(np.abs(wanted - was).max()), float(np.abs(was).max()))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE * scale, err_msg=f"{slot}.{part}")
            moved = max(moved, float(np.abs(wanted - was).max()))
    assert moved > 1e-3


@pytest.mark.parametrize(("name", "head"), TEACHABLE)
def test_a_step_equals_transformers(name: str, head: str, tmp_path: Path) -> None:
    theirs, mine = pair(name, head, tmp_path)
    given = labelled(name, head, theirs)
    loss = theirs(**{key: torch.from_numpy(value.copy()) for key, value in given.items()}).loss
    batch = ragged(head, given)
    if head == "question-answering":  # two means, halved: where one answer is outside, their terms weigh differently
        logits = mine(batch)
        parts = [
            loss_sum(
                head, logits, np.where([True, False] if i == 0 else [False, True], batch.labels, IGNORED), batch.batch
            )
            / max(1, int((batch.labels[:, i] != IGNORED).sum()))
            for i in (0, 1)
        ]
        my_loss = (parts[0] + parts[1]) / 2
        my_loss.backward()
        descend(mine)
        check_step(name, head, tmp_path, theirs, loss, mine, float(my_loss.detach()))
    else:
        check_step(name, head, tmp_path, theirs, loss, mine, step(mine, batch))


def tensors(given: Arrays) -> dict[str, Any]:
    return {key: torch.from_numpy(value.copy()) for key, value in given.items()}


@pytest.mark.parametrize(("name", "head"), TEACHABLE)
def test_a_call_with_labels_gives_transformers_loss(name: str, head: str, tmp_path: Path) -> None:
    theirs = without_dropout(oracle_model(name, head, seed=1))
    theirs.save_pretrained(tmp_path)
    given = labelled(name, head, theirs)
    if head == "seq2seq-lm":  # made from the labels
        del given["decoder_input_ids"]
        given["labels"] = np.where(given["labels"] == IGNORED, IGNORED, given["labels"])
        given["labels"][0, 2] = 7
    expected = theirs(**tensors(given))
    got = getattr(ours, HEADS[head]).from_pretrained(tmp_path)(**tensors(given))
    torch.testing.assert_close(got.loss, expected.loss, atol=TOLERANCE, rtol=TOLERANCE)
    assert got[0] is got.loss
    assert got.loss.requires_grad


@pytest.mark.parametrize("problem", ["regression", "several regressions", "multi_label_classification"])
def test_problems_are_told_apart_as_in_transformers(problem: str, tmp_path: Path) -> None:
    theirs = without_dropout(oracle_model("bert", "sequence-classification", seed=1))
    theirs.config.problem_type = "regression" if problem == "several regressions" else None
    if problem == "regression":
        theirs.config.num_labels = theirs.num_labels = 1
        theirs.classifier = torch.nn.Linear(24, 1)
    theirs.save_pretrained(tmp_path)
    shape = (4,) if problem == "regression" else (4, 3)
    labels = np.random.default_rng(0).integers(0, 2, shape).astype(np.float32)
    given = rectangle("bert", 3) | {"labels": labels}
    mine = ours.AutoModelForSequenceClassification.from_pretrained(tmp_path)
    expected, got = theirs(**tensors(given)).loss, mine(**tensors(given)).loss
    torch.testing.assert_close(got, expected, atol=TOLERANCE, rtol=TOLERANCE)


@pytest.mark.parametrize("head", ["masked-lm", "token-classification"])
def test_label_smoothing_equals_transformers(head: str, tmp_path: Path) -> None:
    theirs, mine = pair("bert", head, tmp_path)
    given = labelled("bert", head, theirs)
    outputs = theirs(**tensors(given))
    smoother = transformers.trainer_pt_utils.LabelSmoother(epsilon=0.2)
    loss = smoother(outputs, torch.from_numpy(given["labels"]))
    check_step("bert", head, tmp_path, theirs, loss, mine, step(mine, ragged(head, given), label_smoothing=0.2))


@pytest.mark.parametrize(
    "name", ["bert", "distilbert", "roberta", "electra", "albert", "mpnet", "gpt2", "llama", "bart", "m2m_100", "t5"]
)
def test_as_much_is_dropped_as_in_transformers(name: str) -> None:
    """The rates by default, from transformers' config to ours."""
    theirs = transformers.AutoConfig.for_model(CONFIGS[name][0])
    mine = next(c for c in ours.CONFIGS.values() if c.model_type == CONFIGS[name][0]).from_dict(theirs.to_dict())
    said = {key: value for key, value in theirs.to_dict().items() if "drop" in key and "layerdrop" not in key}
    unused = ("summary_first_dropout", "summary_last_dropout", "qa_dropout" if name != "distilbert" else "")
    for key, value in said.items():
        if value is not None and key not in unused:
            assert mine.to_dict()[key] == value, key
