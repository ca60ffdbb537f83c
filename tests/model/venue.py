"""A venue that may do anything that a venue may do, as one frozen value: its truth and the network.

What is on its way stays on its way until somebody delivers it, so that losing, delaying and
reordering are one thing: not delivered yet. A request may arrive for a while only; then it is lost.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from fsm import facts
from fsm.facts import Absent, Found, Unavailable, VenueMessage
from fsm.requests import Cancel, QueryFills, QueryOpenOrders, QueryOrder, Submit, VenueRequest
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderType, Side
from tests.model.core import OPENING, ORDER, PAIR

QTY, PRICE, FEE = Decimal(3), Decimal(2), Decimal("0.01")
#: A request arrives within a second or never, and an answer is at most one second old: together not
#: more than `venue.max_in_flight_s`, which is what that setting promises.
ARRIVES_WITHIN_US, STALE_MAX_US = SECOND_US, SECOND_US
UNBOUNDED = 99
ENDED = {"canceled": facts.OrderCanceled, "expired": facts.OrderExpired}


@frozen
class Trade:
    """An execution, in the venue's own time."""

    trade_id: str
    order_id: str
    side: Side
    qty: Decimal
    venue_us: int

    def fact(self) -> facts.OrderFill:
        """As the venue tells it."""
        return facts.OrderFill(
            trade_id=self.trade_id, client_order_id=self.order_id, instrument=PAIR,
            venue_order_id=f"V-{self.order_id}", side=self.side, qty=self.qty, price=PRICE,
            fee=FEE, fee_asset="USD", venue_us=self.venue_us,
        )  # fmt: skip


@frozen
class Truth:
    """What the venue has done. `state` of the one order: none, open, filled, canceled, ..."""

    state: str = "none"
    trades: tuple[Trade, ...] = ()
    exits: tuple[tuple[str, Decimal], ...] = ()

    def filled(self, order_id: str = ORDER) -> Decimal:
        """How much of an order was executed."""
        return sum((t.qty for t in self.trades if t.order_id == order_id), Decimal(0))

    def balances(self) -> dict[str, Decimal]:
        """The account's totals."""
        totals = dict(OPENING)
        for trade in self.trades:
            totals["XRP"] += trade.side.sign * trade.qty
            totals["USD"] -= trade.side.sign * trade.qty * PRICE + FEE
        return totals


@frozen
class Budget:
    """How often each thing that goes wrong, or that people do, may happen on one path."""

    crashes: int = 0
    unavailable: int = 0
    duplicates: int = 0
    stale: int = 0
    forgets: int = 0
    unanswered: int = 0
    reconnects: int = 0
    cancels: int = 0
    degrades: int = 0
    fills: int = 3
    expires: int = 0
    rejects: int = 0
    times: int = UNBOUNDED
    """How often time may pass up to the next timer."""

    def spent(self, what: str) -> Budget:
        """With one less of it."""
        return evolve(self, **{what: getattr(self, what) - 1})


