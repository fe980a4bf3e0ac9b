"""Collators that make the labels themselves: of language models, and of texts that were spoiled to be repaired.

Ragged batches are drawn from each row's own seed, so that a row of an epoch is masked in one way, whatever the batch.
A call draws from the collator's own generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import InputError, InvalidArgument
from ...models.model import Model
from ...tokenization import BatchEncoding, Tokenizer
from ...tokenization.batch_encoding import to_python
from ..batches import IGNORED, TrainingBatch
from ..masking import Masking, Sentences, Words, fill_in, mask_tokens, noise_spans, sentinels_of, special_ids
from ..order import generator
from .padding import DataCollatorForSeq2Seq, filled, padded, tensors
from .ragged import DOCUMENTS, Feature, ragged

__all__ = [
    "DataCollatorForDenoising",
    "DataCollatorForLanguageModeling",
    "DataCollatorForSpanCorruption",
    "DataCollatorForWholeWordMask",
]

Ints = npt.NDArray[np.int64]


class Drawing(ABC):
    """A collator that draws.   seed: of its calls; the Trainer gives each row a seed of its own."""

    makes_labels: ClassVar[bool] = True  # rows need none
    seed: int | None

    @abstractmethod
    def changed(self, feature: Feature, random: np.random.Generator) -> dict[str, Any]:
        """The row with its labels."""

    @abstractmethod
    def laid(self, rows: Sequence[dict[str, Any]], return_tensors: str | None) -> BatchEncoding:
        """Changed rows as rectangles."""

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> BatchEncoding:
        """The rectangles by name: input_ids, attention_mask, labels; decoder_input_ids if it has a decoder's model."""
        return self.laid([self.changed(_feature(each), self._random) for each in features], return_tensors)

    def rectangles(self, features: Sequence[Any], seeds: Sequence[int]) -> BatchEncoding:
        """The same, each row drawn from its seed."""
        return self.laid(self._drawn(features, seeds), None)

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raises InvalidArgument for a model that cannot learn from these labels."""

    def ragged(self, features: Sequence[Feature], model: Model, seeds: Sequence[int]) -> TrainingBatch:
        """The rows as a ragged batch, each drawn from its seed."""
        self.check(model)
        return ragged(self._drawn(features, seeds), model)

    def _drawn(self, features: Sequence[Any], seeds: Sequence[int]) -> list[dict[str, Any]]:
        return [self.changed(_feature(each), generator(seed)) for each, seed in zip(features, seeds, strict=True)]

    @cached_property
    def _random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


@dataclass
class DataCollatorForLanguageModeling(Drawing):
    """Labels of language models: masked (mlm) or causal.

    mlm: hide tokens and ask for them; False: each token is its own label, which the loss shifts.
    whole_word_mask: hide words rather than tokens.   mlm_probability: of a token (or word) to be chosen;
    mask_replace_prob, random_replace_prob: the shares of these that become the mask, and any token.
    Special tokens are never chosen. Labels of a causal model that are the padding token are -100 when called, as in
    transformers; in a ragged batch there is no padding, and a text's end is learned even where both are one token.
    Rows of several documents (document_lengths) are each one text when called.
    Raises InvalidArgument for a tokenizer without a mask token.
    """

    tokenizer: Tokenizer
    mlm: bool = True
    whole_word_mask: bool = False
    mlm_probability: float | None = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.mlm:
            return
        if self.tokenizer.mask_token_id is None:
            raise InvalidArgument(
                "this tokenizer has no mask token, which masked language modeling needs: give mlm=False for a "
                "causal model."
            )
        shares = {"mask_replace_prob": self.mask_replace_prob, "random_replace_prob": self.random_replace_prob}
        shares["mlm_probability"] = self.mlm_probability or 0.0
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise InvalidArgument(f"{name} is {share}; it is a share, from 0 to 1.")
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise InvalidArgument("mask_replace_prob and random_replace_prob are together more than 1.")

    def laid(self, rows: Sequence[dict[str, Any]], return_tensors: str | None) -> BatchEncoding:
        """Changed rows as rectangles."""
        columns = {name: [row[name] for row in rows] for name in rows[0] if name not in _OF_ROWS}
        labels = columns.pop("labels")
        made = padded(self.tokenizer, columns, True, None, self.pad_to_multiple_of)
        width, side = len(made["input_ids"][0]), self.tokenizer.padding_side
        if not self.mlm:
            labels = [[IGNORED if t == self.tokenizer.pad_token_id else t for t in row] for row in labels]
        made["labels"] = [filled(row, width, IGNORED, side) for row in labels]
        return tensors(made, return_tensors or self.return_tensors)

    def changed(self, feature: Feature, random: np.random.Generator) -> dict[str, Any]:
        """The row with its labels."""
        row = {name: to_python(v) for name, v in feature.items() if name in _KEPT}
        ids = np.asarray(row["input_ids"], np.int64)
        if not self.mlm:
            return row | {"labels": ids.tolist()}
        words = self._word_numbers(feature, ids) if self.whole_word_mask else None
        hidden, labels = mask_tokens(ids, self._hideable(feature, ids), self._masking, random, words)
        return row | {"input_ids": hidden.tolist(), "labels": labels.tolist()}

    def check(self, model: Model) -> None:
        """Raises InvalidArgument for a model that cannot learn from these labels."""
        wanted = "masked-lm" if self.mlm else "causal-lm"
        if model.head != wanted:
            other = f"give mlm={not self.mlm}" if model.head in ("masked-lm", "causal-lm") else f"load a {wanted} model"
            raise InvalidArgument(
                f"{type(self).__name__}(mlm={self.mlm}) makes labels for a {wanted} model, and this has the head "
                f"{model.head}: {other}."
            )

    def _hideable(self, feature: Feature, ids: Ints) -> Any:
        if feature.get("special_tokens_mask") is not None:
            return np.asarray(to_python(feature["special_tokens_mask"])) == 0
        return ~np.isin(ids, self._special)

    def _word_numbers(self, feature: Feature, ids: Ints) -> Ints:
        """By the row's word_ids if it has them, else by the tokens."""
        given = feature.get("word_ids")
        if given is None:
            return self._words.numbers(ids)
        words = [-1 if word is None else word for word in to_python(given)]
        changes = np.concatenate([[0], np.cumsum(np.diff(words) != 0)]) if words else np.zeros(0)
        return changes.astype(np.int64)

    @cached_property
    def _words(self) -> Words:
        return Words(self.tokenizer)

    @cached_property
    def _special(self) -> Ints:
        return special_ids(self.tokenizer)

    @cached_property
    def _masking(self) -> Masking:
        mask_id = self.tokenizer.mask_token_id
        assert mask_id is not None, "checked when it was made"
        shares = self.mask_replace_prob, self.random_replace_prob
        return Masking(mask_id, len(self.tokenizer), self.mlm_probability or 0.0, *shares)


