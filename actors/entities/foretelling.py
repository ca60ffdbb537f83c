"""Voids and settlements that come before the trade that they name: kept until it comes (M06).

A venue may tell on the stream, without a name, what a void or a settlement names. What cannot be
matched changes no quantity: it is recorded, the order is asked about, and a void that could mean
one of several fills degrades the system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import messages as msg
from actors.entities import replacing
from actors.entities.trades import Foretold
from actors.fact_keys import unresolved
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm import facts

if TYPE_CHECKING:
    from actors.entities.order import Order

#: What is kept for one order; a fact beyond it is recorded as unresolved, and degrades.
_FORETOLD_MAX = 64
UNMATCHED = "unmatched_void"


def is_voided(order: Order, trade_id: str) -> bool:
    """Whether a void of this trade came before the trade."""
    return any(told.voided and told.trade_id == trade_id for told in order.foretold)


def settlements(order: Order, trade_id: str) -> list[facts.FillSettled]:
    """What was said of a trade before it came: told again, now that it is booked."""
    return [
        facts.FillSettled(
            trade_id=trade_id,
            client_order_id=order.client_order_id,
            realized_pnl=told.realized_pnl,
            fee=told.fee,
        )
        for told in order.foretold
        if told.trade_id == trade_id and not told.voided
    ]


def foretold(order: Order, fact: facts.FillVoided | facts.FillSettled) -> Decision:
    """Keep what names no booked trade, once, and ask for the trade."""
    void = isinstance(fact, facts.FillVoided)
    realized = None if isinstance(fact, facts.FillVoided) else fact.realized_pnl
    fee = None if isinstance(fact, facts.FillVoided) else fact.fee
    if Foretold(fact.trade_id, void, realized, fee) in order.foretold:
        return Decision.ignore("duplicate: this is kept for its trade")
    what = f"{'voids' if void else 'settles'} a trade that is not booked"
    decision = Decision(events=[unresolved(fact, what, order.client_order_id)])
    full = len(order.foretold) >= _FORETOLD_MAX
    if not full:
        decision.events.append(
            ev.OrderFillForetold(
                client_order_id=order.client_order_id,
                trade_id=fact.trade_id,
                voided=void,
                realized_pnl=realized,
                fee=fee,
            )
        )
    names = replacing.unnamed(order)
    if names:
        decision.tells.append(msg.LookUp(order.client_order_id, what))
    if full or (void and names):
        seen = f"{fact.trade_id}: {what}; without a name: {', '.join(names) or 'none'}"
        decision.events.append(order.anomaly(UNMATCHED, seen, "not reversed, DEGRADED"))
        decision.tells.append(msg.Degrade(UNMATCHED, order.client_order_id))
    return decision
