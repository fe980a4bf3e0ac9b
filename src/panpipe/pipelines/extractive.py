"""summarization by choosing sentences: what panpipe does where no model that writes summaries was named.

A sentence is worth its closeness to the whole text, and a little more near the beginning, where texts say what they are
about; what repeats a chosen one is worth less (maximal marginal relevance).
Source: Carbonell & Goldstein 1998, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing
Summaries".
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..batch import Batch
from ..errors import InputError, InvalidArgument
from .base import Encoded, Pipeline
from .detecting import language_of
from .documents import parts_within
from .generating import GENERATION_ARGUMENTS
from .inputs import shown
from .items import Array, Item, Outputs
from .parameters import given
from .sentences import Sentence, pieces_within

__all__ = ["ExtractiveSummarizationPipeline"]

_log = logging.getLogger("panpipe")

_NOVELTY = 0.3  # how much repetition counts against closeness
_BEGINNING = 0.3  # what the first sentence is worth more than the last ones
_USUAL = 3  # sentences, and no more than a third of the text
_FEATURES = 2048  # places for the pairs of characters
_READ_BY_THE_ENCODER = (None, "en", "fr")


@dataclass(eq=False)
class _Text:
    """An input's sentences, and how many tokens each has."""

    sentences: list[Sentence]
    lengths: list[int]


