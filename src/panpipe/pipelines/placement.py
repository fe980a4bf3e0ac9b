"""Where and in what precision a pipeline computes: the CPU, in float32. Other wishes are answered here."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import InvalidArgument

__all__ = ["CPU", "Device", "check_device", "check_device_map", "check_dtype", "check_framework"]

_log = logging.getLogger("panpipe")

_HALF = ("float16", "bfloat16", "half")
_FLOAT32 = ("auto", "float32", "float", "f32")


class Device(str):
    """A device's name that also answers to `.type`, as PyTorch's devices do."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """The kind of device."""
        return str(self)


CPU = Device("cpu")


def check_device(device: Any) -> Device:
    """The CPU, for None, "cpu", -1 or torch.device("cpu").

    A number from 0 up means the first accelerator, or the CPU where there is none: so here.   Raises InvalidArgument.
    """
    if isinstance(device, int) and not isinstance(device, bool):
        if device >= 0:
            _log.warning("device=%d: panpipe's pipelines run on the CPU.", device)
        return CPU
    if device is None or str(device).lower() in ("cpu", "cpu:0", "auto"):
        return CPU
    raise InvalidArgument(
        f'device={str(device)!r}: panpipe\'s pipelines run on the CPU. Give device="cpu", or leave it out.'
    )


def check_device_map(device_map: Any) -> None:
    """Raises InvalidArgument for a map that names anything but the CPU."""
    named = set(map(str, device_map.values())) if isinstance(device_map, dict) else {str(device_map)}
    if not named <= {"None", "cpu", "auto"}:
        raise InvalidArgument(
            f'device_map={device_map!r}: panpipe\'s pipelines run on the CPU. Give device="cpu", or leave it out.'
        )


def check_dtype(dtype: Any) -> None:
    """Weights may be stored in half precision; everything is computed in float32.   Raises InvalidArgument."""
    if dtype is None:
        return
    name = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.")
    if name in _HALF:
        _log.info("dtype=%s: panpipe stores such weights, and computes in float32.", name)
    elif name not in _FLOAT32:
        raise InvalidArgument(f"dtype={name!r}: panpipe computes in float32. Give dtype='float32', or leave it out.")


def check_framework(framework: Any) -> str:
    """`framework` is "pt" or left out.   Raises InvalidArgument."""
    if framework not in (None, "pt"):
        raise InvalidArgument(
            f'framework={framework!r}: TensorFlow and JAX are not supported. Leave it out, or give "pt".'
        )
    return "pt"
