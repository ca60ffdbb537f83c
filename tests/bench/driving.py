"""Engines to measure: real disk and real time as the service does it, or simulated time.

The durable drive is the service's own turn loop without its edges (signals, control socket, status
line): turns are pipelined, the journal has its thread, what is durable comes back through
`run_sync_soon`. A source tops the control lane up before each turn, so that the lanes stay busy.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio
from attrs import define, evolve, field

from actors import messages as msg
from actors.engine import Engine, EngineSettings
from actors.runtime import collector
from actors.runtime.clock import Clock, SimulatedClock, SystemClock
from actors.runtime.dispatcher import Turn
from actors.simulation import Simulation
from actors.strategies.base import Strategy
from actors.venues.realtime import InProcessVenue
from actors.venues.sim import SimSettings, SimVenue
from actors.venues.sim.store import Store
from actors.world import Rules
from fsm.events import OrderFilled, OrderMoved
from fsm.facts import VenueConnected
from fsm.market import Tick
from fsm.order import OrderState
from fsm.timestamps import SECOND_US
from fsm.vocabulary import OrderRole, OrderType, Side, TradingMode
from storage.writer import JournalFailed, WriterStatistics
from tests.bench.measuring import Figures
from tests.bench.sizes import ASK, BID, QTY, QUOTE_PRICE, START_US
from tests.engines import BITCOIN

PERPETUAL = BITCOIN
_WINDOW = 2_048  # orders on their way at once: the commits of several turns overlap with deciding
_NAP_S = 0.05
_STALLED_S = 60.0


def quote_at(event_us: int, bid: Decimal = BID, ask: Decimal = ASK) -> Tick:
    """A tick with more depth than any workload takes."""
    size = Decimal(10**9)
    return Tick(
        instrument=PERPETUAL.name,
        bid=bid,
        ask=ask,
        bid_size=size,
        ask_size=size,
        event_us=event_us,
        recv_us=event_us,
    )


def market_order(number: int, side: Side = Side.BUY, **more: Any) -> msg.PlaceOrder:
    """An entry at the market, with a position of its own."""
    return msg.PlaceOrder(
        client_order_id=f"B{number:07d}",
        role=OrderRole.ENTRY,
        instrument=PERPETUAL.name,
        side=side,
        qty=QTY,
        type=OrderType.MARKET,
        **more,
    )


def limit_quote(number: int) -> msg.PlaceOrder:
    """A quote far below the market that rests until it is cancelled."""
    return msg.PlaceOrder(
        client_order_id=f"Q{number:07d}",
        role=OrderRole.QUOTE,
        instrument=PERPETUAL.name,
        side=Side.BUY,
        qty=QTY,
        type=OrderType.LIMIT,
        limit_price=QUOTE_PRICE,
        strategy="bench",
    )


def _venue(store: Store | None = None) -> SimVenue:
    settings = SimSettings(maker_fee_bps=Decimal(1), taker_fee_bps=Decimal(5))
    return SimVenue([PERPETUAL], {"USDT": Decimal(10**12)}, settings, random.Random(1), truth=store)


def _engine(
    folder: Path,
    clock: Clock,
    gateway: Any,
    strategies: Sequence[tuple[str, Strategy]] = (),
    rules: Rules | None = None,
) -> Engine:
    return Engine(
        EngineSettings(
            database=folder / "bench.db",
            mode=TradingMode.PAPER,
            rules=rules or Rules(max_in_flight_us=SECOND_US),
            instruments=(PERPETUAL,),
            strategies=tuple(strategies),
            seed=1,
        ),
        clock,
        gateway,
    )


def engine_on(folder: Path) -> Engine:
    """An engine on the folder's database, opened and folded, not started."""
    return _engine(folder, SimulatedClock(START_US), _venue())


# -------------------------------------------------------------------------------- simulated time


def simulated(
    folder: Path,
    strategies: Sequence[tuple[str, Strategy]] = (),
    *,
    venue: SimVenue | None = None,
    start_us: int = START_US,
) -> tuple[Engine, Simulation]:
    """A started, reconciled engine in simulated time with one quote seen; with an earlier venue
    it is a restart."""
    clock, venue = SimulatedClock(start_us), venue or _venue()
    engine = _engine(folder, clock, venue, strategies)
    engine.journal_inline()
    collector.settle_in()
    engine.start()
    simulation = Simulation(engine, clock, venue)
    engine.inbox.facts.offer(VenueConnected(venue_us=start_us))
    simulation.settle()
    simulation.feed(quote_at(start_us))
    return engine, simulation


def place_all(simulation: Simulation, orders: Sequence[object], burst: int = 256) -> None:
    """Give commands in bursts, and settle after each."""
    for start in range(0, len(orders), burst):
        for order in orders[start : start + burst]:
            simulation.engine.inbox.command(order)
        simulation.settle()


# ------------------------------------------------------------------------------------- real time


