from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from panpipe.batch import Batch
from panpipe.errors import InputError, InvalidArgument, MissingKey, TooLong
from panpipe.tokenization import AutoTokenizer, Tokenizer
from panpipe.training.collators import (
    DataCollatorForDenoising,
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForSpanCorruption,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithPadding,
    default_data_collator,
    ragged,
    ragged_from_rectangles,
    ragged_inputs,
)
from panpipe.training.feed import collated, padded
from panpipe.training.masking import group_texts, sentinels_of
from tests.models.tiny import made

FOLDERS = Path(__file__).parents[1] / "golden" / "tokenizers"
TEXTS = ["서울은 대한민국의 수도이다.", "I love it!", "a", "A longer one; so that there is much to leave out."]


@cache
def tokenizer(name: str = "bert") -> Tokenizer:
    return AutoTokenizer.from_pretrained(FOLDERS / name)


def features(*columns: Any, names: tuple[str, ...] = ("labels",), padded: bool = False) -> list[dict[str, Any]]:
    """Rows of token ids that a tiny model takes, with columns of the caller's."""
    lengths = (5, 2, 1, 4)
    width = max(lengths)
    rows: list[dict[str, Any]] = []
    for row, length in enumerate(lengths):
        fill = [0] * (width - length) if padded else []
        ids = [5 + (7 * row + place) % 50 for place in range(length)]
        rows.append({"input_ids": ids + fill, "attention_mask": [1] * length + fill})
        rows[-1] |= {name: column[row] for name, column in zip(names, columns, strict=False)}
    return rows


def per_token(values: int = 3) -> list[list[int]]:
    return [[(row + place) % values for place in range(length)] for row, length in enumerate((5, 2, 1, 4))]


def same(a: Any, b: Any) -> bool:
    """Two training batches, to the last value and type."""

    def parts(x: Any) -> list[Any]:
        batches = [y for y in (x.batch, x.target) if isinstance(y, Batch)]
        return [x.labels, x.rows, *[v for y in batches for v in (y.token_ids, y.lengths, y.token_type_ids)]]

    return all(
        (p is None and q is None) or (np.array_equal(p, q) and p.dtype == q.dtype)
        for p, q in zip(parts(a), parts(b), strict=True)
    )


# -- ragged ----------------------------------------------------------------------------------------------------------


def test_a_class_for_each_sequence() -> None:
    batch = ragged(features([0, 2, 1, 0], names=("label",)), made("bert", "sequence-classification"))
    assert batch.batch.lengths.tolist() == [5, 2, 1, 4]
    assert batch.labels.dtype == np.int64
    assert batch.labels.tolist() == [0, 2, 1, 0]
    assert (batch.num_terms, batch.num_tokens) == (4, 12)


def test_the_padding_that_rows_bring_along_never_enters() -> None:
    model = made("bert", "sequence-classification")
    assert same(
        ragged(features([0, 1, 2, 0], padded=True), model),
        ragged(features([0, 1, 2, 0]), model),
    )


def test_without_a_mask_nothing_is_left_out() -> None:
    rows = [{"input_ids": [5, 6, 0, 0], "label": 1}]
    assert ragged(rows, made("bert", "sequence-classification")).batch.token_ids.tolist() == [5, 6, 0, 0]


def test_padding_on_the_left_is_left_out_too() -> None:
    rows = [{"input_ids": [0, 0, 7, 8], "attention_mask": [0, 0, 1, 1], "start_positions": 2, "end_positions": 3}]
    batch = ragged(rows, made("bert", "question-answering"))
    assert batch.batch.token_ids.tolist() == [7, 8]
    assert batch.labels.tolist() == [[0, 1]]


def test_one_output_is_a_regression() -> None:
    batch = ragged(features([0.5, 1, -2.0, 3]), made("bert-one-label-tanh-gelu", "sequence-classification"))
    assert batch.labels.dtype == np.float32
    assert batch.labels.tolist() == [0.5, 1.0, -2.0, 3.0]


