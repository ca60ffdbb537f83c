"""Durable limit quotes: placed, accepted, cancelled; nothing is filled.

One more quote rests all the time, so that the inventory position which they share does not end.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import trio

from actors import messages as msg
from fsm.order import OrderState
from tests.bench.driving import Durable, limit_quote, top_up_with
from tests.bench.measuring import Figures, Workload
from tests.bench.targets import at_least


def run(folder: Path, size: int) -> Figures:
    """Place `size` quotes and cancel each as soon as it works."""
    rig = Durable(folder)
    engine = rig.engine
    quotes = [limit_quote(number) for number in range(size + 1)]
    to_cancel = deque(quote.client_order_id for quote in quotes[1:])
    place, live = top_up_with(rig, quotes), engine.world.orders

    def top_up() -> None:
        while to_cancel and not engine.inbox.control.is_full:
            order = live.get(to_cancel[0])
            if order is None or order.state is not OrderState.WORKING:
                break
            engine.inbox.command(msg.CancelOrder(to_cancel.popleft(), "requote"))
        place()

    def done() -> bool:
        return rig.quiet and rig.ended == size

    took_s = trio.run(rig.drive, top_up, done)
    canceled = engine.writer.conn.execute(
        "SELECT count(*) FROM orders WHERE state = 'CANCELED'"
    ).fetchone()[0]
    assert canceled == size, f"{canceled} of {size} quotes were cancelled"
    figures = rig.figures(size, took_s)
    figures["canceled"] = float(canceled)
    figures["quotes_per_s"] = figures.pop("orders_per_s")
    engine.close()
    return figures


WORKLOAD = Workload(
    name="quotes",
    about="limit quotes placed and cancelled, durable",
    size=10_000,
    quick_size=5_000,
    headline=("quotes_per_s", "events_per_s"),
    run=run,
    compared=("quotes_per_s",),
    same=("canceled",),
    targets=(at_least("quotes_per_s", 2),),
)
