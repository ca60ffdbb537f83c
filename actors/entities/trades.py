"""What an order remembers of its fills."""

from __future__ import annotations

import hashlib
from decimal import Decimal

from attrs import frozen

from fsm import events as ev
from fsm import facts
from fsm.vocabulary import FillStatus, PnlSource

UNNAMED, INFERRED = "syn-", "inf-"
"""How the trade ids begin that we give: to a fill without an id, and to one only inferred."""


@frozen(slots=True)
class TradeMark:
    """What is remembered of a fill: enough to drop its duplicate and to reverse it."""

    qty: Decimal
    price: Decimal | None
    fee: Decimal
    fee_asset: str | None
    status: FillStatus
    settlement: str = ""
    venue_us: int = 0
    inferred: bool = False
    is_unproven: bool = False


def mark_of(event: ev.OrderFilled) -> TradeMark:
    """The mark of a fill that was booked."""
    inferred = event.provenance is PnlSource.INFERRED
    return TradeMark(
        event.qty,
        event.price,
        event.fee,
        event.fee_asset,
        event.status,
        venue_us=event.venue_us,
        inferred=inferred,
        is_unproven=inferred or event.trade_id.startswith(UNNAMED),
    )


def without(trade_ids: tuple[str, ...], gone: str) -> tuple[str, ...]:
    """The others."""
    return tuple(name for name in trade_ids if name != gone) if trade_ids else trade_ids


def unnamed_id(client_order_id: str, fact: facts.OrderFill) -> str:
    """A hash of what the fill says, so that no restart can invent it twice (X07)."""
    text = f"{client_order_id}|{fact.qty}|{fact.price}|{fact.venue_us}|{fact.fee}"
    return UNNAMED + hashlib.sha256(text.encode()).hexdigest()[:16]


def inferred_id(client_order_id: str, proven_qty: Decimal, qty: Decimal) -> str:
    """A hash of what is inferred: the part of the order after what is proven (X07)."""
    text = f"{client_order_id}|{proven_qty.normalize():f}|{qty.normalize():f}"
    return INFERRED + hashlib.sha256(text.encode()).hexdigest()[:16]
