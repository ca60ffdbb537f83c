"""When an absence counts as a proof: what has to be looked for first, and what speaks against it.

That an order never arrived frees its funds and lets another exit be sent (L6), so its fills are
looked for far back first, and nothing that nobody explains may fit it (L3).
"""

from __future__ import annotations

from actors.entities.order import Order
from actors.reconciling import sweep
from actors.reconciling.passes import Pass
from actors.reconciling.verdicts import Seen, Verdict, verdict
from actors.world import World
from fsm.money import plain
from fsm.timestamps import SECOND_US

#: A venue's clock may be set back by hours, a wrong time zone included: an order's fills lie before
#: its own departure then, and behind the watermark.
_SEARCH_BACK_US = 86_400 * SECOND_US
#: What was contested stays so until it is searched for again, after this long.
_SEARCH_EVERY_US = 30 * SECOND_US


def noted(run: Pass, order: Order, proof: str, doubted_since_us: int | None, world: World) -> None:
    """The venue does not know it by its id. It is decided on at the end of the pass; one that
    would count as never arrived has its fills searched for before."""
    name = order.client_order_id
    run.absent[name] = proof
    again_us = run.contested[name][0] + _SEARCH_EVERY_US if name in run.contested else 0
    if world.now_us >= again_us and _is_proven(order, doubted_since_us, world):
        run.searched[name] = None
        since_us = max(_since_us(order) - _SEARCH_BACK_US, 0)
        run.refetch[order.instrument] = min(run.refetch.get(order.instrument, since_us), since_us)


def seen(run: Pass, order: Order, doubted_since_us: int | None, world: World) -> tuple[Seen, str]:
    """What the absence is worth, now that every fill which the pass has found is booked."""
    name = order.client_order_id
    proof = run.absent[name]
    if not (run.agrees_on(order, world) and run.is_as_asked(order) and run.is_as_begun(order)):
        return Seen.UNCHECKED, proof
    if _is_proven(order, doubted_since_us, world):
        if name in run.searched:
            _contest(run, order, world)
        elif name not in run.contested:
            return Seen.UNCHECKED, proof  # it is searched for in the next pass
        if name in run.contested:
            other = run.contested[name][1]
            return Seen.CONTESTED, f"{proof}, but {other} that nobody explains fits it"
    return Seen.ABSENT, proof


def _is_proven(order: Order, doubted_since_us: int | None, world: World) -> bool:
    case = sweep.case_of(order, doubted_since_us, world.now_us)
    reached = verdict(case, Seen.ABSENT, sweep.policy_of(world.rules))
    return reached is Verdict.NEVER_ARRIVED


def _since_us(order: Order) -> int:
    return order.created_us if order.left_us is None else order.left_us


def _contest(run: Pass, order: Order, world: World) -> None:
    other = _that_fits(run, order, world)
    if other is None:
        run.contested.pop(order.client_order_id, None)
    else:
        run.contested[order.client_order_id] = world.now_us, other


def _that_fits(run: Pass, order: Order, world: World) -> str | None:
    for reported in run.unclaimed:
        if sweep.shape(order) == sweep.shape(reported):
            return f"open order {reported.venue_order_id}"
    fill = world.unexplained_fill(order, _since_us(order) - sweep.REACH_BACK_US)
    return None if fill is None else f"a fill of {plain(fill.qty)} (trade {fill.trade_id})"