@pytest.mark.parametrize("number", [int, float])
def test_several_labels_at_once(number: Any) -> None:
    labels = [[number(n) for n in row] for row in ([0, 1, 1], [0, 0, 0], [1, 0, 0], [1, 1, 1])]
    batch = ragged(features(labels), made("bert", "sequence-classification"))
    assert batch.labels.dtype == np.float32
    assert batch.labels.tolist() == labels


def test_labels_by_name_are_numbered_where_the_config_knows_them() -> None:
    batch = ragged(features(["LABEL_2", "LABEL_0", "LABEL_1", "LABEL_0"]), made("bert", "sequence-classification"))
    assert batch.labels.tolist() == [2, 0, 1, 0]


def test_only_tokens_with_labels_have_rows() -> None:
    labels = [[-100, 1, 2, 0, -100], [-100, 1], [-100], [2, -100, -100, 0]]
    batch = ragged(features(labels), made("bert", "token-classification"))
    assert batch.rows is not None
    assert batch.rows.tolist() == [1, 2, 3, 6, 8, 11]
    assert batch.labels.tolist() == [1, 2, 0, 1, 2, 0]


def test_a_causal_model_learns_what_comes_next() -> None:
    rows = [{"input_ids": ids, "labels": ids} for ids in ([5, 6, 7], [8], [9, 10])]
    batch = ragged(rows, made("gpt2", "causal-lm"))
    assert batch.rows is not None
    assert (batch.rows.tolist(), batch.labels.tolist()) == ([0, 1, 4], [6, 7, 10])


def test_a_prompt_whose_labels_are_ignored_is_not_learned() -> None:
    rows = [{"input_ids": [5, 6, 7, 8], "labels": [-100, -100, 7, 8]}]
    batch = ragged(rows, made("gpt2", "causal-lm"))
    assert batch.rows is not None
    assert (batch.rows.tolist(), batch.labels.tolist()) == ([1, 2], [7, 8])


def test_documents_of_a_block_are_sequences_of_their_own() -> None:
    rows = [
        {"input_ids": [5, 6, 7, 8], "document_lengths": [3, 1], "labels": [5, 6, 7, 8]},
        {"input_ids": [9, 10], "document_lengths": [2], "labels": [9, 10]},
    ]
    batch = ragged(rows, made("gpt2", "causal-lm"))
    assert batch.batch.lengths.tolist() == [3, 1, 2]
    assert batch.labels.tolist() == [6, 7, 10]


def test_positions_outside_of_a_sequence_are_ignored() -> None:
    rows = features([1, 0, -100, 9], [2, 1, 0, 3], names=("start_positions", "end_positions"), padded=True)
    batch = ragged(rows, made("bert", "question-answering"))
    assert batch.labels.tolist() == [[1, 2], [0, 1], [-100, 0], [-100, 3]]
    assert batch.num_terms == 6


@pytest.mark.parametrize(
    ("config", "start"), [("bart", 3), ("t5", 0), ("mbart", 8)], ids=["a start token", "padding", "the last token"]
)
def test_the_decoder_is_given_the_labels_one_place_later(config: str, start: int) -> None:
    rows = [{"input_ids": [5, 2], "labels": [6, 7, 8, -100, -100]}]
    batch = ragged(rows, made(config, "seq2seq-lm"))
    assert batch.target is not None and batch.rows is not None
    assert batch.target.token_ids.tolist() == [start, 6, 7]
    assert (batch.rows.tolist(), batch.labels.tolist()) == ([0, 1, 2], [6, 7, 8])


def test_a_decoder_input_of_ones_own_is_taken() -> None:
    rows = [{"input_ids": [5, 2], "labels": [6, 7, -100], "decoder_input_ids": [9, 10, 11]}]
    batch = ragged(rows, made("bart", "seq2seq-lm"))
    assert batch.target is not None
    assert batch.target.token_ids.tolist() == [9, 10]


