"""The engines that tests run on: those that are built here."""

from __future__ import annotations

import pytest

from panpipe.errors import EngineError
from panpipe.ops import get_ops

__all__ = ["ENGINES"]


def _is_built(name: str) -> bool:
    try:
        get_ops(name)
    except EngineError:
        return False
    return True


ENGINES = [
    "reference",
    pytest.param("native", marks=pytest.mark.skipif(not _is_built("native"), reason="the kernels are not built here")),
]
