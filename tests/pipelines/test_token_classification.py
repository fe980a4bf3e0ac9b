"""token-classification, against transformers' recorded answers and on its own terms."""

from __future__ import annotations

import json
import unicodedata
import warnings
from typing import Any

import numpy as np
import pytest
import recorded
import scripted
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe.errors import InputError, InvalidArgument, TooLong, UnknownArgument
from panpipe.pipelines.token_classification import AggregationStrategy, TokenClassificationPipeline

BIO = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
GUESS = "Tokenizer does not support real words"


def ner(tokenizer: Any, tags: dict[str, str], labels: list[str] = BIO, limit: int = 512, **parameters: Any) -> Any:
    """A pipeline in which each token's text decides its label."""
    model = scripted.tagger(tokenizer, tags, labels, max_length=limit)
    return TokenClassificationPipeline(model=model, tokenizer=tokenizer, **parameters)


def words(entities: list[dict[str, Any]]) -> list[str]:
    return [entity["word"] for entity in entities]


@pytest.mark.parametrize("case", recorded.cases("token-classification", "ner"))
def test_answers_are_those_of_transformers(case: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", GUESS)
        pipe = recorded.make(case["task"], case["family"], **case["make"])
        recorded.assert_same(pipe(*case["call"], **case["options"]), case["output"])


def test_scores_are_floats_that_json_takes() -> None:
    pipe = recorded.make("ner", "bert")
    for strategy in ("none", "simple", "average"):
        answer = pipe("Sarah in London", aggregation_strategy=strategy, ignore_labels=[])
        assert {type(entity["score"]) for entity in answer} == {float}
        assert json.loads(json.dumps(answer)) == answer


# -- words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundaries", ["transformers", "words"])
@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_words_whose_length_changes_when_normalised_do_not_fuse(boundaries: str, strategy: str) -> None:
    pieces = [unicodedata.normalize("NFD", piece) for piece in ("김", "서울")]
    tokenizer = scripted.wordpiece(*pieces, "john", "ecole", lowercase=True)
    tags = {pieces[0]: "B-PER", pieces[1]: "B-LOC", "ecole": "B-LOC", "john": "B-PER"}
    pipe = ner(tokenizer, tags, aggregation_strategy=strategy, word_boundaries=boundaries)
    text = "김 서울 John e\u0301cole"
    assert [text[e["start"] : e["end"]] for e in pipe(text)] == ["김", "서울", "John", "e\u0301cole"]


def test_words_by_the_text_where_transformers_loses_them() -> None:
    tokenizer = scripted.unigram("▁in", "▁(", "▁London", "London", ")", ".", "Paris", "-")
    pipe = ner(tokenizer, {"▁London": "B-LOC", "London": "B-LOC", "Paris": "B-LOC"})
    with pytest.warns(UserWarning, match=GUESS):
        assert pipe("in (London).", aggregation_strategy="first") == []
    for strategy in ("first", "average", "max"):
        options = {"aggregation_strategy": strategy, "word_boundaries": "words"}
        assert words(pipe("in (London).", **options)) == ["London"]
        assert words(pipe("London-Paris", **options)) == ["London", "Paris"]


def test_an_entity_does_not_cross_a_line_break() -> None:
    tokenizer = scripted.wordpiece("paris", "london")
    pipe = ner(tokenizer, {"paris": "I-LOC", "london": "I-LOC"}, aggregation_strategy="simple")
    assert words(pipe("paris\nlondon")) == ["paris london"]
    assert words(pipe("paris\nlondon paris", word_boundaries="words")) == ["paris", "london paris"]


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_korean_particles(kind: str) -> None:
    if kind == "wordpiece":
        tokenizer, particle = scripted.wordpiece("서울", "##에서", "김"), "##에서"
    else:
        tokenizer, particle = scripted.unigram("▁서울", "에서", "▁김"), "에서"
    stem = "서울" if kind == "wordpiece" else "▁서울"
    apart = ner(tokenizer, {stem: "B-LOC"}, aggregation_strategy="average", word_boundaries="words", exact_text=True)
    assert [e["text"] for e in apart("김 서울에서")] == ["서울"]
    together = ner(tokenizer, {stem: "B-LOC", particle: "I-LOC"}, aggregation_strategy="simple", exact_text=True)
    assert [e["text"] for e in together("김 서울에서")] == ["서울에서"]
    assert [e["text"] for e in together("김 서울에서", trim_particles=True)] == ["서울"]


def test_exact_text_is_the_slice_without_spaces_around_it() -> None:
    tokenizer = scripted.unigram("▁in", "▁Pa", "ris", "▁New", "▁York")
    pipe = ner(tokenizer, {"▁New": "B-LOC", "▁York": "I-LOC"}, aggregation_strategy="simple")
    text = "in New York"
    (plain,), (exact,) = pipe(text), pipe(text, exact_text=True)
    assert exact == {**plain, "start": 3, "end": 11, "text": "New York"}


# -- labels and scores -----------------------------------------------------------------------------------------------


def test_label_schemes() -> None:
    labels = ["O", *(f"{role}-{kind}" for role in "BIES" for kind in ("PER", "GPE-LOC"))]
    tags = {"kim": "B-PER", "##s": "E-PER", "rome": "S-GPE-LOC", "oslo": "S-GPE-LOC"}
    pipe = ner(scripted.wordpiece("kim", "##s", "rome", "oslo"), tags, labels, aggregation_strategy="simple")
    assert [e["entity_group"] for e in pipe("kims rome oslo")] == ["PER", "PER", "GPE-LOC"]
    for scheme in ("auto", "iobes"):
        entities = pipe("kims rome oslo", scheme=scheme)
        assert [(e["entity_group"], e["word"]) for e in entities] == [
            ("PER", "kims"),
            ("GPE-LOC", "rome"),
            ("GPE-LOC", "oslo"),
        ]
    with pytest.raises(InvalidArgument, match="Did you mean 'auto'"):
        pipe("kim", scheme="autos")


def test_min_score_leaves_out_what_is_less_sure() -> None:
    pipe = recorded.make("ner", "bert", aggregation_strategy="simple")
    everything = pipe("My name is Sarah and I live in London.")
    middle = float(np.median([entity["score"] for entity in everything]))
    assert pipe("My name is Sarah and I live in London.", min_score=middle) == [
        entity for entity in everything if entity["score"] >= middle
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"grouped_entities": True}, "simple"),
        ({"grouped_entities": False}, "none"),
        ({"grouped_entities": True, "ignore_subwords": True}, "first"),
        ({"ignore_subwords": True}, "none"),
    ],
)
def test_deprecated_arguments_warn_and_work(old: dict[str, bool], new: str) -> None:
    pipe = recorded.make("ner", "bert")
    text = "Sarah in London"
    with pytest.warns(UserWarning, match=f'aggregation_strategy="{new}"'):
        answer = pipe(text, **old)
    assert answer == pipe(text, aggregation_strategy=new) == pipe(text, aggregation_strategy=AggregationStrategy(new))


