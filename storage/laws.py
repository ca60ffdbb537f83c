"""The laws that a journal alone can prove, checked event by event (L1, L5, assertions 1 and 3).

Responsible for what the record says about itself. Whether it is intact (chain, head) and whether
the tables say the same is `storage.verify`'s part. What is kept in memory is a few words an order
and a position; events are seen once and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from attrs import define, field

from fsm import events as ev
from fsm.compiled import Table
from fsm.events import Recorded
from fsm.money import ZERO
from fsm.order import TABLE as ORDER_TABLE
from fsm.order import TERMINAL, OrderState, fill_guard
from fsm.order import OrderTrigger as OrderT
from fsm.position import TABLE as POSITION_TABLE
from fsm.position import PositionState
from fsm.position import PositionTrigger as PositionT
from storage.capital import UNREADABLE, CapitalUnreadable, value_of


@define(slots=True)
class _Order:
    qty: Decimal
    state: OrderState = OrderState.INTENDED
    sent: bool = False
    filled: Decimal = ZERO
    trades: dict[str, Decimal | None] = field(factory=dict)  # None: voided


@define(slots=True)
class _Position:
    state: PositionState = PositionState.ENTRY
    qty: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO


@define(slots=True)
class _Turn:
    """What the current turn still owes: a position change for each fill and void."""

    number: int = 0
    due: dict[tuple[str, str, str], int] = field(factory=dict)
    keys_due: dict[tuple[str, str], int] = field(factory=dict)
    last_seq: int = 0


@define(slots=True)
class Laws:
    """Feed `see` with every event in order, then `finish`. `report` gets (seq, what is wrong)."""

    report: Callable[[int, str], None]
    keys_of_turn: Callable[[int], list[str]] = lambda last_seq: []
    counts: dict[str, int] = field(factory=dict)
    _at_us: int = 0
    _turn: _Turn = field(factory=_Turn)
    _orders: dict[str, _Order] = field(factory=dict)
    _positions: dict[str, _Position] = field(factory=dict)
    _sessions: dict[str, int | None] = field(factory=dict)
    _undecided: dict[str, int] = field(factory=dict)
    _signals: set[str] = field(factory=set)
    _quotes: set[str] = field(factory=set)

    def see(self, at: Recorded) -> None:
        """Check one event against everything before it."""
        if at.turn != self._turn.number:
            self._turn_over()
            if at.turn < self._turn.number:
                self.report(at.seq, f"turn {at.turn} after turn {self._turn.number}")
            self._turn.number = at.turn
        if at.at_us < self._at_us:
            self.report(at.seq, f"its time goes back by {self._at_us - at.at_us} us")
        if at.stream != at.event.stream:
            self.report(at.seq, f"stands in stream {at.stream}, belongs to {at.event.stream}")
        self._at_us, self._turn.last_seq = max(at.at_us, self._at_us), at.seq
        handler = _HANDLERS.get(type(at.event))
        if handler is not None:
            handler(self, at.seq, at.event)

    def finish(self) -> None:
        """What only the end can tell: the last turn's debts, signals that nobody decided."""
        self._turn_over()
        for signal_id, seq in self._undecided.items():
            self.report(seq, f"signal {signal_id} was never decided (assertion 1)")

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _turn_over(self) -> None:
        turn = self._turn
        for (position_id, order_id, trade_id), seq in turn.due.items():
            self.report(
                seq,
                f"trade {trade_id} of order {order_id} has no change of position {position_id} "
                f"in turn {turn.number} (assertion 3)",
            )
        turn.due.clear()
        keys = self.keys_of_turn(turn.last_seq)
        for (order_id, trade_id), seq in turn.keys_due.items():
            named = f"|{order_id}|fill|{trade_id}|"
            if not any(named in key for key in keys):
                self.report(seq, f"trade {trade_id} of order {order_id} has no dedup key (L5)")
        turn.keys_due.clear()

    # ----------------------------------------------------------------------------------- orders

    def _order(self, seq: int, client_order_id: str) -> _Order | None:
        order = self._orders.get(client_order_id)
        if order is None:
            self.report(seq, f"order {client_order_id} was never intended (L1)")
        return order

    def _step(self, seq: int, order_id: str, to: OrderState, trigger: str, *guards: str) -> None:
        order = self._orders[order_id]
        was, order.state = order.state, to
        if was in TERMINAL and to not in TERMINAL:
            self.report(seq, f"order {order_id} came back from {was} to {to}")
        elif not _legal(ORDER_TABLE, was, trigger, to, guards):
            self.report(seq, f"order {order_id}: {trigger} does not lead from {was} to {to}")

    def _intended(self, seq: int, e: ev.OrderIntended) -> None:
        self._count("orders")
        if e.client_order_id in self._orders:
            self.report(seq, f"order {e.client_order_id} is intended a second time")
            return
        self._orders[e.client_order_id] = _Order(e.qty)

    def _sent(self, seq: int, e: ev.OrderSent) -> None:
        order = self._order(seq, e.client_order_id)
        if order is None:
            return
        if order.sent:
            self.report(seq, f"order {e.client_order_id} was sent a second time (L4)")
            return
        order.sent = True
        self._step(seq, e.client_order_id, e.state, OrderT.SENT)

    def _acknowledged(self, seq: int, e: ev.OrderAcknowledged) -> None:
        if self._order(seq, e.client_order_id) is not None:
            trigger = OrderT.FOUND_OPEN if e.found else OrderT.ACCEPTED
            self._step(seq, e.client_order_id, e.state, trigger)

    def _order_moved(self, seq: int, e: ev.OrderMoved) -> None:
        if self._order(seq, e.client_order_id) is not None:
            self._step(seq, e.client_order_id, e.state, e.trigger)

    def _filled(self, seq: int, e: ev.OrderFilled) -> None:
        self._count("fills")
        order = self._order(seq, e.client_order_id)
        if order is None:
            return
        name = f"trade {e.trade_id} of order {e.client_order_id}"
        if e.trade_id in order.trades:
            self.report(seq, f"{name} is booked a second time (L5)")
        if e.qty <= 0:
            self.report(seq, f"{name} has quantity {e.qty}")
        guard = fill_guard(order.qty - order.filled, e.qty)
        order.filled += e.qty
        order.trades[e.trade_id] = e.qty
        self._check(seq, f"order {e.client_order_id}: filled", e.filled_qty, order.filled)
        order.filled = e.filled_qty
        self._step(seq, e.client_order_id, e.state, OrderT.FILL, guard)
        self._turn.keys_due[(e.client_order_id, e.trade_id)] = seq
        if e.position_id is not None:
            self._turn.due[(e.position_id, e.client_order_id, e.trade_id)] = seq

    def _settled(self, seq: int, e: ev.OrderFillSettled) -> None:
        order = self._order(seq, e.client_order_id)
        if order is not None and e.trade_id not in order.trades:
            self.report(seq, f"settles trade {e.trade_id} of {e.client_order_id}, never booked")

    def _voided(self, seq: int, e: ev.OrderFillVoided) -> None:
        self._count("voids")
        order = self._order(seq, e.client_order_id)
        if order is None:
            return
        booked = order.trades.get(e.trade_id)
        if booked is None:
            self.report(seq, f"voids trade {e.trade_id} of {e.client_order_id}, not booked")
        elif booked != e.qty:
            self.report(seq, f"voids {e.qty} of trade {e.trade_id}, booked was {booked}")
        order.trades[e.trade_id] = None
        order.filled -= e.qty
        self._check(seq, f"order {e.client_order_id}: filled", e.filled_qty, order.filled)
        order.filled = e.filled_qty
        self._step(seq, e.client_order_id, e.state, OrderT.FILL_VOIDED)
        if e.position_id is not None:
            self._turn.due[(e.position_id, e.client_order_id, e.trade_id)] = seq

    def _check(self, seq: int, what: str, says: Decimal, sums_to: Decimal) -> None:
        if says != sums_to:
            self.report(seq, f"{what} says {says}, the events before it sum to {sums_to}")

    # -------------------------------------------------------------------------------- positions

    def _opened(self, seq: int, e: ev.PositionOpened) -> None:
        self._count("positions")
        if e.position_id in self._positions:
            self.report(seq, f"position {e.position_id} is opened a second time")
            return
        self._positions[e.position_id] = _Position()

    def _changed(self, seq: int, e: ev.PositionChanged) -> None:
        if e.client_order_id is not None and e.trade_id is not None:
            self._turn.due.pop((e.position_id, e.client_order_id, e.trade_id), None)
        position = self._positions.get(e.position_id)
        if position is None:
            self.report(seq, f"position {e.position_id} was never opened")
            return
        name = f"position {e.position_id}:"
        self._check(seq, f"{name} quantity", e.qty, position.qty + e.qty_delta)
        self._check(seq, f"{name} realized", e.realized_pnl, position.realized + e.realized_delta)
        self._check(seq, f"{name} fees", e.fees, position.fees + e.fee_quote)
        position.qty, position.realized, position.fees = e.qty, e.realized_pnl, e.fees
        was, position.state = position.state, e.state
        triggers = (PositionT.QTY_CHANGED, PositionT.RESOLVED)
        if not any(_legal(POSITION_TABLE, was, t, e.state) for t in triggers):
            self.report(seq, f"{name} a change of quantity does not lead from {was} to {e.state}")

    def _position_moved(self, seq: int, e: ev.PositionMoved | ev.ExitDecided) -> None:
        position = self._positions.get(e.position_id)
        if position is None:
            self.report(seq, f"position {e.position_id} was never opened")
            return
        was, position.state = position.state, e.state
        if not _legal(POSITION_TABLE, was, e.trigger, e.state):
            step = f"{e.trigger} does not lead from {was} to {e.state}"
            self.report(seq, f"position {e.position_id}: {step}")

    # ---------------------------------------------------------------------- sessions and signals

    def _session_started(self, seq: int, e: ev.SessionStarted) -> None:
        self._count("sessions")
        self._quotes |= {spec.quote for spec in e.instruments}
        if e.session_id in self._sessions:
            self.report(seq, f"session {e.session_id} starts a second time")
        self._sessions[e.session_id] = e.started_at_us

    def _capital(self, seq: int, e: ev.CapitalRecorded) -> None:
        self._count("capital_events")
        try:
            value = value_of(e, self._quotes or {e.asset})
        except CapitalUnreadable as problem:
            self.report(seq, f"{UNREADABLE}: {problem}")
            return
        if e.value is not None and e.value != value:
            self.report(seq, f"{e.kind} of {e.amount} {e.asset} is worth {value}, not {e.value}")

    def _session_ended(self, seq: int, e: ev.SessionEnded) -> None:
        started = self._sessions.get(e.session_id)
        if e.session_id not in self._sessions:
            self.report(seq, f"session {e.session_id} ends and never started")
        elif started is None:
            self.report(seq, f"session {e.session_id} ends a second time")
        elif e.ended_at_us < started:
            self.report(seq, f"session {e.session_id} ends before it started")
        self._sessions[e.session_id] = None

    def _raised(self, seq: int, e: ev.SignalRaised) -> None:
        self._count("signals")
        if e.signal_id in self._signals:
            self.report(seq, f"signal {e.signal_id} is raised a second time")
        self._signals.add(e.signal_id)
        self._undecided[e.signal_id] = seq

    def _decided(self, seq: int, e: ev.SignalDecided) -> None:
        if e.signal_id not in self._signals:
            self.report(seq, f"signal {e.signal_id} is decided and was never raised")
        elif self._undecided.pop(e.signal_id, None) is None:
            self.report(seq, f"signal {e.signal_id} is decided a second time (assertion 1)")


