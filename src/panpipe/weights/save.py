"""Writing `.safetensors` files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .base import Tensors

__all__ = ["save_safetensors"]


def save_safetensors(
    tensors: Mapping[str, Tensors], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes the tensors into one file, which appears under its name only when it is whole.

    metadata: strings for the header; default {"format": "pt"}, without which transformers refuses the file.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    contiguous = {name: np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for name, tensor in tensors.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name + ".", suffix=".part")
    os.close(handle)
    try:
        save_file(contiguous, temporary, metadata=dict(metadata or {"format": "pt"}))
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp's own mode hides the file from everyone else
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
