"""One instrument at the venue: the market's best quote, and our resting orders in priority.

The market is displayed size at the best bid and ask. What was taken of it stays taken until that
side of the quote changes, so that the same displayed size never fills two orders.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from decimal import Decimal

from actors.venues.sim.orders import SimOrder
from fsm.instrument import Instrument
from fsm.market import Tick
from fsm.money import ZERO
from fsm.vocabulary import Side

Resting = tuple[Decimal, int, SimOrder]


class Book:
    """Best quote and resting orders of one instrument; knows nothing of funds."""

    __slots__ = (
        "ask",
        "ask_size",
        "asks",
        "bid",
        "bid_size",
        "bids",
        "instrument",
        "reduce_only",
        "taken_ask",
        "taken_bid",
    )

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.bid_size: Decimal | None = None
        self.ask_size: Decimal | None = None
        self.taken_bid = ZERO
        self.taken_ask = ZERO
        #: Best first: (price key, number, order); the key is the negated price for bids.
        self.bids: list[Resting] = []
        self.asks: list[Resting] = []
        #: Resting reduce-only orders by number: they go when there is nothing left to reduce.
        self.reduce_only: dict[int, SimOrder] = {}

    # ------------------------------------------------------------------------- the market

    def quote(self, tick: Tick) -> None:
        """Take over the market's quote; a side that did not change keeps what was taken of it."""
        if tick.bid != self.bid or tick.bid_size != self.bid_size:
            self.bid, self.bid_size, self.taken_bid = tick.bid, tick.bid_size, ZERO
        if tick.ask != self.ask or tick.ask_size != self.ask_size:
            self.ask, self.ask_size, self.taken_ask = tick.ask, tick.ask_size, ZERO

    def touch(self, taker: Side) -> Decimal | None:
        """The price at which a taker of that side starts, or None without a market."""
        return self.ask if taker is Side.BUY else self.bid

    def mid(self) -> Decimal | None:
        """The middle of the quote, or the only side of it, or None."""
        if self.bid is None or self.ask is None:
            return self.bid if self.ask is None else self.ask
        return (self.bid + self.ask) / 2

    def crosses(self, taker: Side, limit: Decimal) -> bool:
        """Whether a limit order would take from the market right away."""
        touch = self.touch(taker)
        if touch is None:
            return False
        return touch <= limit if taker is Side.BUY else touch >= limit

    def displayed(self, taker: Side) -> Decimal | None:
        """What is left of the displayed size for a taker; None when no size is known."""
        if taker is Side.BUY:
            return None if self.ask_size is None else max(ZERO, self.ask_size - self.taken_ask)
        return None if self.bid_size is None else max(ZERO, self.bid_size - self.taken_bid)

    def take(self, taker: Side, qty: Decimal) -> None:
        """Note that a fill consumed displayed size."""
        if taker is Side.BUY:
            self.taken_ask += qty
        else:
            self.taken_bid += qty

    def plan(
        self, taker: Side, qty: Decimal, limit: Decimal | None, levels_max: int, sized: bool
    ) -> list[tuple[Decimal, Decimal]]:
        """Prices and quantities that an incoming order would get now, best first.

        The first displayed-size chunk costs the touch, each further one a price tick more; the
        last level holds any size, so that a market order fills in full. Changes nothing.
        """
        buying = taker is Side.BUY
        touch, size, taken = (
            (self.ask, self.ask_size, self.taken_ask)
            if buying
            else (self.bid, self.bid_size, self.taken_bid)
        )
        if touch is None or (limit is not None and not self.crosses(taker, limit)):
            return []
        if size is None or not sized:
            return [(touch, qty)]
        if taken + qty <= size:
            return [(touch, qty)]
        if size <= 0:
            return []
        tick = self.instrument.price_tick
        level = min(int(taken // size), levels_max - 1)
        here = size * (level + 1) - taken
        plan: list[tuple[Decimal, Decimal]] = []
        rest = qty
        while rest > 0:
            price = touch + tick * level if buying else max(touch - tick * level, min(tick, touch))
            if limit is not None and (price > limit if buying else price < limit):
                break
            chunk = rest if level >= levels_max - 1 else min(rest, here)
            plan.append((price, chunk))
            rest -= chunk
            level += 1
            here = size
        return plan

    # --------------------------------------------------------------------- resting orders

    def rest(self, order: SimOrder) -> None:
        """Put an order on the book, behind what is displayed at its price."""
        price = order.limit_price
        assert price is not None
        if order.side is Side.BUY:
            order.queue_ahead = (self.bid_size or ZERO) if price == self.bid else ZERO
        else:
            order.queue_ahead = (self.ask_size or ZERO) if price == self.ask else ZERO
        self.insert(order)

    def insert(self, order: SimOrder) -> None:
        """Put an order on the book where its price and number belong (also after a restart)."""
        side, entry = self._entry(order)
        insort(side, entry)
        if order.reduce_only:
            self.reduce_only[order.number] = order

    def remove(self, order: SimOrder) -> None:
        """Take an order off the book."""
        side, entry = self._entry(order)
        index = bisect_left(side, entry)
        assert side[index][2] is order
        del side[index]
        self.reduce_only.pop(order.number, None)

    def best(self, side: Side) -> SimOrder | None:
        """Our resting order that is first in line on that side."""
        resting = self.bids if side is Side.BUY else self.asks
        return resting[0][2] if resting else None

    def resting(self, side: Side) -> list[Resting]:
        """Our resting orders of one side, best first; the list itself, not a copy."""
        return self.bids if side is Side.BUY else self.asks

    def _entry(self, order: SimOrder) -> tuple[list[Resting], Resting]:
        price = order.limit_price
        assert price is not None
        if order.side is Side.BUY:
            return self.bids, (-price, order.number, order)
        return self.asks, (price, order.number, order)
