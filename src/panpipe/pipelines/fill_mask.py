"""fill-mask: the most probable tokens in the place of each mask."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, InvalidArgument, MissingMask, PanpipeError, PipelineException
from .arguments import tokenizer_arguments
from .base import Encoded, Pipeline
from .items import Array, Item, Outputs
from .lengths import check_length_arguments, encode_each
from .text_classification import softmax
from .windows import around, edges

__all__ = ["FillMaskPipeline"]

_log = logging.getLogger("panpipe")


class FillMaskPipeline(Pipeline):
    """The top_k tokens for each mask of a text, each with its probability and the text filled in.

    Inputs: a string with one mask or more (`pipe.tokenizer.mask_token`); a list or stream of these.
    Each answer: {"score", "token": id, "token_str", "sequence"}, best first. One mask gives a list of these; several
    give a list of such lists, one per mask, each computed with the other masks in place. A list of one text gives what
    the text alone gives.
    top_k: how many per mask (5).   targets: only these tokens are ranked; their probabilities are those among all.
    tokenizer_kwargs: {"truncation": True, "max_length": …}.
    long_text="window": a text over the model's length is read around each mask.
    always_list=True: a list per mask, also for one mask.
    """

    task_name: ClassVar[str] = "fill-mask"
    head: ClassVar[str | None] = "masked-lm"
    expects: ClassVar[str] = "a string with a mask token"

    def _check_parts(self) -> None:
        super()._check_parts()
        if self.tokenizer.mask_token_id is None:
            reason = "The tokenizer does not define a `mask_token`, so no text can have a place to fill."
            raise PipelineException("fill-mask", self._model_name(), reason)

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        preprocess: dict[str, Any] = {}
        postprocess: dict[str, Any] = {}
        if tokenizer_kwargs is not None:
            preprocess["tokenizer_kwargs"] = tokenizer_arguments(tokenizer_kwargs, self)
            check_length_arguments(preprocess["tokenizer_kwargs"])
        if targets is not None:
            postprocess["target_ids"] = self.get_target_ids(targets)
        if top_k is not None:
            if isinstance(top_k, bool) or not isinstance(top_k, (int, np.integer)) or top_k < 0:
                raise InvalidArgument(f"top_k={top_k!r}: give a number of tokens, 0 or more.")
            postprocess["top_k"] = int(top_k)
        return preprocess, {}, postprocess

    def get_target_ids(self, targets: str | Sequence[str]) -> Array:
        """The ids of the target tokens, each once.

        A target that is no token stands for the first token it is cut into, with a warning.
        Raises InvalidArgument if no target is left.
        """
        ids: dict[int, None] = {}
        for target in [targets] if isinstance(targets, str) else targets:
            if not isinstance(target, str):
                raise InvalidArgument(f"targets={targets!r}: give a string or a list of strings.")
            index = self.tokenizer.convert_tokens_to_ids(target)
            if index is None or (index == self.tokenizer.unk_token_id and target != self.tokenizer.unk_token):
                index = self._first_token(target)
            if index is not None:
                ids[index] = None
        if not ids:
            raise InvalidArgument(
                f"At least one target must be provided when passed; targets={targets!r} names no token."
            )
        return np.array(list(ids), np.int64)

    def _first_token(self, target: str) -> int | None:
        pieces = self.tokenizer.encode_batch([target], add_special_tokens=False)[0]
        if not pieces.ids:
            _log.warning("The target %r is nothing that the tokenizer knows; it is left out.", target)
            return None
        _log.warning("The target %r is not a token of the vocabulary; %r stands for it.", target, pieces.tokens[0])
        return int(pieces.ids[0])

    def encode(
        self, inputs: list[Any], tokenizer_kwargs: Mapping[str, Any] | None = None, **parameters: Any
    ) -> list[Encoded]:
        """The items of each text, with the places of its masks as rows; or MissingMask."""
        parameters = {**parameters, **(tokenizer_kwargs or {})}
        pair = parameters.pop("text_pair", None)
        pairs = None if pair is None else [pair] * len(inputs)
        if parameters.get("long_text") == "window" and self.max_length is not None:
            room = min(parameters.get("max_length") or self.max_length, self.max_length)
            options = {key: value for key, value in parameters.items() if key == "add_special_tokens"}
            encoded = encode_each(self.tokenizer, inputs, pairs, **options)
        else:
            room, encoded = None, self.tokenize(inputs, pairs, **parameters)
        return [
            e if isinstance(e, PanpipeError) else self._items(text, e[0], room)
            for text, e in zip(inputs, encoded, strict=True)
        ]

    def _items(self, text: str, encoding: Any, room: int | None = None) -> Encoded:
        """One item, or one around each mask where the text is longer than `room`."""
        ids = encoding.ids
        masks = [place for place, index in enumerate(ids) if index == self.tokenizer.mask_token_id]
        if not masks:
            return MissingMask("fill-mask", self._model_name(), self._without_mask(text))
        if room is None or len(ids) <= room:
            return [self.item(encoding, rows=masks, extra=(ids, masks))]
        begin, end = edges(encoding.special_tokens_mask)
        fixed = begin + len(ids) - end
        if room <= fixed:
            return InputError(f"max_length={room} leaves no room for the text beside {fixed} special tokens.")
        types = encoding.type_ids if self._with_types else None
        return [self._around(ids, types, mask, (begin, end), room - fixed, masks) for mask in masks]

    def _around(
        self, ids: list[int], types: list[int] | None, mask: int, text: tuple[int, int], room: int, masks: list[int]
    ) -> Item:
        """The piece of the text with the mask in its middle, between the special tokens of the whole."""
        first, last = around(mask - text[0], text[1] - text[0], room)
        chosen = [*range(text[0]), *range(text[0] + first, text[0] + last), *range(text[1], len(ids))]
        return Item(
            [ids[place] for place in chosen],
            None if types is None else [types[place] for place in chosen],
            rows=[chosen.index(mask)],
            extra=(ids, masks),
        )

    def postprocess(self, outputs: Outputs, *, top_k: int = 5, target_ids: Array | None = None) -> Any:
        """A list of answers for each mask; with one mask, that list."""
        ids, masks = outputs[0].extra
        logits = np.concatenate([item.output for item in outputs])
        tops = [_best(row, top_k, target_ids) for row in softmax(logits)]
        filled = [self._filled(ids, mask, token) for mask, top in zip(masks, tops, strict=True) for token, _ in top]
        sequences = iter(self.tokenizer.batch_decode(filled, skip_special_tokens=len(masks) == 1))
        answers = [
            [
                {
                    "score": score,
                    "token": token,
                    "token_str": self.tokenizer.decode([token]),
                    "sequence": next(sequences),
                }
                for token, score in top
            ]
            for top in tops
        ]
        return answers[0] if len(masks) == 1 else answers

    def _filled(self, ids: list[int], mask: int, token: int) -> list[int]:
        pad = self.tokenizer.pad_token_id
        return [index for index in [*ids[:mask], token, *ids[mask + 1 :]] if index != pad]

    def listed(self, answer: Any) -> Any:
        """A list per mask."""
        return [answer] if not answer or isinstance(answer[0], Mapping) else answer

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """A list of one text is answered as the text alone."""
        return answers[0] if len(answers) == 1 else answers

    def _model_name(self) -> str:
        return str(self.model.config.model_type)

    def _without_mask(self, text: str) -> str:
        mask = self.tokenizer.mask_token
        shown = repr(text if len(text) <= 60 else text[:59] + "…")
        if mask in text:
            remedy = 'The text was cut before its mask: give more max_length, or long_text="window".'
        else:
            remedy = f"Write {mask} where a word is to be found."
        return f"No mask_token ({mask}) found on the input {shown}. {remedy}"


def _best(probabilities: Array, number: int, targets: Array | None) -> list[tuple[int, float]]:
    """(token, probability) of the most probable tokens, best first; of equals the lower place first."""
    scores = probabilities if targets is None else probabilities[targets]
    number = min(number, len(scores))
    if number == 0:
        return []
    least = np.partition(scores, len(scores) - number)[len(scores) - number]
    places = np.flatnonzero(scores >= least)
    places = places[np.argsort(-scores[places], kind="stable")][:number]
    tokens = places if targets is None else targets[places]
    return list(zip(tokens.tolist(), scores[places].tolist(), strict=True))
