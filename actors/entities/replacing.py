"""Fills that stand for evidence which has not come yet, and what takes their place (X06).

An inferred fill is booked by policy for an order that vanished while young; a fill without a trade
id is booked under a name of ours. When the venue tells the real one, it replaces what stood for it
in the same turn; when the venue proves that there was none, what was inferred is voided.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from actors import messages as msg
from actors.effects import Notify
from actors.entities.slippage import slippage_of
from actors.entities.trades import TradeMark, inferred_id, nearest
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm import facts
from fsm import order as machine
from fsm.money import ZERO, divide
from fsm.order import TABLE, OrderState, OrderTrigger
from fsm.vocabulary import PnlSource

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World

T = OrderTrigger
Handler = Callable[["Order", Any, "World"], Decision]


@define(slots=True)
class Running:
    """An order's figures while several events of one decision change them."""

    order: Order
    state: OrderState
    filled: Decimal
    priced: Decimal
    value: Decimal
    fees: Decimal

    @classmethod
    def of(cls, order: Order) -> Running:
        """As the order is now."""
        return cls(order, order.state, order.filled_qty, order.priced_qty, order.value, order.fees)

    def _add(self, qty: Decimal, price: Decimal | None, fee: Decimal) -> None:
        self.filled += qty
        self.fees += fee
        if price is not None:
            self.priced += qty
            self.value += qty * price

    @property
    def _average(self) -> Decimal | None:
        return divide(self.value, self.priced) if self.priced else None

    def book(
        self,
        fact: facts.OrderFill,
        trade_id: str,
        world: World,
        provenance: PnlSource = PnlSource.EXCHANGE,
        *,
        late: bool = False,
    ) -> ev.OrderFilled:
        """One more fill, by the machine."""
        order = self.order
        guard = machine.fill_guard(order.qty - self.filled, fact.qty)
        self.state = TABLE.next(order.address, self.state, T.FILL, guard)
        self._add(fact.qty, fact.price, fact.fee)
        return ev.OrderFilled(
            client_order_id=order.client_order_id,
            position_id=order.position_id,
            trade_id=trade_id,
            instrument=order.instrument,
            side=order.side,
            role=order.role,
            qty=fact.qty,
            price=fact.price,
            fee=fact.fee,
            fee_asset=_paid_in(fact, order, world),
            status=fact.status,
            liquidity=fact.liquidity,
            venue_us=fact.venue_us or world.now_us,
            session_id=order.session_id,
            state=self.state,
            filled_qty=self.filled,
            avg_price=self._average,
            fees=self.fees,
            late=late,
            overfill=guard == machine.BEYOND_QTY,
            order_price=fact.order_price,
            provenance=provenance,
            fetched=fact.fetched,
            timeless=not fact.venue_us,
            realized_pnl=fact.realized_pnl,
            slippage_quote=slippage_of(order, fact.qty, fact.price),
        )

    def take_back(self, trade_id: str) -> ev.OrderFillVoided:
        """One fill less, by the machine."""
        order = self.order
        assert order.trades is not None
        mark = order.trades[trade_id]
        left = self.filled - mark.qty
        guard = machine.SOMETHING_LEFT if left > 0 else machine.NOTHING_LEFT
        if left >= order.qty:
            guard = machine.STILL_COMPLETE
        self.state = TABLE.next(order.address, self.state, T.FILL_VOIDED, guard)
        self._add(-mark.qty, mark.price, -mark.fee)
        return ev.OrderFillVoided(
            client_order_id=order.client_order_id,
            position_id=order.position_id,
            trade_id=trade_id,
            instrument=order.instrument,
            side=order.side,
            qty=mark.qty,
            price=mark.price,
            fee=mark.fee,
            fee_asset=mark.fee_asset,
            state=self.state,
            filled_qty=self.filled,
            avg_price=self._average,
            fees=self.fees,
            provenance=PnlSource.INFERRED if mark.inferred else PnlSource.EXCHANGE,
            slippage_quote=slippage_of(order, mark.qty, mark.price),
        )


def _paid_in(fact: facts.OrderFill, order: Order, world: World) -> str | None:
    """The asset of a fee: a venue that names none charges the quote asset."""
    spec = world.instruments.get(order.instrument)
    if fact.fee_asset is not None or not fact.fee or spec is None:
        return fact.fee_asset
    return spec.quote


def _marks(order: Order) -> list[tuple[str, TradeMark]]:
    trades = order.trades or {}
    return [(name, trades[name]) for name in order.unproven]


def inferred_qty(order: Order) -> Decimal:
    """How much of what the books show as filled is only inferred."""
    return sum((mark.qty for _, mark in _marks(order) if mark.inferred), ZERO)


# --------------------------------------------------------------------------------- inferring one


