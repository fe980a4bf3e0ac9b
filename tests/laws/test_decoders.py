"""What `Decoder` must do with every family that generates, however its sequences grow, fork and end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.batch import Batch
from panpipe.blocks.attending import Trace
from panpipe.errors import CacheFull, ConfigError, InputError, TooLong
from panpipe.generation.cache import BLOCK_SIZE
from panpipe.generation.decoder import Decoder, Sequence, Source
from tests.engines import ENGINES
from tests.models.tiny import EACH, made

GENERATING = [(name, head) for name, head in EACH if head in ("causal-lm", "seq2seq-lm")]
TOLERANCE = 1e-4
"""Of sums in another order: kernels may take other paths for other numbers of rows."""

VOCABULARY = 61


@dataclass
class Work:
    """A decoder, and for encoder-decoders what its sequences look at."""

    decoder: Decoder
    source_ids: list[int]
    sources: list[Source]

    def new(self) -> Sequence:
        return self.decoder.new(self.sources[0] if self.sources else None)

    def whole(self, tokens: list[int]) -> Any:
        """The logits of every token, computed at once, without a cache."""
        model = self.decoder.model
        if not self.sources:
            return model.forward(Batch.of([tokens]))
        return model.ops.numpy(model.run(Batch.of([self.source_ids]), target=Batch.of([tokens])))

    def done(self, *sequences: Sequence) -> None:
        """Everything is given back, and nothing is left."""
        for sequence in sequences:
            self.decoder.free(sequence)
        for source in self.sources:
            self.decoder.free_source(source)
        assert self.decoder.room() == self.decoder.cache.tokens
        assert not any(self.decoder.cache.counts)


def work(name: str, head: str, engine: str = "reference", tokens: int = 1000) -> Work:
    decoder = Decoder(made(name, head, engine), tokens=tokens)
    source_ids = [7, 9, 31, 2] * 5
    return Work(decoder, source_ids, decoder.read([source_ids]) if decoder.is_encoder_decoder else [])


def words(count: int, seed: int = 0) -> list[int]:
    ids: list[int] = np.random.default_rng(seed).integers(5, VOCABULARY, count).tolist()
    return ids


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "head"), GENERATING)
def test_token_by_token_gives_what_the_whole_gives(name: str, head: str, engine: str) -> None:
    at = work(name, head, engine)
    texts = [words(n, n) for n in (1, 35, 2, 17)]
    sequences = [at.new() for _ in texts]
    expected = [at.whole(text) for text in texts]
    begin = 0
    for count in (1, 16, 1, 2, 1, 14):
        alive = [i for i, text in enumerate(texts) if begin < len(text)]
        given = [texts[i][begin : begin + count] for i in alive]
        logits = at.decoder.step([sequences[i] for i in alive], given, every=count == 2)
        rows = iter(logits)
        for i, tokens in zip(alive, given, strict=True):
            places = range(begin, begin + len(tokens)) if count == 2 else [begin + len(tokens) - 1]
            for place in places:
                scale = max(1.0, np.abs(expected[i][place]).max())
                np.testing.assert_allclose(next(rows), expected[i][place], atol=TOLERANCE * scale)
        assert next(rows, None) is None
        begin += count
    at.done(*sequences)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("length", [1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1])
@pytest.mark.parametrize(("name", "head"), [("gpt2", "causal-lm"), ("bart", "seq2seq-lm")])
def test_forks_go_their_own_ways(name: str, head: str, length: int, engine: str) -> None:
    at = work(name, head, engine)
    prompt = words(length)
    first = at.new()
    at.decoder.step([first], [prompt])
    forks = [at.decoder.fork(first) for _ in range(3)]
    at.decoder.free(first)
    logits = at.decoder.step(forks, [[5], [6, 7], [8]])
    for fork, end in zip(range(3), ([5], [6, 7], [8]), strict=True):
        np.testing.assert_allclose(logits[fork], at.whole(prompt + end)[-1], atol=TOLERANCE)
    logits = at.decoder.step(forks[::-1], [[9]] * 3)
    np.testing.assert_allclose(logits[1], at.whole([*prompt, 6, 7, 9])[-1], atol=TOLERANCE)
    at.done(*forks)


def test_a_fork_takes_no_room_before_it_grows_and_then_one_block() -> None:
    at = work("gpt2", "causal-lm")
    first = at.new()
    at.decoder.step([first], [words(30)])
    before = at.decoder.room()
    forks = [at.decoder.fork(first) for _ in range(5)]
    assert at.decoder.room() == before
    at.decoder.step(forks, [[7]] * 5)
    assert at.decoder.room() == before - 5 * BLOCK_SIZE
    at.done(first, *forks)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(kept=st.integers(0, 33), more=st.lists(st.integers(5, VOCABULARY - 1), min_size=1, max_size=3))
def test_what_is_cut_is_forgotten(kept: int, more: list[int]) -> None:
    at = work("llama-grouped-biased", "causal-lm")
    text = words(33)
    sequence = at.new()
    at.decoder.step([sequence], [text])
    other = at.decoder.fork(sequence)
    at.decoder.cut(sequence, kept)
    assert sequence.length == kept
    logits = at.decoder.step([sequence], [more])
    np.testing.assert_allclose(logits[0], at.whole(text[:kept] + more)[-1], atol=TOLERANCE)
    logits = at.decoder.step([other], [[7]])
    np.testing.assert_allclose(logits[0], at.whole([*text, 7])[-1], atol=TOLERANCE)
    at.done(sequence, other)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_whatever_is_done_in_whatever_order_each_sequence_keeps_its_own_tokens(data: st.DataObject) -> None:
    at = work("gpt2", "causal-lm", "reference", tokens=4000)
    texts: list[tuple[Sequence, list[int]]] = [(at.new(), [])]
    for _ in range(data.draw(st.integers(1, 12))):
        kind = data.draw(st.sampled_from(["step", "fork", "cut", "free", "new"]))
        i = data.draw(st.integers(0, len(texts) - 1))
        sequence, tokens = texts[i]
        if kind == "new":
            texts.append((at.new(), []))
        elif kind == "fork":
            texts.append((at.decoder.fork(sequence), list(tokens)))
        elif kind == "cut":
            kept = data.draw(st.integers(0, len(tokens)))
            at.decoder.cut(sequence, kept)
            del tokens[kept:]
        elif kind == "free" and len(texts) > 1:
            at.decoder.free(texts.pop(i)[0])
        elif kind == "step":
            chosen = [t for t in texts if len(t[1]) < 30 and data.draw(st.booleans())]
            news = [data.draw(st.lists(st.integers(5, VOCABULARY - 1), min_size=1, max_size=6)) for _ in chosen]
            if chosen:
                logits = at.decoder.step([sequence for sequence, _ in chosen], news)
                for (_, old), new, row in zip(chosen, news, logits, strict=True):
                    old += new
                    np.testing.assert_allclose(row, at.whole(old)[-1], atol=TOLERANCE)
    at.done(*(sequence for sequence, _ in texts))


def test_a_full_cache_is_an_error_that_says_what_fits_and_changes_nothing() -> None:
    at = work("gpt2", "causal-lm", tokens=3 * BLOCK_SIZE + 5)
    first, second = at.new(), at.new()
    at.decoder.step([first], [words(BLOCK_SIZE + 1)])
    with pytest.raises(CacheFull, match=f"room for {BLOCK_SIZE}"):
        at.decoder.step([first, second], [[7] * BLOCK_SIZE, [7]])
    assert (first.length, second.length) == (BLOCK_SIZE + 1, 0)
    logits = at.decoder.step([first, second], [[8], [9]])
    np.testing.assert_allclose(logits[0], at.whole([*words(BLOCK_SIZE + 1), 8])[-1], atol=TOLERANCE)
    at.done(first, second)


def test_sources_are_kept_as_long_as_someone_looks_at_them() -> None:
    decoder = Decoder(made("bart", "seq2seq-lm"), tokens=500)
    short, long = decoder.read([[7, 2], words(30)])
    sequences = [decoder.new(short), decoder.new(long), decoder.new(short)]
    for source in (short, long):
        decoder.free_source(source)
    logits = decoder.step(sequences, [[3], [3], [3]])
    np.testing.assert_allclose(logits[0], logits[2], atol=TOLERANCE)
    assert not np.allclose(logits[0], logits[1], atol=0.01)
    for sequence in sequences:
        decoder.free(sequence)
    assert decoder.room() == decoder.cache.tokens


def test_a_source_for_which_there_is_no_room_leaves_none_taken() -> None:
    decoder = Decoder(made("bart", "seq2seq-lm"), tokens=2 * BLOCK_SIZE)
    with pytest.raises(CacheFull):
        decoder.read([[7, 2], [8, 2], [9, 2]])
    assert decoder.room() == 2 * BLOCK_SIZE


@pytest.mark.parametrize(("name", "head"), [("gpt2", "causal-lm"), ("bart", "seq2seq-lm"), ("t5", "seq2seq-lm")])
def test_a_trace_shows_what_each_query_looked_at(name: str, head: str) -> None:
    at = work(name, head)
    sequence = at.new()
    at.decoder.step([sequence], [words(20)])
    trace = Trace(with_attentions=True)
    at.decoder.step([sequence], [[7, 8]], every=True, trace=trace)
    layers = len(at.decoder.stack.layers)
    assert [layer[0].shape for layer in trace.attentions] == [(3, 2, 22)] * layers
    for layer in trace.attentions:
        np.testing.assert_allclose(layer[0].sum(-1), 1, atol=1e-5)
        assert layer[0][:, 0, -1].max() == 0  # the first of the two does not see the second
    assert len(trace.cross_attentions) == (layers if at.sources else 0)
    at.done(sequence)


REFUSED: dict[str, tuple[Callable[[Decoder], Any], type[Exception]]] = {
    "a token beyond the vocabulary": (lambda d: d.step([d.new()], [[VOCABULARY]]), InputError),
    "a token below it": (lambda d: d.step([d.new()], [[-1]]), InputError),
    "a sequence without new tokens": (lambda d: d.step([d.new(), d.new()], [[7], []]), InputError),
    "nothing": (lambda d: d.step([], []), InputError),
    "more than the positions": (lambda d: d.step([d.new()], [[7] * 37]), TooLong),
}


@pytest.mark.parametrize("what", list(REFUSED))
def test_what_cannot_be_is_refused_before_it_is_computed(what: str) -> None:
    decoder = work("gpt2", "causal-lm").decoder
    call, error = REFUSED[what]
    with pytest.raises(error):
        call(decoder)
    assert decoder.room() == decoder.cache.tokens


def test_only_models_that_make_text_decode() -> None:
    with pytest.raises(ConfigError, match="AutoModelForCausalLM"):
        Decoder(made("gpt2", "base"))
