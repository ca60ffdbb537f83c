"""`ScriptedVenue`: a venue that says only what it was told to say, for scenario files.

A table of answers decides what requests are answered: the latest wins, one that names an order
before a general one. What no answer covers goes to the venue behind it when there is one; without
one, submits and cancels leave and get no answer, balances are the books' own, and every other
query is `Unavailable` (L3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from attrs import define, frozen

from actors.venues.port import SimulatedGateway
from fsm import facts
from fsm.facts import Absent, Found, Unavailable, VenueMessage, VenueOrder
from fsm.market import MarketData
from fsm.money import ZERO
from fsm.requests import (
    Cancel,
    Query,
    QueryBalances,
    QueryFills,
    QueryOpenOrders,
    QueryOrder,
    QueryPositions,
    Submit,
    VenueRequest,
)
from fsm.vocabulary import Side

_QUERY_OF: dict[type, str] = {
    Submit: "submit",
    Cancel: "cancel",
    QueryOrder: "order",
    QueryOpenOrders: "open_orders",
    QueryFills: "fills",
    QueryPositions: "positions",
    QueryBalances: "balances",
}


@frozen(slots=True, kw_only=True)
class Answer:
    """What a query is answered. `result`: found, absent, unavailable, timeout, rejected.

    `state`, `filled_qty` and `venue_order_id` are about one order; a list that is not about the
    query is empty.
    """

    query: str
    result: str
    client_order_id: str | None = None
    instrument: str | None = None
    reason: str = ""
    state: str | None = None
    filled_qty: Decimal = ZERO
    venue_order_id: str | None = None
    orders: tuple[VenueOrder, ...] = ()
    fills: tuple[facts.OrderFill, ...] = ()
    positions: tuple[facts.PositionReport, ...] = ()
    balances: Mapping[str, Decimal] | None = None


@define
class _Entry:
    answer: Answer
    left: int | None


class ScriptedVenue:
    """Implements `SimulatedGateway`; answers arrive in the moment of the request."""

    def __init__(
        self,
        books_balances: Callable[[], Mapping[str, Decimal]],
        behind: SimulatedGateway | None = None,
        name: str = "scripted",
    ) -> None:
        self.name = name
        self.behind = behind
        self.empty_account = False
        """While True (the first start) the venue has no orders, no fills and no positions."""
        self._balances = books_balances
        self._answers: list[_Entry] = []
        self._outbox: list[VenueMessage] = []
        self._now_us = 0
        self._orders: dict[str, Submit] = {}

    # ------------------------------------------------------------------------------------ script

    def answer(self, answer: Answer, times: int | None = None) -> None:
        """From now on (at most `times` times) answer like this."""
        self._answers.append(_Entry(answer, times))

    def say(self, message: VenueMessage) -> None:
        """Say something by itself: it is delivered with the next `advance`."""
        self._outbox.append(message)

    def _answer_for(
        self, query: str, client_order_id: str | None, instrument: str | None
    ) -> Answer | None:
        """The latest that fits; one that names this order before one that names none."""
        best: _Entry | None = None
        for entry in self._answers:
            answer = entry.answer
            if answer.query != query or entry.left == 0:
                continue
            if answer.client_order_id is not None and answer.client_order_id != client_order_id:
                continue
            if answer.instrument is not None and answer.instrument != instrument:
                continue
            if best is None or _precision(answer) >= _precision(best.answer):
                best = entry
        if best is None:
            return None
        if best.left is not None:
            best.left -= 1
        return best.answer

    # -------------------------------------------------------------------------------------- port

    def send(self, request: VenueRequest) -> None:
        """Answer by the script, or hand it to the venue behind."""
        order_id = getattr(request, "client_order_id", None)
        instrument = getattr(request, "instrument", None)
        if isinstance(request, Submit):
            self._orders[request.client_order_id] = request
        answer = self._answer_for(_QUERY_OF[type(request)], order_id, instrument)
        if answer is not None:
            self._outbox += self._answered(request, answer)
        elif self.behind is not None:
            self.behind.send(request)
        elif not isinstance(request, (Submit, Cancel)):
            self._outbox.append(self._unscripted(request))

    def market(self, data: MarketData, now_us: int) -> None:
        """Market data is for the venue behind."""
        self._now_us = max(self._now_us, now_us)
        if self.behind is not None:
            self.behind.market(data, now_us)

    def next_due_us(self) -> int | None:
        """Now when something waits to be said, else what the venue behind says."""
        if self._outbox:
            return self._now_us
        return self.behind.next_due_us() if self.behind is not None else None

    def advance(self, now_us: int) -> Sequence[VenueMessage]:
        """What is said up to now, the script's own words first."""
        self._now_us = max(self._now_us, now_us)
        said, self._outbox = self._outbox, []
        if self.behind is not None:
            said = [*said, *self.behind.advance(now_us)]
        return said

    # ----------------------------------------------------------------------------------- answers

    def _unscripted(self, request: Query) -> VenueMessage:
        if isinstance(request, QueryBalances):
            return facts.BalancesAnswer(
                request_id=request.request_id, result=Found(dict(self._balances()))
            )
        if self.empty_account and not isinstance(request, QueryOrder):
            return _empty(request)
        return unavailable(request, "no step says what the venue answers")

    def _answered(self, request: VenueRequest, answer: Answer) -> list[VenueMessage]:
        if answer.result == "timeout":
            return []
        if isinstance(request, Submit):
            return [_submit_answer(request, answer)]
        if isinstance(request, Cancel):
            return [_cancel_answer(request, answer)]
        if answer.result == "unavailable":
            return [unavailable(request, answer.reason or "unavailable")]
        if isinstance(request, QueryOrder):
            return [self._order_answer(request, answer)]
        return [_list_answer(request, answer)]

    def _order_answer(self, request: QueryOrder, answer: Answer) -> VenueMessage:
        ids = {"request_id": request.request_id, "client_order_id": request.client_order_id}
        if answer.result == "absent":
            return facts.OrderAnswer(**ids, result=Absent(answer.reason or "no such order"))
        sent = self._orders.get(request.client_order_id)
        state = answer.state or ("rejected" if answer.result == "rejected" else "open")
        qty = sent.qty if sent else answer.filled_qty
        order = VenueOrder(
            venue_order_id=answer.venue_order_id
            or request.venue_order_id
            or f"V-{request.client_order_id}",
            client_order_id=request.client_order_id,
            instrument=request.instrument,
            side=sent.side if sent else Side.BUY,
            qty=qty,
            filled_qty=qty if state == "filled" and not answer.filled_qty else answer.filled_qty,
            state=state,
            price=sent.limit_price if sent else None,
            reason=answer.reason,
            venue_us=self._now_us,
        )
        return facts.OrderAnswer(**ids, result=Found(order))


