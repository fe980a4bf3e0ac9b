"""Reading `pytorch_model.bin` without torch and without unpickling: the tensors of a state_dict, by memory map.

Two formats of torch.save: the zip archive (torch >= 1.6), and before it a row of pickles and then the storages' bytes.
The pickle inside is run by `pickle_machine`, which can only rebuild tensors. Values of the dict that are not tensors
are passed over. Not covered: TorchScript, sparse and quantised tensors, the tar format of 2016, big-endian files.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorruptCheckpoint
from .base import DTYPES, Checkpoint, TensorInfo, Tensors, as_read, map_file, release_pages, storage_dtype, unmap
from .pickle_machine import PickleMachine
from .zip_records import Record, read_records

__all__ = ["TorchFile"]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_MAX_PROGRAM_BYTES = 100_000_000  # a thousand tensors take some 150 000
_MAX_DIMENSIONS = 64


@dataclass(frozen=True)
class _Storage:
    """A named run of elements; `begin` counts elements, for a view into another storage."""

    key: str
    dtype: str
    length: int
    begin: int = 0


@dataclass(frozen=True)
class _Tensor:
    dtype: str
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class _Placed:
    """A tensor in the file: offset and strides in bytes, and the bytes [begin, end) of its storage."""

    info: TensorInfo
    offset: int
    strides: tuple[int, ...]
    begin: int
    end: int


class TorchFile(Checkpoint):
    """The tensors of one file of torch.save.

    Raises CheckpointNotFound, CorruptCheckpoint, UnsafeCheckpoint (the pickle asks for anything but tensors).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._map = map_file(self.path)
        try:
            read = _read_archive if self._map[:4] == b"PK\3\4" else _read_legacy
            saved, places = read(self._map, self.path)
            self._tensors = _placed(saved, places, self.path, len(self._map))
        except BaseException:
            unmap(self._map)
            raise

    def names(self) -> list[str]:
        """Every tensor's name, in the order of the state_dict."""
        return list(self._tensors)

    def info(self, name: str) -> TensorInfo:
        """The stored dtype and shape."""
        return self._tensors[name].info

    def read(self, name: str) -> Tensors:
        """See `Checkpoint.read`."""
        tensor = self._tensors[name]
        dtype = storage_dtype(tensor.info.dtype, name, self.path)
        if 0 in tensor.info.shape:
            return np.zeros(tensor.info.shape, np.float32 if tensor.info.dtype == "BF16" else dtype)
        view: Tensors = np.ndarray(tensor.info.shape, dtype, self._map, tensor.offset, tensor.strides)
        return as_read(view, tensor.info.dtype)

    def release(self, name: str) -> None:
        """See `Checkpoint.release`."""
        tensor = self._tensors[name]
        if not self._map.closed:
            release_pages(self._map, tensor.begin, tensor.end)

    def close(self) -> None:
        """Lets go of the file."""
        unmap(self._map)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors


# -- the two formats -------------------------------------------------------------------------------------------------


def _read_archive(mapped: mmap.mmap, path: Path) -> tuple[Any, dict[str, Record]]:
    """The zip format: the pickled value, and where each storage's bytes are."""
    records = read_records(mapped, path)
    pickles = [name for name in records if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CorruptCheckpoint(f"{path} is a zip archive, but not one of torch.save: it has {len(pickles)} data.pkl.")
    prefix = pickles[0].removesuffix("data.pkl")
    order = records.get(prefix + "byteorder")
    if order is not None and mapped[order.begin : min(order.end, order.begin + 16)] != b"little":
        raise CorruptCheckpoint(f"{path} was saved on a big-endian machine, which panpipe does not read.")
    program = records[pickles[0]]
    if program.end - program.begin > _MAX_PROGRAM_BYTES:
        raise CorruptCheckpoint(f"{path} has a data.pkl of more than {_MAX_PROGRAM_BYTES} bytes: not of tensors alone.")
    machine = _machine(mapped[program.begin : program.end], path, _persistent_storage)
    places = {name.removeprefix(prefix + "data/"): place for name, place in records.items()}
    return machine.run(), places


def _read_legacy(mapped: mmap.mmap, path: Path) -> tuple[Any, dict[str, Record]]:
    """The format before zip: magic number, protocol, system, value, keys of storages, and their bytes in that order."""
    data = memoryview(mapped)
    try:
        position = 0
        values = []
        sizes: dict[str, int] = {}
        for persistent in (None, None, None, _noting(sizes), None):
            machine = _machine(data, path, persistent, position)
            values.append(machine.run())
            position = machine.position
            if values[0] != _LEGACY_MAGIC:
                break
        if len(values) < 5 or values[1] != _LEGACY_PROTOCOL or not isinstance(values[2], dict):
            raise CorruptCheckpoint(f"{path} is not a file of torch.save.")
        if values[2].get("little_endian") is not True:
            raise CorruptCheckpoint(f"{path} was saved on a big-endian machine, which panpipe does not read.")
        return values[3], _legacy_places(data, position, values[4], sizes, path)
    finally:
        data.release()


def _noting(sizes: dict[str, int]) -> Callable[[Any], _Storage]:
    """`_persistent_storage`, which also notes the bytes of an element of each storage in the file."""

    def persistent(saved_id: Any) -> _Storage:
        storage = _persistent_storage(saved_id)
        sizes.setdefault(storage.key, DTYPES[storage.dtype][0] // 8)
        return storage

    return persistent


def _legacy_places(data: memoryview, position: int, keys: Any, sizes: dict[str, int], path: Path) -> dict[str, Record]:
    places: dict[str, Record] = {}
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in sizes or key in places or position + 8 > len(data):
            raise CorruptCheckpoint(f"{path} is not a whole file of torch.save: its storages are not as listed.")
        size = int.from_bytes(data[position : position + 8], "little") * sizes[key]
        places[key] = Record(position + 8, position + 8 + size)
        position += 8 + size
    return places


# -- what a saved pickle may ask for ---------------------------------------------------------------------------------


def _machine(
    data: bytes | memoryview, path: Path, persistent: Callable[[Any], _Storage] | None, position: int = 0
) -> PickleMachine:
    return PickleMachine(
        data,
        where=str(path),
        callables=_CALLABLES,
        constants=_CONSTANTS,
        persistent=persistent,
        position=position,
    )


def _persistent_storage(saved_id: Any) -> _Storage:
    """('storage', type, key, location, length) and, in the legacy format, None or (key, begin, length) of a view."""
    kind, dtype, key, _, length, *view = saved_id
    if kind != "storage" or not isinstance(dtype, _DType) or not isinstance(key, str) or not _is_size(length):
        raise ValueError("a storage in it is not described as torch.save does")
    if view and view[0] is not None:
        _, begin, length = view[0]
        if not _is_size(begin) or not _is_size(length):
            raise ValueError("a storage in it is not described as torch.save does")
        return _Storage(key, dtype.name, length, begin)
    return _Storage(key, dtype.name, length)


@dataclass(frozen=True)
class _DType:
    """A storage's type, or a dtype: a name of DTYPES."""

    name: str


def _ordered_dict(items: Iterable[Any] = ()) -> dict[str, Any]:
    values = {}
    for key, value in items:
        if not isinstance(key, str):
            raise ValueError("an OrderedDict in it has a key that is not a string")
        values[key] = value
    return values


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, dtype: str | None = None) -> _Tensor:
    sizes_are_right = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    if not isinstance(storage, _Storage) or not sizes_are_right or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a tensor in it is not described as torch.save does")
    if not all(map(_is_size, (offset, *shape, *strides))):
        raise ValueError("a tensor in it has a negative or endless size")
    return _Tensor(dtype or storage.dtype, storage, offset, shape, strides)


def _rebuild_tensor_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, metadata: Any = None
) -> _Tensor:
    if metadata:
        raise ValueError("a tensor in it is stored conjugated or negated")
    return _rebuild_tensor(storage, offset, shape, strides)


