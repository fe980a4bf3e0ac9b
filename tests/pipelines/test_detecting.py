"""In which language a text is: by its script, then by the words that only one language has."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Any

import pytest

from panpipe.pipelines.detecting import language_of, text_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I've been waiting for a HuggingFace course my whole life.", "en"),
        ("She ordered a café au lait and a croissant.", "en"),
        ("I can’t believe it’s over", "en"),
        ("Kimchi (김치) is a dish of fermented vegetables.", "en"),
        ("Ce cours est produit par Hugging Face.", "fr"),
        ("J’ai oublié l’heure", "fr"),
        ("CE COURS EST TRÈS BON", "fr"),
        ("영화가 정말 재미있어요", "ko"),
        ("iPhone 대신 Galaxy를 샀다", "ko"),
        ("ㅋㅋㅋ", "ko"),
        ("これは面白い映画です", "ja"),
        ("カタカナ", "ja"),
        ("这部电影很好看", "zh"),
        ("Это очень плохо", "Cyrillic"),
        ("هذا جيد", "Arabic"),
        ("สวัสดี", "Thai"),
    ],
)
def test_script_and_common_words_tell_the_language(text: str, language: str) -> None:
    assert language_of(text) == language
    assert language_of(unicodedata.normalize("NFD", text)) == language


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "Paris", "Great product!", "12:30 😀 …", "Das Wetter ist schön", "El niño está aquí", "tlhIngan"],
)
def test_what_does_not_tell_is_not_guessed(text: str) -> None:
    assert language_of(text) is None


def test_a_long_text_is_judged_by_its_beginning() -> None:
    assert language_of("이 글은 길다. " * 500 + "and the rest of it is in English " * 5000) == "ko"


def test_texts_are_found_in_every_form_of_input() -> None:
    assert text_of({"text": "하나", "text_pair": ["둘", ("셋", None, 4)]}).split() == ["하나", "둘", "셋"]
    endless: list[Any] = [itertools.count()]
    endless.append(endless)
    assert text_of(None) == text_of(5) == text_of(b"bytes") == text_of(endless).strip() == ""
