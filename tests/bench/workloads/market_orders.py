"""Durable market orders: command -> intent -> sent -> accepted -> fill -> position."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import trio

from fsm.vocabulary import Side
from tests.bench.driving import Durable, market_order, top_up_with
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import at_least


def run(folder: Path, size: int) -> Figures:
    """Place `size` orders; done when all are filled, durable and in the tables."""
    return place(folder, size, [Side.BUY])


def place(folder: Path, size: int, sides: list[Side]) -> Figures:
    """The same with the sides taken in turn."""
    rig = Durable(folder)
    engine = rig.engine
    # Buys feed one position, as on a netting account; with both sides each order has its own.
    position = {"position_id": "net"} if len(sides) == 1 else {}
    orders = [
        market_order(number, sides[number % len(sides)], **position) for number in range(size)
    ]

    def done() -> bool:
        return rig.quiet and rig.ended == size

    took_s = trio.run(rig.drive, top_up_with(rig, orders), done)
    filled = engine.writer.conn.execute(
        "SELECT count(*) FROM orders WHERE state = 'FILLED'"
    ).fetchone()[0]
    assert filled == size, f"{filled} of {size} orders were filled"
    assert engine.writer.projection_lag == 0, "the projections lag behind"
    figures = rig.figures(size, took_s)
    booked = engine.writer.conn.execute("SELECT qty FROM fills").fetchall()
    figures["filled_qty"] = float(sum(Decimal(qty) for (qty,) in booked))
    engine.close()
    return figures


WORKLOAD = Workload(
    name="market_orders",
    about="market orders, durable (FULL, hash chain, own process), projections caught up",
    size=20_000,
    # As many when quick: the reference is the slower the longer its one position has been fed, and
    # the gate is about this number of orders.
    quick_size=20_000,
    headline=("orders_per_s", "events_per_s"),
    run=run,
    compared=("orders_per_s",),
    same=("filled_qty",),
    repeat_quick=3,
    targets=(at_least("orders_per_s", 5),),
)
