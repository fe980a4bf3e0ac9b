"""Which of the embedded models answers a text, by its language: found for each text of a call.

Only for pipelines for which no model was named; a model that was named answers everything.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import PanpipeError
from .base import Parameters, Pipeline
from .detecting import language_of, text_of
from .inputs import Interrupted
from .language_names import english_name, key_of

__all__ = ["ByLanguage", "Models", "Translations", "sources", "target_of", "way"]

_log = logging.getLogger("panpipe")


class ByLanguage(ABC):
    """The pipelines that answer for one, which answers itself where the language does not matter or is not known."""

    def __init__(self, pipe: Pipeline) -> None:
        self.pipe = pipe
        self._said: set[str] = set()

    @abstractmethod
    def languages(self, given: Mapping[str, Any]) -> Sequence[str]:
        """Those that texts may be in, in a call with these arguments; the first is the default."""

    @abstractmethod
    def member(self, language: str, parameters: Parameters) -> tuple[Pipeline, Parameters]:
        """Who answers the texts of a language, and with which parameters.   parameters: the pipeline's own."""

    def answers(self, window: list[Any], parameters: Parameters, at_once: bool) -> Iterator[Any]:
        """The window's answers in order, each language's computed together.

        With several languages an input's error comes after the answers before it, and Ctrl-C after what is there.
        """
        places: dict[str, list[int]] = defaultdict(list)
        known = self.languages(parameters.given)
        for place, value in enumerate(window):
            places[self._language(value, known)].append(place)
        if len(places) == 1:
            yield from self._of(next(iter(places)), window, parameters, at_once)
            return
        gathering = replace(parameters, options=replace(parameters.options, on_error="return"))
        made: dict[int, Any] = {}
        stopped: Interrupted | None = None
        try:
            for language, own in places.items():
                answers = self._of(language, [window[place] for place in own], gathering, at_once)
                for place, answer in zip(own, answers, strict=True):  # what came before Ctrl-C is kept
                    made[place] = answer  # noqa: PERF403
        except Interrupted as stop:
            stopped = stop
        for place in range(len(window)):
            if stopped is not None and place not in made:
                raise stopped
            if isinstance(made[place], PanpipeError) and parameters.options.on_error == "raise":
                raise made[place]
            yield made[place]

    def _of(self, language: str, window: list[Any], parameters: Parameters, at_once: bool) -> Iterator[Any]:
        member, own = self.member(language, parameters)
        return (member._answers if member is self.pipe else member._answer_window)(window, own, at_once)

    def _language(self, value: Any, known: Sequence[str]) -> str:
        """An input's language; the default where it does not tell, or where nobody here reads it, which is said."""
        found = language_of(text_of(value))
        if found is not None and found not in known and found not in self._said:
            self._said.add(found)
            _log.warning(
                "%s: no embedded model is for texts in %s; they are answered as if in %s. Name one that is: model=….",
                self.pipe.task,
                english_name(found),
                english_name(known[0]),
            )
        return found if found is not None and found in known else known[0]


class Models(ByLanguage):
    """A model for each language.

    models: rows of the index, by language; that of `first` is the pipeline's own.   make: what makes the pipeline of
    another row, for a language, when a text asks for it.
    """

    def __init__(
        self, pipe: Pipeline, models: Mapping[str, Any], first: str, make: Callable[[Any, str], Pipeline]
    ) -> None:
        super().__init__(pipe)
        self._models, self._first, self._make = models, first, make
        self._pipes = {models[first]: pipe}

    def languages(self, given: Mapping[str, Any]) -> Sequence[str]:
        """The same for all calls."""
        return (self._first, *(language for language in self._models if language != self._first))

    def member(self, language: str, parameters: Parameters) -> tuple[Pipeline, Parameters]:
        """The pipeline of the language's model."""
        model = self._models[language]
        if model not in self._pipes:
            self._pipes[model] = self._make(model, language)
        pipe = self._pipes[model]
        return pipe, parameters if pipe is self.pipe else _of_call(pipe, parameters)


class Translations(ByLanguage):
    """The directions of one model; a call, or each text, says the source.

    directions: "fr-en", …   target: the language to translate to, where a call says none; else English, and French of
    English texts.   pivot: makes the pipeline for a way through English.
    """

    def __init__(
        self, pipe: Pipeline, directions: Sequence[str], target: str | None, pivot: Callable[..., Pipeline]
    ) -> None:
        super().__init__(pipe)
        self._directions, self._target, self._make_pivot = directions, target, pivot
        self._pivot: Pipeline | None = None

    def languages(self, given: Mapping[str, Any]) -> Sequence[str]:
        """Those from which there is a way to the target, English first; or the one that the call names."""
        if given.get("src_lang"):
            return (given["src_lang"],)
        return sources(self._directions, given.get("tgt_lang") or self._target)

    def member(self, language: str, parameters: Parameters) -> tuple[Pipeline, Parameters]:
        """The pipeline, told the languages; for a way through English a second one, of the same model."""
        ends = {
            "src_lang": language,
            "tgt_lang": parameters.given.get("tgt_lang") or self._target or target_of(language),
        }
        if len(way(ends["src_lang"], ends["tgt_lang"], self._directions)) < 2:
            return self.pipe, _of_call(self.pipe, parameters, **ends)
        self._pivot = self._pivot or self._make_pivot(**ends)
        return self._pivot, _of_call(self._pivot, parameters, **ends)

    def _language(self, value: Any, known: Sequence[str]) -> str:
        return known[0] if len(known) == 1 else super()._language(value, known)


_PIVOT = "en"


def way(source: str, target: str, directions: Sequence[str]) -> list[str]:
    """The directions from one language to another: one, two through English, or none. Languages in any spelling."""
    source, target = key_of(source) or "", key_of(target) or ""
    for ways in ([f"{source}-{target}"], [f"{source}-{_PIVOT}", f"{_PIVOT}-{target}"]):
        if source != target and all(step in directions for step in ways):
            return ways
    return []


def sources(directions: Sequence[str], target: str | None) -> list[str]:
    """The languages from which there is a way to the target, English first; to None: to what would be chosen."""
    all_of_them = dict.fromkeys(direction.partition("-")[0] for direction in directions)
    ways = [source for source in all_of_them if way(source, target or target_of(source), directions)]
    return sorted(ways, key=lambda source: source != _PIVOT)


def target_of(source: str) -> str:
    """What is translated to where nobody says: English; of English, French."""
    return "fr" if key_of(source) == _PIVOT else _PIVOT


def _of_call(pipe: Pipeline, parameters: Parameters, **more: Any) -> Parameters:
    """What another pipeline, or other languages, make of a call's arguments."""
    own = pipe._parameters({**parameters.given, **more})
    bar = {name: value for name, value in parameters.forward.items() if name == "progress"}
    return replace(own, options=parameters.options, forward={**own.forward, **bar})
