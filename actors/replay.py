"""Market data in simulated time, as fast as the machine allows: same input and seed, same hash.

The same engine as the service's, with the writer in the loop instead of in a thread, so that
nothing overtakes a commit. Control and signals are looked at between rows.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator

import trio
from attrs import define, field

from actors import messages as msg
from actors.engine import Engine
from actors.feeds.errors import MarketFileError
from actors.feeds.gaps import GapDetector
from actors.recording.recorder import Tap
from actors.runtime import collector
from actors.runtime.clock import SimulatedClock
from actors.shutdown import Shutdown
from actors.simulation import Simulation
from actors.venues.port import SimulatedGateway
from fsm.facts import VenueConnected
from fsm.market import MarketData
from fsm.timestamps import SECOND_US, iso_utc

_DAY_US = 86_400 * SECOND_US
_JUMP_MAX_US = 10 * _DAY_US
_ROWS_BETWEEN_CHECKPOINTS = 512
_SHUTDOWN_STEP_US = 50_000


@define(slots=True)
class Replay:
    """One run over market data, recorded or made up."""

    engine: Engine
    clock: SimulatedClock
    venue: SimulatedGateway
    rows: Iterable[MarketData]
    resume_after_us: int = 0
    gap_us: int = 5 * SECOND_US
    shutdown_deadline_us: int = 10 * SECOND_US
    duration_us: int | None = None
    by_receipt: bool = False
    """Each row at the time when it was received, as a recording has it, not at the source's."""
    tap: Tap | None = None
    on_progress: Callable[[int], None] = lambda rows: None
    halt_reason: str = ""
    rows_fed: int = 0
    cut_short: bool = False
    data_error: str | None = None
    _gaps: GapDetector = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._gaps = GapDetector(self.gap_us)

    def stop(self, reason: str) -> None:
        """End after the current row; the first reason stays."""
        self.halt_reason = self.halt_reason or reason

    async def watch_signals(self, scope: trio.CancelScope) -> None:
        """The first signal ends the replay cleanly, a second one cuts it short."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                if self.halt_reason.startswith("interrupted"):
                    self.cut_short = True
                    scope.cancel()
                    return
                self.stop(f"interrupted_{signal.Signals(number).name.lower()}")

    async def run_watched(self) -> None:
        """`run`, with signals heard."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.watch_signals, nursery.cancel_scope)
            await self.run()
            nursery.cancel_scope.cancel()

    async def run(self) -> None:
        """Replay everything, then end the session cleanly."""
        collector.settle_in()
        engine = self.engine
        engine.journal_inline()
        engine.start()
        simulation = Simulation(engine, self.clock, self.venue)
        engine.inbox.facts.offer(VenueConnected(venue_us=self.clock.now_us()))
        simulation.settle()
        started_us = self.clock.now_us()
        await trio.lowlevel.checkpoint()  # whoever hears signals begins to
        for data in self._readable():
            at_us = data.recv_us if self.by_receipt else data.event_us
            if at_us <= self.resume_after_us:
                continue
            if self._jumps(at_us):
                break
            if self.tap is not None:
                self.tap.take(data)
            self._note_gap(data)
            if at_us == data.event_us:
                simulation.feed(data)
            else:
                simulation.feed_at(data, at_us)
            self.rows_fed += 1
            if engine.dispatcher.failed is not None:
                self.stop("journal_failed")
            if self.duration_us is not None and at_us - started_us >= self.duration_us:
                self.stop("duration_elapsed")
            if self.rows_fed % _ROWS_BETWEEN_CHECKPOINTS == 0:
                self.on_progress(self.rows_fed)
                await trio.lowlevel.checkpoint()
            if self.halt_reason:
                break
        self.stop("data_ended")
        self._end(simulation)
        self.on_progress(self.rows_fed)

    def _readable(self) -> Iterator[MarketData]:
        """The rows up to the first that cannot be used in strict mode; the session ends cleanly."""
        try:
            yield from self.rows
        except MarketFileError as problem:
            self.data_error = str(problem)
            self.stop("data_error")

    def _jumps(self, at_us: int) -> bool:
        """A time so far ahead is damage, or another recording: every pass in between would be made
        (L9). The session ends cleanly before it."""
        ahead_us = at_us - self.clock.now_us()
        if ahead_us <= _JUMP_MAX_US:
            return False
        self.data_error = (
            f"the time of the data jumps from {iso_utc(self.clock.now_us())} to {iso_utc(at_us)}, "
            f"row {self.rows_fed + 1} of those fed: more than {_JUMP_MAX_US // _DAY_US} days; "
            "repair that time, or cut the file there and replay both parts"
        )
        self.stop("data_error")
        return True

    def _note_gap(self, data: MarketData) -> None:
        gap = self._gaps.observe(data.instrument, data.event_us)
        if gap is not None:
            self.engine.inbox.tell_local(
                msg.FeedGapSeen(gap.instrument, gap.from_us, gap.to_us, "no data in the file")
            )

    def _end(self, simulation: Simulation) -> None:
        deadline_us = self.clock.now_us() + self.shutdown_deadline_us
        self.halt_reason = self.engine.books.mode.halt_reason or self.halt_reason
        shutdown = Shutdown(self.engine, self.halt_reason, deadline_us)
        shutdown.begin()
        simulation.settle()
        while not shutdown.step():
            simulation.run_until(self.clock.now_us() + _SHUTDOWN_STEP_US)
