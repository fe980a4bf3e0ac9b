"""Hyper-parameter search: many short runs, each in a folder of its own, none done twice, and what they all cost.

    space = {"learning_rate": loguniform(1e-5, 1e-3), "num_train_epochs": [1, 2, 3]}
    result = search(space, run, trials=20, direction="maximize", metric="eval_accuracy", output_dir="search")
    print(result.table())

A trial's parameters are a function of the seed, its number and, for optuna, the trials before it. What a finished trial
found stands in trial.json in its folder; a search that was killed and is started again reads that and goes on, and the
trial that was under way starts again in the folder where it was, so that `run` can resume there.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import json
import logging
import math
import os
import random
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..carbon import EnergyMeter
from ..carbon.checks import check_choice
from ..carbon.result import co2_words, energy_words, time_words
from ..errors import InvalidArgument, MissingDependency, did_you_mean
from ..weights.whole_file import whole_file
from .card import markdown_table

__all__ = [
    "Choice",
    "Pruned",
    "Range",
    "SearchResult",
    "Trial",
    "choice",
    "integers",
    "loguniform",
    "parse_space",
    "search",
    "uniform",
]

_log = logging.getLogger("panpipe.training")
_HOPELESS = 3  # failures before anything has finished
_TRUSTED = 4  # finished trials before one is stopped for being worse than their median
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None}

Parameters = dict[str, Any]
Report = Callable[[int, float], None]


class Suggests(Protocol):
    """What a space asks; optuna's trials answer too."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """A whole number between two, both included."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of several."""


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included.   log: even in their logarithm.   whole: whole numbers.

    Raises InvalidArgument for a range that is empty, or begins at 0 or below where the logarithm counts.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InvalidArgument(f"from {self.low} to {self.high} there is no number: give the smaller one first.")
        if self.log and self.low <= 0:
            raise InvalidArgument(f"a logarithmic range must begin above 0, not at {self.low}.")

    def suggest(self, name: str, trial: Suggests) -> Any:
        """A value of it."""
        if self.whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def values(self, name: str) -> list[Any]:
        """All of them.   Raises InvalidArgument where they cannot be counted."""
        if not self.whole:
            raise InvalidArgument(f"{name}: a grid needs values, such as [1e-5, 1e-4], not a range of all numbers.")
        return list(range(int(self.low), int(self.high) + 1))


@dataclass(frozen=True)
class Choice:
    """One of several values.   Raises InvalidArgument for none."""

    choices: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.choices:
            raise InvalidArgument("a choice needs at least one value.")

    def suggest(self, name: str, trial: Suggests) -> Any:
        """A value of it."""
        return trial.suggest_categorical(name, self.choices)

    def values(self, name: str) -> list[Any]:
        """All of them."""
        return list(self.choices)


def uniform(low: float, high: float) -> Range:
    """Numbers from low to high."""
    return Range(low, high)


def loguniform(low: float, high: float) -> Range:
    """Numbers from low to high, each power of ten as often as the next."""
    return Range(low, high, log=True)


def integers(low: int, high: int, log: bool = False) -> Range:
    """Whole numbers from low to high, both included."""
    return Range(low, high, log=log, whole=True)


def choice(values: Iterable[Any]) -> Choice:
    """One of the values."""
    return Choice(tuple(values))


def parse_space(texts: Iterable[str]) -> dict[str, Range | Choice]:
    """A space from the command line: "learning_rate=1e-5..1e-3:log", "num_train_epochs=1..3", "seed=1,2", "bf16=true".

    Ends that are both whole numbers make a range of whole numbers.   Raises InvalidArgument.
    """
    space: dict[str, Range | Choice] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise InvalidArgument(f"{text!r}: write name=low..high, name=low..high:log or name=a,b,c.")
        found = _RANGE.fullmatch(values)
        if found is None and ".." in values:
            raise InvalidArgument(f"{text!r}: a range is written low..high or low..high:log, with numbers.")
        if found is None:
            space[name] = Choice(tuple(map(_value, values.split(","))))
        else:
            low, high = map(_value, found.group(1, 2))
            space[name] = Range(low, high, log=bool(found[3]), whole=isinstance(low, int) and isinstance(high, int))
    return space


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBER, text) else text


# -- what is found ----------------------------------------------------------------------------------------------------


class Pruned(Exception):
    """Raised out of a report: the trial is worse than most were at that point, and ends."""


