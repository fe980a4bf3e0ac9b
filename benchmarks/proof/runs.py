"""Runs in processes of their own: one to its end, or two in turns, some steps of one and then of the other."""

from __future__ import annotations

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from typing import Any

from .trainers import MAKERS, Job

__all__ = ["in_turns", "whole"]

WARM = 4
"""Steps before any that count."""

Turn = dict[str, float]


def whole(name: str, job: Job) -> dict[str, Any]:
    """A run to its end: {"seconds", "steps", "memory" (peak, MiB), "loss" of the last steps, "predictions"}."""
    process, pipe = _started(name, job)
    pipe.send(10**9)
    result: dict[str, Any] = pipe.recv()
    process.join()
    return result


def in_turns(jobs: dict[str, Job], steps: int, rounds: int) -> dict[str, list[Turn]]:
    """Each run's turns of so many steps: {"seconds", "cpu_seconds", "tokens", "memory"}; the other waits meanwhile."""
    running = {name: _started(name, job) for name, job in jobs.items()}
    turns: dict[str, list[Turn]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name in list(jobs)[:: 1 if number % 2 else -1]:
            _, pipe = running[name]
            pipe.send(steps if number else WARM)
            turn = pipe.recv()
            if number:
                turns[name].append(turn)
    for process, pipe in running.values():
        pipe.send(0)
        pipe.recv()
        process.join()
    return turns


def _started(name: str, job: Job) -> tuple[Any, Connection]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(name, job, there))
    process.start()
    there.close()
    return process, here


class _Counted:
    """Rows that count the tokens that are taken: two runs that draw other batches are compared by them."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self.tokens = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        self.tokens += len(self.rows[place]["input_ids"])
        return self.rows[place]


def _run(name: str, job: Job, pipe: Connection) -> None:
    class Turns:
        """Waits to be told a number of steps, takes them, and says how long they took."""

        steps, began, computed, tokens = 0, 0.0, 0.0, 0

        def wait(self) -> bool:
            self.steps = pipe.recv()
            self.began, self.computed, self.tokens = time.perf_counter(), time.process_time(), rows.tokens
            return self.steps > 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.wait()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.steps -= 1
            if self.steps == 0:
                pipe.send(
                    {
                        "seconds": time.perf_counter() - self.began,
                        "cpu_seconds": time.process_time() - self.computed,
                        "tokens": rows.tokens - self.tokens,
                        "memory": _memory(),
                    }
                )
                control.should_training_stop = not self.wait()

    rows = _Counted(job.features)
    trainer = MAKERS[name](job, rows, Turns)
    began, computed = time.perf_counter(), time.process_time()
    done = trainer.train()
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - computed
    result = {"seconds": seconds, "cpu_seconds": cpu_seconds, "steps": done.global_step, "memory": _memory()}
    result["loss"] = [values["loss"] for values in trainer.state.log_history if "loss" in values]
    if job.test_features:
        trainer.args.group_by_length = False  # transformers would give predictions in a random order
        result["predictions"] = trainer.predict(job.test_features).predictions
    pipe.send(result)


def _memory() -> float:
    """The most this process has held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
