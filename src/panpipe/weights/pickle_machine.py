"""A machine for the part of Python's pickle language that tensors are saved in, and for no more.

A pickle is a program. Python's own machine imports and calls whatever names the program gives; this one never imports
or calls by name. A name (GLOBAL) is looked up in the table the caller gives, and what REDUCE calls are the table's own
functions. Everything that could run other code, or set state on objects, is refused with UnsafeCheckpoint.

Opcodes: the comments of Python's pickletools. Supported: protocols 2 to 5, without the textual opcodes of protocol 0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from ..errors import CorruptCheckpoint, UnsafeCheckpoint

__all__ = ["PickleMachine"]

_MAX_STEPS = 1_000_000  # some 20 000 tensors; bounds the time
_MAX_INTEGER_BYTES = 16  # the legacy format's magic number has 10


_STOP = 0x2E


class _Mark:
    """What MARK leaves on the stack."""


class _Callable:
    """A name of the table on the stack. Not callable in Python: only REDUCE may use it."""

    __slots__ = ("build", "name")

    def __init__(self, name: str, build: Callable[..., Any]) -> None:
        self.name = name
        self.build = build


class PickleMachine:
    """Runs one pickle.

    data: the bytes, from `position` on.   where: what to call them in errors.
    callables: "module.name" -> a pure function that may be called with what the pickle gives.
    constants: "module.name" -> a value.
    persistent: what a persistent id (a tensor's storage) stands for.
    After `run`, `position` is behind the pickle.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        *,
        where: str,
        callables: Mapping[str, Callable[..., Any]],
        constants: Mapping[str, Any],
        persistent: Callable[[Any], Any] | None = None,
        position: int = 0,
    ) -> None:
        self.position = position
        self._data = data
        self._where = where
        self._callables = callables
        self._constants = constants
        self._persistent = persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The pickled value.   Raises UnsafeCheckpoint, CorruptCheckpoint."""
        try:
            data, steps = self._data, _STEPS
            for _ in range(_MAX_STEPS):
                if self.position >= len(data):
                    raise self._broken("it ends too early. Download it again")
                opcode = data[self.position]
                self.position += 1
                if opcode == _STOP:
                    return self._pop()
                if opcode not in steps:
                    self._refuse(opcode)
                steps[opcode](self)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            if isinstance(error, CorruptCheckpoint | UnsafeCheckpoint):
                raise
            raise self._broken(f"{type(error).__name__}: {error}") from None
        raise self._broken(f"it has more than {_MAX_STEPS} steps")

    # -- reading ------------------------------------------------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        chunk = bytes(self._data[self.position : self.position + size])
        if len(chunk) != size:
            raise self._broken("it ends too early. Download it again")
        self.position += size
        return chunk

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        begin = self.position
        end = bytes(self._data[begin : begin + 512]).find(b"\n")
        if end < 0:
            raise self._broken("a name in it has no end")
        self.position = begin + end + 1
        return str(bytes(self._data[begin : begin + end]), "utf-8")

    # -- the stack ----------------------------------------------------------------------------------------------------

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _Mark:
            raise self._broken("a value is missing on its stack")
        return value

    def _pop_to_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _Mark:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise self._broken("a mark is missing on its stack")

    def _tuple(self, size: int) -> None:
        self._push(tuple(reversed([self._pop() for _ in range(size)])))

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise self._broken("it appends to what is not a list")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise self._broken("it sets items of what is not a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):  # hashing nested tuples can take for ever
                raise self._broken(f"a dict in it has a {type(key).__name__} as a key")
            target[key] = value

    def _memoize(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    # -- names and calls ----------------------------------------------------------------------------------------------

    def _global(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full in self._constants:
            self._push(self._constants[full])
        elif full in self._callables:
            self._push(_Callable(full, self._callables[full]))
        else:
            raise UnsafeCheckpoint(
                f"{self._where} asks for {full!r:.120}. A checkpoint may only rebuild tensors; nothing else is run. "
                "Get the model's .safetensors file, or save only its state_dict()."
            )

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, _Callable) or not isinstance(arguments, tuple):
            raise UnsafeCheckpoint(
                f"{self._where} calls a {type(function).__name__}. A checkpoint may only rebuild tensors."
            )
        self._push(function.build(*arguments))

    def _build(self) -> None:
        """State for an object: only a state_dict has some (its `_metadata`, of no use here)."""
        state = self._pop()
        if not isinstance(self._stack[-1], dict) or not isinstance(state, dict):
            kind = type(self._stack[-1]).__name__
            raise UnsafeCheckpoint(f"{self._where} sets the state of a {kind}. A checkpoint may only rebuild tensors.")

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise self._broken("it has a persistent id where there can be none")
        self._push(self._persistent(self._pop()))

    def _integer(self, size: int) -> None:
        if size > _MAX_INTEGER_BYTES:
            raise self._broken(f"it has an integer of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _protocol(self) -> None:
        if (version := self._unsigned(1)) > 5:
            raise self._broken(f"it is of pickle protocol {version}")

    def _refuse(self, opcode: int) -> NoReturn:
        if opcode == 0x69:  # INST carries its name
            self._global(self._line(), self._line())
        if opcode in _CALLING:
            raise UnsafeCheckpoint(f"{self._where} makes an object ({_CALLING[opcode]}). It may only rebuild tensors.")
        raise self._broken(f"it has the opcode {opcode:#04x}, which saved tensors do not use")

    def _broken(self, why: str) -> CorruptCheckpoint:
        return CorruptCheckpoint(f"{self._where} is not a pickle of tensors: {why}.")


_CALLING = {0x69: "INST", 0x6F: "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4"}

_STEPS: dict[int, Callable[[PickleMachine], Any]] = {
    # constants
    0x4E: lambda m: m._push(None),  # NONE
    0x88: lambda m: m._push(True),  # NEWTRUE
    0x89: lambda m: m._push(False),  # NEWFALSE
    0x4A: lambda m: m._integer(4),  # BININT
    0x4B: lambda m: m._push(m._unsigned(1)),  # BININT1
    0x4D: lambda m: m._push(m._unsigned(2)),  # BININT2
    0x8A: lambda m: m._integer(m._unsigned(1)),  # LONG1
    0x8B: lambda m: m._integer(m._unsigned(4)),  # LONG4
    0x47: lambda m: m._push(struct.unpack(">d", m._take(8))[0]),  # BINFLOAT
    0x58: lambda m: m._push(str(m._take(m._unsigned(4)), "utf-8", "surrogatepass")),  # BINUNICODE
    0x8C: lambda m: m._push(str(m._take(m._unsigned(1)), "utf-8", "surrogatepass")),  # SHORT_BINUNICODE
    0x8D: lambda m: m._push(str(m._take(m._unsigned(8)), "utf-8", "surrogatepass")),  # BINUNICODE8
    0x55: lambda m: m._push(str(m._take(m._unsigned(1)), "latin-1")),  # SHORT_BINSTRING, from Python 2
    0x54: lambda m: m._push(str(m._take(m._unsigned(4)), "latin-1")),  # BINSTRING, from Python 2
    0x43: lambda m: m._push(m._take(m._unsigned(1))),  # SHORT_BINBYTES
    0x42: lambda m: m._push(m._take(m._unsigned(4))),  # BINBYTES
    # containers
    0x29: lambda m: m._push(()),  # EMPTY_TUPLE
    0x5D: lambda m: m._push([]),  # EMPTY_LIST
    0x7D: lambda m: m._push({}),  # EMPTY_DICT
    0x28: lambda m: m._push(_Mark),  # MARK
    0x74: lambda m: m._push(tuple(m._pop_to_mark())),  # TUPLE
    0x85: lambda m: m._tuple(1),  # TUPLE1
    0x86: lambda m: m._tuple(2),  # TUPLE2
    0x87: lambda m: m._tuple(3),  # TUPLE3
    0x61: lambda m: m._extend([m._pop()]),  # APPEND
    0x65: lambda m: m._extend(m._pop_to_mark()),  # APPENDS
    0x73: lambda m: m._set_items([m._pop(), m._pop()][::-1]),  # SETITEM
    0x75: lambda m: m._set_items(m._pop_to_mark()),  # SETITEMS
    # the stack and the memo
    0x30: lambda m: m._stack.pop(),  # POP
    0x31: lambda m: m._pop_to_mark(),  # POP_MARK
    0x32: lambda m: m._push(m._stack[-1]),  # DUP
    0x71: lambda m: m._memoize(m._unsigned(1)),  # BINPUT
    0x72: lambda m: m._memoize(m._unsigned(4)),  # LONG_BINPUT
    0x94: lambda m: m._memoize(len(m._memo)),  # MEMOIZE
    0x68: lambda m: m._push(m._memo[m._unsigned(1)]),  # BINGET
    0x6A: lambda m: m._push(m._memo[m._unsigned(4)]),  # LONG_BINGET
    # names and calls
    0x63: lambda m: m._global(m._line(), m._line()),  # GLOBAL
    0x93: lambda m: m._stack_global(),  # STACK_GLOBAL
    0x52: lambda m: m._reduce(),  # REDUCE
    0x62: lambda m: m._build(),  # BUILD
    0x51: lambda m: m._persistent_id(),  # BINPERSID
    0x80: lambda m: m._protocol(),  # PROTO
    0x95: lambda m: m._unsigned(8),  # FRAME: a hint for reading ahead
}
