"""text-classification, alias sentiment-analysis: one label, or several, for a text or a pair of texts."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, InvalidArgument, did_you_mean
from .arguments import TOKENIZER_ARGUMENTS, tokenizer_arguments
from .base import Pipeline
from .items import Array, Outputs

__all__ = ["ClassificationFunction", "TextClassificationPipeline"]

_UNSET: Any = ""  # transformers' own sign for "not given", since top_k=None means all


class ClassificationFunction:
    """What turns logits into scores."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    NONE = "none"


class TextClassificationPipeline(Pipeline):
    """Labels with scores, for texts or pairs of texts.

    Inputs: a string; a dictionary {"text", "text_pair"}; a list or stream of these.
    top_k: how many labels, best first; None for all. Without it the best one, in the form transformers gives it:
    [{"label", "score"}] for a string, {"label", "score"} for each text of a list.
    function_to_apply: "sigmoid", "softmax", "none", "default" (by the config's problem_type and number of labels).
    Other parameters are the tokenizer's (`truncation`, `max_length`, `text_pair` …).
    long_text="window": the windows' scores, averaged with their numbers of tokens as weights. Scores and not logits,
    since one over-sure window would outvote the rest of the text.
    always_list=True: a list of {"label", "score"} for each input.
    """

    task_name: ClassVar[str] = "text-classification"
    head: ClassVar[str | None] = "sequence-classification"
    expects: ClassVar[str] = 'a string, or a dictionary {"text": …, "text_pair": …}'
    open_names: ClassVar[tuple[str, ...]] = TOKENIZER_ARGUMENTS

    def _sanitize_parameters(
        self,
        return_all_scores: bool | None = None,
        function_to_apply: str | None = None,
        top_k: int | None = _UNSET,
        **tokenizer_kwargs: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        postprocess: dict[str, Any] = {}
        if return_all_scores is None:
            return_all_scores = getattr(self.model.config, "return_all_scores", None)
        if top_k != _UNSET:
            postprocess = {"top_k": _whole_number(top_k), "_legacy": False}
        elif return_all_scores is not None:
            warnings.warn(
                "return_all_scores is deprecated: write top_k=None for all scores, top_k=1 for the best.",
                UserWarning,
                stacklevel=4,
            )
            postprocess = {"top_k": None if return_all_scores else 1}
        if function_to_apply is not None:
            postprocess["function_to_apply"] = _function(function_to_apply)
        return tokenizer_arguments(tokenizer_kwargs, self), {}, postprocess

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """A text, or a (text, pair) tuple.   Raises InputError."""
        pair = parameters.get("text_pair")
        if isinstance(value, str):
            return value if pair is None else (value, pair)
        if isinstance(value, Mapping):
            return _pair_of(value)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list) and len(value[0]) == 2:
            return tuple(value[0])  # the form of pairs before dictionaries: [[["text", "pair"]]]
        if isinstance(value, (list, tuple)):
            raise InputError(
                'a list inside the list: a pair of texts is a dictionary {"text": "My text", "text_pair": "My pair"}.'
            )
        return super().check(value, parameters)

    def encode(self, inputs: list[Any], text_pair: str | None = None, **parameters: Any) -> list[Any]:
        """The items of each text or pair (`text_pair` is in them already)."""
        return super().encode(inputs, **parameters)

    def postprocess(
        self, outputs: Outputs, *, function_to_apply: str | None = None, top_k: int | None = 1, _legacy: bool = True
    ) -> Any:
        """The best label, or the best top_k of them."""
        scores = self._scores(outputs, function_to_apply or self._default_function())
        labels = self.model.config.id2label
        if top_k == 1 and _legacy:
            best = int(scores.argmax())
            return {"label": labels[best], "score": scores[best].item()}
        answers = [{"label": labels[index], "score": score} for index, score in enumerate(scores.tolist())]
        if not _legacy:
            answers.sort(key=lambda answer: -answer["score"])
            answers = answers[:top_k]
        return answers

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """A single string's answer is in a list of its own, unless top_k was given in the call."""
        if isinstance(inputs, str) and "top_k" not in given:
            return answers
        return super().arrange(answers, inputs, given)

    def _default_function(self) -> str:
        config = self.model.config
        problem = getattr(config, "problem_type", None)
        if problem == "regression":
            return ClassificationFunction.NONE
        if problem == "multi_label_classification" or config.num_labels == 1:
            return ClassificationFunction.SIGMOID
        return ClassificationFunction.SOFTMAX

    def _scores(self, outputs: Outputs, function: str) -> Array:
        """float32 [labels]: the item's scores, or the weighted mean of the windows' scores."""
        scores = [_FUNCTIONS[function](item.output) for item in outputs]
        if len(scores) == 1:
            return scores[0]
        weights = [len(item.token_ids) - sum(item.encoding.special_tokens_mask) for item in outputs]
        return np.average(scores, axis=0, weights=np.maximum(weights, 1)).astype(np.float32)


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), by tanh so that no exponential overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits))


def softmax(logits: Array) -> Array:
    """exp(x) / sum of exp(x), over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    ClassificationFunction.SIGMOID: sigmoid,
    ClassificationFunction.SOFTMAX: softmax,
    ClassificationFunction.NONE: lambda logits: logits,
}


def _function(name: Any) -> str | None:
    """The function's name; None for "default".   Raises InvalidArgument."""
    lowered = str(getattr(name, "value", name)).lower()
    if lowered == "default":
        return None
    if lowered not in _FUNCTIONS:
        choices = ("default", *_FUNCTIONS)
        raise InvalidArgument(
            f"function_to_apply={name!r} is not a choice.{did_you_mean(lowered, choices)} "
            f"Choices: {', '.join(choices)}."
        )
    return lowered


def _whole_number(top_k: Any) -> int | None:
    if top_k is not None and (not isinstance(top_k, (int, np.integer)) or top_k < 0):
        raise InvalidArgument(f"top_k={top_k!r}: give a number of labels, or None for all.")
    return None if top_k is None else int(top_k)


def _pair_of(value: Mapping[str, Any]) -> Any:
    unknown = [key for key in value if key not in ("text", "text_pair")]
    text, pair = value.get("text"), value.get("text_pair")
    if unknown or not isinstance(text, str) or not (pair is None or isinstance(pair, str)):
        raise InputError(
            'a dictionary must have "text" and may have "text_pair", both strings; this one has '
            f"{', '.join(sorted(map(str, value)))}. "
            'Of a dataset, choose columns: KeyDataset(dataset, "text"), KeyPairDataset(dataset, "text", "text_pair").'
        )
    return text if pair is None else (text, pair)
