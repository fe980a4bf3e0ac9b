"""Sums of losses, by hand and by PyTorch's own functions on the padded rectangle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs it")

from torch.nn import functional  # noqa: E402

from panpipe.batch import Batch  # noqa: E402
from panpipe.training.batches import IGNORED, TrainingBatch  # noqa: E402
from panpipe.training.objectives import loss_sum  # noqa: E402

pytestmark = pytest.mark.train

BATCH = Batch.of([[5, 6, 7], [8], [9, 10, 11, 12, 13]])


def logits_of(*shape: int) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_classes_that_are_ignored_weigh_nothing(smoothing: float) -> None:
    logits, labels = logits_of(4, 3), np.array([2, IGNORED, 0, 1])
    got = loss_sum("token-classification", logits, labels, BATCH, smoothing)
    kept = torch.tensor([0, 2, 3])
    one_by_one = [functional.cross_entropy(logits[i], torch.tensor(labels[i]), label_smoothing=smoothing) for i in kept]
    torch.testing.assert_close(got, sum(one_by_one))
    got.backward()
    assert logits.grad[1].abs().sum() == 0


def test_a_float_label_is_a_regression_and_a_row_of_them_several_labels() -> None:
    one, several = logits_of(3, 1), logits_of(3, 4)
    wanted = np.array([0.5, -1, 2], np.float32)
    torch.testing.assert_close(
        loss_sum("sequence-classification", one, wanted, BATCH), ((one[:, 0] - torch.tensor(wanted)) ** 2).sum()
    )
    classes = np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], np.float32)
    p = torch.sigmoid(several)
    by_hand = -torch.where(torch.tensor(classes) == 1, p.log(), (1 - p).log()).sum()
    torch.testing.assert_close(loss_sum("sequence-classification", several, classes, BATCH), by_hand)
    squares = loss_sum("sequence-classification", several, classes, BATCH, problem_type="regression")
    torch.testing.assert_close(squares, ((several - torch.tensor(classes)) ** 2).sum())
    assert (TrainingBatch(BATCH, wanted).num_terms, TrainingBatch(BATCH, classes).num_terms) == (3, 12)


def test_answers_are_sought_among_the_tokens_of_their_own_text() -> None:
    logits = logits_of(9, 2)
    spans = np.array([[0, 2], [0, 0], [IGNORED, 4]])
    got = loss_sum("question-answering", logits, spans, BATCH)
    want = torch.zeros(())
    for part, places in zip(logits.split([3, 1, 5]), spans, strict=True):
        for column, place in enumerate(places):
            if place != IGNORED:
                want = want - torch.log_softmax(part[:, column], 0)[place]
    torch.testing.assert_close(got, want)
    got.backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[4:, 0].abs().sum() == 0  # its answer has no start
    assert TrainingBatch(BATCH, spans).num_terms == 5


def test_losses_are_computed_in_float32() -> None:
    logits, labels = logits_of(4, 3), np.array([2, 1, 0, 1])
    assert loss_sum("masked-lm", logits.bfloat16(), labels, BATCH).dtype == torch.float32
