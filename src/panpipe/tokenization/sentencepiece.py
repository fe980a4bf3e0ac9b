"""Reading a sentencepiece model file, without sentencepiece and without protobuf.

The file is one protobuf message (sentencepiece's `sentencepiece_model.proto`, ModelProto): the pieces, the trainer's
settings and the normalizer's. Only the fields that matter here are read; the wire format is five kinds of field, of
which two are read. Every length is checked against the bytes that are there before anything is made of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import TokenizerError

__all__ = ["BPE", "CONTROL", "UNIGRAM", "USER_DEFINED", "Piece", "SentencePieceModel", "read_model"]

UNIGRAM, BPE = 1, 2  # TrainerSpec.ModelType
CONTROL, USER_DEFINED = 3, 4  # SentencePiece.Type

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


def _read_normalizer(data: bytes, model: SentencePieceModel) -> None:
    for number, value in _fields(data):
        if number == 2 and isinstance(value, bytes):
            model.charsmap = value


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
