"""What an order remembers of its fills, and when two tellings may be of the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from attrs import frozen

from fsm import events as ev
from fsm import facts
from fsm.money import plain
from fsm.timestamps import SECOND_US
from fsm.vocabulary import FillStatus, PnlSource

UNNAMED, INFERRED = "syn-", "inf-"
"""How the trade ids begin that we give: to a fill without an id, and to one only inferred."""
#: A fill without an id and the same one by a query may differ by this much in their times.
_SAME_MOMENT_US = 5 * SECOND_US

Trades = dict[str, "TradeMark"]


@frozen(slots=True)
class TradeMark:
    """What is remembered of a fill: enough to drop its duplicate and to reverse it."""

    qty: Decimal
    price: Decimal | None
    fee: Decimal
    fee_asset: str | None
    status: FillStatus
    settlement: str = ""
    profit: Decimal | None = None
    """What the venue settled that it realized."""
    venue_us: int = 0
    inferred: bool = False
    is_unproven: bool = False
    is_fetched: bool = False
    is_timeless: bool = False


@frozen(slots=True)
class Foretold:
    """A void or a settlement of a trade that is not booked yet."""

    trade_id: str
    voided: bool
    realized_pnl: Decimal | None = None
    fee: Decimal | None = None


def foretold_by(event: ev.OrderFillForetold) -> Foretold:
    """What is remembered of an event until its trade comes."""
    return Foretold(event.trade_id, event.voided, event.realized_pnl, event.fee)


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
        is_fetched=event.fetched,
        is_timeless=event.timeless,
    )


def without(trade_ids: tuple[str, ...], gone: str) -> tuple[str, ...]:
    """The others."""
    return tuple(name for name in trade_ids if name != gone) if trade_ids else trade_ids


def apart_us(mark: TradeMark, fact: facts.OrderFill) -> int | None:
    """How far apart a booked fill and a told one are in time; None when they are not the same.

    Where one of them has no time, quantity and price alone decide, after those that have one.
    """
    prices_differ = None not in (mark.price, fact.price) and mark.price != fact.price
    if mark.qty != fact.qty or prices_differ:
        return None
    if mark.is_timeless or not fact.venue_us:
        return _SAME_MOMENT_US
    apart = abs(mark.venue_us - fact.venue_us)
    return apart if apart <= _SAME_MOMENT_US else None


def nearest(trades: Trades, names: Iterable[str], fact: facts.OrderFill) -> str | None:
    """Which of these fills is the told one, if any."""
    found = [(apart, name) for name in names if (apart := apart_us(trades[name], fact)) is not None]
    return min(found)[1] if found else None


def named_before(
    trades: Trades, aliases: dict[str, str] | None, fact: facts.OrderFill
) -> str | None:
    """The fill that a query named before the stream told it without a name; each at most once."""
    known = frozenset((aliases or {}).values())
    names = [name for name, mark in trades.items() if mark.is_fetched and name not in known]
    return nearest(trades, names, fact)


def unnamed_id(client_order_id: str, fact: facts.OrderFill) -> str:
    """A hash of what the fill says, however it is spelled: no restart can invent it twice (X07)."""
    price = None if fact.price is None else plain(fact.price)
    text = f"{client_order_id}|{plain(fact.qty)}|{price}|{fact.venue_us}|{plain(fact.fee)}"
    return UNNAMED + hashlib.sha256(text.encode()).hexdigest()[:16]


def inferred_id(client_order_id: str, proven_qty: Decimal, qty: Decimal) -> str:
    """A hash of what is inferred: the part of the order after what is proven (X07)."""
    text = f"{client_order_id}|{proven_qty.normalize():f}|{qty.normalize():f}"
    return INFERRED + hashlib.sha256(text.encode()).hexdigest()[:16]