def on_assumed(order: Order, message: msg.AssumeFilled, world: World) -> Decision:
    """Book the rest as filled, by policy; never what a cancel was asked for (L2, N17)."""
    taken_back = order.engine_cancelled or order.cancel_asked
    if not order.is_live or taken_back or order.rest <= 0:
        return Decision.ignore("assume_filled: something else is known, or it was taken back")
    running, decision = Running.of(order), Decision()
    fill = _inferred(running, order.rest, order.limit_price, world)
    _record(decision, fill, world)
    decision.events.append(
        order.anomaly("fill_assumed", message.reason, "booked as inferred, evidence replaces it")
    )
    if order.position_id is not None:
        decision.tells.append(msg.FillForPosition(order.position_id, fill))
    order.ended(decision, running.state, running.filled)
    return decision


def _inferred(
    running: Running, qty: Decimal, price: Decimal | None, world: World
) -> ev.OrderFilled:
    """A limit is the worst price of an inferred fill; a market order's is not known."""
    order = running.order
    trade_id = inferred_id(order.client_order_id, running.filled, qty)
    fact = facts.OrderFill(trade_id=trade_id, qty=qty, price=price)
    return running.book(fact, trade_id, world, PnlSource.INFERRED)


def _record(decision: Decision, fill: ev.OrderFilled, world: World) -> None:
    decision.events.append(fill)
    owner = f"{world.session.venue}|main|{fill.instrument}|{fill.client_order_id}"
    decision.dedup_keys.append(f"{owner}|fill|{fill.trade_id}|{fill.status}")


# -------------------------------------------------------------------------------- replacing it


def unnamed(order: Order) -> list[str]:
    """The fills that the venue told without a trade id, and has not named since."""
    return [name for name, mark in _marks(order) if not mark.inferred]


def stood_for(order: Order, fact: facts.OrderFill) -> str | None:
    """Which unproven fill a new one takes the place of, at most one and each at most once.

    A fill that a query brings under its trade id is the one that the stream brought without, when
    quantity, price and time agree; one that the stream names, when the time is the very same. Any
    real fill takes the place of an inferred one.
    """
    trades = order.trades or {}
    if fact.trade_id is not None:
        name = nearest(trades, unnamed(order), fact)
        if name is not None and (fact.fetched or trades[name].venue_us == fact.venue_us):
            return name
    return next((name for name, mark in _marks(order) if mark.inferred), None)


def replace(
    order: Order, fact: facts.OrderFill, trade_id: str, stand_in: str, world: World
) -> Decision:
    """The real fill in the place of what stood for it: void and fill are one change."""
    assert order.trades is not None
    mark = order.trades[stand_in]
    if fact.price is None and not mark.inferred:
        fact = evolve(fact, price=mark.price)  # the venue told it with the unnamed one
    running, decision = Running.of(order), Decision()
    void = running.take_back(stand_in)
    decision.events.append(void)
    decision.dedup_keys.append(f"voided|{order.client_order_id}|{stand_in}")
    fills = [running.book(fact, trade_id, world)]
    _record(decision, fills[0], world)
    rest = min(mark.qty - fact.qty, order.qty - running.filled)
    if mark.inferred and rest > 0:
        fills.append(_inferred(running, rest, mark.price, world))
        _record(decision, fills[1], world)
    if mark.inferred:
        done = f"{stand_in} of {mark.qty} voided, {fact.qty} booked"
        decision.events.append(order.anomaly("inferred_replaced", f"trade {trade_id}", done))
    else:
        names = {"trade_id": trade_id, "other_id": stand_in}
        pair = ev.OrderFillPaired(client_order_id=order.client_order_id, **names)
        decision.events.append(pair)
    if fills[0].overfill:
        seen = f"{trade_id}: {fact.qty} beyond the rest"
        decision.events.append(order.anomaly("overfill", seen, "booked, DEGRADED"))
        decision.tells.append(msg.Degrade("overfill", order.client_order_id))
    order.identify(decision, fact.venue_order_id)
    if order.position_id is not None:
        note = msg.ReplacedForPosition(order.position_id, (void,), tuple(fills))
        decision.tells.append(note)
    order.ended(decision, running.state, running.filled)
    return decision


def disproving(handler: Handler) -> Handler:
    """A proof that the order rests, or ended without the fill, voids what was inferred of it."""

    def decide(order: Order, message: Any, world: World) -> Decision:
        decision = handler(order, message, world)
        for stand_in, mark in _marks(order) if order.unproven else ():
            if mark.inferred:
                decision.ignored = None
                _void(order, stand_in, type(message).__name__, decision)
        return decision

    return decide


def _void(order: Order, stand_in: str, proof: str, decision: Decision) -> None:
    void = Running.of(order).take_back(stand_in)
    decision.events.append(void)
    decision.dedup_keys.append(f"voided|{order.client_order_id}|{stand_in}")
    seen, done = f"{proof} after it was taken for filled", f"{stand_in} of {void.qty} voided"
    decision.events.append(order.anomaly("inferred_disproved", seen, done))
    text = f"{order.client_order_id} was not filled after all: {void.qty}"
    alert = ev.AlertRaised(severity="critical", token="INFERRED_FILL_VOIDED", text=text)
    decision.effects.append(Notify(alert))
    if order.position_id is not None:
        decision.tells.append(msg.VoidForPosition(order.position_id, void))
