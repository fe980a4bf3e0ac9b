"""Tokenizers whose pieces and ids come from different files: Marian and M2M100.

A sentencepiece model cuts a text into pieces; a vocab.json gives a piece its id, or that of <unk>. transformers runs
sentencepiece for them, so its pieces are the measure. Here the Rust library's own unigram or BPE model cuts. Its ids
are those of vocab.json already; what cannot have one (pieces that vocab.json lacks, special tokens in a text) has an id
past its end, and is looked up by its text afterwards.

Two things differ from transformers on purpose: offsets are known, and what is cut off comes in windows. Moses'
punctuation is not normalized: transformers has a function for it, and calls it nowhere. And one by rounding: where two
ways to cut a text are equally good, as '-', '---' and '---', '-' are for '----', float64 may choose the other than
sentencepiece's float32.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, normalizers
from tokenizers import Tokenizer as RustTokenizer
from tokenizers.models import BPE, Unigram, WordLevel

from ..errors import TokenizerError
from . import sentencepiece as spm
from .build import merges_of, read_vocabulary
from .languages import M2M100
from .sentencepiece import CharacterMap, SentencePieceModel

__all__ = ["Cutter", "PieceText", "Pieces", "m2m100_pieces", "marian_pieces"]

Files = Mapping[str, bytes]
Settings = Mapping[str, Any]


@dataclass
class Cutter:
    """Cuts texts into pieces.

    mapped: the Rust tokenizer, without special tokens.   plain: the same without the character map.
    ids: piece → id; those of `size` and more are none of the vocabulary's.   starts: what a text may start with that
    is a token by itself.
    """

    mapped: RustTokenizer
    plain: RustTokenizer
    charsmap: CharacterMap | None
    ids: dict[str, int]
    unknown: int
    size: int
    starts: re.Pattern[str] | None


@dataclass
class Pieces:
    """What makes a tokenizer of this kind.

    rust: the vocabulary, whose token → id and added tokens are the tokenizer's.   names: id → token in decoding.
    vocab_size: of vocab.json.
    source, target: cut texts to be translated, and translations.   text: of a run of pieces, in a translation.
    space: what follows a special token in a text.
    """

    rust: RustTokenizer
    names: RustTokenizer
    vocab_size: int
    source: Cutter
    target: Cutter
    text: Callable[[Sequence[str]], str]
    space: str

    def tokens(self, ids: Iterable[int], added: Mapping[int, str]) -> list[str]:
        """The tokens of ids, <unk> for one that is none.   added: those of the added tokens."""
        unknown = str(self.rust.id_to_token(self.source.unknown))
        return [added.get(index) or self.names.id_to_token(index) or unknown for index in ids]

    def decode(self, tokens: Iterable[str], special: Container[str], apart: Container[str], skips_special: bool) -> str:
        """The text of tokens.   special: of these is text what they are.   apart: tokens set off by spaces."""
        texts: list[str] = []
        run: list[str] = []
        for token in tokens:
            if skips_special and token in special:
                continue
            if token not in apart:
                run.append(token)
                continue
            texts += [text for text in (self.string(run, special),) if text]
            texts.append(token)
            run = []
        if run:
            texts.append(self.string(run, special))
        return " ".join(texts)

    def string(self, tokens: Sequence[str], special: Container[str]) -> str:
        """The text of tokens, special ones as they are written."""
        text, run = "", list[str]()
        for token in tokens:
            if token in special:
                text += self.text(run) + token + self.space
                run = []
            else:
                run.append(token)
        return (text + self.text(run)).strip()


def marian_pieces(files: Files, settings: Settings) -> Pieces:
    """Marian's: source.spm and target.spm, and vocab.json for both, or with target_vocab.json for the source."""
    vocabulary = _vocabulary(files, "vocab.json", settings)
    separate = bool(settings["separate_vocabs"])
    target = vocabulary
    if separate:
        if "target_vocab.json" not in files:
            raise TokenizerError("separate_vocabs is true, and target_vocab.json is missing.")
        target = _vocabulary(files, "target_vocab.json", settings)
    models = [spm.read_model(files[name], name) for name in ("source.spm", "target.spm")]
    rust, names = _word_level(vocabulary, settings), _word_level(target, settings)
    starts = re.compile(r">>.*?<<", re.DOTALL)
    return Pieces(
        rust,
        names,
        len(vocabulary),
        source=_cutter(models[0], vocabulary, settings, starts),
        target=_cutter(models[1], target, settings, starts),
        text=_Spaced(PieceText(models[1])),
        space=" ",
    )


