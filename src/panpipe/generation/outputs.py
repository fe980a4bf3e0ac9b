"""What `generate` gives with return_dict_in_generate=True, in transformers' names and shapes.

Scores and logits are kept while tokens are chosen. Attentions and hidden states are not: one forward pass over the
finished texts shows the same, so that generating itself knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..models.edge import ModelOutput
from .config import GenerationConfig
from .jobs import Job

__all__ = [
    "GenerateBeamDecoderOnlyOutput",
    "GenerateBeamEncoderDecoderOutput",
    "GenerateDecoderOnlyOutput",
    "GenerateEncoderDecoderOutput",
    "Kept",
    "Laid",
    "output_of",
]

Array = npt.NDArray[Any]

NO_SCORE = -1e9
"""Less than any text's score; as in transformers, that of a text which there is not."""


@dataclass(eq=False)
class Kept:
    """What was kept of a job's steps.

    scores, logits: for each step, [texts or beams, vocab].   beams: for each step, the tokens that each beam had.
    """

    scores: list[Array]
    logits: list[Array]
    beams: list[list[list[int]]] = field(default_factory=list)


@dataclass
class GenerateDecoderOnlyOutput(ModelOutput):
    """sequences: [texts, tokens], prompt included.   seeds: what each prompt's sampling can be repeated with.

    scores, logits: one [texts, vocab] per step.   attentions, hidden_states: per step, per layer.
    A text that ended before others has zeros in the steps after.
    """

    sequences: Any = None
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None
    attentions: tuple[Any, ...] | None = None
    hidden_states: tuple[Any, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass
class GenerateEncoderDecoderOutput(ModelOutput):
    """As `GenerateDecoderOnlyOutput`; the encoder's attentions and hidden states per layer."""

    sequences: Any = None
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None
    encoder_attentions: tuple[Any, ...] | None = None
    encoder_hidden_states: tuple[Any, ...] | None = None
    decoder_attentions: tuple[Any, ...] | None = None
    cross_attentions: tuple[Any, ...] | None = None
    decoder_hidden_states: tuple[Any, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass
class GenerateBeamDecoderOnlyOutput(ModelOutput):
    """sequences_scores: [texts].   scores, logits: one [prompts * beams, vocab] per step.

    beam_indices: [texts, steps], the row of the step that each token was chosen from, -1 after the end.
    """

    sequences: Any = None
    sequences_scores: Any = None
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None
    beam_indices: Any = None
    attentions: tuple[Any, ...] | None = None
    hidden_states: tuple[Any, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass
class GenerateBeamEncoderDecoderOutput(ModelOutput):
    """As `GenerateBeamDecoderOnlyOutput`; the encoder's attentions and hidden states per layer."""

    sequences: Any = None
    sequences_scores: Any = None
    scores: tuple[Any, ...] | None = None
    logits: tuple[Any, ...] | None = None
    beam_indices: Any = None
    encoder_attentions: tuple[Any, ...] | None = None
    encoder_hidden_states: tuple[Any, ...] | None = None
    decoder_attentions: tuple[Any, ...] | None = None
    cross_attentions: tuple[Any, ...] | None = None
    decoder_hidden_states: tuple[Any, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Laid:
    """The rectangles of a run.

    sequences: [texts, tokens].   width: the prompts' share of the tokens.   mask: of the prompts, [prompts, width].
    source: the encoder's (ids, mask), or None.
    """

    sequences: Array
    width: int
    mask: Array
    source: tuple[Array, Array] | None

    @property
    def prompts(self) -> Array:
        """What each prompt's texts begin with, [prompts, width]."""
        return self.sequences[:: len(self.sequences) // len(self.mask), : self.width]


def output_of(
    model: Any, config: GenerationConfig, jobs: Sequence[Job], laid: Laid, outward: Callable[[Array], Any]
) -> ModelOutput:
    """The output of `generate`.   outward: to the kind of array that came in."""
    named: dict[str, Any] = {"sequences": laid.sequences, "seeds": tuple(job.seed for job in jobs)}
    lanes = max(config.num_beams, config.num_return_sequences)
    kept = [job.kept or Kept([], []) for job in jobs]
    if config.output_scores:
        named["scores"] = _steps([k.scores for k in kept], lanes)
    if config.output_logits:
        named["logits"] = _steps([k.logits for k in kept], lanes)
    if config.num_beams > 1:
        scores, named["beam_indices"] = _of_beams(config, jobs)
        if config.output_scores:
            named["sequences_scores"] = scores
    if config.output_attentions or config.output_hidden_states:
        named |= _inside(model, config, laid, kept)
    kind = _KINDS[config.num_beams > 1, laid.source is not None]
    return kind(**{name: _all(value, outward) for name, value in named.items()})


_KINDS: dict[tuple[bool, bool], type[ModelOutput]] = {
    (False, False): GenerateDecoderOnlyOutput,
    (False, True): GenerateEncoderDecoderOutput,
    (True, False): GenerateBeamDecoderOnlyOutput,
    (True, True): GenerateBeamEncoderDecoderOutput,
}


def _all(value: Any, outward: Callable[[Array], Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_all(each, outward) for each in value)
    return outward(value) if isinstance(value, np.ndarray) else value


def _steps(jobs: list[list[Array]], lanes: int) -> tuple[Array, ...]:
    """For each job the rows of its steps -> for each step the rows of all jobs, `lanes` each."""
    longest = max(jobs, key=len)
    vocab = longest[0].shape[1] if longest else 0
    steps = []
    for step in range(len(longest)):
        rows = np.zeros((len(jobs), lanes, vocab), np.float32)
        for number, job in enumerate(jobs):
            if step < len(job):
                rows[number, : len(job[step])] = job[step]
        steps.append(rows.reshape(-1, vocab))
    return tuple(steps)


def _of_beams(config: GenerationConfig, jobs: Sequence[Job]) -> tuple[Array, Array]:
    """(scores [texts], beam indices [texts, steps]); a text that is missing has NO_SCORE, and no beams."""
    count = config.num_return_sequences
    longest = max((len(result.tokens) for job in jobs for result in job.results), default=0)
    scores = np.full(len(jobs) * count, NO_SCORE, np.float32)
    indices = np.full((len(jobs) * count, longest), -1, np.int64)
    for number, job in enumerate(jobs):
        for place, result in enumerate(job.results, number * count):
            scores[place] = result.score
            indices[place, : len(result.tokens)] = np.array(result.beams) + number * config.num_beams
    return scores, indices


# -- attentions and hidden states ------------------------------------------------------------------------------------


def _inside(model: Any, config: GenerationConfig, laid: Laid, kept: Sequence[Kept]) -> dict[str, Any]:
    """What the model had inside in each step, from forward passes over what it had then read."""
    if config.num_beams == 1:
        whole = _forward(model, config, laid, laid.sequences[:, :-1])
        reads = [whole] * (laid.sequences.shape[1] - laid.width)
    else:
        steps = range(max(len(k.beams) for k in kept))
        reads = [_forward(model, config, laid, _beams_at(config, laid, kept, step)) for step in steps]
    cuts = [_first(laid.width), *(_row(laid.width + step) for step in range(len(reads) - 1))]
    prefix = "" if laid.source is None else "decoder_"
    named: dict[str, Any] = {}
    for name in ("attentions", "cross_attentions", "hidden_states"):
        own = name if name == "cross_attentions" else prefix + name
        if own in reads[0]:
            named[own] = tuple(
                tuple(cut(name, layer) for layer in read[own]) for read, cut in zip(reads, cuts, strict=True)
            )
    if laid.source is not None:
        encoder = _forward(model, config, laid, laid.prompts)
        named |= {name: encoder[name] for name in ("encoder_attentions", "encoder_hidden_states") if name in encoder}
    return named


def _forward(model: Any, config: GenerationConfig, laid: Laid, sequences: Array) -> Any:
    """The model's output for rectangles of tokens so far; the sequences are as many as prompts, or a multiple."""
    repeat = len(sequences) // len(laid.mask)
    asks = {
        "output_attentions": config.output_attentions,
        "output_hidden_states": config.output_hidden_states,
    }
    if laid.source is not None:
        ids, mask = (np.repeat(each, repeat, 0) for each in laid.source)
        return model(ids, mask, decoder_input_ids=sequences, **asks)
    prompt = np.repeat(laid.mask, repeat, 0)
    mask = np.concatenate([prompt, np.ones((len(prompt), sequences.shape[1] - laid.width), np.int64)], 1)
    places = np.maximum(np.cumsum(mask, 1) - 1, 0)
    return model(sequences, mask, position_ids=places, **asks)


def _beams_at(config: GenerationConfig, laid: Laid, kept: Sequence[Kept], step: int) -> Array:
    """What the beams of all prompts had read when they came to a step: [prompts * beams, width + step]."""
    rows = np.repeat(laid.prompts, config.num_beams, 0)
    made = np.zeros((len(rows), step), np.int64)
    for number, k in enumerate(kept):
        beams = k.beams[step] if step < len(k.beams) else []
        for place in range(config.num_beams if beams else 0):
            beam = beams[min(place, len(beams) - 1)]
            made[number * config.num_beams + place] = beam[len(beam) - step :]
    return np.concatenate([rows, made], 1)


def _first(width: int) -> Callable[[str, Array], Array]:
    def cut(name: str, layer: Array) -> Array:
        return layer[:, :, :width, :width] if name == "attentions" else _queries(name, layer, slice(0, width))

    return cut


def _row(place: int) -> Callable[[str, Array], Array]:
    def cut(name: str, layer: Array) -> Array:
        query = slice(place, place + 1)
        return layer[:, :, query, : place + 1] if name == "attentions" else _queries(name, layer, query)

    return cut


def _queries(name: str, layer: Array, places: slice) -> Array:
    return layer[:, :, places] if name == "cross_attentions" else layer[:, places]
