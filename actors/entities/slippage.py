"""Slippage: what a fill cost against the price that was intended when its order was decided.

Intended is the limit of a limit order, and of a market order what the book showed at the decision:
for an exit by a stop that is the quote that crossed it, which is what could be had, and not the
level, which nobody offered. A market order's protective limit is no intention.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from fsm.vocabulary import OrderRole, OrderType

if TYPE_CHECKING:
    from actors.entities.order import Order


def intended_price(order: Order) -> Decimal | None:
    """What its fills are measured by; None where it is not known, or was somebody else's."""
    if order.role is OrderRole.EXTERNAL:
        return None
    return order.limit_price if order.type is OrderType.LIMIT else order.reserve_price


def slippage_of(order: Order, qty: Decimal, price: Decimal | None) -> Decimal | None:
    """Quote units, positive where the fill was worse than intended; None where one is unknown."""
    intended = intended_price(order)
    if price is None or intended is None:
        return None
    return order.side.sign * (price - intended) * qty
