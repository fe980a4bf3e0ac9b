"""What changes scores before a token is chosen, in the order of transformers 4.57.6.

Two kinds. An *edit* changes a row of scores [vocab] in place, touching as little of it as it can; it sees the tokens so
far. A *filter* narrows the candidates of sampling, from the whole row or from what an earlier one left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidArgument
from ..ops import Ops
from .config import GenerationConfig

__all__ = ["Candidates", "Edit", "Ids", "Row", "edits_of", "filters_of", "log_probabilities", "normalized"]

Ids = npt.NDArray[np.int64]
"""The tokens so far [length]: the prompt (of a decoder) and what was made."""

Row = npt.NDArray[np.float32]
"""The scores of all tokens [vocab]: logits, or in a beam search their logarithmic probabilities."""

Edit = Callable[[Ids, Row], None]

_NEVER = np.float32(-np.inf)


# -- edits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lengths:
    """What edits count in: the prompt's tokens (as transformers counts them, padding included), and the new ones.

    start: where in the Ids the new tokens begin.   width: the prompt's tokens in its rectangle.   most: new tokens.
    """

    start: int
    width: int
    most: int

    def made(self, ids: Ids) -> int:
        """How many tokens are new."""
        return len(ids) - self.start


def edits_of(
    config: GenerationConfig,
    lengths: Lengths,
    *,
    source_ids: Sequence[int],
    allowed: Callable[[Ids], Iterable[int]] | None = None,
    processors: Sequence[Callable[[Any, Any], Any]] = (),
) -> list[Edit]:
    """What the config asks for, in order.

    source_ids: an encoder's input, or the prompt.   allowed: the ids that may follow (prefix_allowed_tokens_fn).
    processors: the user's, called as transformers calls them: with ids [1, length] and scores [1, vocab].
    """
    eos = np.array(config.eos_token_ids, np.int64)
    source = np.asarray(source_ids, np.int64)
    edits: list[Edit] = []
    if config.sequence_bias is not None:
        edits += biases(_bias_table(config.sequence_bias))
    if config.encoder_repetition_penalty not in (None, 1.0):
        edits.append(lambda ids, row: penalise(row, source, 1 / config.encoder_repetition_penalty))  # type: ignore[operator]
    if config.repetition_penalty not in (None, 1.0):
        edits.append(lambda ids, row: penalise(row, ids, config.repetition_penalty))  # type: ignore[arg-type]
    if size := config.no_repeat_ngram_size:
        edits.append(lambda ids, row: forbid(row, continuations(ids, ids, size)))
    if source_size := config.encoder_no_repeat_ngram_size:
        edits.append(lambda ids, row: forbid(row, continuations(source, ids, source_size)))
    if config.bad_words_ids is not None:
        words = [tuple(word) for word in config.bad_words_ids if tuple(word) not in {(int(e),) for e in eos}]
        edits += biases(dict.fromkeys(words, -np.inf))
    if len(eos) and (least := _least(config, lengths)):
        edits.append(_during(lambda made: made < least, lengths, eos))
    if allowed is not None:
        edits.append(_only_allowed(allowed))
    if config.forced_bos_token_id is not None:
        edits.append(_force(config.forced_bos_token_id, lambda ids: lengths.width + lengths.made(ids) == 1))
    if config.forced_eos_token_id is not None:
        edits.append(_force(config.forced_eos_token_id, lambda ids: lengths.made(ids) == lengths.most - 1))
    if config.remove_invalid_values:
        edits.append(_finite)
    if config.exponential_decay_length_penalty is not None:
        edits.append(_hurry(config.exponential_decay_length_penalty, lengths, eos))
    if config.suppress_tokens is not None:
        suppressed = np.array(list(config.suppress_tokens), np.int64)
        edits.append(lambda ids, row: forbid(row, suppressed))
    if config.begin_suppress_tokens is not None:
        begin = 0 if lengths.width > 1 or config.forced_bos_token_id is None else 1
        first = np.array(list(config.begin_suppress_tokens), np.int64)
        edits.append(_during(lambda made: made == begin, lengths, first))
    return edits + [_of_user(processor) for processor in processors]


def forbid(row: Row, ids: Ids) -> None:
    """These tokens cannot come."""
    row[ids] = _NEVER


def penalise(row: Row, ids: Ids, penalty: float) -> None:
    """Divides these tokens' scores by the penalty where positive, else multiplies (Keskar 2019, arXiv:1909.05858)."""
    scores = row[ids]
    row[ids] = np.where(scores < 0, scores * np.float32(penalty), scores / np.float32(penalty))


