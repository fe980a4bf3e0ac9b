"""The pipelines: `pipeline(task, model)` makes one; the classes are here too."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "PIPELINE_REGISTRY",
    "AggregationStrategy",
    "Answers",
    "ExtractiveSummarizationPipeline",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "Interrupted",
    "Item",
    "KeyDataset",
    "KeyPairDataset",
    "NerPipeline",
    "Outputs",
    "Pieces",
    "Pipeline",
    "PipelineException",
    "QuestionAnsweringPipeline",
    "SummarizationPipeline",
    "Text2TextGenerationPipeline",
    "TextClassificationPipeline",
    "TextGenerationPipeline",
    "TokenClassificationPipeline",
    "TranslationPipeline",
    "ZeroShotClassificationPipeline",
    "check_task",
    "get_supported_tasks",
    "get_task",
    "pipeline",
]

_WHERE = {  # imported when first used
    "AggregationStrategy": ".token_classification",
    "ExtractiveSummarizationPipeline": ".extractive",
    "FeatureExtractionPipeline": ".feature_extraction",
    "FillMaskPipeline": ".fill_mask",
    "NerPipeline": ".token_classification",
    "QuestionAnsweringPipeline": ".question_answering",
    "SummarizationPipeline": ".summarization",
    "Text2TextGenerationPipeline": ".text2text_generation",
    "TextClassificationPipeline": ".text_classification",
    "TextGenerationPipeline": ".text_generation",
    "TokenClassificationPipeline": ".token_classification",
    "TranslationPipeline": ".translation",
    "ZeroShotClassificationPipeline": ".zero_shot_classification",
    "Answers": ".inputs",
    "Interrupted": ".inputs",
    "Item": ".items",
    "KeyDataset": ".inputs",
    "KeyPairDataset": ".inputs",
    "Outputs": ".items",
    "Pieces": ".streams",
    "PIPELINE_REGISTRY": ".tasks",
    "Pipeline": ".base",
    "PipelineException": "..errors",
    "check_task": ".tasks",
    "get_supported_tasks": ".tasks",
    "get_task": ".factory",
    "pipeline": ".factory",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_WHERE[name], __name__), name)


def __dir__() -> list[str]:
    return __all__
