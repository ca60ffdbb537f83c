"""Real time from a tick that crosses a stop to its durable exit order at the gateway.

The gateway is only called when the order's intent is durable (L1), so the commit is inside. Taken
twice: from when the tick was offered to its lane, and from when it was due, which also counts the
time that a busy loop kept it waiting outside.
"""

from __future__ import annotations

import time
from collections import deque
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from actors.venues.realtime import InProcessVenue
from fsm.requests import Submit, VenueRequest
from fsm.vocabulary import Side
from tests.bench.driving import Durable, market_order, quote_at, top_up_with
from tests.bench.measuring import Figures, Workload
from tests.bench.sizes import ASK, BID
from tests.bench.targets import below

_TICKS_PER_S = 1_000
_TICKS_PER_CROSSING = 10
_STEP = Decimal("1.0")


@define
class Stopwatch:
    """The gateway with a watch: when did the exit for the oldest crossing tick get here?"""

    inner: InProcessVenue
    crossings: deque[tuple[float, float]] = field(factory=deque)
    offered_ms: list[float] = field(factory=list)
    due_ms: list[float] = field(factory=list)

    @property
    def name(self) -> str:
        """The venue's name."""
        return self.inner.name

    def send(self, request: VenueRequest) -> None:
        """Note the time, and hand over."""
        if isinstance(request, Submit) and request.side is Side.SELL:
            now = time.perf_counter()
            due, offered = self.crossings.popleft()
            self.due_ms.append((now - due) * 1000)
            self.offered_ms.append((now - offered) * 1000)
        self.inner.send(request)


def run(folder: Path, size: int) -> Figures:
    """Open `size` positions with a stop each, a dollar apart; let the price fall through all."""
    watches: list[Stopwatch] = []

    def watched(venue: InProcessVenue) -> Any:
        watches.append(Stopwatch(venue))
        return watches[0]

    rig = Durable(folder, wrap_gateway=watched)
    engine, watch = rig.engine, watches[0]
    orders = [market_order(n, stop=BID - _STEP * (n + 1)) for n in range(size)]

    async def feed() -> None:
        while not (rig.quiet and engine.release.sent["submit"] == size):
            await trio.sleep(0.01)
        started = time.perf_counter()
        for number in range((size + 1) * _TICKS_PER_CROSSING):
            due = started + number / _TICKS_PER_S
            await trio.sleep(max(0.0, due - time.perf_counter()))
            steps, phase = divmod(number, _TICKS_PER_CROSSING)
            fall = _STEP * steps
            tick = quote_at(engine.clock.now_us(), BID - fall, ASK - fall)
            rig.venue.market(tick)
            if steps and not phase:
                watch.crossings.append((due, time.perf_counter()))
            engine.inbox.market_data(tick)

    def done() -> bool:
        return len(watch.due_ms) == size and rig.quiet and rig.ended == 2 * size

    trio.run(rig.drive, top_up_with(rig, orders), done, feed)
    engine.close()
    figures = _percentiles("", watch.offered_ms)
    return figures | _percentiles("from_due_", watch.due_ms)


def _percentiles(prefix: str, values: list[float]) -> Figures:
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {f"{prefix}{name}_ms": ordered[round(share * last)] for name, share in at.items()}


WORKLOAD = Workload(
    name="tick_to_order",
    about="a tick crosses a stop -> durable exit at the gateway, 1,000 ticks a second",
    size=300,
    quick_size=30,
    headline=("p50_ms", "p99_ms", "max_ms"),
    run=run,
    targets=(below("p50_ms", 3), below("p99_ms", 20)),
)
