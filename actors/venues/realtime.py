"""Drives a simulated venue in real time, in the engine's own process.

The venue itself stays synchronous and knows no clock: the service here reads one (injected,
UTC microseconds), sleeps until something is due, and delivers messages in order. When `deliver`
waits because the lane is full, so does the venue: facts are never dropped (L9).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio

from actors.venues.sim.venue import SimVenue
from fsm.facts import VenueConnected, VenueMessage
from fsm.market import MarketData
from fsm.requests import VenueRequest

Deliver = Callable[[VenueMessage], Awaitable[None]]


class Wake:
    """A flag that one task sets, without waiting, and another one waits for."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def set(self) -> None:
        """Wake the waiter, now or as soon as it waits."""
        self._event.set()

    async def wait(self, timeout_s: float = math.inf) -> None:
        """Until set, or until the time-out; either way the flag is down afterwards."""
        with trio.move_on_after(max(0.0, timeout_s)):
            await self._event.wait()
        if self._event.is_set():
            self._event = trio.Event()


async def run_sim_in_process(
    venue: SimVenue, clock_us: Callable[[], int], deliver: Deliver, wake: Wake
) -> None:
    """Move the venue along the clock until cancelled; whoever calls it with news sets `wake`."""
    while True:
        for message in venue.advance(clock_us()):
            await deliver(message)
        due_us = venue.next_due_us()
        timeout_s = math.inf if due_us is None else (due_us - clock_us()) / 1_000_000
        await wake.wait(timeout_s)


class InProcessVenue:
    """A `VenueGateway` around a `SimVenue` of this process: stamps requests and wakes its loop."""

    def __init__(self, venue: SimVenue, clock_us: Callable[[], int]) -> None:
        self.name = venue.name
        self.venue = venue
        self._clock_us = clock_us
        self._wake = Wake()

    def send(self, request: VenueRequest) -> None:
        """Hand over a request; it arrives after the venue's latency."""
        self.venue.send(request, self._clock_us())
        self._wake.set()

    def market(self, data: MarketData) -> None:
        """Market data for the venue's matching engine."""
        self.venue.market(data, self._clock_us())
        self._wake.set()

    @property
    def transfers(self) -> SimVenue:
        """Where capital commands move funds: the account is a simulated one, and ours."""
        return self.venue

    async def run(self, deliver: Deliver) -> None:
        """Say that the session is up, then serve until cancelled."""
        await deliver(VenueConnected(venue_us=self._clock_us()))
        await run_sim_in_process(self.venue, self._clock_us, deliver, self._wake)
