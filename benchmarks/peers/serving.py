"""A peer's side of the pipe: reads requests from stdin, one JSON object a line, and answers each with one line.

    {"do": "versions"}                        -> {"openvino": "2026.4.1", …}
    {"do": "load", "case": its name}          -> {}; the model is loaded and the inputs laid out
    {"do": "answer", WORK, "path": "x.npz"}   -> {}; the outputs are written there, to be compared
    {"do": "time", WORK, "warm_up": seconds, "seconds": seconds} -> {"seconds": [each call's time]}
    {"do": "forget"}                          -> {}; the loaded model may leave the memory
    {"do": "rates", "seconds": seconds}       -> {"fma": operations a second, "memory": bytes a second}

WORK is "variant": one of the peer's, and "texts": the sentences of a `Texts` case, else nothing.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from benchmarks.cases import CASES, Case

__all__ = ["Array", "Peer", "Work", "serve"]

Array = npt.NDArray[Any]

Work = Callable[[str, Sequence[str]], Any]
"""What is timed, (variant, texts) -> answers: all the work of a case, from ids or texts on."""

MOST_CALLS = 200


class Peer(ABC):
    """One way to run the models, at the settings that suit it best."""

    packages: ClassVar[tuple[str, ...]]
    """Whose versions are reported."""

    @abstractmethod
    def load(self, case: Case) -> Work:
        """Load what the case needs and return its work, to be called any number of times."""

    def versions(self) -> dict[str, str]:
        """name -> version."""
        return {package: version(package) for package in self.packages}

    def rates(self, seconds: float) -> dict[str, float]:
        """The machine's limits, from the peer that can measure them."""
        raise LookupError(f"{type(self).__name__} measures no rates.")


def serve(peer: Peer) -> None:
    """Answer requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the libraries print must not get among the replies
    work: Work | None = None
    for line in sys.stdin:
        request = json.loads(line)
        reply: dict[str, Any] = {}
        match request["do"]:
            case "versions":
                reply = peer.versions()
            case "load":
                work = peer.load(CASES[request["case"]])
            case "answer":
                assert work is not None, "load comes first"
                np.savez(request["path"], *arrays(work(request["variant"], request["texts"])))
            case "time":
                assert work is not None, "load comes first"
                reply = {"seconds": timed(work, **{name: value for name, value in request.items() if name != "do"})}
            case "forget":
                work = None
                gc.collect()
            case "rates":
                reply = peer.rates(request["seconds"])
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def timed(work: Work, variant: str, texts: Sequence[str], warm_up: float, seconds: float) -> list[float]:
    """Each call's seconds: after calls for about `warm_up` seconds, as many as add up to `seconds`, at least one."""
    if warm_up:
        _calls(work, variant, texts, warm_up)
    return _calls(work, variant, texts, seconds)


def _calls(work: Work, variant: str, texts: Sequence[str], seconds: float) -> list[float]:
    times: list[float] = []
    while not times or (sum(times) < seconds and len(times) < MOST_CALLS):
        begin = time.perf_counter()
        answers = work(variant, texts)
        times.append(time.perf_counter() - begin)
        del answers
    return times


def arrays(result: Any) -> list[npt.NDArray[np.float32]]:
    """Any peer's answers as float32 arrays: each [tokens, hidden] or [hidden]; the ids of tokens; or `_numbers`."""
    return [_array(answer) for answer in result]


def _array(answer: Any) -> npt.NDArray[np.float32]:
    if isinstance(answer, dict):
        return np.array(_numbers(answer), np.float32)
    array = np.asarray(answer, np.float32)
    return array[0] if array.ndim == 3 else array  # [1][tokens][hidden]


def _numbers(answer: dict[str, Any]) -> list[float]:
    """Of a pipeline's answer: the probability of label 1, those of all labels, or that of a span and where it is."""
    match answer:
        case {"labels": labels, "scores": scores}:
            return [score for _, score in sorted(zip(labels, scores, strict=True))]
        case {"score": score, "start": start, "end": end}:
            return [score, start, end]
        case {"label": label, "score": score}:
            return [score if label.endswith("1") else 1 - score]
    raise ValueError(f"an answer of keys {list(answer)}.")