@dataclass
class DataCollatorForWholeWordMask(DataCollatorForLanguageModeling):
    """Masked language modeling that chooses words, not tokens: word_ids of a row, or the tokens' own marks, say which.

    The rest as DataCollatorForLanguageModeling.
    """

    whole_word_mask: bool = True


@dataclass
class _Repairing(Drawing):
    """Collators whose labels are a text and whose inputs are what was made of it."""

    tokenizer: Tokenizer
    model: Model | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    seed: int | None = None

    def laid(self, rows: Sequence[dict[str, Any]], return_tensors: str | None) -> BatchEncoding:
        """Changed rows as rectangles."""
        pad = DataCollatorForSeq2Seq(self.tokenizer, self.model, pad_to_multiple_of=self.pad_to_multiple_of)
        return pad(rows, return_tensors or self.return_tensors)

    def check(self, model: Model) -> None:
        """Raises InvalidArgument for a model that cannot learn from these labels."""
        if model.head != "seq2seq-lm":
            raise InvalidArgument(
                f"{type(self).__name__} is for models with an encoder and a decoder (T5, BART …), and this has the "
                f"head {model.head}."
            )

    def _body(self, feature: Feature) -> tuple[Ints, Ints, Ints]:
        """The tokens, and the special ones before and after them."""
        ids = np.asarray(to_python(feature["input_ids"]), np.int64)
        if feature.get("attention_mask") is not None:
            ids = ids[np.asarray(to_python(feature["attention_mask"])) != 0]
        of_text = (self.tokenizer.unk_token_id, self.tokenizer.mask_token_id)
        around = [token for token in special_ids(self.tokenizer).tolist() if token not in of_text]
        plain = np.flatnonzero(~np.isin(ids, around))
        begin, end = (int(plain[0]), int(plain[-1]) + 1) if len(plain) else (len(ids), len(ids))
        return ids[begin:end], ids[:begin], ids[end:]


