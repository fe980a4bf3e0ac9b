"""What `info` and `doctor` found, as aligned lines or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from .terminal import bold, elided, padded, terminal_width, width, write_line

__all__ = ["amount", "print_report"]


def print_report(report: Mapping[str, Any], as_json: bool) -> None:
    """Print a mapping of titles to mappings (or lists, or plain values)."""
    if as_json:
        write_line(sys.stdout, json.dumps(report, ensure_ascii=False, indent=2, default=str))
        return
    names = [_words(name) for part in report.values() if isinstance(part, Mapping) for name in part]
    column = max(map(width, [*names, *map(_words, report)]), default=0) + 2
    for title, part in report.items():
        if isinstance(part, Mapping):
            write_line(sys.stdout, bold(_words(title), sys.stdout))
            for name, value in map(_valued, part, part.values()):
                _print_value("  " + padded(name, column), value)
        elif isinstance(part, list):
            write_line(sys.stdout, bold(_words(title), sys.stdout))
            for value in part:
                write_line(sys.stdout, f"  - {value}")
        else:
            _print_value(padded(_words(title), column + 2), part)


def amount(size_bytes: int) -> str:
    """A size in words: 87.3 MB."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("the loop ends with GB")


def _print_value(name: str, value: Any) -> None:
    room = max(30, terminal_width() - width(name)) if sys.stdout.isatty() else 10_000
    lines = value if isinstance(value, list) else [value]
    for line in lines or ["none"]:
        write_line(sys.stdout, (name + elided(_shown(line), room)).rstrip())
        name = " " * width(name)


def _valued(name: str, value: Any) -> tuple[str, Any]:
    """A name and its value; "size_bytes" as a size."""
    if name.endswith("_bytes"):
        return _words(name.removesuffix("_bytes")), amount(value)
    return _words(name), value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
