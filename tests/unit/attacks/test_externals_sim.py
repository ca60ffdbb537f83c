"""Somebody else's order at the matching venue, which knows orders by their client's id."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from actors.world import Rules
from fsm.order import OrderState
from fsm.requests import Submit
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, OrderType, Side
from tests.engines import BITCOIN, SimulatedEngine, run_synthetic, simulated_engine

D, S = Decimal, OrderState


def with_manual_order(folder: Path, rules: Rules) -> SimulatedEngine:
    running = simulated_engine(folder, rules=rules, strategies=())
    run_synthetic(running, 2)
    running.venue.send(
        Submit(
            client_order_id="manual",
            instrument=BITCOIN.name,
            side=Side.BUY,
            qty=D("0.001"),
            type=OrderType.LIMIT,
            limit_price=D(1),
        )
    )
    run_synthetic(running, 20)
    return running


def test_it_can_be_cancelled_by_the_policy(tmp_path: Path) -> None:
    rules = Rules(max_in_flight_us=2 * SECOND_US, cancel_external=True)
    running = with_manual_order(tmp_path, rules)
    run_synthetic(running, 20)

    adopted = [o for o in running.engine.world.orders.values() if o.role is OrderRole.EXTERNAL]
    cancels = running.engine.release.sent["cancel"]
    assert ([], True) == (adopted, cancels <= 2), (adopted[0].state, cancels)
    running.close()
