"""Writing a tokenizer as files that transformers opens too."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken

from ..errors import InvalidArgument
from ..weights.source import check_file_name
from ..weights.whole_file import whole_file
from .assembly import SPECIAL_TOKENS, Parts
from .chat import TEMPLATE_FILE, TEMPLATE_FOLDER
from .families import FAMILIES
from .views import shell

if TYPE_CHECKING:
    from .tokenizer import Tokenizer

__all__ = ["save"]

_LIVE = ("model_max_length", "clean_up_tokenization_spaces", "padding_side", "truncation_side")


def save(tokenizer: Tokenizer, parts: Parts, folder: Path) -> tuple[str, ...]:
    """Write the files of a tokenizer into a folder, which is made if need be.   Raises InvalidArgument, OSError."""
    if folder.is_file():
        raise InvalidArgument(f"{str(folder)!r} is a file; a tokenizer is saved into a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(parts, folder)
    files = [*vocabulary, folder / "special_tokens_map.json", folder / "tokenizer_config.json"]
    files += _templates(tokenizer.chat_template, folder)
    if parts.pieces is None:
        files.append(folder / "tokenizer.json")
        _write(files[-1], _rust_json(parts))
    _write_json(folder / "special_tokens_map.json", _token_map(tokenizer))
    _write_json(folder / "tokenizer_config.json", _config(tokenizer, parts, bool(vocabulary)))
    return tuple(map(str, files))


def _templates(templates: str | dict[str, str] | None, folder: Path) -> list[Path]:
    """chat_template.jinja, and those with another name than 'default' in a folder of theirs."""
    named = {"default": templates} if isinstance(templates, str) else templates or {}
    paths = []
    for name, template in named.items():
        path = folder / TEMPLATE_FILE
        if name != "default":
            path = folder / TEMPLATE_FOLDER / (check_file_name(name) + ".jinja")
            path.parent.mkdir(exist_ok=True)
        _write(path, template)
        paths.append(path)
    return paths


def _vocabulary(parts: Parts, folder: Path) -> list[Path]:
    """The files from before tokenizer.json: the model's own, or a sentencepiece file as it was read."""
    if parts.pieces is None and parts.family.vocabulary and not parts.family.vocabulary[0].endswith(".model"):
        return [Path(path) for path in parts.rust.model.save(str(folder))]
    for name, data in parts.vocabulary.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in parts.vocabulary]


def _rust_json(parts: Parts) -> str:
    """tokenizer.json, with the truncation and padding that it had when it was read."""
    rust = shell(parts.rust)
    with contextlib.suppress(ValueError):  # a stride that the Rust library reads but does not set
        if parts.truncation is not None:
            rust.enable_truncation(**parts.truncation)
    if parts.padding is not None:
        rust.enable_padding(**parts.padding)
    return str(rust.to_str(pretty=True))


def _config(tokenizer: Tokenizer, parts: Parts, has_vocabulary: bool) -> dict[str, Any]:
    skipped = {"added_tokens_decoder", "extra_special_tokens", "chat_template", *SPECIAL_TOKENS}
    config = {key: value for key, value in parts.settings.items() if key not in skipped}
    config |= {key: getattr(tokenizer, key) for key in _LIVE}  # attributes that may have been set since
    if tokenizer.model_input_names != list(parts.family.input_names):
        config["model_input_names"] = tokenizer.model_input_names
    config |= tokenizer.special_tokens_map
    config["extra_special_tokens"] = {
        name: str(token) for name, token in tokenizer._special_tokens.items() if name not in SPECIAL_TOKENS and token
    }
    added = tokenizer.added_tokens_decoder
    config["added_tokens_decoder"] = {str(index): added[index].__getstate__() for index in sorted(added)}
    known = parts.class_name in FAMILIES and parts.class_name != "PreTrainedTokenizer"
    name = parts.class_name if known else "PreTrainedTokenizer"
    config["tokenizer_class"] = name if known and has_vocabulary else name + "Fast"
    return config


def _token_map(tokenizer: Tokenizer) -> dict[str, Any]:
    def plain(token: Any) -> Any:
        if not isinstance(token, AddedToken):
            return token
        return {key: value for key, value in token.__getstate__().items() if key != "special"}

    return {
        name: [plain(token) for token in value] if isinstance(value, list) else plain(value)
        for name, value in tokenizer.special_tokens_map_extended.items()
    }


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    _write(path, text + "\n")


def _write(path: Path, text: str) -> None:
    with whole_file(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8", newline="\n")
