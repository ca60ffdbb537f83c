"""Strict structuring of one table at a time: what is unknown, missing or wrong is one clear error.

Responsible for types and keys only; where they stand in a file is the caller's knowledge.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import attrs
import cattrs

from actors.chaos.scenario import Us
from fsm.money import decimal_from

T = TypeVar("T")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|h|d)?")
_UNITS_US = {
    "us": 1,
    "ms": 1_000,
    "s": 10**6,
    "m": 60 * 10**6,
    "h": 3_600 * 10**6,
    "d": 86_400 * 10**6,
}


class Wrong(Exception):
    """A key is wrong: `key` names it (dotted), the message says why."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """The valid word that looks most like the wrong one, as the end of a sentence."""
    words = sorted(valid)
    close = difflib.get_close_matches(wrong, words, n=1, cutoff=0.0)
    return f"did you mean {close[0]!r}?" if close else "no word is valid here"


def duration_us(value: object) -> int:
    """`"1.5s"`, `"500ms"`, `"2m"`, or a number of seconds, in microseconds. Raises ValueError."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        value = f"{value}s"
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f'not a duration: {value!r} (write "1.5s", "500ms" or "2m")')
    return int(Decimal(found[1]) * _UNITS_US[found[2] or "s"])


def structure(cls: type[T], table: Any, at: str) -> T:
    """An instance of an attrs class from a table. Raises Wrong with the key below `at`."""
    if not isinstance(table, Mapping):
        raise Wrong(at, f"must be a table, not {table!r}")
    known = {_spelling(a.name): a for a in attrs.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise Wrong(f"{at}.{key}", f"unknown key; {nearest(key, known)}")
        name = known[key].name
        values[name] = _value(hints[name], value, f"{at}.{key}")
    for key, attribute in known.items():
        if attribute.default is attrs.NOTHING and attribute.name not in values:
            raise Wrong(f"{at}.{key}", "is missing")
    return cls(**values)


def _spelling(name: str) -> str:
    """`for_` is written `for`, which is a word of the language in Python only."""
    return name.rstrip("_")


def _value(kind: Any, value: Any, at: str) -> Any:
    if get_origin(kind) is tuple and attrs.has(get_args(kind)[0]):
        if not isinstance(value, list):
            raise Wrong(at, f"must be a list, not {value!r}")
        return tuple(structure(get_args(kind)[0], x, f"{at}[{n}]") for n, x in enumerate(value))
    try:
        word = _word_kind(kind)
        return _word(value, word) if word is not None else _converter().structure(value, kind)
    except (cattrs.BaseValidationError, ValueError, TypeError) as problem:
        raise Wrong(at, _first_line(problem)) from None


def _first_line(problem: BaseException) -> str:
    while isinstance(problem, cattrs.BaseValidationError) and problem.exceptions:
        problem = problem.exceptions[0]
    return (str(problem).splitlines() or [type(problem).__name__])[0]


@cache
def _converter() -> cattrs.Converter:
    """Strict hooks: nothing is turned into something else in silence."""
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook(Decimal, lambda value, _: decimal_from(value))
    converter.register_structure_hook(str, lambda value, _: _exactly(value, str, "text"))
    converter.register_structure_hook(int, lambda value, _: _exactly(value, int, "a whole number"))
    converter.register_structure_hook(bool, lambda value, _: _exactly(value, bool, "true or false"))
    converter.register_structure_hook_func(lambda kind: kind is Us, lambda v, _: duration_us(v))
    converter.register_structure_hook_func(_is_optional, _optional)
    return converter


def _word_kind(kind: Any) -> type[StrEnum] | None:
    """The enum that is meant, also where it may be left out. (A hook for `str` would catch it.)"""
    for option in get_args(kind) if isinstance(kind, UnionType) else (kind,):
        if isinstance(option, type) and issubclass(option, StrEnum):
            return option
    return None


def _is_optional(kind: Any) -> bool:
    return isinstance(kind, UnionType) and type(None) in get_args(kind)


def _optional(value: Any, kind: Any) -> Any:
    inner = next(arg for arg in get_args(kind) if arg is not type(None))
    return None if value is None else _converter().structure(value, inner)


def _exactly(value: Any, kind: type, what: str) -> Any:
    if type(value) is not kind:
        raise ValueError(f"must be {what}, not {value!r}")
    return value


def _word(value: Any, kind: type[StrEnum]) -> StrEnum:
    words = [str(member) for member in kind]
    if not isinstance(value, str) or value not in words:
        raise ValueError(
            f"{value!r} is not one of {', '.join(words)}; {nearest(str(value), words)}"
        )
    return kind(value)
