"""What holds for every pipeline, run on all of them."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from panpipe import KeyDataset, pipeline
from panpipe.errors import InputError, InvalidArgument, MissingHead, PanpipeError, TooLong, UnknownArgument
from panpipe.models import load_model

GOLDEN = Path(__file__).parents[1] / "golden"

TEXTS = [
    "I hate this so much!",
    "김철수는 서울에 살고 삼성전자에서 일한다.",
    "Je m'appelle Jean-Baptiste; l'école à Montréal",
    "東京は日本の首都です。",
    "I'm here.",
    "Paris is the capital of France; Berlin is that of Germany.",
    "I hate this so much!",
    "서울은 대한민국의 수도이다.",
]


@dataclass(frozen=True)
class Case:
    """A task on a tiny model: its parameters, and how a text becomes an input of it.

    cuts: a text over the model's length is cut (or divided) by default.   writes: it makes texts.
    """

    task: str
    model: str
    family: str = "bert"
    options: tuple[tuple[str, Any], ...] = ()
    wrap: Callable[[str], Any] = str
    cuts: bool = False

    @property
    def writes(self) -> bool:
        return self.model == "writer"

    @property
    def inputs(self) -> list[Any]:
        return list(map(self.wrap, TEXTS))

    def make(self, **more: Any) -> Any:
        model, tokenizer = _parts(self.family, self.model)
        return pipeline(self.task, model=model, tokenizer=tokenizer, **{**dict(self.options), **more})


@cache
def _parts(family: str, name: str) -> tuple[Any, Any]:
    from panpipe import AutoTokenizer

    if name == "writer":
        tokenizer = {"gpt2": "gpt2", "llama": "smollm", "m2m_100": "m2m100"}.get(family, family)
        loaded = AutoTokenizer.from_pretrained(GOLDEN / "tokenizers" / tokenizer, model_max_length=64)
        return load_model(GOLDEN / "pipelines_c" / family), loaded
    folder = GOLDEN / ("pipelines_a" if name in ("base", "classifier") else "pipelines_b") / family / name
    return load_model(folder), AutoTokenizer.from_pretrained(GOLDEN / "pipelines_b" / family)


FEW = ("max_new_tokens", 5)
LABELS = (("candidate_labels", ("politics", "서울", "work")),)
CASES = [
    Case("feature-extraction", "base"),
    Case("feature-extraction", "base", "roberta", (("pooling", "mean"), ("normalize", True))),
    Case("text-classification", "classifier"),
    Case("sentiment-analysis", "classifier", "albert", (("top_k", 2),)),
    Case("zero-shot-classification", "classifier", "bert", LABELS, cuts=True),
    Case("zero-shot-classification", "classifier", "distilbert", (*LABELS, ("multi_label", True)), cuts=True),
    Case("fill-mask", "fill-mask", "bert", wrap=lambda text: f"{text} [MASK]"),
    Case("fill-mask", "fill-mask", "xlm-roberta", wrap=lambda text: f"<mask> {text[:30]} <mask>"),
    Case("token-classification", "token-classification", "bert", (("aggregation_strategy", "simple"),), cuts=True),
    Case("ner", "token-classification", "roberta", cuts=True),
    Case(
        "question-answering",
        "question-answering",
        "bert",
        wrap=lambda text: {"question": "Where?", "context": text},
        cuts=True,
    ),
    Case("text-generation", "writer", "gpt2", (FEW, ("do_sample", False))),
    Case("text-generation", "writer", "gpt2", (FEW, ("seed", 7), ("num_return_sequences", 2))),
    Case(
        "text-generation",
        "writer",
        "llama",
        (FEW, ("do_sample", False)),
        wrap=lambda text: [{"role": "user", "content": text}],
    ),
    Case("summarization", "writer", "bart", (FEW, ("num_beams", 2)), cuts=True),
    Case("text2text-generation", "writer", "t5", (FEW, ("num_beams", 1))),
    Case("translation_en_to_ko", "writer", "marian", (FEW,), cuts=True),
    Case("translation", "writer", "m2m_100", (FEW, ("src_lang", "ko"), ("tgt_lang", "English")), cuts=True),
]
pytestmark = pytest.mark.filterwarnings("ignore:Passing a list of SQuAD examples:FutureWarning")
every_pipeline = pytest.mark.parametrize("case", CASES, ids=[f"{c.task}-{c.family}" for c in CASES])


def same(one: Any, other: Any) -> bool:
    """Equal, with numbers to 1e-4: in another group of texts a sum may be taken in another order."""
    if isinstance(one, (float, np.floating, np.ndarray)):
        return bool(np.allclose(one, other, rtol=1e-4, atol=1e-4))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@every_pipeline
def test_a_list_gives_what_each_input_gives_alone_in_order(case: Case) -> None:
    pipe = case.make(always_list=True)
    together = pipe(case.inputs)
    assert len(together) == len(TEXTS)
    for value, answer in zip(case.inputs, together, strict=True):
        assert same(pipe(value), [answer]), value


@every_pipeline
def test_the_form_of_the_collection_makes_no_difference(case: Case) -> None:
    pipe = case.make()
    inputs = case.inputs
    expected = [case.make()([value, value])[0] for value in inputs]  # as one of a list
    boxed = np.empty(len(inputs), object)
    boxed[:] = inputs
    rows = [{"column": value, "other": 1} for value in inputs]
    for form in (
        tuple(inputs),
        boxed,
        map(copy.copy, inputs),
        (value for value in inputs),
        KeyDataset(rows, "column"),
        Dataset(inputs),
        iter(inputs),
    ):
        answers = list(pipe(form))
        assert len(answers) == len(inputs)
        for answer, wanted in zip(answers, expected, strict=True):
            assert same(answer, wanted) or same([answer], wanted) or same(answer, [wanted]), form


class Dataset:
    """What PyTorch's map-style datasets have: a length and items, no iteration and no IndexError."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        assert index < len(self.values), "a dataset is read within its length"
        return self.values[index]


