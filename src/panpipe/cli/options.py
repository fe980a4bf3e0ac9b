"""A task's parameters as options of the command line, read from the pipeline itself.

Which there are and of what type, the signature of its `_sanitize_parameters` says; what they mean, its docstring. A
parameter that the docstring does not name is a deprecated one: it works, and is not shown.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["TaskOption", "add_options", "as_typed", "field_options", "given_options", "spell_out", "task_options"]

_PYTHON_ONLY = {"return_tensors", "return_text", "return_type", "offset_mapping"}  # they choose between Python objects
_SHORT = {"candidate_labels": "labels"}
_GENERATION = {  # what its parameters mean, in a line; the others work too
    "max_new_tokens": "the most tokens to write",
    "max_length": "the same, with those of the prompt counted",
    "min_new_tokens": "the fewest tokens to write",
    "max_time": "seconds after which a text ends",
    "stop_strings": "strings that end a text, and stay in it",
    "do_sample": "draw the tokens; without, take the likeliest",
    "temperature": "below 1 for likelier tokens, above 1 for others",
    "top_k": "draw among so many tokens; 0 for all",
    "top_p": "draw among the likeliest tokens that have this much probability together",
    "min_p": "draw among tokens at least this likely, as a part of the likeliest one's probability",
    "num_beams": "texts that are followed at once, to find the likeliest",
    "num_return_sequences": "texts to write for each input",
    "length_penalty": "of beams: above 0 for longer texts",
    "early_stopping": "of beams: when to stop; never for not before it is impossible to do better",
    "repetition_penalty": "above 1 for fewer words that were there before",
    "no_repeat_ngram_size": "no so many tokens in a row twice",
    "bad_words_ids": "tokens never to write",
}
_OF_NO_STRINGS = re.compile(r"Sequence\[(?!str)")
_NO_OPTION = re.compile("output_|return_|transformers_")
_WORD = re.compile(r"[a-z][a-z_]{1,19}")  # what a choice looks like: longest_first, auto


@dataclass(frozen=True)
class TaskOption:
    """One parameter. kind: "flag", "flag or word", "whole number", "number", "list", "JSON" or "text"."""

    name: str
    kind: str
    help: str | None

    @property
    def flags(self) -> list[str]:
        """Its spellings: --top-k."""
        names = [_SHORT[self.name], self.name] if self.name in _SHORT else [self.name]
        return ["--" + name.replace("_", "-") for name in names]


def task_options(pipeline_class: Any) -> list[TaskOption]:
    """The options of a pipeline's class."""
    from ..pipelines.lengths import LONG_TEXT, STRATEGIES
    from ..pipelines.parameters import LENGTH_ARGUMENTS

    own = [p for p in _parameters(pipeline_class._sanitize_parameters) if p.name not in _PYTHON_ONLY]
    documented = _documentation(pipeline_class, [p.name for p in own])
    options = {p.name: TaskOption(p.name, _kind(str(p.annotation)), documented.get(p.name)) for p in own}
    lengths = {
        "truncation": ("flag or word", f"cut long texts; how: {', '.join(STRATEGIES)}"),
        "max_length": ("whole number", "the tokens that texts are cut to"),
        "long_text": ("text", f"what becomes of a text that is too long for the model: {', '.join(LONG_TEXT)}"),
    }
    takes = {p.name for p in _parameters(pipeline_class.encode)}
    is_open = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(pipeline_class.encode).parameters.values())
    for name in LENGTH_ARGUMENTS:
        if (is_open or name in takes) and not (name == "max_length" and name in options):
            kind, about = lengths[name]
            options[name] = TaskOption(name, kind, about)
    if hasattr(pipeline_class, "class_defaults"):
        options = {**options, **_generation_options(options)}
    return list(options.values())


def _generation_options(own: Mapping[str, TaskOption]) -> dict[str, TaskOption]:
    """The parameters of generation, those among them that a task has by name too."""
    from ..generation import GenerationConfig

    found = {}
    for parameter in fields(GenerationConfig):
        name = parameter.name
        if not _NO_OPTION.match(name):
            kind = own[name].kind if name in own else _kind(str(parameter.type))
            found[name] = TaskOption(name, kind, _GENERATION.get(name))
    return found


def field_options(kind: Any) -> list[TaskOption]:
    """The options of a dataclass: its fields, those that its docstring names with what it says."""
    taken = [each for each in fields(kind) if each.init]
    documented = _documentation(kind, [each.name for each in taken])
    return [TaskOption(each.name, _kind(str(each.type)), documented.get(each.name)) for each in taken]


