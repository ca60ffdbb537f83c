"""A person decides what became of an order that is held: journaled, with who and how they know.

Trades that the person names are booked as facts, exactly once, like those that the venue tells.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import evolve

from actors import messages as msg
from actors.entities.fills import booked_as
from actors.entities.replacing import unnamed
from actors.entities.trades import nearest
from actors.runtime.actor import Decision, Refused
from fsm import facts
from fsm import order as machine
from fsm.money import ZERO, plain
from fsm.order import OrderState, OrderTrigger
from fsm.vocabulary import HeldOutcome

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World

_GUARDS = {
    HeldOutcome.CANCELED: machine.AS_CANCELED,
    HeldOutcome.EXPIRED: machine.AS_EXPIRED,
    HeldOutcome.REJECTED: machine.AS_REJECTED,
}


def on_resolve(order: Order, message: msg.ResolveHeld, world: World) -> Decision:
    """Carry out what the person found out. Raises Refused with what is wrong about it."""
    if order.state is not OrderState.HELD_FOR_REVIEW:
        raise Refused(f"{order.address} is {order.state}: only HELD_FOR_REVIEW is resolved by hand")
    new = [_as_ours(order, fill) for fill in message.trades if not _is_booked(order, fill)]
    _check_owners(order, new, world)
    named = sum((fill.qty for fill in new), ZERO) - _replaced(order, new)
    _check(order, message, named)
    words = f"resolved as {message.outcome}: {message.evidence}"
    if not new:
        decision = order.moved(
            OrderTrigger.RESOLVED_BY_OPERATOR, words, _GUARDS[message.outcome], who=message.who
        )
    else:
        decision = Decision(
            events=[
                order.anomaly(
                    "resolved_by_operator",
                    f"{message.who}: {message.evidence}",
                    f"{len(new)} trades over {plain(named)} booked as facts, {message.outcome}",
                )
            ]
        )
        decision.tells += new
        decision.tells += _end_of(order, message, words)
    decision.tells.append(msg.PassDue("orders"))
    return decision


def _is_booked(order: Order, fill: facts.OrderFill) -> bool:
    return fill.trade_id is not None and booked_as(order, fill.trade_id) is not None


def _check_owners(order: Order, new: list[facts.OrderFill], world: World) -> None:
    """A trade belongs to one order: what the journal has under another one is not this one's."""
    for fill in new:
        owner = world.owner_of_trade(order.instrument, str(fill.trade_id))
        if owner is not None and owner != order.client_order_id:
            raise Refused(f"{order.address}: trade {fill.trade_id} is booked for order {owner}")


def _replaced(order: Order, new: list[facts.OrderFill]) -> Decimal:
    """How much of it is booked already, told by the venue without a name."""
    marks, names, found = order.trades or {}, unnamed(order), ZERO
    for fill in new:
        name = nearest(marks, names, fill)
        if name is not None:
            names.remove(name)
            found += marks[name].qty
    return found


def _check(order: Order, message: msg.ResolveHeld, named: Decimal) -> None:
    rest = order.rest
    if message.outcome is HeldOutcome.FILLED and named != rest:
        raise Refused(
            f"{order.address}: filled needs the venue's trades over exactly what is left, "
            f"{plain(rest)}, by --trades; those named hold {plain(named)}. Partly filled and then "
            "gone is `--as canceled --trades FILE`"
        )
    if message.outcome is HeldOutcome.REJECTED and (message.trades or order.filled_qty):
        raise Refused(f"{order.address}: what has filled was not rejected; use canceled or expired")
    if message.outcome in (HeldOutcome.CANCELED, HeldOutcome.EXPIRED) and named and named >= rest:
        raise Refused(
            f"{order.address}: trades over {plain(named)} leave nothing to end; use filled"
        )


def _as_ours(order: Order, fill: facts.OrderFill) -> facts.OrderFill:
    return evolve(
        fill,
        client_order_id=order.client_order_id,
        venue_order_id=order.venue_order_id,
        instrument=order.instrument,
        side=order.side,
        fetched=True,
    )


def _end_of(order: Order, message: msg.ResolveHeld, words: str) -> list[object]:
    reason = f"{message.who}: {words}"
    if message.outcome is HeldOutcome.CANCELED:
        return [facts.OrderCanceled(client_order_id=order.client_order_id, reason=reason)]
    if message.outcome is HeldOutcome.EXPIRED:
        return [facts.OrderExpired(client_order_id=order.client_order_id, reason=reason)]
    return []
