"""The prices that an open position waits for: stop, trailing stop, target.

Longs trigger on the bid, shorts on the ask, never on the last trade. A missing side of a quote
crosses nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from fsm.instrument import Instrument
from fsm.position import PositionState
from fsm.vocabulary import ExitReason

if TYPE_CHECKING:
    from actors.entities.position import Position

S = PositionState
_TRAIL_STEPS = 20
"""The trailing stop moves in steps of a twentieth of its distance: each step is journaled, so that
a restart finds the stop where it was, and a quiet market writes nothing."""


@frozen(slots=True)
class Levels:
    """Prices between which nothing happens: longs watch the bid, shorts the ask."""

    watches_bid: bool
    low: Decimal | None
    high: Decimal | None

    def crossed(self, bid: Decimal | None, ask: Decimal | None) -> bool:
        """Whether the quote is at or beyond a level. A missing side crosses nothing."""
        price = bid if self.watches_bid else ask
        if price is None:
            return False
        return (self.low is not None and price <= self.low) or (
            self.high is not None and price >= self.high
        )


def levels(position: Position, instrument: Instrument | None) -> Levels | None:
    """What the position wants to be told of, or None while nothing can trigger."""
    if position.qty == 0 or position.state not in (S.MONITORING, S.EXIT_PENDING):
        return None
    long, stop = position.qty > 0, position.effective_stop
    if position.state is S.EXIT_PENDING:
        if (
            position.exit_reason is None
            or position.exit_reason.priority <= ExitReason.STOP.priority
        ):
            return None
        return Levels(long, stop if long else None, None if long else stop)
    far = _first(position.take_profit, _next_watermark(position, instrument), nearest_is_low=long)
    return Levels(long, stop if long else far, far if long else stop)


def _first(a: Decimal | None, b: Decimal | None, *, nearest_is_low: bool) -> Decimal | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b) if nearest_is_low else max(a, b)


def _next_watermark(position: Position, instrument: Instrument | None) -> Decimal | None:
    """The price from which the trailing stop may be drawn closer."""
    if position.trailing is None or position.watermark is None:
        return None
    step = position.trailing / _TRAIL_STEPS
    if instrument is not None:
        step = max(step, instrument.price_tick)
    return position.watermark + step if position.qty > 0 else position.watermark - step
