"""The long-running service: composition root of a real-time run on trio.

One task turns, the others feed it: the venue's session, the market data, the control socket. All
of them are supervised; the dispatcher is not, because an error in it is an error of the engine and
ends the process, which the journal survives.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import trio
from attrs import define, field
from loguru import logger

from actors import messages as msg
from actors.backups import BackupPlan, Backups
from actors.engine import Engine
from actors.feeds.errors import MarketFileError
from actors.feeds.gaps import GapDetector
from actors.health import health_report
from actors.recording.recorder import NoTap, Tap
from actors.runtime import collector, control_socket
from actors.runtime.supervision import ChildDied, Intensity, Supervisor
from actors.service_control import ControlHandler
from actors.shutdown import Shutdown
from actors.upkeep import Upkeep
from actors.venues.realtime import InProcessVenue
from actors.venues.socket_client import SocketVenue
from fsm.market import MarketData
from fsm.mode import ModeState
from fsm.timestamps import SECOND_US
from storage.writer import JournalFailed

_IDLE_MAX_S = 1.0
_WRITER_LOOK_S = 0.5
_HEALTH_S = 2.0


@define(slots=True, kw_only=True)
class ServiceOptions:
    """What the service is told beyond its engine. `duration_s` None: until a signal."""

    market: Iterator[MarketData]
    due_us: Callable[[MarketData], int] = lambda data: data.event_us
    """The clock's time at which a datum is due."""
    tap: Tap = field(factory=NoTap)
    """Where the recorder takes what arrives."""
    duration_s: float | None = None
    shutdown_deadline_s: float = 10.0
    writer_stall_s: float = 30.0
    gap_us: int = 5 * SECOND_US
    intensity: Intensity = field(factory=Intensity)
    snapshot_events: int = 0
    """Events after which a snapshot of the fold is made; 0: none is."""
    backups: BackupPlan | None = None
    """Scheduled backups; None: none is made."""
    still_ours: Callable[[], bool] = lambda: True
    """Whether the database's lock is still this process's."""
    on_status: Callable[[Engine, str], None] = lambda engine, note: None
    status_interval_s: float = 0.5