# -- long texts ------------------------------------------------------------------------------------------------------

LONG = "My name is Sarah and I live in London. " * 12


def test_a_long_text_is_cut_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    pipe = recorded.make("ner", "bert", ignore_labels=[])
    first, second = pipe([LONG, LONG])
    assert len(first) == len(second) == pipe.max_length - 2
    assert len([record for record in caplog.records if "was cut" in record.message]) == 1
    caplog.clear()
    for meant in ({"long_text": "truncate"}, {"truncation": True}):
        quiet = recorded.make("ner", "bert", ignore_labels=[])
        recorded.assert_same(quiet(LONG, **meant), first)
    assert len(pipe(LONG, max_length=12)) == 10
    assert not caplog.records


def test_a_long_text_is_refused_when_asked() -> None:
    pipe = recorded.make("ner", "bert")
    with pytest.raises(TooLong, match="at most 64"):
        pipe(LONG, long_text="error")
    with pytest.raises(TooLong):
        pipe(LONG, truncation=False)
    assert isinstance(pipe(LONG, long_text="error", on_error="return"), TooLong)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_windows_label_each_token_once_wherever_the_windows_lie(family: str) -> None:
    pipe = recorded.make("ner", family, ignore_labels=[], long_text="window")
    entities = pipe(LONG)
    whole = pipe.tokenizer.encode_batch([LONG])[0]
    assert [entity["index"] for entity in entities] == list(range(1, len(whole.ids) - 1))
    assert [(entity["start"], entity["end"]) for entity in entities] == whole.offsets[1:-1]
    assert pipe(LONG) == entities
    recorded.assert_same(pipe([LONG, "short"])[0], entities)


def test_windows_of_a_model_that_looks_at_one_token_change_nothing() -> None:
    tokenizer = scripted.wordpiece("kim", "##s", "rome", "in")
    tags = {"kim": "B-PER", "##s": "I-PER", "rome": "B-LOC"}
    text = "in rome kims " * 20
    long, short = ner(tokenizer, tags, limit=512), ner(tokenizer, tags, limit=11)
    for strategy in ("none", "simple", "first", "max"):
        expected = long(text, aggregation_strategy=strategy)
        assert short(text, aggregation_strategy=strategy, long_text="window") == expected
        if strategy != "none":
            assert words(short(text, aggregation_strategy=strategy, stride=4)) == words(expected)


