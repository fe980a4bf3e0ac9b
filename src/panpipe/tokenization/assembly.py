"""A tokenizer put together: the Rust part, the settings over it, the special tokens in it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from ..errors import TokenizerError
from . import overlay
from .families import FAMILIES, GENERIC, Family
from .guard import load
from .pieces import Pieces
from .tokenizer_json import MAX_ID

__all__ = ["MAX_ID", "NO_LIMIT", "SPECIAL_TOKENS", "Parts", "added_token", "assemble", "flat"]

SPECIAL_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
    "additional_special_tokens",
)
NO_LIMIT = int(1e30)
"""model_max_length where the files name none; transformers' value, so that comparisons with it still hold."""


_SIDES = ("right", "left")


@dataclass
class Parts:
    """All that a Tokenizer is made of.

    class_name: without 'Fast'.   settings: what transformers calls init_kwargs.
    special_tokens: attribute → str, AddedToken, list or None.
    truncation, padding: what tokenizer.json held, kept for saving only.
    vocabulary: a sentencepiece file, kept for saving only.   pieces: of a class whose texts are cut by other files
    than give the ids.
    """

    rust: RustTokenizer
    class_name: str
    settings: dict[str, Any]
    special_tokens: dict[str, Any]
    name: str = ""
    truncation: dict[str, Any] | None = None
    padding: dict[str, Any] | None = None
    vocabulary: dict[str, bytes] = field(default_factory=dict)
    pieces: Pieces | None = None

    @property
    def family(self) -> Family:
        """The class's row: looked up, since rows hold functions, which are not pickled."""
        return FAMILIES.get(self.class_name, GENERIC)


def assemble(
    name: str,
    class_: str,
    config: Mapping[str, Any],
    rust: RustTokenizer | None,
    vocabulary: Mapping[str, bytes] | None = None,
) -> Parts:
    """The tokenizer of a class, from its tokenizer.json (`rust`) or, where that is None, from its vocabulary files."""
    family = FAMILIES.get(class_, GENERIC)
    vocabulary = dict(vocabulary or {})
    is_built = rust is None
    settings = _settings(family, config, is_built)
    if family.settings is not None:
        load(name, family.settings, settings)
    pieces: Pieces | None = None
    if rust is None and family.pieces is not None:
        pieces = load(f"{name} ({', '.join(vocabulary)})", family.pieces, vocabulary, settings)
        rust = pieces.rust
    if rust is None:
        assert family.build is not None, "_vocabulary refuses classes that cannot be built"
        rust = load(f"{name} ({', '.join(vocabulary)})", family.build, vocabulary, settings)
    truncation, padding = rust.truncation, rust.padding
    _keep_stored(settings, truncation, padding)
    rust.no_truncation()
    rust.no_padding()
    special_tokens = _special_tokens(name, settings)
    rust.encode_special_tokens = bool(settings.get("split_special_tokens", False))
    load(name, _add_tokens, rust, settings.get("added_tokens_decoder") or {}, special_tokens)
    if is_built and family.finish is not None:
        load(name, family.finish, rust, settings)
    load(name, overlay.prefix_space, rust, bool(settings.get("add_prefix_space", False)))
    if family.adjust is not None:
        load(name, family.adjust, rust, settings)
    _check_settings(name, settings)
    _check_ids(name, rust)
    return Parts(rust, class_, settings, special_tokens, name, truncation, padding, vocabulary, pieces)


def _settings(family: Family, config: Mapping[str, Any], is_built: bool) -> dict[str, Any]:
    """The class's defaults, and over them what the files and the caller say."""
    defaults = {**family.options, **(family.built_options if is_built else {}), **family.special_tokens}
    settings = {**defaults, **config}
    for key, flags in (family.built_marks if is_built else family.marks).items():
        if isinstance(settings.get(key), str):
            settings[key] = AddedToken(settings[key], **flags)
    if is_built:  # a copy keeps its `normalized`, which otherwise follows `special` when that is set
        settings |= {key: copy.deepcopy(settings[key]) for key in SPECIAL_TOKENS if key in settings}
    return settings


def _keep_stored(settings: dict[str, Any], truncation: Any, padding: Any) -> None:
    """What tokenizer.json says of truncation and padding is a default for sides and the padding token, and no more."""
    if truncation is not None:
        settings.setdefault("truncation_side", truncation["direction"])
    if padding is not None:
        settings.setdefault("pad_token", padding["pad_token"])
        settings.setdefault("padding_side", padding["direction"])


