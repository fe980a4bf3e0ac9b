"""The arrays of entities.py against a plain reading of the rules, one token at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panpipe.errors import InvalidArgument
from panpipe.pipelines.entities import Items, drop_overlaps, group, label_tokens, label_words
from panpipe.pipelines.tags import read_tags

BIO = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


def plain_groups(names: list[str]) -> list[tuple[int, int]]:
    """(first, last) of each group, by the rule as the sheet states it."""

    def parts(name: str) -> tuple[bool, str]:
        return (name[:2] == "B-", name[2:]) if name[:2] in ("B-", "I-") else (False, name)

    groups: list[list[int]] = []
    for i, name in enumerate(names):
        begins, kind = parts(name)
        if groups and parts(names[i - 1])[1] == kind and not begins:
            groups[-1].append(i)
        else:
            groups.append([i])
    return [(g[0], g[-1]) for g in groups]


@given(st.lists(st.sampled_from(list(BIO)), max_size=30))
def test_groups_are_those_of_the_plain_rule(labels: list[int]) -> None:
    scores = np.linspace(0.1, 0.9, len(labels), dtype=np.float32)
    items = Items(np.arange(len(labels)), np.array(labels, np.intp), scores)
    groups = group(items, read_tags(BIO))
    expected = plain_groups([BIO[label] for label in labels])
    assert groups.starts.tolist() == [first for first, _ in expected]
    assert groups.labels.tolist() == [labels[first] for first, _ in expected]
    np.testing.assert_allclose(groups.scores, [scores[a : b + 1].mean() for a, b in expected], rtol=1e-6)


@given(st.integers(1, 20), st.data())
def test_word_labels_are_those_of_the_plain_rule(tokens: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    probabilities = rng.random((tokens, 5)).astype(np.float32)
    starts = np.array(sorted({0} | data.draw(st.sets(st.integers(0, tokens - 1)))), np.intp)
    ends = [*starts[1:].tolist(), tokens]
    for strategy in ("first", "average", "max"):
        items = label_words(probabilities, starts, strategy)
        for word, (begin, end) in enumerate(zip(starts, ends, strict=True)):
            rows = probabilities[begin:end]
            row = {"first": rows[0], "average": rows.mean(0), "max": max(rows, key=lambda r: r.max())}[strategy]
            assert items.labels[word] == row.argmax()
            np.testing.assert_allclose(items.scores[word], row.max(), rtol=1e-6)


def test_the_first_of_equally_sure_tokens_labels_the_word() -> None:
    probabilities = np.array([[0.2, 0.8], [0.8, 0.2]], np.float32)
    assert label_words(probabilities, np.array([0]), "max").labels.tolist() == [1]


def test_what_is_not_a_number_is_left_out_of_means() -> None:
    probabilities = np.array([[np.nan, np.nan], [0.25, 0.75]], np.float32)
    items = label_words(probabilities, np.array([0]), "average")
    assert (items.labels.tolist(), items.scores.tolist()) == ([1], [0.75])


def test_no_tokens_give_no_groups() -> None:
    items = label_tokens(np.zeros((0, 3), np.float32))
    assert group(items, read_tags(BIO)).starts.tolist() == []


@pytest.mark.parametrize(
    ("scheme", "labels", "sequence", "expected"),
    [
        ("transformers", ["B-PER", "E-PER"], [0, 1], ["PER", "PER"]),
        ("iobes", ["B-PER", "I-PER", "E-PER", "S-PER"], [0, 2, 3, 3], ["PER", "PER", "PER"]),
        ("auto", ["O", "B-PER", "I-PER", "E-PER", "S-PER"], [1, 2, 3, 1, 3, 4, 4], ["PER", "PER", "PER", "PER"]),
        ("auto", ["O", "B-PER", "I-PER", "L-PER", "U-PER"], [1, 3, 4], ["PER", "PER"]),
        ("bilou", ["B-PER", "I-PER", "L-PER", "U-PER"], [0, 2, 1], ["PER", "PER"]),
        ("auto", ["O", "PER-B", "PER-I"], [1, 2, 1], ["PER", "PER"]),
        ("auto", ["O", "B_PER", "I_PER"], [1, 2, 2], ["PER"]),
        ("auto", ["O", "GPE-LOC", "PER"], [1, 1, 2], ["GPE-LOC", "PER"]),
        ("transformers", ["O", "GPE-LOC", "PER"], [1, 1, 2], ["LOC", "PER"]),
        ("auto", ["O", "B-GPE-LOC", "I-GPE-LOC"], [1, 2], ["GPE-LOC"]),
        ("plain", ["B-PER", "I-PER"], [0, 1], ["B-PER", "I-PER"]),
        ("bmes", ["B-N", "M-N", "E-N", "S-N"], [0, 1, 1, 2, 3], ["N", "N"]),
        ("auto", ["O", "B-PER", "I-PER", "E-MAIL"], [3, 3], ["E-MAIL"]),
        ("iob1", ["O", "I-PER", "B-PER"], [1, 1, 2, 1], ["PER", "PER"]),
    ],
)
def test_label_schemes(scheme: str, labels: list[str], sequence: list[int], expected: list[str]) -> None:
    tags = read_tags(dict(enumerate(labels)), scheme)
    items = Items(np.arange(len(sequence)), np.array(sequence, np.intp), np.ones(len(sequence), np.float32))
    assert [tags.names[label] for label in group(items, tags).labels.tolist()] == expected


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(InvalidArgument, match="Did you mean 'iobes'"):
        read_tags(BIO, "iobs")


def entity(start: int, end: int, score: float) -> dict[str, float]:
    return {"start": start, "end": end, "score": score}


def test_overlapping_entities_leave_the_longer_then_the_surer() -> None:
    entities = [entity(5, 9, 0.5), entity(0, 4, 0.9), entity(3, 4, 1.0), entity(5, 9, 0.6), entity(6, 12, 0.1)]
    assert drop_overlaps(entities) == [entity(0, 4, 0.9), entity(6, 12, 0.1)]
    assert drop_overlaps([]) == []
