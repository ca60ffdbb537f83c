"""All workloads, in the order in which they are reported. A new one is a file and a line here."""

from __future__ import annotations

from tests.bench.measuring import Workload
from tests.bench.workloads import (
    backup,
    full_lives,
    growth_actors,
    growth_journal,
    idle_order_bytes,
    kill_switch,
    ledger_fold,
    market_orders,
    market_orders_alternating,
    market_orders_simulated,
    memory,
    quotes,
    raw_sqlite,
    reconcile_pass,
    recorder,
    replay,
    restart,
    tick_to_order,
)

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        market_orders.WORKLOAD,
        market_orders_alternating.WORKLOAD,
        market_orders_simulated.WORKLOAD,
        quotes.WORKLOAD,
        full_lives.WORKLOAD,
        raw_sqlite.WORKLOAD,
        reconcile_pass.WORKLOAD,
        recorder.WORKLOAD,
        replay.WORKLOAD,
        tick_to_order.WORKLOAD,
        kill_switch.WORKLOAD,
        restart.WORKLOAD,
        ledger_fold.WORKLOAD,
        backup.WORKLOAD,
        idle_order_bytes.WORKLOAD,
        memory.WORKLOAD,
        memory.MILLION,
        growth_actors.WORKLOAD,
        growth_journal.WORKLOAD,
    )
}
