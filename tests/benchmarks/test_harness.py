"""The benchmark's arithmetic and tables. Nothing is timed here."""

from __future__ import annotations

import subprocess
from typing import Any

import numpy as np
import pytest

from benchmarks import environments, models
from benchmarks.cases import CASES, Forward, Generate, attention_flops, forward_flops, read_sentences
from benchmarks.environments import ENVIRONMENTS
from benchmarks.figures import markdown_table, median, milliseconds, spread
from benchmarks.goals import GOALS, Goal, fma_share, memory_share, over_the_fastest, speed_up
from benchmarks.models import FORMS, MODELS, Shape, decoder_weights, encoder_weights, layer_weights, shape_of
from benchmarks.peers.decoding import choices, decode
from benchmarks.report import BEGIN, END, render, write_between
from benchmarks.rounds import difference, tokens_apart
from benchmarks.workers import PEERS, peers_of

BERT_BASE = Shape(layers=12, hidden=768, inner=3072, heads=12, vocabulary=30522)


def a_case(**seconds: list[float]) -> dict[str, Any]:
    peers = {
        name: {"difference": 1e-6, "variant": "", "seconds": times, "tried": {}} for name, times in seconds.items()
    }
    work = {"kind": "Forward", "title": "BERT-base, 8 × 128 tokens", "flops": 100e9, "bytes": 10e9}
    rates = [{"fma": 500e9, "memory": 40e9}, {"fma": 400e9, "memory": 50e9}, {"fma": 100e9, "memory": 45e9}]
    left_out = {"wrong": {"openvino": 0.5}, "failed": {"ctranslate2": "RuntimeError: no"}}
    return {**work, "peers": peers, **left_out, "rates": rates}


@pytest.fixture
def results() -> dict[str, Any]:
    machine = {"processor": "a CPU", "cpus": 2, "memory": "8 GB", "system": "Linux 6", "python": "3.11"}
    case = a_case(transformers=[1.0, 1.1, 3.0], panpipe=[0.25, 0.26, 0.2])
    return {
        "date": "2026-01-02",
        "machine": machine,
        "threads": 2,
        "repeats": 3,
        "others": 0.0125,
        "versions": {"torch": "2.13.0"},
        "missing": {"llamacpp": "pip ended with code 1"},
        "sentences": {"count": 4, "mean": 3.0, "median": 3.0, "most": 5, "lengths": [1, 3, 3, 5]},
        "cases": {"bert-base-8x128": case},
    }


def test_operations_of_bert_base_are_counted_as_by_hand() -> None:
    # 12 layers of four 768 x 768 and two 768 x 3072 matrices; a multiply-add is two operations
    assert layer_weights(BERT_BASE) == 12 * (4 * 768 * 768 + 2 * 768 * 3072) == 84_934_656
    assert attention_flops(BERT_BASE, [128]) == 12 * 2 * (2 * 128 * 128 * 768)
    assert forward_flops(BERT_BASE, [1]) == 2 * 84_934_656 + 12 * 4 * 768


def test_operations_of_a_batch_are_those_of_its_sequences() -> None:
    lengths = [1, 7, 193]
    assert forward_flops(BERT_BASE, lengths) == sum(forward_flops(BERT_BASE, [length]) for length in lengths)


