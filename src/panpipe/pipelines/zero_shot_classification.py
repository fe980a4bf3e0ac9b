"""zero-shot-classification: labels chosen at the call, weighed by a model of natural language inference.

Each label becomes a hypothesis ("This example is sports."), and the model says whether the text entails it.
Source: Yin, Hay & Roth 2019, arXiv:1909.00161.
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError, InvalidArgument, PanpipeError, UnknownArgument
from .base import Encoded, Parameters, Pipeline
from .items import Array, Item, Outputs
from .text_classification import softmax

__all__ = ["ZeroShotClassificationPipeline"]

_log = logging.getLogger("panpipe")

_TEMPLATE = "This example is {}."


class ZeroShotClassificationPipeline(Pipeline):
    """Labels of one's own, sorted by their scores.

    Inputs: a string, or a list or stream of strings.   candidate_labels: a list, or a string with commas.
    hypothesis_template: the sentence that `{}` makes of a label.
    multi_label: score each label on its own (entailment against contradiction); else the labels share 1.
    A text over the model's length is cut, never a hypothesis. long_text="window" reads it whole: the windows' logits
    for a hypothesis are averaged with their numbers of tokens as weights (logits and not scores, since the scores are
    made by comparing labels, whose windows need not begin at the same words).
    The answer for a text: {"sequence", "labels", "scores"}; also with always_list=True.
    """

    task_name: ClassVar[str] = "zero-shot-classification"
    head: ClassVar[str | None] = "sequence-classification"
    default_long_text: ClassVar[str] = "truncate"
    default_strategy: ClassVar[str] = "only_first"

    def __init__(self, model: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        if self.entailment_id == -1:
            _log.warning(
                "none of the labels of %s begins with 'entail' (%s): its last label is taken for entailment. "
                "Name the labels in the config's label2id.",
                model.name_or_path or "the model",
                ", ".join(model.config.label2id),
            )

    @property
    def entailment_id(self) -> int:
        """The label that means "follows from the text"; -1, the last, where none says so."""
        labels = self.model.config.label2id.items()
        return next((index for label, index in labels if label.lower().startswith("entail")), -1)

    def __call__(self, sequences: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # its name
        """The labels by score. The labels may be the second argument."""
        if len(args) == 1 and "candidate_labels" not in kwargs:
            kwargs["candidate_labels"] = args[0]
        elif args:
            raise UnknownArgument(
                f"{self.task} takes the text (or a list of texts) and the labels, not {len(args)} more."
            )
        return super().__call__(sequences, **kwargs)

    def _sanitize_parameters(
        self,
        candidate_labels: Any = None,
        hypothesis_template: str | None = None,
        multi_label: bool | None = None,
        multi_class: bool | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if multi_class is not None:
            warnings.warn("multi_class is deprecated: write multi_label.", FutureWarning, stacklevel=5)
            multi_label = multi_class
        both: dict[str, Any] = {}
        if candidate_labels is not None:
            both["candidate_labels"] = _labels(candidate_labels)
        if hypothesis_template is not None:
            both["hypothesis_template"] = _checked_template(hypothesis_template)
        return both, {}, both if multi_label is None else {**both, "multi_label": bool(multi_label)}

    def check_parameters(self, parameters: Parameters) -> None:
        """There must be labels."""
        if not parameters.preprocess.get("candidate_labels"):
            raise InvalidArgument(
                "there are no labels to choose from: give candidate_labels, a list such as "
                '["education", "politics"] or a string with commas. At least one is needed.'
            )

    def items_per_input(self, parameters: Parameters) -> int:
        """One for each label."""
        return len(parameters.preprocess["candidate_labels"])

    def check(self, value: Any, parameters: Mapping[str, Any]) -> Any:
        """A text that is not empty."""
        if value == "":
            raise InputError("the text is empty: give at least one label and a text to classify.")
        return super().check(value, parameters)

    def encode(
        self, inputs: list[Any], candidate_labels: Any = (), hypothesis_template: str = _TEMPLATE, **parameters: Any
    ) -> list[Encoded]:
        """For each text the items of all its hypotheses. Equal pairs of text and hypothesis are one item."""
        hypotheses = list(dict.fromkeys(_hypotheses(candidate_labels, hypothesis_template)))
        texts = list(dict.fromkeys(inputs))
        encodings = iter(
            self.tokenize([t for t in texts for _ in hypotheses], [h for _ in texts for h in hypotheses], **parameters)
        )
        encoded = {text: self._items(hypotheses, encodings) for text in texts}
        return [encoded[text] for text in inputs]

    def _items(self, hypotheses: list[str], encodings: Iterable[list[Any] | PanpipeError]) -> Encoded:
        """The items of one text, each marked with its hypothesis, or the error of one of them."""
        items: list[Item] = []
        error: PanpipeError | None = None
        for hypothesis, windows in zip(hypotheses, encodings, strict=False):  # the rest are other texts' encodings
            if isinstance(windows, PanpipeError):
                error = error or windows
            else:
                items.extend(self.item(window, extra=hypothesis) for window in windows)
        return error or items

    def postprocess(
        self,
        outputs: Outputs,
        *,
        candidate_labels: Any = (),
        hypothesis_template: str = _TEMPLATE,
        multi_label: bool = False,
    ) -> dict[str, Any]:
        """{"sequence", "labels", "scores"}, the best label first."""
        windows: dict[str, list[Item]] = defaultdict(list)
        for item in outputs:
            windows[item.extra].append(item)
        hypotheses = _hypotheses(candidate_labels, hypothesis_template)
        logits = np.stack([_mean_logits(windows[hypothesis]) for hypothesis in hypotheses])  # [labels, model's labels]
        entailment = self.entailment_id
        if multi_label or len(hypotheses) == 1:
            contradiction = -1 if entailment == 0 else 0
            scores = softmax(logits[:, [contradiction, entailment]])[:, 1]
        else:
            scores = softmax(logits[:, entailment])
        order = scores.argsort()[::-1]
        return {
            "sequence": outputs.input,
            "labels": [candidate_labels[index] for index in order],
            "scores": scores[order].tolist(),
        }

    def listed(self, answer: Any) -> Any:
        """The dictionary, which is a list of labels already."""
        return answer


def _labels(labels: Any) -> list[Any]:
    """A list; of a string, the parts between its commas."""
    if isinstance(labels, str):
        return [label.strip() for label in labels.split(",") if label.strip()]
    if not isinstance(labels, Iterable) or isinstance(labels, (bytes, Mapping)):
        raise InvalidArgument(f"candidate_labels={labels!r}: give a list of labels, or a string with commas.")
    return list(labels)


def _checked_template(template: Any) -> str:
    """A template that has one place for a label."""
    try:
        if isinstance(template, str) and template.format("a") != template.format("b"):
            return template
    except (IndexError, KeyError, ValueError):
        pass
    raise InvalidArgument(
        f"hypothesis_template={template!r}: it must be a sentence with one {{}} where the label goes, "
        f"such as {_TEMPLATE!r}."
    )


def _hypotheses(labels: Iterable[Any], template: str) -> list[str]:
    return [template.format(label) for label in labels]


def _mean_logits(windows: list[Item]) -> Array:
    if len(windows) == 1:
        return windows[0].output
    return np.average([item.output for item in windows], axis=0, weights=[len(item.token_ids) for item in windows])
