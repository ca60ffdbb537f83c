"""Market data inside the core: last quotes, and the levels that open positions wait for.

Levels are indexed per instrument: a tick that crosses none of them costs four comparisons,
whatever the number of open positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import define, field

from actors import messages as msg
from actors.entities.levels import Levels, levels
from actors.world import MarketView, World
from fsm.market import MarketTrade, Tick


@define(slots=True)
class Watch:
    """The nearest levels of one instrument, and who waits for what."""

    waiting: list[tuple[str, Levels]] = field(factory=list)
    bid_low: Decimal | None = None
    bid_high: Decimal | None = None
    ask_low: Decimal | None = None
    ask_high: Decimal | None = None
    stale: bool = True

    def may_cross(self, bid: Decimal | None, ask: Decimal | None) -> bool:
        """Whether any level is crossed by this quote."""
        if bid is not None and (
            (self.bid_low is not None and bid <= self.bid_low)
            or (self.bid_high is not None and bid >= self.bid_high)
        ):
            return True
        return ask is not None and (
            (self.ask_low is not None and ask <= self.ask_low)
            or (self.ask_high is not None and ask >= self.ask_high)
        )


class Markets:
    """Takes market data in and says which positions have to hear of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._watches: dict[str, Watch] = {}

    def changed(self, instrument: str) -> None:
        """A position of this instrument changed: its levels are looked at again."""
        watch = self._watches.get(instrument)
        if watch is not None:
            watch.stale = True

    def view(self, instrument: str) -> MarketView:
        """The instrument's view, made at its first use."""
        view = self.world.markets.get(instrument)
        if view is None:
            view = self.world.markets[instrument] = MarketView()
        return view

    def on_tick(self, tick: Tick) -> Sequence[msg.PriceCrossed]:
        """Take a quote in; the positions whose level it crosses."""
        view = self.view(tick.instrument)
        if view.tick is not None and tick.event_us < view.tick.event_us:
            view.out_of_order += 1  # counted; an older quote is not news and triggers nothing
            return ()
        view.tick, view.seen_at_us = tick, self.world.now_us
        view.ticks += 1
        watch = self._watches.get(tick.instrument)
        if watch is None:
            watch = self._watches[tick.instrument] = Watch()
        if watch.stale:
            self._index(tick.instrument, watch)
        if not watch.may_cross(tick.bid, tick.ask):
            return ()
        return [
            msg.PriceCrossed(position_id, tick.bid, tick.ask, tick.event_us)
            for position_id, found in watch.waiting
            if found.crossed(tick.bid, tick.ask)
        ]

    def on_trade(self, trade: MarketTrade) -> None:
        """Take a public trade in; it triggers nothing (stops go by quotes, never by the last)."""
        self.view(trade.instrument).trades += 1

    def _index(self, instrument: str, watch: Watch) -> None:
        spec = self.world.instruments.get(instrument)
        watch.waiting = []
        for position in self.world.open_positions(instrument):
            found = levels(position, spec)
            if found is not None:
                watch.waiting.append((position.position_id, found))
        on_bid = [item for _, item in watch.waiting if item.watches_bid]
        on_ask = [item for _, item in watch.waiting if not item.watches_bid]
        watch.bid_low = max((x.low for x in on_bid if x.low is not None), default=None)
        watch.bid_high = min((x.high for x in on_bid if x.high is not None), default=None)
        watch.ask_low = max((x.low for x in on_ask if x.low is not None), default=None)
        watch.ask_high = min((x.high for x in on_ask if x.high is not None), default=None)
        watch.stale = False
