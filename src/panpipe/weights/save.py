"""Writing `.safetensors` files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .base import Tensors
from .whole_file import whole_file

__all__ = ["save_safetensors"]


def save_safetensors(
    tensors: Mapping[str, Tensors], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes the tensors into one file, which appears under its name only when it is whole.

    Raises OSError where it cannot be written.
    metadata: strings for the header; default {"format": "pt"}, without which transformers refuses the file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    path = Path(path)
    contiguous = {name: np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for name, tensor in tensors.items()}
    with whole_file(path) as temporary:
        mode = temporary.stat().st_mode
        try:
            save_file(contiguous, temporary, metadata=dict(metadata or {"format": "pt"}))
        except SafetensorError as error:  # a full disk, for one
            raise OSError(f"{path} could not be written: {error}") from error
        temporary.chmod(mode)  # safetensors makes a file that its owner alone may read
