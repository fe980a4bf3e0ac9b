"""A prompt made ready: what its config means for this model, checked before any work is done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, InvalidArgument, TooLong
from ..ops import Ops
from .config import GenerationConfig
from .jobs import Prompt
from .processors import Edit, Filter, Lengths, edits_of, filters_of
from .stopping import Stop, StopTexts

if TYPE_CHECKING:
    from .decoder import Decoder

__all__ = ["Plan", "planned"]

_log = logging.getLogger("panpipe")


@dataclass(frozen=True, eq=False)
class Plan:
    """How a prompt is decoded.

    ids: what the decoder reads first.   source_ids: what the encoder reads, or None.   most: new tokens at most.
    repeatable: what a text may repeat besides itself: the source, unless its tokens are of another vocabulary.
    """

    ids: list[int]
    source_ids: list[int] | None
    repeatable: list[int]
    config: GenerationConfig
    most: int
    edits: list[Edit]
    filters: list[Filter]
    stop: Stop
    seed: int
    ops: Ops
    vocab_size: int
    on_tokens: Callable[[list[int]], None] | None
    negative_ids: list[int] | None

    @property
    def texts(self) -> int:
        """How many are under way at once."""
        return max(self.config.num_beams, self.config.num_return_sequences)


def planned(prompt: Prompt, decoder: Decoder, seed: int, tokenizer: Any = None) -> Plan:
    """A plan for the prompt.   Raises InvalidArgument, InputError, TooLong."""
    config = prompt.config
    if config.temperature == 0:  # the limit of ever smaller ones
        config = config.update(do_sample=False)
    ids, source_ids = _beginning(prompt, decoder)
    _check_vocabulary("prompt", ids, decoder.vocab_size)
    if source_ids is not None:
        _check_vocabulary("source", source_ids, decoder.source_vocab_size)
    width = prompt.width or len(ids)
    most = _most_new(config, len(ids), width, decoder.max_length)
    _check_search(prompt, config)
    repeatable = (source_ids or []) if decoder.source_vocab_size == decoder.vocab_size else []
    guided = config.guidance_scale not in (None, 1.0)
    if guided and source_ids is not None:
        raise InvalidArgument("guidance_scale is for decoders; an encoder-decoder has no prompt to be led away from.")
    negative = list(prompt.negative_ids or ids[-1:]) if guided else None
    return Plan(
        ids=ids,
        source_ids=source_ids,
        repeatable=repeatable,
        config=config,
        most=most,
        edits=edits_of(
            config,
            Lengths(len(ids), width, most),
            source_ids=ids if source_ids is None else repeatable,
            allowed=prompt.allowed,
            processors=prompt.processors,
        ),
        filters=filters_of(config, decoder.ops),
        stop=Stop(
            most,
            frozenset(config.eos_token_ids),
            StopTexts(config.stop_texts, tokenizer) if config.stop_texts else None,
            prompt.criteria,
            config.max_time,
        ),
        seed=seed,
        ops=decoder.ops,
        vocab_size=decoder.vocab_size,
        on_tokens=prompt.on_tokens,
        negative_ids=negative,
    )


def _beginning(prompt: Prompt, decoder: Decoder) -> tuple[list[int], list[int] | None]:
    """(what the decoder begins with, what the encoder reads)."""
    config, given = prompt.config, [int(token) for token in prompt.token_ids]
    if decoder.is_encoder_decoder:
        start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
        if prompt.decoder_ids is None and start is None:
            raise InvalidArgument("an encoder-decoder needs decoder_start_token_id (or bos_token_id): none is known.")
        if not given:
            raise InputError("the text has no tokens: there is nothing to read.")
        return ([start] if prompt.decoder_ids is None else [int(t) for t in prompt.decoder_ids]), given  # type: ignore[list-item]
    if not given and config.bos_token_id is None:
        raise InputError("the prompt has no tokens, and the model no bos_token_id to begin with. Give it a text.")
    return given or [int(config.bos_token_id)], None  # type: ignore[arg-type]


def _check_vocabulary(what: str, tokens: list[int], size: int) -> None:
    ids = np.asarray(tokens, np.int64)
    wrong = ids[(ids < 0) | (ids >= size)]
    if len(wrong):
        raise InputError(
            f"the {what} has a token id of {wrong[0]}; the model has {size}. Is it the tokenizer of another model?"
        )


def _most_new(config: GenerationConfig, length: int, width: int, limit: int | None) -> int:
    """How many tokens a text may get."""
    fits = None if limit is None else limit - length + 1  # the last token is not read again
    if fits is not None and fits < 1:
        raise TooLong(
            f"the prompt has {length} tokens; the model takes at most {limit}. Shorten it, or use a model with more "
            "positions."
        )
    if config.max_new_tokens is not None:
        most = config.max_new_tokens
    elif config.max_length is not None:
        most = config.max_length - width
        if most < 1:
            raise InvalidArgument(
                f"the prompt has {width} tokens, and max_length={config.max_length} counts them: none could be made. "
                "Give a larger max_length, or max_new_tokens."
            )
    elif fits is not None:
        most = fits
    else:
        raise InvalidArgument("neither max_new_tokens nor max_length is given, and the model has no limit of its own.")
    if fits is not None and most > fits:
        _log.warning("%d new tokens were asked for; after %d the model's %d positions are used up.", most, fits, limit)
        most = fits
    return most


def _check_search(prompt: Prompt, config: GenerationConfig) -> None:
    if config.num_return_sequences > 1 and config.num_beams == 1 and not config.do_sample:
        raise InvalidArgument(
            f"num_return_sequences={config.num_return_sequences}: greedy search has one answer. Add do_sample=True, or "
            f"num_beams={config.num_return_sequences}."
        )
    if prompt.on_tokens is not None and config.num_return_sequences > 1:
        raise InvalidArgument("a stream is of one text: num_return_sequences must be 1.")