@dataclass(frozen=True)
class Trial:
    """A run of a search.

    state: "finished", "failed" or "pruned".   value: of the metric that is searched for; None where there is none.
    seconds, kwh, kg_co2e: what it took, what was lost to a kill or a failure included.   reported: (step, value) pairs.
    """

    number: int
    state: str
    parameters: Parameters
    metrics: dict[str, Any] = field(default_factory=dict)
    value: float | None = None
    seconds: float = 0.0
    kwh: float = 0.0
    kg_co2e: float = 0.0
    error: str = ""
    reported: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class SearchResult:
    """All trials of a search, by their numbers."""

    trials: tuple[Trial, ...]
    metric: str
    direction: str

    @property
    def best(self) -> Trial:
        """The finished trial with the best value.   Raises InvalidArgument if none finished."""
        finished = [trial for trial in self.trials if trial.state == "finished"]
        if not finished:
            errors = [trial.error for trial in self.trials if trial.error]
            raise InvalidArgument(f"no trial finished. The first error was: {next(iter(errors), 'none')}")
        return self._ranked(finished)[0]

    @property
    def seconds(self) -> float:
        """What all trials took, those that failed included."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def kwh(self) -> float:
        """The energy of all trials."""
        return sum(trial.kwh for trial in self.trials)

    @property
    def kg_co2e(self) -> float:
        """The greenhouse gases of all trials."""
        return sum(trial.kg_co2e for trial in self.trials)

    def table(self) -> str:
        """The trials as a table in Markdown, the best first, and what they cost together."""
        rows = [
            {
                "trial": trial.number,
                self.metric: trial.value,
                **trial.parameters,
                "time": time_words(trial.seconds),
                "energy": energy_words(trial.kwh),
                "state": "" if trial.state == "finished" else f"{trial.state} {trial.error}".strip(),
            }
            for trial in self._ranked(self.trials)
        ]
        cost = f"{time_words(self.seconds)}, {energy_words(self.kwh)}, {co2_words(self.kg_co2e)} CO2e"
        return f"{markdown_table(rows)}\n\nAll {len(self.trials)} trials: {cost}."

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        trials = [asdict(trial) for trial in self.trials]
        return {
            "metric": self.metric,
            "direction": self.direction,
            "trials": trials,
            "seconds": self.seconds,
            "kwh": self.kwh,
            "kg_co2e": self.kg_co2e,
        }

    def __str__(self) -> str:
        return self.table()

    def _ranked(self, trials: Iterable[Trial]) -> list[Trial]:
        sign = 1 if self.direction == "minimize" else -1
        return sorted(trials, key=lambda t: (t.state != "finished", math.inf if t.value is None else sign * t.value))


# -- the search -------------------------------------------------------------------------------------------------------


def search(
    space: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
    run: Callable[..., Mapping[str, Any] | float],
    *,
    trials: int | None = None,
    direction: str,
    metric: str | None = None,
    method: str = "random",
    seed: int = 0,
    output_dir: str | os.PathLike[str],
    pruning: bool = False,
    country: str | None = None,
) -> SearchResult:
    """Run trials until there are so many, and return them all.

    space: to each parameter a `Range`, a `Choice`, a list, or a value that stays; or a function of a trial that calls
    its suggest_float, suggest_int and suggest_categorical and returns the parameters, as optuna has it.
    run: called with the parameters and the trial's folder; returns the metrics (or the one value). If it takes a third
    argument it gets report(step, value), to be called as the metric develops.
    trials: how many in all, those of an earlier start included; default 10, of a grid all.
    direction: "minimize" or "maximize" the metric; metric: its name, which may be left out where there is only one.
    method: "random", "grid" or "optuna".   output_dir: where the trials' folders are, those of an earlier start too.
    pruning: stop a trial whose reported value is worse than the median of the others at that step.
    country: whose electricity it is.

    A trial that raises an exception, or whose value is not finite, is kept as failed and tried again by the next start;
    three before any has finished end the search with the last exception.
    Raises InvalidArgument, before the first trial, for values that cannot be used and where output_dir holds trials of
    another search; after it, if `run` does not return the metric. MissingDependency for optuna if it is not installed.
    """
    check_choice("direction", direction, ("minimize", "maximize"))
    check_choice("method", method, ("random", "grid", "optuna"))
    if trials is not None and (isinstance(trials, bool) or not isinstance(trials, int) or trials < 1):
        raise InvalidArgument(f"trials={trials!r} must be a whole number, 1 or more.")
    sampler = _sampler(method, space, seed, direction)
    count = trials if trials is not None else sampler.count or 10
    job = _Job(Path(output_dir), run, metric, direction, pruning, country)
    done: list[Trial] = []
    for number in range(min(count, sampler.count or count)):
        kept = job.kept(number)
        parameters = dict(sampler.ask(number, kept))
        trial = job.done(kept, parameters) if kept else None
        trial = trial or job.run_trial(number, parameters, done)
        sampler.tell(trial)
        done.append(trial)
    return SearchResult(tuple(done), job.metric or "objective", direction)


class _Job:
    """Trials and their folders."""

    def __init__(
        self,
        folder: Path,
        run: Callable[..., Any],
        metric: str | None,
        direction: str,
        pruning: bool,
        country: str | None,
    ) -> None:
        self.metric = metric
        self._folder, self._run, self._direction = folder, run, direction
        self._pruning, self._country = pruning, country
        self._takes_report = len(inspect.signature(run).parameters) > 2

    def kept(self, number: int) -> Trial | None:
        """What an earlier start left of a trial that ended.   Raises InvalidArgument for a file that is none."""
        file = self._file(number)
        try:
            kept = json.loads(file.read_text("utf-8"))
            return Trial(**{**kept, "reported": tuple(map(tuple, kept["reported"]))})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidArgument(f"{file} is not a trial ({error}). Give another output_dir.") from None

    def done(self, kept: Trial, parameters: Parameters) -> Trial | None:
        """The trial, if it need not be run again.   Raises InvalidArgument if it is of another search."""
        if kept.parameters != _plain(parameters):
            raise InvalidArgument(
                f"{self._file(kept.number)} has {kept.parameters}, but this search has {parameters} there: another "
                "space, seed or method. Give another output_dir."
            )
        if kept.state == "finished":
            return replace(kept, value=self._value(kept.metrics))
        return kept if kept.state == "pruned" else None

    def run_trial(self, number: int, parameters: Parameters, before: Sequence[Trial]) -> Trial:
        """Run a trial, and write what it found when it has ended."""
        trial = Trial(number, "finished", _plain(parameters))
        folder = self._file(number).parent
        folder.mkdir(parents=True, exist_ok=True)
        reported: list[tuple[int, float]] = []
        report = _reporter(reported, before, self._direction if self._pruning else "")
        failure: Exception | None = None
        with EnergyMeter(folder.name, folder, run_id=folder.name, country=self._country) as meter:
            try:
                returned = self._run(parameters, folder, *([report] if self._takes_report else []))
                trial = replace(trial, metrics=_as_metrics(returned))
            except Pruned:
                trial = replace(trial, state="pruned")
            except Exception as error:  # whatever it is, the other trials may do better
                failure = error
        used = meter.result
        trial = replace(trial, seconds=used.seconds, kwh=used.kwh, kg_co2e=used.kg_co2e, reported=tuple(reported))
        if failure is None and trial.state == "finished":
            self._write(trial)  # before its value is looked for: the name of the metric may be wrong
            value = self._value(trial.metrics)
            trial = replace(trial, value=value)
            if not math.isfinite(value):
                failure = ArithmeticError(f"{self.metric} is {value}")
        if failure is not None:
            trial = replace(trial, state="failed", value=None, error=f"{type(failure).__name__}: {failure}")
            _log.warning("trial %d with %s failed: %s", number, parameters, trial.error)
        self._write(trial)
        if failure is not None and number + 1 >= _HOPELESS and all(other.state == "failed" for other in before):
            raise failure
        return trial

    def _write(self, trial: Trial) -> None:
        text = json.dumps(asdict(trial), ensure_ascii=False, indent=1, default=_number)
        with whole_file(self._file(trial.number)) as temporary:
            temporary.write_text(text + "\n", "utf-8")

    def _file(self, number: int) -> Path:
        return self._folder / f"trial-{number:04d}" / "trial.json"

    def _value(self, metrics: Mapping[str, Any]) -> float:
        """The value that is searched for.   Raises InvalidArgument where there is none."""
        if self.metric is None and len(metrics) == 1:
            self.metric = next(iter(metrics))
        if self.metric is None:
            raise InvalidArgument(f"run returned {', '.join(metrics)}: say which one counts with metric=.")
        if self.metric not in metrics:
            near = did_you_mean(self.metric, metrics)
            raise InvalidArgument(f"run did not return metric={self.metric!r}, but {', '.join(metrics)}.{near}")
        return float(metrics[self.metric])


def _reporter(reported: list[tuple[int, float]], before: Sequence[Trial], direction: str) -> Report:
    """A function that notes values and, if there is a direction, ends a trial that is worse than most."""

    def report(step: int, value: float) -> None:
        reported.append((int(step), float(value)))
        others = [dict(trial.reported)[step] for trial in before if step in dict(trial.reported)]
        if not direction or len(others) < _TRUSTED:
            return
        middle = statistics.median(others)
        if not math.isfinite(value) or (value > middle if direction == "minimize" else value < middle):
            raise Pruned(f"{value} at step {step}; the median was {middle}")

    return report


def _as_metrics(returned: Any) -> dict[str, Any]:
    if isinstance(returned, Mapping):
        return dict(returned)
    try:
        return {"objective": float(returned)}
    except (TypeError, ValueError):
        raise InvalidArgument(f"run returned {returned!r}; a dictionary of metrics or a number is needed.") from None


def _plain(parameters: Mapping[str, Any]) -> Parameters:
    """Parameters as JSON keeps them.   Raises InvalidArgument for what it cannot keep."""
    try:
        kept: Parameters = json.loads(json.dumps(parameters, default=_number))
    except TypeError as error:
        raise InvalidArgument(f"the parameters {parameters} cannot be written down as JSON: {error}.") from None
    return kept


def _number(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no form in JSON")


# -- methods ----------------------------------------------------------------------------------------------------------


class _Sampler(Protocol):
    """Which parameters a trial has.   count: how many trials there can be; None: as many as one likes."""

    count: int | None

    def ask(self, number: int, kept: Trial | None) -> Mapping[str, Any]: ...

    def tell(self, trial: Trial) -> None: ...


def _sampler(method: str, space: Any, seed: int, direction: str) -> _Sampler:
    suggest = space if callable(space) else _suggestions(space)
    if method == "grid":
        if callable(space):
            raise InvalidArgument("a grid needs a dictionary of values, not a function.")
        return _Grid({name: values.values(name) for name, values in _ranges(space).items()})
    return _Random(suggest, seed) if method == "random" else _Optuna(suggest, seed, direction)


def _ranges(space: Mapping[str, Any]) -> dict[str, Range | Choice]:
    if not isinstance(space, Mapping) or not space:
        raise InvalidArgument(f"space={space!r}: a dictionary of parameters is needed, with at least one.")

    def one(value: Any) -> Range | Choice:
        if isinstance(value, (Range, Choice)):
            return value
        return Choice(tuple(value)) if isinstance(value, (list, tuple)) else Choice((value,))

    return {name: one(value) for name, value in space.items()}


def _suggestions(space: Mapping[str, Any]) -> Callable[[Suggests], Parameters]:
    ranges = _ranges(space)
    return lambda trial: {name: values.suggest(name, trial) for name, values in ranges.items()}


class _Grid:
    def __init__(self, values: Mapping[str, list[Any]]) -> None:
        self._all = [dict(zip(values, row, strict=True)) for row in itertools.product(*values.values())]
        self.count: int | None = len(self._all)

    def ask(self, number: int, kept: Trial | None) -> Parameters:
        return self._all[number]

    def tell(self, trial: Trial) -> None:
        """A grid learns nothing."""


class _Random:
    count: int | None = None

    def __init__(self, suggest: Callable[[Any], Mapping[str, Any]], seed: int) -> None:
        self._suggest, self._seed = suggest, seed

    def ask(self, number: int, kept: Trial | None) -> Mapping[str, Any]:
        return self._suggest(_Drawn(f"{self._seed}/{number}"))

    def tell(self, trial: Trial) -> None:
        """Chance learns nothing."""


class _Drawn:
    """Values by chance, each from the trial's seed and its own name: another parameter beside it changes nothing."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        share = self._share(name)
        value = low * (high / low) ** share if log else low + (high - low) * share
        return min(max(value, low), high)

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        if not log:
            return low + int(self._share(name) * (high - low + 1))
        return min(high, max(low, round(self.suggest_float(name, low - 0.5, high + 0.5, log=True))))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[int(self._share(name) * len(choices))]

    def _share(self, name: str) -> float:
        return random.Random(f"{self._seed}/{name}").random()


class _Optuna:
    """Optuna's tree-structured Parzen estimator, told of all trials before; seeded anew for each trial."""

    count: int | None = None

    def __init__(self, suggest: Callable[[Any], Mapping[str, Any]], seed: int, direction: str) -> None:
        try:
            self._optuna = importlib.import_module("optuna")
        except ImportError as error:
            raise MissingDependency('method="optuna" needs optuna: pip install "panpipe[hpo]"') from error
        self._suggest, self._seed = suggest, seed
        self._optuna.logging.set_verbosity(self._optuna.logging.WARNING)
        self._study = self._optuna.create_study(direction=direction)
        self._trial: Any = None

    def ask(self, number: int, kept: Trial | None) -> Mapping[str, Any]:
        if kept is not None:  # drawn when less was known
            self._study.enqueue_trial(kept.parameters)
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=random.Random(f"{self._seed}/{number}").getrandbits(31)
        )
        self._trial = self._study.ask()
        return self._suggest(self._trial)

    def tell(self, trial: Trial) -> None:
        state = "COMPLETE" if trial.state == "finished" else "PRUNED" if trial.state == "pruned" else "FAIL"
        self._study.tell(self._trial, trial.value, state=getattr(self._optuna.trial.TrialState, state))
