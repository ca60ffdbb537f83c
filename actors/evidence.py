"""Evidence of one reconciliation pass, and what an absence in it means (L2, L3).

The decision is a pure function of the order, the answer and the age; `Unavailable` never gets
here, because it changes nothing.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from actors import messages as msg
from actors.entities.order import Order
from actors.world import World
from fsm import facts
from fsm.order import OrderState
from fsm.requests import Query
from fsm.timestamps import SECOND_US

S = OrderState
DOUBTFUL = (
    S.INTENDED,
    S.SUBMITTED,
    S.UNKNOWN,
    S.CANCEL_PENDING,
    S.CANCELLED_BY_ENGINE,
    S.HELD_FOR_REVIEW,
)


@define(slots=True)
class Pass:
    """One pass in progress: what was asked, what the orders looked like then, what came back."""

    scope: str
    started_us: int
    states: dict[str, OrderState]
    began: dict[str, None] = field(factory=dict)
    waiting: dict[str, Query] = field(factory=dict)
    open_orders: dict[str, facts.VenueOrder] | None = None
    fills_answered: set[str] = field(factory=set)
    failures: list[str] = field(factory=list)
    terminal: list[object] = field(factory=list)
    refetch: dict[str, int] = field(factory=dict)
    looked: dict[str, tuple[object, ...]] = field(factory=dict)
    """What each order looked like when the question about it left: see `looks`."""
    balances: dict[str, Any] | None = None
    positions: tuple[facts.PositionReport, ...] | None = None
    books_seq: int = -1
    stage: str = "sweep"


def looks(order: Order) -> tuple[object, ...]:
    """What a fact may have changed since a question left. Where it did, an absence is older than
    what is known, and counts for nothing: a snapshot races the stream (L3)."""
    return order.state, order.venue_order_id, order.filled_qty


def absence_means(
    order: Order, absent: facts.Absent, others_agree: bool, world: World
) -> list[object]:
    """Absence is proof when lookup, open orders and fills agree and nothing is under way.

    Without proof an order of ours is asked for again, and held for a person once it is old.
    """
    name, state = order.client_order_id, order.state
    age_us = world.now_us - (order.created_us if order.left_us is None else order.left_us)
    if not others_agree:
        return []
    never_seen = order.venue_order_id is None and order.filled_qty == 0
    if never_seen and state in DOUBTFUL and age_us >= world.rules.max_in_flight_us:
        proof = f"{absent.proof}; not open, no fills, {age_us // SECOND_US} s old"
        return [msg.NeverArrived(name, proof)]
    if state is S.CANCELLED_BY_ENGINE and not never_seen:
        reason = "gone without further fills after our cancel"
        return [facts.OrderCanceled(client_order_id=name, reason=reason)]
    if age_us >= world.rules.age_threshold_us and state in (S.UNKNOWN, S.CANCEL_PENDING):
        return [msg.HoldOrder(name, f"absent without proof, {age_us // SECOND_US} s old")]
    return [msg.Disappeared(name, "the venue no longer lists it")]