def test_token_types_go_only_to_models_that_have_them() -> None:
    rows = [{"input_ids": [5, 6], "token_type_ids": [0, 1], "label": 0}]
    types = ragged(rows, made("bert", "sequence-classification")).batch.token_type_ids
    assert types is not None and types.tolist() == [0, 1]
    assert ragged(rows, made("distilbert", "sequence-classification")).batch.token_type_ids is None


def test_inputs_need_no_labels() -> None:
    batch, target = ragged_inputs(features(), made("bert", "sequence-classification"))
    assert (batch.lengths.tolist(), target) == ([5, 2, 1, 4], None)


# -- errors, before the step -----------------------------------------------------------------------------------------


def test_rows_without_labels_say_what_there_is() -> None:
    rows = features([0, 1, 2, 0], names=("lable",))
    with pytest.raises(
        MissingKey, match=r"rows have input_ids, attention_mask, lable; .* need labels or label\. Did you"
    ):
        ragged(rows, made("bert", "sequence-classification"))
    with pytest.raises(MissingKey, match="need start_positions or end_positions"):
        ragged(rows, made("bert", "question-answering"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 0], r"row 2 of the batch \(input_ids 19 …\) has the label 3; the model has 3 \(0 to 2\)"),
        ([0, 1, -1, 0], "has the label -1"),
        (["LABEL_0", "LABEL_1", "LABEL_9", "LABEL_0"], r"row 2 .* is 'LABEL_9'.*Did you mean.*class_encode_column"),
        ([0.5, 1, 2, 0], "for a regression load it with num_labels=1"),
        ([[0, 1], [1, 0], [0, 0], [1, 1]], "the labels have shape"),
        ([[0, 1, 1], [1, 0], [0], [1]], "different lengths"),
        ([[0, 1, float("nan")], [1, 0, 0], [0, 0, 0], [1, 1, 1]], "expected a finite number"),
    ],
)
def test_a_label_that_cannot_be_names_the_row(labels: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ragged(features(labels), made("bert", "sequence-classification"))


def test_a_label_of_a_token_out_of_range_names_the_row() -> None:
    labels = per_token()
    labels[1][1] = 3
    with pytest.raises(InputError, match=r"row 1 of the batch .* has the label 3"):
        ragged(features(labels), made("bert", "token-classification"))


def test_labels_must_be_as_many_as_tokens() -> None:
    with pytest.raises(InputError, match=r"row 1 .* has 2 input_ids and 3 labels"):
        ragged(features([[0] * 5, [0] * 3, [0], [0] * 4]), made("bert", "token-classification"))


def test_a_row_that_is_too_long_is_named() -> None:
    rows = [{"input_ids": [5] * length, "label": 0} for length in (3, 37)]
    with pytest.raises(
        TooLong, match=r"row 1 of the batch .* has 37 tokens; the model takes at most 36. Tokenize with"
    ):
        ragged(rows, made("bert", "sequence-classification"))
    rows = [{"input_ids": [5, 2], "labels": [6] * length} for length in (3, 40)]
    with pytest.raises(TooLong, match=r"row 1 .* has 40 labels"):
        ragged(rows, made("bart", "seq2seq-lm"))


def test_labels_of_another_vocabulary_are_refused() -> None:
    with pytest.raises(InputError, match="token id of 61"):
        ragged([{"input_ids": [5, 6], "labels": [5, 61]}], made("gpt2", "causal-lm"))


def test_a_row_of_padding_alone_is_refused() -> None:
    rows = [
        {"input_ids": [5], "attention_mask": [1], "label": 0},
        {"input_ids": [0], "attention_mask": [0], "label": 0},
    ]
    with pytest.raises(InputError, match=r"row 1 .* has no tokens"):
        ragged(rows, made("bert", "sequence-classification"))


def test_text_that_was_not_tokenized_is_said_to_be_so() -> None:
    with pytest.raises(MissingKey, match=r"rows have text, label. Tokenize the texts first"):
        ragged([{"text": "좋아요", "label": 1}], made("bert", "sequence-classification"))


# -- called, as in the course ----------------------------------------------------------------------------------------


def encoded(name: str = "bert", **options: Any) -> list[dict[str, Any]]:
    rows = tokenizer(name)(TEXTS, **options)
    return [{key: rows[key][row] for key in rows} for row in range(len(TEXTS))]


def test_padding_makes_rectangles() -> None:
    rows = [row | {"label": number, "text": "left out"} for number, row in enumerate(encoded())]
    batch = DataCollatorWithPadding(tokenizer(), return_tensors="np")(rows)
    longest = max(len(row["input_ids"]) for row in rows)
    assert sorted(batch) == ["attention_mask", "input_ids", "labels", "token_type_ids"]
    assert batch["input_ids"].shape == (4, longest)
    assert batch["attention_mask"].sum(1).tolist() == [len(row["input_ids"]) for row in rows]
    assert batch["labels"].tolist() == [0, 1, 2, 3]


def test_float_labels_stay_floats() -> None:
    rows = [row | {"label": 0.25} for row in encoded()]
    assert DataCollatorWithPadding(tokenizer(), return_tensors="np")(rows)["labels"].dtype == np.float32


def test_labels_of_unequal_length_point_to_the_collator_for_them() -> None:
    rows = [row | {"labels": row["input_ids"]} for row in encoded()]
    with pytest.raises(InvalidArgument, match=r"labels cannot be one array.*DataCollatorForTokenClassification"):
        DataCollatorWithPadding(tokenizer(), return_tensors="np")(rows)
    batch = DataCollatorForTokenClassification(tokenizer(), return_tensors="np")(rows)
    assert (batch["labels"] == np.where(batch["attention_mask"] == 1, batch["input_ids"], -100)).all()


@pytest.mark.parametrize("head", ["sequence-classification", "token-classification"])
def test_what_a_collator_padded_is_left_out_again(head: str) -> None:
    model = made("bert", head)
    rows = features([0, 1, 2, 0] if head == "sequence-classification" else per_token())
    collator = DataCollatorForTokenClassification(tokenizer(), return_tensors="np", pad_to_multiple_of=8)
    if head == "sequence-classification":
        rectangles: Any = DataCollatorWithPadding(tokenizer(), return_tensors="np", pad_to_multiple_of=8)(rows)
    else:
        rectangles = collator(rows)
    assert rectangles["input_ids"].shape == (4, 8)
    assert same(ragged_from_rectangles(rectangles, model), collator.ragged(rows, model, []))


@pytest.mark.parametrize("config", ["bart", "mbart", "t5", "marian", "m2m_100"])
def test_what_a_collator_padded_for_a_decoder_is_left_out_again(config: str) -> None:
    model = made(config, "seq2seq-lm")
    rows = features([[7, 8, 9, 2], [2], [10, 2], [11, 12, 2]])
    collator = DataCollatorForSeq2Seq(tokenizer(), model, return_tensors="np")
    rectangles = collator(rows)
    assert rectangles["decoder_input_ids"].shape == rectangles["labels"].shape == (4, 4)
    assert same(ragged_from_rectangles(rectangles, model), collator.ragged(rows, model, []))


def test_a_collator_that_gives_no_dictionary_is_told_what_is_expected() -> None:
    with pytest.raises(InputError, match="expected a dictionary of input_ids"):
        ragged_from_rectangles([1, 2], made("bert", "token-classification"))  # type: ignore[arg-type]


def test_the_default_collator_takes_rows_of_one_length() -> None:
    batch = default_data_collator([{"input_ids": [1, 2], "label": 1}, {"input_ids": [3, 4], "label": 0}], "np")
    assert {name: value.tolist() for name, value in batch.items()} == {"input_ids": [[1, 2], [3, 4]], "labels": [1, 0]}
    with pytest.raises(InvalidArgument, match="input_ids cannot be one array"):
        default_data_collator([{"input_ids": [1, 2]}, {"input_ids": [3]}], "np")


# -- collators that make the labels ----------------------------------------------------------------------------------


def masked(
    config: str = "bert", head: str = "masked-lm", **options: Any
) -> tuple[DataCollatorForLanguageModeling, Any]:
    return DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5, **options), made(config, head)


