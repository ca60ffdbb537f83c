"""What an order makes of executions: booked once each, on evidence, whatever its state (L2, L5).

The dedup key and the identity go with the event into the same transaction. A fill that names no
trade gets a hash of what it says for an id, so that no restart can invent it twice (X07).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import evolve

from actors import messages as msg
from actors.effects import Notify
from actors.entities import foretelling, replacing
from actors.entities.trades import TradeMark, named_before, nearest, unnamed_id
from actors.fact_keys import unresolved
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm import facts
from fsm.money import ZERO
from fsm.vocabulary import FillStatus, OrderRole

if TYPE_CHECKING:
    from actors.entities.order import Order
    from actors.world import World

FINAL, FEE, PROFIT, STATED = "final", "fee", "profit", "stated"
"""What was said of a fill: only that it is final, or also one of its figures, or both of them. A
venue may tell them one after the other; each counts once."""


def settlement_of(event: ev.OrderFillSettled) -> str:
    """What a settlement said."""
    if event.realized_pnl is None:
        return FINAL if event.fee is None else FEE
    return PROFIT if event.fee is None else STATED


def settled_as(before: str, now: str) -> str:
    """What is known after one more settlement."""
    if now in ("", FINAL) or before == STATED:
        return before or now
    return STATED if {before, now} == {FEE, PROFIT} else now


def after_settlement(mark: TradeMark, event: ev.OrderFillSettled) -> TradeMark:
    """A trade's mark with what its settlement said."""
    return evolve(
        mark,
        status=FillStatus.SETTLED,
        settlement=settled_as(mark.settlement, settlement_of(event)),
        profit=mark.profit if event.realized_pnl is None else event.realized_pnl,
        fee=mark.fee + event.fee_delta,
        fee_asset=event.fee_asset if event.fee_delta else mark.fee_asset,
    )


def fill_key(
    venue: str, instrument: str, client_order_id: str, trade_id: str, status: FillStatus
) -> str:
    """The dedup key of a fill; the account is the only one that a database has."""
    return f"{venue}|main|{instrument}|{client_order_id}|fill|{trade_id}|{status}"


def on_fill(order: Order, fact: facts.OrderFill, world: World) -> Decision:
    trade_id = fact.trade_id or unnamed_id(order.client_order_id, fact)
    booked = booked_as(order, trade_id)
    if booked is not None:
        return _known_trade(order, booked, fact, world)
    if order.position_id is not None and _is_closing(order.position_id, trade_id, world):
        return Decision.ignore("duplicate: this trade is booked as a closing at the venue")
    if fact.qty <= 0:
        return Decision(
            events=[
                order.anomaly("fill_without_quantity", f"{trade_id}: qty {fact.qty}", "not booked")
            ]
        )
    if fact.status is FillStatus.VOIDED or foretelling.is_voided(order, trade_id):
        return _never_was(order, trade_id, fact, world)
    if fact.trade_id is None and order.trades:
        named = named_before(order.trades, order.aliases, fact)
        if named is not None:
            return _told_without_name(order, named, trade_id, fact, world)
    stand_in = replacing.stood_for(order, fact) if order.unproven else None
    if stand_in is not None:
        decision = replacing.replace(order, fact, trade_id, stand_in, world)
    else:
        decision = _book(order, fact, trade_id, world)
    if order.foretold:
        decision.tells += foretelling.settlements(order, trade_id)
    return decision


def _is_closing(position_id: str, trade_id: str, world: World) -> bool:
    """Whether the venue told it as a closing before it told it as a fill of ours."""
    position = world.find_position(position_id)
    return position is not None and f"None/{trade_id}" in position.booked


def booked_as(order: Order, trade_id: str) -> str | None:
    """Under which name a trade is booked; None when it is not."""
    if order.trades is None:
        return None
    name = order.aliases.get(trade_id, trade_id) if order.aliases else trade_id
    return name if name in order.trades else None


def _book(order: Order, fact: facts.OrderFill, trade_id: str, world: World) -> Decision:
    late, rest = not order.is_live, order.rest
    running = replacing.Running.of(order)
    event = running.book(fact, trade_id, world, late=late)
    decision = Decision(events=[event])
    decision.dedup_keys.append(
        fill_key(
            world.session.venue, order.instrument, order.client_order_id, trade_id, fact.status
        )
    )
    order.identify(decision, fact.venue_order_id)
    if late:
        decision.events.append(
            order.anomaly("late_fill", f"{trade_id}: {fact.qty} on a {order.state} order", "booked")
        )
    if event.overfill:
        decision.events.append(
            order.anomaly(
                "overfill",
                f"{trade_id}: {fact.qty} beyond the rest {rest}",
                "booked" if order.role is OrderRole.EXTERNAL else "booked, DEGRADED",
            )
        )
        if order.role is not OrderRole.EXTERNAL:  # somebody may have amended theirs
            decision.tells.append(msg.Degrade("overfill", order.client_order_id))
    if order.position_id is not None:
        decision.tells.append(msg.FillForPosition(order.position_id, event))
    order.ended(decision, event.state, event.filled_qty)
    return decision


def _known_trade(order: Order, trade_id: str, fact: facts.OrderFill, world: World) -> Decision:
    """The same trade again: only its status may be news (to SETTLED, to VOIDED)."""
    assert order.trades is not None
    if fact.status is FillStatus.VOIDED:
        return on_voided(order, facts.FillVoided(trade_id=trade_id), world)
    if (
        order.trades[trade_id].status is FillStatus.PROVISIONAL
        and fact.status is FillStatus.SETTLED
    ):
        return _settled(order, trade_id, None, None, world)
    return Decision.ignore("duplicate: this trade is booked")


