"""The one exit decision of a position (L6), its protection levels, and the ladder after it.

All wishes (stop, trailing stop, target, expiry, operator, kill switch) meet here. Once decided,
the exit covers the open quantity, is never doubled (what a live exit may still fill is counted as
covered, also while it is UNKNOWN), and is never given up: a failed or slow exit climbs the ladder
same price -> marketable -> DEGRADED and an alert, and is tried on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from actors import messages as msg
from actors.effects import Notify, SendSubmit, SetTimer
from actors.entities import placement
from actors.entities.levels import levels
from actors.runtime.actor import Decision, Refused
from fsm import events as ev
from fsm.instrument import Instrument
from fsm.mode import ControlLevel, ModeState
from fsm.money import ZERO, floor_to_step
from fsm.order import OrderState
from fsm.position import PositionState, PositionTrigger
from fsm.requests import Submit
from fsm.timestamps import SECOND_US
from fsm.vocabulary import ExitReason, OrderRole, OrderType, Side

if TYPE_CHECKING:
    from actors.entities.position import Position
    from actors.world import World
    from fsm.pnl import Holding

S, T = PositionState, PositionTrigger
WANTED_OUT = {
    ControlLevel.FLATTEN: ExitReason.FLATTEN,
    ControlLevel.EMERGENCY: ExitReason.EMERGENCY,
}
"""Levels of the kill switch under which nothing may stay open, also what fills late."""


def on_price(position: Position, message: msg.PriceCrossed, world: World) -> Decision:
    """A quote crossed a level: the stop wins a tie, then the target, else the stop is drawn."""
    watch = levels(position, world.instruments.get(position.instrument))
    if watch is None or not watch.crossed(message.bid, message.ask):
        return Decision.ignore("price: no level is crossed any more")
    price = message.bid if watch.watches_bid else message.ask
    assert price is not None
    long, stop = position.qty > 0, position.effective_stop
    if stop is not None and (price <= stop if long else price >= stop):
        trailing = position.trail_stop is not None and stop == position.trail_stop != position.stop
        reason = ExitReason.TRAILING_STOP if trailing else ExitReason.STOP
        return _decide(position, reason, world, message, threshold=stop)
    target = position.take_profit
    if target is not None and (price >= target if long else price <= target):
        return _decide(position, ExitReason.TAKE_PROFIT, world, message, threshold=target)
    assert position.trailing is not None
    trail = price - position.trailing if long else price + position.trailing
    return Decision(
        events=[
            ev.ProtectionMoved(
                position_id=position.position_id,
                stop=trail,
                watermark=price,
                event_us=message.event_us,
            )
        ]
    )


def on_request(position: Position, message: msg.RequestExit, world: World) -> Decision:
    """A wish from outside the market: operator, kill switch, strategy, expiry."""
    if not position.is_open:
        return Decision.ignore("exit: the position has ended")
    return _decide(position, message.reason, world, None, note=message.note)


def on_expiry(position: Position, message: msg.ExpiryDue, world: World) -> Decision:
    """Its time is over."""
    if position.state not in (S.ENTRY, S.MONITORING):
        return Decision.ignore("expiry: an exit is decided, or it has ended")
    return _decide(position, ExitReason.EXPIRY, world, None)


def _decide(
    position: Position,
    reason: ExitReason,
    world: World,
    seen: msg.PriceCrossed | None,
    *,
    threshold: Decimal | None = None,
    note: str = "",
) -> Decision:
    held = position.exit_reason
    if held is not None and position.state is not S.MONITORING and reason.priority >= held.priority:
        return Decision.ignore(f"exit_decided: {held} is decided and not less urgent than {reason}")
    escalates = position.state is S.EXIT_PENDING
    trigger = T.EXIT_ESCALATED if escalates else T.EXIT_DECIDED
    quote = world.quote(position.instrument)
    decision = Decision(
        events=[
            ev.ExitDecided(
                position_id=position.position_id,
                state=position.next_state(trigger),
                trigger=trigger,
                reason=reason,
                bid=seen.bid if seen else quote.bid if quote else None,
                ask=seen.ask if seen else quote.ask if quote else None,
                threshold=threshold,
                event_us=seen.event_us if seen else world.now_us,
                rung=position.rung + 1 if escalates else position.rung,
                note=note,
            )
        ]
    )
    for order_id in position.live_of(OrderRole.ENTRY, OrderRole.QUOTE):
        decision.tells.append(msg.CancelOrder(order_id, f"exit decided: {reason}", by_engine=True))
    if position.state is S.MONITORING:
        cover(position, decision, world, position.qty, reason)
    elif escalates:
        _clear_slow_exits(position, decision, world)
    return decision


def latched(position: Position, decision: Decision, world: World, qty: Decimal) -> None:
    """The first fill came after the wish to leave: straight on to the exit."""
    assert position.exit_reason is not None
    _append_decision(
        position, decision, world, position.exit_reason, "latched before the first fill"
    )
    cover(position, decision, world, qty, position.exit_reason)


def reopened(position: Position, decision: Decision, world: World, holding: Holding) -> None:
    """A late fill or void on an ended position: anomaly and alert; only an ACTIVE system whose
    strategy is on keeps it under its stop, everything else takes it straight out (L2)."""
    decision.events.append(
        ev.AnomalyRecorded(
            kind="position_reopened",
            seen=f"quantity {holding.qty} after the end",
            done="open again",
            position_id=position.position_id,
        )
    )
    decision.effects.append(
        Notify(
            ev.AlertRaised(
                severity="critical",
                token="POSITION_REOPENED",
                text=f"{position.position_id} is open again after its end: {holding.qty}",
            )
        )
    )
    strategy_on = position.strategy is None or not world.is_off(position.strategy)
    wanted = WANTED_OUT.get(world.control)
    kept = world.mode is ModeState.ACTIVE and strategy_on and position.effective_stop is not None
    if (kept and wanted is None) or world.mode in (ModeState.STOPPING, ModeState.STOPPED):
        decision.effects += position.expiry_timer(world)
        return
    reason = wanted or ExitReason.STRATEGY
    _append_decision(position, decision, world, reason, "late fill on an ended position")
    cover(position, decision, world, holding.qty, reason)


def _append_decision(
    position: Position, decision: Decision, world: World, reason: ExitReason, note: str
) -> None:
    quote = world.quote(position.instrument)
    decision.events.append(
        ev.ExitDecided(
            position_id=position.position_id,
            state=S.EXIT_PENDING,
            trigger=T.EXIT_DECIDED,
            reason=reason,
            bid=quote.bid if quote else None,
            ask=quote.ask if quote else None,
            threshold=None,
            event_us=world.now_us,
            note=note,
        )
    )


# -------------------------------------------------------------------------------- the exit order


def cover(
    position: Position,
    decision: Decision,
    world: World,
    qty: Decimal,
    reason: ExitReason | None = None,
) -> None:
    """Place an exit for the part of the open quantity that no live exit covers.

    `reason` is given when it was decided in this very turn, before the position knows it.
    """
    stopping = world.mode in (ModeState.STOPPING, ModeState.STOPPED)
    side = Side.SELL if qty > 0 else Side.BUY
    exits_live = [order for order in position.live.values() if order.role is OrderRole.EXIT]
    if qty != 0 and any(order.side is not side for order in exits_live):
        if not stopping:
            _flipped(position, decision)
        return
    if _covers_too_much(position, decision, qty) or qty == 0 or stopping:
        return
    gap = abs(qty) - sum((order.rest for order in exits_live), ZERO)
    instrument = world.instruments.get(position.instrument)
    if instrument is not None:
        gap = floor_to_step(gap, instrument.qty_step)
    if gap <= 0 or gap < position.min_qty:
        return
    _place(position, decision, world, side, gap, reason=reason or position.exit_reason)


def _covers_too_much(position: Position, decision: Decision, qty: Decimal) -> bool:
    """A void took away what a live exit was for: it goes, before it opens the other way; when it
    is proven dead, what is still open gets an exit of the right size."""
    exits_live = position.live_of(OrderRole.EXIT)
    covered = sum((position.live[order_id].rest for order_id in exits_live), ZERO)
    too_much = covered > abs(qty)
    if too_much:
        for order_id in exits_live:
            decision.tells.append(msg.CancelOrder(order_id, "it covers more than is open"))
    return too_much


def _flipped(position: Position, decision: Decision) -> None:
    """Live exits point the wrong way now: they go first, then what is over is traded back."""
    decision.events.append(
        ev.AnomalyRecorded(
            kind="position_flipped",
            seen=f"quantity {position.qty} with exits the other way",
            done="live exits cancelled, the rest is traded back",
            position_id=position.position_id,
        )
    )
    for order_id in position.live_of(OrderRole.EXIT):
        decision.tells.append(msg.CancelOrder(order_id, "the position flipped"))


def _place(
    position: Position,
    decision: Decision,
    world: World,
    side: Side,
    qty: Decimal,
    *,
    reason: ExitReason | None,
    order_id: str | None = None,
    type_: OrderType = OrderType.MARKET,
    limit: Decimal | None = None,
) -> None:
    instrument = world.instruments.get(position.instrument)
    quote = world.quote(position.instrument)
    reduce_only = instrument is not None and _reduces_net(world, instrument, side, qty)
    client_order_id = order_id or world.ids.next("o")
    price = (quote.bid if side is Side.SELL else quote.ask) if quote else None
    decision.events.append(
        ev.OrderIntended(
            client_order_id=client_order_id,
            role=OrderRole.EXIT,
            instrument=position.instrument,
            side=side,
            type=type_,
            qty=qty,
            limit_price=limit,
            session_id=world.session.session_id,
            mode=position.mode,
            position_id=position.position_id,
            strategy=position.strategy,
            reduce_only=reduce_only,
            leverage=position.leverage,
            reserve_price=price,
            exit_reason=reason,
            rung=position.rung,
        )
    )
    decision.effects.append(
        SendSubmit(
            Submit(
                client_order_id=client_order_id,
                instrument=position.instrument,
                side=side,
                qty=qty,
                type=type_,
                limit_price=limit,
                reduce_only=reduce_only,
                leverage=position.leverage,
            ),
            OrderRole.EXIT,
        )
    )
    decision.effects.append(check_timer(position, world))


def _reduces_net(world: World, instrument: Instrument, side: Side, qty: Decimal) -> bool:
    """Whether the venue will see this exit as reducing: it nets all positions of an instrument.

    Where another position holds the other way, a reduce-only exit would be refused for ever; what
    a live exit covers is counted, so that a plain one cannot open anything either.
    """
    return instrument.is_margined and world.ledger.net(instrument.name).qty * -side.sign >= qty


def on_place(position: Position, message: msg.PlaceExit, world: World) -> Decision:
    """An exit of exactly this shape: the decision is recorded, the ladder watches it."""
    placement.validate_id(message.client_order_id, world)
    placement.validate_shape(
        message.client_order_id, message.qty, message.type, message.limit_price
    )
    if position.state is S.EXIT_PENDING and position.live_of(OrderRole.EXIT):
        raise Refused(f"{position.address}: an exit is out, a second would double it (X04)")
    if not position.is_open or position.qty == 0:
        raise Refused(f"{position.address}: nothing is open")
    decision = Decision()
    if position.state is S.MONITORING:
        decision = _decide_without_cover(position, world)
    side = Side.SELL if position.qty > 0 else Side.BUY
    qty = min(message.qty, abs(position.qty))
    _place(
        position,
        decision,
        world,
        side,
        qty,
        reason=position.exit_reason or ExitReason.OPERATOR,
        order_id=message.client_order_id,
        type_=message.type,
        limit=message.limit_price,
    )
    return decision


def _decide_without_cover(position: Position, world: World) -> Decision:
    decision = Decision()
    _append_decision(
        position, decision, world, ExitReason.OPERATOR, "an exit order was placed by hand"
    )
    for order_id in position.live_of(OrderRole.ENTRY, OrderRole.QUOTE):
        decision.tells.append(msg.CancelOrder(order_id, "exit decided: operator", by_engine=True))
    return decision


def check_timer(position: Position, world: World) -> SetTimer:
    """The ladder's clock: look again after the repricing time, later after failures."""
    delay = world.rules.exit_reprice_after_us
    over = position.rung - world.rules.exit_attempts_max
    if over > 0:  # the ladder is climbed: go on trying, but neither hammer nor shout
        delay = min(delay << min(over, 5), max(delay, world.rules.backoff_max_us))
    if position.failures:
        delay = min(SECOND_US << min(position.failures - 1, 5), world.rules.backoff_max_us)
    return SetTimer(
        f"exit/{position.position_id}", delay, msg.ExitCheck(position.position_id, position.rung)
    )


