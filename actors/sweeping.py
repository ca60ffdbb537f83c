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
    if not sweep.names:
        end = start + msg.SWEEP_CHUNK
        rest = evolve(sweep, start=end) if end < len(sweep.tail) else None
        return list(sweep.tail[start:end]), rest
    chunk: list[object] = []
    place = start
    for place in range(start, len(sweep.names)):
        order = world.orders.get(sweep.names[place])
        if order is None or not is_unmarked_entry(order):
            continue
        if len(chunk) == msg.SWEEP_CHUNK:
            return chunk, evolve(sweep, start=place)
        chunk.append(msg.CancelOrder(order.client_order_id, sweep.reason, by_engine=True))
        if order.position_id is not None:
            sweep.owners[order.position_id] = None
    tail = _tail(sweep, world)
    if len(chunk) + len(tail) <= msg.SWEEP_CHUNK:
        return chunk + tail, None
    return chunk, evolve(sweep, names=(), start=0, tail=tuple(tail))


def _tail(sweep: msg.Sweep, world: World) -> list[object]:
    """Positions hear that their entries are gone; then those that are open are closed."""
    told: list[object] = [msg.EntriesCancelled(owner, sweep.reason) for owner in sweep.owners]
    if sweep.exits is not None:
        reason, words = sweep.exits
        told += [
            msg.RequestExit(position.position_id, reason, words)
            for position in world.positions.values()
            if position.is_open
        ]
    return told
