"""What the pipelines must know of the world's scripts: which are written without spaces, what is punctuation, and the
particles that Korean writes onto the end of a word.

Only facts about text live here; which token begins a word is `words.py`.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right

__all__ = ["is_hangul", "is_katakana", "is_particle", "is_punctuation", "is_unspaced"]

# First and last code point of the blocks of each kind, in order.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x109F),  # Tibetan, Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # Han radicals
    (0x3005, 0x3007),  # ideographic repetition and zero
    (0x3021, 0x3029),
    (0x3031, 0x3035),
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x3105, 0x312F),  # Bopomofo
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAA7F),
    (0xF900, 0xFAFF),  # Han, compatibility forms
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x1B000, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFD),  # Han, supplementary planes
)
_KATAKANA = ((0x30A1, 0x30FA), (0x30FC, 0x30FE), (0x31F0, 0x31FF), (0xFF66, 0xFF9F), (0x1B000, 0x1B000))
_HANGUL = ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xFFA0, 0xFFDC))


def is_unspaced(character: str) -> bool:
    """Whether the character's script is written without spaces between words (Han, Kana, Thai, Khmer …)."""
    return _within(character, _UNSPACED)


def is_katakana(character: str) -> bool:
    """Whether it is Katakana: unspaced, but a run of it is one word (names and loanwords)."""
    return _within(character, _KATAKANA)


def is_hangul(character: str) -> bool:
    """Whether it is a Hangul syllable or letter: spaced, but with particles written onto the word."""
    return _within(character, _HANGUL)


def is_punctuation(character: str) -> bool:
    """Whether it is punctuation or a symbol (Unicode categories P and S), which no word contains."""
    return unicodedata.category(character)[0] in "PS"


def _within(character: str, blocks: tuple[tuple[int, int], ...]) -> bool:
    code = ord(character)
    place = bisect_right(blocks, (code, 0x110000)) - 1
    return place >= 0 and code <= blocks[place][1]


# -- Korean particles (josa) -----------------------------------------------------------------------------------------

_AFTER_CONSONANT = (
    *("이", "은", "을", "과", "과의", "과는", "과도", "이랑"),
    *("이나", "이라도", "이란", "이라는", "이라고", "이며", "이고", "이자"),
)
_AFTER_VOWEL = ("가", "는", "를", "와", "와의", "와는", "와도", "랑", "나", "라도", "란", "라는", "라고", "며", "자")
_AFTER_ANY = (
    *("의", "에", "에서", "에게", "에게서", "한테", "한테서", "께", "께서", "하고", "도", "만", "까지", "부터", "마저"),
    *(
        "조차",
        "밖에",
        "뿐",
        "처럼",
        "보다",
        "마다",
        "에는",
        "에도",
        "에만",
        "에서는",
        "에서도",
        "에서의",
        "에게는",
        "에게도",
    ),
    *(
        "에게만",
        "께서는",
        "까지는",
        "까지도",
        "까지의",
        "부터는",
        "부터의",
        "만의",
        "만은",
        "만이",
        "만을",
        "보다는",
        "처럼은",
    ),
)
_INSTRUMENTAL = ("", "는", "도", "만", "의", "서", "서는", "서의", "써", "부터", "부터는", "부터의")
"""What may follow 로, or 으로 after a final consonant other than ㄹ."""

_RIEUL = 8
_PARTICLES = (
    dict.fromkeys(_AFTER_CONSONANT, "consonant")
    | dict.fromkeys(_AFTER_VOWEL, "vowel")
    | dict.fromkeys(_AFTER_ANY, "any")
    | {"로" + rest: "로" for rest in _INSTRUMENTAL}
    | {"으로" + rest: "으로" for rest in _INSTRUMENTAL}
)


def is_particle(particle: str, stem: str) -> bool:
    """Whether `particle` is one that can be written onto `stem`.

    After a Hangul syllable it must agree: 은 follows a consonant, 는 a vowel. How other letters and digits are spoken
    is not known here, so after them every particle will do. Both are composed first: NFD is read alike.
    """
    rule = _PARTICLES.get(unicodedata.normalize("NFC", particle))
    return rule is not None and bool(stem) and _agrees(unicodedata.normalize("NFC", stem)[-1], rule)


def _agrees(last: str, rule: str) -> bool:
    if not 0xAC00 <= ord(last) <= 0xD7A3:
        return last.isalnum()
    final = (ord(last) - 0xAC00) % 28  # which consonant closes the syllable; 0: none
    if rule == "로":
        return final in (0, _RIEUL)
    if rule == "으로":
        return final not in (0, _RIEUL)
    return rule == "any" or (final != 0) == (rule == "consonant")
