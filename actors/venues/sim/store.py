"""Where the venue keeps what has happened: the port, and the in-memory backend.

The venue itself holds open orders, balances and positions. A store holds everything else: orders
that are done, fills, every client id ever used.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from attrs import Factory, define

from actors.venues.sim.funds import SimPosition
from actors.venues.sim.orders import SimOrder
from fsm.facts import FillsPage, FundingPaid, OrderFill

DUPLICATES = "duplicate_client_order_id"
#: With the reference of a transfer: it is in the balances.
TRANSFER = "transfer:"


@define(slots=True, kw_only=True)
class VenueState:
    """What the venue needs to go on after a restart."""

    orders: list[SimOrder] = Factory(list)
    balances: dict[str, Decimal] = Factory(dict)
    positions: dict[str, SimPosition] = Factory(dict)
    order_number: int = 0
    trade_number: int = 0
    funding_number: int = 0
    now_us: int = 0
    counters: dict[str, int] = Factory(dict)


class Store(Protocol):
    """What the exchange writes down. Nothing is promised before `commit` returns."""

    def restore(self) -> VenueState | None:
        """The state of an earlier life, or None when there was none."""

    def find(self, client_order_id: str) -> SimOrder | None:
        """An order by its client id, in whatever state."""

    def save_order(self, order: SimOrder) -> None:
        """Keep the order as it will be at the next commit."""

    def save_fill(self, number: int, fill: OrderFill) -> None:
        """Keep a fill; numbers and times only grow."""

    def save_funding(self, number: int, funding: FundingPaid) -> None:
        """Keep a funding payment."""

    def fills(self, instrument: str, since_us: int, until_us: int, limit: int) -> FillsPage:
        """Fills with since <= time <= until, oldest first, cut by `page_end`."""

    def commit(self, state: VenueState) -> None:
        """Make all of it durable, before any answer leaves."""

    def close(self) -> None:
        """Let go of the file; uncommitted changes are dropped."""


def page_end(times: list[int], start: int, since_us: int, limit: int) -> int:
    """Where a page of fills ends in `times` (sorted), so that asking on never loses a fill.

    A page holds whole microseconds, even beyond `limit`: the next one starts, inclusively, at the
    last time of this one. For the same reason a page that is not complete reaches past
    `since_us`: otherwise a microsecond of `limit` fills would be answered for ever.
    """
    end = min(start + max(limit, 1), len(times))
    if end == start:
        return end
    end = bisect_left(times, times[end - 1] + 1, end - 1)
    if end < len(times) and times[end - 1] == since_us:
        end = bisect_left(times, times[end] + 1, end)
    return end


class MemoryStore:
    """Everything in dictionaries: for benchmarks and scenarios. Grows with the run."""

    def __init__(self) -> None:
        self._orders: dict[str, SimOrder] = {}
        self._fills: dict[str, tuple[list[int], list[OrderFill]]] = {}
        self.funding: list[FundingPaid] = []

    def restore(self) -> VenueState | None:
        """Memory has no earlier life."""
        return None

    def find(self, client_order_id: str) -> SimOrder | None:
        """An order by its client id, in whatever state."""
        return self._orders.get(client_order_id)

    def save_order(self, order: SimOrder) -> None:
        """Keep the order itself."""
        self._orders[order.client_order_id] = order

    def save_fill(self, number: int, fill: OrderFill) -> None:
        """Keep a fill."""
        assert fill.instrument is not None
        kept = self._fills.get(fill.instrument)
        if kept is None:
            kept = self._fills[fill.instrument] = ([], [])
        kept[0].append(fill.venue_us)
        kept[1].append(fill)

    def save_funding(self, number: int, funding: FundingPaid) -> None:
        """Keep a funding payment."""
        self.funding.append(funding)

    def fills(self, instrument: str, since_us: int, until_us: int, limit: int) -> FillsPage:
        """One page of fills, oldest first."""
        times, fills = self._fills.get(instrument, ([], []))
        start = bisect_left(times, since_us)
        last = bisect_left(times, until_us + 1)
        visible = times if last == len(times) else times[:last]
        end = page_end(visible, start, since_us, limit) if start < last else start
        return FillsPage(fills=tuple(fills[start:end]), complete=end >= last)

    def orders(self) -> Iterable[SimOrder]:
        """Every order ever submitted, oldest first (tests compare with it)."""
        return self._orders.values()

    def commit(self, state: VenueState) -> None:
        """Nothing outlives the process."""

    def close(self) -> None:
        """Nothing to let go of."""
