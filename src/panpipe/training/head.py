"""`fit_head`: a classifier of texts in seconds, on a CPU, without PyTorch.

The model's body stays as it is. Its vectors of the texts are computed once, by the engine, and a logistic regression
is fitted on them; what comes out is an ordinary checkpoint of the family with the head for sequence classification.

How a head that has a hidden layer can be a plain linear map: its `dense` passes the vector through, in the part of its
activation that is (nearly) a straight line. And how a head that reads the first token can see the mean of all: a layer
more, whose attention weighs all tokens alike. Families whose layers share weights, or have a bias by distance, or come
before a norm, cannot have it: their heads read what they always read.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..batch import Batch
from ..errors import InputError, InvalidArgument
from ..models import AutoModelForSequenceClassification
from ..models.family import EncoderFamily
from ..models.loading import Stored
from ..models.model import Model, class_named
from ..weights.safetensors_file import SafetensorsFile
from ..weights.save import save_safetensors
from ..weights.slots import LinearSlot, NormSlot, Slot, Tensors
from .logistic import STRENGTHS, Floats, Logistic, best_l2, fit_logistic, folds_of
from .state import shows_progress

__all__ = ["FittedHead", "fit_head"]

HEAD = "sequence-classification"
L2_UNCHOSEN = 1.0
"""Where there are too few examples to choose it by cross-validation."""
_MEAN_WEIGHS = 64.0
"""How much more the mean of all tokens weighs than the first one, which the added layer cannot leave out."""

Label = str | int | bool


@dataclass(frozen=True)
class FittedHead:
    """What `fit_head` gives.

    model: an ordinary model with the head for sequence classification.   tokenizer: its own.
    accuracy: the share of right answers on `measured_on`: 'validation', or 'cross-validation' of the texts given; None
    where there were too few for it.   l2: the regularisation's strength.   pooling: 'mean', or 'first' or 'last' token.
    seconds: all that it took.
    """

    model: Model
    tokenizer: Any
    accuracy: float | None
    measured_on: str
    l2: float
    pooling: str
    seconds: float

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and tokenizer, as transformers reads them too."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def __repr__(self) -> str:
        labels = ", ".join(self.model.config.id2label.values())
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.3f} ({self.measured_on})"
        return f"<FittedHead of {self.model.name_or_path or 'a model'}: {labels}{accuracy}, {self.seconds:.1f} s>"


def fit_head(
    model: str | Path | Model,
    texts: Any,
    labels: Sequence[Label] | None = None,
    *,
    validation: Any = None,
    l2: float | Literal["auto"] = "auto",
    class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
    pooling: Literal["auto", "mean", "first", "last"] = "auto",
    batch_size: int = 32,
    max_length: int | None = None,
    folds: int = 5,
    seed: int = 0,
    tokenizer: Any = None,
    text_column: str = "text",
    label_column: str = "label",
    features_dir: str | Path | None = None,
    disable_tqdm: bool | None = None,
    **loading: Any,
) -> FittedHead:
    """A classifier of texts from a model of any kind and some examples (from about 8 per class on).

    model: a Hub id, a folder or a model; `loading` are arguments of `from_pretrained`.
    texts, labels: as long as each other; a text may be a pair. Or texts is a data set with two columns of these names.
    validation: (texts, labels) or a data set, to measure the accuracy on; default: by cross-validation.
    l2: the regularisation (scikit-learn's C is 1 / (examples * l2)); "auto": the best in cross-validation.
    class_weight: "balanced", or what the examples of a label count.
    pooling: "mean" of all tokens (the default where the family can: it costs one layer more), or the one token that
    its head reads, "first" or "last".
    features_dir: a folder that keeps the texts' vectors, for the next time.   seed: of the folds.
    Raises InputError (lengths, an empty text, one class), InvalidArgument, MissingHead, CheckpointError's kinds.
    """
    begin = time.perf_counter()
    texts, labels = _columns(texts, labels, text_column, label_column)
    names, classes = _classes(labels)
    held_out = None if validation is None else _validation(validation, names, text_column, label_column)
    _check(l2, folds, batch_size)
    weights = _example_weights(class_weight, labels, classes, len(names))

    body, tokenizer = _body(model, tokenizer, loading)
    pooled = _checked_pooling(body, pooling)
    probe = _with_head(body, pooled)

    def vectors(given: list[Any]) -> Floats:
        return _features(probe, tokenizer, given, batch_size, max_length, features_dir, disable_tqdm)

    features = vectors(texts)
    has_intercept = "bias" in probe.stored.slots["head.output"].shapes()
    shift = features.mean(0) if has_intercept else np.zeros(features.shape[1])
    deviation = features.std(0)
    scale = np.where(deviation > 1e-5 * float(deviation.max()), deviation, np.inf)  # constants count 0
    features = (features - shift) / scale

    folds = min(folds, int(np.bincount(classes).min()))
    accuracy, measured_on = None, "nothing: too few examples"
    if folds > 1:
        strengths = STRENGTHS if l2 == "auto" else (float(l2),)
        fold = folds_of(classes, folds, seed)
        l2, accuracy = best_l2(features, classes, len(names), fold, weights, has_intercept, strengths)
        measured_on = "cross-validation"
    l2 = L2_UNCHOSEN if l2 == "auto" else float(l2)
    fitted = fit_logistic(features, classes, len(names), l2, weights, has_intercept)
    if held_out is not None:
        logits = fitted.logits((vectors(held_out[0]) - shift) / scale)
        accuracy, measured_on = float((logits.argmax(1) == held_out[1]).mean()), "validation"
    made = _with_head(body, pooled, names, _folded(fitted, shift, scale))
    return FittedHead(made, tokenizer, accuracy, measured_on, l2, pooled, time.perf_counter() - begin)


# -- the examples ----------------------------------------------------------------------------------------------------


def _columns(texts: Any, labels: Any, text_column: str, label_column: str) -> tuple[list[Any], list[Label]]:
    """The texts and labels as lists, checked."""
    if labels is None:
        from ..data import as_dataset

        rows = as_dataset(texts)
        for name in (text_column, label_column):
            if rows.column_names is not None and name not in rows.column_names:
                raise InputError(
                    f"the data set has no column {name!r}; it has {', '.join(rows.column_names)}. Name them: "
                    "text_column=, label_column=; or give texts and labels."
                )
        pairs = [(row[text_column], row[label_column]) for row in rows]
        texts, labels = [text for text, _ in pairs], [label for _, label in pairs]
    if isinstance(texts, str) or isinstance(labels, str):
        raise InputError("texts and labels are lists, one label for each text; a string was given.")
    texts, labels = list(texts), [each.item() if isinstance(each, np.generic) else each for each in labels]
    if len(texts) != len(labels):
        raise InputError(f"there are {len(texts)} texts and {len(labels)} labels; each text needs one label.")
    for place, text in enumerate(texts):
        parts = text if isinstance(text, (list, tuple)) and len(text) == 2 else (text,)
        if not all(isinstance(part, str) and part.strip() for part in parts):
            raise InputError(f"text {place} is {text!r:.60}; each must be a string that is not empty (or two of them).")
    return texts, labels


def _classes(labels: list[Label]) -> tuple[list[Label], npt.NDArray[np.int64]]:
    """The labels in order, and each example's number among them."""
    for place, label in enumerate(labels):
        if not isinstance(label, (str, int)) or label == "":
            raise InputError(f"label {place} is {label!r:.60}; labels are strings or whole numbers.")
    if len({type(label) for label in labels}) > 1:
        raise InputError("some labels are strings and some are numbers; they must be of one kind.")
    names = sorted(set(labels))
    if len(names) < 2:
        raise InputError(f"all {len(labels)} examples have the label {names[:1]}; a classifier needs two or more.")
    number = {label: i for i, label in enumerate(names)}
    return names, np.array([number[label] for label in labels], np.int64)


def _validation(
    given: Any, names: list[Label], text_column: str, label_column: str
) -> tuple[list[Any], npt.NDArray[np.int64]]:
    texts, labels = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    texts, labels = _columns(texts, labels, text_column, label_column)
    strange = sorted({str(label) for label in labels} - {str(name) for name in names})
    if strange:
        raise InputError(f"validation has labels that no example has: {', '.join(strange[:5])}.")
    return texts, np.array([names.index(label) for label in labels], np.int64)


def _check(l2: Any, folds: Any, batch_size: Any) -> None:
    if l2 != "auto" and not (isinstance(l2, (int, float)) and math.isfinite(l2) and l2 > 0):
        raise InvalidArgument(f"l2={l2!r} must be a number above 0, or 'auto'.")
    for name, value, least in (("folds", folds, 2), ("batch_size", batch_size, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidArgument(f"{name}={value!r} must be a whole number from {least} on.")


def _example_weights(
    class_weight: Any, labels: list[Label], classes: npt.NDArray[np.int64], num_classes: int
) -> Floats:
    if class_weight is None:
        return np.ones(len(labels))
    if class_weight == "balanced":
        each: Floats = len(labels) / (num_classes * np.bincount(classes))
        return each[classes]
    if not isinstance(class_weight, Mapping) or any(not value > 0 for value in class_weight.values()):
        raise InvalidArgument(f"class_weight={class_weight!r:.60} must be 'balanced', or {{label: above 0}}.")
    if strange := set(class_weight) - set(labels):
        raise InvalidArgument(f"class_weight names {sorted(map(str, strange))}, which no example has as its label.")
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])


# -- the vectors -----------------------------------------------------------------------------------------------------


def _body(model: Any, tokenizer: Any, loading: dict[str, Any]) -> tuple[Model, Any]:
    from ..tokenization import AutoTokenizer

    finding = {key: value for key, value in loading.items() if key in _FINDING}
    if isinstance(model, Model):
        name = model.name_or_path
    else:
        name = str(model)
        model = AutoModelForSequenceClassification.from_pretrained(name, new_head=True, **loading)
    if tokenizer is None and not name:
        raise InvalidArgument("the model was not loaded from a checkpoint: give its tokenizer=.")
    if tokenizer is None or isinstance(tokenizer, (str, Path)):
        tokenizer = AutoTokenizer.from_pretrained(tokenizer or name, **finding)
    return model, tokenizer


_FINDING = ("revision", "cache_dir", "token", "local_files_only", "subfolder")


def _features(
    probe: Model,
    tokenizer: Any,
    texts: list[Any],
    batch_size: int,
    max_length: int | None,
    folder: str | Path | None,
    disable_tqdm: bool | None,
) -> Floats:
    """float64 [texts, hidden]: what enters the head's last map."""
    limit = min((n for n in (max_length, probe.max_length, tokenizer.model_max_length) if n), default=None)
    pairs = [text[1] if isinstance(text, (list, tuple)) else None for text in texts]
    if any(pair is not None for pair in pairs) and not all(pair is not None for pair in pairs):
        raise InputError("some texts are pairs and some are not; they must be of one kind.")
    ids, types = tokenizer.encode_ids(
        [text[0] if isinstance(text, (list, tuple)) else text for text in texts],
        [str(pair) for pair in pairs] if texts and pairs[0] is not None else None,
        truncation="longest_first",
        max_length=limit,
    )
    if types is not None and not probe.options.type_vocab_size:
        types = None
    path = None if folder is None else Path(folder) / f"features-{_fingerprint(probe, ids, types)}.safetensors"
    if path is not None and path.is_file():
        return SafetensorsFile(path).read("features").astype(np.float64)
    from tqdm import tqdm

    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = np.empty((len(ids), probe.config.num_labels), np.float32)
    is_shown = shows_progress(disable_tqdm)
    with tqdm(total=len(ids), desc="reading", unit=" texts", disable=not is_shown, dynamic_ncols=True) as bar:
        for begin in range(0, len(order), batch_size):
            some = order[begin : begin + batch_size]
            batch = Batch.of([ids[i] for i in some], None if types is None else [types[i] for i in some])
            found[some] = probe.forward(batch)
            bar.update(len(some))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_safetensors({"features": found}, path)
    return found.astype(np.float64)


def _fingerprint(probe: Model, ids: list[list[int]], types: Any) -> str:
    """Of all that the vectors depend on: tokens, config and weights."""
    digest = hashlib.sha256(repr((probe.config, ids, types)).encode())
    for slot in probe.stored.slots:
        for part, tensor in probe.stored.read(slot).items():
            digest.update(f"{slot}.{part}".encode() + np.ascontiguousarray(tensor).tobytes())
        probe.stored.release(slot)
    return digest.hexdigest()[:24]


# -- the model -------------------------------------------------------------------------------------------------------


def _folded(fitted: Logistic, shift: Floats, scale: Floats) -> Tensors:
    """The head's last map of vectors as they come: the standardisation is in its weights."""
    weights = fitted.weights / scale
    intercepts = fitted.intercepts - weights @ shift
    if len(weights) == 1:  # two classes: two logits, whose difference is the evidence
        weights, intercepts = np.concatenate([-weights, weights]) / 2, np.concatenate([-intercepts, intercepts]) / 2
    return {"weight": weights.astype(np.float32), "bias": intercepts.astype(np.float32)}


def _checked_pooling(body: Model, pooling: str) -> str:
    """What the head will read."""
    own = "first" if isinstance(body.family, EncoderFamily) else "last"
    options = body.options
    can = (
        isinstance(body.family, EncoderFamily)
        and options.relative is None
        and options.weights_of is None
        and not options.has_final_norm
        and not any(layer.norm_first for layer in options.layers)
    )
    if pooling == "auto":
        return "mean" if can else own
    if pooling == own or (pooling == "mean" and can):
        return pooling
    choices = f"'mean' or {own!r}" if can else repr(own)
    raise InvalidArgument(f"pooling={pooling!r}: a head of {body.config.model_type} can read {choices}.")


def _with_head(body: Model, pooling: str, names: Sequence[Label] | None = None, output: Tensors | None = None) -> Model:
    """The model with a head of our making; without `output`, one that gives the vectors themselves."""
    layers = body.config.num_hidden_layers  # type: ignore[attr-defined]
    hidden = int(body.options.decoder.hidden_size if body.family.is_encoder_decoder else body.options.hidden_size)
    changes: dict[str, Any] = {"num_labels": hidden}
    if names is not None:
        labels = {i: _label_name(name, i) for i, name in enumerate(names)}
        changes = {"id2label": labels, "label2id": {label: i for i, label in labels.items()}}
    changes |= {"num_hidden_layers": layers + 1} if pooling == "mean" else {}
    changes |= {"problem_type": "single_label_classification"}
    kind = class_named(body.family, body.config.model_type, HEAD)
    config = body.config.from_dict(body.config.to_dict(), **changes)
    made: dict[str, Tensors] = {}
    slots = body.family.slots(config, HEAD)
    if pooling == "mean":
        made = {slot: _of_mean(slot, slots[slot]) for slot in slots if slot.startswith(f"layers.{layers}.")}
    if "head.dense" in slots:
        made["head.dense"] = _passing(body.family.activation(config, HEAD), hidden, _bound(body, made))
    output = output or {"weight": np.eye(hidden, dtype=np.float32), "bias": np.zeros(hidden, np.float32)}
    made["head.output"] = {part: output[part] for part in slots["head.output"].shapes()}
    lacking = [slot for slot in slots if slot not in made and slot not in body.stored.slots]
    if lacking:
        raise InvalidArgument(f"the model given lacks {', '.join(lacking[:3])}: give one of the whole body.")

    def read(slot: str) -> Tensors:
        return made[slot] if slot in made else body.stored.read(slot)

    def release(slot: str) -> None:
        if slot not in made:
            body.stored.release(slot)

    return kind(config, Stored(slots, read, release), ops=body.ops, name_or_path=body.name_or_path)


def _label_name(label: Label, number: int) -> str:
    return f"LABEL_{number}" if label == number and not isinstance(label, (str, bool)) else str(label)


def _of_mean(slot: str, kind: Slot) -> Tensors:
    """A tensor of the layer that adds the mean of all tokens to each: no query prefers any key."""
    tensors = {part: np.zeros(shape, np.float32) for part, shape in kind.shapes().items()}
    if isinstance(kind, NormSlot):
        tensors["weight"][:] = 1
    elif slot.endswith("attention.qkv"):
        assert isinstance(kind, LinearSlot), "queries, keys and values are a linear map"
        tensors["weight"][-kind.inputs :] = np.eye(kind.inputs)
    elif slot.endswith("attention.output"):
        tensors["weight"][:] = np.eye(len(tensors["weight"])) * _MEAN_WEIGHS
    return tensors


def _bound(body: Model, made: Mapping[str, Tensors]) -> float:
    """How large a part of the vectors can be: a norm made them, so no part exceeds sqrt(hidden) before its gain."""
    norms = [(slot, kind) for slot, kind in body.stored.slots.items() if isinstance(kind, NormSlot)]
    slot, kind = next((slot, kind) for slot, kind in reversed(norms) if not slot.startswith("head."))
    if made:
        return math.sqrt(kind.size)
    tensors = body.stored.read(slot)
    gain, bias = np.abs(tensors["weight"]), np.abs(tensors["bias"]) if kind.bias else 0.0
    return float((gain * math.sqrt(kind.size) + bias).max())


def _passing(activation: str, hidden: int, bound: float) -> Tensors:
    """A dense layer that passes numbers of up to `bound` through its activation, and they can be told from each other.

    tanh is nearly straight around 0; relu and the two gelus are, where all is far above it.
    """
    scale, shift = (1 / (8 * bound), 0.0) if activation == "tanh" else (1.0, bound + 8.0)
    weight = np.eye(hidden, dtype=np.float32) * np.float32(scale)
    return {"weight": weight, "bias": np.full(hidden, shift, np.float32)}
