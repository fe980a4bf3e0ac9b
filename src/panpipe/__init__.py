"""panpipe: the classic text pipelines of Hugging Face's course, on a CPU engine of their own.

    from panpipe import pipeline

    classifier = pipeline("sentiment-analysis")
    classifier("I've been waiting for a HuggingFace course my whole life.")

Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ENCODERS = ("Albert", "Bert", "Camembert", "DistilBert", "Electra", "MPNet", "Roberta", "XLMRoberta")
_LLAMAS = ("Llama", "Mistral", "Qwen2", "Qwen3", "SmolLM3")
_CLASSIFIERS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
_HEADS = {
    **dict.fromkeys(_ENCODERS, ("ForMaskedLM", *_CLASSIFIERS)),
    "GPT2": ("LMHeadModel", *_CLASSIFIERS),
    "OpenAIGPT": ("LMHeadModel", "ForSequenceClassification"),
    **dict.fromkeys(_LLAMAS, ("ForCausalLM", *_CLASSIFIERS)),
    **dict.fromkeys(
        ("Bart", "MBart"), ("ForConditionalGeneration", "ForSequenceClassification", "ForQuestionAnswering")
    ),
    "Marian": ("MTModel",),
    **dict.fromkeys(("Pegasus", "M2M100"), ("ForConditionalGeneration",)),
    **dict.fromkeys(("T5", "MT5"), ("ForConditionalGeneration", *_CLASSIFIERS)),
}

_PIPELINES = (
    "AggregationStrategy",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "Interrupted",
    "KeyDataset",
    "KeyPairDataset",
    "NerPipeline",
    "PIPELINE_REGISTRY",
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
    "pipeline",
)
_GENERATION = ("BaseStreamer", "GenerationConfig", "TextIteratorStreamer", "TextStreamer", "set_seed")
_MODELS = (
    "AutoConfig",
    "AutoModel",
    *(f"AutoModel{head}" for head in ("ForMaskedLM", *_CLASSIFIERS, "ForCausalLM", "ForSeq2SeqLM")),
    *(f"{family}{head}" for family, heads in _HEADS.items() for head in ("Model", *heads, "Config")),
)
_TOKENIZERS = ("AutoTokenizer", *(f"{family}Tokenizer{fast}" for family in _ENCODERS for fast in ("", "Fast")))
_TRAINING = (
    "EarlyStoppingCallback",
    "EvalPrediction",
    "LoraConfig",
    "PrinterCallback",
    "ProgressCallback",
    "Seq2SeqTrainer",
    "Seq2SeqTrainingArguments",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    *(f"DataCollator{kind}" for kind in ("WithPadding", "ForDenoising", "ForLanguageModeling", "ForSeq2Seq")),
    *(f"DataCollatorFor{kind}" for kind in ("SpanCorruption", "TokenClassification", "WholeWordMask")),
    "default_data_collator",
    "fit_head",
    "get_peft_model",
    "get_scheduler",
)
_DATA = (
    "ClassLabel",
    "Dataset",
    "DatasetDict",
    "IterableDataset",
    "concatenate_datasets",
    "interleave_datasets",
    "load_dataset",
    "load_from_disk",
)
_THREADS = ("get_num_threads", "set_num_threads")
_ERRORS = (
    "CheckpointError",
    "CheckpointNotFound",
    "ConfigError",
    "CorruptCheckpoint",
    "DataError",
    "DataNotFound",
    "EngineError",
    "HubUnavailable",
    "InputError",
    "InvalidArgument",
    "MissingDependency",
    "MissingHead",
    "MissingMask",
    "PanpipeError",
    "ShapeError",
    "TokenizerError",
    "TooLong",
    "TrainingError",
    "UnknownArgument",
    "UnknownFamily",
    "UnknownTask",
    "UnsafeCheckpoint",
    "WeightsMismatch",
)

_WHERE = {
    name: module
    for module, names in {
        ".pipelines": _PIPELINES,
        ".generation": _GENERATION,
        ".models": _MODELS,
        ".tokenization": _TOKENIZERS,
        ".tokenization.training": ("train_tokenizer",),
        ".training": _TRAINING,
        ".data": _DATA,
        ".carbon": ("EnergyMeter", "energy"),
        ".threads": _THREADS,
        ".errors": _ERRORS,
    }.items()
    for name in names
}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