class Service:
    """Runs one engine in real time until it is told to stop."""

    def __init__(
        self, engine: Engine, venue: InProcessVenue | SocketVenue, options: ServiceOptions
    ) -> None:
        self.engine, self.venue, self.options = engine, venue, options
        self.shutdown: Shutdown | None = None
        self.halt_reason = ""
        self.interrupted = False
        self.data_error: str | None = None
        self._feed_broken = False
        self._bell = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._journal = engine.journal_in_process(self._on_durable, self._on_failed)
        self._supervisor = Supervisor(self._child_died, options.intensity)
        engine.services = self._supervisor.children
        self._turn_longest_s = 0.0
        engine.inbox.on_arrival = self._ring
        engine.dispatcher.on_turn = self._on_turn

    # ------------------------------------------------------------------- from the journal's thread

    def _on_durable(self, turn: int) -> None:
        self._token.run_sync_soon(self._durable, turn)

    def _on_failed(self, failure: JournalFailed) -> None:
        self._token.run_sync_soon(self._failed, failure)

    def _durable(self, turn: int) -> None:
        self.engine.turn_durable(turn)
        self._ring()

    def _failed(self, failure: JournalFailed) -> None:
        logger.critical("JOURNAL_FAILED {}", failure)
        self.halt_reason = self.halt_reason or "journal_failed"
        self.engine.dispatcher.on_journal_failed(failure)
        self._ring()

    # ------------------------------------------------------------------------------------- turns

    def _ring(self) -> None:
        self._bell.set()

    def _on_turn(self, turn: Any, took_s: float) -> None:
        self._turn_longest_s = max(self._turn_longest_s, took_s)

    async def _turns(self) -> None:
        """Turn while there is work and room; otherwise wait for a bell or the next timer."""
        dispatcher = self.engine.dispatcher
        while not self._is_over():
            if dispatcher.may_turn() and dispatcher.has_work() and dispatcher.run_turn():
                await trio.lowlevel.checkpoint()
                continue
            self._bell = trio.Event()
            if dispatcher.may_turn() and dispatcher.has_work():
                continue
            with trio.move_on_after(self._nap_s()):
                await self._bell.wait()

    def _nap_s(self) -> float:
        due_us = self.engine.timers.next_due_us()
        if due_us is None or not self.engine.dispatcher.may_turn():
            return _IDLE_MAX_S
        return min(max(due_us - self.engine.clock.now_us(), 0) / SECOND_US, _IDLE_MAX_S)

    def _is_over(self) -> bool:
        return self.shutdown is not None and self.shutdown.step()

    # ---------------------------------------------------------------------------------- services

    async def _run_venue(self) -> None:
        await self.venue.run(self.engine.inbox.fact)

    async def _run_feed(self) -> None:
        """Each datum at its time: the venue sees it first, then the engine."""
        inbox, clock, gaps = self.engine.inbox, self.engine.clock, GapDetector(self.options.gap_us)
        due_us, tap = self.options.due_us, self.options.tap
        shed_from: dict[str, int] = {}
        shed: dict[str, int] = {}
        for data in self._readable():
            wait_us = due_us(data) - clock.now_us()
            if wait_us > 0:
                await trio.sleep(wait_us / SECOND_US)
            else:
                await trio.lowlevel.checkpoint()
            tap.take(data)
            gap = gaps.observe(data.instrument, data.event_us)
            if gap is not None:
                inbox.tell_local(
                    msg.FeedGapSeen(gap.instrument, gap.from_us, gap.to_us, "no data from the feed")
                )
            self.venue.market(data)
            if not inbox.market_data(data):
                tap.shed(data)
                shed[data.instrument] = shed.get(data.instrument, 0) + 1
                shed_from.setdefault(data.instrument, data.event_us)
            elif shed.get(data.instrument):
                lost, since = shed.pop(data.instrument), shed_from.pop(data.instrument)
                inbox.tell_local(
                    msg.FeedGapSeen(data.instrument, since, data.event_us, "lane full", lost)
                )
        self._stop("data_ended")

    def _readable(self) -> Iterator[MarketData]:
        """The rows up to the first that cannot be used in strict mode; the session ends cleanly.

        A source that broke off for another reason cannot be read on: that is no end of the data,
        so the restarts are used up and the system degrades.
        """
        if self._feed_broken:
            raise RuntimeError("the feed broke off and cannot be read on")
        while True:
            try:
                data = next(self.options.market)
            except StopIteration:
                return
            except MarketFileError as problem:
                logger.error("FEED_UNREADABLE {}", problem)
                self.data_error = str(problem)
                self._stop("data_error")
                return
            except BaseException:
                self._feed_broken = True
                raise
            yield data

    async def _run_control(self) -> None:
        handler = ControlHandler(self.engine, self._stop)
        self.engine.release.answer = handler.answered
        await control_socket.serve(self.engine.settings.database, handler.handle)

    def _child_died(self, death: ChildDied) -> None:
        self.engine.restarts += 1
        if death.given_up:
            reason = f"stays down after {death.restarts} restarts: {death.error}"
            self.engine.inbox.tell_local(msg.Degrade(f"service/{death.name}", reason))

    # ------------------------------------------------------------------------------------ its end

    def _stop(self, reason: str) -> None:
        """Begin the shutdown; the first reason stays."""
        if self.shutdown is not None:
            return
        halted = self.engine.books.mode.halt_reason
        self.halt_reason = self.halt_reason or halted or reason
        deadline_us = self.engine.clock.now_us() + round(
            self.options.shutdown_deadline_s * SECOND_US
        )
        self.shutdown = Shutdown(self.engine, self.halt_reason, deadline_us)
        self.shutdown.begin()

    async def _watch_signals(self, cancel_scope: trio.CancelScope) -> None:
        """SIGTERM, SIGINT, a closed terminal: all a clean end, which a second one cuts short."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        with trio.open_signal_receiver(*wanted) as signals:
            async for number in signals:
                if self.shutdown is not None and self.shutdown.reason.startswith("interrupted"):
                    self.interrupted = True
                    cancel_scope.cancel()
                    return
                name = signal.Signals(number).name.lower()
                logger.info("SIGNAL {} clean shutdown begins, a second one cuts it short", name)
                self._stop(f"interrupted_{name}")

    async def _watch_time(self) -> None:
        duration_s = self.options.duration_s
        if duration_s is not None:
            await trio.sleep(duration_s)
            self._stop("duration_elapsed")

    async def _watch_writer(self) -> None:
        """A writer that hangs lets nothing become durable, and no turn follows: not even the kill
        switch. It is ended, and the journal has failed: cancels leave, the session ends."""
        while True:
            if self._journal.stalled_s() > self.options.writer_stall_s:
                self._journal.give_up(
                    f"no turn became durable for {self.options.writer_stall_s:g} s"
                )
                return
            await trio.sleep(_WRITER_LOOK_S)

    async def _report_health(self) -> None:
        """What the heartbeat guard cannot see by itself."""
        while True:
            await trio.sleep(_HEALTH_S)
            longest_s, self._turn_longest_s = self._turn_longest_s, 0.0
            self.engine.inbox.tell_local(
                health_report(self.engine, longest_s, self._journal.stalled_s())
            )

    async def _watch_gate(self) -> None:
        """Books that differ at the start: nothing is open that needs us, so refuse and end."""
        while self.shutdown is None:
            mode = self.engine.books.mode
            if mode.state is ModeState.HALTED and mode.halt_reason == "truth_divergence":
                if not any(p.is_open for p in self.engine.world.positions.values()):
                    self._stop("truth_divergence")
                return
            if mode.books_verified:
                return
            await trio.sleep(0.05)

    async def _show_status(self) -> None:
        while True:
            waiting = self.shutdown.waiting_for() if self.shutdown is not None else ""
            self.options.on_status(self.engine, waiting)
            if not self.options.still_ours():
                logger.critical("LOCK_LOST another process may write to this database: ending")
                self._stop("lock_lost")
            await trio.sleep(self.options.status_interval_s)

    async def run(self) -> None:
        """Start, serve, and return when the session's end is durable."""
        sys.setswitchinterval(1e-4)  # the journal's reports must not wait 5 ms for their turn
        collector.settle_in()
        engine = self.engine
        engine.start()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_signals, nursery.cancel_scope)
            nursery.start_soon(self._watch_time)
            nursery.start_soon(self._watch_gate)
            nursery.start_soon(self._watch_writer)
            nursery.start_soon(self._report_health)
            nursery.start_soon(self._show_status)
            self._supervisor.start(nursery, "venue", self._run_venue, must_run=True)
            self._supervisor.start(nursery, "feed", self._run_feed)
            self._supervisor.start(nursery, "control", self._run_control, must_run=True)
            upkeep = Upkeep(engine, self.options.snapshot_events)
            self._supervisor.start(nursery, "upkeep", upkeep.run)
            if self.options.backups is not None:
                backups = Backups(engine, self.options.backups)
                engine.backups = backups.document
                self._supervisor.start(nursery, "backups", backups.run)
            await self._turns()
            nursery.cancel_scope.cancel()
        self._journal.close()