def exit_ended(position: Position, decision: Decision, world: World, ended: msg.OrderEnded) -> None:
    """An exit order is proven dead and something is still open: the first retry goes at once,
    later ones on the timer, so that a venue that refuses everything is not hammered."""
    if position.qty == 0:
        return
    complete = ended.ended_as == OrderState.FILLED
    if not complete:
        decision.events.append(
            ev.PositionMoved(
                position_id=position.position_id,
                trigger=T.EXIT_FAILED,
                state=position.next_state(T.EXIT_FAILED),
                reason=f"{ended.client_order_id} ended {ended.ended_as}",
            )
        )
        if ended.ended_as == OrderState.REJECTED:
            decision.tells.append(msg.PassDue("books"))  # is there still something to exit (X17)?
        if position.failures + 1 >= world.rules.exit_attempts_max:
            _alarm(position, decision, f"{position.failures + 1} exits failed")
        if position.failures > 0:
            decision.effects.append(check_timer(position, world))
            return
    cover(position, decision, world, position.qty)


def on_check(position: Position, message: msg.ExitCheck, world: World) -> Decision:
    """The ladder's timer: slow exits are taken back and sent again as marketable (X15)."""
    if position.state is not S.EXIT_PENDING or position.qty == 0:
        return Decision.ignore("exit_check: no exit is pending")
    if not position.live_of(OrderRole.EXIT):
        decision = Decision()
        cover(position, decision, world, position.qty)
        if not decision.effects:
            decision.effects.append(check_timer(position, world))
        return decision
    decision = Decision(
        events=[
            ev.ExitDecided(
                position_id=position.position_id,
                state=position.next_state(T.EXIT_ESCALATED),
                trigger=T.EXIT_ESCALATED,
                reason=position.exit_reason or ExitReason.STRATEGY,
                bid=None,
                ask=None,
                threshold=None,
                event_us=world.now_us,
                rung=position.rung + 1,
                note="the exit did not fill in time",
            )
        ]
    )
    _clear_slow_exits(position, decision, world)
    if position.rung + 1 >= world.rules.exit_attempts_max:
        _alarm(position, decision, f"still open after {position.rung + 1} steps of the ladder")
    decision.effects.append(check_timer(position, world))
    return decision


def _clear_slow_exits(position: Position, decision: Decision, world: World) -> None:
    """Cancel resting exits; one in doubt is asked for, never replaced before it is proven dead."""
    for order_id in position.live_of(OrderRole.EXIT):
        order = world.orders.get(order_id)
        if order is None:
            continue
        if order.state in (OrderState.WORKING, OrderState.PARTIALLY_FILLED):
            decision.tells.append(msg.CancelOrder(order_id, "exit escalated"))
        elif order.state is not OrderState.CANCEL_PENDING:
            decision.tells.append(msg.LookUp(order_id, "an exit is in doubt"))


def _alarm(position: Position, decision: Decision, text: str) -> None:
    decision.tells.append(msg.Degrade(f"exit_stuck/{position.position_id}", text))
    decision.effects.append(
        Notify(
            ev.AlertRaised(
                severity="critical",
                token="EXIT_STUCK",
                text=f"{position.position_id}: {text}",
            )
        )
    )