def small(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose ids a tiny model of 61 tokens takes; those below 5 are special."""
    return [row | {"input_ids": [i if i < 5 else 5 + i % 50 for i in row["input_ids"]]} for row in rows]


def test_a_row_is_masked_in_one_way_whatever_the_batch() -> None:
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5, random_replace_prob=0.0)
    rows, seeds, model = small(encoded()), [11, 12, 13, 2**62], made("bert", "masked-lm")
    together = collator.ragged(rows, model, seeds)
    alone = [collator.ragged([row], model, [seed]) for row, seed in zip(rows, seeds, strict=True)]
    assert np.concatenate([batch.batch.token_ids for batch in alone]).tolist() == together.batch.token_ids.tolist()
    assert np.concatenate([batch.labels for batch in alone]).tolist() == together.labels.tolist()
    assert not same(together, collator.ragged(rows, model, [1, 2, 3, 4]))


def test_a_causal_model_has_its_own_tokens_as_labels() -> None:
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm=False, return_tensors="np")
    rectangles = collator(encoded())
    real = rectangles["attention_mask"] == 1
    assert (rectangles["labels"][real] == rectangles["input_ids"][real]).all()
    assert (rectangles["labels"][~real] == -100).all()
    batch = collator.ragged(features(), made("gpt2", "causal-lm"), [0] * 4)
    assert batch.num_terms == 12 - 4


@pytest.mark.parametrize("mlm", [False, True])
def test_a_model_takes_what_a_call_gives(mlm: bool) -> None:
    """Also of blocks that hold unequal numbers of documents, and of rows that mark their special tokens."""
    blocks = list(group_texts([row["input_ids"] for row in encoded()], 30))
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm=mlm, return_tensors="np")
    for rows in (blocks, encoded(return_special_tokens_mask=True)):
        assert set(collator(rows)) <= {"input_ids", "attention_mask", "token_type_ids", "labels"}


def test_objective_and_head_must_agree() -> None:
    collator, _ = masked()
    with pytest.raises(InvalidArgument, match="this has the head causal-lm: give mlm=False"):
        collator.ragged(features(), made("gpt2", "causal-lm"), [0] * 4)
    with pytest.raises(InvalidArgument, match="load a masked-lm model"):
        collator.ragged(features(), made("bert", "token-classification"), [0] * 4)
    with pytest.raises(InvalidArgument, match="an encoder and a decoder"):
        DataCollatorForSpanCorruption(tokenizer("t5")).ragged(features(), made("bert", "masked-lm"), [0] * 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataCollatorForLanguageModeling(tokenizer("gpt2")), "no mask token.*give mlm=False"),
        (lambda: DataCollatorForLanguageModeling(tokenizer(), mlm_probability=15), "it is a share, from 0 to 1"),
        (lambda: DataCollatorForLanguageModeling(tokenizer(), mask_replace_prob=0.95), "together more than 1"),
        (lambda: DataCollatorForSpanCorruption(tokenizer()), "<extra_id_0>"),
        (lambda: DataCollatorForDenoising(tokenizer("t5")), "span corruption"),
        (lambda: DataCollatorForDenoising(tokenizer("bart"), poisson_lambda=0), "poisson_lambda above 0"),
    ],
)
def test_what_an_objective_lacks_is_said_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        make()


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm_roberta", "albert"])
def test_special_tokens_are_never_hidden_and_words_are_hidden_whole(name: str) -> None:
    collator = DataCollatorForWholeWordMask(
        tokenizer(name), mlm_probability=0.5, mask_replace_prob=1, random_replace_prob=0, return_tensors="np", seed=3
    )
    rows = encoded(name)
    special = {i for i in tokenizer(name).all_special_ids if i is not None}
    seen = 0
    for _ in range(20):
        batch = collator(rows)
        for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
            chosen = np.flatnonzero(labels != -100)
            assert not special & set(labels[chosen].tolist())
            assert (ids[chosen] == tokenizer(name).mask_token_id).all()
            words = collator._words.numbers(row["input_ids"])
            plain = ~np.isin(row["input_ids"], list(special))
            for word in set(words[chosen].tolist()):
                whole = np.flatnonzero((words == word) & plain)
                assert set(whole.tolist()) <= set(chosen.tolist())
            seen += len(chosen)
    assert seen


def test_span_corruption_takes_out_spans_and_asks_for_them() -> None:
    tok = tokenizer("t5")
    rows = encoded("t5")
    collator = DataCollatorForSpanCorruption(tok, noise_density=0.2, return_tensors="np", seed=1)
    batch = collator(rows)
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        source = [i for i in ids.tolist() if i != tok.pad_token_id]
        wanted = [i for i in labels.tolist() if i != -100]
        assert source[-1] == wanted[-1] == tok.eos_token_id
        assert repaired(source[:-1], wanted[:-1], tok) == row["input_ids"][:-1]


def repaired(source: list[int], taken: list[int], tok: Tokenizer) -> list[int]:
    """The text again, with each span where its sentinel stands."""
    sentinels = sentinels_of(tok).tolist()
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in taken:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [token for each in source for token in spans.get(each, [each])]


def test_denoising_asks_for_the_text_itself() -> None:
    tok = tokenizer("bart")
    rows = encoded("bart")
    batch = DataCollatorForDenoising(tok, made("bart", "seq2seq-lm"), return_tensors="np", seed=1)(rows)
    for row, ids, labels in zip(rows, batch["input_ids"], batch["labels"], strict=True):
        assert [i for i in labels.tolist() if i != -100] == row["input_ids"]
        source = [i for i in ids.tolist() if i != tok.pad_token_id]
        assert (source[0], source[-1]) == (tok.bos_token_id, tok.eos_token_id)
        assert set(source) - {tok.mask_token_id} <= set(row["input_ids"])
    assert tok.mask_token_id in batch["input_ids"]
    assert (batch["decoder_input_ids"][:, 0] == 3).all()


# -- collators of one's own ------------------------------------------------------------------------------------------


def test_a_collator_derived_from_ours_that_changes_the_call_is_called() -> None:
    class Relabels(DataCollatorWithPadding):
        def __call__(self, features: Any) -> Any:
            return super().__call__([{**feature, "labels": 2} for feature in features])

    class Counts(DataCollatorWithPadding):
        def ragged(self, features: Any, model: Any, seeds: Any) -> Any:
            return super().ragged([{**feature, "labels": 1} for feature in features], model, seeds)

    model, rows = made("bert", "sequence-classification"), features([0, 1, 0, 1])
    for kind, labels in ((Relabels, [2] * 4), (Counts, [1] * 4), (DataCollatorWithPadding, [0, 1, 0, 1])):
        assert collated(kind(tokenizer()), rows, model, [0] * 4).labels.tolist() == labels


def test_rectangles_can_be_drawn_from_the_seeds_of_their_rows() -> None:
    collator = DataCollatorForLanguageModeling(tokenizer(), mlm_probability=0.5, return_tensors="np")
    model = made("bert", "masked-lm")
    together = padded(collator, encoded(), model, [11, 12, 13, 14])
    collator(encoded())
    again = padded(collator, encoded()[1:], model, [12, 13, 14])
    width = again.inputs["labels"].shape[1]
    assert (together.inputs["labels"][1:, :width] == again.inputs["labels"]).all()
    assert together.num_terms == (together.inputs["labels"] != -100).sum()
