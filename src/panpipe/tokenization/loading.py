"""From a checkpoint's tokenizer files to the Rust tokenizer and its settings.

tokenizer.json is the truth where there is one, with the settings of tokenizer_config.json (and its older companions
special_tokens_map.json and added_tokens.json) laid over it as transformers 4.57.6 does; else the tokenizer is built
from the vocabulary of its class.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from ..errors import TokenizerError
from ..weights.source import Source, read_json
from . import overlay
from .families import CLASS_OF_MODEL_TYPE, FAMILIES, GENERIC, Family, class_name
from .guard import load

__all__ = ["NO_LIMIT", "SPECIAL_TOKENS", "Parts", "assemble", "load_parts"]

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

_MAX_FILE_BYTES = 512_000_000
_MAX_ID = 2**31 - 1  # ids are int32 in a Batch
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")  # what no program writes, but may hide a key from the two below
_PREFIX = re.compile(rb'"continuing_subword_prefix"\s*:\s*"[^"]')
_MERGES = re.compile(rb'"merges"\s*:\s*\[')
_LARGE_NUMBER = re.compile(rb":\s*\d{8,}")
_SIDES = ("right", "left")


@dataclass
class Parts:
    """All that a Tokenizer is made of.

    class_name: without 'Fast'.   settings: what transformers calls init_kwargs.
    special_tokens: attribute → str, AddedToken, list or None.
    truncation, padding: what tokenizer.json held, kept for saving only.
    vocabulary: a sentencepiece file, kept for saving only.
    """

    rust: RustTokenizer
    class_name: str
    family: Family
    settings: dict[str, Any]
    special_tokens: dict[str, Any]
    name: str = ""
    truncation: dict[str, Any] | None = None
    padding: dict[str, Any] | None = None
    vocabulary: dict[str, bytes] = field(default_factory=dict)


def load_parts(source: Source, overrides: Mapping[str, Any], wanted_class: str | None = None) -> Parts:
    """Read a checkpoint's tokenizer.

    overrides: settings that win over the files'.   wanted_class: instead of what the files say.
    Raises TokenizerError, and what `source` raises.
    """
    config = _json_object(source, "tokenizer_config.json")
    named = wanted_class or config.pop("tokenizer_class", None)
    config.pop("tokenizer_class", None)
    for key in ("tokenizer_file", "vocab_file", "merges_file", "auto_map", "name_or_path", "init_inputs"):
        config.pop(key, None)
    config.update(_chat_template(source))
    config.update(overrides)
    tokenizer_json = source.file("tokenizer.json")
    if not isinstance(named, str) or named == "TokenizersBackend":  # transformers 5 saves every class under that name
        named = _class_of_model(source, tokenizer_json is not None)
    class_ = class_name(named)
    family = FAMILIES.get(class_, GENERIC)
    rust: RustTokenizer | None = None
    vocabulary: dict[str, bytes] = {}
    if tokenizer_json is not None:
        rust = _read_rust(f"{source.name}/tokenizer.json", _read(tokenizer_json))
    else:
        vocabulary = _vocabulary(source, class_, family)
    _read_companions(source, config, overrides, rust)
    return assemble(source.name, class_, config, rust, vocabulary)


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
    return Parts(rust, class_, family, settings, special_tokens, name, truncation, padding, vocabulary)


# -- the files -------------------------------------------------------------------------------------------------------


def _json_object(source: Source, name: str) -> dict[str, Any]:
    path = source.file(name)
    if path is None:
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise TokenizerError(f"{source.name}/{name} must hold a JSON object, not {type(value).__name__}.")
    return value


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise TokenizerError(f"{path} has {size} bytes; at most {_MAX_FILE_BYTES} are read.")
    return path.read_bytes()


def _read_rust(name: str, data: bytes) -> RustTokenizer:
    """The tokenizer in a tokenizer.json. Only where a file looks odd is it read twice."""
    if _ESCAPED_ASCII.search(data) or (_PREFIX.search(data) and _MERGES.search(data)):
        load(name, _check_merges, name, data)
    rust = load(name, RustTokenizer.from_buffer, data)
    if _LARGE_NUMBER.search(data) and (largest := max(load(name, rust.get_vocab).values(), default=0)) > _MAX_ID:
        raise TokenizerError(f"{name} gives a token the id {largest}; ids go up to {_MAX_ID}.")
    return rust


def _check_merges(name: str, data: bytes) -> None:
    """Refuse merges whose second part lacks the prefix of continuing pieces.

    The Rust library cuts the prefix's length off them unseen, in bytes; what is left may be no UTF-8, on which the process
    aborts when the error is to be told (tokenizers 0.23).
    """
    model = json.loads(data)["model"]
    if not isinstance(model, dict) or not isinstance(prefix := model.get("continuing_subword_prefix"), str):
        return
    for merge in model.get("merges") or ():
        second = merge.rpartition(" ")[2] if isinstance(merge, str) else merge[-1] if merge else ""
        if not (isinstance(second, str) and second.startswith(prefix)):
            raise TokenizerError(f"{name}: the merge {merge!r:.60} lacks the prefix {prefix!r:.20} of continuing pieces.")


def _chat_template(source: Source) -> dict[str, Any]:
    path = source.file("chat_template.jinja")
    return {} if path is None else {"chat_template": _read(path).decode("utf-8", "replace")}


def _class_of_model(source: Source, has_tokenizer_json: bool) -> str:
    """The tokenizer class that config.json implies."""
    config = _json_object(source, "config.json")
    named, model_type = config.get("tokenizer_class"), config.get("model_type")
    if isinstance(named, str):
        return named
    if isinstance(model_type, str) and model_type in CLASS_OF_MODEL_TYPE:
        return CLASS_OF_MODEL_TYPE[model_type]
    if has_tokenizer_json:
        return "PreTrainedTokenizer"
    raise TokenizerError(
        f"which tokenizer {source.name} has cannot be told: there is no tokenizer.json, tokenizer_config.json names no "
        f"tokenizer_class and config.json's model_type is {model_type!r}. Add "
        '"tokenizer_class": "BertTokenizer" (or what it is) to tokenizer_config.json.'
    )


def _vocabulary(source: Source, class_: str, family: Family) -> dict[str, bytes]:
    """The bytes of the files that the class is built from."""
    if family.build is None:
        known = ", ".join(name for name, row in FAMILIES.items() if row.build is not None)
        raise TokenizerError(
            f"{source.name} has no tokenizer.json, and its tokenizer class {class_!r} cannot be built from other files "
            f"(these can: {known}). Make a tokenizer.json where the class exists, by "
            "AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(folder) in transformers; a class with "
            "code of its own "
            "must be converted by its author."
        )
    found = {name: source.file(name) for name in family.vocabulary}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise TokenizerError(
            f"{source.name} lacks {' and '.join(missing)}, from which a {class_} is built, and has no tokenizer.json "
            "either."
        )
    return {name: _read(path) for name, path in found.items() if path is not None}


def _read_companions(
    source: Source, config: dict[str, Any], overrides: Mapping[str, Any], rust: RustTokenizer | None
) -> None:
    """The added tokens: tokenizer_config.json's own list, or (before 2023) those of two more files."""
    added: dict[int, AddedToken] = {}
    if isinstance(given := config.get("added_tokens_decoder"), dict):
        for index, token in given.items():
            added[_index(source, index)] = _added_token(source.name, token)
        flagged = added
    else:
        for key, value in _json_object(source, "special_tokens_map.json").items():
            if not overrides.get(key):
                config[key] = _mapped(source.name, key, value, config)
        added_json = _json_object(source, "added_tokens.json")
        special = {str(token) for token in _flat(config.get(key) for key in SPECIAL_TOKENS)} if added_json else set()
        for content, index in added_json.items():
            is_special = content in special
            added[_index(source, index)] = AddedToken(content, normalized=not is_special, special=is_special)
        flagged = {} if rust is None else rust.get_added_tokens_decoder()
    config["added_tokens_decoder"] = added
    _replace_special(config, {str(token): token for token in flagged.values()})
    for key in SPECIAL_TOKENS:
        value = config.get(key)
        if isinstance(value, dict):
            config[key] = _added_token(source.name, value)
        elif isinstance(value, list):
            config[key] = [_added_token(source.name, item) if isinstance(item, dict) else item for item in value]


