"""An optimizer's state as tensors by the names of the parameters, and back: no pickle, and the same for any number of
processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import CorruptCheckpoint
from ..models.loading import Stored
from ..weights.slots import TableSlot

__all__ = ["load_parameters", "optimizer_tensors", "parameter_tensors", "restore_optimizer", "weights_by_name", "whole"]

Tensor = npt.NDArray[Any]
Named = Iterable[tuple[str, nn.Parameter]]
_STATE, _WEIGHT = "state/", "weight/"


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, put together where it is split over processes (all must ask)."""
    joined: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return joined


def optimizer_tensors(named: Named, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer keeps of each parameter: `state/NAME/exp_avg`."""
    return {
        f"{_STATE}{name}/{key}": _numpy(value)
        for name, parameter in named
        for key, value in optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(named: Named, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that `optimizer_tensors` took.   Raises CorruptCheckpoint if it is another's."""
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(_STATE):
            name, _, part = key[len(_STATE) :].rpartition("/")
            found.setdefault(name, {})[part] = tensor
    parameters = dict(named)
    if unknown := set(found) - set(parameters):
        raise CorruptCheckpoint(
            f"the checkpoint's optimizer knows weights that the model lacks: {sorted(unknown)[:3]}."
        )
    for name, parts in found.items():
        parameter = parameters[name]
        optimizer.state[parameter] = {part: _like(parameter, tensor) for part, tensor in parts.items()}


def parameter_tensors(named: Named) -> dict[str, Tensor]:
    """The parameters that are trained: `weight/NAME`."""
    return {_WEIGHT + name: _numpy(parameter) for name, parameter in named if parameter.requires_grad}


def load_parameters(named: Named, tensors: Mapping[str, Tensor]) -> None:
    """Set the parameters that `parameter_tensors` took."""
    with torch.no_grad():
        for name, parameter in named:
            if _WEIGHT + name in tensors:
                parameter.copy_(_like(parameter, tensors[_WEIGHT + name]))


def weights_by_name(stored: Stored) -> dict[str, Tensor]:
    """A checkpoint's tensors by the names that a `Trainable`'s parameters have, as `parameter_tensors` gives them."""
    found = {}
    for slot, kind in stored.slots.items():
        for part, tensor in stored.read(slot).items() if kind.shapes() else ():
            name = slot if isinstance(kind, TableSlot) else f"{slot}.{part}"
            found[f"{_WEIGHT}weights.{name}"] = tensor
    return found


def _numpy(tensor: torch.Tensor) -> Tensor:
    values: Tensor = whole(tensor.detach()).cpu().numpy()
    return np.array(values)


def _like(parameter: nn.Parameter, values: Tensor) -> torch.Tensor:
    """On the parameter's device, split as it is if it is of its shape."""
    tensor = torch.from_numpy(np.array(values)).to(parameter.device)
    if hasattr(parameter, "full_tensor") and tensor.shape == parameter.shape:
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(tensor, parameter.device_mesh, parameter.placements)
    return tensor
