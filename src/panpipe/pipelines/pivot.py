"""Translation by two models, through the language in which they meet: Korean to English, English to French."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..errors import InvalidArgument, PanpipeError
from .base import Encoded, Parameters
from .generating import GENERATION_ARGUMENTS
from .items import Outputs
from .language_names import english_name, key_of
from .languages import Languages, languages_of
from .translation import TranslationPipeline

__all__ = ["PivotTranslationPipeline", "translation_of_two"]

_log = logging.getLogger("panpipe")

_OF_THE_PIVOT = ("pivot_lang", "return_pivot")
_OF_THE_SECOND = (
    *("num_return_sequences", "tgt_lang", "streamer"),
    *("return_tensors", "return_type", "return_text", "return_seed"),
)

Loaded = tuple[Any, Any]
"""A model and its tokenizer."""


def translation_of_two(first: Loaded, second: Loaded, **parameters: Any) -> TranslationPipeline:
    """A pipeline that translates by the first model and then the second; by one alone, if it knows both languages.

    parameters: of PivotTranslationPipeline; `task` among them.
    """
    source, target = _ends(parameters)
    for loaded in (first, second):
        languages = languages_of(*loaded)
        if source and target and languages.knows(source) and languages.knows(target):
            _log.warning("%s knows both languages, so it translates alone.", languages.model)
            own = {name: value for name, value in parameters.items() if name not in _OF_THE_PIVOT}
            return TranslationPipeline(*loaded, **own)
    return PivotTranslationPipeline(first, second, **parameters)


class PivotTranslationPipeline(TranslationPipeline):
    """Translations by way of another language.

    first, second: (model, tokenizer) of each half.   src_lang, tgt_lang: as of any translation.
    pivot_lang: the language between; else the one that the models' names say, else English.
    return_pivot: add the text in that language, as "pivot_text".
    Other parameters are those of translation. Those of generation are for both halves; num_return_sequences, and what
    the answer is like, for the second.
    """

    open_names: ClassVar[tuple[str, ...]] = (*GENERATION_ARGUMENTS, *_OF_THE_PIVOT)

    def __init__(self, first: Loaded, second: Loaded, **kwargs: Any) -> None:
        halves = languages_of(*first), languages_of(*second)
        source, target = _ends(kwargs)
        self.pivot_lang: str = kwargs.pop("pivot_lang", None) or _meeting(*halves)
        options = {name: value for name, value in kwargs.items() if name not in (*_OF_THE_SECOND, *_OF_THE_PIVOT)}
        to_pivot = {"src_lang": source, "tgt_lang": self.pivot_lang, "task": "translation"}
        self.first = TranslationPipeline(*first, **{**options, **to_pivot})
        super().__init__(*second, **{**kwargs, "tgt_lang": target})
        _log.warning(
            "%s to %s by way of %s: %s, then %s.",
            *(english_name(key_of(name) or name) if name else "the text" for name in (source, target, self.pivot_lang)),
            *(languages.model for languages in halves),
        )

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        """As of every translation; those of the first half are `first` in preprocess."""
        own = {name: value for name, value in given.items() if name not in (*_OF_THE_PIVOT, "src_lang")}
        parameters = super()._parameters({**own, "src_lang": self.pivot_lang})
        of_first = {name: value for name, value in given.items() if name not in (*_OF_THE_SECOND, *_OF_THE_PIVOT)}
        first = self.first._parameters(of_first)
        first = replace(first, options=replace(first.options, on_error="return", progress=False))
        return_pivot = given.get("return_pivot", self._defaults.postprocess.get("return_pivot", False))
        return replace(
            parameters,
            preprocess={**parameters.preprocess, "first": first},
            postprocess={**parameters.postprocess, "return_pivot": return_pivot},
        )

    def check_parameters(self, parameters: Parameters) -> None:
        """The languages must be known, to both halves."""
        self.first.check_parameters(parameters.preprocess["first"])
        super().check_parameters(parameters)

    def encode(self, inputs: list[Any], *_: Any, **parameters: Any) -> list[Encoded]:
        """The items of each text, when it is in the language between."""
        first: Parameters = parameters.pop("first")
        answers = self.first._answer_window(inputs, first)
        between = [a if isinstance(a, PanpipeError) else a[0]["translation_text"] for a in answers]
        texts = [text for text in between if isinstance(text, str)]
        encoded = iter(super().encode(texts, **parameters) if texts else [])
        return [self._with_pivot(text, next(encoded)) if isinstance(text, str) else text for text in between]

    @staticmethod
    def _with_pivot(text: str, items: Encoded) -> Encoded:
        if not isinstance(items, PanpipeError):
            items[0].extra.document.pivot = text
        return items

    def postprocess(self, outputs: Outputs, *_: Any, **parameters: Any) -> list[dict[str, Any]]:
        """One dictionary for each text that was asked for."""
        more = {"pivot_text": outputs[0].extra.document.pivot} if parameters.pop("return_pivot", False) else {}
        return [{**answer, **more} for answer in super().postprocess(outputs, **parameters)]

    def save_pretrained(self, save_directory: str | Path, safe_serialization: bool = True) -> None:
        """Two models are no checkpoint.   Raises InvalidArgument."""
        raise InvalidArgument("these are two models: save each, pipe.first.save_pretrained(…) and pipe.model's own.")


def _ends(parameters: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The languages that the arguments, or the task's name, say."""
    parts = str(parameters.get("task", "")).split("_")
    named = (parts[1], parts[3]) if len(parts) == 4 else (None, None)
    return parameters.get("src_lang") or named[0], parameters.get("tgt_lang") or named[1]


def _meeting(first: Languages, second: Languages) -> str:
    """The only target of the first, or the only source of the second; English where neither has one."""
    only = [known[0] for known in (first.targets, second.sources) if len(known) == 1 and key_of(known[0])]
    return only[0] if only else "en"
