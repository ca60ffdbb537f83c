"""Taking entries back, however many there are: which order comes next, and what follows them.

A sweep goes through the orders as they were when it was asked for, and looks at each when its turn
comes: one that has ended meanwhile, or was taken back already, is passed over.
"""

from __future__ import annotations

from attrs import evolve

from actors import messages as msg
from actors.entities.order import Order
from actors.world import World
from fsm.order import TERMINAL, OrderState
from fsm.vocabulary import OrderRole

_OPENING = (OrderRole.ENTRY, OrderRole.QUOTE)
#: Held ones wait for a person.
_PASSED_OVER = {*TERMINAL, OrderState.HELD_FOR_REVIEW, OrderState.CANCELLED_BY_ENGINE}


def is_unmarked_entry(order: Order) -> bool:
    """A live entry or quote that nobody has taken back yet."""
    return order.role in _OPENING and order.state not in _PASSED_OVER


def next_chunk(sweep: msg.Sweep, world: World) -> tuple[list[object], msg.Sweep | None]:
    """What to do now, at most `SWEEP_CHUNK` messages, and what is left for the next turn."""
    start = sweep.start or 0
    if sweep.tail:
        end = start + msg.SWEEP_CHUNK
        rest = evolve(sweep, start=end) if end < len(sweep.tail) else None
        return list(sweep.tail[start:end]), rest
    taken: dict[str, Order] = {}
    for place in range(start, len(sweep.names)):
        order = world.orders.get(sweep.names[place])
        if order is None or not is_unmarked_entry(order):
            continue
        if len(taken) == msg.SWEEP_CHUNK:
            return _marks(sweep, taken, world), evolve(sweep, start=place)
        taken[order.client_order_id] = order
    chunk, exits = _marks(sweep, taken, world), _exits(sweep, world)
    if len(chunk) + len(exits) <= msg.SWEEP_CHUNK:
        return chunk + exits, None
    return chunk, evolve(sweep, start=0, tail=tuple(exits)) if exits else None


def _marks(sweep: msg.Sweep, taken: dict[str, Order], world: World) -> list[object]:
    """Orders are marked, and with its last one the position that waits for nothing else."""
    told: list[object] = [msg.CancelOrder(name, sweep.reason, by_engine=True) for name in taken]
    owners = dict.fromkeys(o.position_id for o in taken.values() if o.position_id is not None)
    for owner in owners:
        position = world.positions.get(owner)
        if position is None or position.inventory:
            continue  # an inventory is not over while it may quote again
        others = (world.orders.get(name) for name in position.live if name not in taken)
        if not any(other is not None and is_unmarked_entry(other) for other in others):
            told.append(msg.EntriesCancelled(owner, sweep.reason))
    return told


def _exits(sweep: msg.Sweep, world: World) -> list[object]:
    """What is open is closed, if that was asked for."""
    if sweep.exits is None:
        return []
    reason, words = sweep.exits
    return [
        msg.RequestExit(position.position_id, reason, words)
        for position in world.positions.values()
        if position.is_open
    ]