@dataclass
class DataCollatorForSpanCorruption(_Repairing):
    """T5's objective: spans of the text are taken out, and asked for.

    noise_density: the share of tokens taken out.   mean_noise_span_length: in tokens.
    model: for decoder_input_ids in what a call gives.   Source: Raffel et al. 2020, arXiv:1910.10683.
    """

    noise_density: float = 0.15
    mean_noise_span_length: float = 3.0

    def __post_init__(self) -> None:
        self._sentinels = sentinels_of(self.tokenizer)
        if not 0 < self.noise_density < 1 or not self.mean_noise_span_length >= 1:
            raise InvalidArgument("noise_density must be between 0 and 1, mean_noise_span_length 1 or more.")

    def changed(self, feature: Feature, random: np.random.Generator) -> dict[str, Any]:
        """The row without its spans, and the spans as labels."""
        body, _, _ = self._body(feature)
        kept, taken = noise_spans(body, self._sentinels, random, self.noise_density, self.mean_noise_span_length)
        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        return {"input_ids": [*kept.tolist(), *end], "labels": [*taken.tolist(), *end]}


@dataclass
class DataCollatorForDenoising(_Repairing):
    """BART's objective: sentences are put in another order, spans become one mask each, and the text is asked for.

    mask_ratio: the share of tokens hidden.   poisson_lambda: the mean length of a span.
    permute_sentences: put them in another order first.   model: for decoder_input_ids in what a call gives.
    Source: Lewis et al. 2020, arXiv:1910.13461.   Raises InvalidArgument for a tokenizer without a mask token.
    """

    mask_ratio: float = 0.3
    poisson_lambda: float = 3.0
    permute_sentences: bool = True
    _sentences: Sentences = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.tokenizer.mask_token_id is None:
            raise InvalidArgument(
                "this tokenizer has no mask token, which denoising needs; T5's way is span corruption."
            )
        if not 0 <= self.mask_ratio < 1 or not self.poisson_lambda > 0:
            raise InvalidArgument("mask_ratio must be at least 0 and below 1, poisson_lambda above 0.")
        self._sentences = Sentences(self.tokenizer)

    def changed(self, feature: Feature, random: np.random.Generator) -> dict[str, Any]:
        """The spoiled row, and the row itself as labels."""
        body, before, after = self._body(feature)
        shuffled = self._sentences.shuffled(body, random) if self.permute_sentences else body
        mask_id = self.tokenizer.mask_token_id
        assert mask_id is not None, "checked when it was made"
        spoiled = fill_in(shuffled, mask_id, random, self.mask_ratio, self.poisson_lambda)
        around = [np.concatenate([before, part, after]).tolist() for part in (spoiled, body)]
        return {"input_ids": around[0], "labels": around[1]}


_OF_ROWS = (DOCUMENTS, "special_tokens_mask")  # a rectangle has no room for the one, and models take no other
_KEPT = ("input_ids", "attention_mask", "token_type_ids", *_OF_ROWS)


def _feature(example: Any) -> Mapping[str, Any]:
    """A row, also one that is only its token ids."""
    feature = example if isinstance(example, Mapping) or hasattr(example, "keys") else {"input_ids": example}
    if "input_ids" not in feature:
        raise InputError(f"the rows have {', '.join(feature)}; they need input_ids: tokenize the texts first.")
    return feature
