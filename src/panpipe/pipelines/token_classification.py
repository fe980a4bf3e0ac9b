"""token-classification, alias ner: a label for each token, or the entities that neighbouring tokens make."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..errors import InputError, InvalidArgument, PanpipeError, did_you_mean
from .base import Encoded, Pipeline
from .entities import AggregationStrategy, drop_overlaps, group, label_tokens, label_words, strategy_name
from .items import Array, Item, Outputs
from .lengths import encode_each, too_long
from .parameters import given
from .tags import Tags, read_tags
from .text_classification import softmax
from .tokenized import TokenizedText
from .windows import edges, most_central, window_bounds

__all__ = ["AggregationStrategy", "NerPipeline", "TokenClassificationPipeline"]

_log = logging.getLogger("panpipe")

WORD_BOUNDARIES = ("transformers", "words")
MOST_OVERLAP = 128  # tokens that neighbouring windows share where the caller does not say


@dataclass(frozen=True)
class _Placed:
    """An input with its own offset_mapping."""

    value: Any
    offsets: Sequence[tuple[int, int]]


class _Window(NamedTuple):
    """The tokens begin … end - 1 of a text, run between its special tokens.

    ahead: the number of special tokens before them.   merged: one of several windows that become one answer per token.
    """

    text: TokenizedText
    begin: int
    end: int
    ahead: int
    merged: bool = False


class TokenClassificationPipeline(Pipeline):
    """The labelled tokens, or entities, of a text.

    Inputs: a string; a list or stream of these. With is_split_into_words=True a list of words, or a list of such lists;
    offsets then refer to the words joined with `delimiter` (a space).
    aggregation_strategy: "none": {"entity", "score", "index", "word", "start", "end"} for each token; "simple":
    neighbours of one type become {"entity_group", "score", "word", "start", "end"}; "first", "average", "max": the same
    over words, each labelled by its first token, by the mean of its tokens, or by its surest token.
    ignore_labels: labels (or groups) to leave out, ["O"].
    stride: windows that overlap by so many tokens; of entities that overlap the longer or surer stays.
    offset_mapping: (start, end) of each token, special ones included, instead of the tokenizer's; a list for each text.

    What transformers does not have:
    long_text: a text over the model's length is cut, as there, but with a warning; "truncate" cuts without one, "error"
    refuses, "window" reads all of it, taking each token from the window that sees most around it.
    word_boundaries="words": words by the tokenizer's word ids, punctuation, line breaks and scripts without spaces;
    Korean particles that the tokenizer splits off are words; "word" is the text's own slice, spaces trimmed.
    scheme: how labels are read, see `panpipe.pipelines.tags` ("auto" finds IOBES, BILOU, PER-B …).
    min_score: leaves out entities below it.   exact_text: trims spaces from start and end and adds "text", the slice.
    trim_particles: takes a Korean particle that has tokens of its own off the end of an entity.
    """

    task_name: ClassVar[str] = "token-classification"
    head: ClassVar[str | None] = "token-classification"
    expects: ClassVar[str] = "a string"
    _has_warned = False

    # -- parameters --------------------------------------------------------------------------------------------------

    def _sanitize_parameters(
        self,
        ignore_labels: Sequence[str] | None = None,
        grouped_entities: bool | None = None,
        ignore_subwords: bool | None = None,
        aggregation_strategy: AggregationStrategy | str | None = None,
        offset_mapping: Sequence[Any] | None = None,
        is_split_into_words: bool | None = None,
        stride: int | None = None,
        delimiter: str | None = None,
        word_boundaries: str | None = None,
        scheme: str | None = None,
        min_score: float | None = None,
        exact_text: bool | None = None,
        trim_particles: bool | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        strategy = None if aggregation_strategy is None else strategy_name(aggregation_strategy)
        if grouped_entities is not None or ignore_subwords is not None:
            strategy = _deprecated_strategy(grouped_entities, ignore_subwords)
        if stride is not None:
            self._check_stride(stride, strategy)
        if word_boundaries is not None and word_boundaries not in WORD_BOUNDARIES:
            near = did_you_mean(str(word_boundaries), WORD_BOUNDARIES)
            raise InvalidArgument(
                f"word_boundaries={word_boundaries!r}: give one of {', '.join(WORD_BOUNDARIES)}.{near}"
            )
        preprocess: dict[str, Any] = {
            "is_split_into_words": is_split_into_words,
            "stride": stride,
            "delimiter": delimiter,
            "offset_mapping": offset_mapping,
        }
        postprocess = {
            "aggregation_strategy": strategy,
            "ignore_labels": ignore_labels,
            "word_boundaries": word_boundaries,
            "tags": None if scheme is None else read_tags(self.model.config.id2label, scheme),
            "min_score": min_score,
            "exact_text": exact_text,
            "trim_particles": trim_particles,
        }
        return given(preprocess), {}, given(postprocess)

    def _check_stride(self, stride: Any, strategy: str | None) -> None:
        if isinstance(stride, bool) or not isinstance(stride, (int, np.integer)) or stride < 0:
            raise InvalidArgument(f"stride={stride!r}: give the number of tokens that windows share, 0 or more.")
        if self.max_length is not None and stride >= self.max_length:
            raise InvalidArgument(
                f"`stride` must be less than `tokenizer.model_max_length`: windows of {self.max_length} tokens cannot "
                f"share {stride}."
            )
        if strategy == "none":
            raise InvalidArgument(
                '`stride` was provided to process all the text but aggregation_strategy="none" leaves tokens that two '
                'windows see twice; choose another strategy, or long_text="window" instead of stride.'
            )

    # -- inputs ------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The entities of one text; a list of them for a list; an iterator for a stream."""
        defaults = self._defaults.preprocess
        if isinstance(inputs, (list, tuple)) and not inputs:
            raise InputError("At least one input is required: the list is empty.")
        if kwargs.get("is_split_into_words", defaults.get("is_split_into_words")) and _is_words(inputs):
            inputs = [inputs]
        mapping = kwargs.get("offset_mapping", defaults.get("offset_mapping"))
        if mapping and isinstance(inputs, (str, list, tuple)):
            inputs = _with_offsets(inputs, mapping)
        return super().__call__(inputs, *args, **kwargs)

    def is_single(self, inputs: Any) -> bool:
        """Is this one text?"""
        return isinstance(inputs, _Placed) or super().is_single(inputs)

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """A text, or a list of words, with its own offsets if it has any.   Raises InputError."""
        inner = value.value if isinstance(value, _Placed) else value
        shown = f"{inner!r:.60} ({type(inner).__name__})"
        if parameters.get("is_split_into_words"):
            if not isinstance(inner, (list, tuple)) or not all(isinstance(word, str) for word in inner):
                raise InputError(f"When `is_split_into_words=True`, an input must be a list of words, not {shown}.")
        elif not isinstance(inner, str):
            raise InputError(
                f"When `is_split_into_words=False`, an input must be an untokenized string, not {shown}. Lists of "
                "words need is_split_into_words=True."
            )
        return value if isinstance(value, _Placed) else _Placed(inner, ())

    def encode(
        self,
        inputs: list[Any],
        is_split_into_words: bool = False,
        delimiter: str = " ",
        stride: int | None = None,
        offset_mapping: Any = None,
        **lengths: Any,
    ) -> list[Encoded]:
        """One item for each text, or its windows. (`offset_mapping` is in the inputs already.)"""
        values = [value.value for value in inputs]
        encoded = encode_each(self.tokenizer, values, is_split_into_words=is_split_into_words)
        texts = [delimiter.join(value) for value in values] if is_split_into_words else values
        return [
            e
            if isinstance(e, PanpipeError)
            else self._windows(self._text(placed, text, e[0], is_split_into_words, delimiter), stride, **lengths)
            for placed, text, e in zip(inputs, texts, encoded, strict=True)
        ]

    def _text(self, given: _Placed, text: str, encoding: Any, is_words: bool, delimiter: str) -> TokenizedText:
        words = given.value if is_words else None
        return TokenizedText(self.tokenizer, encoding, text, words, delimiter, given.offsets, self._prefix)

    @cached_property
    def _prefix(self) -> str:
        return getattr(self.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None) or ""

    def _windows(
        self,
        text: TokenizedText,
        stride: int | None,
        long_text: str | None = None,
        truncation: bool | str | None = None,
        max_length: int | None = None,
    ) -> Encoded:
        """The items of a text: one, or with a stride or long_text="window" as many windows as it needs."""
        tokens = len(text.encoding.ids)
        length = min((n for n in (max_length, self.max_length) if n is not None), default=tokens)
        begin, end = edges(text.encoding.special_tokens_mask)
        if tokens <= length:
            return [self._item(text, (begin, end), _Window(text, begin, end, begin))]
        is_whole = stride is not None or long_text == "window"
        if not is_whole and (long_text == "error" or (long_text is None and truncation in (False, "do_not_truncate"))):
            return too_long(text.text, tokens, length)
        room = length - begin - (tokens - end)
        overlap = max(0, min(room // 4, MOST_OVERLAP)) if stride is None else stride
        if overlap >= room:
            raise InvalidArgument(
                f"stride={overlap}: windows of {length} tokens, {length - room} of them special, have {room} for the "
                f"text, so stride must be below {room}."
            )
        bounds = window_bounds(end - begin, room, overlap, self.tokenizer.truncation_side)
        if not is_whole:
            bounds = bounds[:1]
            if long_text is None and truncation is None and max_length is None:
                self._warn_of_cut(tokens, length)
        windows = [_Window(text, begin + a, begin + b, begin, stride is None and is_whole) for a, b in bounds]
        return [self._item(text, (begin, end), window) for window in windows]

    def _item(self, text: TokenizedText, content: tuple[int, int], window: _Window) -> Item:
        def cut(values: list[int]) -> list[int]:
            if content == (window.begin, window.end):
                return values
            return [*values[: content[0]], *values[window.begin : window.end], *values[content[1] :]]

        types = cut(text.encoding.type_ids) if self._with_types else None
        return Item(cut(text.encoding.ids), types, encoding=text.encoding, extra=window)

    def _warn_of_cut(self, tokens: int, limit: int) -> None:
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "A text of %d tokens was cut to the %d that the model takes, as transformers does. Give "
                'long_text="window" to read all of it, or long_text="truncate" to say that this is meant.',
                tokens,
                limit,
            )

    # -- answers -----------------------------------------------------------------------------------------------------

    def postprocess(
        self,
        outputs: Outputs,
        *,
        aggregation_strategy: str = "none",
        ignore_labels: Sequence[str] = ("O",),
        word_boundaries: str = "transformers",
        tags: Tags | None = None,
        min_score: float | None = None,
        exact_text: bool = False,
        trim_particles: bool = False,
    ) -> list[dict[str, Any]]:
        """The labelled tokens, or entities, in the order of the text."""
        parts = [(item.extra, _probabilities(item)) for item in outputs]
        if parts[0][0].merged:
            parts = [_merge(parts)]
        entities: list[dict[str, Any]] = []
        for window, probabilities in parts:
            if not len(probabilities):
                continue
            if aggregation_strategy == "none":
                entities += self._tokens(window, probabilities, ignore_labels)
            else:
                words = _Words(aggregation_strategy, word_boundaries == "words", trim_particles)
                entities += self._groups(window, probabilities, words, tags or self._tags, ignore_labels)
        if len(parts) > 1:
            entities = drop_overlaps(entities)
        if min_score is not None:
            entities = [entity for entity in entities if entity["score"] >= min_score]
        return [_exact(entity, parts[0][0].text.text) for entity in entities] if exact_text else entities

    @cached_property
    def _tags(self) -> Tags:
        return read_tags(self.model.config.id2label)

    def _tokens(self, window: _Window, probabilities: Array, ignored: Sequence[str]) -> list[dict[str, Any]]:
        names, text = self.model.config.id2label, window.text
        items = label_tokens(probabilities)
        kept = [
            (window.begin + place, names[label], score)
            for place, (label, score) in enumerate(zip(items.labels.tolist(), items.scores.tolist(), strict=True))
            if names[label] not in ignored
        ]
        return [
            {
                "entity": name,
                "score": score,
                "index": token - window.begin + window.ahead,
                "word": text.pieces[token],
                "start": text.spans[token][0],
                "end": text.spans[token][1],
            }
            for token, name, score in kept
        ]

    def _groups(
        self, window: _Window, probabilities: Array, words: _Words, tags: Tags, ignored: Sequence[str]
    ) -> list[dict[str, Any]]:
        text = window.text
        if words.strategy == "simple":
            items = label_tokens(probabilities)
        else:
            starts = text.starts(words.by_words)[window.begin : window.end]
            starts[0] = True
            items = label_words(probabilities, np.flatnonzero(starts), words.strategy)
        firsts = (items.starts + window.begin).tolist()  # the first token of each item
        groups = group(items, tags, text.line_breaks(firsts) if words.by_words else None)
        borders = [*groups.starts.tolist(), len(firsts)]
        firsts.append(window.end)
        entities = []
        for place, (label, score) in enumerate(zip(groups.labels.tolist(), groups.scores.tolist(), strict=True)):
            name = tags.names[label]
            if name not in ignored:
                members = firsts[borders[place] : borders[place + 1] + 1]
                entities.append({"entity_group": name, "score": score, **_described(text, members, words)})
        return entities


class _Words(NamedTuple):
    """What the caller wants to see as words."""

    strategy: str
    by_words: bool
    trim_particles: bool


NerPipeline = TokenClassificationPipeline


def _described(text: TokenizedText, firsts: list[int], words: _Words) -> dict[str, Any]:
    """{"word", "start", "end"} of a group.   firsts: the first token of each member, and the end of the last."""
    begin, end = firsts[0], firsts[-1]
    if words.trim_particles:
        begin, end = text.without_particle(begin, end)
        firsts = [*(first for first in firsts if first < end), end]
    start, stop = text.spans[begin][0], text.spans[end - 1][1]
    if words.by_words:
        word = text.text[start:stop].strip()
    elif words.strategy == "simple":
        word = text.joined(begin, end)
    else:
        members = [text.joined(a, b) for a, b in pairwise(firsts)]
        word = text.tokenizer.convert_tokens_to_string(members)
    return {"word": word, "start": start, "end": stop}


def _probabilities(item: Item) -> Array:
    """float32 [tokens of the window, labels]."""
    window: _Window = item.extra
    return softmax(item.output[window.ahead : window.ahead + window.end - window.begin])


def _merge(parts: list[tuple[_Window, Array]]) -> tuple[_Window, Array]:
    """One answer for each token: that of the window that sees most around it."""
    windows = [window for window, _ in parts]
    begin, end = min(window.begin for window in windows), max(window.end for window in windows)
    chosen = most_central([(window.begin - begin, window.end - begin) for window in windows], end - begin)
    merged = np.empty((end - begin, parts[0][1].shape[1]), np.float32)
    for number, (window, probabilities) in enumerate(parts):
        places = np.flatnonzero(chosen == number)
        merged[places] = probabilities[places - (window.begin - begin)]
    return windows[0]._replace(begin=begin, end=end, merged=False), merged


def _exact(entity: dict[str, Any], text: str) -> dict[str, Any]:
    """With the spaces at its edges left out, and "text": the slice."""
    found = text[entity["start"] : entity["end"]]
    start = entity["start"] + len(found) - len(found.lstrip())
    found = found.strip()
    return {**entity, "start": start, "end": start + len(found), "text": found}


def _deprecated_strategy(grouped_entities: bool | None, ignore_subwords: bool | None) -> str:
    strategy = ("first" if ignore_subwords else "simple") if grouped_entities else "none"
    for name, value in (("grouped_entities", grouped_entities), ("ignore_subwords", ignore_subwords)):
        if value is not None:
            warnings.warn(
                f'`{name}` is deprecated: write aggregation_strategy="{strategy}" instead.', UserWarning, stacklevel=5
            )
    return strategy


def _is_words(inputs: Any) -> bool:
    """Is this one list of words, rather than a list of them?"""
    return isinstance(inputs, (list, tuple)) and not all(isinstance(value, (list, tuple)) for value in inputs)


def _with_offsets(inputs: Any, mapping: Sequence[Any]) -> Any:
    """Each input together with its own offsets."""
    many = [inputs] if isinstance(inputs, str) else list(inputs)
    each = [mapping] if mapping and isinstance(mapping[0], tuple) else mapping
    if len(each) != len(many):
        raise InvalidArgument(
            f"offset_mapping should have the same batch size as the input: it has {len(each)} lists of (start, end), "
            f"and there are {len(many)} inputs."
        )
    placed = [_Placed(value, offsets) for value, offsets in zip(many, each, strict=True)]
    return placed[0] if isinstance(inputs, str) else placed
