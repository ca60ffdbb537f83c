"""What the books claim and the venue does not bear out: fills beyond its own count, and inferences.

A void may be lost like any other fact. When the venue counts less of an order than is booked, look
after look, the fills are fetched again; what then stays is an anomaly and DEGRADED: no quantity is
taken back without evidence (L2). An inference is asked about until it is proven or voided.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from attrs import define, field

from actors import messages as msg
from actors.entities.order import Order
from actors.reconciling import sweep
from actors.reconciling.passes import ORDERS, Pass, Work
from actors.runtime.actor import Decision
from actors.world import World
from fsm.money import plain
from fsm.timestamps import SECOND_US

OVERBOOKED, INFERRED = "booked_beyond_venue", "inferred_unproven"
_BETWEEN_LOOKS_US = 2 * SECOND_US


@define(slots=True)
class Claim:
    """What was booked when the venue first counted less of it, and when that was."""

    booked: Decimal
    since_us: int
    is_told: bool = False


@define(slots=True)
class Unproven:
    """Kept from pass to pass, and lost with the process: the next one looks twice again."""

    overbooked: dict[str, Claim] = field(factory=dict)
    told: dict[str, None] = field(factory=dict)
    """Inferences that were called unproven, once each."""

    def compared(self, run: Pass, world: World) -> Work:
        """The listed orders: is less of one filled than is booked?"""
        found = Decision()

        def done(decision: Decision) -> None:
            decision.events += found.events
            decision.tells += found.tells

        return Work(self._compare(run, world, found), done)

    def _compare(self, run: Pass, world: World, decision: Decision) -> Iterator[None]:
        listing = run.open_orders or {}
        for name, reported in listing.items():
            order = world.orders.get(name)
            if order is not None and order.is_live and reported.filled_qty < order.proven_qty:
                self._less(order, reported.filled_qty, run, world, decision)
            else:
                self.overbooked.pop(name, None)
            yield None
        for name in [name for name in self.overbooked if name not in listing]:
            del self.overbooked[name]  # it ended, or is asked for by its id
        if not any(claim.is_told for claim in self.overbooked.values()):
            decision.tells += [msg.Recover(OVERBOOKED)] if OVERBOOKED in world.sources else []

    def _less(
        self, order: Order, counted: Decimal, run: Pass, world: World, decision: Decision
    ) -> None:
        """The listing races the stream: it counts when what is booked was so at an earlier look."""
        name = order.client_order_id
        claim = self.overbooked.get(name)
        if claim is None or claim.booked != order.proven_qty:
            self.overbooked[name] = Claim(order.proven_qty, world.now_us)
            return
        for_us = world.now_us - claim.since_us
        if for_us >= _BETWEEN_LOOKS_US:
            sweep.refetch(run, order, counted)
        patience_us = max(world.rules.max_in_flight_us, 2 * _BETWEEN_LOOKS_US)
        if for_us >= patience_us and not claim.is_told:
            claim.is_told = True
            seen = f"the venue counts {plain(counted)} filled, booked are {plain(claim.booked)}"
            decision.events.append(order.anomaly(OVERBOOKED, seen, "nothing reversed, DEGRADED"))
            decision.tells.append(msg.Degrade(OVERBOOKED, name))

    def inferred(
        self, since: dict[str, int], run: Pass, world: World, decision: Decision
    ) -> list[str]:
        """Which inferences are asked about now: the young in each pass, the old with the books."""
        young_us = world.now_us - world.rules.age_threshold_us
        old = [name for name, at_us in since.items() if at_us <= young_us]
        for name in [name for name in old if name not in self.told]:
            self.told[name] = None
            order = world.find_order(name)
            if order is not None:
                seen = "neither proven nor disproved since it was inferred"
                decision.events.append(order.anomaly(INFERRED, seen, "asked on, DEGRADED"))
                decision.tells.append(msg.Degrade(INFERRED, name))
        self.told = {name: None for name in self.told if name in since}
        if not old and INFERRED in world.sources:
            decision.tells.append(msg.Recover(INFERRED))
        return list(since) if run.scope != ORDERS else [n for n in since if n not in old]
