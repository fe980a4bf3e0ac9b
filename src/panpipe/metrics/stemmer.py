"""Porter's stemmer for English words, as ROUGE uses it: with the extensions that NLTK made to it.

Source: Porter 1980, "An algorithm for suffix stripping"; its steps and its measure m (how often a run of vowels is
followed by a run of consonants) keep their names here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

__all__ = ["stem"]

Rule = tuple[str, str, Callable[[str], bool]]

_IRREGULAR = {
    **dict.fromkeys(("sky", "skies"), "sky"),
    **{f"{start}ying": f"{start}ie" for start in "dlt"},
    "news": "news",
    **{word + end: word for word in ("inning", "outing", "canning") for end in ("", "s")},
    **{word: word for word in ("howe", "proceed", "exceed", "succeed")},
}


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a word in lower case."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_step_1a, _step_1b, _step_1c, _step_2, _step_3, _step_4, _step_5a, _step_5b):
        word = step(word)
    return word


# -- conditions ------------------------------------------------------------------------------------------------------


def _kinds(word: str) -> str:
    """'c' and 'v' for each letter; y is a vowel after a consonant."""
    kinds = ""
    for letter in word:
        is_vowel = letter in "aeiou" or (letter == "y" and kinds.endswith("c"))
        kinds += "v" if is_vowel else "c"
    return kinds


def _measure(word: str) -> int:
    return _kinds(word).count("vc")


def _is_positive(word: str) -> bool:
    return _measure(word) > 0


def _is_long(word: str) -> bool:
    return _measure(word) > 1


def _ends_short(word: str) -> bool:
    """The condition *o: consonant, vowel, consonant other than w, x, y; in NLTK also a word of vowel and consonant."""
    kinds = _kinds(word)
    return kinds == "vc" or (kinds.endswith("cvc") and word[-1] not in "wxy")


def _ends_double(word: str) -> bool:
    """The condition *d."""
    return len(word) >= 2 and word[-1] == word[-2] and _kinds(word)[-1] == "c"


def _first(word: str, rules: Iterable[Rule]) -> str:
    """The first rule whose suffix the word has decides, whether or not its condition holds."""
    for suffix, replacement, condition in rules:
        if word.endswith(suffix):
            rest = word.removesuffix(suffix)
            return rest + replacement if condition(rest) else word
    return word


def _rules(table: str, condition: Callable[[str], bool]) -> tuple[Rule, ...]:
    """'suffix>replacement suffix>replacement …' under one condition."""
    pairs = (row.split(">") for row in table.split())
    return tuple((suffix, replacement, condition) for suffix, replacement in pairs)


# -- steps -----------------------------------------------------------------------------------------------------------

_STEP_1A = _rules("sses>ss ies>i ss>ss s>", lambda rest: True)
_BLI = "ational>ate tional>tion enci>ence anci>ance izer>ize bli>ble"
_STEP_2 = _rules(
    f"{_BLI} alli>al entli>ent eli>e ousli>ous ization>ize ation>ate ator>ate alism>al iveness>ive fulness>ful "
    "ousness>ous aliti>al iviti>ive biliti>ble fulli>ful",
    _is_positive,
)
_LOGI: Rule = ("logi", "log", lambda rest: _is_positive(rest + "l"))  # the l counts with the stem
_STEP_3 = _rules("icate>ic ative> alize>al iciti>ic ical>ic ful> ness>", _is_positive)
_STEP_4 = (
    *_rules("al> ance> ence> er> ic> able> ible> ant> ement> ment> ent>", _is_long),
    ("ion", "", lambda rest: _is_long(rest) and rest[-1] in "st"),
    *_rules("ou> ism> ate> iti> ous> ive> ize>", _is_long),
)


def _step_1a(word: str) -> str:
    if len(word) == 4 and word.endswith("ies"):
        return word[:-1]
    return _first(word, _STEP_1A)


def _step_1b(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _is_positive(word[:-3]) else word
    found = re.fullmatch(r"(.*?)(ed|ing)", word)
    if found is None or "v" not in _kinds(found[1]):
        return word
    rest = found[1]
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if _ends_double(rest):
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if _measure(rest) == 1 and _ends_short(rest) else rest


def _step_1c(word: str) -> str:
    return _first(word, [("y", "i", lambda rest: len(rest) > 1 and _kinds(rest)[-1] == "c")])


def _step_2(word: str) -> str:
    if word.endswith("alli") and _is_positive(word[:-4]):
        return _step_2(word[:-2])
    return _first(word, (*_STEP_2, _LOGI))


def _step_3(word: str) -> str:
    return _first(word, _STEP_3)


def _step_4(word: str) -> str:
    return _first(word, _STEP_4)


def _step_5a(word: str) -> str:
    rest = word.removesuffix("e")
    measure = _measure(rest)
    return rest if measure > 1 or (measure == 1 and not _ends_short(rest)) else word


def _step_5b(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _is_long(word[:-1]) else word
