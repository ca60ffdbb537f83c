"""Durable market orders, bought and sold in turn.

The reference nets all orders on one instrument into one position. When all of them are bought that
position grows, and it costs the reference more with each; in turn it closes with every second
order. Ours has a position for each entry, so that the side changes nothing: beside `market_orders`
this shows how much of the ratio comes from the growing position.
"""

from __future__ import annotations

from pathlib import Path

from fsm.vocabulary import Side
from tests.bench.measuring import Figures, Workload
from tests.bench.workloads.market_orders import place


def run(folder: Path, size: int) -> Figures:
    """Place `size` orders, bought and sold in turn."""
    return place(folder, size, [Side.BUY, Side.SELL])


WORKLOAD = Workload(
    name="market_orders_alternating",
    about="market orders, durable, bought and sold in turn",
    size=20_000,
    quick_size=2_000,
    headline=("orders_per_s", "events_per_s"),
    run=run,
    compared=("orders_per_s",),
    same=("filled_qty",),
    in_quick=False,
)