def _legal(
    table: Table[Any], was: str, trigger: str, to: str, guards: tuple[str, ...] = ()
) -> bool:
    """Whether the machine has this edge, under the guards that are known or under any."""
    if guards:
        return any(table.moves.get((was, trigger, guard)) == to for guard in guards)
    return (str(was), str(trigger), str(to)) in _edges(table.name)


@cache
def _edges(machine: str) -> frozenset[tuple[str, str, str]]:
    table = ORDER_TABLE if machine == ORDER_TABLE.name else POSITION_TABLE
    return frozenset((str(s), str(t), str(to)) for (s, t, _), to in table.moves.items())


_HANDLERS: dict[type, Callable[[Laws, int, Any], None]] = {
    ev.OrderIntended: Laws._intended,
    ev.OrderSent: Laws._sent,
    ev.OrderAcknowledged: Laws._acknowledged,
    ev.OrderMoved: Laws._order_moved,
    ev.OrderFilled: Laws._filled,
    ev.OrderFillSettled: Laws._settled,
    ev.OrderFillVoided: Laws._voided,
    ev.PositionOpened: Laws._opened,
    ev.PositionChanged: Laws._changed,
    ev.PositionMoved: Laws._position_moved,
    ev.ExitDecided: Laws._position_moved,
    ev.SessionStarted: Laws._session_started,
    ev.SessionEnded: Laws._session_ended,
    ev.CapitalRecorded: Laws._capital,
    ev.SignalRaised: Laws._raised,
    ev.SignalDecided: Laws._decided,
}
