"""An order's cancels: durable before they leave, their answers always read (N26)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import messages as msg
from actors.effects import SendCancel, SetTimer
from actors.runtime.actor import Decision
from fsm import facts
from fsm.order import OrderState, OrderTrigger
from fsm.requests import Cancel

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World

S, T = OrderState, OrderTrigger


def on_cancel(order: Order, message: msg.CancelOrder, world: World) -> Decision:
    """Mark it, then cancel it; once is enough."""
    trigger = T.ENGINE_CANCEL if message.by_engine else T.CANCEL_REQUESTED
    already = (
        (S.CANCELLED_BY_ENGINE,) if message.by_engine else (S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE)
    )
    if order.state in already:
        return Decision.ignore("cancel: asked for already")
    decision = order.moved(trigger, message.reason)
    decision.effects += cancel_effects(order, world)
    return decision


def again(order: Order) -> list[msg.CancelOrder]:
    """One that was held is open after all: whoever took it back before still means it."""
    if not (order.engine_cancelled or order.cancel_asked):
        return []
    reason = "found open after it was held; its cancel still stands"
    return [msg.CancelOrder(order.client_order_id, reason, by_engine=order.engine_cancelled)]


def cancel_effects(order: Order, world: World) -> tuple[SendCancel, SetTimer]:
    """The request, and the timer for its answer."""
    request = Cancel(
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        venue_order_id=order.venue_order_id,
    )
    return SendCancel(request), _answer_timer(order, world)


def _answer_timer(order: Order, world: World) -> SetTimer:
    return SetTimer(
        f"cancel/{order.client_order_id}",
        world.rules.cancel_timeout_us,
        msg.CancelTimedOut(order.client_order_id),
    )


def on_timeout(order: Order, message: msg.CancelTimedOut, world: World) -> Decision:
    """No answer in time."""
    return _ask(order, "no answer to the cancel in time", world)


def on_unanswered(order: Order, message: facts.CancelUnanswered, world: World) -> Decision:
    """The gateway cannot tell whether it arrived."""
    return _ask(order, message.reason, world)


def _ask(order: Order, reason: str, world: World) -> Decision:
    if order.state not in (S.CANCEL_PENDING, S.CANCELLED_BY_ENGINE):
        return Decision.ignore("cancel_timeout: answered meanwhile")
    asked = msg.LookUp(order.client_order_id, reason)
    return Decision(tells=[asked], effects=[_answer_timer(order, world)])


def on_refused(order: Order, message: facts.CancelRefused, world: World) -> Decision:
    """The venue did not carry it out: a fill may have been faster (N19), so evidence is due."""
    decision = order.moved(T.CANCEL_REFUSED, message.reason)
    if decision.ignored is None and not order.cancel_refused:
        # Asked about at once the first time; a venue that goes on refusing waits for the pass.
        decision.tells.append(
            msg.LookUp(order.client_order_id, f"cancel_race: {message.reason}", race=True)
        )
    return decision
