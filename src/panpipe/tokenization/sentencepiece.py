"""Reading a sentencepiece model file, without sentencepiece and without protobuf.

The file is one protobuf message (sentencepiece's `sentencepiece_model.proto`, ModelProto): the pieces, the trainer's
settings and the normalizer's. Only the fields that matter here are read; the wire format is five kinds of field, of
which two are read. Every length is checked against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from ..errors import TokenizerError

__all__ = [
    "BPE",
    "BYTE",
    "CONTROL",
    "NORMAL",
    "UNIGRAM",
    "UNKNOWN",
    "USER_DEFINED",
    "CharacterMap",
    "Piece",
    "SentencePieceModel",
    "read_model",
]

UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6  # SentencePiece.Type

_MAX_VARINT_BYTES = 10
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary. kind: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte."""

    text: str
    score: float
    kind: int


@dataclass
class SentencePieceModel:
    """What a sentencepiece model file says; the defaults are those of its schema."""

    pieces: list[Piece] = field(default_factory=list)
    model_type: int = UNIGRAM
    unk_id: int = 0
    unk_piece: str = "<unk>"
    byte_fallback: bool = False
    charsmap: bytes = b""  # the precompiled normalizer
    unk_surface: str = " ⁇ "  # what an unknown piece becomes in a text
    add_dummy_prefix: bool = True  # a ▁ in front of every text
    remove_extra_whitespaces: bool = True


def read_model(data: bytes, name: str) -> SentencePieceModel:
    """The model in `data`, the bytes of the file `name`.   Raises TokenizerError."""
    model = SentencePieceModel()
    try:
        for number, value in _fields(data):
            if number == 1 and isinstance(value, bytes):
                model.pieces.append(_piece(value))
            elif number == 2 and isinstance(value, bytes):
                _read_trainer(value, model)
            elif number == 3 and isinstance(value, bytes):
                _read_normalizer(value, model)
    except (ValueError, struct.error) as error:
        raise TokenizerError(f"{name} is not a sentencepiece model: {error}.") from None
    if not model.pieces:
        raise TokenizerError(f"{name} is not a sentencepiece model: it has no pieces.")
    return model


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, 1
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            text = value.decode()
        elif number == 2 and isinstance(value, bytes):
            (score,) = struct.unpack("<f", value)
        elif number == 3 and isinstance(value, int):
            kind = value
    return Piece(text, score, kind)


def _read_trainer(data: bytes, model: SentencePieceModel) -> None:
    for number, value in _fields(data):
        if number == 3 and isinstance(value, int):
            model.model_type = value
        elif number == 35 and isinstance(value, int):
            model.byte_fallback = bool(value)
        elif number == 40 and isinstance(value, int):
            model.unk_id = value
        elif number == 45 and isinstance(value, bytes):
            model.unk_piece = value.decode()
        elif number == 44 and isinstance(value, bytes):
            model.unk_surface = value.decode()


def _read_normalizer(data: bytes, model: SentencePieceModel) -> None:
    for number, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            model.charsmap = value
        elif number == 3 and isinstance(value, int):
            model.add_dummy_prefix = bool(value)
        elif number == 4 and isinstance(value, int):
            model.remove_extra_whitespaces = bool(value)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) one after another; fixed-width values come as their bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
        if size > len(data) - at:
            raise ValueError(f"a field of {size} bytes at byte {at} of {len(data)}")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The base-128 number at `at`, and where it ends."""
    value = 0
    for place in range(_MAX_VARINT_BYTES):
        if at >= len(data):
            raise ValueError(f"it ends inside a number at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, at
    raise ValueError(f"a number of more than {_MAX_VARINT_BYTES} bytes at byte {at}")


class CharacterMap:
    """The precompiled normalizer: at each place of a text, the longest string it knows becomes another.

    The Rust library applies the same map to one user-perceived character at a time, which differs where a character
    is written with several code points: decomposed Hangul stays so. This is for those texts. The file holds a
    double-array trie (Aoe 1989, as in darts-clone) over UTF-8 bytes, and the texts that it leads to, ended by zeros.
    """

    def __init__(self, data: bytes) -> None:
        """Raises TokenizerError for what is no such map."""
        size = int.from_bytes(data[:4], "little")
        if len(data) < 8 or size % 4 or not 4 <= size <= len(data) - 4:
            raise TokenizerError(f"the character map's trie of {size} bytes does not fit into {len(data)}.")
        self._units = struct.unpack(f"<{size // 4}I", data[4 : 4 + size])
        self._texts = data[4 + size :]

    def apply(self, text: str) -> tuple[str, list[tuple[int, int]]]:
        """The mapped text, and the (start, end) in `text` of what each of its characters came from.

        Raises TokenizerError where the map leads outside itself.
        """
        encoded = text.encode()
        begins = [0, *accumulate(map(_utf8_length, text))]  # of each character, in bytes
        number = {begin: index for index, begin in enumerate(begins)}
        parts: list[str] = []
        origins: list[tuple[int, int]] = []
        at = 0
        while at < len(text):
            end, becomes = self._longest(encoded, begins[at])
            after = number.get(end, 0) if becomes is not None else at + 1
            if after <= at:  # no match, or one that ends inside a character
                after, becomes = at + 1, None
            part = text[at:after] if becomes is None else becomes
            parts.append(part)
            origins += [(at, after)] * len(part)
            at = after
        return "".join(parts), origins

    def _longest(self, encoded: bytes, at: int) -> tuple[int, str | None]:
        """Where the longest string that is known from `at` on ends, and what it becomes."""
        units, found, end = self._units, None, at
        try:
            node = _offset(units[0])
            for place in range(at, len(encoded)):
                node ^= encoded[place]
                unit = units[node]
                if unit & 0x800000FF != encoded[place]:
                    break
                node ^= _offset(unit)
                if unit >> 8 & 1:
                    found, end = units[node] & 0x7FFFFFFF, place + 1
        except IndexError:
            raise TokenizerError("the character map is damaged: its trie leads outside itself.") from None
        if found is None:
            return at, None
        try:
            return end, self._texts[found : self._texts.index(0, found)].decode()
        except ValueError:
            raise TokenizerError("the character map is damaged: a text in it has no end, or is no UTF-8.") from None


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 0x200) >> 6)


def _utf8_length(character: str) -> int:
    code = ord(character)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
