"""Is the record intact, do the tables say what it says, and does it obey the laws?

Reads only, and one snapshot of the database, so that it may run beside a service that trades. It
repairs nothing: every problem is one line that names the seq or the row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen
from sqlite_utils import Database

from fsm.events import OrderAcknowledged, Recorded, SessionEnded, SessionStarted
from storage.backup import check_manifest, manifest_of
from storage.capital import CapitalUnreadable
from storage.journal import (
    GENESIS,
    Head,
    JournalDamaged,
    JournalReader,
    check_head,
    connect_readonly,
    read_head,
)
from storage.laws import Laws
from storage.ledger import Ledger
from storage.page_check import broken_pages
from storage.projections import Projector, compare
from storage.schema import PROJECTION_STATE, PROJECTIONS, SCHEMA_VERSION, create_projections
from storage.schema import version_of as schema_version_of
from storage.session_sums import session_figures

_PROBLEMS_MAX = 200
_CHUNK = 2_000


@frozen(slots=True, kw_only=True)
class VerifyReport:
    """What was found. `checks` counts what was looked at, so that an empty pass shows as one."""

    events: int
    head_seq: int
    head_hash: str
    problems: tuple[str, ...]
    checks: dict[str, int]

    @property
    def ok(self) -> bool:
        """Nothing was found wrong."""
        return not self.problems


def verify(path: Path | str) -> VerifyReport:
    """Check a live, a stopped or a copied database.

    Raises FileNotFoundError and SchemaTooNew; damage is a problem in the report, never an error.
    """
    kept: Head | JournalDamaged | None
    try:
        kept = read_head(path)  # before the snapshot: the head may lag, never lead
    except JournalDamaged as damage:
        kept = damage
    try:
        conn = connect_readonly(path)
    except sqlite3.Error as problem:
        return _unreadable(problem)
    try:
        conn.execute("BEGIN")
        return _Verification(conn, Path(path), kept).run()
    except sqlite3.Error as problem:
        return _unreadable(problem)
    finally:
        conn.close()


def _unreadable(problem: sqlite3.Error) -> VerifyReport:
    return nothing_readable(f"the database cannot be read: {problem}")


def nothing_readable(problem: str) -> VerifyReport:
    """The report on a file of which nothing can be read."""
    return VerifyReport(
        events=0, head_seq=0, head_hash=GENESIS.hex(), problems=(problem,), checks={}
    )


def _applied(ledger: Ledger | None, at: Recorded) -> Ledger | None:
    """The ledger with one event more; None from an event on that it cannot read: a law says so."""
    try:
        if ledger is not None:
            ledger.apply(at.event, at.seq)
    except CapitalUnreadable:
        return None
    return ledger


@define
class _Verification:
    conn: sqlite3.Connection
    path: Path
    kept: Head | JournalDamaged | None
    problems: list[str] = field(factory=list)
    dropped: int = 0
    checks: dict[str, int] = field(factory=dict)

    def problem(self, line: str) -> None:
        """Keep it, up to a limit; the rest is counted (L9)."""
        if len(self.problems) < _PROBLEMS_MAX:
            self.problems.append(line)
        else:
            self.dropped += 1

    def run(self) -> VerifyReport:
        reader = JournalReader(self.conn)
        head = reader.head()
        self._pages()
        self._head(reader)
        self._manifest(reader)
        events = self._stream(reader, head)
        if self.dropped:
            self.problems.append(f"and {self.dropped} more")
        return VerifyReport(
            events=events,
            head_seq=head.seq,
            head_hash=head.hash.hex(),
            problems=tuple(self.problems),
            checks=self.checks,
        )

    def _pages(self) -> None:
        for line in broken_pages(self.conn, 20):
            self.problem(f"database file: {line}")
        self.checks["pages"] = 1

    def _head(self, reader: JournalReader) -> None:
        self.checks["head"] = int(self.kept is not None)
        if isinstance(self.kept, JournalDamaged):
            self.problem(str(self.kept))
        elif self.kept is not None:
            try:
                check_head(reader, self.path, self.kept)
            except JournalDamaged as damage:
                self.problem(str(damage))

    def _manifest(self, reader: JournalReader) -> None:
        """A backup says itself how far it has to go."""
        manifest = manifest_of(self.conn)
        self.checks["manifest"] = int(manifest is not None)
        if manifest is not None:
            try:
                check_manifest(reader, manifest, self.path)
            except JournalDamaged as damage:
                self.problem(str(damage))

    def _stream(self, reader: JournalReader, head: Head) -> int:
        """One pass over the journal feeds the laws, the ledger and a second set of projections."""
        keys = _KeysByTurn(self.conn)
        laws = Laws(report=self._law, keys_of_turn=keys.up_to)
        ledger: Ledger | None = Ledger()
        tables = self._tables()
        seen, chunk = 0, list[Recorded]()
        try:
            for recorded in reader.verified():
                laws.see(recorded)
                self._identity(recorded)
                if ledger is not None:
                    self._figures(recorded, ledger)
                ledger = _applied(ledger, recorded)
                seen = recorded.seq
                if tables is not None and seen <= tables.until:
                    chunk.append(recorded)
                    if len(chunk) >= _CHUNK or seen == tables.until:
                        tables.projector.apply(chunk)
                        chunk = []
            laws.finish()
            if ledger is not None:
                self._totals(ledger)
            self._stray_keys(head)
        except JournalDamaged as damage:
            self.problem(str(damage))  # beyond it nothing can be trusted, tables included
        else:
            self._compare(tables, head)
        finally:
            if tables is not None:
                tables.projector.conn.close()
        self.checks["chain"] = seen
        self.checks |= laws.counts
        return seen

    def _identity(self, recorded: Recorded) -> None:
        """The venue's id of each acknowledged order leads back to it (routing by identity), or to
        one that it was told for later."""
        event = recorded.event
        if not isinstance(event, OrderAcknowledged) or event.venue_order_id is None:
            return
        row = self.conn.execute(
            "SELECT client_order_id, seq FROM identities WHERE venue_order_id = ?",
            (event.venue_order_id,),
        ).fetchone()
        self.checks["identities"] = self.checks.get("identities", 0) + 1
        if row is None or (row[0] != event.client_order_id and row[1] <= recorded.seq):
            self.problem(
                f"journal: the identity index has {row[0] if row else 'nothing'} for venue order "
                f"{event.venue_order_id} of seq {recorded.seq}"
            )

    def _figures(self, recorded: Recorded, ledger: Ledger) -> None:
        """What a session told of itself, or the next one of it, is what the fold says (L7)."""
        event, told = recorded.event, None
        if isinstance(event, SessionEnded):
            told = event.figures
        elif isinstance(event, SessionStarted):
            told = event.previous
        if told is None:
            return
        self.checks["session_figures"] = self.checks.get("session_figures", 0) + 1
        folded = session_figures(ledger)
        for name, value in folded.columns().items():
            if told.columns()[name] != value:
                self.problem(
                    f"seq {recorded.seq}: session {told.session_id} tells {name} "
                    f"{told.columns()[name]}, the fold says {value}"
                )

    def _law(self, seq: int, what: str) -> None:
        self.problem(f"seq {seq}: {what}")

    def _totals(self, ledger: Ledger) -> None:
        running, recomputed = ledger.running(), ledger.recomputed()
        self.checks["ledger_totals"] = len(recomputed)
        if running != recomputed:
            self.problem(f"ledger: running totals {running} differ from {recomputed}")

    def _stray_keys(self, head: Head) -> None:
        count = self.conn.execute("SELECT count(*) FROM dedup_keys").fetchone()[0]
        self.checks["dedup_keys"] = count
        stray = "SELECT key, seq FROM dedup_keys WHERE seq < 1 OR seq > ? LIMIT 20"
        for key, seq in self.conn.execute(stray, (head.seq,)):
            self.problem(
                f"dedup key {key!r} belongs to seq {seq}, which is not in the journal (L5)"
            )

    # ------------------------------------------------------------------------------ projections

    def _tables(self) -> _Tables | None:
        """A second, empty set of projections, to be brought as far as the first; None if old."""
        if schema_version_of(self.conn) < SCHEMA_VERSION:
            return None  # written by an older version: its tables come with the next start
        there = {name for (name,) in self.conn.execute("SELECT name FROM sqlite_schema")}
        missing = [name for name in (*PROJECTIONS, PROJECTION_STATE) if name not in there]
        if missing:
            self.problem(f"projections: no table {', '.join(missing)}: run `holdfast rebuild`")
            return None
        sql = f"SELECT seq FROM {PROJECTION_STATE}"
        row = self.conn.execute(sql).fetchone()
        scratch = sqlite3.connect("", isolation_level=None)  # in memory, spilled to disk when large
        create_projections(Database(scratch))
        return _Tables(Projector(scratch), row[0] if row else 0)

    def _compare(self, tables: _Tables | None, head: Head) -> None:
        if tables is None:
            self.checks["projections"] = 0
            return
        self.checks["projections"] = tables.until
        self.checks["projection_lag"] = head.seq - tables.until
        if tables.until > head.seq:
            self.problem(f"projections: at seq {tables.until}, the journal ends at {head.seq}")
        elif tables.projector.failed is not None:
            at = tables.projector.seq
            self.problem(f"projections: refused after seq {at}: {tables.projector.failed}")
        else:
            for line in compare(self.conn, tables.projector.conn):
                self.problem(f"projections: {line}")
            self.checks["projection_tables"] = len(PROJECTIONS)


@frozen(slots=True)
class _Tables:
    projector: Projector
    until: int


class _KeysByTurn:
    """The dedup keys in order of their events, handed out turn by turn."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._rows: Iterator[tuple[str, int]] = conn.execute(
            "SELECT key, seq FROM dedup_keys ORDER BY seq"
        )
        self._next = next(self._rows, None)

    def up_to(self, last_seq: int) -> list[str]:
        """The keys whose event is not after `last_seq` and that were not given out before."""
        keys = []
        while self._next is not None and self._next[1] <= last_seq:
            keys.append(self._next[0])
            self._next = next(self._rows, None)
        return keys
