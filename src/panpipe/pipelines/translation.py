"""translation, also by the name translation_xx_to_yy: a text in another language."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from ..generation import GenerationConfig
from .base import Encoded, Parameters
from .documents import parts_within
from .generating import GENERATION_ARGUMENTS, most_new
from .language_names import is_spaced, key_of
from .languages import Direction, Languages, languages_of
from .parameters import given
from .sentences import Sentence
from .text2text_generation import Text2TextGenerationPipeline

__all__ = ["TranslationPipeline"]

_log = logging.getLogger("panpipe")


class TranslationPipeline(Text2TextGenerationPipeline):
    """Translations.

    Inputs: a string, or a list or stream of strings.
    The answer for a text: [{"translation_text"}], one for each of num_return_sequences. A list of texts has its
    dictionaries in one list where each text has one.
    src_lang, tgt_lang: the languages, for a model of many: "ko", "kor", "kor_Hang", "ko_KR", "Korean", "한국어" …; the
    task's name may say them (translation_ko_to_en). A model of one pair refuses others. Two models go by way of a third
    language: see `pivot`.
    check_languages: False lets a model of one pair translate what it is not named for.
    split_sentences: translate every text sentence by sentence; without, only those over the model's length.
    return_tensors: True or "np" for the token ids ("translation_token_ids") as a NumPy array; "pt" for PyTorch's.
    clean_up_tokenization_spaces: take out the spaces before English punctuation.
    stop_sequence: a string that ends a translation, and stays in it; or several.
    seed: what sampling begins with, for every text alike.   return_seed: add the one that was used, as "seed".
    Other parameters are those of generation: max_length, num_beams …
    long_text="window" (the default): a text over the model's length is translated by sentence; paragraphs and line
    breaks stay.
    """

    task_name: ClassVar[str] = "translation"
    default_long_text: ClassVar[str] = "window"
    open_names: ClassVar[tuple[str, ...]] = GENERATION_ARGUMENTS
    return_name: ClassVar[str] = "translation"
    done_in_parts: ClassVar[str] = "translated by sentence"

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("task") == "translation":
            named = _task_in_config(model, kwargs.get("src_lang"), kwargs.get("tgt_lang"))
            kwargs["task"] = named or "translation"
        super().__init__(model, *args, **kwargs)

    # -- parameters --------------------------------------------------------------------------------------------------

    def _sanitize_parameters(
        self,
        return_tensors: bool | str | None = None,
        return_text: bool | None = None,
        return_type: Any = None,
        clean_up_tokenization_spaces: bool | None = None,
        stop_sequence: str | Sequence[str] | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        return_seed: bool | None = None,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        check_languages: bool | None = None,
        split_sentences: bool | None = None,
        **generate_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        preprocess = {
            "src_lang": src_lang,
            "tgt_lang": tgt_lang,
            "check_languages": check_languages,
            "in_parts": split_sentences,
        }
        _, forward, postprocess = super()._sanitize_parameters(
            return_tensors=return_tensors,
            return_text=return_text,
            return_type=return_type,
            clean_up_tokenization_spaces=clean_up_tokenization_spaces,
            stop_sequence=stop_sequence,
            max_length=max_length,
            seed=seed,
            return_seed=return_seed,
            **generate_kwargs,
        )
        return given(preprocess), forward, postprocess

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        parameters = super()._parameters(given)
        source, target = self._named(parameters)
        if self.languages.codes and (source is None or target is None):
            return parameters  # a call must say them
        direction = self._direction(parameters)
        config = parameters.forward["config"]
        if direction.target is not None:
            config = config.update(forced_bos_token_id=self.languages.codes[direction.target])
        return replace(
            parameters,
            preprocess={**parameters.preprocess, "config": config, "direction": direction},
            forward={**parameters.forward, "config": config},
        )

    def check_parameters(self, parameters: Parameters) -> None:
        """The languages must be known."""
        if "direction" not in parameters.preprocess:
            self._direction(parameters)

    @cached_property
    def languages(self) -> Languages:
        """What the model translates from and to."""
        return languages_of(self.model, self.tokenizer)

    def task_of(self, parameters: Parameters) -> str:
        """The name in the model's config of a translation between the call's languages; else the pipeline's task."""
        named = (parameters.preprocess.get("src_lang"), parameters.preprocess.get("tgt_lang"))
        return (_task_in_config(self.model, *named) if None not in named else None) or self.task

    def _direction(self, parameters: Parameters) -> Direction:
        return self.languages.direction(
            *self._named(parameters), check=parameters.preprocess.get("check_languages", True)
        )

    def _named(self, parameters: Parameters) -> tuple[str | None, str | None]:
        """The languages as arguments or, where there are none, the task's name say them."""
        parts = self.task.split("_")
        source, target = (parts[1], parts[3]) if len(parts) == 4 else (None, None)
        return parameters.preprocess.get("src_lang", source), parameters.preprocess.get("tgt_lang", target)

    # -- in ----------------------------------------------------------------------------------------------------------

    @property
    def limit(self) -> int | None:
        """The model's positions or the tokenizer's limit, the lesser."""
        return self.max_length

    def encode(
        self,
        inputs: list[Any],
        *_: Any,
        direction: Direction | None = None,
        prefix: str = "",
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        check_languages: bool = True,
        **parameters: Any,
    ) -> list[Encoded]:
        """The item of each text, or those of its sentences."""
        direction = direction or Direction()
        if direction.source is not None:
            parameters["src_lang"], prefix = direction.source, ""
        if direction.mark and not any(text.startswith(">>") for text in inputs):  # else the caller marks them
            prefix = direction.mark
        spaced = None if direction.target_key is None else is_spaced(direction.target_key)
        return super().encode(inputs, prefix=prefix, spaced=spaced, **parameters)

    def parts(self, text: str, room: int) -> list[Sentence]:
        """The sentences of a text; of one with more than `room` tokens, pieces."""
        return parts_within(text, self._bare, room)[0]

    def check_lengths(self, lengths: Sequence[int], config: GenerationConfig) -> None:
        """Says where a translation might not have room."""
        most = most_new(config)
        long = [length for length in lengths if length > 0.9 * most]
        if long:
            _log.warning(
                "Your input_length: %d is bigger than 0.9 * max_length: %d. You might consider increasing your "
                "max_length manually, e.g. translator('...', max_length=400)",
                long[0],
                most,
            )


def _task_in_config(model: Any, source: str | None, target: str | None) -> str | None:
    """The name of a translation in the model's task_specific_params: that between the languages, else the first."""
    names = getattr(getattr(model, "config", None), "task_specific_params", None) or {}
    names = [name for name in names if name.startswith("translation")]
    if source is not None and target is not None:
        wanted = (key_of(source), key_of(target))
        return next((name for name in names if _keys_of(name) == wanted), None)
    if names:
        warnings.warn(
            f'"translation" task was used, instead of "translation_XX_to_YY", defaulting to "{names[0]}". Name the '
            "languages: src_lang and tgt_lang, or the task's name.",
            UserWarning,
            stacklevel=4,
        )
    return names[0] if names else None


def _keys_of(name: str) -> tuple[str | None, str | None] | None:
    parts = name.split("_")
    return (key_of(parts[1]), key_of(parts[3])) if len(parts) == 4 else None