@every_pipeline
def test_no_inputs_give_no_answers(case: Case) -> None:
    pipe = case.make()
    assert list(pipe(iter([]))) == []
    if "token" in case.task or case.task == "ner":  # as in transformers
        with pytest.raises(InputError, match="At least one input is required"):
            pipe([])
    else:
        assert len(pipe([])) == 0


@every_pipeline
def test_a_stream_is_read_no_further_than_needed(case: Case) -> None:
    read = 0

    def endless() -> Iterator[Any]:
        nonlocal read
        for value in itertools.cycle(case.inputs):
            read += 1
            yield value

    pipe = case.make()
    answers = iter(pipe(endless()))
    assert read == 0
    for consumed in range(1, 40):
        next(answers)
        assert read <= 2 * consumed + 8
    read = 0
    one_ahead = iter(pipe(endless(), batch_size=1))
    for consumed in range(1, 6):
        next(one_ahead)
        assert read == consumed  # a source may wait for each answer


@every_pipeline
def test_the_answers_to_a_dataset_have_its_length_and_can_be_read_again(case: Case) -> None:
    answers = case.make()(Dataset(case.inputs))
    assert len(answers) == len(TEXTS)
    first = list(answers)
    assert len(first) == len(TEXTS)
    assert same(first, list(answers))
    assert same(next(iter(answers)), first[0])


@every_pipeline
def test_an_error_of_the_source_comes_after_the_answers_before_it(case: Case) -> None:
    def breaking() -> Iterator[Any]:
        yield from case.inputs[:2]
        raise OSError("the disk is gone")

    answers = iter(case.make()(breaking()))
    next(answers)
    next(answers)
    with pytest.raises(OSError, match="the disk is gone"):
        next(answers)


