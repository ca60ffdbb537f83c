"""Durable whole lives: a market entry with a stop and a target, one of them crossed, the exit."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.bench.driving import Durable
from tests.bench.lives import Lives
from tests.bench.measuring import Figures, Workload


def run(folder: Path, size: int) -> Figures:
    """Live `size` lives; done when all positions are closed, durable and in the tables."""
    rig = Durable(folder)
    lives = Lives(rig, size)
    took_s = trio.run(rig.drive, lives.top_up, lives.done)
    sql = "SELECT exit_reason, count(*) FROM positions WHERE state = 'CLOSED' GROUP BY exit_reason"
    closed = dict(rig.engine.writer.conn.execute(sql).fetchall())
    assert sum(closed.values()) == size, f"{closed} of {size} positions were closed"
    assert not rig.engine.world.positions, "positions are left in memory"
    figures = rig.figures(2 * size, took_s)
    rig.engine.close()
    return figures | {
        "lives_per_s": size / took_s,
        "stopped": float(closed.get("stop", 0)),
        "targets": float(closed.get("take_profit", 0)),
    }


WORKLOAD = Workload(
    name="full_lives",
    about="entry with stop and target, the exit when one is crossed, durable",
    size=10_000,
    quick_size=1_000,
    headline=("lives_per_s", "orders_per_s", "events_per_s"),
    run=run,
)
