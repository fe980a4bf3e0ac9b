"""Rows of features as a ragged batch: what every collator gives the Trainer.

Which labels there must be, and of which form, the model's head says. Padding that rows bring along is left out, and so
are the rows of logits whose label is -100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...batch import Batch
from ...errors import InputError, InvalidArgument, MissingKey, TooLong, did_you_mean
from ...models.family import EncoderDecoderFamily
from ...models.model import Model
from ...tokenization.batch_encoding import to_python
from ..batches import IGNORED, TrainingBatch, as_numpy

__all__ = ["DOCUMENTS", "LABEL_NAMES", "labels_of", "ragged", "ragged_from_rectangles", "ragged_inputs", "rows_of"]

Feature = Mapping[str, Any]
Array = npt.NDArray[Any]

LABEL_NAMES = ("labels", "label", "label_ids")
"""What the labels of a row are called; the first that is there counts."""

DOCUMENTS = "document_lengths"
"""Of a row of several documents, one after the other: how long each is. None sees another."""

_OF_TOKENS = ("token-classification", "masked-lm", "causal-lm")


def ragged(features: Sequence[Feature], model: Model, seeds: Sequence[int] = ()) -> TrainingBatch:
    """The batch and its labels.

    features: rows of input_ids and, where there are, attention_mask (0: left out), token_type_ids, document_lengths;
    with labels, label or label_ids; for question-answering start_positions and end_positions; for an encoder-decoder
    decoder_input_ids, made from the labels if not given.   seeds: nothing is drawn here.
    Labels as transformers has them: not shifted, -100 for what is not to be learned.
    Raises MissingKey, InputError, TooLong, each naming the row.
    """
    laid = _Laid(features, model)
    head = model.head
    if head == "question-answering":
        return TrainingBatch(laid.batch, _spans(features, laid))
    labels = [_labels_of(feature, features, head) for feature in features]
    if head == "sequence-classification":
        return TrainingBatch(laid.batch, _of_sequences(labels, features, model))
    if head == "seq2seq-lm":
        return _sequence_to_sequence(features, labels, laid, model)
    if head not in _OF_TOKENS:
        raise InvalidArgument(f"a {head} model has nothing to learn from labels; load one with a head for a task.")
    return _of_tokens(labels, laid, model)


def ragged_inputs(features: Sequence[Feature], model: Model) -> tuple[Batch, Batch | None]:
    """What the model is given of rows without labels: the batch and, where they have decoder_input_ids, its target."""
    laid = _Laid(features, model)
    if "decoder_input_ids" not in features[0]:
        return laid.batch, None
    return laid.batch, Batch.of([_ints(f["decoder_input_ids"], "decoder_input_ids") for f in features])


def labels_of(feature: Feature) -> Any:
    """A row's labels, (start, end) for question-answering; None where it has none."""
    if "start_positions" in feature and "end_positions" in feature:
        return feature["start_positions"], feature["end_positions"]
    return next((feature[name] for name in LABEL_NAMES if feature.get(name) is not None), None)


def ragged_from_rectangles(rectangles: Mapping[str, Any], model: Model) -> TrainingBatch:
    """The same of what another collator padded: its padding is left out again, by attention_mask.

    rectangles: arrays or tensors of `[batch, …]`.   Raises as `ragged` does.
    """
    return ragged(rows_of(rectangles), model)


def rows_of(rectangles: Mapping[str, Any]) -> list[Feature]:
    """The rows of what a collator padded.   Raises InputError."""
    if not isinstance(rectangles, Mapping) or "input_ids" not in rectangles:
        raise InputError(
            f"the collator gave {_described(rectangles)}; expected a dictionary of input_ids, attention_mask, labels …"
        )
    columns = {name: as_numpy(value) for name, value in rectangles.items() if value is not None}
    count = len(columns["input_ids"])
    columns = {name: value for name, value in columns.items() if value.ndim and len(value) == count}
    return [{name: value[row] for name, value in columns.items()} for row in range(count)]


def shown_row(place: int, features: Sequence[Feature]) -> str:
    """A row, for a message: 'row 3 of the batch (input_ids 101, 2023, …)'."""
    ids = to_python(features[place].get("input_ids", []))[:6]
    return f"row {place} of the batch (input_ids {', '.join(map(str, ids))} …)"


# -- tokens ----------------------------------------------------------------------------------------------------------


