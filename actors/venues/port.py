"""The port between the engine and any venue: requests out, messages in, never a blocking call.

A gateway answers nothing directly. What the venue says arrives later as a `VenueMessage`, through
the fact lane; a request that may have been lost is reported as `OutcomeUnknown` or
`CancelUnanswered` (L4), a query that could not be answered as `Unavailable` (L3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fsm.facts import VenueMessage
from fsm.market import MarketData
from fsm.requests import VenueRequest


class VenueGateway(Protocol):
    """What the dispatcher knows of a venue."""

    name: str

    def send(self, request: VenueRequest) -> None:
        """Hand over a request; returns at once and never raises for what the venue does."""


class SimulatedGateway(VenueGateway, Protocol):
    """A venue that lives in simulated time: whoever owns the clock moves it.

    All times are UTC microseconds. `send` stamps the request with the `now_us` last given.
    """

    def market(self, data: MarketData, now_us: int) -> None:
        """Market data reaches the venue's own matching engine at `now_us`."""

    def next_due_us(self) -> int | None:
        """When something happens next by itself (an arrival, a match, a delivery), or None."""

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        """Move the venue's clock to `now_us`; what it says up to then, in order of delivery."""
