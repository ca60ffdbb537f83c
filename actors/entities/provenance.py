"""Where a position's realized PnL comes from: the venue, our arithmetic, or an inference.

The venue's own figure of a trade is compared with ours, never added to it: within the tolerance
ours becomes the exchange's, beyond it an anomaly says so and nothing is booked again (DESIGN
section 6). Where a fill had no price, the venue's figure is the only one, and counts once (P01).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import field, frozen

from actors.runtime.actor import Decision
from fsm import events as ev
from fsm.money import ZERO, plain
from fsm.pnl import Step
from fsm.vocabulary import PnlSource

if TYPE_CHECKING:
    from actors.entities.position import Position
    from actors.world import World

#: Estimates that wait for the venue's figure, the latest ones of a position (L9).
ESTIMATES_MAX = 1_000
#: A position that shares its instrument: the venue's figure is about all of them together.
NETTED = "netted"
#: How `Position.booked` names a trade whose realized PnL is the exchange's.
STATED = "stated"
_BPS = Decimal("0.0001")
_EXCHANGE, _OURS, _INFERRED = PnlSource.EXCHANGE, PnlSource.KERNEL_ESTIMATE, PnlSource.INFERRED


@frozen(slots=True)
class Told:
    """What is known of one change: the source of its realized PnL, and of all of the position's.

    `settles` replaces what the arithmetic could not know; `cash` is what the quote asset gets then.
    """

    source: PnlSource = _OURS
    pnl_source: PnlSource | None = None
    settles: Decimal | None = None
    cash: Decimal = ZERO
    anomalies: list[ev.Event] = field(factory=list)
    flags: tuple[str, ...] = ()


NOTHING = Told()


def of_fill(
    position: Position, fill: ev.OrderFilled, delta: Decimal, step: Step, world: World
) -> Told:
    """A fill: inferred, stated by the venue on the spot, or ours to estimate."""
    if fill.provenance is _INFERRED:
        return Told(_INFERRED, _INFERRED)
    if not _closes(position.qty, delta):
        return NOTHING
    stated = fill.realized_pnl
    if step.price_missing:
        if stated is None:
            return NOTHING
        basis = position.basis if fill.price is None else None
        cash = _proceeds(position, closed(position.qty, delta), stated, world, basis)
        return Told(_EXCHANGE, _all(position, 0, stated=True), stated, cash)
    ours = _as_netted(fill, step.realized, world)
    netted = (NETTED,) if ours != step.realized else ()
    agrees = stated is None or _agree(ours, stated, fill, world)
    if stated is not None and agrees and not netted:
        return Told(_EXCHANGE, _all(position, 0, stated=True))
    told = Told(_OURS, _all(position, 1), flags=netted)
    if stated is not None and not agrees:
        seen = _difference(fill.trade_id, ours, stated)
        told.anomalies.append(_anomaly(position, fill, seen))
    return told


def of_void(position: Position, void: ev.OrderFillVoided) -> Told:
    """The figure goes as it came: what the venue stated is taken back as it was stated."""
    key = f"{void.client_order_id}/{void.trade_id}"
    if void.provenance is _INFERRED:
        return Told(_INFERRED, _OURS)
    kept = position.stated.get(key)
    if kept is not None:
        return Told(_EXCHANGE, None, -kept[0], -kept[1])
    if position.booked.get(key) == STATED:
        return Told(_EXCHANGE)
    fewer = -1 if key in position.estimates else 0
    return Told(_OURS, _all(position, fewer))


def of_settlement(position: Position, fact: ev.OrderFillSettled, world: World) -> Told:
    """The venue's figure for an exit whose price was never told."""
    assert fact.realized_pnl is not None
    return of_figure(position, fact.trade_id, fact.realized_pnl, world)


def of_figure(position: Position, trade_id: str, realized: Decimal, world: World) -> Told:
    """The venue's figure for a trade whose price was never told."""
    delta, basis = position.unpriced[trade_id]
    cash = _proceeds(position, delta, realized, world, basis)
    return Told(_EXCHANGE, _all(position, 0, stated=True), cash=cash)


