"""The same orders in simulated time: the journal commits in the loop, one turn a transaction."""

from __future__ import annotations

import time
from pathlib import Path

from tests.bench.driving import market_order, place_all, simulated
from tests.bench.measuring import Figures, Workload


def run(folder: Path, size: int) -> Figures:
    """Place `size` orders in bursts; done when all are filled and in the tables."""
    engine, simulation = simulated(folder)
    orders = [market_order(number) for number in range(size)]
    before = engine.writer.statistics.events, engine.writer.statistics.commits
    started = time.perf_counter()
    place_all(simulation, orders)
    engine.writer.project_all()
    took_s = time.perf_counter() - started
    assert engine.release.sent["submit"] == size
    assert not engine.world.live_orders(), "orders are left"
    events = engine.writer.statistics.events - before[0]
    commits = engine.writer.statistics.commits - before[1]
    engine.close()
    return {
        "orders_per_s": size / took_s,
        "events_per_s": events / took_s,
        "commits": float(commits),
        "events_per_commit": events / commits,
        "seconds": took_s,
    }


WORKLOAD = Workload(
    name="market_orders_simulated",
    about="the same in simulated time, journal in the loop",
    size=20_000,
    quick_size=2_000,
    headline=("orders_per_s", "events_per_s"),
    run=run,
)
