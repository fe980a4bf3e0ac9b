"""What every family with every head must do, whatever its weights."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

import panpipe.models as models
from panpipe.batch import Batch
from panpipe.blocks.attending import Trace
from panpipe.blocks.stack import StackOptions
from panpipe.errors import InputError, ShapeError, TooLong
from panpipe.models import Model
from tests.models.tiny import EACH, HEADS, heads_of, made, rectangle

TOLERANCE = 1e-4
"""Of sums in another order: kernels may take other paths for other numbers of rows."""

SHORT = [(name, head) for name, head in EACH if "long" not in name]


EOS = 2


def sequences(model: Model, seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    texts: list[list[int]] = [generator.integers(5, 61, n).tolist() for n in (1, 30, 2, 17, 9)]
    return [[*text[:-1], EOS] for text in texts] if model.family.is_encoder_decoder else texts


def first_stack(model: Model) -> StackOptions:
    """The one that reads."""
    stack: StackOptions = model.options.encoder if model.family.is_encoder_decoder else model.options
    return stack


def by_sequence(model: Model, values: np.ndarray, batch: Batch) -> list[np.ndarray]:
    if model.head == "sequence-classification":
        return list(values)
    return np.split(values, batch.offsets[1:-1])


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_a_batch_answers_as_its_sequences_one_by_one(name: str, head: str) -> None:
    model = made(name, head)
    texts = sequences(model)
    together = by_sequence(model, model.forward(Batch.of(texts)), Batch.of(texts))
    for text, answer in zip(texts, together, strict=True):
        alone = model.forward(Batch.of([text]))
        np.testing.assert_allclose(answer, alone.reshape(answer.shape), atol=TOLERANCE)


@pytest.mark.parametrize(("name", "head"), [each for each in SHORT if each[1] != "sequence-classification"])
def test_asking_for_rows_changes_nothing_but_the_rows(name: str, head: str) -> None:
    model = made(name, head)
    batch = Batch.of(sequences(model))
    rows = np.array([0, 3, 4, 30, 31, 33, 58], np.int32)
    np.testing.assert_allclose(model.forward(batch, rows), model.forward(batch)[rows], atol=TOLERANCE)


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_padding_changes_nothing(name: str, head: str) -> None:
    model = made(name, head)
    given = rectangle(name, 1, head)
    wide = {key: values if "decoder" in key else np.pad(values, ((0, 0), (0, 3))) for key, values in given.items()}
    narrow_out, wide_out = model(**given), model(**wide)
    for key in narrow_out:
        narrow, padded = narrow_out[key], wide_out[key]
        tokens = given["input_ids"].shape[1]
        cut = padded[:, :tokens] if padded.shape[1:2] == (tokens + 3,) else padded
        np.testing.assert_allclose(cut, narrow, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_saved_and_loaded_it_is_the_same(name: str, head: str, tmp_path: Path) -> None:
    model = made(name, head)
    model.save_pretrained(tmp_path / "한글 폴더")
    again = getattr(models, HEADS[head]).from_pretrained(tmp_path / "한글 폴더")
    batch = Batch.of(sequences(model))
    assert type(again) is type(model)
    assert again.config.to_dict() | {"architectures": []} == model.config.to_dict() | {"architectures": []}
    np.testing.assert_array_equal(again.forward(batch), model.forward(batch))


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_it_pickles(name: str, head: str) -> None:
    model = made(name, head)
    batch = Batch.of(sequences(model))
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is type(model)
    np.testing.assert_array_equal(again.forward(batch), model.forward(batch))


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_it_is_deterministic_in_many_threads(name: str, head: str) -> None:
    model = made(name, head)
    batch = Batch.of(sequences(model))
    expected = model.forward(batch)
    answers: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: answers.append(model.forward(batch))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for answer in answers:
        np.testing.assert_allclose(answer, expected, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_a_trace_shows_every_layer_and_changes_nothing(name: str, head: str) -> None:
    model = made(name, head)
    batch = Batch.of(sequences(model))
    trace = Trace(with_attentions=True)
    np.testing.assert_allclose(model.run(batch, trace=trace), model.forward(batch), atol=TOLERANCE)
    stack = first_stack(model)
    layers = len(stack.layers)
    assert len(trace.hidden_states) == layers + 1
    assert len(trace.attentions) == layers
    for layer in trace.attentions:
        for weights, length in zip(layer, batch.lengths, strict=True):
            assert weights.shape == (stack.layers[0].num_heads, length, length)
            np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


@pytest.mark.parametrize(("name", "head"), SHORT)
def test_what_cannot_be_is_refused_before_it_is_computed(name: str, head: str) -> None:
    model = made(name, head)
    if model.max_length is not None:
        with pytest.raises(TooLong, match=str(model.max_length)):
            model.forward(Batch.of([[7] * (model.max_length + 1)]))
    with pytest.raises(InputError, match="61"):
        model.forward(Batch.of([[5, 61]]))
    with pytest.raises(InputError, match="-1"):
        model.forward(Batch.of([[5, -1]]))
    with pytest.raises(ShapeError):
        model.forward(Batch.of([[5], []]))
    model.forward(Batch.of([[7] * ((model.max_length or 600) - 1) + [EOS]]))


def test_an_empty_batch_gives_nothing() -> None:
    for head in heads_of("bert"):
        assert len(made("bert", head).forward(Batch.of([]))) == 0


@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "max"])
def test_pooled_vectors_are_those_of_the_hidden_states(pooling: str) -> None:
    model = made("bert", "base")
    batch = Batch.of(sequences(model))
    hidden = np.split(model.forward(batch), batch.offsets[1:-1])
    take = {"mean": lambda x: x.mean(0), "cls": lambda x: x[0], "last": lambda x: x[-1], "max": lambda x: x.max(0)}
    expected = np.stack([take[pooling](x) for x in hidden])
    np.testing.assert_allclose(model.pool(batch, pooling), expected, atol=TOLERANCE)
    lengths = np.linalg.norm(model.pool(batch, pooling, normalize=True), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)