class _Laid:
    """The tokens of all rows end to end, without those that the rows' masks leave out.

    batch: the sequences: a row, or each of its documents.   keep: bool [tokens given].   given: tokens of each row.
    """

    def __init__(self, features: Sequence[Feature], model: Model) -> None:
        if not features:
            raise InputError("the batch has no rows.")
        self.features = features
        ids = self._column("input_ids")
        self.given = np.fromiter(map(len, ids), np.int64, len(ids))
        self.keep = np.ones(int(self.given.sum()), bool)
        if "attention_mask" in features[0]:
            self.keep = self.end_to_end("attention_mask") != 0
        self.kept = _sums(self.keep, self.given)
        if not self.kept.all():
            empty = int(np.flatnonzero(self.kept == 0)[0])
            raise InputError(f"{shown_row(empty, features)} has no tokens; leave it out of the data.")
        types = None
        if model.options.type_vocab_size and "token_type_ids" in features[0]:
            types = self.end_to_end("token_type_ids")[self.keep].astype(np.int32)
        has_documents = DOCUMENTS in features[0] and model.head in _OF_TOKENS
        lengths = self._document_lengths() if has_documents else self.kept
        _check_lengths(lengths, self.kept, model, features)
        self.batch = Batch(np.concatenate(ids)[self.keep].astype(np.int32), lengths.astype(np.int32), types)

    def end_to_end(self, name: str) -> Array:
        """A column that has a value for each token.   Raises InputError."""
        return self.checked(self._column(name), name)

    def checked(self, rows: Sequence[Array], name: str) -> Array:
        """Values for each token given, end to end.   Raises InputError."""
        for place, (row, length) in enumerate(zip(rows, self.given, strict=True)):
            if len(row) != length:
                raise InputError(
                    f"{shown_row(place, self.features)} has {length} input_ids and {len(row)} {name}; there must be "
                    "one for each token."
                )
        return np.concatenate(rows)

    def place(self, row: int, place: int) -> int:
        """A token's place in its row once the padding is gone; IGNORED for one outside of it."""
        start = int(self.given[:row].sum())
        keep = self.keep[start : start + int(self.given[row])]
        if not 0 <= place < len(keep) or not keep[place]:
            return IGNORED
        return int(keep[:place].sum())

    def _column(self, name: str) -> list[Array]:
        for place, feature in enumerate(self.features):
            if name not in feature:
                has = f"the rows have {', '.join(map(str, feature))}"
                raise MissingKey(f"row {place} of the batch lacks {name}: {has}. Tokenize the texts first.")
        return [_ints(feature[name], name) for feature in self.features]

    def _document_lengths(self) -> Array:
        lengths = [_ints(feature[DOCUMENTS], DOCUMENTS) for feature in self.features]
        for place, (row, tokens) in enumerate(zip(lengths, self.kept, strict=True)):
            if row.sum() != tokens or (row <= 0).any():
                raise InputError(
                    f"{shown_row(place, self.features)}: its {DOCUMENTS} must add up to its {tokens} tokens."
                )
        return np.concatenate(lengths)


def _check_lengths(
    lengths: Array, of_rows: Array, model: Model, features: Sequence[Feature], of: str = "tokens"
) -> None:
    """lengths: of the sequences.   of_rows: of the rows, each of which is one or more of these."""
    options = model.options.decoder if of == "labels" else model.options
    most = options.max_length
    if most is not None and int(lengths.max()) > most:
        end = lengths[: lengths.argmax() + 1].sum()
        place = int(np.searchsorted(np.cumsum(of_rows), end))
        raise TooLong(
            f"{shown_row(place, features)} has {int(lengths.max())} {of}; {model.name_or_path or 'the model'} takes at "
            f"most {most}. Tokenize with truncation=True, max_length={most}."
        )


def _sums(values: Array, lengths: Array) -> Array:
    """The sum over each run of so many values."""
    ends = np.cumsum(lengths)
    totals = np.concatenate([[0], np.cumsum(values)])
    return totals[ends] - totals[ends - lengths]  # type: ignore[no-any-return]


# -- labels ----------------------------------------------------------------------------------------------------------


def _labels_of(feature: Feature, features: Sequence[Feature], head: str) -> Any:
    for name in LABEL_NAMES:
        if feature.get(name) is not None:
            return feature[name]
    raise _missing(feature, ("labels", "label"), head)


