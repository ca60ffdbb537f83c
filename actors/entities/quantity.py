"""How a position's quantity changes: fills, voids, settlements, and what follows from each.

The arithmetic is `fsm.pnl`'s; the fill's event and the position's change are one transaction.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import evolve

from actors import messages as msg
from actors.effects import Notify
from actors.entities import exits, provenance
from actors.runtime.actor import Decision
from fsm import events as ev
from fsm.money import ZERO, divide
from fsm.pnl import Holding, apply_fill
from fsm.position import ENDED, PositionState, PositionTrigger
from fsm.vocabulary import OrderRole

if TYPE_CHECKING:
    from actors.entities.position import Position
    from actors.world import World

S, T = PositionState, PositionTrigger


def on_fill(position: Position, message: msg.FillForPosition, world: World) -> Decision:
    fill = message.fill
    if f"{fill.client_order_id}/{fill.trade_id}" in position.booked:
        return Decision.ignore("duplicate: the position has booked this trade")
    delta = _moved(fill, world)
    step = apply_fill(position.holding, delta, fill.price)
    is_exit = fill.role is OrderRole.EXIT
    flags: tuple[str, ...] = ()
    if step.price_missing:
        flags = ("realized_skipped_no_price",) if is_exit else ("entry_basis_missing",)
    told = provenance.of_fill(position, fill, delta, step, world)
    if told.settles is not None:  # what it closed is known; what it opened on the other side is not
        flags = ("entry_basis_missing",) if step.holding.qty and not step.holding.basis else ()
    fee = _fee_in_quote(fill.fee, fill.fee_asset, fill.price, world, position.instrument)
    if fill.fee and not fee:
        flags += ("fee_not_valued",)
    decision = changed(
        position,
        world,
        cause="exit_fill" if is_exit else "entry_fill",
        holding=step.holding,
        realized=step.realized if told.settles is None else told.settles,
        fee=fee,
        flags=flags + told.flags,
        price=fill.price,
        order_id=fill.client_order_id,
        trade_id=fill.trade_id,
        delta=delta,
        is_exit=is_exit,
        told=told,
    )
    decision.events += told.anomalies
    return decision


def on_void(position: Position, message: msg.VoidForPosition, world: World) -> Decision:
    void = message.void
    if position.booked.get(f"{void.client_order_id}/{void.trade_id}") == "void":
        return Decision.ignore("duplicate: the position has booked this void")
    role = (
        world.orders[void.client_order_id].role
        if void.client_order_id in world.orders
        else OrderRole.ENTRY
    )
    delta = -_moved(void, world)
    is_exit = role is OrderRole.EXIT
    basis_now = position.basis if position.basis is not None else position.last_basis
    held, taken_at = Holding(position.qty, basis_now), position.taken_at(void)
    if is_exit and void.price is None and taken_at is not None:
        # As it was taken, so it comes back, whatever was bought since.
        held = held if held.qty else Holding(ZERO, taken_at)
        holding, realized = _without(held, delta, taken_at, is_exit=False)
    else:
        holding, realized = _without(held, delta, void.price, is_exit=is_exit)
    if not is_exit and holding.qty and position.instrument in world.ledger.resolved:
        # It has paid out by its own price, and gives back just that.
        holding, realized = evolve(holding, basis=void.price), ZERO
    told = provenance.of_void(position, void)
    fee = -_fee_in_quote(void.fee, void.fee_asset, void.price, world, position.instrument)
    return changed(
        position,
        world,
        cause="void",
        holding=holding,
        realized=realized if told.settles is None else told.settles,
        fee=fee,
        flags=("voided_fill",),
        price=void.price,
        order_id=void.client_order_id,
        trade_id=void.trade_id,
        delta=delta,
        is_exit=is_exit,
        told=told,
    )


def on_replaced(position: Position, message: msg.ReplacedForPosition, world: World) -> Decision:
    """Voids and fills as one change: only the quantity after the last of them counts (X06)."""
    about: list[ev.OrderFilled | ev.OrderFillVoided] = [*message.voids, *message.fills]
    keys = [f"{event.client_order_id}/{event.trade_id}" for event in about]
    booked = {key: position.booked[key] for key in keys if key in position.booked}
    scratch = evolve(
        position,
        booked=booked,
        unpriced=dict(position.unpriced),
        estimates=dict(position.estimates),
        stated=dict(position.stated),
    )
    notes: list[msg.VoidForPosition | msg.FillForPosition] = [
        msg.VoidForPosition(position.position_id, void) for void in message.voids
    ]
    notes += [msg.FillForPosition(position.position_id, fill) for fill in message.fills]
    events: list[ev.Event] = []
    last = Decision.ignore("duplicate: the position has booked this replacement")
    for number, note in enumerate(notes, start=1):
        if isinstance(note, msg.VoidForPosition):
            step = on_void(scratch, note, world)
        else:
            step = on_fill(scratch, note, world)
        if step.ignored is not None or number == len(notes):
            last = step if step.ignored is None else last
            continue
        changed = next(e for e in step.events if isinstance(e, ev.PositionChanged))
        changed = evolve(changed, state=position.state, flags=("fill_replaced",))
        events.append(changed)
        scratch.evolve(changed)
    if events:
        last.ignored = None
    last.events[:0] = events
    return last


def on_gone(position: Position, message: msg.GoneAtVenue, world: World) -> Decision:
    """Somebody traded it away at the venue: the quantity follows, its price is not known, and
    nobody goes on selling what is not there (X17)."""
    if position.state is not S.EXIT_PENDING or position.live_of(OrderRole.EXIT):
        return Decision.ignore("gone: no exit is refused any more")
    gone = min(message.qty, abs(position.qty))
    delta = gone.copy_sign(-position.qty)
    step = apply_fill(position.holding, delta, None)
    decision = changed(
        position,
        world,
        cause="manual_trade",
        holding=step.holding,
        realized=ZERO,
        fee=ZERO,
        flags=("closed_externally", "realized_skipped_no_price"),
        price=None,
        order_id=None,
        trade_id=None,
        delta=delta,
        is_exit=True,
    )
    done = f"{gone} taken off the position, no further exit for it, DEGRADED"
    decision.events.append(
        ev.AnomalyRecorded(
            kind="closed_externally",
            seen=message.seen,
            done=done,
            position_id=position.position_id,
        )
    )
    text = f"{position.position_id}: {message.seen}"
    alert = ev.AlertRaised(severity="critical", token="CLOSED_EXTERNALLY", text=text)
    decision.effects.append(Notify(alert))
    decision.tells.append(msg.Degrade("closed_externally", text))
    return decision


def _without(
    held: Holding, delta: Decimal, price: Decimal | None, *, is_exit: bool
) -> tuple[Holding, Decimal]:
    """The holding as if the voided fill had not been, and what is realized by that.

    A voided entry leaves the average of the other entries, a voided exit gives the quantity back at
    the basis that it was taken from. What the entry cost and the rest cannot carry was realized by
    the exits since: they sold what was dearer or cheaper than it seemed.
    """
    after = held.qty + delta
    if held.basis is None or price is None:
        left = held.basis if held.basis is not None else price
        return Holding(after, left) if after else Holding(), ZERO
    cost = held.qty * held.basis + delta * price
    same_way = held.qty != 0 and after != 0 and (after > 0) == (held.qty > 0)
    if same_way and not is_exit and (cost > 0) == (after > 0) and cost:
        return Holding(after, divide(cost, after)), ZERO
    return (Holding(after, held.basis) if after else Holding()), after * held.basis - cost


def on_settlement(position: Position, message: msg.SettlementForPosition, world: World) -> Decision:
    """The venue's figures: they repair a price-less exit once (P01), and are compared elsewhere.

    A fee that was not told with the fill is booked with them (X11).
    """
    fact = message.settlement
    fee = _fee_in_quote(fact.fee_delta, fact.fee_asset, fact.price, world, position.instrument)
    order = world.orders.get(fact.client_order_id)
    delta = _fee_in_base(fact.fee_delta, fact.fee_asset, world, position.instrument)
    repairs = fact.realized_pnl is not None and fact.trade_id in position.unpriced
    if not repairs and not fee and not delta:
        compared = provenance.compared(position, fact, world)
        return compared or Decision.ignore("settlement: there is nothing to repair or compare")
    realized = fact.realized_pnl if repairs and fact.realized_pnl is not None else ZERO
    decision = changed(
        position,
        world,
        cause="settlement" if repairs else "settlement_fee",
        holding=Holding(position.qty - delta, position.basis),
        realized=realized,
        fee=fee,
        flags=(),
        price=None,
        order_id=fact.client_order_id,
        trade_id=fact.trade_id,
        delta=-delta,
        is_exit=order is None or order.role is OrderRole.EXIT,
        grown=ZERO if order is None else -delta * order.side.sign,
        told=provenance.of_settlement(position, fact, world) if repairs else provenance.NOTHING,
    )
    compared = None if repairs else provenance.compared(position, fact, world)
    if compared is not None:
        decision.events += compared.events
    return decision


def changed(
    position: Position,
    world: World,
    *,
    cause: str,
    holding: Holding,
    realized: Decimal,
    fee: Decimal,
    flags: tuple[str, ...],
    price: Decimal | None,
    order_id: str | None,
    trade_id: str | None,
    delta: Decimal,
    is_exit: bool,
    told: provenance.Told = provenance.NOTHING,
    grown: Decimal | None = None,
) -> Decision:
    """One new quantity: the event, and what follows from the state it leads to. `grown` is how much
    more its entries or exits are, where that is not what moved."""
    if grown is None:
        grown = abs(delta) if cause != "void" else -abs(delta)
    guard = position.quantity_guard(holding.qty)
    state = position.next_state(T.QTY_CHANGED, guard)
    reopened = position.state in ENDED and state is S.MONITORING
    dust = state is S.CLOSED and holding.qty != 0
    flags += ("reopened",) if reopened else ()
    flags += ("dust",) if dust else ()
    unprotected = reopened and position.effective_stop is None
    flags += ("unprotected",) if unprotected else ()
    decision = Decision(
        events=[
            ev.PositionChanged(
                position_id=position.position_id,
                instrument=position.instrument,
                cause=cause,
                client_order_id=order_id,
                trade_id=trade_id,
                state=state,
                qty_delta=delta,
                price=price,
                fee_quote=fee,
                qty=holding.qty,
                entry_qty=position.entry_qty + (ZERO if is_exit else grown),
                exit_qty=position.exit_qty + (grown if is_exit else ZERO),
                basis_price=holding.basis,
                basis_before=position.basis,
                realized_delta=realized,
                realized_pnl=position.realized_pnl + realized,
                fees=position.fees + fee,
                pnl_source=told.pnl_source or position.pnl_source,
                stop=position.effective_stop,
                flags=flags,
                realized_source=told.source,
                cash_delta=told.cash,
            )
        ]
    )
    payout = world.ledger.resolved.get(position.instrument)
    if payout is not None:  # it came late: it pays out in the same turn, nothing is traded any more
        decision.tells.append(msg.ResolvedForPosition(position.position_id, payout))
        return decision
    _protect(position, decision, state, holding, world)
    if state is S.CLOSED:
        position.closed(decision, world)
    elif reopened:
        exits.reopened(position, decision, world, holding)
    elif state is S.EXIT_PENDING:
        exits.cover(position, decision, world, holding.qty)
    elif state is S.MONITORING and position.state is S.ENTRY and position.exit_reason is not None:
        exits.latched(position, decision, world, holding.qty)
    return decision


def _protect(
    position: Position, decision: Decision, state: PositionState, holding: Holding, world: World
) -> None:
    """The trailing stop starts at the basis, with the first fill (X13)."""
    if (
        state is S.MONITORING
        and position.trailing is not None
        and position.watermark is None
        and holding.basis
    ):
        sign = 1 if holding.qty > 0 else -1
        decision.events.append(
            ev.ProtectionMoved(
                position_id=position.position_id,
                stop=holding.basis - sign * position.trailing,
                watermark=holding.basis,
                event_us=world.now_us,
            )
        )


def _moved(fill: ev.OrderFilled | ev.OrderFillVoided, world: World) -> Decimal:
    """The signed quantity that an execution moves: what was paid as a fee in the base asset is not
    held, and an exit that tried to sell it would be refused."""
    fee = _fee_in_base(fill.fee, fill.fee_asset, world, fill.instrument)
    return fill.side.sign * fill.qty - fee


def _fee_in_base(fee: Decimal, asset: str | None, world: World, instrument: str) -> Decimal:
    """How much of what is held a fee takes."""
    spec = world.instruments.get(instrument)
    return fee if spec is not None and not spec.is_margined and asset == spec.base else ZERO


def _fee_in_quote(
    fee: Decimal, asset: str | None, price: Decimal | None, world: World, instrument: str
) -> Decimal:
    """A fee paid in the base asset counts at the fill's own price, one in another asset at what it
    cost; where nobody knows that, it counts for nothing, and the change is flagged."""
    spec = world.instruments.get(instrument)
    if not fee or spec is None or asset is None or asset == spec.quote:
        return fee
    if asset == spec.base and price is not None:
        return fee * price
    if asset in world.ledger.quotes:
        return fee
    return fee * world.ledger.inventory.prices().get(asset, ZERO)