@every_pipeline
def test_batch_size_does_not_change_answers(case: Case) -> None:
    expected = case.make()(case.inputs)
    for batch_size in (1, 3, 100):
        assert same(list(case.make(batch_size=batch_size)(case.inputs)), list(expected))
        assert same(list(case.make()(case.inputs, batch_size=batch_size, num_workers=0)), list(expected))


@every_pipeline
def test_threads_get_the_answers_of_one(case: Case) -> None:
    pipe = case.make()
    expected = [pipe(value) for value in case.inputs]
    answers: dict[int, Any] = {}

    def work(place: int) -> None:
        answers[place] = [pipe(value) for value in case.inputs]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(answers[place], expected) for place in range(4))


@every_pipeline
def test_nothing_of_the_callers_is_changed(case: Case) -> None:
    pipe = case.make()
    inputs = case.inputs
    before = copy.deepcopy((inputs, pipe.model.config, str(pipe.tokenizer), pipe._defaults))
    expected = pipe(inputs)
    pipe(inputs, batch_size=2, always_list=True, on_error="return")
    assert (inputs, pipe.model.config, str(pipe.tokenizer), pipe._defaults) == before
    assert same(list(pipe(inputs)), list(expected))


@every_pipeline
def test_a_misspelt_argument_is_refused_with_the_nearest_name(case: Case) -> None:
    for give in (lambda **names: case.make(**names), lambda **names: case.make()(case.inputs[0], **names)):
        with pytest.raises(UnknownArgument, match="Did you mean 'always_list'"):
            give(always_lst=True)
        with pytest.raises(TypeError):
            give(completely_other=1)
        with pytest.raises(InvalidArgument, match="on_error"):
            give(on_error="ignore")
        with pytest.raises(InvalidArgument, match="Did you mean 'window'"):
            give(long_text="windows")
        with pytest.raises(InvalidArgument, match="max_length"):
            give(max_length=0)
        with pytest.raises(InvalidArgument, match="batch_size"):
            give(batch_size=0)


@every_pipeline
def test_always_list_gives_one_entry_per_input(case: Case) -> None:
    pipe = case.make()
    single = pipe(case.inputs[0], always_list=True)
    several = pipe(case.inputs[:3], always_list=True)
    streamed = list(pipe(iter(case.inputs[:3]), always_list=True))
    assert len(single) == 1
    assert len(several) == 3
    assert same(single[0], several[0])
    assert same(list(several), streamed)


@every_pipeline
def test_an_input_that_cannot_be_is_an_error_before_any_work(case: Case) -> None:
    pipe = case.make()
    for bad in (None, 5, b"bytes", [case.inputs[0], 7], [None], [[["a"]]]):
        with pytest.raises(PanpipeError) as caught:
            pipe(bad)
        assert isinstance(caught.value, ValueError)


def in_their_places(answers: list[Any], expected: Any) -> bool:
    """Equal one by one; a stream has lists of one where a list has what is in them, as in transformers."""
    return all(same(a, b) or same(a, [b]) for a, b in zip(answers, expected, strict=True))


@every_pipeline
def test_errors_can_be_answers_in_place(case: Case) -> None:
    pipe = case.make()
    first, second, *_ = case.inputs
    expected = pipe([first, second])
    for form in (list, iter):
        for bad in (7, case.wrap("half of an emoji: \ud83d")):  # one fails when it is checked, one in the tokenizer
            answers = list(pipe(form([first, bad, second]), on_error="return"))
            assert isinstance(answers[1], InputError)
            assert in_their_places([answers[0], answers[2]], expected)
    stream = iter(pipe(iter([first, second, 7, first])))
    assert in_their_places([next(stream), next(stream)], expected)
    with pytest.raises(InputError):
        next(stream)