def _told_without_name(
    order: Order, named: str, trade_id: str, fact: facts.OrderFill, world: World
) -> Decision:
    """The stream tells what a query was faster to tell, under its name (X07)."""
    decision = _known_trade(order, named, fact, world)
    decision.ignored = None
    names = {"trade_id": named, "other_id": trade_id}
    pair = ev.OrderFillPaired(client_order_id=order.client_order_id, **names)
    decision.events.append(pair)
    return decision


def _never_was(order: Order, trade_id: str, fact: facts.OrderFill, world: World) -> Decision:
    """A fill that was voided before it was told: at most one without a name stands for it."""
    stand_in = nearest(order.trades or {}, replacing.unnamed(order), fact)
    if stand_in is not None:
        return _void_unnamed(order, stand_in, trade_id, world)
    void = facts.FillVoided(trade_id=trade_id, client_order_id=order.client_order_id)
    return foretelling.foretold(order, void)


def _void_unnamed(order: Order, name: str, trade_id: str, world: World) -> Decision:
    """The void names what is booked without a name."""
    decision = on_voided(order, facts.FillVoided(trade_id=name), world)
    if trade_id != name:
        names = {"trade_id": name, "other_id": trade_id}
        pair = ev.OrderFillPaired(client_order_id=order.client_order_id, **names)
        decision.events.append(pair)
    return decision


def on_settled(order: Order, fact: facts.FillSettled, world: World) -> Decision:
    trade_id = booked_as(order, fact.trade_id)
    if trade_id is None:
        return foretelling.foretold(order, fact)
    assert order.trades is not None
    mark = order.trades[trade_id]
    if mark.status is FillStatus.VOIDED:
        why = "settles a trade that was voided"
        return Decision(events=[unresolved(fact, why, order.client_order_id)])
    profit = None if mark.settlement in (PROFIT, STATED) else fact.realized_pnl
    fee = None if mark.settlement in (FEE, STATED) else fact.fee
    again = _stated_again(order, fact, mark, world)
    if mark.settlement and profit is None and fee is None:
        return again or Decision.ignore("duplicate: this settlement is booked")
    decision = _settled(order, trade_id, profit, fee, world)
    if again is not None:
        decision.events += again.events
        decision.dedup_keys += again.dedup_keys
    return decision


def _stated_again(
    order: Order, fact: facts.FillSettled, mark: TradeMark, world: World
) -> Decision | None:
    """The venue states another figure than the one that is booked: the first one counts, and the
    second one is an anomaly, once. None where it says the same, or something new."""
    seen = []
    if mark.settlement in (PROFIT, STATED) and fact.realized_pnl not in (None, mark.profit):
        seen.append(f"realized {fact.realized_pnl}, booked is {mark.profit}")
    if mark.settlement in (FEE, STATED) and fact.fee not in (None, mark.fee):
        seen.append(f"fee {fact.fee}, booked is {mark.fee}")
    text = f"trade {fact.trade_id} settled again: {' and '.join(seen)}"
    key = f"settled_again|{order.client_order_id}|{text}"
    if not seen or world.is_recorded(key):
        return None
    anomaly = order.anomaly("settlement_differs", text, "the first one stays booked")
    return Decision(events=[anomaly], dedup_keys=[key])


def _settled(
    order: Order, trade_id: str, realized: Decimal | None, fee: Decimal | None, world: World
) -> Decision:
    assert order.trades is not None
    mark, spec = order.trades[trade_id], world.instruments.get(order.instrument)
    event = ev.OrderFillSettled(
        client_order_id=order.client_order_id,
        position_id=order.position_id,
        trade_id=trade_id,
        realized_pnl=realized,
        fee=fee,
        instrument=order.instrument,
        qty=mark.qty,
        price=mark.price,
        fee_delta=ZERO if fee is None else fee - mark.fee,
        fee_asset=mark.fee_asset or (None if spec is None else spec.quote),
        venue_us=0 if mark.is_timeless else mark.venue_us,
    )
    kind = settlement_of(event)
    decision = Decision(
        events=[event], dedup_keys=[f"settled|{order.client_order_id}|{trade_id}|{kind}"]
    )
    if order.position_id is not None and kind != FINAL:
        decision.tells.append(msg.SettlementForPosition(order.position_id, event))
    return decision


def on_voided(order: Order, fact: facts.FillVoided, world: World) -> Decision:
    trade_id = booked_as(order, fact.trade_id)
    if trade_id is None:
        names = replacing.unnamed(order)
        if len(names) == 1:
            return _void_unnamed(order, names[0], fact.trade_id, world)
        return foretelling.foretold(order, fact)
    assert order.trades is not None
    if order.trades[trade_id].status is FillStatus.VOIDED:
        return Decision.ignore("duplicate: this void is booked")
    event = replacing.Running.of(order).take_back(trade_id)
    decision = Decision(events=[event], dedup_keys=[f"voided|{order.client_order_id}|{trade_id}"])
    decision.effects.append(
        Notify(
            ev.AlertRaised(
                severity="warning",
                token="FILL_VOIDED",
                text=f"{order.client_order_id} trade {trade_id}",
            )
        )
    )
    if order.position_id is not None:
        decision.tells.append(msg.VoidForPosition(order.position_id, event))
    return decision