def continuations(text: Ids, ids: Ids, size: int) -> Ids:
    """The tokens that would complete an n-gram of `text`, after the last size - 1 of `ids`."""
    prefix = ids[len(ids) - size + 1 :]
    places = len(text) - size + 1
    if places <= 0 or len(prefix) < size - 1:
        return text[:0]
    alike = np.ones(places, bool)
    for offset, token in enumerate(prefix):
        alike &= text[offset : offset + places] == token
    return text[np.flatnonzero(alike) + size - 1]


def biases(table: Mapping[tuple[int, ...], float]) -> list[Edit]:
    """Adds to the score of the token that would complete a sequence of the table."""
    single = {ids[0]: bias for ids, bias in table.items() if len(ids) == 1}
    longer = [(np.array(ids[:-1], np.int64), ids[-1], bias) for ids, bias in table.items() if len(ids) > 1]
    columns = np.fromiter(single.keys(), np.int64, len(single))
    values = np.fromiter(single.values(), np.float32, len(single))

    def add(ids: Ids, row: Row) -> None:
        row[columns] += values
        for prefix, token, bias in longer:
            if len(prefix) < len(ids) and (ids[-len(prefix) :] == prefix).all():
                row[token] += np.float32(bias)

    return [add] if table else []


def _bias_table(bias: Mapping[tuple[int, ...], float] | Sequence[Any]) -> dict[tuple[int, ...], float]:
    pairs = bias.items() if isinstance(bias, Mapping) else bias
    return {tuple(int(i) for i in ids): float(value) for ids, value in pairs}


def _least(config: GenerationConfig, lengths: Lengths) -> int:
    """The new tokens before which no text may end."""
    return max(config.min_new_tokens or 0, (config.min_length or 0) - lengths.width)


def _during(when: Callable[[int], bool], lengths: Lengths, forbidden: Ids) -> Edit:
    def edit(ids: Ids, row: Row) -> None:
        if when(lengths.made(ids)):
            forbid(row, forbidden)

    return edit


def _force(token: int | Sequence[int], when: Callable[[Ids], bool]) -> Edit:
    def edit(ids: Ids, row: Row) -> None:
        if when(ids):
            row.fill(_NEVER)
            row[token] = 0

    return edit


def _only_allowed(allowed: Callable[[Ids], Iterable[int]]) -> Edit:
    def edit(ids: Ids, row: Row) -> None:
        columns = np.array(list(allowed(ids)), np.int64)
        if not len(columns):
            raise InvalidArgument("prefix_allowed_tokens_fn allowed no token at all after the tokens so far.")
        scores = row[columns]
        row.fill(_NEVER)
        row[columns] = scores

    return edit


def _finite(ids: Ids, row: Row) -> None:
    """NaN becomes 0, and infinities the largest numbers there are."""
    np.nan_to_num(row, copy=False, nan=0.0)


def _hurry(penalty: Sequence[float], lengths: Lengths, eos: Ids) -> Edit:
    """After so many new tokens, an end becomes likelier and likelier."""
    begin, factor = int(penalty[0]), float(penalty[1])

    def edit(ids: Ids, row: Row) -> None:
        late = lengths.made(ids) - begin
        scores = row[eos]
        if late > 0 and np.isfinite(scores).any():  # what another edit forbade stays forbidden
            row[eos] = np.where(np.isfinite(scores), scores + np.abs(scores) * np.float32(factor**late - 1), scores)

    return edit


def _of_user(processor: Callable[[Any, Any], Any]) -> Edit:
    def edit(ids: Ids, row: Row) -> None:
        row[:] = np.asarray(processor(ids[None], row[None]))[0]

    return edit


# -- filters ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Candidates:
    """Tokens that may be drawn. scores: float32 [n].   ids: their tokens int [n]; None: all of the vocabulary."""

    scores: Row
    ids: npt.NDArray[Any] | None = None

    def narrowed(self, keep: npt.NDArray[np.bool_]) -> Candidates:
        """Those where `keep` is true."""
        if keep.all():
            return self
        return Candidates(self.scores[keep], np.flatnonzero(keep) if self.ids is None else self.ids[keep])

    def row(self, vocab_size: int) -> Row:
        """The scores of all tokens, -inf where one is no candidate."""
        if self.ids is None:
            return self.scores
        row = np.full(vocab_size, _NEVER)
        row[self.ids] = self.scores
        return row


Filter = Callable[[Candidates], Candidates]


