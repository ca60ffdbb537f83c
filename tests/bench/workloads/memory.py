"""Resident memory of the process through many orders that end: what each one leaves behind.

Whole lives (two market orders each), so that nothing stays open. A straight line through the
samples of the second half gives bytes an order. The simulated venue forgets what has ended, or its
own memory would be measured; reconciliation asks for the fills of the last seconds instead of the
last minute, so that the run is long beside that window.
"""

from __future__ import annotations

import resource
import statistics
import sys
from pathlib import Path

import trio

from actors.venues.sim.orders import OPEN, SimOrder
from actors.venues.sim.store import MemoryStore
from actors.world import Rules
from fsm.facts import OrderFill
from fsm.timestamps import SECOND_US
from tests.bench.driving import Durable
from tests.bench.lives import Lives
from tests.bench.measuring import Figures, Workload

_OVERLAP_US = 4 * SECOND_US
_KEPT_US = 2 * _OVERLAP_US  # a pass may be late
_PAGE = resource.getpagesize()
_WARM_UP = 0.5


class Forgetful(MemoryStore):
    """Open orders, and the fills of the last seconds."""

    def save_order(self, order: SimOrder) -> None:
        """Keep an open order, forget an ended one."""
        super().save_order(order)
        if order.state != OPEN:
            self._orders.pop(order.client_order_id, None)

    def save_fill(self, number: int, fill: OrderFill) -> None:
        """Keep a fill, and forget the oldest half when all of it is too old."""
        super().save_fill(number, fill)
        assert fill.instrument is not None
        times, fills = self._fills[fill.instrument]
        half = len(times) // 2
        if half > 1_000 and times[half] < fill.venue_us - _KEPT_US:
            del times[:half], fills[:half]


def resident_bytes() -> int:
    """The process's resident memory now; its highest so far where only that is known."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except FileNotFoundError:
        unit = 1 if sys.platform == "darwin" else 1_024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(folder: Path, size: int) -> Figures:
    """Send `size` market orders, two a life."""
    samples: list[tuple[int, int]] = []
    rules = Rules(max_in_flight_us=SECOND_US, fills_overlap_us=_OVERLAP_US)
    rig = Durable(folder, rules=rules, store=Forgetful())
    lives = Lives(rig, size // 2, lambda ended: samples.append((2 * ended, resident_bytes())))
    took_s = trio.run(rig.drive, lives.top_up, lives.done)
    assert not rig.engine.world.positions, "positions are left in memory"
    rig.engine.close()
    warm = [(orders, held) for orders, held in samples if orders >= size * _WARM_UP]
    slope, _ = statistics.linear_regression(*zip(*warm, strict=True))
    return {
        "bytes_per_ended_order": slope,
        "resident_mb_warm": warm[0][1] / 1e6,
        "resident_mb_end": warm[-1][1] / 1e6,
        "resident_mb_max": max(held for _, held in samples) / 1e6,
        "orders_per_s": size / took_s,
    }


WORKLOAD = Workload(
    name="memory",
    about="resident memory through market orders that end (memory_million: a million)",
    size=200_000,
    quick_size=10_000,
    headline=("bytes_per_ended_order", "resident_mb_warm", "resident_mb_end"),
    run=run,
    repeat_max=1,
    in_quick=False,
)
MILLION = Workload(
    name="memory_million",
    about="the same through 1,000,000 of them",
    size=1_000_000,
    quick_size=10_000,
    headline=WORKLOAD.headline,
    run=run,
    repeat_max=1,
    by_default=False,
)
