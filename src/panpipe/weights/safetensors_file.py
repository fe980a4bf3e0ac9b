"""Reading one `.safetensors` file by memory map, every bound of its header checked before it is believed.

The format: 8 bytes, the header's length N (little-endian); N bytes of JSON, {name: {dtype, shape, data_offsets}} and
perhaps "__metadata__"; then the tensors' bytes, end to end without a gap (https://github.com/huggingface/safetensors).

Stricter than the safetensors library in these ways: the header begins with '{', has at most MAX_HEADER_BYTES and
MAX_TENSORS, no key twice, no unknown field in a tensor's entry, at most MAX_DIMENSIONS dimensions, and none that NumPy
could not count (beside a dimension of 0, the library allows any).
Not covered: a file that another process cuts short while it is mapped (reading then ends the process, as with any map).
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ..errors import CorruptCheckpoint
from .base import DTYPES, Checkpoint, TensorInfo, Tensors, as_read, map_file, release_pages, storage_dtype, unmap

__all__ = ["MAX_HEADER_BYTES", "MAX_TENSORS", "SafetensorsFile"]

MAX_HEADER_BYTES = 25_000_000
MAX_TENSORS = 100_000
MAX_DIMENSIONS = 64  # NumPy's own limit
_MAX_VALUES = 1_000_000  # of JSON, however nested: bounds the time and memory of parsing
_LENGTH_BYTES = 8
_FIELDS = {"dtype", "shape", "data_offsets"}
_SURROGATE = re.compile("[\ud800-\udfff]")


class SafetensorsFile(Checkpoint):
    """One file of tensors.

    metadata: the file's "__metadata__".
    Raises CheckpointNotFound, CorruptCheckpoint (the header contradicts itself or the file).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._map = map_file(self.path)
        try:
            self._data_begin, header = _read_header(self._map)
            self.metadata: dict[str, str] = _checked_metadata(header.pop("__metadata__", None))
            self._entries = _checked_entries(header, len(self._map) - self._data_begin)
        except _HeaderError as error:
            unmap(self._map)
            raise CorruptCheckpoint(f"{self.path} is not a whole safetensors file: {error}") from None

    def names(self) -> list[str]:
        """Every tensor's name, in the order of the data."""
        return list(self._entries)

    def info(self, name: str) -> TensorInfo:
        """The stored dtype and shape."""
        return self._entries[name][0]

    def read(self, name: str) -> Tensors:
        """See `Checkpoint.read`."""
        (dtype, shape), begin, _ = self._entries[name]
        numpy_dtype = storage_dtype(dtype, name, self.path)
        offset = self._data_begin + begin
        view = np.frombuffer(self._map, numpy_dtype, math.prod(shape), offset).reshape(shape)
        return as_read(view, dtype)

    def release(self, name: str) -> None:
        """See `Checkpoint.release`."""
        _, begin, end = self._entries[name]
        if not self._map.closed:
            release_pages(self._map, self._data_begin + begin, self._data_begin + end)

    def close(self) -> None:
        """Lets go of the file."""
        unmap(self._map)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


class _HeaderError(Exception):
    """What is wrong with a header, before the file's name is put to it."""


def _read_header(mapped: Any) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header's JSON object."""
    size = len(mapped)
    if size < _LENGTH_BYTES:
        raise _HeaderError(f"it has {size} bytes, fewer than the {_LENGTH_BYTES} that give its header's length.")
    length = int.from_bytes(mapped[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise _HeaderError(f"its header would have {length} bytes; at most {MAX_HEADER_BYTES} are read.")
    if _LENGTH_BYTES + length > size:
        raise _HeaderError(f"its header would have {length} bytes, the whole file has {size}. Download it again.")
    raw = mapped[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if not raw.startswith(b"{"):
        raise _HeaderError("its header does not begin with '{'.")
    if raw.count(b",") + raw.count(b"[") > _MAX_VALUES or raw.count(b"{") > MAX_TENSORS + 2:
        raise _HeaderError(f"its header lists too much: at most {MAX_TENSORS} tensors are read.")
    return _LENGTH_BYTES + length, _parse(raw)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        header = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_no_key_twice, parse_int=_size, parse_float=_no, parse_constant=_no
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise _HeaderError(f"its header is not JSON ({error}).") from None
    if not isinstance(header, dict):
        raise _HeaderError("its header is not a JSON object.")
    return header


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers could see two different tensors under one name."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _HeaderError("its header has the same key twice.")
    return values


def _size(digits: str) -> int:
    if digits[0] == "-" or len(digits) > 20:  # 2^64 has 20 digits; converting millions of them takes quadratic time
        raise _HeaderError(f"its header has the number {digits[:24]}…, which is not a size.")
    return int(digits)


def _no(literal: str) -> NoReturn:
    raise _HeaderError(f"its header has the number {literal[:24]}, which is not a size.")


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _HeaderError('its "__metadata__" must map strings to strings.')
    for text in (*metadata, *metadata.values()):
        _check_text(text)
    return metadata


def _check_text(text: str) -> None:
    if _SURROGATE.search(text):
        raise _HeaderError("its header has half of a surrogate pair in a string.")


def _checked_entries(header: dict[str, Any], data_bytes: int) -> dict[str, tuple[TensorInfo, int, int]]:
    """Name -> (info, begin, end), in the order of the data, which they must fill without gap or overlap."""
    if len(header) > MAX_TENSORS:
        raise _HeaderError(f"it lists {len(header)} tensors; at most {MAX_TENSORS} are read.")
    entries = [(name, *_checked_entry(name, entry)) for name, entry in header.items()]
    entries.sort(key=lambda entry: entry[2:])
    position = 0
    for name, _, begin, end in entries:
        if begin != position:
            raise _HeaderError(
                f"tensor {name!r} begins at byte {begin} of the data; the ones before it end at {position}."
            )
        position = end
    if position != data_bytes:
        raise _HeaderError(f"its tensors take {position} bytes, but {data_bytes} follow the header. Download it again.")
    return {name: (info, begin, end) for name, info, begin, end in entries}


def _checked_entry(name: str, entry: Any) -> tuple[TensorInfo, int, int]:
    _check_text(name)
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise _HeaderError(f"the entry of {name!r} must have dtype, shape and data_offsets.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _HeaderError(f"tensor {name!r} has the unknown dtype {dtype!r:.40}.")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise _HeaderError(f"the shape and the two data_offsets of {name!r} must be lists of sizes.")
    begin, end = offsets
    bits = _bits(name, shape, DTYPES[dtype][0])
    if begin > end or (end - begin) * 8 != bits:
        raise _HeaderError(f"tensor {name!r} of {dtype} {shape} does not take bytes {begin} to {end}.")
    return TensorInfo(dtype, tuple(shape)), begin, end


def _are_sizes(values: Any) -> bool:
    # `type is int`: True is an int to isinstance
    return isinstance(values, list) and len(values) <= MAX_DIMENSIONS and all(type(value) is int for value in values)


def _bits(name: str, shape: list[int], bits: int) -> int:
    """Of all elements. Counted without the dimensions of 0, the shape must not be too large for NumPy either."""
    if math.prod(max(size, 1) for size in shape) * bits >= 1 << 63:
        raise _HeaderError(f"tensor {name!r} has a shape {shape[:8]} too large for any file.")
    return math.prod(shape) * bits
