"""A network between the engine and the matching venue that fails in one direction at a time.

Requests may be lost or refused, the stream may be silent, queries may fail or be answered by a
replica that lags. The venue itself goes on: it works, fills and ends orders during every outage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from attrs import define, field, frozen

from actors.runtime.clock import SimulatedClock
from actors.venues.sim import SimVenue
from actors.venues.sim.queries import answer, unanswered
from fsm import facts
from fsm.facts import Absent, Found, VenueAnswer, VenueMessage
from fsm.market import MarketData
from fsm.requests import (
    Cancel,
    QueryBalances,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryPositions,
    Submit,
    VenueRequest,
)
from fsm.timestamps import SECOND_US

_LAG_MAX_S = 30


@frozen(kw_only=True)
class Weather:
    """What works at the moment. `told`: a request that is lost is reported as such at once."""

    requests: bool = True
    queries: bool = True
    stream: bool = True
    told: bool = False
    lag_s: int = 0


FAIR = Weather()


@frozen
class _Replica:
    """What a lagging replica shows: the venue as it was."""

    at_us: int
    open: dict[str, facts.VenueOrder]
    known: frozenset[str]
    balances: VenueAnswer
    positions: VenueAnswer


@define
class Network:
    """A `SimulatedGateway` around the matching venue."""

    venue: SimVenue
    clock: SimulatedClock
    name: str = "sim"
    weather: Weather = FAIR
    submits: dict[str, int] = field(factory=dict)
    queries: int = 0
    lost: int = 0
    _said: list[VenueMessage] = field(factory=list)
    _replicas: deque[_Replica] = field(factory=lambda: deque(maxlen=_LAG_MAX_S))

    def becomes(self, weather: Weather) -> None:
        """The weather changes; an end of the stream, and a new one, are noticed where `told`."""
        before, self.weather = self.weather, weather
        if (before.told or weather.told) and before.stream is not weather.stream:
            news = facts.VenueConnected() if weather.stream else facts.VenueDisconnected()
            self._said.append(news)

    # -------------------------------------------------------------------------------------- port

    def send(self, request: VenueRequest) -> None:
        """Out, if something works."""
        if isinstance(request, (Submit, Cancel)):
            if isinstance(request, Submit):
                name = request.client_order_id
                self.submits[name] = self.submits.get(name, 0) + 1
            if self.weather.requests:
                self.venue.send(request, self.clock.now_us())
            elif self.weather.told:
                self._said.append(_lost(request))
            return
        self.queries += 1
        if self.weather.lag_s:
            self._said.append(self._old_answer(request))
        elif self.weather.queries:
            self.venue.send(request, self.clock.now_us())
        elif self.weather.told:
            self._said.append(unanswered(request, "down"))

    def market(self, data: MarketData, now_us: int) -> None:
        """Market data comes another way."""
        self.venue.market(data, now_us)
        if not self._replicas or now_us - self._replicas[-1].at_us >= SECOND_US:
            self._replicas.append(self._replica(now_us))

    def next_due_us(self) -> int | None:
        """The venue's next moment, or now for what we say ourselves."""
        return self.clock.now_us() if self._said else self.venue.next_due_us()

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        """What arrives of what the venue says."""
        said, self._said = self._said, []
        for message in self.venue.advance(now_us):
            is_answer = isinstance(message, VenueAnswer)
            if self.weather.queries if is_answer else self.weather.stream:
                said.append(message)
            else:
                self.lost += 1
                if is_answer and self.weather.told:
                    said.append(_failed(message))
        return said

    # ------------------------------------------------------------------------------------ replica

    def _replica(self, now_us: int) -> _Replica:
        exchange = self.venue.exchange
        return _Replica(
            now_us,
            {name: order.report(now_us) for name, order in exchange.open.items()},
            frozenset(name for name in self.submits if exchange.find(name)),
            answer(exchange, QueryBalances(request_id="")),
            answer(exchange, QueryPositions(request_id="")),
        )

    def _old_answer(self, query: Any) -> VenueAnswer:
        """As of some seconds ago; what had ended by then has ended as it has."""
        until_us = self.clock.now_us() - self.weather.lag_s * SECOND_US
        old = next((r for r in reversed(self._replicas) if r.at_us <= until_us), self._replicas[0])
        ids = {"request_id": query.request_id}
        if isinstance(query, QueryOpenOrders):
            return facts.OpenOrdersAnswer(**ids, result=Found(tuple(old.open.values())))
        if isinstance(query, QueryFills):
            store = self.venue.exchange.store
            page = store.fills(query.instrument, query.since_us, old.at_us, query.limit)
            return facts.FillsAnswer(**ids, instrument=query.instrument, result=Found(page))
        if isinstance(query, QueryOrder):
            name = query.client_order_id
            result: Any = Absent("not known to this replica")
            if name in old.open:
                result = Found(old.open[name])
            elif name in old.known:
                result = Found(self.venue.exchange.find(name).report(old.at_us))  # type: ignore[union-attr]
            return facts.OrderAnswer(**ids, client_order_id=name, result=result)
        if isinstance(query, QueryBalances):
            return facts.BalancesAnswer(**ids, result=old.balances.result)  # type: ignore[arg-type]
        return facts.PositionsAnswer(**ids, result=old.positions.result)  # type: ignore[arg-type]


def _lost(request: Submit | Cancel) -> VenueMessage:
    name = request.client_order_id
    if isinstance(request, Submit):
        return facts.OutcomeUnknown(client_order_id=name, reason="down")
    return facts.CancelUnanswered(client_order_id=name, reason="down")


def _failed(message: Any) -> VenueMessage:
    fields = {"request_id": message.request_id, "result": facts.Unavailable("down")}
    for name in ("client_order_id", "instrument"):
        if hasattr(message, name):
            fields[name] = getattr(message, name)
    return type(message)(**fields)  # type: ignore[no-any-return]
