"""The kill switch behind 200,000 queued messages and 10,000 working orders.

Half of the orders are quotes, half are entries, each with its position. Both big lanes are full
(100,000 facts that repeat what is known, 100,000 ticks) when the command arrives. Measured from
then to when the gateway gets the first cancel, and the last: each is handed out only when its order
is durably marked (L1).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import attrs
import trio
from attrs import define, field

from actors import messages as msg
from actors.engine import Engine
from actors.venues.realtime import InProcessVenue
from fsm.facts import OrderAccepted
from fsm.mode import ControlLevel
from fsm.requests import Cancel, VenueRequest
from fsm.vocabulary import OrderType
from tests.bench.driving import Durable, limit_quote, market_order, quote_at
from tests.bench.measuring import Figures, Workload
from tests.bench.sizes import QUOTE_PRICE
from tests.bench.targets import below

_QUEUED_AN_ORDER = 20


@define
class Watch:
    """The gateway with a watch: when did each cancel get here?"""

    inner: InProcessVenue
    cancels: list[float] = field(factory=list)

    @property
    def name(self) -> str:
        """The venue's name."""
        return self.inner.name

    def send(self, request: VenueRequest) -> None:
        """Note the time, and hand over."""
        if isinstance(request, Cancel):
            self.cancels.append(time.perf_counter())
        self.inner.send(request)


def run(folder: Path, size: int) -> Figures:
    """Let `size` orders work, fill the lanes, press the switch; done when all are cancelled."""
    watches: list[Watch] = []

    def watched(venue: InProcessVenue) -> Any:
        watches.append(Watch(venue))
        return watches[0]

    rig = Durable(folder, wrap_gateway=watched)
    engine, watch = rig.engine, watches[0]
    orders = iter(_orders(size))
    pressed: list[float] = []

    def top_up() -> None:
        control = engine.inbox.control
        while not control.is_full and (order := next(orders, None)) is not None:
            engine.inbox.command(order)
        if pressed or not rig.quiet or engine.release.sent["submit"] < size:
            return
        _fill_lanes(engine, size * _QUEUED_AN_ORDER)
        pressed.append(time.perf_counter())
        engine.inbox.command(msg.SetControl(ControlLevel.EMERGENCY, who="bench", why="measured"))

    def done() -> bool:
        return rig.ended == size and rig.quiet

    trio.run(rig.drive, top_up, done)
    assert len(watch.cancels) == size, f"{len(watch.cancels)} of {size} cancels were sent"
    conn = engine.writer.conn
    sql = "SELECT count(*) FROM orders WHERE state = 'CANCELED'"
    canceled = conn.execute(sql).fetchone()[0]
    assert canceled == size, f"{canceled} of {size} orders were cancelled"
    longest_s = engine.dispatcher.statistics.turn_longest_s
    engine.close()
    return {
        "first_cancel_ms": 1_000 * (watch.cancels[0] - pressed[0]),
        "all_cancels_ms": 1_000 * (watch.cancels[-1] - pressed[0]),
        "longest_turn_ms": 1_000 * longest_s,
    }


def _orders(size: int) -> list[object]:
    found: list[object] = []
    for number in range(size):
        entry = attrs.evolve(market_order(number), type=OrderType.LIMIT, limit_price=QUOTE_PRICE)
        found.append(entry if number % 2 else limit_quote(number))
    return found


def _fill_lanes(engine: Engine, messages: int) -> None:
    """Half ticks, half facts that repeat what every order knows already."""
    known = list(engine.world.orders.values())
    now_us = engine.clock.now_us()
    tick = quote_at(now_us)
    for number in range(messages // 2):
        order = known[number % len(known)]
        fact = OrderAccepted(
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            venue_us=now_us,
        )
        assert engine.inbox.fact_nowait(fact), "the lane of facts is full"
        assert engine.inbox.market_data(tick), "the market lane is full"


WORKLOAD = Workload(
    name="kill_switch",
    about="kill switch behind 20 queued messages a working order: to the first and last cancel",
    size=10_000,
    quick_size=1_000,
    headline=("first_cancel_ms", "all_cancels_ms"),
    run=run,
    targets=(below("first_cancel_ms", 10),),
    in_quick=False,
)
