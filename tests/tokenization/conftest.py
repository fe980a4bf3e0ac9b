from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from panpipe.tokenization import AutoTokenizer, Tokenizer

FOLDERS = Path(__file__).parents[1] / "golden" / "tokenizers"
NAMES = sorted(path.parent.name for path in FOLDERS.glob("*/golden.json"))


@cache
def shared(name: str) -> Tokenizer:
    """For tests that do not change it."""
    return AutoTokenizer.from_pretrained(FOLDERS / name)


@pytest.fixture(params=NAMES)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Each family and file form in turn."""
    return shared(request.param)


@pytest.fixture
def bert() -> Tokenizer:
    """A tokenizer of one's own, to be changed."""
    return AutoTokenizer.from_pretrained(FOLDERS / "bert")
