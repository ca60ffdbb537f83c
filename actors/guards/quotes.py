"""What guards read of the market: fresh middle prices, and open positions at their mark.

What is missing or stale is None, never zero: the guard that asked skips this observation.
"""

from __future__ import annotations

from decimal import Decimal

from actors.entities.position import Position
from actors.world import World
from fsm.money import ZERO


def fresh_mid(world: World, instrument: str) -> Decimal | None:
    """Middle of a two-sided quote that is not older than `feed.stale_after_s`."""
    view = world.markets.get(instrument)
    if view is None or view.tick is None or world.now_us - view.seen_at_us > stale_us(world):
        return None
    bid, ask = view.tick.bid, view.tick.ask
    return None if bid is None or ask is None else (bid + ask) / 2


def stale_us(world: World) -> int:
    """Age from which a quote is no observation any more, microseconds."""
    return world.rules.stale_after_us


def side_mark(position: Position, world: World) -> Decimal | None:
    """The price at which the position could be closed by the last quote; None without one."""
    quote = world.quote(position.instrument)
    if quote is None:
        return None
    return quote.bid if position.qty > 0 else quote.ask


def is_fresh(position: Position, world: World) -> bool:
    """Whether its mark is there and not older than `feed.stale_after_s`."""
    view = world.markets.get(position.instrument)
    is_new = view is not None and world.now_us - view.seen_at_us <= stale_us(world)
    return is_new and side_mark(position, world) is not None


def has_open(world: World, instrument: str) -> bool:
    """Whether a position with a quantity is open on the instrument."""
    return any(position.qty != ZERO for position in world.open_positions(instrument))
