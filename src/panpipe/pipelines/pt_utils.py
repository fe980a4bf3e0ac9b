"""Where transformers keeps the datasets of columns: `from panpipe.pipelines.pt_utils import KeyDataset`."""

from __future__ import annotations

from .inputs import KeyDataset, KeyPairDataset

__all__ = ["KeyDataset", "KeyPairDataset"]