def add_options(
    parser: argparse.ArgumentParser, options: Sequence[TaskOption], title: str = "options of the task"
) -> None:
    """Let the parser take them. Those not given are not in its answer."""
    group = parser.add_argument_group(title)
    for option in options:
        about = argparse.SUPPRESS if option.help is None else option.help.replace("%", "%%")
        more: dict[str, Any] = {"dest": option.name, "default": argparse.SUPPRESS, "help": about}
        if option.kind == "flag":
            group.add_argument(*option.flags, action=argparse.BooleanOptionalAction, **more)
            continue
        metavar = {"whole number": "N", "number": "X", "list": "A,B", "JSON": "JSON"}.get(option.kind, "TEXT")
        if option.kind == "flag or word":
            metavar = "WORD"
            no = [flag.replace("--", "--no-", 1) for flag in option.flags]
            group.add_argument(*no, action="store_const", const=False, **{**more, "help": argparse.SUPPRESS})
        group.add_argument(*option.flags, type=_READERS[option.kind], metavar=metavar, **more)


def spell_out(arguments: Sequence[str], options: Sequence[TaskOption]) -> list[str]:
    """`--truncation` alone is `--truncation=true`; a word after it, if there is one, is its value."""
    words = {flag for option in options if option.kind == "flag or word" for flag in option.flags}
    spelled: list[str] = []
    is_option = True
    for argument, after in zip(arguments, [*arguments[1:], ""], strict=False):
        is_option = is_option and argument != "--"
        is_bare = is_option and argument in words and not _WORD.fullmatch(after)
        spelled.append(argument + "=true" if is_bare else argument)
    return spelled


def given_options(parsed: argparse.Namespace, options: Sequence[TaskOption]) -> dict[str, Any]:
    """The parameters that were given."""
    return {option.name: getattr(parsed, option.name) for option in options if hasattr(parsed, option.name)}


def as_typed(message: str, options: Sequence[TaskOption]) -> str:
    """An error's message with `long_text="window"` written as it is typed here: --long-text window."""
    for option in options:
        flag = option.flags[0]
        message = re.sub(rf"\b{option.name}=True\b", flag, message)
        message = re.sub(rf"\b{option.name}=False\b", flag.replace("--", "--no-", 1), message)
        message = re.sub(rf"\b{option.name}=\"(\w+)\"", rf"{flag} \1", message)
        message = re.sub(rf"\b{option.name}=(?=[\"'\w\[{{])", flag + " ", message)
        if "_" in option.name:
            message = re.sub(rf"(?<!-)\b{option.name}\b", flag, message)
    return message


def _parameters(function: Any) -> list[inspect.Parameter]:
    """A method's named parameters, without self."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p for p in list(inspect.signature(function).parameters.values())[1:] if p.kind in named]


def _kind(annotation: str) -> str:
    """The kind of option for a type as it is written: "bool | None", "str | Sequence[str] | None"."""
    types = {part.strip().split("[")[0] for part in annotation.split("|")} - {"None"}
    if "Mapping" in types or "dict" in types or _OF_NO_STRINGS.search(annotation):
        return "JSON"
    if types & {"Sequence", "Iterable", "list", "Any"}:
        return "list"
    if types == {"bool"}:
        return "flag"
    if "bool" in types:
        return "flag or word"
    return {"int": "whole number", "float": "number"}.get("".join(sorted(types)), "text")


def _documentation(pipeline_class: Any, names: Sequence[str]) -> dict[str, str]:
    """What the class's docstring says of each parameter, to the end of the first sentence."""
    text = inspect.getdoc(pipeline_class) or ""
    found: dict[str, str] = {}
    for name in names:
        match = re.search(
            rf"(?:^|   |\n)(?:\w+, )*{name}(?:, \w+)*(?:=(\S+))?: (.+?)(?:\.\s|\.?$|\.?\n\n)", text, re.DOTALL
        )
        if match:  # name: what it does; or name="choice": what that choice does
            found[name] = " ".join(f"{match[1] + ': ' if match[1] else ''}{match[2]}".split())
    return found


def _truth_or_word(text: str) -> bool | str:
    return {"true": True, "false": False}.get(text.lower(), text)


def _whole_number(text: str) -> int | None:
    return None if text.lower() in ("all", "none") else int(text)


def _listed(text: str) -> Any:
    """A JSON list, or the parts between commas."""
    if text.lstrip().startswith("["):
        return _json(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON ({error})") from None


def _text(text: str) -> str:
    return text


_whole_number.__name__ = "whole number"  # argparse names them in its errors
_READERS: dict[str, Callable[[str], Any]] = {
    "flag or word": _truth_or_word,
    "whole number": _whole_number,
    "number": float,
    "list": _listed,
    "JSON": _json,
    "text": _text,
}
