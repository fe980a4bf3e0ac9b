"""What each step reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from panpipe.data import Dataset
from panpipe.training import feed as feeding
from panpipe.training.arguments import TrainingArguments
from panpipe.training.feed import Feed

pytestmark = pytest.mark.train


def rows(count: int = 40) -> Dataset:
    random = np.random.default_rng(3)
    return Dataset.from_list([{"input_ids": [place] * int(random.integers(1, 14))} for place in range(count)])


def feed(dataset: Any = None, size: int = 1, **changes: Any) -> Feed:
    return Feed(rows() if dataset is None else dataset, TrainingArguments("out", **changes), 0, size)


def read(steps: Any) -> list[int]:
    return [row["input_ids"][0] for step in steps for batch in step.batches for row in batch.rows]


@pytest.mark.parametrize("changes", [{}, {"max_tokens_per_batch": 40}, {"group_by_length": True}])
def test_an_epoch_goes_on_at_its_example_whatever_a_step_is(changes: dict[str, Any]) -> None:
    """Two batches a step before, one a step after: nothing is read twice, nothing left out."""
    two, one = feed(gradient_accumulation_steps=2, **changes), feed(**changes)
    before = list(two.steps(1, 0))[:2]
    after = one.steps(1, sum(step.examples for step in before))
    assert read(before) + read(after) == read(one.steps(1, 0))


@pytest.mark.parametrize("epochs", [3, 2.5, 0.5])
def test_a_run_by_tokens_has_the_steps_of_all_its_epochs(epochs: float) -> None:
    found = feed(rows(600), num_train_epochs=epochs, max_tokens_per_batch=20)
    counts = [len(list(found.steps(epoch, 0))) for epoch in range(3)]
    assert len(set(counts)) > 1, "all epochs are alike, and this shows nothing"
    whole = int(epochs)
    share = (epochs - whole) * counts[whole] if epochs > whole else 0
    assert found.total_steps() == sum(counts[:whole]) + int(np.ceil(share))


def test_the_order_of_an_epoch_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def noted(*given: Any, **options: Any) -> Any:
        drawn.append(options["epoch"])
        return epoch_batches(*given, **options)

    epoch_batches = feeding.epoch_batches
    monkeypatch.setattr(feeding, "epoch_batches", noted)
    found = feed()
    found.total_steps()
    for epoch in (0, 1):
        found.steps_in_epoch(epoch)
        list(found.steps(epoch, 0))
    assert drawn == [0, 1]


def test_the_epochs_of_a_run_are_known_but_for_a_stream() -> None:
    assert feed(num_train_epochs=2.5).num_epochs() == 3
    assert feed(max_steps=11).num_epochs() == 3
    assert feed(rows().to_iterable_dataset(), max_steps=11).num_epochs() == 0


def test_a_stream_has_a_batch_to_compute_in_vain() -> None:
    assert feed(rows().to_iterable_dataset(), max_steps=1).any_batch().rows[0]["input_ids"][0] == 0
