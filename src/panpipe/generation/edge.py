"""The public edge: `model.generate` with rectangles, as in the course.

Prompts come as rectangles [batch, tokens] with a mask (padding left or right), and texts go back as one rectangle: for
a decoder after the prompt as it was given, for an encoder-decoder after its start token. Arrays come back in the kind
that came in: torch tensors for torch tensors, NumPy for the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, InvalidArgument, ShapeError
from ..models.edge import in_kind_of, rectangle
from .config import GenerationConfig
from .jobs import Job, Prompt
from .outputs import Laid, output_of
from .priority import prepared
from .runner import generate_many

__all__ = ["generate"]

_log = logging.getLogger("panpipe")

Rectangle = npt.NDArray[np.int64]

_IGNORED = ("token_type_ids", "synced_gpus", "use_model_defaults", "position_ids", "decoder_attention_mask")
_REFUSED = {
    "assistant_model": "prompt_lookup_num_tokens guesses ahead without a second model",
    "custom_generate": "panpipe runs no code of others",
    "trust_remote_code": "panpipe runs no code of others",
    "inputs_embeds": "give input_ids",
    "encoder_outputs": "give input_ids",
    "past_key_values": "give the whole text so far",
}


def generate(
    model: Any,
    inputs: Any = None,
    generation_config: GenerationConfig | None = None,
    logits_processor: Sequence[Callable[[Any, Any], Any]] | None = None,
    stopping_criteria: Sequence[Callable[[Any, Any], Any]] | None = None,
    prefix_allowed_tokens_fn: Callable[[int, Any], Any] | None = None,
    *,
    input_ids: Any = None,
    attention_mask: Any = None,
    decoder_input_ids: Any = None,
    negative_prompt_ids: Any = None,
    negative_prompt_attention_mask: Any = None,
    streamer: Any = None,
    tokenizer: Any = None,
    seed: int | Sequence[int] | None = None,
    progress: bool = False,
    cache_tokens: int | None = None,
    **kwargs: Any,
) -> Any:
    """Texts for prompts: int64 [batch * num_return_sequences, tokens], filled up with the padding token.

    inputs (or input_ids), attention_mask: [batch, tokens]; without a mask the padding token tells what is not there.
    logits_processor, stopping_criteria: called with ids [1, length] and scores [1, vocab] of one text (or beam).
    seed: of sampling, one for all prompts or one for each; see `GenerationConfig` for the other parameters (kwargs).
    tokenizer: for stop_strings.   cache_tokens: the most keys and values to keep; None: what the memory allows.
    With return_dict_in_generate=True an output with `sequences`, and what output_scores … ask for.
    Ctrl-C ends the run: what was made is returned.
    Raises UnknownArgument, InvalidArgument, InputError, ShapeError, TooLong, CacheFull.
    """
    for name in _IGNORED:
        kwargs.pop(name, None)
    for name, instead in _REFUSED.items():
        if kwargs.pop(name, None):
            raise InvalidArgument(f"{name} is not possible here: {instead}.")
    config = prepared(kwargs, model=model.generation_config, config=generation_config)
    given = inputs if inputs is not None else input_ids
    ids = _rectangle("input_ids", [[_bos(config)]] if given is None else given)
    mask = _mask(ids, attention_mask, config)
    decoder_ids = _decoder_ids(model, config, decoder_input_ids, len(ids))
    outward = in_kind_of(given)
    options = {
        "width": ids.shape[1] if decoder_ids is None else decoder_ids.shape[1],
        "processors": [_with(outward, f) for f in _listed(logits_processor)],
        "criteria": [_with(outward, f) for f in _listed(stopping_criteria)],
    }
    negative = _kept_rows(negative_prompt_ids, negative_prompt_attention_mask, len(ids))
    seeds = _seeds(seed, len(ids))
    prompts = [
        Prompt(
            row[kept].tolist(),
            config,
            seed=seeds[number],
            decoder_ids=None if decoder_ids is None else decoder_ids[number].tolist(),
            negative_ids=negative[number],
            allowed=_allowed(prefix_allowed_tokens_fn, number, outward),
            on_tokens=_stream(streamer, outward),
            tag=number,
            **options,
        )
        for number, (row, kept) in enumerate(zip(ids, mask, strict=True))
    ]
    begin = ids if decoder_ids is None else decoder_ids
    if streamer is not None:
        _check_stream(prompts)
        streamer.put(outward(begin))
    try:
        with closing(
            generate_many(model, prompts, tokenizer=tokenizer, cache_tokens=cache_tokens, progress=progress)
        ) as done:
            jobs = _in_order(prompts, done)
        sequences = _laid_out(begin, jobs, config)
    finally:
        if streamer is not None:
            streamer.end()
    if config.do_sample and seed is None:
        _log.info("sampled with seed=%s", [job.seed for job in jobs])
    if not config.return_dict_in_generate:
        return outward(sequences)
    source = None if decoder_ids is None else (ids, mask.astype(np.int64))
    prompt_mask = mask if decoder_ids is None else np.ones_like(decoder_ids)
    return output_of(
        model, config, jobs, Laid(sequences, begin.shape[1], prompt_mask.astype(np.int64), source), outward
    )


# -- coming in -------------------------------------------------------------------------------------------------------


def _rectangle(name: str, values: Any, shape: tuple[int, ...] | None = None) -> Rectangle:
    return rectangle(name, values, shape).astype(np.int64)


def _mask(ids: Rectangle, given: Any, config: GenerationConfig) -> npt.NDArray[np.bool_]:
    """Which tokens are there. Without a mask: those that are not padding, if padding is not an end token as well."""
    if given is not None:
        kept: npt.NDArray[np.bool_] = _rectangle("attention_mask", given, ids.shape) != 0
    elif config.pad_token_id is not None and config.pad_token_id not in config.eos_token_ids:
        kept = ids != config.pad_token_id
    else:
        kept = np.ones(ids.shape, bool)
    if not kept.any(1).all():
        raise InputError(f"row {int(np.argmin(kept.any(1)))} of input_ids has no token that is not padding.")
    return kept


def _bos(config: GenerationConfig) -> int:
    if config.bos_token_id is None:
        raise InputError("give input_ids: there is no bos_token_id to begin a text with.")
    return int(config.bos_token_id)


def _decoder_ids(model: Any, config: GenerationConfig, given: Any, count: int) -> Rectangle | None:
    """What an encoder-decoder's texts begin with: the start token, and what the caller gave after it."""
    if not model.config.is_encoder_decoder:
        if given is not None:
            raise InvalidArgument("decoder_input_ids are for encoder-decoders; give input_ids.")
        return None
    start = config.decoder_start_token_id if config.decoder_start_token_id is not None else config.bos_token_id
    if start is None:
        raise InvalidArgument("an encoder-decoder needs decoder_start_token_id (or bos_token_id): none is known.")
    first = np.full((count, 1), start, np.int64)
    if given is None:
        return first
    ids = _rectangle("decoder_input_ids", given)
    if len(ids) != count:
        raise ShapeError(f"decoder_input_ids has {len(ids)} rows, input_ids {count}.")
    return np.concatenate([first, ids], 1) if (ids[:, :1] != start).all() else ids