@define
class Durable:
    """A real-time engine on a real disk; `drive` runs it until `done` says so."""

    folder: Path
    rules: Rules | None = None
    wrap_gateway: Callable[[InProcessVenue], Any] = lambda venue: venue
    prepare: Callable[[Engine], None] = lambda engine: None
    """Called when the session is active, before the clock starts; the loop stands still."""
    store: Store | None = None
    """The venue's memory; default: everything."""
    engine: Engine = field(init=False)
    venue: InProcessVenue = field(init=False)
    ended: int = 0
    """Orders that have come to their end, by the events of the turns."""
    loop_cpu_s: float = 0.0
    writer_cpu_s: float = 0.0
    _bell: trio.Event = field(init=False)
    _before: WriterStatistics = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = SystemClock()
        self.venue = InProcessVenue(_venue(self.store), clock.now_us)
        self.engine = _engine(self.folder, clock, self.wrap_gateway(self.venue), rules=self.rules)

    @property
    def quiet(self) -> bool:
        """Nothing waits and nothing is in flight."""
        return not len(self.engine.inbox) and not self.engine.dispatcher.in_flight

    async def drive(
        self, top_up: Callable[[], None], done: Callable[[], bool], *tasks: Callable[..., Any]
    ) -> float:
        """Start, reconcile, see one quote; then time `top_up` and turns until `done` and the
        projections are caught up. Returns seconds."""
        sys.setswitchinterval(1e-4)
        self._bell = trio.Event()
        token, engine = trio.lowlevel.current_trio_token(), self.engine

        def failed(failure: JournalFailed) -> None:
            raise failure

        def durable(turn: int) -> None:
            engine.dispatcher.on_durable(turn)
            self._bell.set()

        journal = engine.journal_in_process(
            lambda turn: token.run_sync_soon(durable, turn),
            lambda failure: token.run_sync_soon(failed, failure),
        )
        engine.inbox.on_arrival = lambda: self._bell.set()
        engine.dispatcher.on_turn = self._count_ended
        collector.settle_in()
        engine.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.venue.run, engine.inbox.fact)
            await self._turns(lambda: None, lambda: self.quiet and engine.books.mode.books_verified)
            tick = quote_at(engine.clock.now_us())
            self.venue.market(tick)
            engine.inbox.market_data(tick)
            await self._turns(lambda: None, lambda: self.quiet)
            self.prepare(engine)
            self._reset_statistics()
            started, cpu = time.perf_counter(), time.thread_time()
            # What the writer has used so far is not part of the figure; it ends with `close`.
            children_s = _children_cpu_s() + _cpu_s_of(journal.pid)
            for task in tasks:
                nursery.start_soon(task)
            await self._turns(top_up, done)
            self.loop_cpu_s = time.thread_time() - cpu
            nursery.cancel_scope.cancel()
        journal.close()
        engine.writer.project_all()
        took_s = time.perf_counter() - started
        self.writer_cpu_s = _children_cpu_s() - children_s
        return took_s

    def _count_ended(self, turn: Turn, took_s: float) -> None:
        """One fill ends an order here, and so does its cancellation."""
        self.ended += sum(
            isinstance(event, OrderFilled)
            or (isinstance(event, OrderMoved) and event.state is OrderState.CANCELED)
            for event in turn.events
        )

    def _reset_statistics(self) -> None:
        """The writer's counters go on counting: what they were is taken off afterwards."""
        self._before = evolve(self.engine.writer.statistics)

    async def _turns(self, top_up: Callable[[], None], done: Callable[[], bool]) -> None:
        """As `Service._turns`, with the source in front."""
        dispatcher, deadline = self.engine.dispatcher, time.monotonic() + _STALLED_S
        while not done():
            top_up()
            if dispatcher.may_turn() and dispatcher.has_work() and dispatcher.run_turn():
                deadline = time.monotonic() + _STALLED_S
                await trio.lowlevel.checkpoint()
                continue
            self._bell = trio.Event()
            if dispatcher.may_turn() and dispatcher.has_work():
                continue
            with trio.move_on_after(_NAP_S):
                await self._bell.wait()
            if time.monotonic() > deadline:
                raise TimeoutError(f"the workload stalls: {self.engine.document()['mode']}")

    def figures(self, orders: int, took_s: float) -> Figures:
        """What every durable workload reports."""
        written, before = self.engine.writer.statistics, self._before
        events, commits = written.events - before.events, written.commits - before.commits
        return {
            "orders_per_s": orders / took_s,
            "events_per_s": events / took_s,
            "events_per_order": events / orders,
            "commits": float(commits),
            "events_per_commit": events / max(1, commits),
            "loop_cpu_s": self.loop_cpu_s,
            "writer_cpu_s": self.writer_cpu_s,
            "writer_commit_s": written.busy_s - before.busy_s,
            "seconds": took_s,
        }


def top_up_with(rig: Durable, orders: Iterable[object]) -> Callable[[], None]:
    """A source of bursts: keeps so many orders on their way as one turn and its commit can use."""
    waiting, control = iter(orders), rig.engine.inbox.control
    placed = 0

    def top_up() -> None:
        nonlocal placed
        for _ in range(min(_WINDOW - (placed - rig.ended), control.limit - len(control))):
            order = next(waiting, None)
            if order is None:
                return
            placed += 1
            rig.engine.inbox.command(order)

    return top_up


def _children_cpu_s() -> float:
    """Processor time of the processes that have ended: the writer's, its start included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_s_of(pid: int) -> float:
    """Processor time of a running process with one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
