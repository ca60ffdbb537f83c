"""What guards read of the market: fresh middle prices, and open positions at their mark.

What is missing or stale is None, never zero: the guard that asked skips this observation.
"""

from __future__ import annotations

from decimal import Decimal

from actors.entities.position import Position
from actors.world import World
from fsm.money import ZERO
from fsm.pnl import unrealized


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


def open_profit(position: Position, world: World) -> Decimal:
    """Unrealized profit at the side that would be paid; 0 without a quote, as in the account."""
    quote = world.quote(position.instrument)
    mark = None if quote is None else quote.bid if position.qty > 0 else quote.ask
    return unrealized(position.holding, mark)


def has_open(world: World, instrument: str) -> bool:
    """Whether a position with a quantity is open on the instrument."""
    return any(position.qty != ZERO for position in world.open_positions(instrument))