def m2m100_pieces(files: Files, settings: Settings) -> Pieces:
    """M2M100's: one sentencepiece model and vocab.json; the languages' tokens come after it."""
    vocabulary = _vocabulary(files, "vocab.json", settings)
    tokens = [M2M100.token.format(code) for code in M2M100.of_class(settings)]
    languages = {token: len(vocabulary) + index for index, token in enumerate(tokens)}
    rust = _word_level({**languages, **vocabulary}, settings)
    model = spm.read_model(files["sentencepiece.bpe.model"], "sentencepiece.bpe.model")
    cutter = _cutter(model, vocabulary, settings, None, languages)
    return Pieces(rust, rust, len(vocabulary), cutter, cutter, text=PieceText(model), space="")


def _vocabulary(files: Files, name: str, settings: Settings) -> dict[str, int]:
    """Raises TokenizerError also for an id of two tokens, and where <unk> or <pad> are missing."""
    vocabulary = read_vocabulary(name, files[name])
    tokens: dict[int, str] = {}
    for token, index in vocabulary.items():
        if tokens.setdefault(index, token) != token:
            raise TokenizerError(f"{name} gives {tokens[index]!r:.60} and {token!r:.60} the same id, {index}.")
    if missing := [key for key in ("unk_token", "pad_token") if str(settings[key]) not in vocabulary]:
        raise TokenizerError(f"{name} lacks {' and '.join(repr(str(settings[key])) for key in missing)}.")
    return vocabulary


def _word_level(vocabulary: dict[str, int], settings: Settings) -> RustTokenizer:
    return RustTokenizer(WordLevel(vocabulary, unk_token=str(settings["unk_token"])))


# -- cutting ---------------------------------------------------------------------------------------------------------


def _cutter(
    model: SentencePieceModel,
    vocabulary: Mapping[str, int],
    settings: Settings,
    starts: re.Pattern[str] | None,
    languages: Mapping[str, int] | None = None,
) -> Cutter:
    """Of a model and a vocabulary.   languages: tokens with ids after it, which no text has."""
    ids = {**vocabulary, **(languages or {})}
    size = max(ids.values()) + 1
    if size > 4 * len(vocabulary) + 1000:
        raise TokenizerError(f"vocab.json has {len(vocabulary)} tokens, and ids up to {size - 1}.")
    unk = str(settings["unk_token"])
    rust: Any
    if model.model_type == spm.UNIGRAM:
        rust = _unigram(model, vocabulary, size, vocabulary[unk])
    elif model.model_type == spm.BPE:
        rust = _bpe(model, vocabulary, size, unk)
    else:
        raise TokenizerError(f"a sentencepiece model of type {model.model_type}; unigram (1) and BPE (2) can be built.")
    mapped, plain = RustTokenizer(rust), RustTokenizer(rust)
    charsmap = CharacterMap(model.charsmap) if model.charsmap else None
    steps = [] if charsmap is None else [normalizers.Precompiled(model.charsmap)]
    mapped.normalizer = normalizers.Sequence([*steps, *_spaces(model)])
    plain.normalizer = normalizers.Sequence(_spaces(model))
    return Cutter(mapped, plain, charsmap, ids, vocabulary[unk], size, starts)


