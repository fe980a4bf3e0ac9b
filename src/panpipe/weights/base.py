"""What every file of tensors answers, whatever its format."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import CheckpointError, CheckpointNotFound, CorruptCheckpoint

__all__ = ["DTYPES", "Checkpoint", "TensorInfo", "Tensors", "as_read", "map_file", "release_pages"]

_LFS_POINTER = b"version https://git-lfs"

Tensors = npt.NDArray[Any]

DTYPES: dict[str, tuple[int, str | None]] = {
    "BOOL": (8, "?"),
    "U8": (8, "u1"),
    "I8": (8, "i1"),
    "U16": (16, "<u2"),
    "I16": (16, "<i2"),
    "F16": (16, "<f2"),
    "BF16": (16, "<u2"),
    "U32": (32, "<u4"),
    "I32": (32, "<i4"),
    "F32": (32, "<f4"),
    "U64": (64, "<u8"),
    "I64": (64, "<i8"),
    "F64": (64, "<f8"),
    "C64": (64, "<c8"),
    "F8_E4M3": (8, None),
    "F8_E5M2": (8, None),
    "F8_E8M0": (8, None),
    "F8_E4M3FNUZ": (8, None),
    "F8_E5M2FNUZ": (8, None),
    "F6_E2M3": (6, None),
    "F6_E3M2": (6, None),
    "F4": (4, None),
}
"""safetensors' dtypes: bits of an element, and the NumPy dtype of its bytes (None: we cannot read it)."""


Self = TypeVar("Self", bound="Checkpoint")


class TensorInfo(NamedTuple):
    """What a file's header says of a tensor: a dtype of DTYPES, and the shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * DTYPES[self.dtype][0] // 8


class Checkpoint(ABC):
    """Named tensors in one or more files, read one by one when asked for.

    path: for messages.   A context manager: `with open_checkpoint(folder) as checkpoint: …`.
    """

    path: Path

    @abstractmethod
    def names(self) -> list[str]:
        """Every tensor's name, in the order of the bytes in the file where it has one."""

    @abstractmethod
    def info(self, name: str) -> TensorInfo:
        """The stored dtype and shape, without touching the data.   Raises KeyError."""

    @abstractmethod
    def read(self, name: str) -> Tensors:
        """The tensor: C-contiguous and aligned; a read-only view of the mapped file where that is possible.

        bfloat16 comes as float32, float16 as float16.   Raises KeyError, CheckpointError (a dtype we cannot read).
        """

    @abstractmethod
    def release(self, name: str) -> None:
        """Tells the system that the tensor's pages of the file are not needed now: they leave this process's memory.

        Views stay valid; touching them reads the file again. Does nothing where the system cannot.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of the files; views that are still held keep theirs."""

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as stored."""
        return sum(self.info(name).nbytes for name in self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __len__(self) -> int:
        return len(self.names())

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def map_file(path: Path) -> mmap.mmap:
    """The file, mapped read-only.   Raises CheckpointNotFound, CorruptCheckpoint (an empty file)."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CorruptCheckpoint(f"{path} is empty (0 bytes). Download or copy it again.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise CheckpointNotFound(f"there is no file {path}.") from error
    except IsADirectoryError as error:
        raise CheckpointNotFound(f"{path} is a folder, not a file of weights.") from error
    if mapped[: len(_LFS_POINTER)] == _LFS_POINTER:
        mapped.close()
        raise CorruptCheckpoint(f"{path} is only a Git LFS pointer; the weights were not fetched. Run `git lfs pull`.")
    return mapped


def unmap(mapped: mmap.mmap) -> None:
    """Closes the map unless arrays still look into it; then it closes with the last of them."""
    with contextlib.suppress(BufferError):
        mapped.close()


def release_pages(mapped: mmap.mmap, begin: int, end: int) -> None:
    """Drops the pages that hold bytes [begin, end): the ones at the ends, shared with neighbours, come back alone."""
    if begin >= end or not hasattr(mmap, "MADV_DONTNEED"):
        return
    first = begin - begin % mmap.PAGESIZE
    mapped.madvise(mmap.MADV_DONTNEED, first, end - first)


def as_read(view: Tensors, dtype: str) -> Tensors:
    """A view of stored bytes as `Checkpoint.read` promises it."""
    if dtype == "BF16":
        return widen_bfloat16(view)
    if view.flags.c_contiguous and view.flags.aligned:
        return view
    return np.array(view, order="C")


def widen_bfloat16(bits: Tensors) -> npt.NDArray[np.float32]:
    """uint16 bits of bfloat16 -> float32 of the same shape: a bfloat16 is the upper half of a float32."""
    wide = np.empty(bits.shape, np.uint32)
    wide[...] = bits
    np.left_shift(wide, 16, out=wide)
    return wide.view(np.float32)


def storage_dtype(dtype: str, name: str, path: Path) -> np.dtype[Any]:
    """The NumPy dtype of stored bytes.   Raises CheckpointError for those we cannot read."""
    stored = DTYPES[dtype][1]
    if stored is None:
        readable = ", ".join(known for known, (_, numpy_dtype) in DTYPES.items() if numpy_dtype)
        raise CheckpointError(
            f"{path}: tensor {name!r} is stored as {dtype}, which panpipe cannot read. Readable: {readable}."
        )
    return np.dtype(stored)
