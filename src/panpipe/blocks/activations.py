"""The names that checkpoints give the activation functions of `panpipe.ops`."""

from __future__ import annotations

from ..errors import ConfigError, did_you_mean

__all__ = ["activation_named"]

_NAMES = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_accurate": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
}


def activation_named(name: str) -> str:
    """The operation for a config's `hidden_act`.   Raises ConfigError for one that panpipe does not have."""
    if name not in _NAMES:
        raise ConfigError(
            f"the activation {name!r} is not one of {', '.join(sorted(_NAMES))}.{did_you_mean(name, _NAMES)}"
        )
    return _NAMES[name]
