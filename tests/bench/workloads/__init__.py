"""All workloads, in the order in which they are reported. A new one is a file and a line here."""

from __future__ import annotations

from tests.bench.measuring import Workload
from tests.bench.workloads import (
    idle_order_bytes,
    market_orders,
    market_orders_simulated,
    quotes,
    raw_sqlite,
    recorder,
    replay,
    restart,
    tick_to_order,
)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        market_orders.WORKLOAD,
        market_orders_simulated.WORKLOAD,
        quotes.WORKLOAD,
        raw_sqlite.WORKLOAD,
        recorder.WORKLOAD,
        replay.WORKLOAD,
        restart.WORKLOAD,
        idle_order_bytes.WORKLOAD,
        tick_to_order.WORKLOAD,
    )
}
