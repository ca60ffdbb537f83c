"""venue_health: the venue does not answer, or rejects what it is sent.

Failures in a row: a pass in which a query had no answer, a submit whose outcome nobody knows, a
stream that was cut; a pass that was answered ends the row. The share of rejections is over the
last submits with an answer. While the start's gate waits for the venue nothing is judged.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from actors import messages as msg
from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.world import World
from fsm import events as ev
from fsm import facts
from fsm.events import ContextValue
from fsm.mode import ModeState
from fsm.money import plain
from fsm.order import OrderTrigger

_BLAMED = (OrderTrigger.OUTCOME_UNKNOWN, OrderTrigger.REJECTED)


class VenueHealth(Guard):
    """Counts what the venue fails to do."""

    name = "venue_health"
    breaker = "venue_health_guard"
    token = "VENUE_HEALTH"
    hears = (
        ev.OrderMoved,
        ev.OrderFilled,
        ev.OrderAcknowledged,
        msg.PassEnded,
        facts.VenueDisconnected,
    )

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.failures = 0
        self.last_failure = ""
        self.probes_ok = 0
        self.rejected: deque[bool] = deque(maxlen=settings.submits_min)

    def concerns(self, event: ev.Event, world: World) -> bool:
        """Of an order's steps only those that the venue is to blame for; of its fills the first
        one, where it is the venue's first word."""
        if type(event) is ev.OrderFilled:
            return self._is_first_word(event, world)
        return type(event) is not ev.OrderMoved or event.trigger in _BLAMED

    @staticmethod
    def _is_first_word(event: ev.OrderFilled, world: World) -> bool:
        order = world.orders.get(event.client_order_id)
        return order is not None and not order.acknowledged and event.filled_qty == event.qty

    def hear(self, what: object, world: World) -> Trip | None:
        """Something that the venue did or did not do."""
        if world.mode is ModeState.RECONCILING:
            return None
        if isinstance(what, msg.PassEnded):
            self.observations += 1
            if what.ok:
                self.failures, self.probes_ok = 0, self.probes_ok + 1
                return None
            self._failed(what.why)
        elif isinstance(what, facts.VenueDisconnected):
            self._failed(f"disconnected: {what.reason}")
        elif isinstance(what, ev.OrderAcknowledged):
            order = world.orders.get(what.client_order_id)
            if not what.found and (order is None or not order.filled_qty):
                self.rejected.append(False)
        elif isinstance(what, ev.OrderFilled):
            self.rejected.append(False)
        elif isinstance(what, ev.OrderMoved):
            self._moved(what)
        return self.trips(world)

    def _moved(self, event: ev.OrderMoved) -> None:
        if event.trigger == OrderTrigger.OUTCOME_UNKNOWN:
            self._failed(f"order {event.client_order_id}: {event.reason}")
        elif event.trigger == OrderTrigger.REJECTED:
            self.rejected.append(True)

    def _failed(self, why: str) -> None:
        self.failures, self.probes_ok, self.last_failure = self.failures + 1, 0, why

    def trips(self, world: World) -> Trip | None:
        """Too many failures in a row, or too large a share of rejections."""
        limit = self.settings.failures_max
        if self.failures >= limit:
            context: dict[str, ContextValue] = {
                "failures": self.failures,
                "threshold": limit,
                "last": self.last_failure,
            }
            return Trip(f"{self.failures} failures in a row: {self.last_failure}", context)
        share = self._reject_share()
        if share is not None and share >= self.settings.reject_share_pct:
            shown = plain(share.quantize(Decimal(1)))
            submits = len(self.rejected)
            self.probes_ok = 0
            self.rejected.clear()
            context = {"reject_share_pct": shown, "submits": submits}
            return Trip(f"{shown} % of {submits} submits were rejected", context)
        return None

    def _reject_share(self) -> Decimal | None:
        """Percent of the last submits; None while there are too few."""
        if len(self.rejected) < self.settings.submits_min:
            return None
        return Decimal(100 * sum(self.rejected)) / len(self.rejected)

    def is_well(self, world: World) -> bool:
        """So many passes in a row were answered."""
        return bool(self.probes_ok >= self.settings.probes_ok)

    def cleared(self) -> None:
        """Count anew."""
        self.failures, self.probes_ok = 0, 0
        self.rejected.clear()

    def gauge(self, world: World) -> Gauge:
        """Failures in a row."""
        share = self._reject_share()
        return Gauge(
            "failures in a row",
            Decimal(self.failures),
            Decimal(self.settings.failures_max),
            {
                "reject_share_pct": "" if share is None else plain(share.quantize(Decimal(1))),
                "submits": len(self.rejected),
                "probes_ok": self.probes_ok,
            },
        )
