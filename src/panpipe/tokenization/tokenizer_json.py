"""tokenizer.json, read by the Rust library after a look for what that library does not survive."""

from __future__ import annotations

import json
import re

from tokenizers import Tokenizer as RustTokenizer

from ..errors import TokenizerError
from .guard import load

__all__ = ["MAX_ID", "read_rust"]

MAX_ID = 2**31 - 1
"""The largest id of a token: ids are int32 in a Batch."""

_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")  # what no program writes, but may hide a key from the two below
_PREFIX = re.compile(rb'"continuing_subword_prefix"\s*:\s*"[^"]')
_MERGES = re.compile(rb'"merges"\s*:\s*\[')
_LARGE_NUMBER = re.compile(rb":\s*\d{10}")


def read_rust(name: str, data: bytes) -> RustTokenizer:
    """The tokenizer in a tokenizer.json. Only where a file looks odd is it read twice."""
    if _ESCAPED_ASCII.search(data) or (_PREFIX.search(data) and _MERGES.search(data)):
        load(name, _check_merges, name, data)
    rust = load(name, RustTokenizer.from_buffer, data)
    if _LARGE_NUMBER.search(data) and (largest := max(load(name, rust.get_vocab).values(), default=0)) > MAX_ID:
        raise TokenizerError(f"{name} gives a token the id {largest}; ids go up to {MAX_ID}.")
    return rust


def _check_merges(name: str, data: bytes) -> None:
    """Refuse merges whose second part lacks the prefix of continuing pieces.

    The Rust library cuts the prefix's length off them unseen, in bytes; what is left may be no UTF-8, and telling that
    error aborts the process (tokenizers 0.23).
    """
    model = json.loads(data)["model"]
    if not isinstance(model, dict) or not isinstance(prefix := model.get("continuing_subword_prefix"), str):
        return
    for merge in model.get("merges") or ():
        second = merge.rpartition(" ")[2] if isinstance(merge, str) else merge[-1] if merge else ""
        if not (isinstance(second, str) and second.startswith(prefix)):
            raise TokenizerError(
                f"{name}: the merge {merge!r:.60} lacks the prefix {prefix!r:.20} of continuing pieces."
            )
