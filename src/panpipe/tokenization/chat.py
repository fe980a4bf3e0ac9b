"""Chats as text: a checkpoint's templates, and what `apply_chat_template` does with them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, InvalidArgument, TemplateError, TokenizerError, did_you_mean
from ..weights.source import Folder, Source

__all__ = ["TEMPLATE_FILE", "TEMPLATE_FOLDER", "as_text", "choose", "named_templates", "read_templates"]

TEMPLATE_FILE = "chat_template.jinja"
TEMPLATE_FOLDER = "additional_chat_templates"
_MAX_BYTES = 4_000_000
_MAX_TEMPLATES = 100
_TAG = "CONTINUE_FINAL_MESSAGE_TAG "  # transformers' own: templates see it, and some look for words

Message = Mapping[str, Any]


# -- templates -------------------------------------------------------------------------------------------------------


def read_templates(source: Source) -> dict[str, Any]:
    """{'chat_template': …} from the files chat_template.jinja and additional_chat_templates/*.jinja, or {}."""
    found: dict[str, str] = {}
    if (path := source.file(TEMPLATE_FILE)) is not None:
        found["default"] = _read(path)
    for path in _additional(source)[:_MAX_TEMPLATES]:
        found[path.name.removesuffix(".jinja")] = _read(path)
    if not found:
        return {}
    return {"chat_template": found["default"] if found.keys() == {"default"} else found}


def _additional(source: Source) -> list[Path]:
    """In a folder those that are there; on the Hub the one name that is in use."""
    if isinstance(source, Folder):
        names = sorted(path.name for path in (source.path / TEMPLATE_FOLDER).glob("*.jinja"))
    else:
        names = ["tool_use.jinja"] if source.file(TEMPLATE_FILE) is not None else []
    return [path for name in names if (path := source.file(f"{TEMPLATE_FOLDER}/{name}")) is not None]


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise TokenizerError(f"{path} has {size} bytes; at most {_MAX_BYTES} are read.")
    return path.read_bytes().decode("utf-8", "replace")


def named_templates(name: str, value: Any) -> str | dict[str, str] | None:
    """The setting `chat_template`: one, or several by name (in files also as a list).   Raises TokenizerError."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        named = [row for row in value if isinstance(row, dict) and row.keys() >= {"name", "template"}]
        value = {str(row["name"]): row["template"] for row in named} if len(named) == len(value) else None
    if isinstance(value, dict) and all(isinstance(item, str) for pair in value.items() for item in pair):
        return dict(value)
    raise TokenizerError(f"{name}: chat_template must be a text, or a list of objects with 'name' and 'template'.")


def choose(templates: str | Mapping[str, str] | None, wanted: str | None, has_tools: bool) -> str:
    """The template for a chat: `wanted` itself or by name, else the tokenizer's.   Raises TemplateError."""
    if isinstance(templates, Mapping):
        if wanted is not None:
            return templates.get(wanted, wanted)
        for name in ("tool_use", "default") if has_tools else ("default",):
            if name in templates:
                return templates[name]
        raise TemplateError(f"choose a template: chat_template= one of {', '.join(sorted(templates))}.")
    template = templates if wanted is None else wanted
    if template is None:
        raise TemplateError(
            "this tokenizer has no chat template: its model was not trained on chats. Give a text instead, or a "
            "template: chat_template=, in Jinja."
        )
    return template


# -- chats -----------------------------------------------------------------------------------------------------------


def as_text(
    conversation: Any,
    template: str,
    *,
    tools: Sequence[Any] | None,
    documents: Sequence[Any] | None,
    add_generation_prompt: bool,
    continue_final_message: bool,
    values: Mapping[str, Any],
) -> str | list[str]:
    """The text of a conversation (a list of messages), or of each of several.

    Raises InputError, InvalidArgument, TemplateError.
    """
    if continue_final_message and add_generation_prompt:
        raise InvalidArgument(
            "continue_final_message=True lets the model go on with the last message, and add_generation_prompt=True "
            "begin a new one: give one of the two."
        )
    several = isinstance(conversation, (list, tuple)) and bool(conversation) and _is_chat(conversation[0])
    chats = [_messages(chat) for chat in (conversation if several else [conversation])]
    for number, chat in enumerate(chats):
        _check(chat, f"conversation {number}: " if several else "")
    options = {"tools": _tools(tools), "documents": _documents(documents), **values}
    options["add_generation_prompt"] = add_generation_prompt
    texts = [_one(chat, template, continue_final_message, options) for chat in chats]
    return texts if several else texts[0]


def _is_chat(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or hasattr(value, "messages")


def _messages(chat: Any) -> Any:
    return getattr(chat, "messages", chat)


def _check(chat: Any, where: str) -> None:
    """Raises InputError for what is no list of messages."""
    form = "a list of messages such as {'role': 'user', 'content': '…'}"
    if not isinstance(chat, (list, tuple)):
        raise InputError(f"{where}a chat is {form}, not {chat!r:.60}.")
    if not chat:
        raise InputError(f"{where}the chat is empty; expected {form}.")
    for index, message in enumerate(chat):
        if not isinstance(message, Mapping):
            raise InputError(f"{where}message {index} is {message!r:.60}; expected {form}.")
        if "role" not in message:
            near = did_you_mean("role", [str(key) for key in message])
            raise InputError(f"{where}message {index} has no 'role' (such as 'user').{near}")
        if not ("content" in message or "tool_calls" in message):
            raise InputError(f"{where}message {index} ({message['role']!r:.20}) has no 'content'.")


def _tools(tools: Sequence[Any] | None) -> list[Any] | None:
    if tools is None:
        return None
    for tool in tools:
        if not isinstance(tool, Mapping):
            raise InvalidArgument(f"a tool is given by its JSON schema, a dict, not as {type(tool).__name__}.")
    return list(tools)


def _documents(documents: Sequence[Any] | None) -> list[Any] | None:
    if documents is None:
        return None
    for document in documents:
        if not isinstance(document, Mapping):
            raise InvalidArgument(f"a document is a dict with 'title' and 'text', not {document!r:.60}.")
    return list(documents)


def _one(chat: Sequence[Message], template: str, goes_on: bool, options: Mapping[str, Any]) -> str:
    from .sandbox import render  # jinja2 is needed by chats alone

    if not goes_on:
        return render(template, {"messages": chat, **options})
    chat = copy.deepcopy(list(chat))
    last = _tagged(chat[-1])
    text = render(template, {"messages": chat, **options})
    if last.strip() not in text or _TAG.strip() not in text:
        raise TemplateError(
            "continue_final_message=True, but the template writes the last message otherwise than it is: it cannot be "
            "gone on with."
        )
    place = text.rindex(_TAG.strip())
    kept = text[:place]
    return kept if text[place : place + len(_TAG)] == _TAG else kept.rstrip()


def _tagged(message: Any) -> str:
    """Put the tag behind a message's text; the text.   Raises InputError."""
    content = message.get("content")
    if isinstance(content, str):
        message["content"] = content + _TAG
        return content
    for part in reversed(content if isinstance(content, (list, tuple)) else ()):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            text: str = part["text"]
            part["text"] = text + _TAG
            return text
    raise InputError("continue_final_message=True needs a last message with a text.")
