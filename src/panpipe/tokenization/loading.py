"""From a checkpoint's tokenizer files to the Rust tokenizer and its settings.

tokenizer.json is the truth where there is one, with the settings of tokenizer_config.json (and its older companions
special_tokens_map.json and added_tokens.json) laid over it as transformers 4.57.6 does; else the tokenizer is built
from the vocabulary of its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as RustTokenizer

from ..errors import TokenizerError, UnknownArgument, did_you_mean
from ..weights.source import Source, read_json
from .assembly import MAX_ID, SPECIAL_TOKENS, Parts, added_token, assemble, flat
from .chat import read_templates
from .families import CLASS_OF_MODEL_TYPE, FAMILIES, GENERIC, Family, class_name
from .tokenizer_json import read_rust

__all__ = ["load_parts"]

_MAX_FILE_BYTES = 512_000_000
_SETTINGS = (
    "add_prefix_space",
    "added_tokens_decoder",
    "chat_template",
    "clean_up_tokenization_spaces",
    "extra_special_tokens",
    "model_input_names",
    "model_max_length",
    "padding_side",
    "split_special_tokens",
    "truncation_side",
)  # of every class


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
    config.update(read_templates(source))
    config.update(overrides)
    tokenizer_json = source.file("tokenizer.json")
    if not isinstance(named, str) or named == "TokenizersBackend":  # transformers 5 writes it for any class
        named = _class_of_model(source, tokenizer_json is not None)
    class_ = class_name(named)
    family = FAMILIES.get(class_, GENERIC)
    _check_names(overrides, config.keys() - overrides.keys())
    rust: RustTokenizer | None = None
    vocabulary: dict[str, bytes] = {}
    if tokenizer_json is not None and not _builds_anew(source, family, config):
        rust = read_rust(f"{source.name}/tokenizer.json", _read(tokenizer_json))
    else:
        vocabulary = _vocabulary(source, class_, family, bool(config.get("separate_vocabs")))
    _read_companions(source, config, overrides, rust)
    return assemble(source.name, class_, config, rust, vocabulary)


def _check_names(overrides: Mapping[str, Any], used: set[str]) -> None:
    """Raises UnknownArgument for a name that looks misspelt; any other is taken, as in transformers."""
    of_classes = {name for family in FAMILIES.values() for name in (*family.options, *family.built_options)}
    known = used | of_classes | {*SPECIAL_TOKENS, *_SETTINGS}
    for name in overrides.keys() - known:
        if near := did_you_mean(name, known):
            raise UnknownArgument(f"{name!r} is no setting of this tokenizer.{near}")


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


def _builds_anew(source: Source, family: Family, config: Mapping[str, Any]) -> bool:
    """Whether the vocabulary files go before tokenizer.json, as they do in transformers for some classes."""
    wanted = family.pieces is not None or (family.rebuild is not None and family.rebuild(config))
    return wanted and all(source.file(name) is not None for name in family.vocabulary)


def _vocabulary(source: Source, class_: str, family: Family, has_more: bool) -> dict[str, bytes]:
    """The bytes of the files that the class is built from.   has_more: the optional ones too."""
    if not family.vocabulary:
        known = ", ".join(name for name, row in FAMILIES.items() if row.vocabulary)
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
    found |= {name: source.file(name) for name in family.optional if has_more}
    return {name: _read(path) for name, path in found.items() if path is not None}


def _read_companions(
    source: Source, config: dict[str, Any], overrides: Mapping[str, Any], rust: RustTokenizer | None
) -> None:
    """The added tokens: tokenizer_config.json's own list, or (before 2023) those of two more files."""
    added: dict[int, AddedToken] = {}
    if isinstance(given := config.get("added_tokens_decoder"), dict):
        for index, token in given.items():
            added[_index(source, index)] = added_token(source.name, token)
        flagged = added
    else:
        for key, value in _json_object(source, "special_tokens_map.json").items():
            if not overrides.get(key):
                config[key] = _mapped(source.name, key, value, config)
        added_json = _json_object(source, "added_tokens.json")
        special = {str(token) for token in flat(config.get(key) for key in SPECIAL_TOKENS)} if added_json else set()
        for content, index in added_json.items():
            is_special = content in special
            added[_index(source, index)] = AddedToken(content, normalized=not is_special, special=is_special)
        flagged = {} if rust is None else rust.get_added_tokens_decoder()
    config["added_tokens_decoder"] = added
    _replace_special(config, {str(token): token for token in flagged.values()})
    for key in SPECIAL_TOKENS:
        value = config.get(key)
        if isinstance(value, dict):
            config[key] = added_token(source.name, value)
        elif isinstance(value, list):
            config[key] = [added_token(source.name, item) if isinstance(item, dict) else item for item in value]


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
        return added_token(name, {**value, "special": True})
    if key != "additional_special_tokens" or not isinstance(value, list):
        return value
    tokens = list(config.get(key) or [])
    for item in value:
        token = added_token(name, {**item, "special": True}) if isinstance(item, dict) else item
        if token not in tokens:
            tokens.append(token)
    return tokens


def _index(source: Source, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= MAX_ID):
        raise TokenizerError(f"{source.name}: {text[:40]!r} is not the id of an added token (0 … {MAX_ID}).")
    return int(text)
