"""Collators: rows of features become a batch.

Called, as in the course, each gives padded rectangles; the Trainer asks for `ragged(features, model, seeds)`, in which
nothing is padded. A collator of one's own need only be callable: what it padded is left out again.
"""

from __future__ import annotations

from .language_modeling import (
    DataCollatorForDenoising,
    DataCollatorForLanguageModeling,
    DataCollatorForSpanCorruption,
    DataCollatorForWholeWordMask,
)
from .padding import (
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    DefaultDataCollator,
    default_data_collator,
)
from .ragged import labels_of, ragged, ragged_from_rectangles, ragged_inputs

__all__ = [
    "DataCollatorForDenoising",
    "DataCollatorForLanguageModeling",
    "DataCollatorForSeq2Seq",
    "DataCollatorForSpanCorruption",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "default_data_collator",
    "labels_of",
    "ragged",
    "ragged_from_rectangles",
    "ragged_inputs",
]