class ExtractiveSummarizationPipeline(Pipeline):
    """Summaries made of a text's own sentences, in their order; nothing is written.

    model: of sentences (mean pooling), such as all-MiniLM-L6-v2. Texts in a script that it does not read are compared
    by the pairs of characters that their sentences share.
    Inputs: a string, or a list or stream of strings, of any length.
    The answer for a text: [{"summary_text"}]. A list of texts has its dictionaries in one list.
    num_sentences: how many sentences; without, three at most, and no more than a third of the text's.
    ratio: the same, as a part of the text's (0 … 1).
    max_length, max_new_tokens: the most tokens, special ones not counted. Only if each sentence alone has more is one
    cut, after a clause or word.
    min_length, min_new_tokens: the fewest tokens, as far as the text and the most allow it.
    The parameters of generation are accepted and change nothing, which is said.
    """

    task_name: ClassVar[str] = "summarization"
    head: ClassVar[str | None] = "base"
    class_defaults: ClassVar[Mapping[str, Any]] = {}
    open_names: ClassVar[tuple[str, ...]] = (
        *GENERATION_ARGUMENTS,
        *("return_tensors", "return_text", "return_type", "clean_up_tokenization_spaces", "stop_sequence", "seed"),
        "return_seed",
    )
    nature: ClassVar[str] = "It is extractive: it picks sentences, it writes none."

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The summary of one text; a list of summaries for a list; an iterator of them for a stream."""
        named = [name for name in ("inputs", "text", "documents") if name in kwargs]
        inputs = kwargs.pop(named[0]) if not args and len(named) == 1 else args[0] if args else None
        return super().__call__(inputs, *args[1:], **kwargs)

    def _sanitize_parameters(
        self,
        max_length: int | None = None,
        min_length: int | None = None,
        max_new_tokens: int | None = None,
        min_new_tokens: int | None = None,
        num_sentences: int | None = None,
        ratio: float | None = None,
        truncation: bool | str | None = None,
        long_text: str | None = None,
        **generate_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        without = [*given(generate_kwargs), *given({"truncation": truncation, "long_text": long_text})]
        if without:
            _log.warning("this summary is picked, not written: %s changes nothing.", ", ".join(without))
        most = max_new_tokens if max_new_tokens is not None else max_length
        least = min_new_tokens if min_new_tokens is not None else min_length
        counts = {"most": most, "least": least, "num_sentences": num_sentences}
        for name, value in counts.items():
            lowest = 0 if name == "least" else 1
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
                told = {"most": "max_length", "least": "min_length"}.get(name, name)
                raise InvalidArgument(f"{told}={shown(value)}: give a whole number, {lowest} or more.")
        is_part = isinstance(ratio, (int, float)) and not isinstance(ratio, bool) and 0 < ratio <= 1
        if ratio is not None and (not is_part or num_sentences is not None):
            raise InvalidArgument(
                f"ratio={shown(ratio)}: give a number above 0, at most 1, and no num_sentences with it."
            )
        instead = {} if ratio is None else {"num_sentences": None}  # of a call, instead of the constructor's
        return {}, {}, {**given({**counts, "ratio": ratio}), **instead}

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """A text that says something.   Raises InputError."""
        text = super().check(value, parameters)
        if not text.strip():
            raise InputError("the text is empty: there is nothing to summarise.")
        return text

    def encode(self, inputs: list[Any], *_: Any, **parameters: Any) -> list[Encoded]:
        """An item for each sentence, or part of one, that the encoder can read."""
        return [self._items(text) for text in inputs]

    def _items(self, text: str) -> list[Item]:
        room = (self.max_length or 10**9) - len(self.tokenizer.encode_batch([""])[0])
        parts, lengths = parts_within(text, self._bare, room)
        places = {part.text: index for index, part in reversed(list(enumerate(parts))) if part.text}
        chosen = sorted(places.values())  # what is said again, in the same words, is said once
        document = _Text([parts[index] for index in chosen], [lengths[index] for index in chosen])
        items = [Item((), extra=document) for _ in chosen]
        texts = [sentence.text for sentence in document.sentences]
        if language_of(text) not in _READ_BY_THE_ENCODER:
            for item, features in zip(items, _pairs(texts), strict=True):
                item.output = features
            return items
        encodings = self.tokenizer.encode_batch(texts, truncation=True, max_length=self.max_length)
        return [self.item(encoding, extra=document) for encoding in encodings]

    def _bare(self, texts: Sequence[str]) -> list[Any]:
        return self.tokenizer.encode_batch(texts, add_special_tokens=False)  # type: ignore[no-any-return]

    def run(self, items: Iterable[Item], batch_size: int | None = None, **parameters: Any) -> None:
        """A vector for each sentence that has none yet."""
        super().run([item for item in items if len(item.token_ids)], batch_size, **parameters)

    def infer(self, batch: Batch, items: list[Item], *_: Any, **parameters: Any) -> Iterable[Array]:
        """The mean of each sentence's hidden states, of length 1."""
        return self.model.pool(batch, "mean", True)  # type: ignore[no-any-return]

    def postprocess(
        self,
        outputs: Outputs,
        *,
        most: int | None = None,
        least: int | None = None,
        num_sentences: int | None = None,
        ratio: float | None = None,
    ) -> list[dict[str, Any]]:
        """[{"summary_text"}]."""
        document: _Text = outputs[0].extra
        number = num_sentences or max(1, round((ratio or 0) * len(outputs)))
        if num_sentences is None and ratio is None:
            number = min(_USUAL, -(-len(outputs) // 3))
        vectors = np.stack([item.output for item in outputs])
        chosen = _within(ranked(vectors), document.lengths, number, least or 0, most or 10**9)
        if not chosen:
            best = document.sentences[next(ranked(vectors))]
            return [{"summary_text": self._cut(best.text, most or 1)}]
        sentences = [document.sentences[index] for index in sorted(chosen)]
        text = "".join(sentence.text + (" " if sentence.after else "") for sentence in sentences)
        return [{"summary_text": text.rstrip()}]

    def _cut(self, sentence: str, most: int) -> str:
        """A sentence's beginning of at most so many tokens."""
        (encoding,) = self._bare([sentence])
        return pieces_within(sentence, [end for _, end in encoding.offsets], most)[0].text

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """Of a list of texts, the dictionaries without a list around each."""
        if self.is_single(inputs):
            return answers[0]
        return [answer[0] if isinstance(answer, list) else answer for answer in answers]


def ranked(vectors: Array, novelty: float = _NOVELTY, beginning: float = _BEGINNING) -> Iterator[int]:
    """The sentences, the most useful first.

    vectors: float32 [sentences, features], each of length 1, in the text's order.
    """
    centre = vectors.sum(0)
    worth = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-9))
    worth = (1 - novelty) * (worth + beginning / (1 + np.arange(len(vectors))))
    nearest = np.zeros(len(vectors), np.float32)  # of the chosen ones
    left = np.ones(len(vectors), bool)
    for _ in range(len(vectors)):
        best = int(np.where(left, worth - novelty * nearest, -np.inf).argmax())
        yield best
        left[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])


def _within(order: Iterable[int], lengths: Sequence[int], number: int, least: int, most: int) -> list[int]:
    """The first `number` sentences that fit into `most` tokens together, and more until there are `least`."""
    chosen: list[int] = []
    size = 0
    for index in order:
        if size + lengths[index] <= most:
            chosen.append(index)
            size += lengths[index]
        if (len(chosen) >= number and size >= least) or size + min(lengths) > most:
            break
    return chosen


def _pairs(sentences: Sequence[str]) -> Array:
    """The pairs of characters in each sentence, rare ones counting more: float32 [sentences, features] of length 1."""
    counts = np.zeros((len(sentences), _FEATURES), np.float32)
    for row, sentence in zip(counts, sentences, strict=True):
        for word in sentence.casefold().split():
            padded = f" {word}"  # where a word begins tells; its end is often a particle or a full stop
            for begin in range(len(padded) - 1):
                row[zlib.crc32(padded[begin : begin + 2].encode("utf-8", "surrogatepass")) % _FEATURES] += 1
    rarity = np.log((1 + len(sentences)) / (1 + (counts > 0).sum(0))) + 1
    weighted = np.sqrt(counts) * rarity
    return np.asarray(weighted / np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-9), np.float32)
