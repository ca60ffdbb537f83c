"""Orders at the venue that no intent of ours stands behind: adopted, reported, never traded.

An external order is an order like any other with the role EXTERNAL: its funds are held back and
its fills move balances, but no position of ours. Its name is a hash of the venue's id, so that no
restart can invent it twice (X07).
"""

from __future__ import annotations

import hashlib

from actors import messages as msg
from actors.effects import Notify
from actors.runtime.actor import Decision
from actors.world import World
from fsm import events as ev
from fsm.facts import OrderFill, VenueOrder
from fsm.money import plain
from fsm.order import OrderState
from fsm.vocabulary import OrderRole

_PREFIX = "ext-"


def external_name(venue: str, venue_order_id: str) -> str:
    """Our name of an order that is not ours."""
    return _PREFIX + hashlib.sha256(f"{venue}|{venue_order_id}".encode()).hexdigest()[:16]


def is_external(client_order_id: str) -> bool:
    """Whether a name of ours is that of an order which is not ours."""
    return client_order_id.startswith(_PREFIX)


def is_of_our_order(fill: OrderFill, world: World) -> bool:
    """Whether an order that we placed was filled by it, and not an external one."""
    if fill.client_order_id is not None and world.is_ours(fill.client_order_id):
        return True
    venue_id = fill.venue_order_id
    known = world.client_order_id(venue_id) if venue_id is not None else None
    return known is not None and not is_external(known)


def claim(venue_order_id: str, client_order_id: str, world: World) -> msg.Claimed | None:
    """What follows when the venue's id of an order of ours is that of an adopted one."""
    theirs = external_name(world.session.venue, venue_order_id)
    adopted = theirs != client_order_id and world.is_ours(theirs)
    return msg.Claimed(theirs, client_order_id) if adopted else None


def name_of(reported: VenueOrder, world: World) -> str:
    """Our name of a reported order: the client's id where it is ours, else by the venue's id."""
    if reported.client_order_id is not None and world.is_ours(reported.client_order_id):
        return reported.client_order_id
    known = world.client_order_id(reported.venue_order_id)
    return known or external_name(world.session.venue, reported.venue_order_id)


def adopt(name: str, reported: VenueOrder, world: World) -> Decision:
    """Take an unknown order into the books, once, and say so."""
    if world.is_ours(name):
        return Decision.ignore("external: adopted already")
    theirs = reported.client_order_id or reported.venue_order_id
    price = "" if reported.price is None else f" at {plain(reported.price)}"
    what = f"{reported.side} {plain(reported.qty)} {reported.instrument}{price} as {theirs}"
    cancelled = world.rules.cancel_external
    intended = ev.OrderIntended(
        client_order_id=name,
        role=OrderRole.EXTERNAL,
        instrument=reported.instrument,
        side=reported.side,
        type=reported.type,
        qty=reported.qty,
        limit_price=reported.price,
        session_id=world.session.session_id,
        mode=world.session.mode,
        position_id=None,
        reserve_price=reported.price,
    )
    found = ev.OrderAcknowledged(
        client_order_id=name,
        position_id=None,
        state=OrderState.WORKING,
        venue_order_id=reported.venue_order_id,
        found=True,
    )
    anomaly = ev.AnomalyRecorded(
        kind="external_order",
        seen=what,
        done="adopted, cancelled at the venue" if cancelled else "adopted, reported, never traded",
        client_order_id=name,
    )
    decision = Decision(events=[intended, found, anomaly])
    decision.identities.append((reported.venue_order_id, name))
    alert = ev.AlertRaised(severity="warning", token="EXTERNAL_ORDER", text=f"{name}: {what}")
    decision.effects.append(Notify(alert))
    if cancelled:
        reason = "external orders are cancelled here"
        decision.tells.append(msg.CancelOrder(name, reason, by_engine=True))
    return decision