def _rebuild_tensor_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Any, metadata: Any = None
) -> _Tensor:
    if metadata or not isinstance(dtype, _DType):
        raise ValueError("a tensor in it is not described as torch.save does")
    return _rebuild_tensor(storage, offset, shape, strides, dtype.name)


def _rebuild_parameter(tensor: Any, _grad: Any, _hooks: Any, _state: Any = None) -> Any:
    return tensor


def _size(values: Any) -> tuple[Any, ...]:
    return tuple(values)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


_CALLABLES: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch.Size": _size,
}

_CONSTANTS: dict[str, Any] = {
    f"torch.{name}": _DType(dtype)
    for dtype, names in {
        "F32": ("FloatStorage", "float32"),
        "F64": ("DoubleStorage", "float64"),
        "F16": ("HalfStorage", "float16"),
        "BF16": ("BFloat16Storage", "bfloat16"),
        "U8": ("ByteStorage", "uint8", "UntypedStorage", "storage.UntypedStorage"),
        "I8": ("CharStorage", "int8"),
        "I16": ("ShortStorage", "int16"),
        "I32": ("IntStorage", "int32"),
        "I64": ("LongStorage", "int64"),
        "BOOL": ("BoolStorage", "bool"),
        "C64": ("ComplexFloatStorage", "complex64"),
        "U16": ("uint16",),
        "U32": ("uint32",),
        "U64": ("uint64",),
        "F8_E4M3": ("Float8_e4m3fnStorage", "float8_e4m3fn"),
        "F8_E5M2": ("Float8_e5m2Storage", "float8_e5m2"),
    }.items()
    for name in names
}


# -- from what was saved to places in the file -----------------------------------------------------------------------


def _placed(saved: Any, places: dict[str, Record], path: Path, file_bytes: int) -> dict[str, _Placed]:
    if not isinstance(saved, dict):
        raise CorruptCheckpoint(f"{path} holds a {type(saved).__name__}, not a state_dict of names and tensors.")
    tensors = {
        name: _place(name, tensor, places, path, file_bytes)
        for name, tensor in saved.items()
        if isinstance(name, str) and isinstance(tensor, _Tensor)
    }
    if not tensors:
        raise CorruptCheckpoint(f"{path} holds no tensors. Save the model's state_dict() itself.")
    return tensors


def _place(name: str, tensor: _Tensor, places: dict[str, Record], path: Path, file_bytes: int) -> _Placed:
    """The storage must be in the file, the tensor in its storage, and (a stride may be 0) no larger than the file."""
    storage = tensor.storage
    place = places.get(storage.key)
    unit, element = DTYPES[storage.dtype][0] // 8, DTYPES[tensor.dtype][0] // 8
    if place is None or place.end > file_bytes or (storage.begin + storage.length) * unit > place.end - place.begin:
        raise CorruptCheckpoint(
            f"{path}: the bytes of tensor {name!r:.100} are not all in the file. Download it again."
        )
    elements = math.prod(tensor.shape)
    reach = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)) + 1
    if elements and (reach * element > storage.length * unit or elements * element > file_bytes):
        raise CorruptCheckpoint(f"{path}: tensor {name!r:.100} reaches beyond its storage.")
    begin = place.begin + storage.begin * unit
    return _Placed(
        TensorInfo(tensor.dtype, tensor.shape),
        begin + tensor.offset * element,
        tuple(step * element for step in tensor.strides),
        begin,
        begin + storage.length * unit,
    )