def _kept_rows(values: Any, mask: Any, count: int) -> list[list[int] | None]:
    """negative_prompt_ids as lists."""
    if values is None:
        return [None] * count
    ids = _rectangle("negative_prompt_ids", values)
    kept = np.ones(ids.shape, bool) if mask is None else _rectangle("negative_prompt_attention_mask", mask) != 0
    if len(ids) != count or kept.shape != ids.shape:
        raise ShapeError(f"negative_prompt_ids must have a row for each of the {count} prompts, and a mask like it.")
    return [row[keep].tolist() for row, keep in zip(ids, kept, strict=True)]


def _seeds(seed: int | Sequence[int] | None, count: int) -> list[int | None]:
    if seed is None or isinstance(seed, (int, np.integer)):
        return [seed] * count
    if len(seed) != count:
        raise InvalidArgument(f"{len(seed)} seeds for {count} prompts: give one for all, or one for each.")
    return list(seed)


# -- functions of the user's -----------------------------------------------------------------------------------------


def _listed(functions: Any) -> list[Callable[[Any, Any], Any]]:
    return [] if functions is None else [functions] if callable(functions) else list(functions)


def _with(outward: Callable[[Any], Any], function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The function, given arrays of the kind that came in."""
    return lambda ids, scores: function(outward(ids), None if scores is None else outward(scores))


def _allowed(function: Callable[[int, Any], Any] | None, number: int, outward: Callable[[Any], Any]) -> Any:
    return None if function is None else lambda ids: function(number, outward(ids))


def _stream(streamer: Any, outward: Callable[[Any], Any]) -> Callable[[list[int]], None] | None:
    if streamer is None:
        return None

    def put(tokens: list[int]) -> None:
        for token in tokens:
            streamer.put(outward(np.array([token], np.int64)))

    return put


def _check_stream(prompts: Sequence[Prompt]) -> None:
    if len(prompts) > 1 or prompts[0].config.num_return_sequences > 1:
        raise InvalidArgument("a streamer is for one text: give one prompt, and num_return_sequences=1.")


# -- going out -------------------------------------------------------------------------------------------------------


def _in_order(prompts: Sequence[Prompt], done: Iterable[Job]) -> list[Job]:
    """The jobs in the prompts' order, empty ones for what an interrupted run did not come to.   Raises their errors."""
    jobs = [Job(prompt, 0) for prompt in prompts]
    for job in done:
        jobs[job.prompt.tag] = job
        if job.error is not None:
            raise job.error
    return jobs


def _laid_out(begin: Rectangle, jobs: Sequence[Job], config: GenerationConfig) -> Rectangle:
    """Prompts and texts in one rectangle. A text that is missing (an interrupted run) is empty."""
    texts = [[result.tokens for result in job.results] for job in jobs]
    longest = max((len(tokens) for results in texts for tokens in results), default=0)
    count = config.num_return_sequences
    out = np.full((len(jobs) * count, begin.shape[1] + longest), config.padding_id, np.int64)
    for number, results in enumerate(texts):
        rows = out[number * count : (number + 1) * count]
        rows[:, : begin.shape[1]] = begin[number]
        for row, tokens in zip(rows, results, strict=False):
            row[begin.shape[1] : begin.shape[1] + len(tokens)] = tokens
    return out
