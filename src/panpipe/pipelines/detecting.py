"""Which language a text is in, as far as its letters and commonest words tell: enough to choose between a few models.

The rule: the script in which most letters are; a sign of Hangul, Kana or Han counts three times, since it says as much
as three letters. Hangul is Korean, Kana (with Han or without) Japanese, Han Chinese. In Latin script, words that only
English or only French has in every other sentence are counted, and where no English one is, accents: more decides.
What does not tell (names, single words, other languages in Latin script) is not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

__all__ = ["language_of", "text_of"]

_READ = 2000  # characters of a text: more do not make it clearer

_OF_ENGLISH = """
    the of and to is was are were be been that this these those it its it's he she you your they we my his her their
    what which who when where why how with for from not don't doesn't didn't can't won't isn't i'm i've i'd i'll it'll
    that's there's you're we're they're have has had do does did would could should will can there then than but if so
    because about into just very i
"""
_OF_FRENCH = """
    le la les des du de un une et est sont était être que qui quoi où dans sur sous avec pour par sans chez au aux ce
    cet cette ces ça il elle ils elles je tu nous vous mon ma mes ton ta tes son sa ses notre votre leur leurs ne pas
    plus très mais ou donc car si comme tout tous toute fait avait avez avons ont suis es sommes êtes bonjour merci oui
    rien jamais toujours aussi bien peut peux veux faut quel quelle pourquoi comment quand
"""
_ENGLISH, _FRENCH = frozenset(_OF_ENGLISH.split()), frozenset(_OF_FRENCH.split())
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_ELIDED = re.compile(r"(?:[ldjmtsnc]|qu|jusqu|lorsqu|puisqu)['’](?=[aeiouyhéèêàâîôûœæ])")
_FRENCH_LETTER = re.compile("[àâçèéêëîïôœùûæ]")
_OTHER_LETTER = re.compile("[ßäöåøñãõğışłąęčšžřőűđ¿¡]")  # those of German, Spanish, Polish …
_SCRIPTS = {"HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh"}


def language_of(text: str) -> str | None:
    """'en', 'fr', 'ko', 'ja' or 'zh'; of another script its name, as 'Cyrillic'; None where it does not tell."""
    text = unicodedata.normalize("NFKC", text[:_READ]).lower()
    counts = Counter(script for character in text if character.isalpha() and (script := _script(character)))
    for script in _SCRIPTS:
        counts[script] *= 3
    if counts["HIRAGANA"] + counts["KATAKANA"] > counts["CJK"] // 10:
        counts["HIRAGANA"] += counts.pop("KATAKANA") + counts.pop("CJK")
    ((script, number),) = counts.most_common(1)
    if not number:
        return None
    return _of_words(text) if script == "LATIN" else _SCRIPTS.get(script, script.capitalize())


def text_of(value: Any, depth: int = 4) -> str:
    """The texts of an input, whatever its form: a string, or a collection that holds some, so many levels deep."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    return "\n".join(text_of(part, depth - 1) for part in value) if depth and isinstance(value, (list, tuple)) else ""


@lru_cache(4096)
def _script(character: str) -> str:
    """The first word of the character's name, which is its script's."""
    return unicodedata.name(character, "").partition(" ")[0]


def _of_words(text: str) -> str | None:
    """English, French, or None."""
    words = [word.replace("’", "'") for word in _WORD.findall(text)]
    english = sum(word in _ENGLISH for word in words)
    french = sum(word in _FRENCH or _ELIDED.match(word) is not None for word in words)
    if not english:
        french += sum(_FRENCH_LETTER.search(word) is not None for word in words) // 2
        if _OTHER_LETTER.search(text):
            return None
    return "en" if english > french else "fr" if french > english else None
