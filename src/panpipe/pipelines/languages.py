"""Which languages a translation model knows, and its own code for what a caller calls a language.

Three kinds: models with a code for each language, of which both sides are chosen (mBART, M2M100, NLLB); models of one
pair, or of a few (`opus-mt-ko-en`, whose targets may be marked in the text: `>>fra<<`); and models of which nothing is
known (T5). Nothing here changes the tokenizer or the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ..errors import InvalidArgument, did_you_mean
from .language_names import english_name, key_of, script_of

__all__ = ["Direction", "Languages", "find_code", "languages_of"]

_SHOWN = 40  # languages in an error
_OPUS = re.compile(r"opus-mt-(?:tc-)?(?:big-|base-|tiny-)?([A-Za-z_+]+)-([A-Za-z_+]+)$")


@dataclass(frozen=True)
class Direction:
    """What a translation needs to know: the model's own codes, and the languages' keys where they are known.

    source, target: the codes, None where the model has none.   mark: what the text must begin with, such as `>>fra<< `.
    source_key, target_key: of `language_names`.
    """

    source: str | None = None
    target: str | None = None
    mark: str = ""
    source_key: str | None = None
    target_key: str | None = None


@dataclass(frozen=True)
class Languages:
    """The languages of a model.

    codes: of a model that takes both sides from the same list, with the ids of their tokens.
    sources, targets: of a model of one pair (or one family of languages); empty: not known.
    marks: targets that are marked in the text.   model: its name, for errors.
    """

    model: str
    codes: Mapping[str, int] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def direction(self, source: str | None, target: str | None, check: bool = True) -> Direction:
        """From the languages as the caller names them, None for those that were not given.

        check: refuse languages that are not the model's (of a model without codes).   Raises InvalidArgument.
        """
        if self.codes:
            return self._of_codes(source, target)
        mark = self._mark(target)
        if check:
            self._compare(source, self.sources, "src_lang", f"{self.model} translates from")
            self._compare(target, (*self.targets, *self.marks), "tgt_lang", f"{self.model} translates to")
        return Direction(
            mark=mark, source_key=_key(source) or _only_key(self.sources), target_key=_key(target) or self._target_key()
        )

    def knows(self, language: str) -> bool:
        """Whether the model has a code for the language."""
        return find_code(language, self.codes) is not None

    def _of_codes(self, source: str | None, target: str | None) -> Direction:
        missing = [name for name, given in (("src_lang", source), ("tgt_lang", target)) if given is None]
        if source is None or target is None:
            raise InvalidArgument(
                f"Translation requires a `src_lang` and a `tgt_lang` for this model: {self.model} knows "
                f"{len(self.codes)} languages, and {' and '.join(missing)} is not given. Give both, as in "
                'src_lang="ko", tgt_lang="en".'
            )
        return Direction(
            self._code(source, "src_lang"),
            self._code(target, "tgt_lang"),
            source_key=_key(source),
            target_key=_key(target),
        )

    def _code(self, language: str, argument: str) -> str:
        code = find_code(language, self.codes)
        if code is None:
            raise _unknown(argument, language, self.codes, f"{self.model} knows")
        return code

    def _mark(self, target: str | None) -> str:
        code = None if target is None or not self.marks else find_code(target, self.marks)
        return "" if code is None else f">>{code}<< "

    def _target_key(self) -> str | None:
        return None if self.marks else _only_key(self.targets)

    def _compare(self, given: str | None, known: tuple[str, ...], argument: str, what: str) -> None:
        if given is None or not known or find_code(given, known) is not None:
            return
        if any(_key(code) is None for code in known):  # a family of languages, ROMANCE or mul: who belongs to it?
            return
        pair = (
            " To go on from there with a second model: model=(first, second)."
            if argument == "tgt_lang"
            else " To go there with a model before it: model=(first, second)."
        )
        raise _unknown(argument, given, known, what, f"{pair} If the model's name is wrong: check_languages=False.")


def find_code(language: str, codes: Iterable[str]) -> str | None:
    """The one of a model's codes that is meant, or None.

    `ko`, `kor`, `kor_Hang`, `ko_KR`, `Korean` and `한국어` mean the same language, whichever of them the model has.
    Where it has several scripts of it, the one that was named, or else the usual one.
    """
    codes = list(codes)
    if language in codes:
        return language
    folded = language.casefold().replace("-", "_")
    same = [code for code in codes if code.casefold().replace("-", "_") == folded]
    key = key_of(language)
    if same or key is None:
        return same[0] if same else None
    script, is_named = script_of(language, key)
    candidates = {code: script_of(code, key) for code in codes if key_of(code) == key}
    fitting = [code for code, (of_code, says) in candidates.items() if of_code == script or not says]
    if is_named:
        return fitting[0] if fitting else None
    return next(iter([*fitting, *candidates]), None)


def languages_of(model: Any, tokenizer: Any) -> Languages:
    """What the tokenizer and the model's name say."""
    name = str(getattr(model, "name_or_path", "") or "this model")
    codes = dict(getattr(tokenizer, "language_codes", None) or {})
    if codes:
        return Languages(name, codes)
    if getattr(model.config, "model_type", "") != "marian":
        return Languages(name)
    source, target = _pair_of(name, tokenizer)
    marks = tuple(mark.removeprefix(">>").removesuffix("<<") for mark in tokenizer.supported_language_codes)
    return Languages(name, {}, _parts(source), _parts(target), marks)


def _pair_of(name: str, tokenizer: Any) -> tuple[str | None, str | None]:
    """The languages of `opus-mt-ko-en`, or of the tokenizer's settings."""
    found = _OPUS.search(PurePath(name).name)
    if found:
        return found[1], found[2]
    settings = getattr(tokenizer, "init_kwargs", {})
    return settings.get("source_lang"), settings.get("target_lang")


def _parts(code: str | None) -> tuple[str, ...]:
    """`bat+zlw` names two."""
    return tuple(str(code).split("+")) if code else ()


def _key(language: str | None) -> str | None:
    return None if language is None else key_of(language)


def _only_key(codes: tuple[str, ...]) -> str | None:
    return _key(codes[0]) if len(codes) == 1 else None


def _unknown(argument: str, given: str, known: Iterable[str], what: str, advice: str = "") -> InvalidArgument:
    known = list(known)
    names = {english_name(key).casefold(): code for code in known if (key := key_of(code))}
    listed = ", ".join(known[:_SHOWN]) + (f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else "")
    hint = did_you_mean(given.casefold(), [*known, *names])
    key = key_of(given)
    meant = f" ({english_name(key)})" if key else ""
    return InvalidArgument(
        f"{argument}={given!r}{meant} is not one of the languages here: {what} {listed}.{hint}{advice}"
    )
