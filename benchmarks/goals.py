"""What the benchmark is to show: each goal reads its figure from the results and compares it with its target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import CASES, Generate
from benchmarks.figures import median, ratio, share
from benchmarks.models import MODELS

__all__ = ["GOALS", "Goal", "Results", "fma_share", "memory_share", "over_the_fastest", "seconds_of", "speed_up"]

Results = Mapping[str, Any]
"""What `run.py` keeps in results.json."""

MEGABYTE = 1e6


@dataclass(frozen=True)
class Goal:
    """figure: from the results; raises KeyError where they do not hold it.   at_least: else at most `target`."""

    text: str
    figure: Callable[[Results], float]
    target: float
    written: Callable[[float], str] = ratio
    at_least: bool = True

    def is_reached(self, value: float) -> bool:
        """Whether the figure meets the target."""
        return value >= self.target if self.at_least else value <= self.target

    def row(self, results: Results) -> list[str] | None:
        """[goal, target, figure, "reached" or "missed"], or None if it was not measured."""
        try:
            value = self.figure(results)
        except KeyError:
            return None
        sign = "≥" if self.at_least else "≤"
        verdict = "reached" if self.is_reached(value) else "**missed**"
        return [self.text, f"{sign} {self.written(self.target)}", self.written(value), verdict]


# -- figures ---------------------------------------------------------------------------------------------------------


def seconds_of(results: Results, case: str, peer: str = "panpipe") -> float:
    """The median of a peer's rounds."""
    return median(results["cases"][case]["peers"][peer]["seconds"])


def speed_up(results: Results, case: str, over: str = "transformers", peer: str = "panpipe") -> float:
    """How many times sooner than `over` a peer is done."""
    return seconds_of(results, case, over) / seconds_of(results, case, peer)


def over_the_fastest(results: Results, case: str) -> float:
    """How many times sooner than the fastest of all others panpipe is done."""
    others = [peer for peer in results["cases"][case]["peers"] if peer != "panpipe"]
    return min(seconds_of(results, case, peer) for peer in others) / seconds_of(results, case)


def fma_share(results: Results, case: str, peer: str = "panpipe") -> float:
    """The operations a second, as a share of the peak measured in the same rounds."""
    return float(results["cases"][case]["flops"] / seconds_of(results, case, peer) / _rate(results, case, "fma"))


def memory_share(results: Results, case: str, peer: str = "panpipe") -> float:
    """The weights' bytes a second, as a share of the memory's rate measured in the same rounds."""
    read = results["cases"][case]["bytes"] / seconds_of(results, case, peer)
    return float(read / _rate(results, case, "memory"))


def _rate(results: Results, case: str, kind: str) -> float:
    return median([rates[kind] for rates in results["cases"][case]["rates"]])


def _import_ratio(results: Results) -> float:
    imports = results["processes"]["imports"]
    return median(imports["panpipe.pipeline"]["seconds"]) / median(imports["numpy"]["seconds"])


def _import_megabytes(results: Results) -> float:
    return float(results["processes"]["imports"]["panpipe.pipeline"]["peak_bytes"] / MEGABYTE)


def _first_answer(results: Results) -> float:
    seconds = results["processes"]["first_answer"]["seconds"]
    return median(seconds["transformers"]) / median(seconds["panpipe"])


def _installed(results: Results) -> float:
    return float(results["processes"]["installed_bytes"] / MEGABYTE)


def _memory(results: Results) -> float:
    memory = results["processes"]["memory"]
    return float(memory["peak_bytes"]["panpipe"] / (1.3 * memory["weights_bytes"] + 80 * MEGABYTE))


def _megabytes(value: float) -> str:
    return f"{value:.0f} MB"


def _short(case: Generate) -> str:
    return (
        f"{MODELS[case.model].title}, batch {case.sequences}, {f'{case.beams} beams' if case.beams > 1 else 'greedy'}"
    )


# -- goals -----------------------------------------------------------------------------------------------------------


def _of(function: Callable[..., float], case: str, *arguments: str) -> Callable[[Results], float]:
    return lambda results: function(results, case, *arguments)


GOALS = (
    Goal("BERT-base 8×128: share of the FMA peak", _of(fma_share, "bert-base-8x128"), 0.92, share),
    Goal("BERT-base 8×128: over OpenVINO", _of(speed_up, "bert-base-8x128", "openvino"), 1.0),
    Goal("BERT-base 32×64: share of the FMA peak", _of(fma_share, "bert-base-32x64"), 0.92, share),
    Goal("BERT-base 32×64: over OpenVINO", _of(speed_up, "bert-base-32x64", "openvino"), 1.0),
    Goal("BERT-base 1×16: over transformers", _of(speed_up, "bert-base-1x16"), 4.2),
    Goal("BERT-base 1×16: share of the memory rate", _of(memory_share, "bert-base-1x16"), 0.70, share),
    Goal("MiniLM 1×16: over transformers", _of(speed_up, "minilm-1x16"), 4.0),
    Goal("MiniLM features of the sentences, lists: over transformers", _of(speed_up, "minilm-sentences"), 5.0),
    *(
        Goal(f"MiniLM features of the sentences, {form}: over {label}", _of(speed_up, case, peer), 1.0)
        for form, case in (("lists", "minilm-sentences"), ("arrays", "minilm-sentences-arrays"))
        for peer, label in (("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime"))
    ),
    Goal(
        "MiniLM features of the sentences, arrays: over sentence-transformers",
        _of(speed_up, "minilm-sentences-arrays", "sentence-transformers"),
        1.0,
    ),
    Goal("DistilBERT classes of the sentences: over transformers", _of(speed_up, "distilbert-sentences"), 4.4),
    Goal("DistilBERT classes of the sentences: over OpenVINO", _of(speed_up, "distilbert-sentences", "openvino"), 1.0),
    Goal(
        "DistilBERT classes of the sentences: over ONNX Runtime",
        _of(speed_up, "distilbert-sentences", "onnxruntime"),
        1.0,
    ),
    Goal("GPT-2, batch 1: share of the memory rate", _of(memory_share, "gpt2-1"), 0.90, share),
    Goal("GPT-2, batch 1: over llama.cpp", _of(speed_up, "gpt2-1", "llamacpp"), 1.0),
    Goal("GPT-2, batch 4: over transformers", _of(speed_up, "gpt2-4"), 4.5),
    Goal("GPT-2, five sampled sequences: over transformers", _of(speed_up, "gpt2-samples"), 4.5),
    *(
        Goal(f"{_short(case)}: over the fastest peer", _of(over_the_fastest, case.name), 1.3)
        for case in CASES.values()
        if isinstance(case, Generate) and not case.name.startswith("gpt2")
    ),
    Goal("BART-large-MNLI, zero-shot: over transformers", _of(speed_up, "bart-zero-shot"), 3.5),
    Goal("DistilBERT, an answer from 3000 words: over transformers", _of(speed_up, "distilbert-long-answer"), 3.5),
    Goal("`from panpipe import pipeline`: time of `import numpy`", _import_ratio, 1.6, ratio, at_least=False),
    Goal("`from panpipe import pipeline`: memory", _import_megabytes, 60, _megabytes, at_least=False),
    Goal("first sentiment from a cold process: over transformers", _first_answer, 10, ratio),
    Goal("the core installed with its dependencies", _installed, 120, _megabytes, at_least=False),
    Goal("BERT-base, one answer: peak memory of (1.3 × weights + 80 MB)", _memory, 1.0, share, at_least=False),
)
