"""feature-extraction: what a model makes of a text: a vector for each token, or one for the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..batch import Batch
from ..errors import InvalidArgument, MissingHead, did_you_mean
from ..ops.base import POOLINGS, Ops
from .arguments import tokenizer_arguments
from .base import Parameters, Pipeline
from .items import Array, Item, Outputs, as_torch
from .parameters import given

__all__ = ["FeatureExtractionPipeline"]


class FeatureExtractionPipeline(Pipeline):
    """Hidden states of texts.

    Inputs: a string, or a list or stream of strings.
    The answer for a text: a list [1][tokens][hidden] of floats, special tokens included.
    return_tensors: True or "np" for a NumPy array [1, tokens, hidden]; "pt" for a PyTorch tensor.
    pooling: "mean", "cls", "last" or "max" over the text's tokens: a float32 NumPy array [hidden] for a text, and
    [texts, hidden] for a list.   normalize: give the pooled vectors the length 1.
    truncation, tokenize_kwargs: the tokenizer's parameters.
    long_text="window": the tokens' vectors of all windows one after the other, as many as the text has tokens (the
    windows' inner special tokens are left out).
    A model with a head gives its logits, as in transformers.
    """

    task_name: ClassVar[str] = "feature-extraction"

    def _sanitize_parameters(
        self,
        truncation: bool | str | None = None,
        tokenize_kwargs: Mapping[str, Any] | None = None,
        return_tensors: bool | str | None = None,
        pooling: str | None = None,
        normalize: bool | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        tokenizing = dict(tokenize_kwargs or {})
        if truncation is not None:
            if "truncation" in tokenizing:
                raise InvalidArgument("truncation is given twice: on its own and in tokenize_kwargs.")
            tokenizing["truncation"] = truncation
        if return_tensors not in (None, True, False, "np", "pt"):
            raise InvalidArgument(f'return_tensors={return_tensors!r}: give True or "np", or "pt" for PyTorch.')
        if pooling is not None:
            self._check_pooling(pooling)
        pooled = given({"pooling": pooling, "normalize": normalize})
        return tokenizer_arguments(tokenizing, self), pooled, given({"return_tensors": return_tensors, **pooled})

    def _parameters(self, given: Mapping[str, Any]) -> Parameters:
        parameters = super()._parameters(given)
        if parameters.postprocess.get("normalize") and not parameters.postprocess.get("pooling"):
            raise InvalidArgument('normalize=True is for one vector per text: give pooling="mean" (or "cls") with it.')
        if parameters.preprocess.get("long_text") == "window":  # pooled after the windows are joined
            return replace(parameters, forward={})
        return parameters

    def infer(  # the pooling is the engine's, over all texts of the batch
        self, batch: Batch, items: list[Item], pooling: str | None = None, normalize: bool = False
    ) -> Iterable[Array]:
        """Each item's vectors [tokens, hidden], or with `pooling` its vector [hidden]."""
        if pooling is not None:
            return self.model.pool(batch, pooling, normalize)  # type: ignore[no-any-return]
        return super().infer(batch, items)

    def postprocess(
        self,
        outputs: Outputs,
        *,
        return_tensors: bool | str = False,
        pooling: str | None = None,
        normalize: bool = False,
    ) -> Any:
        """Nested lists [1][tokens][hidden], or an array."""
        vectors = outputs[0].output if len(outputs) == 1 else _joined(outputs.items)
        if pooling is not None:
            return vectors.copy() if vectors.ndim == 1 else _pooled(vectors, pooling, normalize)
        if self.model.head == "question-answering":
            vectors = vectors[:, 0]  # transformers gives a model's first output: the start logits
        if return_tensors == "pt":
            return as_torch(vectors[None].copy())
        if return_tensors:
            return vectors[None].copy()
        return [self.model.ops.lists(vectors)] if vectors.ndim == 2 else [vectors.tolist()]

    def listed(self, answer: Any) -> Any:
        """One answer, as in a list."""
        return answer

    def arrange(self, answers: list[Any], inputs: Any, given: Mapping[str, Any]) -> Any:
        """The vectors of a list of texts are one array [texts, hidden]."""
        if not self.is_single(inputs) and all(isinstance(a, np.ndarray) and a.ndim == 1 for a in answers):
            if answers:
                return np.stack(answers)
            if self._parameters(given).postprocess.get("pooling"):
                return np.zeros((0, self.model.options.hidden_size), np.float32)
        return super().arrange(answers, inputs, given)

    def _check_pooling(self, pooling: str) -> None:
        if pooling not in POOLINGS:
            hint = did_you_mean(str(pooling), POOLINGS)
            raise InvalidArgument(f"pooling={pooling!r} is not a choice.{hint} Choices: {', '.join(POOLINGS)}.")
        if self.model.head != "base":
            raise MissingHead(
                f"pooling needs a model without a head; this one was loaded with a {self.model.head} head. Load it by "
                'name: pipeline("feature-extraction", model=name), or with AutoModel.'
            )


def _joined(items: list[Item]) -> Array:
    """The windows' rows [tokens, hidden], without the special tokens between two windows."""
    parts = []
    for place, item in enumerate(items):
        content = np.flatnonzero(np.asarray(item.encoding.special_tokens_mask) == 0)
        begin = 0 if place == 0 else int(content[0])
        end = len(item.output) if place == len(items) - 1 else int(content[-1]) + 1
        parts.append(item.output[begin:end])
    return np.concatenate(parts)


def _pooled(vectors: Array, pooling: str, normalize: bool) -> Array:
    pooled = Ops().pool(vectors, np.array([0, len(vectors)], np.int32), pooling)
    return np.asarray((Ops().normalize(pooled) if normalize else pooled)[0])
