"""Whether the venue takes a well-formed order, given its market and the account's funds.

Looks only: the order's own `target` and `closing` are all that is set here.
"""

from __future__ import annotations

from decimal import Decimal

from actors.venues.sim.book import Book
from actors.venues.sim.funds import Funds
from actors.venues.sim.orders import SimOrder
from actors.venues.sim.settings import SimSettings
from fsm.instrument import Instrument
from fsm.money import ZERO, divide, floor_to_step, plain
from fsm.vocabulary import Side

#: Prices and quantities that an incoming order takes right away, best first.
Plan = list[tuple[Decimal, Decimal]]


def admit(
    order: SimOrder, post_only: bool, book: Book, funds: Funds, settings: SimSettings
) -> tuple[str | None, Plan]:
    """What the order would get right now; or the reason to refuse it, for good."""
    instrument, limit = book.instrument, order.limit_price
    reason = _cap(order, book, funds)
    if reason is not None:
        return reason, []
    if post_only and limit is not None and book.crosses(order.side, limit):
        return "post only order would take", []
    plan = book.plan(
        order.side, order.target, limit, settings.walk_levels_max, settings.partial_fill
    )
    if limit is None and not plan:
        return "no market", []
    own = book.best(order.side.opposite)
    if own is not None and _meets(order, own, plan):
        return "self trade", []
    if instrument.min_notional > 0 and not order.reduce_only:
        price = limit if limit is not None else plan[0][0]
        if order.qty * price < instrument.min_notional:
            return f"notional is below the minimum {plain(instrument.min_notional)}", []
    return _short_of_funds(order, instrument, plan, funds, settings.worst_rate), plan


def _cap(order: SimOrder, book: Book, funds: Funds) -> str | None:
    """Limit a reduce-only order to what there is to reduce; find what needs no margin."""
    instrument = book.instrument
    closable = ZERO
    if instrument.is_margined:
        closable = funds.closable(instrument.name, order.side)
    elif order.reduce_only and order.side is Side.SELL:
        closable = floor_to_step(funds.free(instrument.base), instrument.qty_step)
    if order.reduce_only:
        order.target = min(order.qty, closable)
        # A margined rest below the minimum may be closed; a spot rest is dust and stays.
        least = ZERO if instrument.is_margined else instrument.min_qty
        if order.target <= 0 or order.target < least:
            return "reduce only: nothing to reduce"
        order.closing = order.target
    elif closable:
        resting = book.resting(order.side)
        closable -= sum((other.closing for _, _, other in resting), ZERO)
        order.closing = max(ZERO, min(order.target, closable))
    return None


def _meets(order: SimOrder, own: SimOrder, plan: Plan) -> bool:
    """Whether the incoming order would reach our own best order on the other side."""
    price, limit = own.limit_price, order.limit_price
    assert price is not None
    rest = order.target - sum((qty for _, qty in plan), ZERO)
    reach = limit if rest else plan[-1][0]
    assert reach is not None, "a market order without a full plan was refused before"
    return reach >= price if order.side is Side.BUY else reach <= price


def _short_of_funds(
    order: SimOrder, instrument: Instrument, plan: Plan, funds: Funds, worst_rate: Decimal
) -> str | None:
    """The reason when the free balance does not cover the worst case of the order."""
    limit = order.limit_price
    if instrument.is_margined:
        opening = order.target - order.closing
        if not opening:
            return None  # whoever only closes is never turned away for lack of margin (L8)
        price = limit if limit is not None else max(price for price, _ in plan)
        need = divide(opening * price, order.leverage) + opening * price * worst_rate
        return "insufficient margin" if need > funds.free(instrument.quote) else None
    if order.side is Side.SELL:
        short = order.target > funds.free(instrument.base)
    else:
        cost = (
            order.target * limit
            if limit is not None
            else sum((price * qty for price, qty in plan), ZERO)
        )
        short = cost * (1 + worst_rate) > funds.free(instrument.quote)
    return "insufficient balance" if short else None
