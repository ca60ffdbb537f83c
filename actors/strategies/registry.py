"""Which strategies exist, and how one is built from its configuration (L12)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs

from actors.strategies.base import Strategy
from actors.strategies.buy_and_hold import BuyAndHold
from actors.strategies.canary import AlwaysTradeCanary
from actors.strategies.momentum import Momentum
from fsm.money import decimal_from

STRATEGIES: dict[str, type[Any]] = {
    cls.name: cls for cls in (AlwaysTradeCanary, Momentum, BuyAndHold)
}


class StrategyError(ValueError):
    """A strategy or one of its parameters that does not exist or does not parse."""


def parameters(cls: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    """The declared parameters of a strategy class: its Decimal attributes."""
    return {
        a.name: a
        for a in attrs.fields(cls)
        if not a.name.startswith("_") and a.name != "lookback_us"
    }


def build(name: str, params: Mapping[str, Any]) -> Strategy:
    """The strategy with these parameters. Raises StrategyError naming the nearest valid word."""
    cls = STRATEGIES.get(name)
    if cls is None:
        raise StrategyError(f"no strategy {name!r}{_nearest(name, STRATEGIES)}")
    known = parameters(cls)
    values: dict[str, Decimal] = {}
    for key, value in params.items():
        if key not in known:
            raise StrategyError(f"strategy {name}: no parameter {key!r}{_nearest(key, known)}")
        try:
            values[key] = decimal_from(value)
        except ValueError as problem:
            raise StrategyError(f"strategy {name}: {key}: {problem}") from None
    strategy: Strategy = cls(**values)
    return strategy


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
