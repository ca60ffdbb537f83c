"""From the command's arguments to a running session: what is put together for which kind of run.

Real time (synthetic market, or a file at its own pace) is the service; at full speed both are run
in simulated time. Either ends in a summary and an exit code.
"""

from __future__ import annotations

import math
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import trio
from attrs import define, evolve, field
from loguru import logger

from actors.config import Config, ConfigError
from actors.doctor import check_file_system
from actors.earlier_sessions import REPLAY_HOLDER, clock_floor_us, resume_point
from actors.engine import Engine, EngineSettings
from actors.feeds.files import (
    MarketFileError,
    RecordedFeed,
    derive_instruments,
    open_market_file,
)
from actors.feeds.matching import unfed_position
from actors.feeds.recording import is_recording
from actors.feeds.synthetic import SyntheticMarket
from actors.lock import WRITER_LEFT, DatabaseLock, the_file
from actors.opening import (
    AlreadyRunning,
    LaunchError,
    check_pages,
    finish_what_was_begun,
    opened,
    restore_is_pending,
)
from actors.pacing import due_by, moved_to_now
from actors.recording.recorder import NoRecorder
from actors.recording.starting import service_recorder
from actors.replay import Replay
from actors.runtime.clock import Clock, SimulatedClock, SystemClock
from actors.runtime.supervision import Intensity
from actors.service import Service, ServiceOptions
from actors.settings import (
    backup_folders,
    backup_plan,
    backups_folder,
    instruments_of,
    opening_balances,
    rules_from,
    sim_settings,
    strategies_of,
    tradable,
    truth_path,
)
from actors.source_report import Source, source_report
from actors.summary import Summary, summarise
from actors.venues.realtime import InProcessVenue
from actors.venues.sim import SimVenue, VenueTruth
from actors.venues.socket_client import SocketVenue
from fsm.instrument import Instrument
from fsm.market import MarketData
from fsm.timestamps import SECOND_US
from storage.journal import check_before_writing

T = TypeVar("T")
SYNTHETIC = "synthetic"
_ANSWER_MARGIN_US = SECOND_US


