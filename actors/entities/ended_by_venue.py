"""What a position makes of an end that the venue made: payout, liquidation, a trade by hand.

No order of ours stands behind these changes, so the position itself books them, once each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from actors import messages as msg
from actors.effects import Notify
from actors.entities import provenance
from actors.entities.quantity import changed
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm.money import ZERO, plain
from fsm.pnl import Holding, apply_fill
from fsm.position import ENDED, QTY_FLAT_FINAL, PositionState, PositionTrigger
from fsm.vocabulary import OrderRole, PnlSource

if TYPE_CHECKING:
    from actors.entities.position import Position
    from actors.world import World

S, T = PositionState, PositionTrigger
_CAUSES = {"liquidation": "liquidation", "adl": "adl"}
_EXTERNALLY = "closed_externally"


def on_resolved(position: Position, message: msg.ResolvedForPosition, world: World) -> Decision:
    """What is open pays out and the position is over. Its cash is the instrument's: see
    `InstrumentSettled`, which moves the account's whole holding once."""
    if position.qty == 0 and position.state in (S.ENTRY, *ENDED):
        return Decision.ignore("resolved: nothing is held")
    if position.state in ENDED:  # below the minimum, and a late fill did not open it again
        state = position.next_state(T.QTY_CHANGED, QTY_FLAT_FINAL)
    else:
        state = position.next_state(T.RESOLVED)
    step = apply_fill(position.holding, -position.qty, message.payout)
    flags = ("entry_basis_missing",) if step.price_missing and position.qty else ()
    event = ev.PositionChanged(
        position_id=position.position_id,
        instrument=position.instrument,
        cause="resolution",
        client_order_id=None,
        trade_id=None,
        state=state,
        qty_delta=-position.qty,
        price=message.payout,
        fee_quote=ZERO,
        qty=ZERO,
        entry_qty=position.entry_qty,
        exit_qty=position.exit_qty + abs(position.qty),
        basis_price=None,
        basis_before=position.basis,
        realized_delta=step.realized,
        realized_pnl=position.realized_pnl + step.realized,
        fees=position.fees,
        pnl_source=provenance.of_payout(position),
        stop=None,
        flags=flags,
        realized_source=PnlSource.EXCHANGE,
    )
    decision = Decision(events=[event])
    position.closed(decision, world)
    return decision


def on_closed(position: Position, message: msg.ClosedAtVenue, world: World) -> Decision:
    """Traded away at the venue: booked at its true price or none, and nobody goes on selling what
    is not there (X17)."""
    fact, open_qty = message.fact, abs(position.qty)
    if not position.is_open or open_qty == 0 or f"None/{message.trade_id}" in position.booked:
        return Decision.ignore("closed: nothing is open any more, or it is booked")
    told = open_qty if fact.qty is None else fact.qty
    gone = min(told, open_qty)
    delta = gone.copy_sign(-position.qty)
    step = apply_fill(position.holding, delta, fact.price)
    flags = (_EXTERNALLY, *(("realized_skipped_no_price",) if step.price_missing else ()))
    spec = world.instruments.get(position.instrument)
    in_base = spec is not None and fact.fee_asset == spec.base != spec.quote
    decision = changed(
        position,
        world,
        cause=_CAUSES.get(fact.reason, "manual_trade"),
        holding=step.holding,
        realized=step.realized,
        fee=fact.fee * (fact.price or ZERO) if in_base else fact.fee,
        flags=flags,
        price=fact.price,
        order_id=None,
        trade_id=message.trade_id,
        delta=delta,
        is_exit=True,
        told=provenance.of_closing(position, step),
    )
    _at(decision, fact.venue_us)
    decision.dedup_keys.append(message.dedup_key)
    roles = tuple(OrderRole) if gone == open_qty else (OrderRole.EXIT,)
    why = f"the position was closed at the venue: {fact.reason or 'no reason told'}"
    decision.tells[:0] = [
        msg.CancelOrder(order_id, why, by_engine=True) for order_id in position.live_of(*roles)
    ]
    _say(position, decision, fact.reason, f"{plain(told)} of {plain(open_qty)} open")
    return decision


def _say(position: Position, decision: Decision, reason: str, what: str) -> None:
    seen = f"{what} traded away at the venue: {reason or 'no reason told'}"
    anomaly = ev.AnomalyRecorded(
        kind=_EXTERNALLY,
        seen=seen,
        done="booked, its orders are taken back, DEGRADED",
        position_id=position.position_id,
    )
    decision.events.append(anomaly)
    text = f"{position.position_id}: {seen}"
    alert = ev.AlertRaised(severity="critical", token="CLOSED_EXTERNALLY", text=text)
    decision.effects.append(Notify(alert))
    decision.tells.append(msg.Degrade(_EXTERNALLY, text))


def on_closure_settled(position: Position, message: msg.ClosureSettled, world: World) -> Decision:
    """The venue's figure repairs a closing without a price, once (P01)."""
    if message.trade_id not in position.unpriced:
        return Decision.ignore("settlement: the closing had its price")
    decision = changed(
        position,
        world,
        cause="settlement",
        holding=Holding(position.qty, position.basis),
        realized=message.realized_pnl,
        fee=message.fee,
        flags=(),
        price=None,
        order_id=None,
        trade_id=message.trade_id,
        delta=ZERO,
        is_exit=True,
        told=provenance.of_figure(position, message.trade_id, message.realized_pnl, world),
    )
    _at(decision, message.venue_us)
    decision.dedup_keys.append(message.dedup_key)
    return decision


def _at(decision: Decision, venue_us: int) -> None:
    """The venue's time of the change: its own wallet figures from then on hold it already."""
    event = decision.events[0]
    assert isinstance(event, ev.PositionChanged)
    decision.events[0] = evolve(event, venue_us=venue_us)