def _precision(answer: Answer) -> int:
    return 2 * (answer.client_order_id is not None) + (answer.instrument is not None)


def _submit_answer(request: Submit, answer: Answer) -> VenueMessage:
    order_id = request.client_order_id
    if answer.result == "found":
        return facts.OrderAccepted(client_order_id=order_id, venue_order_id=answer.venue_order_id)
    if answer.result == "rejected":
        return facts.OrderRejected(client_order_id=order_id, reason=answer.reason or "rejected")
    return facts.OutcomeUnknown(client_order_id=order_id, reason=answer.reason or "unavailable")


def _cancel_answer(request: Cancel, answer: Answer) -> VenueMessage:
    order_id = request.client_order_id
    if answer.result == "found":
        return facts.OrderCanceled(client_order_id=order_id, reason=answer.reason)
    if answer.result == "rejected":
        return facts.CancelRefused(client_order_id=order_id, reason=answer.reason or "refused")
    return facts.CancelUnanswered(client_order_id=order_id, reason=answer.reason or "unavailable")


def _list_answer(request: Query, answer: Answer) -> VenueMessage:
    """Open orders, fills, positions, balances; `absent` means an empty list."""
    request_id = request.request_id
    if isinstance(request, QueryOpenOrders):
        return facts.OpenOrdersAnswer(request_id=request_id, result=Found(answer.orders))
    if isinstance(request, QueryFills):
        fills = tuple(f for f in answer.fills if f.instrument in (None, request.instrument))
        return facts.FillsAnswer(
            request_id=request_id,
            instrument=request.instrument,
            result=Found(facts.FillsPage(fills=fills)),
        )
    if isinstance(request, QueryPositions):
        return facts.PositionsAnswer(request_id=request_id, result=Found(answer.positions))
    return facts.BalancesAnswer(request_id=request_id, result=Found(dict(answer.balances or {})))


def _empty(request: Query) -> VenueMessage:
    return _list_answer(request, Answer(query="", result="found"))


def unavailable(request: Query, reason: str) -> VenueMessage:
    """The answer to a query that could not be answered (L3)."""
    result = Unavailable(reason)
    request_id = request.request_id
    if isinstance(request, QueryOrder):
        return facts.OrderAnswer(
            request_id=request_id, client_order_id=request.client_order_id, result=result
        )
    if isinstance(request, QueryOpenOrders):
        return facts.OpenOrdersAnswer(request_id=request_id, result=result)
    if isinstance(request, QueryFills):
        return facts.FillsAnswer(
            request_id=request_id, instrument=request.instrument, result=result
        )
    if isinstance(request, QueryPositions):
        return facts.PositionsAnswer(request_id=request_id, result=result)
    return facts.BalancesAnswer(request_id=request_id, result=result)