@define(slots=True, kw_only=True)
class Launch:
    """One run as asked for on the command line."""

    config: Config
    database: Path = field(converter=the_file)
    data: Path | None = None
    data_format: str | None = None
    data_symbol: str | None = None
    speed: str = "1"
    strict: bool = False
    duration_s: float | None = None
    accept_divergence: bool = False
    on_status: Callable[[Engine, str], None] = lambda engine, note: None
    on_progress: Callable[[Engine, int, int, int], None] = lambda engine, rows, done, total: None
    interrupted: bool = False
    _lock: DatabaseLock | None = field(default=None, init=False)

    # -------------------------------------------------------------------------------- the parts

    def lock(self) -> None:
        """Be the only writer. Raises AlreadyRunning, LaunchError."""
        lock = DatabaseLock(self.database)
        try:
            taken = lock.acquire({"database": str(self.database)})
        except OSError as problem:
            reason = os.strerror(problem.errno) if problem.errno else str(problem)
            raise LaunchError(
                f"{self.database}: cannot be written here ({reason}); name another place with --db",
                4,
            ) from problem
        if not taken:
            if lock.holder_is_gone():
                raise LaunchError(f"{self.database}: {WRITER_LEFT}", 4)
            raise AlreadyRunning(lock.holder() or {})
        self._lock = lock
        place = check_file_system(self.database)
        if place.state == "fail":
            logger.error("NETWORK_FILE_SYSTEM {}", place.detail)

    def unlock(self) -> None:
        """Let others write."""
        if self._lock is not None:
            self._lock.release()

    def market_file(self) -> Source | None:
        """The data file with the instruments that it is matched to. Raises LaunchError."""
        if self.data is None:
            return None
        try:
            if self.config.instruments:
                specs: tuple[Instrument, ...] | None = instruments_of(self.config)
            elif is_recording(self.data):
                specs = None  # it names its own, as they were traded
            else:
                derived = derive_instruments(self.data, self.data_format, self.data_symbol)
                specs = tuple(tradable(spec) for spec in derived)
            gap_us = round(self.config.feed.gap_s * SECOND_US)
            return open_market_file(
                self.data,
                specs,
                format=self.data_format,
                strict=self.strict,
                gap_us=gap_us,
                symbol=self.data_symbol,
            )
        except MarketFileError as problem:
            raise LaunchError(str(problem), 4 if not self.data.exists() else 2) from problem

    def engine(
        self, specs: tuple[Instrument, ...], clock: Clock, gateway: Any, *, simulated: bool
    ) -> Engine:
        """The engine on this database. Raises LaunchError with the contract's codes."""
        config = self.config
        rules = rules_from(config)
        if not config.venue.socket:
            # The simulated venue states how late a request can arrive; the key is for others.
            longest = config.venue.latency_ms + config.venue.latency_jitter_ms
            rules = evolve(rules, max_in_flight_us=longest * 1_000 + _ANSWER_MARGIN_US)
        settings = EngineSettings(
            database=self.database,
            mode=config.engine.trading_mode,
            rules=rules,
            instruments=specs,
            strategies=strategies_of(config, specs),
            seed=config.engine.seed if simulated else None,
            holder=REPLAY_HOLDER if simulated else f"pid {os.getpid()}",
            accept_divergence=self.accept_divergence,
            control_max=config.lanes.control_max,
            facts_max=config.lanes.facts_max,
            market_max=config.lanes.market_max,
            messages_max=config.engine.turn_messages_max,
            in_flight_max=config.engine.turns_in_flight_max,
            ballast_bytes=config.journal.ballast_mb * 1024 * 1024,
            head_interval_s=config.journal.head_interval_s,
            projection_batch_max=config.journal.projection_batch_max,
            keep_open=self._lock.descriptors if self._lock is not None else (),
            backups=backups_folder(config, self.database),
            leave_older_chain=not simulated,
        )
        return self._earlier(lambda: Engine(settings, clock, gateway))

    def sim_venue(self, specs: tuple[Instrument, ...]) -> SimVenue:
        """The simulated venue with its own record beside the database."""
        config, path = self.config, truth_path(self.config, self.database)
        try:
            truth = VenueTruth(path)
        except (sqlite3.Error, OSError) as problem:
            raise LaunchError(
                f"{path}: the venue's record cannot be opened ({problem})", 4
            ) from problem
        rng = random.Random(f"{config.engine.seed}/venue")
        return SimVenue(specs, opening_balances(config, specs), sim_settings(config), rng, truth)

    # ------------------------------------------------------------------------------- the kinds

    def run(self) -> Summary:
        """Run to the end. Raises LaunchError, AlreadyRunning, ConfigError."""
        if self.config.engine.mode != "paper":
            raise LaunchError(
                f"mode {self.config.engine.mode} comes with a later version; this one trades on "
                "paper only",
                2,
            )
        if self.speed != "max" and self.speed_factor() <= 0:
            raise LaunchError(f"--speed {self.speed}: a number above zero, or max", 2)
        if self.data is None and not (self.speed == "1" or self._simulates()):
            raise LaunchError(
                "--speed is for recorded data: name it with --data, or give --speed max and --for "
                "for so much of the synthetic market in simulated time",
                2,
            )
        source = self.market_file()
        strategies_of(self.config, self._specs(source))  # refused before anything is written
        pending = restore_is_pending(self.database)
        if not pending:
            self._earlier(lambda: check_before_writing(self.database))
        self.lock()
        try:
            if pending:
                self._earlier(lambda: finish_what_was_begun(self.database))
            self._earlier(lambda: check_pages(self.database))
            if self.speed == "max":
                return self._replay(source)
            return self._serve(source)
        finally:
            self.unlock()

    def _simulates(self) -> bool:
        """Full speed without a file: a synthetic market of a length that was asked for."""
        return self.speed == "max" and self.duration_s is not None

    def _specs(self, source: Source | None) -> tuple[Instrument, ...]:
        return source.instruments if source is not None else instruments_of(self.config)

    def _fed(self, engine: Engine, source: Source | None) -> Engine:
        """The engine, when every open position gets data from the file. Raises LaunchError."""
        held = {p.position_id: p.instrument for p in engine.world.positions.values() if p.is_open}
        problem = None if source is None else unfed_position(source, held)
        if problem is not None:
            _close(engine)
            raise LaunchError(problem, 3)
        return engine

    def speed_factor(self) -> float:
        """How much faster than its own time a file is played; 0 when it is no number."""
        try:
            factor = float(self.speed)
        except ValueError:
            return 0.0
        return factor if math.isfinite(factor) else 0.0

    def _replay(self, source: Source | None) -> Summary:
        """In simulated time: a file, or the synthetic market, which is recorded."""
        duration_us = None if self.duration_s is None else round(self.duration_s * SECOND_US)
        specs = self._specs(source)
        if source is None:
            rows = self._simulated_market(specs, duration_us or 0)
            first = next(rows)
        else:
            first, rows = self._begun(source)
        by_receipt = isinstance(source, RecordedFeed)
        first_us = first.recv_us if by_receipt else first.event_us
        record = truth_path(self.config, self.database)
        resume_us, note = self._earlier(lambda: resume_point(self.database, record, first_us))
        if note:
            logger.info("REPLAY {}", note)
        clock = SimulatedClock(max(first_us, resume_us))
        venue = self.sim_venue(specs)
        engine = self._fed(self.engine(specs, clock, venue, simulated=True), source)
        recorder = (
            service_recorder(
                self.config, self.database, SYNTHETIC, specs, clock.now_us(), inline=True
            )
            if source is None
            else NoRecorder()
        )
        engine.recorder = recorder.document
        replay = Replay(
            engine,
            clock,
            venue,
            chain([first], rows),
            resume_after_us=resume_us,
            gap_us=round(self.config.feed.gap_s * SECOND_US),
            shutdown_deadline_us=round(self.config.engine.shutdown_deadline_s * SECOND_US),
            duration_us=duration_us,
            by_receipt=by_receipt,
            tap=recorder.tap(SYNTHETIC) if source is None else None,
            on_progress=lambda count: self.on_progress(
                engine, count, *(source.progress() if source is not None else (0, 0))
            ),
        )
        try:
            trio.run(replay.run_watched)
            self.interrupted = replay.cut_short
            if replay.data_error is not None:
                raise LaunchError(replay.data_error, 2)
            recorder.close()
            return self._summary(engine, replay.halt_reason, source)
        finally:
            recorder.close()
            _close(engine)
            venue.close()

    def _begun(self, source: Source) -> tuple[MarketData, Iterator[MarketData]]:
        """The first row, and those behind it: whatever looks over the whole file first (parquet
        does) has done so before anything runs. Raises LaunchError."""
        rows = iter(source)
        try:
            first = next(rows, None)
        except MarketFileError as problem:
            raise LaunchError(str(problem), 2) from problem
        if first is None:
            raise LaunchError(f"{self.data}: no row that can be used; {source.report.summary()}", 2)
        return first, rows

    def _simulated_market(
        self, specs: tuple[Instrument, ...], duration_us: int
    ) -> Iterator[MarketData]:
        """The synthetic market of the time that has just passed, so that a later run follows it."""
        rng = random.Random(f"{self.config.engine.seed}/market/0")
        return iter(SyntheticMarket(specs, rng, SystemClock().now_us() - duration_us))

    def _earlier(self, look: Callable[[], T]) -> T:
        """Look at what the database holds; every way in which that fails is one clear line."""
        return opened(self.database, backup_folders(self.config, self.database), look)

    def _serve(self, source: Source | None) -> Summary:
        config = self.config
        specs = self._specs(source)
        rows: Iterator[MarketData] | None = None
        if source is not None:
            first, rest = self._begun(source)
            rows = chain([first], rest)
        clock = SystemClock()
        clock.not_before(self._earlier(lambda: clock_floor_us(self.database, clock.now_us())))
        local = None if config.venue.socket else self.sim_venue(specs)
        venue: InProcessVenue | SocketVenue = (
            InProcessVenue(local, clock.now_us)
            if local is not None
            else SocketVenue(Path(config.venue.socket))
        )
        engine = self._fed(self.engine(specs, clock, venue, simulated=False), source)
        feed = SYNTHETIC if self.data is None else f"file:{self.data.name}"
        recorder = service_recorder(config, self.database, feed, specs, clock.now_us())
        engine.recorder = recorder.document
        options = ServiceOptions(
            market=self._market(source, rows, specs, engine, clock),
            due_us=due_by(source),
            tap=recorder.tap(feed),
            duration_s=self.duration_s,
            shutdown_deadline_s=config.engine.shutdown_deadline_s,
            writer_stall_s=config.journal.stall_s,
            gap_us=round(config.feed.gap_s * SECOND_US),
            snapshot_events=config.journal.snapshot_events,
            backups=backup_plan(config, self.database),
            intensity=Intensity(
                restarts_max=config.supervision.restarts_max,
                window_s=config.supervision.restart_window_s,
                backoff_initial_s=config.supervision.backoff_initial_s,
                backoff_max_s=config.supervision.backoff_max_s,
            ),
            still_ours=lambda: self._lock is not None and self._lock.is_held(),
            on_status=self.on_status,
        )

        async def serve() -> Service:
            service = Service(engine, venue, options)
            await service.run()
            return service

        try:
            service = trio.run(serve)
            self.interrupted = service.interrupted
            if service.data_error is not None:
                raise LaunchError(service.data_error, 2)
            recorder.close()
            return self._summary(engine, service.halt_reason, source)
        finally:
            recorder.close()
            _close(engine)
            if local is not None:
                local.close()

    def _market(
        self,
        source: Source | None,
        rows: Iterator[MarketData] | None,
        specs: tuple[Instrument, ...],
        engine: Engine,
        clock: Clock,
    ) -> Iterator[MarketData]:
        """Market data in the clock's own time: the synthetic market, or a file moved to now."""
        if rows is None:
            rng = random.Random(f"{self.config.engine.seed}/market/{engine.writer.head.seq}")
            return iter(SyntheticMarket(specs, rng, clock.now_us()))
        return moved_to_now(rows, due_by(source), clock.now_us(), self.speed_factor())

    def _summary(self, engine: Engine, reason: str, source: Source | None) -> Summary:
        if engine.writer.failed is None:
            engine.writer.project_all()
        return summarise(engine, reason, None if source is None else source_report(source))


def _close(engine: Engine) -> None:
    """Close the files; a database that fails now was reported already."""
    try:
        engine.close()
    except (sqlite3.Error, OSError) as problem:
        if engine.writer.failed is None:
            raise LaunchError(
                f"{engine.settings.database}: not closed cleanly: {problem}", 6
            ) from problem


__all__ = ["AlreadyRunning", "ConfigError", "Launch", "LaunchError"]
