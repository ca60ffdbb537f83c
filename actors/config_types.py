"""What values of the configuration look like: strict structuring, and their text (L12).

Exactly the declared type: True is no number, 1.9 is no integer, 5 is no text. Decimals come as
numbers or as text, lists from the environment separated by commas, tables as NAME=VALUE pairs.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args, get_origin

import attrs
import cattrs
from attrs import field

from fsm.money import decimal_from, plain

NONE = "none"
_BOOLS = ("true", "false")


def key(
    default: Any,
    about: str,
    low: float | str | None = None,
    high: float | str | None = None,
    choices: tuple[str, ...] = (),
    refused: Mapping[str, str] | None = None,
) -> Any:
    """One configuration key: its default, its meaning, and its inclusive range or its choices.

    `refused` holds words that a person may expect to work, each with why it does not.
    """
    bounds = [None if bound is None else Decimal(str(bound)) for bound in (low, high)]
    meta: dict[str, Any] = {"about": about, "low": bounds[0], "high": bounds[1]}
    meta |= {"choices": choices, "refused": refused or {}}
    return field(default=default, metadata=meta)


def from_text(kind: Any, text: str) -> Any:
    """What TOML would have given for this text; the strict hooks judge it afterwards."""
    if kind is bool:
        return {"true": True, "false": False}[text.lower()] if text.lower() in _BOOLS else text
    if kind is int:
        return int(text)
    if kind is float:
        return Decimal(text)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if _is_list(kind):
        return parts
    if _is_table(kind):
        return dict(_pair(part) for part in parts)
    return text


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(text)
    return name.strip(), value.strip()


def _strict(expected: type) -> Any:
    """Exactly this type: True is no number, 1.9 is no integer, 5 is no text."""

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not expected:
            raise ValueError(value)
        return value

    return structure


def _seconds(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _is_list(kind: Any) -> bool:
    return bool(get_origin(kind) is tuple)


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _is_optional(kind: Any) -> bool:
    return isinstance(kind, types.UnionType)


def _optional_decimal(value: Any, _: Any) -> Decimal | None:
    return None if value == NONE else decimal_from(value)


def _names(value: Any, _: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(type(item) is str for item in value):
        raise ValueError(value)
    return tuple(value)


def _amounts(value: Any, _: Any) -> dict[str, Decimal]:
    """Amounts by name, none below zero."""
    if not isinstance(value, Mapping) or not all(type(name) is str for name in value):
        raise ValueError(value)
    found = {name: decimal_from(amount) for name, amount in value.items()}
    if any(amount < 0 for amount in found.values()):
        raise ValueError(value)
    return found


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(float, _seconds)
    converter.register_structure_hook(Decimal, lambda value, _: decimal_from(value))
    converter.register_structure_hook_func(_is_list, _names)
    converter.register_structure_hook_func(_is_table, _amounts)
    converter.register_structure_hook_func(_is_optional, _optional_decimal)
    return converter


_CONVERTER = _converter()


def structured(value: Any, kind: Any, *, text: bool) -> Any:
    """The value as its type; `text`: given as text. Raises ValueError, TypeError, KeyError or an
    ArithmeticError for what is not of this type."""
    return _CONVERTER.structure(from_text(kind, value) if text else value, kind)


def type_name(kind: Any) -> str:
    """The type in words, for errors and the reference."""
    if _is_optional(kind):
        return f"{type_name(get_args(kind)[0])} or {NONE!r}"
    if _is_table(kind):
        return "a table of decimals"
    plain_names = {str: "text", int: "an integer", bool: "true or false", Decimal: "a decimal"}
    return plain_names.get(kind, "a list of text" if _is_list(kind) else "a number")


def text_of(value: Any) -> str:
    """A value as a person would write it in the file, without quotes."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return plain(Decimal(str(value)))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={plain(amount)}" for name, amount in value.items()) or "(empty)"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "(empty)"
    return str(value) or "(empty)"


def range_text(at: attrs.Attribute[Any]) -> str:
    """The choices, or the inclusive range, of a key; empty without."""
    if choices := at.metadata["choices"]:
        return ", ".join(choices)
    low, high = at.metadata["low"], at.metadata["high"]
    return "" if low is None else f"{plain(low)}..{plain(high)}"
