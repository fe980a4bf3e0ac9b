"""One process or several: who I am, sums over all of us, and weights split among us (FSDP2).

torchrun (or `accelerate launch`) starts the processes and tells each its place by environment variables; accelerate
reads them and chooses the device and the way to communicate. With one process everything here is the identity.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import nn

from ..errors import MissingDependency, PanpipeError, TrainingError

__all__ = ["Processes"]

_log = logging.getLogger("panpipe")
T = TypeVar("T")

BUCKET_BYTES = 32 << 20
"""Gradients are summed over the processes in pieces of about this size."""


class Processes:
    """The processes of a run.

    rank: mine, from 0.   size: how many.   device: where this one computes.   is_main: the one that writes.
    is_first_here: the first of this machine.
    """

    def __init__(self, use_cpu: bool = False) -> None:
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise MissingDependency('training needs accelerate: pip install "panpipe[train]"') from error
        use_cpu = use_cpu or not torch.cuda.is_available()
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not torch.distributed.is_initialized():
            # accelerate names rank and size itself, and PyTorch then forgets that torchrun may have started us again
            torch.distributed.init_process_group("gloo" if use_cpu else "nccl")
        state = PartialState(cpu=use_cpu)
        self.rank: int = state.process_index
        self.size: int = state.num_processes
        self.device: torch.device = state.device
        self.is_main = self.rank == 0
        self.is_first_here: bool = state.is_local_main_process

    # -- sums and messages -------------------------------------------------------------------------------------------

    def sum(self, values: Sequence[float]) -> list[float]:
        """Numbers, each added up over the processes."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(tensor)
        return list(tensor.tolist())

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Each process's gradients become the sum of all; those that are split already are."""
        if self.size == 1:
            return
        whole = [p for p in parameters if not _is_split(p)]
        used = self.sum([float(p.grad is not None) for p in whole])
        reached = [p for p, count in zip(whole, used, strict=True) if count]
        for parameter in reached:
            if parameter.grad is None:  # this process had no batch left
                parameter.grad = torch.zeros_like(parameter)
        grads = [p.grad for p in reached if p.grad is not None]
        for bucket in _buckets(grads):
            flat = torch.cat([grad.reshape(-1) for grad in bucket])
            torch.distributed.all_reduce(flat)
            for grad, piece in zip(bucket, flat.split([grad.numel() for grad in bucket]), strict=True):
                grad.copy_(piece.view_as(grad))

    def gather(self, value: Any) -> list[Any]:
        """Everybody's value, by rank."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value)
        return found

    def on_main(self, work: Callable[[], T]) -> T:
        """The main process does it, and all get what it returns; an error there is an error for all."""
        if self.size == 1:
            return work()
        held: list[Any] = [None, None]
        if self.is_main:
            try:
                held[0] = work()
            except PanpipeError as error:
                held[1] = error
            except Exception as error:  # the others must not wait for ever
                torch.distributed.broadcast_object_list([None, TrainingError(f"the main process: {error!r}")], src=0)
                raise
        torch.distributed.broadcast_object_list(held, src=0)
        if held[1] is not None:
            raise held[1]
        return held[0]  # type: ignore[no-any-return]

    # -- split weights -----------------------------------------------------------------------------------------------

    def split(self, module: nn.Module) -> bool:
        """Split the weights over the processes: each layer a unit, gathered while it computes; the rest another.

        False where there is only one process.
        """
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        if self.size == 1:
            _log.warning("fsdp has no effect with one process; start several with torchrun.")
            return False
        mesh = init_device_mesh(self.device.type, (self.size,))
        for name, part in module.named_modules():
            if name.split(".")[-2:-1] == ["layers"]:
                fully_shard(part, mesh=mesh)
        fully_shard(module, mesh=mesh)
        return True


def _is_split(parameter: nn.Parameter) -> bool:
    return hasattr(parameter, "full_tensor")


def _buckets(grads: list[torch.Tensor]) -> Iterable[list[torch.Tensor]]:
    bucket: list[torch.Tensor] = []
    size = 0
    for grad in grads:
        bucket.append(grad)
        size += grad.numel() * grad.element_size()
        if size >= BUCKET_BYTES:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
