"""What a venue fact is told again under: so that a fact which nobody could place is found again.

Pure: names and hashes of what a fact says. Who keeps them is `actors.unresolved_facts`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fsm import events as ev
from fsm import facts
from fsm.money import plain
from storage.codec import encode

if TYPE_CHECKING:
    from actors.entities.order import Order

ABOUT_A_TRADE = (facts.FillVoided, facts.FillSettled)
"""Facts that do nothing before the trade that they name is booked."""


def key_of(fact: Any, owner: str | None) -> str:
    """The kind of fact, whose it is said to be, and which trade: the same at each telling."""
    return f"{type(fact).__name__}|{owner or f'@{_instrument(fact)}'}|{_trade(fact)}"


def first_key(fact: Any) -> str:
    """The key of a fact by what it says itself: the client's id, the venue's, the instrument."""
    return key_of(fact, _own_ids(fact)[0])


def keys_of(fact: Any, order: Order) -> list[str]:
    """Every key that an earlier telling of this fact may have been kept under, now that it is this
    order's; a fill is also what a void or a settlement of it waits for."""
    owners = dict.fromkeys((*_own_ids(fact), order.client_order_id, order.venue_order_id))
    keys = [key_of(fact, owner) for owner in owners if owner is not None]
    keys.append(f"{type(fact).__name__}|@{order.instrument}|{_trade(fact)}")
    if isinstance(fact, facts.OrderFill) and fact.trade_id is not None:
        keys += [
            f"{kind.__name__}|{order.client_order_id}|{fact.trade_id}" for kind in ABOUT_A_TRADE
        ]
    return keys


def unresolved(fact: object, reason: str, owner: str | None = None) -> ev.FactUnresolved:
    """A fact that changes nothing, kept so that it can be read back and told again."""
    return ev.FactUnresolved(
        fact=type(fact).__name__,
        payload=encode(fact).decode(),
        reason=reason,
        key=first_key(fact) if owner is None else key_of(fact, owner),
    )


def digest(fact: object) -> str:
    """A hash of all that a fact says."""
    return hashlib.sha256(repr(fact).encode()).hexdigest()


def _own_ids(fact: Any) -> tuple[str | None, ...]:
    named = (getattr(fact, "client_order_id", None), getattr(fact, "venue_order_id", None))
    return tuple(name for name in named if name is not None) or (None,)


def _instrument(fact: Any) -> str:
    return getattr(fact, "instrument", None) or ""


def _trade(fact: Any) -> str:
    trade_id = getattr(fact, "trade_id", None)
    if trade_id is not None:
        return str(trade_id)
    if isinstance(fact, facts.OrderFill):
        price = None if fact.price is None else plain(fact.price)
        text = f"{plain(fact.qty)}|{price}|{fact.venue_us}"
        return f"#{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return ""
