"""Where each key of a TOML text stands; the standard parser does not say.

Responsible for line numbers in error messages only: values come from `tomllib`. A line inside a
multi-line string that looks like a key can only mislead the number, never a value.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

KeyPath = tuple[str, ...]

_HEADER = re.compile(r"\s*\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?$")
_PART = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""
_ASSIGNMENT = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Where each table and key of a valid TOML text stands; the parser does not say."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = toml_path(header[1])
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *toml_path(assignment[1])), number)
    return lines


def line_of(at: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key, or of what holds it (inline tables), or of its first member."""
    for length in range(len(at), 0, -1):
        if at[:length] in lines:
            return lines[at[:length]]
    return min((n for path, n in lines.items() if path[: len(at)] == at), default=1)


def toml_path(dotted: str) -> KeyPath:
    """`a."b.c".d` as its parts."""
    try:
        document = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return (dotted,)
    path: list[str] = []
    node: Any = document
    while isinstance(node, dict):
        name, node = next(iter(node.items()))
        path.append(name)
    return tuple(path)
