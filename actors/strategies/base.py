"""What a strategy is: declared parameters, one instrument, and `evaluate(window) -> Signal | None`.

It sees only data with a time up to now, sends no orders and sees no money that it may not use;
what raises in it blocks its own entries and nothing else (L8). Drop a module in, register it in
`actors.strategies.registry`, name it in the configuration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Protocol

from attrs import define, field, frozen

from fsm.instrument import Instrument
from fsm.market import MarketTrade, Tick
from fsm.money import floor_to_step
from fsm.vocabulary import Side

BPS = Decimal(10_000)


@frozen(slots=True, kw_only=True)
class Signal:
    """A wish to open a position. Give `qty` (base units) or `notional` (quote units).

    `stop` and `take_profit` are prices, `trailing` a distance in quote units; what is left out is
    set by the risk door's defaults. `inputs` is what the decision was made from, for `explain`.
    """

    side: Side
    qty: Decimal | None = None
    notional: Decimal | None = None
    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Decimal | None = None
    expires_in_us: int | None = None
    inputs: Mapping[str, str] = field(factory=dict)


@define(slots=True)
class Window:
    """What a strategy sees: the instrument, the last quote, and the recent past, bounded."""

    instrument: Instrument
    length_us: int
    now_us: int = 0
    tick: Tick | None = None
    trade: MarketTrade | None = None
    open_positions: int = 0
    mids: deque[tuple[int, Decimal]] = field(factory=lambda: deque(maxlen=4_096))

    def observe(self, tick: Tick) -> None:
        """Take in a quote; one mid a tenth of a second is kept, so that memory stays bounded."""
        self.tick = tick
        if tick.bid is None or tick.ask is None:
            return
        if self.mids and tick.event_us - self.mids[-1][0] < 100_000:
            return
        self.mids.append((tick.event_us, (tick.bid + tick.ask) / 2))
        while self.mids and self.mids[0][0] < tick.event_us - self.length_us:
            self.mids.popleft()

    @property
    def mid(self) -> Decimal | None:
        """The middle of the last two-sided quote."""
        if self.tick is None or self.tick.bid is None or self.tick.ask is None:
            return None
        return (self.tick.bid + self.tick.ask) / 2


class Strategy(Protocol):
    """The class that a strategy author writes."""

    name: ClassVar[str]
    about: ClassVar[str]
    lookback_us: int

    def evaluate(self, window: Window) -> Signal | None:
        """A signal, or None. Called on quotes while no position of this strategy is open."""


def price_at(reference: Decimal, bps: Decimal, sign: int, instrument: Instrument) -> Decimal:
    """The price `bps` away from a reference, on the price grid (rounded towards zero)."""
    return floor_to_step(reference * (1 + sign * bps / BPS), instrument.price_tick)
