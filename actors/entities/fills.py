"""What an order makes of executions: booked once each, on evidence, whatever its state (L2, L5).

The dedup key and the identity go with the event into the same transaction. A fill that names no
trade gets a hash of what it says for an id, so that no restart can invent it twice (X07).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors import messages as msg
from actors.effects import Notify
from actors.entities import replacing
from actors.entities.trades import unnamed_id
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm import facts
from fsm import order as machine
from fsm.money import ZERO, divide
from fsm.order import OrderTrigger
from fsm.vocabulary import FillStatus, OrderRole, PnlSource

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World

T = OrderTrigger
FINAL, STATED = "final", "stated"
"""What a settlement said: only that the fill is final, or also its figures. Each counts once."""


def settlement_of(event: ev.OrderFillSettled) -> str:
    """Which of both a settlement was."""
    return FINAL if event.realized_pnl is None and event.fee is None else STATED


def fill_key(
    venue: str, instrument: str, client_order_id: str, trade_id: str, status: FillStatus
) -> str:
    """The dedup key of a fill; the account is the only one that a database has."""
    return f"{venue}|main|{instrument}|{client_order_id}|fill|{trade_id}|{status}"


def on_fill(order: Order, fact: facts.OrderFill, world: World) -> Decision:
    trade_id = fact.trade_id or unnamed_id(order.client_order_id, fact)
    if order.trades is not None and trade_id in order.trades:
        return _known_trade(order, trade_id, fact)
    if fact.qty <= 0:
        return Decision(
            events=[
                order.anomaly("fill_without_quantity", f"{trade_id}: qty {fact.qty}", "not booked")
            ]
        )
    stand_in = replacing.stood_for(order, fact) if order.unproven else None
    if stand_in is not None:
        return replacing.replace(order, fact, trade_id, stand_in, world)
    guard = machine.fill_guard(order.rest, fact.qty)
    state = order.next_state(T.FILL, guard)
    late, over = not order.is_live, guard == machine.BEYOND_QTY
    filled = order.filled_qty + fact.qty
    priced = order.priced_qty + (fact.qty if fact.price is not None else ZERO)
    value = order.value + (fact.qty * fact.price if fact.price is not None else ZERO)
    event = ev.OrderFilled(
        client_order_id=order.client_order_id,
        position_id=order.position_id,
        trade_id=trade_id,
        instrument=order.instrument,
        side=order.side,
        role=order.role,
        qty=fact.qty,
        price=fact.price,
        fee=fact.fee,
        fee_asset=fact.fee_asset,
        status=fact.status,
        liquidity=fact.liquidity,
        venue_us=fact.venue_us or world.now_us,
        session_id=order.session_id,
        state=state,
        filled_qty=filled,
        avg_price=divide(value, priced) if priced else None,
        fees=order.fees + fact.fee,
        late=late,
        overfill=over,
        order_price=fact.order_price,
    )
    decision = Decision(events=[event])
    decision.dedup_keys.append(
        fill_key(
            world.session.venue, order.instrument, order.client_order_id, trade_id, fact.status
        )
    )
    order.identify(decision, fact.venue_order_id)
    if late:
        decision.events.append(
            order.anomaly("late_fill", f"{trade_id}: {fact.qty} on a {order.state} order", "booked")
        )
    if over:
        decision.events.append(
            order.anomaly(
                "overfill",
                f"{trade_id}: {fact.qty} beyond the rest {order.rest}",
                "booked" if order.role is OrderRole.EXTERNAL else "booked, DEGRADED",
            )
        )
        if order.role is not OrderRole.EXTERNAL:  # somebody may have amended theirs
            decision.tells.append(msg.Degrade("overfill", order.client_order_id))
    if order.position_id is not None:
        decision.tells.append(msg.FillForPosition(order.position_id, event))
    order.ended(decision, state, filled)
    return decision


def _known_trade(order: Order, trade_id: str, fact: facts.OrderFill) -> Decision:
    """The same trade again: only its status may be news (PROVISIONAL to SETTLED)."""
    assert order.trades is not None
    if (
        order.trades[trade_id].status is FillStatus.PROVISIONAL
        and fact.status is FillStatus.SETTLED
    ):
        return _settled(order, trade_id, None, None)
    return Decision.ignore("duplicate: this trade is booked")


def on_settled(order: Order, fact: facts.FillSettled, world: World) -> Decision:
    if order.trades is None or fact.trade_id not in order.trades:
        return Decision(events=[_unresolved(fact, "settles a trade that is not booked")])
    mark = order.trades[fact.trade_id]
    if mark.status is FillStatus.VOIDED:
        return Decision(events=[_unresolved(fact, "settles a trade that was voided")])
    figures = fact.realized_pnl is not None or fact.fee is not None
    if mark.settlement == STATED or (mark.settlement == FINAL and not figures):
        return Decision.ignore("duplicate: this settlement is booked")
    return _settled(order, fact.trade_id, fact.realized_pnl, fact.fee)


def _settled(
    order: Order, trade_id: str, realized: Decimal | None, fee: Decimal | None
) -> Decision:
    event = ev.OrderFillSettled(
        client_order_id=order.client_order_id,
        position_id=order.position_id,
        trade_id=trade_id,
        realized_pnl=realized,
        fee=fee,
    )
    kind = settlement_of(event)
    decision = Decision(
        events=[event], dedup_keys=[f"settled|{order.client_order_id}|{trade_id}|{kind}"]
    )
    if order.position_id is not None and kind == STATED:
        decision.tells.append(msg.SettlementForPosition(order.position_id, event))
    return decision


def on_voided(order: Order, fact: facts.FillVoided, world: World) -> Decision:
    mark = (order.trades or {}).get(fact.trade_id)
    if mark is None:
        return Decision(events=[_unresolved(fact, "voids a trade that is not booked")])
    if mark.status is FillStatus.VOIDED:
        return Decision.ignore("duplicate: this void is booked")
    left = order.filled_qty - mark.qty
    guard = machine.SOMETHING_LEFT if left > 0 else machine.NOTHING_LEFT
    if left >= order.qty:
        guard = machine.STILL_COMPLETE
    state = order.next_state(T.FILL_VOIDED, guard)
    priced = order.priced_qty - (mark.qty if mark.price is not None else ZERO)
    value = order.value - (mark.qty * mark.price if mark.price is not None else ZERO)
    event = ev.OrderFillVoided(
        client_order_id=order.client_order_id,
        position_id=order.position_id,
        trade_id=fact.trade_id,
        instrument=order.instrument,
        side=order.side,
        qty=mark.qty,
        price=mark.price,
        fee=mark.fee,
        fee_asset=mark.fee_asset,
        state=state,
        filled_qty=left,
        avg_price=divide(value, priced) if priced else None,
        fees=order.fees - mark.fee,
        provenance=PnlSource.INFERRED if mark.inferred else PnlSource.EXCHANGE,
    )
    decision = Decision(
        events=[event], dedup_keys=[f"voided|{order.client_order_id}|{fact.trade_id}"]
    )
    decision.effects.append(
        Notify(
            ev.AlertRaised(
                severity="warning",
                token="FILL_VOIDED",
                text=f"{order.client_order_id} trade {fact.trade_id}",
            )
        )
    )
    if order.position_id is not None:
        decision.tells.append(msg.VoidForPosition(order.position_id, event))
    return decision


def _unresolved(fact: object, reason: str) -> ev.FactUnresolved:
    return ev.FactUnresolved(fact=type(fact).__name__, payload=repr(fact), reason=reason)
