"""Simulated time: one loop in which neither the clock nor the venue passes an outstanding commit.

Everything that can happen next (market data, the venue, a timer, a scripted step) is looked at in
time order; between two moments the engine runs until nothing is runnable. So the journal is a
function of input and seed.
"""

from __future__ import annotations

from actors.engine import Engine
from actors.runtime.clock import SimulatedClock
from actors.venues.port import SimulatedGateway
from fsm.market import MarketData

_SETTLE_MAX = 1_000_000


class Simulation:
    """Drives an engine with an inline journal and a venue that lives in the same time."""

    def __init__(self, engine: Engine, clock: SimulatedClock, venue: SimulatedGateway) -> None:
        self.engine, self.clock, self.venue = engine, clock, venue

    def settle(self) -> None:
        """Run turns until nothing is runnable and time would have to pass."""
        dispatcher, venue = self.engine.dispatcher, self.venue
        now_us = self.clock.now_us()
        for _ in range(_SETTLE_MAX):
            while dispatcher.has_work() and dispatcher.run_turn():
                pass
            due = venue.next_due_us()
            if due is None or due > now_us:
                return
            for message in venue.advance(now_us):
                self._deliver(message)
            if not dispatcher.has_work() and venue.next_due_us() == due:
                return
        raise AssertionError("the simulation does not settle: something keeps telling itself")

    def feed_at(self, data: MarketData, at_us: int) -> None:
        """As `feed`, but at the time when we received it, whatever the source's clock says."""
        if at_us > self.clock.now_us():
            self.run_until(at_us)
        self.venue.market(data, self.clock.now_us())
        self._venue_speaks(self.clock.now_us())
        self.engine.inbox.market.offer(data)
        self.settle()

    def run_until(self, target_us: int) -> None:
        """Let time pass up to a moment, with everything that happens on the way."""
        self.settle()
        while True:
            moment = self._next_moment()
            if moment is None or moment > target_us:
                break
            self.clock.move_to(moment)
            self._venue_speaks(moment)
            self.settle()
        self.clock.move_to(target_us)
        self._venue_speaks(target_us)
        self.settle()

    def _next_moment(self) -> int | None:
        moments = [
            m for m in (self.engine.timers.next_due_us(), self.venue.next_due_us()) if m is not None
        ]
        return min(moments, default=None)

    def _venue_speaks(self, now_us: int) -> None:
        for message in self.venue.advance(now_us):
            self._deliver(message)

    def _deliver(self, message: object) -> None:
        """Into the fact lane; while it is full the venue waits for a turn (L9)."""
        while not self.engine.inbox.fact_nowait(message):
            self.engine.dispatcher.run_turn()

    def feed(self, data: MarketData) -> None:
        """One row of market data at its own time: first the venue sees it, then the engine."""
        clock, dispatcher, event_us = self.clock, self.engine.dispatcher, data.event_us
        if event_us > clock.now_us():
            if self._is_due(self.engine.timers.next_due_us(), event_us) or self._is_due(
                self.venue.next_due_us(), event_us
            ):
                self.run_until(event_us)
            else:
                clock.move_to(event_us)
        now_us = clock.now_us()
        self.venue.market(data, now_us)
        if self._is_due(self.venue.next_due_us(), now_us):
            self._venue_speaks(now_us)
        if dispatcher.has_work():
            self.engine.inbox.market.offer(data)
            self.settle()
        elif dispatcher.take_market(data):
            self.settle()

    @staticmethod
    def _is_due(due_us: int | None, now_us: int) -> bool:
        return due_us is not None and due_us <= now_us
