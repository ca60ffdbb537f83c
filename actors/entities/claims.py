"""An order that was taken for somebody else's turns out to be one of ours: it is given back whole.

The venue listed it without our id, so it was adopted as external; now a fact or an answer names its
venue id for an order of ours. The adopted one ends, its fills are taken back, and the same fills
are told to ours in the same turn, so that no money is held or booked twice (L5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import messages as msg
from actors.entities.trades import UNNAMED
from actors.runtime.actor import Decision
from fsm import facts
from fsm.order import OrderTrigger
from fsm.vocabulary import FillStatus

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World


def on_claimed(order: Order, message: msg.Claimed, world: World) -> Decision:
    """End it, and hand over what is booked on it."""
    ours = message.claimed_by
    booked = [
        (trade_id, mark)
        for trade_id, mark in (order.trades or {}).items()
        if mark.status is not FillStatus.VOIDED
    ]
    if not order.is_live and not booked:
        return Decision.ignore("claimed: nothing of it is left")
    decision = Decision()
    if order.is_live:
        decision = order.moved(OrderTrigger.CANCELED, f"claimed: it is our order {ours}")
    done = f"its {len(booked)} fills booked there"
    decision.events.append(order.anomaly("external_is_ours", f"it is our order {ours}", done))
    name = order.client_order_id
    for trade_id, mark in booked:
        decision.tells.append(facts.FillVoided(trade_id=trade_id, client_order_id=name))
        decision.tells.append(
            facts.OrderFill(
                trade_id=None if trade_id.startswith(UNNAMED) else trade_id,
                client_order_id=ours,
                venue_order_id=order.venue_order_id,
                instrument=order.instrument,
                side=order.side,
                qty=mark.qty,
                price=mark.price,
                fee=mark.fee,
                fee_asset=mark.fee_asset,
                status=mark.status,
                venue_us=0 if mark.is_timeless else mark.venue_us,
                fetched=mark.is_fetched,
            )
        )
    return decision
