"""One engine on one database: journal, books, system, dispatcher, put together and started.

Who owns the time (a trio service, a replay, a scenario) drives it from outside; this module knows
neither. Composition only: what the parts do is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

from attrs import frozen
from loguru import logger

from actors import messages as msg
from actors.fold import folded
from actors.registry import Books
from actors.release import Release, read_spill, spill_path
from actors.runtime.clock import Clock
from actors.runtime.dispatcher import Dispatcher
from actors.runtime.ids import IdSource, session_identifier
from actors.runtime.lanes import Inbox
from actors.runtime.supervision import ChildStatistics
from actors.runtime.timers import TimerHeap
from actors.state import Document, Live, state_document
from actors.strategies.base import Strategy, Window
from actors.strategy_host import StrategyHost
from actors.system import System
from actors.venues.port import VenueGateway
from actors.world import Rules, World
from fsm.instrument import Instrument
from fsm.version import VERSION
from fsm.vocabulary import TradingMode
from storage.journal import JournalReader, check_head
from storage.process_journal import ProcessJournal
from storage.writer import InlineJournal, JournalFailed, JournalWriter


@frozen(slots=True, kw_only=True)
class EngineSettings:
    """What an engine is told at its start."""

    database: Path
    mode: TradingMode
    rules: Rules
    instruments: tuple[Instrument, ...]
    strategies: tuple[tuple[str, Strategy], ...] = ()
    """(instrument name, strategy) pairs."""
    seed: int | None = None
    holder: str = ""
    accept_divergence: bool = False
    control_max: int = 1_000
    facts_max: int = 100_000
    market_max: int = 100_000
    messages_max: int = 256
    in_flight_max: int = 4
    ballast_bytes: int = 0
    head_interval_s: float = 1.0
    projection_batch_max: int = 2_000
    opening: Mapping[str, Decimal] | None = None
    keep_open: tuple[int, ...] = ()
    """File descriptors that the writer's process holds too: the database's lock."""
    backups: Path | None = None
    """Where the backup before a migration goes; None: beside the database."""
    leave_older_chain: bool = True
    """Whether somebody checks the chain behind a snapshot after the start (`Upkeep`)."""


class Engine:
    """The parts of a running engine."""

    def __init__(self, settings: EngineSettings, clock: Clock, gateway: VenueGateway) -> None:
        self.settings, self.clock, self.gateway = settings, clock, gateway
        self.writer = JournalWriter(
            settings.database,
            ballast_bytes=settings.ballast_bytes,
            head_interval_s=settings.head_interval_s,
            backups=settings.backups,
        )
        if self.writer.kept is not None:
            logger.info("BACKUP {} before the migration", self.writer.kept.path)
        if self.writer.migrated and self.writer.head.seq:
            logger.info("TABLES_RENEWED {} events, after a migration", self.writer.head.seq)
            self.writer.project_all()  # before anything reads them
        self.reader = JournalReader.open(settings.database)
        check_head(self.reader, settings.database)
        self.world = World(rules=settings.rules, ids=IdSource(""))
        self.books = Books(self.world, None)
        self.fold = folded(
            self.reader, self.books, settings.database, leave_older=settings.leave_older_chain
        )
        self.books.reader = self.reader
        self.books.reconciler.accept_divergence = settings.accept_divergence
        self.inbox = Inbox(
            control_max=settings.control_max,
            facts_max=settings.facts_max,
            market_max=settings.market_max,
        )
        self.timers = TimerHeap()
        self.release = Release(self.world, self.inbox, gateway, settings.database)
        self.system = System(self.books, self.inbox, self.release, _hosts(settings))
        self.dispatcher = Dispatcher(
            self.system,
            clock,
            self.inbox,
            self.timers,
            head_seq=self.fold.head.seq,
            head_turn=self.writer.head.turn,
            messages_max=settings.messages_max,
            in_flight_max=settings.in_flight_max,
        )
        self._process_journal: ProcessJournal | None = None
        self.restarts = 0
        self.services: dict[str, ChildStatistics] = {}
        self.recorder: Callable[[], Document] | None = None
        """What the recorder says of itself; set by whoever starts one."""
        self.backups: Document = {}
        """What the scheduled backups say of themselves; set by whoever makes them."""
        self._disk_full = False
        self._tables_reported = False
        self._spilled: tuple[str, ...] = ()

    # -------------------------------------------------------------------------------- journaling

    def journal_inline(self) -> None:
        """Commit in the caller's thread: for simulated time, where nothing may overtake."""
        self.dispatcher.journal = InlineJournal(self.writer, self.turn_durable)

    def journal_in_process(
        self, on_durable: Callable[[int], None], on_failed: Callable[[JournalFailed], None]
    ) -> ProcessJournal:
        """Commit in a process of its own; the callbacks run in a thread and must only hand over."""
        self._process_journal = ProcessJournal(
            self.writer,
            on_durable,
            on_failed,
            projection_batch_max=self.settings.projection_batch_max,
            keep_open=self.settings.keep_open,
        )
        self.dispatcher.journal = self._process_journal
        return self._process_journal

    def turn_durable(self, turn: int) -> None:
        """A commit went through. When it took the ballast to do so, trading stops at once: what
        room is left belongs to exits."""
        if self.writer.statistics.ballast_released and not self._disk_full:
            self._disk_full = True
            self.inbox.tell_local(msg.Halt("disk_full"))
        failed = self.writer.projector.failed
        if failed is not None and not self._tables_reported:
            # The journal goes on: what is committed stays, and the tables can be made anew.
            self._tables_reported = True
            self.release.notify("critical", "TABLES_STOPPED", f"{failed}; run `holdfast rebuild`")
        if self._spilled:
            # The first turn holds what the spill says: from here on the journal tells it.
            spill_path(self.settings.database).unlink(missing_ok=True)
            self._spilled = ()
        self.dispatcher.on_durable(turn)

    # ---------------------------------------------------------------------------------- sessions

    def start(self) -> None:
        """Queue the first turn: the session begins, gated on reconciliation."""
        settings = self.settings
        session_id = session_identifier(self.clock.now_us(), settings.seed, self.writer.head.seq)
        self.world.ids.prefix = session_id
        names = tuple(strategy.name for _, strategy in settings.strategies)
        fresh = self.writer.head.seq == 0
        self._spilled = read_spill(settings.database)
        self.inbox.tell_local(
            msg.StartSession(
                session_id=session_id,
                mode=settings.mode,
                venue=self.gateway.name,
                holder=settings.holder,
                version=VERSION,
                seed=settings.seed,
                instruments=self._instruments(),
                strategies=names,
                spilled=self._spilled,
                opening=dict(settings.opening) if fresh and settings.opening is not None else None,
            )
        )

    def _instruments(self) -> tuple[Instrument, ...]:
        """The configured instruments, and those of open positions that are configured no more."""
        known = {spec.name: spec for spec in self.settings.instruments}
        for position in self.world.positions.values():
            spec = self.world.instruments.get(position.instrument)
            if spec is not None:
                known.setdefault(spec.name, spec)
        return tuple(known.values())

    def close(self) -> None:
        """Close the files; an inline journal's projections are caught up."""
        self.reader.close()
        if self._process_journal is not None:
            self._process_journal.close()
        self.writer.close()

    # ------------------------------------------------------------------------------------- state

    def live(self) -> Live:
        """What only a running engine knows."""
        ignored = self.system.ignored
        return Live(
            now_us=self.clock.now_us(),
            sent=dict(self.release.sent),
            connected=self.release.connected,
            writer_lag_ms=round(self.writer.statistics.last_commit_s * 1000, 3),
            alerts=dict(self.release.alert_counts),
            lanes=[
                {
                    "name": lane.name,
                    "waiting": lane.waiting,
                    "accepted": lane.accepted,
                    "shed": lane.shed,
                    "limit": lane.limit,
                    "waiting_max": lane.waiting_max,
                }
                for lane in self.inbox.statistics()
            ],
            services={
                name: {"running": c.running, "restarts": c.restarts, "last_error": c.last_error}
                for name, c in self.services.items()
            },
            ignored=self.system.facts.fetched_again + sum(ignored.values()),
            duplicates=self.system.facts.fetched_again
            + sum(n for reason, n in ignored.items() if reason.startswith("duplicate")),
            restarts=self.restarts,
            guards=self.system.guards.views(),
            backup=self.backups,
            recorder={"state": "off"} if self.recorder is None else self.recorder(),
        )

    def document(self, *, everything: bool = False) -> Document:
        """The state document as of the durable head."""
        return state_document(
            self.books, self.reader.conn, self.writer.head, live=self.live(), everything=everything
        )


def _hosts(settings: EngineSettings) -> list[StrategyHost]:
    specs = {spec.name: spec for spec in settings.instruments}
    return [
        StrategyHost(strategy, Window(specs[instrument], max(strategy.lookback_us, 1)))
        for instrument, strategy in settings.strategies
    ]