def _spaces(model: SentencePieceModel) -> list[Any]:
    """Spaces as ▁, as sentencepiece's normalizer does it after its character map."""
    extra = [
        normalizers.Replace(Regex(r"\A +"), ""),
        normalizers.Replace(Regex(r"[ ▁]+\z"), ""),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    prefix = [normalizers.Prepend("▁")] if model.add_dummy_prefix else []
    return [*(extra if model.remove_extra_whitespaces else ()), normalizers.Replace(" ", "▁"), *prefix]


def _unigram(model: SentencePieceModel, vocabulary: Mapping[str, int], size: int, unknown: int) -> Unigram:
    """The pieces at the places of their ids; nothing, which no text matches, where no piece of the model is."""
    best = max((piece.score for piece in model.pieces if piece.kind == spm.NORMAL), default=0.0)
    slots = [("", 0.0)] * size
    for piece in _met(model):
        score = piece.score
        if piece.kind == spm.USER_DEFINED:
            score = len(piece.text.encode()) * best - 0.1  # better than any other way, as in sentencepiece
        index = vocabulary.get(piece.text)
        if index is None:
            slots.append((piece.text, score))
        elif index != unknown:
            slots[index] = (piece.text, score)
    return Unigram(slots, unk_id=unknown, byte_fallback=model.byte_fallback)


def _bpe(model: SentencePieceModel, vocabulary: Mapping[str, int], size: int, unk: str) -> BPE:
    scores = {piece.text: piece.score for piece in _met(model)}
    lacking = (text for text in scores if text not in vocabulary)
    ids = {text: vocabulary[text] for text in scores if text in vocabulary}
    ids |= {text: size + index for index, text in enumerate(lacking)}
    ids[unk] = vocabulary[unk]
    free = set(range(size)) - set(ids.values())
    ids |= {f"\0 no piece {index}": index for index in free}  # else Rust would give these ids to special tokens
    merges = merges_of({text: index for index, text in enumerate(scores)}, scores)
    return BPE(ids, merges, unk_token=unk, fuse_unk=True, byte_fallback=model.byte_fallback)


def _met(model: SentencePieceModel) -> Iterable[spm.Piece]:
    """The pieces that a text can be cut into."""
    kinds = {spm.NORMAL, spm.USER_DEFINED, *((spm.BYTE,) if model.byte_fallback else ())}
    return (piece for piece in model.pieces if piece.kind in kinds)


# -- decoding --------------------------------------------------------------------------------------------------------


class PieceText:
    """The text of pieces, as sentencepiece puts them together."""

    def __init__(self, model: SentencePieceModel) -> None:
        kinds = {piece.text: piece.kind for piece in model.pieces}
        self._known = frozenset(kinds)
        self._silent = frozenset(text for text, kind in kinds.items() if kind == spm.CONTROL)
        self._unknown = frozenset(text for text, kind in kinds.items() if kind == spm.UNKNOWN)
        self._bytes = {text: int(text[3:5], 16) for text, kind in kinds.items() if kind == spm.BYTE and _is_byte(text)}
        self._surface = model.unk_surface
        self._strips = model.add_dummy_prefix or model.remove_extra_whitespaces
        self._strips_all = model.remove_extra_whitespaces

    def __call__(self, pieces: Sequence[str]) -> str:
        """The text."""
        text, pending, is_first = "", bytearray(), True
        for piece in pieces:
            if piece in self._bytes:
                pending.append(self._bytes[piece])
                continue
            text += _characters(pending)
            pending.clear()
            is_first = is_first and not text
            part, is_first = self._one(piece, is_first)
            text += part
        return text + _characters(pending)

    def _one(self, piece: str, is_first: bool) -> tuple[str, bool]:
        """A piece's text, and whether the next may still be the first. What is no piece stays as it is."""
        if piece not in self._known:
            return piece, False
        if piece in self._silent:
            return "", is_first
        if piece in self._unknown:
            return self._surface, is_first
        if is_first and self._strips and piece.startswith("▁"):
            return piece[1:].replace("▁", " "), self._strips_all
        return piece.replace("▁", " "), is_first


class _Spaced:
    """The text of pieces, any ▁ left in it as a space."""

    def __init__(self, text: PieceText) -> None:
        self._text = text

    def __call__(self, pieces: Sequence[str]) -> str:
        return self._text(pieces).replace("▁", " ")


def _is_byte(piece: str) -> bool:
    return re.fullmatch("<0x[0-9A-F]{2}>", piece) is not None


def _characters(data: bytearray) -> str:
    """UTF-8 bytes as text, with a mark for each that is none."""
    return re.sub("[\udc80-\udcff]", "\ufffd", data.decode("utf-8", "surrogateescape"))