@pytest.mark.parametrize(
    "config",
    [
        {
            "model_type": "bert",
            "num_hidden_layers": 12,
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_attention_heads": 12,
        },
        {"model_type": "distilbert", "n_layers": 12, "dim": 768, "hidden_dim": 3072, "n_heads": 12},
        {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_inner": None, "n_head": 12},
        {"model_type": "t5", "num_decoder_layers": 12, "d_model": 768, "d_ff": 3072, "num_heads": 12},
    ],
)
def test_shape_is_read_from_every_family(config: dict[str, Any]) -> None:
    assert shape_of({**config, "vocab_size": 30522}) == BERT_BASE


def test_weights_that_a_step_reads_are_counted_as_by_hand() -> None:
    tiny = Shape(layers=2, hidden=4, inner=8, heads=2, vocabulary=10)
    assert decoder_weights(tiny, has_source=False) == 2 * (4 * 16 + 2 * 32) + 40  # layers and vocabulary
    assert decoder_weights(tiny, has_source=True) == 2 * (6 * 16 + 2 * 32) + 40  # queries and outputs of the sources
    assert encoder_weights(tiny) == 2 * (4 * 16 + 2 * 32) + 2 * 2 * 16  # and the decoder's keys and values of them


def test_median_and_spread_do_not_heed_one_slow_round() -> None:
    assert median([1.0, 1.0, 100.0]) == 1.0
    assert spread([1.0, 1.0, 1.0, 1.0, 100.0]) == 0.0
    assert spread([1.0, 2.0, 3.0]) == pytest.approx(0.25)
    assert spread([5.0]) == 0.0


@pytest.mark.parametrize(("seconds", "written"), [(0.001234, "1.23"), (0.01234, "12.3"), (1.234, "1234")])
def test_milliseconds_have_three_digits_or_more(seconds: float, written: str) -> None:
    assert milliseconds(seconds) == written


def test_a_table_refuses_a_row_of_another_width() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"
    with pytest.raises(ValueError, match="3 cells"):
        markdown_table(["a", "b"], [["1", "2", "3"]])


def test_figures_are_of_the_medians(results: dict[str, Any]) -> None:
    assert speed_up(results, "bert-base-8x128") == pytest.approx(1.1 / 0.25)
    assert fma_share(results, "bert-base-8x128") == pytest.approx(100 / 0.25 / 400)
    assert memory_share(results, "bert-base-8x128") == pytest.approx(10 / 0.25 / 45)


@pytest.mark.parametrize(("at_least", "verdict"), [(True, "reached"), (False, "**missed**")])
def test_a_goal_says_whether_it_was_reached(results: dict[str, Any], at_least: bool, verdict: str) -> None:
    goal = Goal("faster", lambda r: speed_up(r, "bert-base-8x128"), 4.0, at_least=at_least)
    row = goal.row(results)
    assert row is not None
    assert row[2:] == ["4.40 ×", verdict]


def test_a_goal_that_was_not_measured_has_no_row(results: dict[str, Any]) -> None:
    measured = [goal.text for goal in GOALS if goal.row(results) is not None]
    assert measured == ["BERT-base 8×128: share of the FMA peak"]


def test_the_report_shows_the_timed_peers_and_names_the_wrong_ones(results: dict[str, Any]) -> None:
    text = render(results)
    assert "| panpipe | 250 | ± 6.0 % | 4.40 × | 400 | 100 % | 89 % | 1e-06 |" in text
    assert "Not timed: OpenVINO, whose answers differ by 5.0e-01." in text
    assert "Not timed: CTranslate2, which ended: RuntimeError: no." in text
    assert "Missing: llamacpp, since pip ended with code 1." in text
    assert "took 1.2% of the machine's time" in text
    assert "### Sentences" not in text


def test_tables_are_written_between_the_markers(tmp_path: Any) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between(page, "new")
    write_between(page, "newer")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n\nnewer\n{END}\nafter\n"
    page.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="must hold one line"):
        write_between(page, "new")


def test_answers_are_compared_text_by_text() -> None:
    tokens = np.array([[3.0, 0.0], [3.0, 8.0]], np.float32)
    assert difference([tokens], [tokens + 1]) == 1.0
    assert difference([np.array([0.6, 0.8], np.float32)], [tokens]) == pytest.approx(0, abs=1e-6)
    assert difference([tokens[:1]], [tokens]) == float("inf")
    assert difference([], [tokens]) == float("inf")


def test_a_row_of_generation_tells_tokens_a_second_and_how_many_are_the_same(results: dict[str, Any]) -> None:
    case = a_case(transformers=[1.0], panpipe=[0.25])
    case |= {"kind": "Generate", "title": "GPT-2", "tokens": 128, "samples": 0}
    case["peers"]["panpipe"]["difference"] = 0.03125
    text = render({**results, "cases": {"gpt2-1": case}})
    assert "| panpipe | 512 | 250 | ± 0.0 % | 4.00 × | 89 % | 97 % |" in text
    text = render({**results, "cases": {"gpt2-samples": case | {"samples": 5}}})
    assert "| panpipe | 512 | 250 | ± 0.0 % | 4.00 × | 89 % | drawn |" in text


def test_the_fastest_peer_is_the_one_to_beat(results: dict[str, Any]) -> None:
    results["cases"]["t5-1"] = a_case(transformers=[1.0], ctranslate2=[0.5], openvino=[0.7], panpipe=[0.25])
    assert over_the_fastest(results, "t5-1") == 2.0


def test_sequences_are_compared_token_by_token() -> None:
    a, b = np.array([1, 2, 3, 4]), np.array([1, 2, 9, 9])
    assert tokens_apart([a, a], [a, b], sampled=False) == 0.25
    assert tokens_apart([a], [a, a], sampled=False) == float("inf")
    assert tokens_apart([a[:3]], [a], sampled=False) == float("inf")
    assert tokens_apart([a, b], [b, a], sampled=True) == 0.0
    assert tokens_apart([a, a], [a, b], sampled=True) == float("inf")


class Bigrams:
    """A model whose next token depends on the last alone, and which keeps every row's history."""

    def __init__(self, case: Generate) -> None:
        self.scores = np.log(np.random.default_rng(3).dirichlet(np.full(11, 0.3), 11))
        self.case = case
        self.histories: list[list[int]] = [[] for _ in range(case.rows)]

    def step(self, tokens: Any, origins: Any) -> tuple[Any, Any]:
        self.histories = [[*self.histories[o], *row] for o, row in zip(origins.tolist(), tokens.tolist(), strict=True)]
        values = self.scores[tokens[:, -1]]
        ids = np.argsort(-values, axis=1)[:, : choices(self.case)]
        return np.take_along_axis(values, ids, 1), ids


