"""directional_drift: resting orders that fill on one side only (N13, N16, N20, N23).

Counted are fills of limit orders that are no exits: a market order is a decision, not drift. The
time is that of observation. What was booked while the books were being verified, or happened
longer ago than a window reaches, is history. Fills are booked once (L5), so that none is counted
twice: neither after a recovery, which clears the windows, nor after a restart.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from attrs import define, field

from actors.guards.base import Gauge, Guard, Trip
from actors.guards.latch import Latch
from actors.world import World
from fsm import events as ev
from fsm.events import ContextValue
from fsm.mode import ModeState, Permission
from fsm.money import ZERO, plain
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, OrderType, Side

_FILLS_MAX = 10_000


@define(slots=True)
class Flow:
    """The fills of one instrument, as far as a window reaches."""

    sides: deque[tuple[int, Side]] = field(factory=deque)
    values: deque[tuple[int, Decimal]] = field(factory=deque)
    net: Decimal = ZERO
    """Sum of `values`: bought minus sold, quote units."""
    last_side: Side | None = None
    run: int = 0
    """Counted fills since the last one of the other side."""
    ticks: int = 0
    """Guard ticks since the first of them."""


class DirectionalDrift(Guard):
    """A: a burst; B: net value in a window; C: no fill of the other side. The first one wins."""

    name = "directional_drift"
    breaker = "directional_drift_guard"
    token = "DRIFT_GUARD"
    hears = (ev.OrderFilled,)

    def __init__(self, settings: Any, latch: Latch, interval_us: int) -> None:
        super().__init__(settings, latch, interval_us)
        self.flows: dict[str, Flow] = {}
        self.stable_ticks = 0
        self._was_blocked = False
        self._burst_us = round(settings.burst_window_s * SECOND_US)
        self._net_us = round(settings.net_window_s * SECOND_US)

    # --------------------------------------------------------------------------------- at fills

    def concerns(self, event: ev.Event, world: World) -> bool:
        """Where no resting order was filled yet, no other fill opposes one."""
        if type(event) is not ev.OrderFilled or event.instrument in self.flows:
            return True
        order = world.orders.get(event.client_order_id)
        return order is not None and order.type is OrderType.LIMIT

    def hear(self, what: object, world: World) -> Trip | None:
        """A fill: counted when it is of a resting order; any fill may be the opposing one."""
        assert isinstance(what, ev.OrderFilled)
        age_us = world.now_us - what.venue_us if what.venue_us else 0
        if world.mode is ModeState.RECONCILING or age_us > max(self._burst_us, self._net_us):
            return None
        flow = self.flows.get(what.instrument)
        order = world.orders.get(what.client_order_id)
        rests = order is not None and order.type is OrderType.LIMIT
        counts = rests and what.role is not OrderRole.EXIT
        if flow is None:
            if not counts:
                return None
            flow = self.flows[what.instrument] = Flow()
        if what.side is not flow.last_side and (counts or flow.last_side is not None):
            flow.run, flow.ticks = 0, 0
            flow.last_side = what.side if counts else None
        if not counts:
            return None
        self.observations += 1
        flow.run += 1
        self._take(flow, what, age_us, world.now_us)
        found = self._burst(what.instrument, flow, what.side, world.now_us)
        found = found or self._net(what.instrument, flow, world.now_us)
        if found is not None:
            self.stable_ticks = 0
            self._forget_windows()
        return found

    def _take(self, flow: Flow, fill: ev.OrderFilled, age_us: int, now_us: int) -> None:
        if age_us <= self._burst_us:
            flow.sides.append((now_us, fill.side))
        if fill.price is not None and age_us <= self._net_us:
            value = fill.side.sign * fill.qty * fill.price
            flow.values.append((now_us, value))
            flow.net += value
        if len(flow.sides) > _FILLS_MAX:
            flow.sides.popleft()
        if len(flow.values) > _FILLS_MAX:
            flow.net -= flow.values.popleft()[1]

    def _burst(self, instrument: str, flow: Flow, side: Side, now_us: int) -> Trip | None:
        while flow.sides and now_us - flow.sides[0][0] > self._burst_us:
            flow.sides.popleft()
        if not self.settings.condition_a or len(flow.sides) < self.settings.burst_count:
            return None
        count = sum(1 for _, one in flow.sides if one is side)
        if count < self.settings.burst_count:
            return None
        window = self._seconds(self._burst_us)
        return Trip(
            f"{count} {side} fills on {instrument} within {window} s",
            {
                "instrument": instrument,
                "burst_count": count,
                "burst_window_seconds": window,
                "side": str(side),
                "fill_sides_in_window": tuple(str(one) for _, one in flow.sides),
            },
            "_A",
        )

    def _net(self, instrument: str, flow: Flow, now_us: int) -> Trip | None:
        while flow.values and now_us - flow.values[0][0] > self._net_us:
            flow.net -= flow.values.popleft()[1]
        limit = self.settings.net_notional_max
        if not self.settings.condition_b or abs(flow.net) < limit:
            return None
        window = self._seconds(self._net_us)
        return Trip(
            f"net {plain(flow.net)} on {instrument} within {window} s",
            {
                "instrument": instrument,
                "net_notional": plain(flow.net),
                "threshold": plain(limit),
                "window_seconds": window,
            },
            "_B",
        )

    @staticmethod
    def _seconds(us: int) -> str:
        return plain(Decimal(us) / SECOND_US)

    # --------------------------------------------------------------------------------- at ticks

    def observe(self, world: World) -> None:
        """Count ticks for C; while nothing of ours may rest, whatever the reason, nothing could
        oppose: nothing counts, and what was counted is void (N20)."""
        is_blocked = not world.permitted(Permission.ENTRY)
        if is_blocked and not self._was_blocked:
            self._forget_runs()
        self._was_blocked = is_blocked
        self.stable_ticks += 1
        if is_blocked or self.latch.tripped:
            return
        for flow in self.flows.values():
            if flow.run:
                flow.ticks += 1

    def trips(self, world: World) -> Trip | None:
        """C; A and B are asked at each fill, and cannot begin to hold in between."""
        if not self.settings.condition_c or not world.permitted(Permission.ENTRY):
            return None
        limit = self.settings.no_opposing_fill_ticks
        for instrument, flow in self.flows.items():
            if flow.ticks >= limit and flow.run >= self.settings.no_opposing_fill_min_fills:
                context: dict[str, ContextValue] = {
                    "instrument": instrument,
                    "ticks_since_opposing_fill": flow.ticks,
                    "threshold_ticks": limit,
                    "last_fill_side": str(flow.last_side),
                }
                what = f"{flow.run} {flow.last_side} fills on {instrument}, none of the other side"
                self.stable_ticks = 0
                self._forget_windows()
                return Trip(f"{what} for {limit} ticks", context, "_C")
        return None

    def is_well(self, world: World) -> bool:
        """No new condition for so many ticks; what led to the trip is no new one."""
        return bool(self.stable_ticks >= self.settings.stable_ticks)

    def cleared(self) -> None:
        """Begin with empty windows."""
        self._forget_windows()
        self.stable_ticks = 0

    def _forget_windows(self) -> None:
        self.flows.clear()

    def _forget_runs(self) -> None:
        for flow in self.flows.values():
            flow.run, flow.ticks, flow.last_side = 0, 0, None

    # ------------------------------------------------------------------------------------ people

    def gauge(self, world: World) -> Gauge:
        """The largest net value against its limit, and how far the other two conditions are."""
        flows = self.flows
        worst = max(flows, key=lambda name: abs(flows[name].net), default=None)
        ticks = max((flow.ticks for flow in flows.values() if flow.run), default=0)
        return Gauge(
            "net value of resting fills, quote units",
            ZERO if worst is None else abs(flows[worst].net),
            self.settings.net_notional_max if self.settings.condition_b else None,
            {
                "instrument": worst or "",
                "ticks_since_opposing_fill": ticks,
                "stable_ticks": self.stable_ticks,
            },
        )