@every_pipeline
def test_a_text_over_the_models_length_is_refused_cut_or_read_in_windows(case: Case) -> None:
    if case.task == "question-answering":
        pytest.skip("it reads every context in windows, with arguments of its own")
    pipe = case.make()
    if case.task == "text2text-generation":
        pytest.skip("the model has no limit")
    long = case.wrap("Paris is the capital of France. " * 40)
    if "[MASK]" in str(long) or "<mask>" in str(long):
        long = pipe.tokenizer.mask_token + " Paris is the capital" * 40
    if case.task == "text-generation":
        with pytest.raises(InvalidArgument, match="windows of a text have no common end"):
            pipe(long, long_text="window")
        assert len(pipe(long, long_text="truncate", always_list=True)) == 1
    else:
        assert len(pipe(long, long_text="window", always_list=True)) == 1
    assert len(pipe(long, truncation=True, always_list=True)) == 1
    if case.cuts:
        assert len(pipe(long, always_list=True)) == 1
    else:
        with pytest.raises(TooLong, match=r"has \d+ tokens .* at most (64|128)"):
            pipe(long)
        returned = pipe([long, case.inputs[0]], on_error="return")
        assert isinstance(returned[0], TooLong)


@every_pipeline
def test_progress_is_shown_when_asked_for(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    expected = case.make()(case.inputs)
    assert capfd.readouterr().err == ""
    assert same(list(case.make()(case.inputs, progress=True)), list(expected))
    assert ("tokens/s" if case.writes else f"{len(TEXTS)}/{len(TEXTS)}") in capfd.readouterr().err


@every_pipeline
def test_a_saved_pipeline_answers_alike(case: Case, tmp_path: Path) -> None:
    pipe = case.make()
    pipe.save_pretrained(tmp_path / "saved")
    again = pipeline(case.task, model=tmp_path / "saved", **dict(case.options))
    assert same(list(pipe(case.inputs)), list(again(case.inputs)))
    assert pipeline(model=str(tmp_path / "saved"), **(dict(case.options) if "zero" not in case.task else {})).task in (
        "feature-extraction",
        "fill-mask",
        "question-answering",
        "summarization",
        "text-classification",
        "text-generation",
        "text2text-generation",
        "token-classification",
        "translation",
    )


@every_pipeline
def test_a_model_with_another_head_is_refused(case: Case) -> None:
    if case.task == "feature-extraction":
        return
    if case.writes:
        family = "bart" if case.task == "text-generation" else "gpt2"
        model, tokenizer = _parts(family, "writer")
        with pytest.raises(MissingHead, match=model.head):
            pipeline(case.task, model=model, tokenizer=tokenizer)
        with pytest.raises(MissingHead, match=model.head):
            pipeline(case.task, model=GOLDEN / "pipelines_c" / family, tokenizer=tokenizer)
        return
    other = "fill-mask" if case.model != "fill-mask" else "question-answering"
    model, tokenizer = _parts(case.family, other)
    with pytest.raises(MissingHead, match=other):
        pipeline(case.task, model=model, tokenizer=tokenizer)
    with pytest.raises(MissingHead, match=other):
        pipeline(case.task, model=GOLDEN / "pipelines_b" / case.family / other, tokenizer=tokenizer)


@every_pipeline
def test_more_than_one_input_argument_is_refused(case: Case) -> None:
    if case.task == "question-answering":
        pytest.skip("it takes several examples, or a question and a context, as transformers does")
    with pytest.raises(TypeError):
        case.make()(case.inputs[0], case.inputs[1], case.inputs[2])


@every_pipeline
@settings(max_examples=15, deadline=None, derandomize=True)
@given(texts=st.lists(st.text(max_size=60), max_size=6))
def test_any_text_has_an_answer_or_an_error_and_the_same_alone(case: Case, texts: list[str]) -> None:
    pipe = case.make(always_list=True, on_error="return")
    inputs = [case.wrap(text) for text in texts]
    answers = [answer for value in inputs for answer in pipe(value)]
    together = pipe(inputs) if inputs else []
    assert len(together) == len(inputs)
    for alone, among in zip(answers, together, strict=True):
        assert same(alone, among) or (isinstance(alone, PanpipeError) and type(alone) is type(among))