def likeliest(scores: Any, first: int, count: int, beams: int) -> list[int]:
    """Beam search, one hypothesis after the other."""
    found = [(0.0, [first])]
    for _ in range(count):
        longer = [(s + scores[h[-1], t], [*h, t]) for s, h in found for t in range(len(scores))]
        found = sorted(longer, key=lambda hypothesis: -hypothesis[0])[:beams]
    return found[0][1][1:]


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("expanded", [False, True])
def test_the_loop_of_bare_runtimes_searches_as_one_by_one(beams: int, expanded: bool) -> None:
    case = Generate("any", "gpt2", sequences=3, prompt_tokens=2, new_tokens=8, beams=beams)
    model = Bigrams(case)
    prompts = np.array([[0, 1], [2, 3], [4, 5]])
    found = decode(model.step, case, np.repeat(prompts, beams, axis=0) if expanded else prompts)
    assert found.tolist() == [likeliest(model.scores, prompt[-1], 8, beams) for prompt in prompts]
    assert model.histories[0][:-7] == [0, 1]


def test_the_loop_of_bare_runtimes_draws_from_the_probabilities() -> None:
    case = Generate("any", "gpt2", sequences=1, prompt_tokens=1, new_tokens=2, samples=4000)
    model = Bigrams(case)
    drawn = decode(model.step, case, np.array([[0]]))[:, 0]
    shares = np.bincount(drawn, minlength=11) / len(drawn)
    assert np.abs(shares - np.exp(model.scores[0])).max() < 0.03


def test_every_form_is_made_in_an_environment_that_there_is() -> None:
    assert {form.environment for form in FORMS.values()} <= set(ENVIRONMENTS)
    assert {form for files in MODELS.values() for form in files.forms} == set(FORMS)


def test_an_environment_that_cannot_be_made_is_named_unless_nothing_works_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = "llamacpp"

    def make(name: str, installs: Any, stamp: str) -> None:
        if name == broken:
            raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(environments, "_make", make)
    assert environments.make_environments() == {"llamacpp": "pip ended with code 1"}
    broken = "oracle"
    with pytest.raises(subprocess.CalledProcessError):
        environments.make_environments()


def test_a_form_that_cannot_be_made_is_named_and_the_others_are_made(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "minilm-package").mkdir(parents=True)
    made = []

    def run(form: Any, model: str, name: str) -> None:
        if name == "fused-onnx":
            raise subprocess.CalledProcessError(2, "python")
        made.append((model, name))

    monkeypatch.setattr(models, "WORK", tmp_path)
    monkeypatch.setattr(environments, "WORK", tmp_path)
    monkeypatch.setattr(environments, "_run_script", run)
    missing = environments.make_models(without={"llamacpp": "pip ended with code 1"})
    assert missing["gpt2.gguf"] == "there is no environment llamacpp"
    assert missing["minilm.fused.onnx"] == "benchmarks.prepare.export ended with code 2"
    assert len(made) + len(missing) == sum(len(files.forms) for files in MODELS.values())


def test_a_peer_without_its_environment_or_model_is_left_out(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "WORK", tmp_path)
    monkeypatch.setattr("benchmarks.workers.WORK", tmp_path)
    case, llamacpp = CASES["gpt2-1"], PEERS["llamacpp"]
    assert not llamacpp.can(case)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "gpt2.gguf").touch()
    assert not llamacpp.can(case)
    (tmp_path / "llamacpp.stamp").touch()
    assert llamacpp.can(case)


def test_every_case_has_transformers_first_and_panpipe() -> None:
    for case in CASES.values():
        names = [spec.name for spec in peers_of(case)]
        assert names[0] == "transformers"
        assert names[-1] == "panpipe"


def test_every_peer_has_a_variant_for_every_case_it_takes() -> None:
    for case in CASES.values():
        for spec in PEERS.values():
            if spec.takes(case):
                assert spec.variants(case)
                assert not isinstance(case, Forward | Generate) or spec.variants(case) == ("",)


def test_who_runs_what() -> None:
    takes = {name: [spec.name for spec in peers_of(case)][1:-1] for name, case in CASES.items()}
    runtimes = ["ctranslate2", "onnxruntime", "openvino"]
    assert takes["bert-base-1x16"] == takes["minilm-sentences"] == runtimes
    assert takes["minilm-sentences-arrays"] == ["sentence-transformers", *runtimes]
    assert takes["distilbert-sentences"] == ["onnxruntime", "openvino"]
    assert takes["gpt2-samples"] == ["ctranslate2", "openvino", "llamacpp"]
    assert takes["marian-8"] == ["ctranslate2"]
    assert takes["t5-8-beams4"] == ["ctranslate2", "openvino"]
    assert takes["bart-zero-shot"] == takes["distilbert-long-answer"] == ["onnxruntime"]


def test_there_are_512_different_sentences() -> None:
    sentences = read_sentences()
    assert len(sentences) == 512
    assert len(set(sentences)) == 512
    assert not any(sentence.startswith("#") for sentence in sentences)
