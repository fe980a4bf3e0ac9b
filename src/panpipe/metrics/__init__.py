"""Metrics in NumPy: `load("glue", "mrpc").compute(predictions=…, references=…)`, and plain functions.

Results have the keys of Hugging Face's evaluate, and nothing is downloaded. BLEU, chrF and TER are sacrebleu's
(`pip install "panpipe[metrics]"`), imported when first used.
"""

from __future__ import annotations

from .answers import exact_match, squad, squad_v2
from .classification import accuracy, f1, matthews_correlation, precision, precision_recall_f1, recall
from .entities import entities, entity_scores
from .language_modeling import bits_per_byte, perplexity
from .loading import CombinedMetrics, Metric, combine, load, names
from .regression import mae, mse, pearson, spearman
from .rouge import RougeScore, rouge
from .translation import bleu, chrf, ter

__all__ = [
    "CombinedMetrics",
    "Metric",
    "RougeScore",
    "accuracy",
    "bits_per_byte",
    "bleu",
    "chrf",
    "combine",
    "entities",
    "entity_scores",
    "exact_match",
    "f1",
    "load",
    "mae",
    "matthews_correlation",
    "mse",
    "names",
    "pearson",
    "perplexity",
    "precision",
    "precision_recall_f1",
    "recall",
    "rouge",
    "spearman",
    "squad",
    "squad_v2",
    "ter",
]
