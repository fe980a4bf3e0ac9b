"""Columns that grow, in memory or in files, and whole tables of them.

On disk a table is a folder: table.json, and an .npy file per array, which are mapped when it is opened. It is written
aside and takes its name when it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..weights.source import check_file_name, read_json
from .building import widened
from .columns import (
    BINARY,
    BOOL,
    FLOAT,
    INT,
    JSON,
    NULL,
    STRING,
    ChainedColumn,
    ChosenColumn,
    Column,
    Kind,
    ListColumn,
    NullColumn,
    NumberColumn,
    TextColumn,
    join,
)

__all__ = ["TABLE", "TableWriter", "is_table", "open_table", "whole_folder"]

TABLE = "table.json"
_FORMAT = "panpipe-table-1"
_HEADER = 128  # bytes of an .npy header with room for any length
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00v\x00\{'descr': '([<>|][biuf][1248])', "
    rb"'fortran_order': False, 'shape': \(([0-9]{1,18}),\), \} *\n"
)
_DTYPES = {BOOL: "?", INT: "bihlq", FLOAT: "efd"}


# -- arrays that grow ------------------------------------------------------------------------------------------------


class _Sink:
    """An array that grows at its end, in memory or in an .npy file. Its dtype widens as the chunks' do."""

    def __init__(self, path: Path | None, dtype: Any) -> None:
        self._path = path
        self._dtype = np.dtype(dtype)
        self._chunks: list[NDArray[Any]] = []
        self._length = 0
        self._file: IO[bytes] | None = None

    def append(self, chunk: NDArray[Any]) -> None:
        dtype = np.promote_types(self._dtype, chunk.dtype)
        if self._path is None:
            self._chunks.append(chunk)
        else:
            if dtype != self._dtype and self._length:
                self._rewrite(dtype)
            self._dtype = dtype
            self._open().write(np.ascontiguousarray(chunk, dtype).tobytes())
        self._dtype = dtype
        self._length += len(chunk)

    def finish(self) -> NDArray[Any]:
        if self._path is None:
            self._chunks = [np.concatenate([np.empty(0, self._dtype), *self._chunks])]
            return self._chunks[0]
        file = self._open()
        file.seek(0)
        file.write(_npy_header(self._dtype, self._length))
        file.close()
        return _mapped(self._path)

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _open(self) -> IO[bytes]:
        if self._file is None:
            assert self._path is not None, "only a file is opened"
            self._file = self._path.open("wb")
            self._file.write(b"\0" * _HEADER)
        return self._file

    def _rewrite(self, dtype: np.dtype[Any]) -> None:
        assert self._path is not None, "only a file is written anew"
        narrow = self.finish()
        wide = self._path.with_suffix(".wide")
        with wide.open("wb") as file:
            file.write(b"\0" * _HEADER)
            for begin in range(0, len(narrow), 1 << 20):
                file.write(narrow[begin : begin + (1 << 20)].astype(dtype).tobytes())
        del narrow
        wide.replace(self._path)
        self._file = self._path.open("r+b")
        self._file.seek(0, os.SEEK_END)


def _npy_header(dtype: np.dtype[Any], length: int) -> bytes:
    """numpy's format 1.0, padded to a fixed size so that the length can be filled in at the end."""
    text = f"{{'descr': {np.lib.format.dtype_to_descr(dtype)!r}, 'fortran_order': False, 'shape': ({length},), }}"
    return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + text.ljust(_HEADER - 11).encode() + b"\n"


def _mapped(path: Path) -> NDArray[Any]:
    """The array in a file of ours, without reading it.   Raises DataError.

    Only the header that `_npy_header` writes is understood: nothing in it is evaluated, or unpickled.
    """
    try:
        with path.open("rb") as file:
            header = _NPY.fullmatch(file.read(_HEADER))
        if header is None:
            raise ValueError("its header is another")
        dtype, length = np.dtype(header[1].decode()), int(header[2])
        if path.stat().st_size != _HEADER + length * dtype.itemsize:
            raise ValueError(f"it does not have the bytes of {length} values")
        if not length:
            return np.empty(0, dtype)
        return np.asarray(np.memmap(path, dtype, "r", _HEADER, (length,)))  # a memmap itself is slow to index
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a column's array: {error}. Make the data set again.") from None


# -- columns that grow -----------------------------------------------------------------------------------------------


class _Store(ABC):
    """A growing column of one kind."""

    @abstractmethod
    def extend(self, column: Column) -> None: ...

    @abstractmethod
    def finish(self) -> Column: ...

    @abstractmethod
    def sinks(self) -> Iterator[_Sink]: ...


class _NullStore(_Store):
    def __init__(self) -> None:
        self._length = 0

    def extend(self, column: Column) -> None:
        self._length += len(column)

    def finish(self) -> Column:
        return NullColumn(self._length)

    def sinks(self) -> Iterator[_Sink]:
        return iter(())