def filters_of(config: GenerationConfig, ops: Ops) -> list[Filter]:
    """What narrows the candidates of sampling, in order; none for a search that does not sample.

    With beams at least one candidate more than there are end tokens stays, so that some beam can go on.
    """
    if not config.do_sample:
        return []
    least = max(2, len(config.eos_token_ids) + 1) if config.num_beams > 1 else 1
    filters: list[Filter] = []
    if config.temperature not in (None, 1.0):
        temperature = np.float32(config.temperature)
        filters.append(lambda c: Candidates(c.scores / temperature, c.ids))
    if config.top_k:
        most = max(config.top_k, least)
        filters.append(lambda c: largest(ops, c, most))
        filters.reverse()  # the division keeps the order, and is then of a few numbers
    if config.top_p is not None and config.top_p < 1.0:
        top_p = config.top_p
        filters.append(lambda c: nucleus(ops, c, top_p, least))
    if config.min_p is not None:
        min_p = np.float32(config.min_p)
        filters.append(lambda c: _above(c, lambda p: p >= min_p * p.max(), least))
    if config.typical_p is not None and config.typical_p < 1.0:
        mass = config.typical_p
        filters.append(lambda c: typical(c, mass, least))
    if config.epsilon_cutoff is not None and 0.0 < config.epsilon_cutoff < 1.0:
        epsilon = np.float32(config.epsilon_cutoff)
        filters.append(lambda c: _above(c, lambda p: p >= epsilon, least))
    if config.eta_cutoff is not None and 0.0 < config.eta_cutoff < 1.0:
        eta = np.float32(config.eta_cutoff)
        filters.append(lambda c: _above(c, lambda p: p >= _eta_threshold(p, eta), least))
    return filters


def largest(ops: Ops, candidates: Candidates, count: int) -> Candidates:
    """The `count` best, best first."""
    scores, ids = candidates.scores, candidates.ids
    if count >= len(scores):
        return candidates
    values, columns = ops.top(scores[None], count)
    return Candidates(values[0], columns[0] if ids is None else ids[columns[0]])


def nucleus(ops: Ops, candidates: Candidates, mass: float, least: int) -> Candidates:
    """The fewest best that together have that probability (Holtzman et al. 2019, arXiv:1904.09751).

    The tail is not sorted: more and more of the best are, until they suffice.
    """
    scores = candidates.scores
    peak = scores.max()
    total = np.exp(scores - peak).sum(dtype=np.float64)
    count = 256
    while True:
        best = largest(ops, candidates, count) if count < len(scores) else _sorted(candidates)
        before = np.cumsum(np.exp(best.scores - peak), dtype=np.float64) / total
        enough = int(np.searchsorted(before, mass)) + 1  # those whose better ones have less than `mass`
        if enough <= len(best.scores) or count >= len(scores):
            n = max(enough, least)
            return Candidates(best.scores[:n], None if best.ids is None else best.ids[:n])
        count *= 8


def _sorted(candidates: Candidates) -> Candidates:
    order = np.argsort(-candidates.scores, kind="stable")
    return Candidates(candidates.scores[order], order if candidates.ids is None else candidates.ids[order])


def typical(candidates: Candidates, mass: float, least: int) -> Candidates:
    """Those whose surprise is nearest to the expected one (Meister et al. 2022, arXiv:2202.00666)."""
    logs = log_probabilities(candidates.scores)
    p = np.exp(logs)
    expected = -np.where(p > 0, logs, 0) @ p
    distance = np.abs(-logs - expected)
    order = np.argsort(distance, kind="stable")
    last = min(int((np.cumsum(p[order]) < np.float32(mass)).sum()), len(order) - 1)
    keep = distance <= distance[order[last]]
    keep[order[:least]] = True
    return candidates.narrowed(keep)


def _above(candidates: Candidates, likely: Callable[[Row], npt.NDArray[np.bool_]], least: int) -> Candidates:
    """Those that are likely enough, and the `least` best."""
    scores = candidates.scores
    keep = likely(np.exp(log_probabilities(scores)))
    best = [int(scores.argmax())] if least == 1 else np.argpartition(-scores, min(least, len(scores)) - 1)[:least]
    keep[best] = True
    return candidates.narrowed(keep)


def _eta_threshold(p: Row, eta: np.float32) -> float:
    """min(eta, sqrt(eta) e^-entropy) (Hewitt et al. 2022, arXiv:2210.15191)."""
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum()
    return float(min(eta, np.sqrt(eta) * np.exp(-entropy)))


# -- probabilities ---------------------------------------------------------------------------------------------------


def log_probabilities(scores: Row) -> Row:
    """log(softmax(scores)) over the last axis; at least one score is finite."""
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))  # type: ignore[no-any-return]


def normalized(candidates: Candidates) -> Candidates:
    """renormalize_logits: the candidates' scores as logarithmic probabilities."""
    return Candidates(log_probabilities(candidates.scores), candidates.ids)
