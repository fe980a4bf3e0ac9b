"""What names a result in the cache: SHA-256 over the input, the function and the arguments.

Of a function its bytecode, constants, defaults, closure and the global names that it uses; of functions of installed
packages their name and bytecode. Anything else is taken apart as pickle would; what cannot be, has no name, and its
result is not kept.
"""

from __future__ import annotations

import copyreg
import functools
import hashlib
import struct
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Unhashable", "derived", "fingerprint"]

_MOST_OBJECTS = 1_000_000


class Unhashable(Exception):
    """The value's content cannot be known."""


def fingerprint(*values: Any) -> str:
    """Equal for equal contents, in any process.   Raises Unhashable."""
    hasher = _Hasher()
    for value in values:
        hasher.feed(value)
    return hasher.digest()


def derived(before: str | None, *values: Any) -> str | None:
    """The name of what `values` make of `before`; None if that has none."""
    return None if before is None else fingerprint(before, *values)


class _Hasher:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._globals: set[tuple[int, str]] = set()

    def digest(self) -> str:
        return self._hash.hexdigest()

    def feed(self, value: Any) -> None:
        if value is None or (isinstance(value, (bool, int, float, complex)) and type(value).__module__ == "builtins"):
            self._write(type(value).__name__, repr(value))
        elif type(value) is str:
            self._write("str", value)
        elif type(value) in (bytes, bytearray):
            self._bytes("bytes", bytes(value))
        elif id(value) in self._seen:
            self._write("again", str(self._seen[id(value)]))
        else:
            self._seen[id(value)] = len(self._seen)
            self._kept.append(value)
            if len(self._seen) > _MOST_OBJECTS:
                raise Unhashable(f"it leads to more than {_MOST_OBJECTS} objects")
            self._compound(value)

    def _compound(self, value: Any) -> None:
        if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
            self._all(type(value).__name__, value)
        elif type(value) is dict:
            self._all("dict", [part for item in value.items() for part in item])
        elif type(value) in (set, frozenset):
            self._write("set", *sorted(fingerprint(item) for item in value))
        elif isinstance(value, np.ndarray) and value.dtype != object:
            self._write("array", str(value.dtype), str(value.shape))
            self._bytes("data", np.ascontiguousarray(value).tobytes())
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._all("method", [value.__func__, value.__self__])
        elif isinstance(value, types.CodeType):
            self._code(value)
        elif isinstance(value, types.ModuleType):
            self._write("module", value.__name__, str(getattr(value, "__version__", "")))
        elif isinstance(value, functools.partial):
            self._all("partial", [value.func, value.args, value.keywords])
        elif isinstance(value, types.BuiltinFunctionType) and not isinstance(
            value.__self__, (types.ModuleType, type(None))
        ):
            self._all("builtin", [value.__name__, value.__self__])
        elif isinstance(value, (types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType)):
            self._write("builtin", str(getattr(value, "__module__", "")), value.__qualname__)
        elif isinstance(value, type):
            self._class(value)
        else:
            self._taken_apart(value)

    def _function(self, function: types.FunctionType) -> None:
        self._write("function", function.__qualname__)
        self._code(function.__code__)
        if _is_installed(function.__code__.co_filename):
            return
        cells = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
        self._all("parts", [function.__defaults__, function.__kwdefaults__, cells])
        for name in _names(function.__code__):
            if name in function.__globals__ and (id(function.__globals__), name) not in self._globals:
                self._globals.add((id(function.__globals__), name))
                self._write("global", name)
                self.feed(function.__globals__[name])

    def _code(self, code: types.CodeType) -> None:
        self._bytes("code", code.co_code)
        self._all("names", [code.co_names, code.co_varnames[: code.co_argcount]])
        self._all("constants", code.co_consts)

    def _class(self, value: type) -> None:
        self._write("class", value.__module__, value.__qualname__)
        module = sys.modules.get(value.__module__)
        if value.__module__ != "builtins" and not _is_installed(getattr(module, "__file__", None) or ""):
            members = [(name, item) for name, item in sorted(vars(value).items()) if isinstance(item, _PARTS)]
            self._all("members", [part for name, item in members for part in (name, _unwrapped(item))])

    def _taken_apart(self, value: Any) -> None:
        try:
            reduce = copyreg.dispatch_table.get(type(value))  # of regular expressions, for example
            reduced: Any = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:  # whatever an object says of itself
            raise Unhashable(f"a {type(value).__name__} has no content to be seen ({error})") from None
        if isinstance(reduced, str):
            self._write("name", type(value).__module__, reduced)
            return
        function, arguments, state, items, pairs = (tuple(reduced) + (None,) * 3)[:5]
        parts = [function, arguments, state, None if items is None else list(items)]
        self._all("object", [*parts, None if pairs is None else [list(pair) for pair in pairs]])

    def _all(self, label: str, values: Any) -> None:
        self._write(label, str(len(values)))
        for value in values:
            self.feed(value)

    def _write(self, label: str, *texts: str) -> None:
        for text in (label, *texts):
            self._bytes("", text.encode("utf-8", "surrogatepass"))

    def _bytes(self, label: str, data: bytes) -> None:
        self._hash.update(struct.pack("<q", len(data)) + label.encode())
        self._hash.update(data)


_PARTS = (types.FunctionType, bool, int, float, str, bytes, tuple, list, dict, classmethod, staticmethod, property)
_PLACES = tuple({str(Path(sysconfig.get_path(name))) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = str(Path(__file__).parents[1])


def _is_installed(path: str) -> bool:
    return path.startswith((*_PLACES, _OURS)) or path.startswith("<frozen")


def _unwrapped(member: Any) -> Any:
    if isinstance(member, property):
        return [member.fget, member.fset]
    return member.__func__ if isinstance(member, (classmethod, staticmethod)) else member


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:  # a name of the enclosing function that has no value yet
        return False
    return True


def _names(code: types.CodeType) -> list[str]:
    """The names that the code, and functions within it, look up."""
    inner = [name for constant in code.co_consts if isinstance(constant, types.CodeType) for name in _names(constant)]
    return sorted({*code.co_names, *inner})
