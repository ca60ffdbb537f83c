"""What the venue lists against what the books show: which orders are told, adopted or asked for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from actors import messages as msg
from actors.entities.order import Order
from actors.reconciling.externals import is_external, name_of
from actors.reconciling.notes import AdoptExternal
from actors.reconciling.passes import Pass
from actors.reconciling.verdicts import Case, Policy
from actors.world import Rules, World
from fsm import facts
from fsm.order import TERMINAL, OrderState
from fsm.requests import QueryOrder
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole

S = OrderState
_CANCEL_OUT = (S.CANCELLED_BY_ENGINE, S.CANCEL_PENDING)
#: A venue's clock may be behind ours by this much at first; each vain search reaches further back.
REACH_BACK_US = 60 * SECOND_US
#: What an external order had filled before it was adopted may be in the opening balances, and is
#: never found then: after so many vain searches only the watermark asks on.
_EXTERNAL_SEARCHES_MAX = 3


def listed(
    orders: tuple[facts.VenueOrder, ...], run: Pass, world: World
) -> Iterator[object | None]:
    """Go through what is open at the venue; a snapshot races the stream, and never outdoes it."""
    assert run.open_orders is not None
    nameless = {shape(order): None for order in world.live_orders() if order.venue_order_id is None}
    for reported in orders:
        name = name_of(reported, world)
        run.open_orders[name] = reported
        order = world.orders.get(name)
        was = run.states.get(name)
        if order is None and not world.is_ours(name):
            if not reported.client_order_id and shape(reported) in nameless:
                # It may be ours, with its acknowledgement on the way: asked for by its id first.
                run.unclaimed.append(reported)
                yield None
            else:
                yield None if run.opening else AdoptExternal(name, reported)
        elif order is None or order.state in TERMINAL:
            # Only one that had ended before the question left is dead and open.
            dead = was in TERMINAL or (was is None and name not in run.began)
            dead = dead and (world.rules.cancel_external or not is_external(name))
            yield msg.FoundOpen(name, reported) if dead else None
        elif order.state in _CANCEL_OUT and was is not order.state:
            yield None  # its cancel left after the question did
        else:
            more = reported.filled_qty > order.proven_qty
            if more:
                refetch(run, order, reported.filled_qty)
            as_booked = order.state in (S.WORKING, S.PARTIALLY_FILLED) and not more
            yield None if as_booked else msg.FoundOpen(name, reported)


def question(order: Order, world: World) -> QueryOrder:
    """A question for one order."""
    return QueryOrder(
        request_id=world.ids.next("q"),
        client_order_id=order.client_order_id,
        instrument=order.instrument,
        venue_order_id=order.venue_order_id,
    )


def shape(order: Order | facts.VenueOrder) -> tuple[object, ...]:
    """What an order that names no client's id can be told apart by."""
    return order.instrument, order.side, order.qty


def vanished(run: Pass, world: World) -> Iterator[object | None]:
    """Go through the orders that were live when the pass began, and are not listed."""
    assert run.open_orders is not None
    for name, was in run.states.items():
        order = world.orders.get(name)
        changed = order is None or order.state is not was or was in TERMINAL
        left = order is not None and (order.request_left or was is not S.INTENDED)
        if left and not changed and name not in run.open_orders:
            run.missing.append(name)
        yield None


def due(missing: list[str], asked: dict[str, int], limit: int, world: World) -> list[str]:
    """Which missing orders are asked for now: exits in doubt first, up to half of the places, then
    those that were asked longest ago; so each has its turn, however many there are (L9)."""
    if len(missing) <= limit:
        return missing
    oldest = sorted(missing, key=lambda name: asked.get(name, -1))
    exits = [name for name in oldest if _is_exit(name, world)][: (limit + 1) // 2]
    chosen = dict.fromkeys(exits)
    for name in oldest:
        if len(chosen) == limit:
            break
        chosen[name] = None
    return list(chosen)


def _is_exit(name: str, world: World) -> bool:
    order = world.orders.get(name)
    return order is not None and order.role is OrderRole.EXIT


def refetch(run: Pass, order: Order, filled_qty: Decimal) -> None:
    """A cumulative quantity is a reason to ask for the fills, never a booking. After each vain
    search the next one reaches twice as far back: a venue's clock may have jumped."""
    vain = run.vain.get(order.client_order_id, 0)
    if order.role is OrderRole.EXTERNAL and vain >= _EXTERNAL_SEARCHES_MAX:
        return
    since_us = max(order.created_us - (REACH_BACK_US << min(vain, 30)), 0)
    known = run.refetch.get(order.instrument, since_us)
    run.refetch[order.instrument] = min(known, since_us)
    run.short[order.client_order_id] = filled_qty


def note_vain(run: Pass, world: World) -> None:
    """Of which orders the fills were asked for, and still do not make up what is filled?"""
    for name, filled_qty in run.short.items():
        order = world.orders.get(name)
        if order is not None and filled_qty > order.proven_qty:
            run.vain[name] = run.vain.get(name, 0) + 1
        else:
            run.vain.pop(name, None)


def forget(run: Pass, world: World, doubts: dict[str, int], *others: dict[str, Any]) -> None:
    """What was noted of orders that are over, or are listed again, is not needed any more."""
    orders = world.orders
    for name in [name for name in doubts if name in (run.open_orders or ())]:
        del doubts[name]
    for notes in (doubts, *others):
        for name in [n for n in notes if n not in orders or orders[n].state in TERMINAL]:
            del notes[name]


def policy_of(rules: Rules) -> Policy:
    """The configured part of the decision table."""
    return Policy(
        max_in_flight_us=rules.max_in_flight_us,
        age_threshold_us=rules.age_threshold_us,
        assume_fill_when_young=rules.assume_fill_when_young,
    )


def case_of(order: Order, doubted_since_us: int | None, now_us: int) -> Case:
    """The order as the decision table looks at it."""
    doubt_us = 0 if doubted_since_us is None else now_us - doubted_since_us
    since_us = order.created_us if order.left_us is None else order.left_us
    return Case(
        state=order.state,
        is_external=order.role is OrderRole.EXTERNAL,
        engine_cancelled=order.engine_cancelled,
        cancel_asked=order.cancel_asked,
        known_there=order.acknowledged or order.filled_qty > 0,
        age_us=_age_us(since_us, now_us),
        cancel_age_us=None if order.cancel_us is None else now_us - order.cancel_us,
        doubt_us=doubt_us,
        repeated=doubted_since_us is not None,
    )


def _age_us(since_us: int, now_us: int) -> int | None:
    """None where it cannot be told: no time, or one that lies ahead by more than clocks differ."""
    if since_us <= 0 or since_us > now_us + REACH_BACK_US:
        return None
    return max(now_us - since_us, 0)
