"""Durable market orders: command -> intent -> sent -> accepted -> fill -> position."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.bench.driving import Durable, market_order, top_up_with
from tests.bench.measuring import Figures, Workload


def run(folder: Path, size: int) -> Figures:
    """Place `size` orders; done when all are filled, durable and in the tables."""
    rig = Durable(folder)
    engine = rig.engine
    orders = [market_order(number) for number in range(size)]

    def done() -> bool:
        return rig.quiet and rig.ended == size

    took_s = trio.run(rig.drive, top_up_with(rig, orders), done)
    filled = engine.writer.conn.execute(
        "SELECT count(*) FROM orders WHERE state = 'FILLED'"
    ).fetchone()[0]
    assert filled == size, f"{filled} of {size} orders were filled"
    assert engine.writer.projection_lag == 0, "the projections lag behind"
    figures = rig.figures(size, took_s)
    engine.close()
    return figures


WORKLOAD = Workload(
    name="market_orders",
    about="market orders, durable (FULL, hash chain, own thread), projections caught up",
    size=20_000,
    quick_size=2_000,
    headline=("orders_per_s", "events_per_s"),
    run=run,
)
