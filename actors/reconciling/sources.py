"""The reconciler's own reasons for DEGRADED: they stand as long as what they are about (N14)."""

from __future__ import annotations

from actors import messages as msg
from actors.reconciling.externals import is_external
from actors.reconciling.passes import Pass
from actors.world import World
from fsm.order import TERMINAL, OrderState

HELD, DEAD = "reconciler_held_pending_review", "dead_order_live_at_venue"


def follow(run: Pass, world: World) -> list[object]:
    """What the end of a pass says of them."""
    told: list[object] = []
    held = any(order.state is OrderState.HELD_FOR_REVIEW for order in world.orders.values())
    if held and HELD not in world.sources:
        told.append(msg.Degrade(HELD, "an order waits for a person"))
    elif not held and HELD in world.sources:
        told.append(msg.Recover(HELD))
    if DEAD in world.sources and run.open_orders is not None:
        ours = [name for name in run.open_orders if not is_external(name)]
        dead = any(run.states.get(name) in TERMINAL for name in ours)
        if not dead and not any(world.is_ended(name) for name in ours):
            told.append(msg.Recover(DEAD))
    return told
