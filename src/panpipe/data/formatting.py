"""The form in which rows are given: Python's, NumPy's, PyTorch's or pandas'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidArgument, MissingDependency

__all__ = ["Format", "need_pandas"]

_ALIASES = {"np": "numpy", "numpy": "numpy", "pt": "torch", "torch": "torch", "pytorch": "torch",
            "pd": "pandas", "pandas": "pandas", "python": None, None: None}  # fmt: skip


@dataclass(frozen=True)
class Format:
    """type: None (Python's), 'numpy', 'torch' or 'pandas'.

    columns: those that are given, or None: all.   with_others: give the other columns too, as Python's.
    """

    type: str | None = None
    columns: tuple[str, ...] | None = None
    with_others: bool = False

    @staticmethod
    def of(type: str | None, columns: Sequence[str] | None, with_others: bool) -> Format:
        """From what the user typed.   Raises InvalidArgument, MissingDependency."""
        if type not in _ALIASES:
            raise InvalidArgument(f"format {type!r} is not known; choose 'numpy', 'torch', 'pandas' or None.")
        name = _ALIASES[type]
        if name == "torch":
            _need_torch()
        if name == "pandas":
            need_pandas()
        return Format(name, None if columns is None else tuple(columns), with_others)

    def gives(self, name: str) -> bool:
        """Is this column part of a row?"""
        return self.columns is None or name in self.columns or self.with_others

    def shapes(self, name: str) -> bool:
        """Is this column given in the form, or as Python's?"""
        return self.type is not None and (self.columns is None or name in self.columns)

    def value(self, value: Any) -> Any:
        """A value of a row in this form. Text stays text."""
        if self.type == "torch":
            return _tensor(value)
        return _array(value) if self.type == "numpy" else value

    def values(self, values: list[Any]) -> Any:
        """Several rows of a column in this form: one array where they are of one shape, else a list of arrays."""
        if self.type == "torch":
            made = [_tensor(value) for value in values]
            return _stacked(made)
        if self.type == "numpy":
            return _arrays(values)
        return values


def need_pandas() -> Any:
    """The module.   Raises MissingDependency."""
    try:
        import pandas
    except ImportError:
        raise MissingDependency("this needs pandas: pip install pandas") from None
    return pandas


def _need_torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingDependency('this needs PyTorch: pip install "panpipe[train]"') from None
    return torch


def _array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(np.int64) if value.dtype.kind == "i" else np.array(value)
    if isinstance(value, list):
        return _arrays(value)
    return np.asarray(value)[()] if isinstance(value, (bool, int, float)) else value


def _arrays(values: list[Any]) -> Any:
    inner = [_array(value) if isinstance(value, (list, np.ndarray)) else value for value in values]
    is_ragged = len({value.shape if isinstance(value, np.ndarray) else () for value in inner}) > 1
    if is_ragged or any(value is None or isinstance(value, (dict, str, bytes)) for value in inner):
        made = np.empty(len(inner), object)
        made[:] = inner
        return np.array(inner) if inner and all(isinstance(value, str) for value in inner) else made
    return np.array(inner)


def _tensor(value: Any) -> Any:
    torch = _need_torch()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.float32 if value.dtype.kind == "f" else np.int64))
    if isinstance(value, bool):
        return torch.tensor(value)
    if isinstance(value, (int, float)):
        return torch.tensor(value, dtype=torch.float32 if isinstance(value, float) else torch.int64)
    if isinstance(value, list):
        return _stacked([_tensor(item) for item in value]) if value else torch.zeros(0, dtype=torch.int64)
    return value


def _stacked(values: list[Any]) -> Any:
    torch = _need_torch()
    if values and all(isinstance(value, torch.Tensor) for value in values):
        if len({(value.shape, value.dtype) for value in values}) == 1:
            return torch.stack(values)
        if all(value.ndim == 0 for value in values):
            return torch.stack([value.float() for value in values])
    return values
