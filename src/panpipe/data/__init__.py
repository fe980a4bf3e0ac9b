"""Data sets: `load_dataset`, and tables and streams of rows. Nothing here needs PyTorch."""

from __future__ import annotations

from .cache import CacheInfo, cache_clear, cache_info
from .combining import concatenate_datasets, interleave_datasets
from .dataset import Dataset
from .dataset_dict import DatasetDict, load_from_disk
from .features import ClassLabel, Features, List, Sequence, Value
from .foreign import as_dataset
from .iterable import IterableDataset
from .loading import load_dataset

__all__ = [
    "CacheInfo",
    "ClassLabel",
    "Dataset",
    "DatasetDict",
    "Features",
    "IterableDataset",
    "List",
    "Sequence",
    "Value",
    "as_dataset",
    "cache_clear",
    "cache_info",
    "concatenate_datasets",
    "interleave_datasets",
    "load_dataset",
    "load_from_disk",
]
