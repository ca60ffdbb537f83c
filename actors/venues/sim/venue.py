"""`SimVenue`: the simulated venue behind the port, in the time that its owner gives it.

Responsible for latency and order of delivery, and for writing before answering: every `advance`
commits what happened since the last one, and only then returns messages. What the venue does is in
exchange.py. Not thread-safe; no wall clock, and no randomness but the injected generator.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush

from attrs import frozen

from actors.venues.sim.exchange import Exchange
from actors.venues.sim.queries import answer, unanswered
from actors.venues.sim.settings import SimSettings
from actors.venues.sim.store import MemoryStore, Store
from actors.venues.sim.truth import VenueTruth
from fsm.facts import (
    CancelUnanswered,
    OrderRejected,
    VenueMessage,
)
from fsm.instrument import Instrument
from fsm.market import MarketData, Tick
from fsm.requests import Cancel, Submit, VenueRequest

_REQUEST, _MESSAGE = 0, 1


@frozen(slots=True, kw_only=True)
class SimStatistics:
    """Counts since the venue was built."""

    requests: int
    messages: int
    in_flight: int
    turned_away: int
    open_orders: int


class SimVenue:
    """A venue in simulated time (`SimulatedGateway`).

    `balances` open the account, unless `truth` already holds an earlier life: then that counts.
    Raises ValueError when the truth holds instruments that are not given.
    """

    def __init__(
        self,
        instruments: Iterable[Instrument],
        balances: Mapping[str, Decimal],
        settings: SimSettings,
        rng: random.Random,
        truth: VenueTruth | None = None,
        name: str = "sim",
    ) -> None:
        self.name = name
        self.settings = settings
        self.store: Store = truth if truth is not None else MemoryStore()
        self._rng = rng
        self._at_once = not (settings.latency_us or settings.latency_jitter_us)
        self._outbox: list[VenueMessage] = []
        #: (due_us, sequence, what, payload)
        self._heap: list[tuple[int, int, int, VenueRequest | VenueMessage]] = []
        self._sequence = 0
        # Both ways are streams: nothing overtakes, whatever jitter was drawn.
        self._last_arrival_us = 0
        self._last_delivery_us = 0
        self._requests = 0
        self._messages = 0
        self._turned_away = 0
        emit = self._outbox.append if self._at_once else self._depart
        self.exchange = Exchange(instruments, balances, settings, self.store, emit)
        self._now_us = self.exchange.now_us
        self.commit()

    # -------------------------------------------------------------------------------- port

    def send(self, request: VenueRequest, now_us: int | None = None) -> None:
        """Take a request, stamped `now_us` or with the time last given. Never raises for it."""
        if now_us is not None:
            self._run(now_us)
        self._requests += 1
        if len(self._heap) + len(self._outbox) >= self.settings.in_flight_max:
            self._turn_away(request)
        elif self._at_once:
            self._handle(request)
        else:
            self._last_arrival_us = max(self._last_arrival_us, self._now_us + self._delay_us())
            self._push(self._last_arrival_us, _REQUEST, request)

    def market(self, data: MarketData, now_us: int) -> None:
        """Market data reaches the matching engine at once; what was due before it goes first."""
        self._run(now_us)
        if isinstance(data, Tick):
            self.exchange.on_tick(data)
        else:
            self.exchange.on_trade(data)

    def apply_funding(self, instrument: str, rate: Decimal, now_us: int) -> None:
        """Funding on an open position: longs pay `rate` (a fraction) of the notional to shorts.

        Raises ValueError for an instrument without funding, or without any market.
        """
        self._run(now_us)
        self.exchange.apply_funding(instrument, rate)

    def transfer(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """Funds come or go by themselves; durable when this returns, and once for each `ref`:
        False when it was there already. Raises ValueError when more is taken than is free."""
        moved = self.exchange.transfer(ref, amounts)
        self.commit()
        return moved

    def take_back(self, ref: str, amounts: Mapping[str, Decimal]) -> bool:
        """A transfer whose booking was refused after all never was; the same `ref` may come again.
        Durable when this returns; False when it was not there."""
        undone = self.exchange.take_back(ref, amounts)
        self.commit()
        return undone

    def next_due_us(self) -> int | None:
        """When the next request arrives or message leaves; now when messages wait; or None."""
        if self._outbox:
            return self._now_us
        return self._heap[0][0] if self._heap else None

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        """Move to `now_us`, commit to the truth, and return what the venue says up to then."""
        self._run(now_us)
        self.commit()
        if not self._outbox:
            return ()
        messages = self._outbox.copy()
        self._outbox.clear()
        self._messages += len(messages)
        return messages

    # --------------------------------------------------------------------------- lifecycle

    def commit(self) -> None:
        """Write what has changed; `advance` does so by itself."""
        if self.exchange.dirty:
            self.store.commit(self.exchange.state())
            self.exchange.dirty = False

    def close(self) -> None:
        """Commit and let go of the truth. What is in flight is lost, as at a real venue's end."""
        self.commit()
        self.store.close()

    def statistics(self) -> SimStatistics:
        """Counts for the status document."""
        return SimStatistics(
            requests=self._requests,
            messages=self._messages,
            in_flight=len(self._heap) + len(self._outbox),
            turned_away=self._turned_away,
            open_orders=len(self.exchange.open),
        )

    # ------------------------------------------------------------------------------- inside

    def _run(self, now_us: int) -> None:
        """Handle what is due up to `now_us`, each at its own time. Time never goes back."""
        heap = self._heap
        while heap and heap[0][0] <= now_us:
            due_us, _, what, payload = heappop(heap)
            self._now_us = self.exchange.now_us = max(due_us, self._now_us)
            if what == _REQUEST:
                self._handle(payload)  # type: ignore[arg-type]
            else:
                self._outbox.append(payload)  # type: ignore[arg-type]
        if now_us > self._now_us:
            self._now_us = self.exchange.now_us = now_us

    def _handle(self, request: VenueRequest) -> None:
        if isinstance(request, Submit):
            self.exchange.submit(request)
        elif isinstance(request, Cancel):
            self.exchange.cancel(request)
        else:
            self.exchange.emit(answer(self.exchange, request))

    def _turn_away(self, request: VenueRequest) -> None:
        """At the limit (L9) the request never reaches the matching engine, and the client hears."""
        self._turned_away += 1
        reason = "too many requests in flight"
        if isinstance(request, Submit):
            self._outbox.append(
                OrderRejected(
                    client_order_id=request.client_order_id, reason=reason, venue_us=self._now_us
                )
            )
        elif isinstance(request, Cancel):
            self._outbox.append(
                CancelUnanswered(client_order_id=request.client_order_id, reason=reason)
            )
        else:
            self._outbox.append(unanswered(request, reason))

    def _depart(self, message: VenueMessage) -> None:
        self._last_delivery_us = max(self._last_delivery_us, self._now_us + self._delay_us())
        self._push(self._last_delivery_us, _MESSAGE, message)

    def _delay_us(self) -> int:
        jitter_us = self.settings.latency_jitter_us
        extra_us = self._rng.randrange(jitter_us + 1) if jitter_us else 0
        return self.settings.latency_us + extra_us

    def _push(self, due_us: int, what: int, payload: VenueRequest | VenueMessage) -> None:
        self._sequence += 1
        heappush(self._heap, (due_us, self._sequence, what, payload))