def of_closing(position: Position, step: Step) -> Told:
    """Closed at the venue: by its price it is our arithmetic, without one nothing is known yet."""
    return NOTHING if step.price_missing else Told(_OURS, _all(position, 1))


def of_payout(position: Position) -> PnlSource:
    """What all of it rests on when a payout, which the venue stated, ends the position."""
    return _all(position, 0, stated=True)


def compared(position: Position, fact: ev.OrderFillSettled, world: World) -> Decision | None:
    """The venue's figure beside our estimate of the same trade; None when there is no estimate."""
    estimate = position.estimates.get(f"{fact.client_order_id}/{fact.trade_id}")
    if estimate is None or fact.realized_pnl is None:
        return None
    agrees = _agree(estimate, fact.realized_pnl, fact, world)
    event = ev.PnlCompared(
        position_id=position.position_id,
        client_order_id=fact.client_order_id,
        trade_id=fact.trade_id,
        estimate=estimate,
        exchange=fact.realized_pnl,
        agrees=agrees,
        pnl_source=_all(position, -1, stated=True) if agrees else position.pnl_source,
    )
    decision = Decision(events=[event])
    if not agrees:
        seen = _difference(fact.trade_id, estimate, fact.realized_pnl)
        decision.events.append(_anomaly(position, fact, seen))
    return decision


def _as_netted(fill: ev.OrderFilled, realized: Decimal, world: World) -> Decimal:
    """What the venue should state: it nets all positions of a margined instrument at one average
    cost, which is ours where there is only one."""
    spec = world.instruments.get(fill.instrument)
    name, netted = world.ledger.last_net
    same = name == f"{fill.client_order_id}/{fill.trade_id}"
    return netted if spec is not None and spec.is_margined and same else realized


def closed(qty: Decimal, delta: Decimal) -> Decimal:
    """How much of a signed change closes what was held: all of it but what goes through zero."""
    return min(abs(delta), abs(qty)).copy_sign(delta) if qty else delta


def _closes(qty: Decimal, delta: Decimal) -> bool:
    return qty != 0 and (qty > 0) != (delta > 0)


def _all(position: Position, more: int, *, stated: bool = False) -> PnlSource:
    """The source of all that the position has realized, with so many estimates more."""
    if position.pnl_source is _INFERRED:
        return _INFERRED
    if position.estimated + more > 0:
        return _OURS
    return _EXCHANGE if stated or position.pnl_source is _EXCHANGE else _OURS


def _agree(
    ours: Decimal, theirs: Decimal, fill: ev.OrderFilled | ev.OrderFillSettled, world: World
) -> bool:
    """Within the tolerance: so many quote units, or so many bps of what the trade was worth."""
    price = fill.price or ZERO
    worth = abs(fill.qty * price)
    rules = world.rules
    return abs(ours - theirs) <= max(rules.pnl_tolerance, worth * rules.pnl_tolerance_bps * _BPS)


def _proceeds(
    position: Position, delta: Decimal, realized: Decimal, world: World, basis: Decimal | None
) -> Decimal:
    """What a fill without a price brought in quote units, now that its profit over the basis of
    that time is known; without one (it had its price), nothing more."""
    spec = world.instruments.get(position.instrument)
    if spec is None or spec.is_margined:
        return realized
    return ZERO if basis is None else realized - delta * basis


def _difference(trade_id: str, ours: Decimal, theirs: Decimal) -> str:
    return f"trade {trade_id}: the venue realized {plain(theirs)}, our estimate is {plain(ours)}"


def _anomaly(
    position: Position, fill: ev.OrderFilled | ev.OrderFillSettled, seen: str
) -> ev.AnomalyRecorded:
    return ev.AnomalyRecorded(
        kind="pnl_mismatch",
        seen=seen,
        done="our estimate stays booked; compare the fills",
        client_order_id=fill.client_order_id,
        position_id=position.position_id,
    )