def _special_tokens(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    extra = settings.get("extra_special_tokens") or {}
    if isinstance(extra, list):  # transformers 5's name for the additional special tokens
        settings = {**settings, "additional_special_tokens": extra}
        extra = {}
    if not isinstance(extra, dict):
        raise TokenizerError(f"{name}: extra_special_tokens must be an object of name and token, not {extra!r:.100}.")
    tokens: dict[str, Any] = dict.fromkeys(SPECIAL_TOKENS)
    tokens["additional_special_tokens"] = []
    for key in SPECIAL_TOKENS:
        if settings.get(key) is not None:
            tokens[key] = settings[key]
    tokens |= {key: added_token(name, value) if isinstance(value, dict) else value for key, value in extra.items()}
    for key, value in tokens.items():
        if key == "additional_special_tokens":
            fits = isinstance(value, (list, tuple)) and all(isinstance(token, (str, AddedToken)) for token in value)
        else:
            fits = value is None or isinstance(value, (str, AddedToken))
        if not fits:
            kind = "a list of texts" if key == "additional_special_tokens" else "a text"
            raise TokenizerError(f"{name}: {key} must be {kind}, not {value!r:.100}.")
    return tokens


def added_token(name: str, value: Any) -> AddedToken:
    """From its JSON form, or as it is."""
    if isinstance(value, AddedToken):
        return value
    fields = {key: item for key, item in value.items() if key != "__type"} if isinstance(value, dict) else None
    if fields is None or not isinstance(fields.get("content"), str):
        raise TokenizerError(f"{name}: an added token must be an object with a 'content', not {value!r:.100}.")
    return load(f"{name}: the added token {fields['content']!r:.60}", AddedToken, **fields)


def flat(values: Any) -> list[Any]:
    """Tokens and lists of tokens as one list, each content once."""
    flat: dict[str, Any] = {}
    for value in values:
        for token in value if isinstance(value, (list, tuple)) else [value]:
            if token is not None and str(token):
                flat.setdefault(str(token), token)
    return list(flat.values())


def _add_tokens(rust: RustTokenizer, added: Mapping[int, AddedToken], special_tokens: Mapping[str, Any]) -> None:
    """Make every added and special token one that the Rust tokenizer keeps whole."""
    present = rust.get_added_tokens_decoder()
    states = {repr(token) for token in present.values()}
    to_add = [token for _, token in sorted(added.items()) if repr(token) not in states]
    known = {str(token) for token in (*present.values(), *to_add)}
    specials = flat(special_tokens.values())
    # An AddedToken is added even where its content is known: its flags (lstrip …) then replace those that were there.
    to_add += [token for token in specials if isinstance(token, AddedToken) or token not in known]
    contents = {str(token) for token in specials}
    tokens = []
    for token in to_add:
        is_special = str(token) in contents or (isinstance(token, AddedToken) and token.special)
        tokens.append(_with_special(token, is_special))
    if tokens:
        rust.add_tokens(tokens)


def _with_special(token: str | AddedToken, special: bool) -> AddedToken:
    if isinstance(token, str):
        return AddedToken(token, special=special)
    token.special = special
    return token


def _check_settings(name: str, settings: dict[str, Any]) -> None:
    if "max_len" in settings:
        settings.setdefault("model_max_length", settings["max_len"])
    for key in ("padding_side", "truncation_side"):
        if settings.get(key, "right") not in _SIDES:
            raise TokenizerError(f"{name}: {key} must be 'right' or 'left', not {settings[key]!r:.60}.")
    for key in ("src_lang", "tgt_lang"):
        if not isinstance(settings.get(key, ""), (str, type(None))):
            raise TokenizerError(f"{name}: {key} must be a language's code, not {settings[key]!r:.60}.")
    limit = settings.get("model_max_length")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit != limit):
        raise TokenizerError(f"{name}: model_max_length must be a number, not {limit!r:.60}.")
    names = settings.get("model_input_names", ["input_ids"])
    if not (isinstance(names, (list, tuple)) and names and all(isinstance(item, str) for item in names)):
        raise TokenizerError(f"{name}: model_input_names must be a list of names, not {names!r:.100}.")


def _check_ids(name: str, rust: RustTokenizer) -> None:
    """The post-processor carries ids and tokens of its own; they must be those of the vocabulary."""
    for pair in (False, True):
        parts = ("", "") if pair else ("",)
        encoding = load(name, rust.encode, *parts)
        ids, tokens = encoding.ids, encoding.tokens
        if len(ids) != len(tokens):
            raise TokenizerError(
                f"{name}: tokenizer.json's post_processor adds {len(tokens)} tokens and {len(ids)} ids."
            )
        for token_id, token in zip(ids, tokens, strict=True):
            if token_id > MAX_ID or rust.id_to_token(token_id) is None:
                raise TokenizerError(
                    f"{name}: tokenizer.json's post_processor adds {token!r:.60} with the id {token_id}, which is no "
                    "token of its vocabulary."
                )