class _ValidStore:
    """The marks of what is None; nothing is written before there is a None."""

    def __init__(self, name: _Namer) -> None:
        self._name = name
        self._length = 0
        self._sink: _Sink | None = None

    def extend(self, valid: NDArray[Any] | None, length: int) -> None:
        if valid is not None and self._sink is None:
            self._sink = _Sink(self._name("valid"), np.bool_)
            self._sink.append(np.ones(self._length, np.bool_))
        if self._sink is not None:
            self._sink.append(np.ones(length, np.bool_) if valid is None else valid)
        self._length += length

    def finish(self) -> NDArray[Any] | None:
        return None if self._sink is None else self._sink.finish()

    def sinks(self) -> Iterator[_Sink]:
        return iter(() if self._sink is None else (self._sink,))


class _NumberStore(_Store):
    def __init__(self, kind: Kind, name: _Namer) -> None:
        self._kind = kind
        # whole numbers take the narrowest type that holds them: ids of tokens are most of a data set
        self._values = _Sink(name("values"), {BOOL: np.bool_, INT: np.int8, FLOAT: np.float16}[kind])
        self._valid = _ValidStore(name)

    def extend(self, column: Column) -> None:
        assert isinstance(column, NumberColumn), "a column of numbers"
        values = column.values
        if self._kind == INT and len(values):
            low, high = int(values.min()), int(values.max())
            narrow = np.promote_types(np.min_scalar_type(min(low, -1)), np.min_scalar_type(-max(high, 1) - 1))
            values = values.astype(narrow)
        self._values.append(values)
        self._valid.extend(column.valid, len(column))

    def finish(self) -> Column:
        return NumberColumn(self._kind, self._values.finish(), self._valid.finish())

    def sinks(self) -> Iterator[_Sink]:
        yield self._values
        yield from self._valid.sinks()


class _Offsets:
    def __init__(self, name: _Namer) -> None:
        self._sink = _Sink(name("offsets"), np.int64)
        self._sink.append(np.zeros(1, np.int64))
        self._end = 0

    def extend(self, offsets: NDArray[Any]) -> None:
        moved = offsets[1:] - (offsets[0] - self._end)
        self._end += int(offsets[-1] - offsets[0])
        self._sink.append(moved)

    def finish(self) -> NDArray[Any]:
        return self._sink.finish()

    def sinks(self) -> Iterator[_Sink]:
        yield self._sink


class _TextStore(_Store):
    def __init__(self, kind: Kind, name: _Namer) -> None:
        self._kind = kind
        self._data = _Sink(name("data"), np.uint8)
        self._offsets = _Offsets(name)
        self._valid = _ValidStore(name)

    def extend(self, column: Column) -> None:
        assert isinstance(column, TextColumn), "a column of text"
        self._data.append(column.data[int(column.offsets[0]) : int(column.offsets[-1])])
        self._offsets.extend(column.offsets)
        self._valid.extend(column.valid, len(column))

    def finish(self) -> Column:
        return TextColumn(self._kind, self._data.finish(), self._offsets.finish(), self._valid.finish())

    def sinks(self) -> Iterator[_Sink]:
        yield self._data
        yield from self._offsets.sinks()
        yield from self._valid.sinks()


class _ListStore(_Store):
    def __init__(self, kind: Kind, name: _Namer) -> None:
        assert kind.of is not None, "a list is of something"
        self._offsets = _Offsets(name)
        self._items = _store_of(kind.of, name.inside("items"))
        self._valid = _ValidStore(name)

    def extend(self, column: Column) -> None:
        assert isinstance(column, ListColumn), "a column of lists"
        self._items.extend(column.items.slice(int(column.offsets[0]), int(column.offsets[-1])))
        self._offsets.extend(column.offsets)
        self._valid.extend(column.valid, len(column))

    def finish(self) -> Column:
        return ListColumn(self._offsets.finish(), self._items.finish(), self._valid.finish())

    def sinks(self) -> Iterator[_Sink]:
        yield from self._offsets.sinks()
        yield from self._items.sinks()
        yield from self._valid.sinks()