@frozen
class Network:
    """The venue and everything that is on its way to it and from it."""

    budget: Budget
    truth: Truth = Truth()
    past: tuple[tuple[Truth, int], ...] = ()
    """Truths that an answer may still tell, oldest first, each with the time of its end."""
    submit_until_us: int | None = None
    cancel_until_us: int | None = None
    facts: tuple[str, ...] = ()
    """Labels of stream facts on their way; see `fact`."""
    queries: tuple[tuple[Any, int], ...] = ()
    """Each with how many of the `past` truths are older than it."""
    submits: tuple[str, ...] = ()
    """Ids of every submit that ever left."""

    # ---------------------------------------------------------------------------- what comes in

    def took(self, requests: list[VenueRequest], now_us: int) -> Network:
        """Requests left the engine."""
        network = self
        for request in requests:
            if isinstance(request, Submit):
                network = network._submit(request, now_us)
            elif isinstance(request, Cancel):
                if request.client_order_id == ORDER:
                    network = evolve(network, cancel_until_us=now_us + ARRIVES_WITHIN_US)
            else:
                network = evolve(network, queries=(*network.queries, (request, len(network.past))))
        return network

    def _submit(self, request: Submit, now_us: int) -> Network:
        name = request.client_order_id
        network = evolve(self, submits=(*self.submits, name))
        if name == ORDER:
            return evolve(network, submit_until_us=now_us + ARRIVES_WITHIN_US)
        # An exit of the engine is carried out at once: this model is about the entry.
        trade = Trade(f"x{len(self.truth.exits)}", name, request.side, request.qty, now_us)
        truth = evolve(
            self.truth,
            trades=(*self.truth.trades, trade),
            exits=(*self.truth.exits, (name, request.qty)),
        )
        return evolve(network, facts=network._with(f"fill:{trade.trade_id}"), truth=truth)

    def _with(self, *labels: str) -> tuple[str, ...]:
        return tuple(sorted({*self.facts, *labels}))

    def without(self, label: str) -> Network:
        """A fact is delivered, or lost."""
        return evolve(self, facts=tuple(f for f in self.facts if f != label))

    def later(self, now_us: int) -> Network:
        """Requests that did not arrive in time are lost."""
        network = self
        if network.submit_until_us is not None and network.submit_until_us <= now_us:
            network = evolve(network, submit_until_us=None)
        if network.cancel_until_us is not None and network.cancel_until_us <= now_us:
            network = evolve(network, cancel_until_us=None)
        return network._forgotten(now_us)

    def _forgotten(self, now_us: int) -> Network:
        """Drop the truths that no answer may tell any more."""
        oldest = min((place for _, place in self.queries), default=len(self.past))
        if self.budget.stale:
            recent = [
                n for n, (_, end_us) in enumerate(self.past) if end_us + STALE_MAX_US > now_us
            ]
            oldest = min(oldest, *recent) if recent else oldest
        if not oldest:
            return self
        queries = tuple((query, place - oldest) for query, place in self.queries)
        return evolve(self, past=self.past[oldest:], queries=queries)

    def tells(self, place: int) -> list[tuple[Truth, bool]]:
        """The truths that an answer to a query may tell, the newest first, and whether each is
        older than the question (a replica that lags behind)."""
        told = [(self.truth, False)]
        for number in range(len(self.past) - 1, -1 if self.budget.stale else place - 1, -1):
            told.append((self.past[number][0], number < place))
        return told

    # ------------------------------------------------------------------------- what the venue does

    def moved(self, truth: Truth, now_us: int, *labels: str) -> Network:
        """The truth changes, and the stream tells."""
        past = (*self.past, (self.truth, now_us))
        return evolve(self, truth=truth, past=past, facts=self._with(*labels))._forgotten(now_us)

    def submit_arrives(self, now_us: int, *, rejects: bool) -> Network:
        network = evolve(self, submit_until_us=None)
        if rejects:
            network = evolve(network, budget=network.budget.spent("rejects"))
            return network.moved(evolve(self.truth, state="rejected"), now_us, "rejected")
        return network.moved(evolve(self.truth, state="open"), now_us, "accepted")

    def cancel_arrives(self, now_us: int) -> Network:
        network = evolve(self, cancel_until_us=None)
        if self.truth.state != "open":
            return evolve(network, facts=self._with("cancel_refused"))
        return network.moved(evolve(self.truth, state="canceled"), now_us, "canceled")

    def expires(self, now_us: int) -> Network:
        network = evolve(self, budget=self.budget.spent("expires"))
        return network.moved(evolve(self.truth, state="expired"), now_us, "expired")

    def fills(self, qty: Decimal, now_us: int) -> Network:
        name = f"t{len([t for t in self.truth.trades if t.order_id == ORDER])}"
        trade = Trade(name, ORDER, Side.BUY, qty, now_us)
        state = "filled" if self.truth.filled() + qty == QTY else "open"
        truth = evolve(self.truth, state=state, trades=(*self.truth.trades, trade))
        network = evolve(self, budget=self.budget.spent("fills"))
        return network.moved(truth, now_us, f"fill:{name}")

    # --------------------------------------------------------------------------- what it says

    def fact(self, label: str) -> VenueMessage:
        """The message behind a label."""
        kind, _, trade_id = label.partition(":")
        if kind == "fill":
            return next(t for t in self.truth.trades if t.trade_id == trade_id).fact()
        ids = {"client_order_id": ORDER, "venue_order_id": f"V-{ORDER}"}
        if kind == "accepted":
            return facts.OrderAccepted(**ids)
        if kind == "rejected":
            return facts.OrderRejected(client_order_id=ORDER, reason="refused")
        if kind == "cancel_refused":
            return facts.CancelRefused(client_order_id=ORDER, reason="not open")
        if kind == "unanswered_submit":
            return facts.OutcomeUnknown(client_order_id=ORDER, reason="cut")
        return ENDED[kind](**ids)

    def answer(self, query: Any, truth: Truth | None = None, *, forgets: bool = False) -> Any:
        """What the venue answers as of a truth, or without what has ended (`forgets`: many a venue
        does not list an order by its id once it is over)."""
        truth = truth or self.truth
        ids = {"request_id": query.request_id}
        if isinstance(query, QueryOpenOrders):
            found = (_order(truth),) if truth.state == "open" else ()
            return facts.OpenOrdersAnswer(**ids, result=Found(found))
        if isinstance(query, QueryFills):
            seen = [t.fact() for t in truth.trades if t.venue_us >= query.since_us]
            page = facts.FillsPage(fills=tuple(seen))
            return facts.FillsAnswer(**ids, instrument=PAIR, result=Found(page))
        if isinstance(query, QueryOrder):
            name = query.client_order_id
            result = _by_id(truth, name, forgets=forgets)
            return facts.OrderAnswer(**ids, client_order_id=name, result=result)
        return facts.BalancesAnswer(**ids, result=Found(truth.balances()))


def unavailable(query: Any) -> VenueMessage:
    """The same query, not answered."""
    ids, result = {"request_id": query.request_id}, Unavailable("503")
    if isinstance(query, QueryOpenOrders):
        return facts.OpenOrdersAnswer(**ids, result=result)
    if isinstance(query, QueryFills):
        return facts.FillsAnswer(**ids, instrument=PAIR, result=result)
    if isinstance(query, QueryOrder):
        return facts.OrderAnswer(**ids, client_order_id=query.client_order_id, result=result)
    return facts.BalancesAnswer(**ids, result=result)


def _order(truth: Truth) -> facts.VenueOrder:
    return facts.VenueOrder(
        venue_order_id=f"V-{ORDER}", client_order_id=ORDER, instrument=PAIR, side=Side.BUY,
        qty=QTY, filled_qty=truth.filled(), state=truth.state, type=OrderType.LIMIT, price=PRICE,
    )  # fmt: skip


def _by_id(truth: Truth, name: str, *, forgets: bool) -> Any:
    if name == ORDER:
        gone = truth.state == "none" or (forgets and truth.state != "open")
        return Absent("no such order") if gone else Found(_order(truth))
    for exit_id, qty in truth.exits:
        if exit_id == name:
            return Found(
                facts.VenueOrder(
                    venue_order_id=f"V-{name}", client_order_id=name, instrument=PAIR,
                    side=Side.SELL, qty=qty, filled_qty=qty, state="filled",
                )
            )  # fmt: skip
    return Absent("no such order")
