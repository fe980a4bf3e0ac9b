"""Conversations: lists of messages {"role", "content"}, which a tokenizer's chat template makes a prompt of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from .inputs import shown

__all__ = ["Chat", "answered", "checked_chat", "is_chat", "is_prefilled"]

Chat = list[Mapping[str, Any]]


def is_chat(value: Any) -> bool:
    """Whether it is a conversation, rather than a list of inputs: its first entry is a dictionary."""
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], Mapping)


def checked_chat(value: Sequence[Any]) -> Chat:
    """The messages.   Raises InputError for one that lacks its role or content."""
    for place, message in enumerate(value, 1):
        if not isinstance(message, Mapping) or "role" not in message or "content" not in message:
            raise InputError(
                "When passing chat dicts as input, each dict must have a 'role' and 'content' key; message "
                f"{place} is {shown(message)}."
            )
    return list(value)


def is_prefilled(chat: Chat, continue_final_message: bool | None) -> bool:
    """Whether the last message is to be continued: as was asked, else if it is the assistant's."""
    return bool(chat[-1]["role"] == "assistant" if continue_final_message is None else continue_final_message)


def answered(chat: Chat, text: str, prefilled: bool) -> list[dict[str, Any]]:
    """The conversation with the answer: a message of its own, or the rest of the last one."""
    messages = [dict(message) for message in chat]
    if not prefilled:
        return [*messages, {"role": "assistant", "content": text}]
    last = messages[-1]
    return [*messages[:-1], {**last, "content": f"{last['content']}{text}"}]