class _Namer:
    """Where a column's arrays are: folder/prefix.part.npy, or nowhere (in memory)."""

    def __init__(self, folder: Path | None, prefix: str) -> None:
        self.folder = folder
        self.prefix = prefix

    def __call__(self, part: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{self.prefix}.{part}.npy"

    def inside(self, part: str) -> _Namer:
        return _Namer(self.folder, f"{self.prefix}.{part}")


def _store_of(kind: Kind, name: _Namer) -> _Store:
    if kind == NULL:
        return _NullStore()
    if kind.of is not None:
        return _ListStore(kind, name)
    return _TextStore(kind, name) if kind in (STRING, BINARY, JSON) else _NumberStore(kind, name)


class ColumnWriter:
    """A growing column that becomes wider where it has to."""

    def __init__(self, folder: Path | None, prefix: str) -> None:
        self.kind = NULL
        self.prefix = prefix
        self._folder = folder
        self._version = 0
        self._store: _Store = _NullStore()
        self.length = 0

    def extend(self, column: Column) -> None:
        """Append these rows."""
        if isinstance(column, (ChosenColumn, ChainedColumn)):
            raise TypeError("only columns that hold their own arrays are written")
        kind = join(self.kind, column.kind)
        if kind != self.kind:
            self.convert(kind, lambda block: widened(block, kind))
        self._store.extend(widened(column, kind))
        self.length += len(column)

    def convert(self, kind: Kind, conversion: Callable[[Column], Column]) -> None:
        """Make what is there, and what comes, of another kind."""
        written, old = self._store.finish(), self._store
        self._version += 1
        self.prefix = f"{self.prefix.partition('-')[0]}-{self._version}"
        self._store, self.kind = _store_of(kind, _Namer(self._folder, self.prefix)), kind
        for block in written.blocks():
            self._store.extend(conversion(block))
        del written
        for sink in old.sinks():
            sink.discard()

    def discard(self) -> None:
        """Forget what is there."""
        for sink in self._store.sinks():
            sink.discard()

    def finish(self) -> Column:
        """The column."""
        return self._store.finish()


# -- tables ----------------------------------------------------------------------------------------------------------


class TableWriter:
    """A growing table. Columns may appear late, and be absent from some of the rows: None is there then.

    folder: where the arrays are written, or None: in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.columns: dict[str, ColumnWriter] = {}
        self.length = 0
        self._folder = folder

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """After an error nothing stays, nor open."""
        for writer in self.columns.values() if error is not None else ():
            writer.discard()

    def extend(self, columns: Mapping[str, Column], length: int) -> None:
        """Append `length` rows."""
        for name in columns:
            if name not in self.columns:
                writer = self.columns[name] = ColumnWriter(self._folder, str(len(self.columns)))
                writer.extend(NullColumn(self.length))
        for name, writer in self.columns.items():
            writer.extend(columns[name] if name in columns else NullColumn(length))
        self.length += length

    def finish(self, features: Any = None, note: Any = None) -> dict[str, Column]:
        """The columns. In a folder, what it takes to open them again is written beside them.

        features, note: JSON values that open_table gives back.
        """
        columns = {name: writer.finish() for name, writer in self.columns.items()}
        if self._folder is not None:
            described = [[name, writer.prefix, columns[name].kind.to_json()] for name, writer in self.columns.items()]
            table = {"format": _FORMAT, "rows": self.length, "columns": described, "features": features, "note": note}
            (self._folder / TABLE).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
        return columns


def is_table(folder: Path) -> bool:
    """Whether a table was written there."""
    return (folder / TABLE).is_file()


def open_table(folder: Path) -> tuple[dict[str, Column], int, Any, Any]:
    """(columns, rows, features, note) of a table's folder.   Raises DataError where it is not whole."""
    table = read_json(folder / TABLE)
    try:
        if table["format"] != _FORMAT:
            raise ValueError(f"its format is {table['format']!r:.40}, not {_FORMAT!r}")
        rows = int(table["rows"])
        if rows < 0:
            raise ValueError(f"it has {rows} rows")
        columns = {
            str(name): _opened(Kind.from_json(kind), _Namer(folder, check_file_name(prefix)), rows)
            for name, prefix, kind in table["columns"]
        }
        return columns, rows, table.get("features"), table.get("note")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{folder} does not hold a whole table: {error}. Make the data set again.") from None


def _opened(kind: Kind, name: _Namer, rows: int) -> Column:
    if kind == NULL:
        return NullColumn(rows)
    valid = _array(name, "valid", "?", rows) if (path := name("valid")) is not None and path.is_file() else None
    if kind in _DTYPES:
        return NumberColumn(kind, _array(name, "values", _DTYPES[kind], rows), valid)
    offsets = _array(name, "offsets", "lq", rows + 1)
    if offsets[0] != 0 or np.any(offsets[1:] < offsets[:-1]):
        raise DataError(f"the offsets {name('offsets')} do not increase from 0.")
    if kind.of is not None:
        return ListColumn(offsets, _opened(kind.of, name.inside("items"), int(offsets[-1])), valid)
    return TextColumn(kind, _array(name, "data", "B", int(offsets[-1])), offsets, valid)


def _array(name: _Namer, part: str, chars: str, length: int) -> NDArray[Any]:
    path = name(part)
    assert path is not None, "a table on disk has a folder"
    array = _mapped(path)
    if array.dtype.char not in chars or len(array) != length:
        raise DataError(f"{path} holds {len(array)} values of {array.dtype}; expected {length} of another kind.")
    return array


@contextlib.contextmanager
def whole_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """A new folder beside `path`, to be filled; it takes that name if the block ends well, and vanishes if not.

    replace: in the place of a folder that is there; else that one, of a process that was quicker, stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.urandom(8).hex()}.incomplete")
    old = temporary.with_suffix(".old")
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            _to_disk(file)
        if replace and path.is_dir():
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError:
            if replace or not path.is_dir():
                raise
    finally:
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