def _replace_special(config: dict[str, Any], by_content: Mapping[str, AddedToken]) -> None:
    """A special token named by a string has the flags of the added token of that content."""
    for key in SPECIAL_TOKENS[:-1]:
        value = config.get(key)
        content = value.get("content") if isinstance(value, dict) else value
        if isinstance(content, (str, AddedToken)) and str(content) in by_content:
            config[key] = by_content[str(content)]


def _mapped(name: str, key: str, value: Any, config: Mapping[str, Any]) -> Any:
    """One entry of special_tokens_map.json."""
    if isinstance(value, dict):
        return _added_token(name, {**value, "special": True})
    if key != "additional_special_tokens" or not isinstance(value, list):
        return value
    tokens = list(config.get(key) or [])
    for item in value:
        token = _added_token(name, {**item, "special": True}) if isinstance(item, dict) else item
        if token not in tokens:
            tokens.append(token)
    return tokens


def _added_token(name: str, value: Any) -> AddedToken:
    if isinstance(value, AddedToken):
        return value
    fields = {key: item for key, item in value.items() if key != "__type"} if isinstance(value, dict) else None
    if fields is None or not isinstance(fields.get("content"), str):
        raise TokenizerError(f"{name}: an added token must be an object with a 'content', not {value!r:.100}.")
    return load(f"{name}: the added token {fields['content']!r:.60}", AddedToken, **fields)


def _index(source: Source, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_ID):
        raise TokenizerError(f"{source.name}: {text[:40]!r} is not the id of an added token (0 … {_MAX_ID}).")
    return int(text)


# -- settings and special tokens -------------------------------------------------------------------------------------


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
    tokens |= {key: _added_token(name, value) if isinstance(value, dict) else value for key, value in extra.items()}
    for key, value in tokens.items():
        is_list = key == "additional_special_tokens"
        listed = list(value) if is_list and isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(token, (str, AddedToken)) or (token is None and not is_list) for token in listed):
            raise TokenizerError(
                f"{name}: {key} must be {'a list of texts' if is_list else 'a text'}, not {value!r:.100}."
            )
    return tokens


def _flat(values: Any) -> list[Any]:
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
    specials = _flat(special_tokens.values())
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
            raise TokenizerError(f"{name}: tokenizer.json's post_processor adds {len(tokens)} tokens and {len(ids)} ids.")
        for token_id, token in zip(ids, tokens, strict=True):
            if token_id > _MAX_ID or rust.id_to_token(token_id) is None:
                raise TokenizerError(
                    f"{name}: tokenizer.json's post_processor adds {token!r:.60} with the id {token_id}, which is no "
                    "token of its vocabulary."
                )
