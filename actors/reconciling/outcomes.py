"""From a verdict to the messages that carry it out."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from typing import Any, assert_never

from actors import messages as msg
from actors.entities.order import Order
from actors.reconciling.verdicts import Case, Seen, Verdict
from fsm import events as ev
from fsm import facts
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import CapitalKind

S = OrderState

#: How a venue says that an order is over, and the fact that it makes.
_ENDED: dict[str, Any] = {
    "canceled": facts.OrderCanceled,
    "expired": facts.OrderExpired,
    "rejected": facts.OrderRejected,
}
_GONE = "the venue no longer lists it"


def messages(order: Order, case: Case, seen: Seen, reached: Verdict, told: str) -> list[object]:
    """What the order is told; `told` is the venue's answer in words."""
    name = order.client_order_id
    age = "of unknown age" if case.age_us is None else f"{case.age_us // SECOND_US} s old"
    match reached:
        case Verdict.NOTHING | Verdict.FOUND_OPEN:
            return []  # one that is open was told when it was seen
        case Verdict.NEVER_ARRIVED:
            return [msg.NeverArrived(name, f"{told}; not open, no fills, {age}")]
        case Verdict.CANCELED:
            reason = "gone without further fills"
            reason += " after our cancel" if case.engine_cancelled else ""
            return [facts.OrderCanceled(client_order_id=name, reason=reason)]
        case Verdict.DOUBT:
            return [msg.Disappeared(name, _GONE)]
        case Verdict.HOLD:
            why = "absent without proof" if seen is Seen.ABSENT else f"contradicted: {told}"
            return [msg.Disappeared(name, _GONE), msg.HoldOrder(name, f"{why}, {age}")]
        case Verdict.ASSUME_FILLED:
            return [msg.AssumeFilled(name, f"{told}; not open, no fills told, {age}")]
        case Verdict.END:
            reason = f"{told}: a part of it before it was adopted"
            return [facts.OrderCanceled(client_order_id=name, reason=reason)]
        case _:
            assert_never(reached)


def end_of(order: Order, reported: facts.VenueOrder) -> object | None:
    """The fact that the venue's word about its end makes; None where its fills say it."""
    ended = _ENDED.get(reported.state)
    if ended is None:
        return None
    if ended is facts.OrderRejected and order.state in (S.WORKING, S.PARTIALLY_FILLED):
        ended = facts.OrderExpired  # it had accepted it: taken off by its own rule
    fact: object = ended(
        client_order_id=order.client_order_id,
        venue_order_id=reported.venue_order_id,
        reason=reported.reason or f"the venue says {reported.state}",
    )
    return fact


def opened(asset: str, total: Decimal, quotes: Container[str], note: str) -> ev.CapitalRecorded:
    """One opening balance. What a quote asset is worth is known; another one counts in no figure
    in quote units until a person values it (`capital init-basis`)."""
    worth = total if asset in quotes else None
    return ev.CapitalRecorded(
        kind=CapitalKind.OPENING,
        asset=asset,
        amount=total,
        source_note=note,
        value=worth,
        basis_delta=worth,
    )


def opening(balances: dict[str, Decimal], quotes: Container[str], now_us: int) -> list[ev.Event]:
    """The first start on an empty journal: what the account holds is opening capital (X12)."""
    note = "opening balance at the first start"
    found: list[ev.Event] = [
        opened(asset, total, quotes, note) for asset, total in balances.items()
    ]
    detail = "opening balances adopted"
    return [*found, ev.BooksCompared(status="ok", deltas={}, detail=detail, opened_us=now_us)]
