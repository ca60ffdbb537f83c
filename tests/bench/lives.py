"""Whole lives in real time: entry, protective stop and target, exit; batch after batch.

A batch of positions opens at one price; then the price jumps over their targets, with the next
batch over their stops, and the exits follow. The price comes back for the next batch.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import define

from tests.bench.driving import Durable, market_order, quote_at
from tests.bench.sizes import ASK, BID

BATCH = 500
_LEVEL, _JUMP = Decimal(1_000), Decimal(1_500)


@define
class Lives:
    """The source of `count` lives for a rig; each is two orders."""

    rig: Durable
    count: int
    on_batch: Callable[[int], None] = lambda lives: None
    """Told after each batch how many lives have ended."""
    ended: int = 0
    placed: int = 0
    jumped: bool = False
    batches: int = 0

    def top_up(self) -> None:
        """Place what is left of the batch; move the price when all are open, or all have ended."""
        until = min(self.ended + BATCH, self.count)
        control = self.rig.engine.inbox.control
        while self.placed < until and not control.is_full:
            stop, target = BID - _LEVEL, BID + _LEVEL
            order = market_order(self.placed, stop=stop, take_profit=target)
            self.rig.engine.inbox.command(order)
            self.placed += 1
        filled = self.rig.ended - 2 * self.ended
        if not self.jumped and self.placed == until and filled == until - self.ended > 0:
            self._price(_JUMP if self.batches % 2 else -_JUMP)
            self.jumped = True
        elif self.jumped and filled == 2 * (until - self.ended):
            self.ended, self.jumped = until, False
            self.batches += 1
            self._price(Decimal(0))
            self.on_batch(self.ended)

    def done(self) -> bool:
        """All lives have ended and are durable."""
        return self.ended == self.count and self.rig.quiet

    def _price(self, move: Decimal) -> None:
        tick = quote_at(self.rig.engine.clock.now_us(), BID + move, ASK + move)
        self.rig.venue.market(tick)
        self.rig.engine.inbox.market_data(tick)
