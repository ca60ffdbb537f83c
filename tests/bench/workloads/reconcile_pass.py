"""One pass over 10,000 open orders and 100,000 fills, with the kill switch in the middle of it.

The venue that matches knows the orders only; its answers about open orders and fills are made up:
ten parts of every order were filled while nobody listened. Measured from the pass to its end: the
longest turn, and how long the switch's first cancel takes in the middle of the booking.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field

from actors import messages as msg
from actors.engine import Engine
from actors.runtime.dispatcher import Turn
from actors.venues.realtime import InProcessVenue
from actors.world import Rules
from fsm import facts
from fsm.events import OrderFilled
from fsm.facts import Found
from fsm.mode import ControlLevel
from fsm.requests import Cancel, QueryFills, QueryOpenOrders, VenueRequest
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderType, Side
from tests.bench.driving import Durable, market_order
from tests.bench.measuring import Figures, Workload
from tests.bench.sizes import QTY, QUOTE_PRICE
from tests.bench.targets import below
from tests.engines import BITCOIN

_PARTS = 10
_PART = QTY / 16
_NEVER_US = 10**15


@define
class Backlog:
    """A gateway whose answers hold what happened while nobody listened."""

    inner: InProcessVenue
    engine: Engine | None = None
    open: tuple[facts.VenueOrder, ...] = ()
    fills: list[facts.OrderFill] = field(factory=list)
    first_cancel_s: float | None = None
    before: bool = True

    @property
    def name(self) -> str:
        """The venue's name."""
        return self.inner.name

    def send(self, request: VenueRequest) -> None:
        """Answer what is about the backlog, hand over the rest."""
        answer: Any = None
        if self.before:
            self.inner.send(request)
            return
        if isinstance(request, QueryOpenOrders):
            answer = facts.OpenOrdersAnswer(request_id=request.request_id, result=Found(self.open))
        elif isinstance(request, QueryFills):
            start = bisect_left(self.fills, request.since_us, key=lambda fill: fill.venue_us)
            rows = tuple(self.fills[start : start + request.limit])
            page = facts.FillsPage(fills=rows, complete=start + len(rows) == len(self.fills))
            answer = facts.FillsAnswer(
                request_id=request.request_id, instrument=request.instrument, result=Found(page)
            )
        elif isinstance(request, Cancel) and self.first_cancel_s is None:
            self.first_cancel_s = time.perf_counter()
        if answer is None:
            self.inner.send(request)
        else:
            assert self.engine is not None
            assert self.engine.inbox.fact_nowait(answer)


@define
class Progress:
    """What the pass has booked, and when the switch was pressed."""

    fills: int = 0
    pressed_s: float | None = None


def run(folder: Path, size: int) -> Figures:
    """Let `size` orders rest, start the pass, press the switch when nine tenths are booked."""
    backlogs: list[Backlog] = []

    def wrapped(venue: InProcessVenue) -> Any:
        backlogs.append(Backlog(venue))
        return backlogs[0]

    rules = Rules(
        max_in_flight_us=SECOND_US,
        open_orders_interval_us=_NEVER_US,
        balances_interval_us=_NEVER_US,
    )
    rig = Durable(folder, wrap_gateway=wrapped, rules=rules)
    backlog, orders, progress = backlogs[0], iter(_orders(size)), Progress()
    engine = backlog.engine = rig.engine
    began: list[float] = []

    def top_up() -> None:
        control = engine.inbox.control
        while not control.is_full and (order := next(orders, None)) is not None:
            engine.inbox.command(order)
        if not began and rig.quiet and engine.release.sent["submit"] == size:
            _fill_backlog(backlog, engine)
            engine.dispatcher.statistics.turn_longest_s = 0.0
            engine.dispatcher.on_turn = lambda turn, took_s: _count(turn, progress)
            began.append(time.perf_counter())
            engine.inbox.tell_local(msg.PassDue("orders"))
        elif began and progress.pressed_s is None and progress.fills >= size * _PARTS * 9 // 10:
            progress.pressed_s = time.perf_counter()
            engine.inbox.command(msg.SetControl(ControlLevel.PAUSE, who="bench", why="measured"))

    def done() -> bool:
        booked = progress.fills == size * _PARTS
        return booked and rig.quiet and engine.books.reconciler.current is None

    trio.run(rig.drive, top_up, done)
    took_s = time.perf_counter() - began[0]
    longest_s = engine.dispatcher.statistics.turn_longest_s
    assert backlog.first_cancel_s is not None
    assert progress.pressed_s is not None
    engine.close()
    return {
        "seconds": took_s,
        "fills_per_s": size * _PARTS / took_s,
        "longest_turn_ms": 1_000 * longest_s,
        "first_cancel_ms": 1_000 * (backlog.first_cancel_s - progress.pressed_s),
    }


def _orders(size: int) -> list[object]:
    limit = {"type": OrderType.LIMIT, "limit_price": QUOTE_PRICE}
    return [evolve(market_order(number), **limit) for number in range(size)]


def _count(turn: Turn, progress: Progress) -> None:
    progress.fills += sum(type(event) is OrderFilled for event in turn.events)


def _fill_backlog(backlog: Backlog, engine: Engine) -> None:
    """Each order was filled in parts, one microsecond after the other."""
    now_us, live = engine.clock.now_us(), list(engine.world.orders.values())
    first_us = now_us - len(live) * _PARTS
    backlog.open = tuple(
        facts.VenueOrder(
            venue_order_id=order.venue_order_id or "",
            client_order_id=order.client_order_id,
            instrument=BITCOIN.name,
            side=Side.BUY,
            qty=order.qty,
            filled_qty=_PART * _PARTS,
            state="open",
            price=order.limit_price,
        )
        for order in live
    )
    backlog.fills = [
        facts.OrderFill(
            trade_id=f"{order.client_order_id}-{part}",
            client_order_id=order.client_order_id,
            venue_order_id=order.venue_order_id,
            instrument=BITCOIN.name,
            qty=_PART,
            price=QUOTE_PRICE,
            fee=Decimal(0),
            venue_us=first_us + part * len(live) + number,
        )
        for part in range(_PARTS)
        for number, order in enumerate(live)
    ]
    backlog.before = False


WORKLOAD = Workload(
    name="reconcile_pass",
    about="a pass over all open orders and ten fills of each, the kill switch in the middle of it",
    size=10_000,
    quick_size=500,
    headline=("longest_turn_ms", "first_cancel_ms"),
    run=run,
    targets=(below("longest_turn_ms", 50), below("first_cancel_ms", 50)),
    in_quick=False,
)