def _missing(feature: Feature, wanted: Sequence[str], head: str) -> MissingKey:
    """Have, need, closest."""
    near = next((did_you_mean(name, wanted) for name in feature if did_you_mean(name, wanted)), "")
    return MissingKey(
        f"the rows have {', '.join(map(str, feature))}; to train a {head} model they need {' or '.join(wanted)}."
        f"{near} Rename the column that has them: dataset.rename_column(…, {wanted[0]!r})."
    )


def _of_sequences(labels: Sequence[Any], features: Sequence[Feature], model: Model) -> Array:
    """int64 [sequences], or float32 for a regression and for several labels at once."""
    config = model.config
    if isinstance(labels[0], str):
        labels = [_number_of(label, place, features, model) for place, label in enumerate(labels)]
    try:
        values = np.array([as_numpy(label) for label in labels])
    except ValueError:
        raise InputError(
            "the rows of the batch have label lists of different lengths; each needs one per class."
        ) from None
    if values.dtype.kind not in "biuf":
        raise InputError(f"the labels are {labels[0]!r:.40} … ({type(labels[0]).__name__}); expected numbers.")
    kind = config.problem_type or _problem_type(values, config.num_labels)
    if kind == "single_label_classification":
        return _classes(
            values.reshape(len(values), -1)[:, 0] if values.size == len(values) else values, features, model
        )
    floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        place = int(np.argwhere(~np.isfinite(floats))[0][0])
        raise InputError(f"the label of {shown_row(place, features)} is {values[place]}; expected a finite number.")
    floats = floats.reshape(len(floats), -1)
    if floats.shape[1] != config.num_labels:
        raise InputError(
            f"the rows have {floats.shape[1]} label values each, and the model {config.num_labels} outputs ({kind}); "
            "load it with num_labels to match."
        )
    return floats[:, 0] if kind == "regression" and config.num_labels == 1 else floats


def _problem_type(labels: Array, num_labels: int) -> str:
    """What transformers takes it for; whole numbers in lists are taken for several labels too."""
    if num_labels == 1:
        return "regression"
    if labels.ndim == 2 and labels.shape[1] == num_labels:
        return "multi_label_classification"
    return "single_label_classification"


def _classes(values: Array, features: Sequence[Feature], model: Model) -> Array:
    if values.ndim != 1:
        raise InputError(
            f"the labels have shape {list(values.shape)}; expected one class each. For several at once load the model "
            'with problem_type="multi_label_classification".'
        )
    if values.dtype.kind == "f":
        fractions = np.flatnonzero(values != np.round(values))
        if len(fractions):
            place = int(fractions[0])
            raise InputError(
                f"the label of {shown_row(place, features)} is {values[place]}, and the model has "
                f"{model.config.num_labels} classes; for a regression load it with num_labels=1."
            )
    classes = values.astype(np.int64)
    _check_range(classes, np.arange(len(classes)), features, model)
    return classes


def _number_of(label: Any, place: int, features: Sequence[Feature], model: Model) -> int:
    """The number of a label given by name, where the config knows it."""
    if label in model.config.label2id:
        return model.config.label2id[label]
    raise InputError(
        f"the label of {shown_row(place, features)} is {label!r:.60}; the model's labels are "
        f"{_few(model.config.label2id)}.{did_you_mean(str(label), model.config.label2id)} Number them: "
        "dataset.class_encode_column(…), or load the model with label2id={'name': number, …}."
    )


def _check_range(classes: Array, rows: Array, features: Sequence[Feature], model: Model) -> None:
    """rows: which row each is of."""
    most = model.config.num_labels
    wrong = np.flatnonzero((classes != IGNORED) & ((classes < 0) | (classes >= most)))
    if len(wrong):
        place = int(rows[wrong[0]])
        raise InputError(
            f"{shown_row(place, features)} has the label {int(classes[wrong[0]])}; the model has {most} "
            f"(0 to {most - 1}). Load it with num_labels={int(classes.max()) + 1}, or look at the data."
        )