def test_strides_that_cannot_be() -> None:
    pipe = recorded.make("ner", "bert")
    for stride in (64, -1, 1.5):
        with pytest.raises(InvalidArgument, match="stride"):
            pipe("Sarah", stride=stride)
    with pytest.raises(InvalidArgument, match="must be below 62"):
        pipe(LONG, stride=62)
    with pytest.raises(InvalidArgument, match="stride"):
        pipe("Sarah", stride=4, aggregation_strategy="none")


# -- forms of the input ----------------------------------------------------------------------------------------------


def test_nesting() -> None:
    pipe = recorded.make("ner", "bert", ignore_labels=[])
    one = pipe("Sarah")
    assert pipe(["Sarah"]) == [one] == pipe(("Sarah",)) == list(pipe(text for text in ["Sarah"]))
    assert pipe("") == []
    assert pipe("Sarah", always_list=True) == [one]


@pytest.mark.parametrize("nothing", [None, [], (), 3])
def test_nothing_is_refused(nothing: Any) -> None:
    with pytest.raises(InputError):
        recorded.make("ner", "bert")(nothing)


def test_split_words() -> None:
    tokenizer = scripted.wordpiece("new", "york", ",", "in")
    tags = {"new": "B-LOC", "york": "I-LOC"}
    pipe = ner(tokenizer, tags, aggregation_strategy="simple", is_split_into_words=True)
    (entities,) = pipe(["in", "new", "york,"])
    assert entities == [
        {"entity_group": "LOC", "score": entities[0]["score"], "word": "new york", "start": 3, "end": 11}
    ]
    (joined,) = pipe(["in", "new", "york,"], delimiter="")
    assert (joined[0]["start"], joined[0]["end"]) == (2, 9)
    assert len(pipe([["in"], ["new", "york"]])) == 2
    with pytest.raises(InputError, match="list of words"):
        pipe("in new york")
    with pytest.raises(InputError, match="is_split_into_words=True"):
        ner(tokenizer, tags)([["in", "new"]])


def test_offsets_of_ones_own_belong_to_their_own_text() -> None:
    pipe = ner(scripted.wordpiece("rome", "in"), {"rome": "B-LOC"})
    own = [[(0, 0), (7, 8), (0, 0)], [(0, 0), (0, 1), (2, 3), (0, 0)]]
    first, second = pipe(["rome", "in rome"], offset_mapping=own)
    assert [(e["start"], e["end"]) for e in first + second] == [(7, 8), (2, 3)]
    assert pipe("rome", offset_mapping=own[0]) == first
    with pytest.raises(InvalidArgument, match="same batch size"):
        pipe(["rome", "in rome"], offset_mapping=own[:1])
    with pytest.raises(InvalidArgument, match="one for each"):
        pipe("in rome", offset_mapping=own[0])


def test_misspelt_parameters_are_named() -> None:
    pipe = recorded.make("ner", "bert")
    with pytest.raises(UnknownArgument, match="Did you mean 'aggregation_strategy'"):
        pipe("Sarah", aggregation_stratgy="simple")
    with pytest.raises(InvalidArgument, match="Did you mean 'simple'"):
        pipe("Sarah", aggregation_strategy="simpel")
    with pytest.raises(InvalidArgument, match="Did you mean 'words'"):
        pipe("Sarah", word_boundaries="word")


# -- laws ------------------------------------------------------------------------------------------------------------

TEXT = st.text(st.sampled_from("abc Sarah.,\n-김서울에는東京に😀ée\u0301(ß"), max_size=40)


@settings(max_examples=40, deadline=None)
@given(TEXT, st.sampled_from(recorded.FAMILIES), st.sampled_from(["none", "simple", "first", "average", "max"]))
def test_offsets_lead_back_to_the_text(text: str, family: str, strategy: str) -> None:
    options = {"word_boundaries": "words", "exact_text": True, "ignore_labels": [], "long_text": "window"}
    entities = recorded.make("ner", family, aggregation_strategy=strategy, **options)(text)
    for entity in entities:
        assert text[entity["start"] : entity["end"]] == entity["text"] == entity["text"].strip()
        assert 0 <= entity["score"] <= 1.0001
    starts = [entity["start"] for entity in entities]
    assert starts == sorted(starts)


@settings(max_examples=15, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=6), st.sampled_from(recorded.FAMILIES))
def test_batches_answer_as_one_by_one(texts: list[str], family: str) -> None:
    pipe = recorded.make("ner", family, ignore_labels=[])
    for together, alone in zip(pipe(texts), map(pipe, texts), strict=True):
        recorded.assert_same(together, alone)
