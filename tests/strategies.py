"""Hypothesis strategies that more than one area needs: every value and every event of `fsm`.

Derived from the attrs classes themselves, so that a new event type is covered when it is born.
"""

from __future__ import annotations

import types
import typing
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
from hypothesis import strategies as st

from fsm.events import EVENT_TYPES, Event

#: Identifiers as venues and people write them, and any text that JSON can carry.
names = st.text(st.characters(codec="utf-8"), max_size=20)
decimals = st.decimals(
    min_value=Decimal("-1e12"), max_value=Decimal("1e12"), allow_nan=False, allow_infinity=False
)
#: Quantities and prices that an instrument with four places allows.
quantities = st.integers(1, 10**6).map(lambda n: Decimal(n) / 10000)
prices = st.integers(1, 10**8).map(lambda n: Decimal(n) / 10000)
micros = st.integers(0, 4_102_444_800_000_000)


def of_type(kind: Any) -> st.SearchStrategy[Any]:
    """Values of one annotated type."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([of_type(arg) for arg in args])
    if origin is tuple:
        return st.lists(of_type(args[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(of_type(args[0]), of_type(args[1]), max_size=3)
    if attrs.has(kind):
        return built(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: names,
        int: micros,
        bool: st.booleans(),
        Decimal: decimals,
        type(None): st.none(),
    }
    return plain[kind]


def built(cls: type) -> st.SearchStrategy[Any]:
    """Instances of an attrs class with every field drawn."""
    hints = typing.get_type_hints(cls)
    return st.builds(cls, **{a.name: of_type(hints[a.name]) for a in attrs.fields(cls)})


events: st.SearchStrategy[Event] = st.one_of([built(cls) for cls in EVENT_TYPES.values()])
