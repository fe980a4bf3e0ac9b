"""The operations and the engines that run them: `base` (NumPy), `native` (C++), `torch`."""

from __future__ import annotations

import importlib
import logging
import os
from functools import cache

from ..errors import EngineError, MissingDependency, did_you_mean
from .base import Ops

__all__ = ["ENGINES", "Ops", "get_ops"]

ENGINES = ("native", "reference", "torch")

_log = logging.getLogger("panpipe")


def get_ops(name: str | None = None) -> Ops:
    """The engine of that name; by default `native`, or `reference` where the kernels were not built.

    PANPIPE_ENGINE names another default.   Raises EngineError, MissingDependency (torch).
    """
    name = name or os.environ.get("PANPIPE_ENGINE")
    if name is None:
        return _default()
    if name not in ENGINES:
        raise EngineError(f"{name!r} is not an engine.{did_you_mean(name, ENGINES)} Engines: {', '.join(ENGINES)}.")
    return _engine(name)


@cache
def _default() -> Ops:
    try:
        importlib.import_module(".native", __name__)
    except EngineError as error:  # the kernels were not built
        _log.warning("%s Running on NumPy, which is several times slower.", error)
        return _engine("reference")
    return _engine("native")


@cache
def _engine(name: str) -> Ops:
    if name == "reference":
        return Ops()
    if name == "torch":
        try:
            module = importlib.import_module(".torch", __name__)
        except ImportError as error:
            raise MissingDependency('the torch engine needs PyTorch: pip install "panpipe[train]"') from error
        return module.TorchOps()  # type: ignore[no-any-return]
    return importlib.import_module(".native", __name__).NativeOps()  # type: ignore[no-any-return]