def _of_tokens(labels: Sequence[Any], laid: _Laid, model: Model) -> TrainingBatch:
    """Labels for some of the tokens: each its own, or, of a causal model, its successor's."""
    of_each = laid.checked([_ints(label, "labels") for label in labels], "labels")[laid.keep]
    batch = laid.batch
    if model.head == "token-classification":
        _check_range(of_each, np.repeat(np.arange(len(laid.kept)), laid.kept), laid.features, model)
    else:
        _check_vocabulary(of_each, model)
    if model.head == "causal-lm":
        of_each = np.append(of_each[1:], IGNORED)
        of_each[batch.offsets[1:] - 1] = IGNORED
    rows = np.flatnonzero(of_each != IGNORED)
    return TrainingBatch(batch, of_each[rows], rows.astype(np.int32))


def _check_vocabulary(labels: Array, model: Model, size: int | None = None) -> None:
    size = model.options.vocab_size if size is None else size
    wrong = labels[(labels != IGNORED) & ((labels < 0) | (labels >= size))]
    if len(wrong):
        raise InputError(
            f"the labels have a token id of {int(wrong[0])}; {model.name_or_path or 'the model'} has {size} (and -100 "
            "for what is not to be learned). Is it the tokenizer of another model?"
        )


def _spans(features: Sequence[Feature], laid: _Laid) -> Array:
    """int64 [sequences, 2]."""
    wanted = ("start_positions", "end_positions")
    for feature in features:
        if any(feature.get(name) is None for name in wanted):
            raise _missing(feature, wanted, "question-answering")
    return np.array(
        [
            [laid.place(row, int(as_numpy(feature[name]).reshape(-1)[0])) for name in wanted]
            for row, feature in enumerate(features)
        ],
        np.int64,
    )


# -- encoders and decoders -------------------------------------------------------------------------------------------


def _sequence_to_sequence(
    features: Sequence[Feature], labels: Sequence[Any], laid: _Laid, model: Model
) -> TrainingBatch:
    """The decoder is given the labels one place later. What ends a row unlearned (its padding) is cut off.

    A -100 amid the labels stands for the padding token there, as in transformers.
    """
    rows = [_without_end(_ints(label, "labels"), features, place) for place, label in enumerate(labels)]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    _check_lengths(lengths, lengths, model, features, of="labels")
    of_each = np.concatenate(rows)
    _check_vocabulary(of_each, model, model.options.decoder.vocab_size)
    if features[0].get("decoder_input_ids") is not None:
        given = [_ints(f["decoder_input_ids"], "decoder_input_ids")[:n] for f, n in zip(features, lengths, strict=True)]
        target = Batch.of(given)
        if (target.lengths != lengths).any():
            place = int(np.flatnonzero(target.lengths != lengths)[0])
            raise InputError(f"{shown_row(place, features)} has fewer decoder_input_ids than labels.")
    else:
        target = shifted(of_each, lengths, model)
    wanted = np.flatnonzero(of_each != IGNORED)
    return TrainingBatch(laid.batch, of_each[wanted], wanted.astype(np.int32), target)


def shifted(labels: Array, lengths: Array, model: Model) -> Batch:
    """What the decoder is given for these labels, end to end.   Raises ConfigError, InvalidArgument."""
    family = model.family
    if not isinstance(family, EncoderDecoderFamily):
        raise InvalidArgument(f"a {model.config.model_type} model has no decoder beside an encoder to be given labels.")
    filled = np.where(labels == IGNORED, model.config.pad_token_id or 0, labels).astype(np.int32)
    return family.shift(model.config, Batch(filled, lengths.astype(np.int32)))


def _without_end(labels: Array, features: Sequence[Feature], place: int) -> Array:
    if not len(labels):
        raise InputError(f"the labels of {shown_row(place, features)} are empty; leave it out of the data.")
    learned = np.flatnonzero(labels != IGNORED)
    return labels[: learned[-1] + 1 if len(learned) else 1]


# -- values ----------------------------------------------------------------------------------------------------------


def _ints(value: Any, name: str) -> Array:
    """int64 [n].   Raises InputError."""
    try:
        array = as_numpy(value)
    except ValueError:
        array = np.zeros((), object)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise InputError(f"{name} of a row are {value!r:.60}; expected a list of whole numbers.")
    return array.astype(np.int64)


def _described(value: Any) -> str:
    return (
        f"{type(value).__name__} with {', '.join(map(str, value))}" if isinstance(value, Mapping) else repr(value)[:60]
    )


def _few(names: Mapping[str, int]) -> str:
    return ", ".join([*list(names)[:6], *(["…"] if len(names) > 6 else [])])
